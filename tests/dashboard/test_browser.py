"""The dashboard in a real Chromium: used by mouse and keyboard, held against axe's rules."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.expected_conditions import staleness_of, title_contains
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser import axe, chromium, dress, served
from tests.dashboard.pages import WINDOW, app

PAGES = {
    "overview": f"/?{WINDOW}",
    "missions": f"/missions?{WINDOW}",
    "mission": "/missions/pay-0-8",
    "brief": "/briefs/2026-03-03",
    "briefs": f"/briefs?{WINDOW}",
    "answer": "/ask?question=what+improved+since+2026-03-01",
    "no answer": "/ask?question=who+fixed+it",
    "unknown": "/missions/nobody",
}


@pytest.fixture(scope="module")
def address(days_made):
    with served(app(days_made, dagster_url="http://dagster.example")) as url:
        yield url


@pytest.fixture(scope="module")
def browser():
    with chromium() as driver:
        yield driver


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_axe_finds_nothing_serious_and_nothing_is_wider_than_the_screen(
    browser, address, path, width, dark
):
    dress(browser, width, dark=dark)
    browser.get(address + path)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert axe(browser) == []
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width
    page = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert page == ("rgb(16, 18, 20)" if dark else "rgb(242, 244, 247)")
    # The policy refused nothing that a page asks for.
    refused = [entry["message"] for entry in browser.get_log("browser") if "404" not in str(entry)]
    assert refused == []


def test_a_chosen_domain_filters_the_page(browser, address):
    dress(browser, 1280, dark=False)
    browser.get(f"{address}/?{WINDOW}")
    Select(browser.find_element(By.NAME, "domain_id")).select_by_value("search")
    before = browser.find_element(By.TAG_NAME, "h1")
    browser.find_element(By.CSS_SELECTOR, ".filter button").click()
    WebDriverWait(browser, 20).until(staleness_of(before))
    assert browser.find_element(By.TAG_NAME, "h1").text == "search"
    assert browser.find_element(By.CSS_SELECTOR, ".big").text == "5"
    assert "domain_id=search" in browser.current_url


def test_a_mission_is_two_links_away(browser, address):
    dress(browser, 390, dark=False)
    browser.get(f"{address}/?{WINDOW}")
    browser.find_element(By.PARTIAL_LINK_TEXT, "15").click()
    WebDriverWait(browser, 20).until(title_contains("Missions"))
    browser.find_element(By.LINK_TEXT, "Checkout latency").click()
    WebDriverWait(browser, 20).until(title_contains("Checkout latency"))
    assert browser.find_element(By.TAG_NAME, "h1").text == "Checkout latency"
    assert browser.find_elements(By.CSS_SELECTOR, ".chart svg.plot")


def test_a_question_is_answered_with_the_missions_behind_it(browser, address):
    dress(browser, 390, dark=False)
    browser.get(f"{address}/")
    browser.find_element(By.NAME, "question").send_keys("Did mission pay-0-8 work?", Keys.ENTER)
    WebDriverWait(browser, 20).until(title_contains("Answer"))
    lead = browser.find_element(By.CLASS_NAME, "lead").text
    assert lead.startswith("Yes. Latency improved by 46 % from 52")
    browser.find_element(By.LINK_TEXT, "pay-0-8").click()
    WebDriverWait(browser, 20).until(title_contains("Checkout latency"))


def test_what_cannot_be_answered_leads_to_what_can(browser, address):
    browser.get(f"{address}/ask?question=who+fixed+it")
    assert "no record of people" in browser.find_element(By.CLASS_NAME, "lead").text
    browser.find_element(By.PARTIAL_LINK_TEXT, "What keeps breaking?").click()
    WebDriverWait(browser, 20).until(
        lambda page: (
            page.find_element(By.NAME, "question").get_attribute("value") == "What keeps breaking?"
        )
    )
    assert "Days:" in browser.find_element(By.CLASS_NAME, "lead").text


def test_the_keyboard_opens_the_numbers_of_a_chart(browser, address):
    dress(browser, 1280, dark=False)
    browser.get(f"{address}/missions/pay-0-8")
    table = browser.find_element(By.CSS_SELECTOR, ".chart details table")
    assert not table.is_displayed()
    for _ in range(40):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.tag_name == "summary":
            break
    outline = browser.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert table.is_displayed()
    assert "mission" in table.text


def test_one_button_opens_all_numbers(browser, address):
    browser.get(f"{address}/?{WINDOW}")
    button = browser.find_element(By.CLASS_NAME, "all-numbers")
    button.click()
    tables = browser.find_elements(By.CSS_SELECTOR, ".chart details table")
    assert tables
    assert all(table.is_displayed() for table in tables)
    assert button.text == "Hide all numbers"
