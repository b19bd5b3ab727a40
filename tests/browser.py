"""A real Chromium that is driven, for pages that people use."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

import uvicorn
from starlette.types import ASGIApp

from tests.servers import unavailable


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The address at which `app` answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def chromium():
    """A driver of a headless Chromium."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
    if missing := [name for name, path in programs.items() if path is None]:
        unavailable(*missing)
    options = webdriver.ChromeOptions()
    options.binary_location = programs["chromium"]
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(programs["chromedriver"]))
    try:
        yield driver
    finally:
        driver.quit()


def dress(driver, width: int, *, dark: bool) -> None:
    """A screen of that width in that theme, from the next page on."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def axe(driver) -> list[str]:
    """What the accessibility rules find serious or critical, one line an element."""
    source = resources.files("axe_core_python").joinpath("axe.min.js")
    driver.execute_script(source.read_text(encoding="utf-8"))
    found = driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run().then(r => done(r.violations), e => done([{id: String(e), nodes: [{}]}]));"
    )
    return [
        f"{rule['id']}: {node.get('html')} {node.get('failureSummary', '')}"
        for rule in found
        if rule.get("impact") not in ("minor", "moderate")
        for node in rule["nodes"]
    ]
