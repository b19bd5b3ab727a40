"""The dashboard's pages on a small real lake, read as a program without script reads them."""

import re
from urllib.parse import quote

import pytest

from tests.conftest import event
from tests.dashboard.pages import WINDOW, app, filled_lake
from tests.serving import serve

HOSTILE = "x\"'><script>alert(1)</script>\u202e<img src=//evil.example/a.png>"
HOSTILE_DOMAIN = "x\"'><script>alert(1)<img src=evil.example>\u202e&copy;"
HOSTILE_ID = "m/\"'><script>?#%"
FAILED = {"mission_outcomes": ["2026-03-05"]}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    hostile = event(
        HOSTILE_ID,
        domain_id=HOSTILE_DOMAIN,
        title=HOSTILE,
        error=HOSTILE,
        success=False,
        mission_type=HOSTILE,
        actions=[HOSTILE],
        trigger={"metric": HOSTILE, "observed": 2, "threshold": 1},
    )
    root = filled_lake(tmp_path_factory.mktemp("lake"), hostile)
    more = {
        "dagster_url": "http://dagster.example/",
        "failed": lambda: FAILED,
        "run_of": lambda day: "0123456789",
    }
    with serve(app(root, **more)) as client:
        yield client


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    with serve(app(tmp_path_factory.mktemp("empty"))) as client:
        yield client


ADDRESSES = (
    f"/?{WINDOW}",
    f"/?{WINDOW}&domain_id={quote(HOSTILE_DOMAIN)}",
    f"/missions?{WINDOW}",
    f"/missions/{quote(HOSTILE_ID, safe='')}",
    "/missions/pay-0-8",
    "/briefs/2026-03-01",
    f"/briefs?{WINDOW}",
    f"/ask?question={quote(HOSTILE)}",
    f"/ask?question={quote('what did you fix in ' + HOSTILE_DOMAIN)}",
    f"/ask?question={quote('which missions since 2026-03-01')}",
)


def test_the_overview_shows_figures_and_charts_with_their_numbers(client):
    page = client.get(f"/?{WINDOW}").text
    assert "All domains" in page
    assert '<dd class="big">21</dd>' in page
    assert page.count('class="plot"') == page.count("<details>") == 6
    assert page.count('role="img" aria-label="') == 6


def test_a_domain_shows_its_own_figures_only(client):
    page = client.get(f"/?{WINDOW}&domain_id=search").text
    assert "<h1>search</h1>" in page
    assert '<dd class="big">5</dd>' in page


def test_days_outside_of_the_window_do_not_count(client):
    page = client.get("/?from=2026-03-02&to=2026-03-02").text
    assert '<dd class="big">4</dd>' in page


@pytest.mark.parametrize(
    "query",
    [
        "from=2026-03-06&to=2026-03-01",
        "from=yesterday",
        "to=20260301",
        "domain_id=nobody",
        "to=0001-01-01",
        "from=0001-01-01&to=9999-12-31",
    ],
)
def test_what_no_page_has_is_refused_in_words(client, query):
    answer = client.get(f"/?{query}")
    assert answer.status_code == 400
    assert "<h1>This page cannot be shown</h1>" in answer.text


def test_a_mission_shows_its_verdict_windows_and_where_it_stands_in_dagster(client):
    page = client.get("/missions/pay-0-8").text
    assert "healthy again" in page
    assert "first verdict" in page
    for role in ("pre", "mission", "settle", "post", "good", "one"):
        assert re.search(rf'<path [^>]*class="[^"]*[fs]-{role}\b', page), role
    assert "http://dagster.example/runs/0123456789" in page
    assert "/assets/mission_outcomes?view=partitions&amp;partition=2026-03-01" in page


def test_reference_days_are_drawn_as_many_as_the_judge_used(client):
    page = client.get("/missions/pay-0-8").text
    readings = page.partition('aria-label="Readings"')[2]
    used = re.search(r"<td>(\d+)</td>\s*<td>[^<]*</td>\s*</tr>", readings)
    assert used
    assert f"{used[1]} reference days" in page
    assert page.count("s-reference") == 2 * int(used[1]) + 1  # and one in the legend


@pytest.mark.parametrize("path", ["/missions/nobody", "/briefs/2026-01-01", "/briefs/..%2f..%2fx"])
def test_what_is_unknown_is_a_page_that_says_so(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "<h1>" in answer.text or answer.text == "Not Found"


@pytest.mark.parametrize("address", ADDRESSES)
def test_event_text_stays_text(client, address):
    answer = client.get(address)
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    # A form sends back what it was given; what is read has no such mark.
    assert "\u202e" not in re.sub(r'value="[^"]*"', "", answer.text)
    scripts = re.findall(r"<script[^>]*>", answer.text)
    assert scripts == ['<script src="/static/dashboard.js" defer>']


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_page_asks_nobody_else_for_anything_and_needs_no_inline_style(client, address):
    answer = client.get(address)
    loaded = re.findall(r'(?:src|<link[^>]* href)="([^"]*)"', answer.text)
    assert set(loaded) == {
        "/static/dashboard.css",
        "/static/dashboard.js",
        "/static/icon.svg",
    }
    assert not re.search(r'\sstyle="|<style|\son\w+="', answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    for path in loaded:
        assert client.get(path).status_code == 200


def test_ids_are_used_once_on_a_page(client):
    page = client.get(f"/?{WINDOW}").text
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_the_list_is_filtered_by_verdict_and_leads_to_missions(client):
    page = client.get(f"/missions?{WINDOW}&verdict=insufficient_data").text
    assert "search-0" in page
    assert "pay-0-8" not in page
    assert client.get(f"/missions?{WINDOW}&verdict=nice").status_code == 400
    assert client.get(f"/missions?{WINDOW}&page=99").status_code == 200
    assert client.get(f"/missions?{WINDOW}&page=x").status_code == 400


def test_any_day_has_its_brief(client):
    moved = client.get("/briefs?date=2026-03-03", follow_redirects=True)
    assert moved.url.path == "/briefs/2026-03-03"
    page = client.get("/briefs/2026-03-03").text
    assert 'href="/briefs/2026-03-02"' in page
    assert 'href="/missions/pay-2-12"' in page


def test_missing_and_failed_days_are_told(client):
    page = client.get("/?from=2026-03-01&to=2026-03-07").text
    assert '<span class="badge bad">failed</span>' in page
    assert "<td>2026-03-05</td>" in page
    assert '<span class="badge good">complete</span>' in page


def test_an_empty_lake_is_a_page_too(empty):
    page = empty.get("/")
    assert page.status_code == 200
    assert "No missions in these days." in page.text
    assert "not known" in page.text
    assert empty.get("/missions").status_code == 200
    assert empty.get("/briefs").status_code == 200
    assert empty.get("/missions/m-1").status_code == 404
    assert "no mission is on record" in empty.get("/ask?question=mttr").text
