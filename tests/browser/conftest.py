"""A real browser for the tests of pages: Chromium, headless, with no network.

`browser` is a fresh window on a browser that is started once for all tests. A test opens a file,
works the page as a person would (`keys`, `click`, `touch`), reads it with `script`, and ends with a
look at `errors`, which nobody has to call: a page that said something on the console fails its
test. `explore` opens a graph's explorer in it. Where Chromium or its driver is missing, the tests
are skipped, and say so.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import miniflow as mf
from miniflow.pictures.explorer import Explorer

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no host has an address: there is no network
)


class Browser:
    """One window: what a test does with a page, in few words."""

    DESKTOP, PHONE = (1440, 900), (390, 844)  # the pages are made for both

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, size: tuple[int, int] = DESKTOP, dark: bool = False) -> None:
        """Open a file in a window with room for `size` pixels, by day or by night."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=1,
            mobile=size[0] < 600,
        )
        self.command("Emulation.setTouchEmulationEnabled", enabled=size[0] < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.driver.get(page.as_uri())

    def script(self, code: str, *arguments: Any) -> Any:
        """What a piece of JavaScript returns."""
        return self.driver.execute_script(code, *arguments)

    def command(self, name: str, **parameters: Any) -> Any:
        """A command of the Chrome DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def find(self, selector: str) -> Any:
        """The first element that a CSS selector finds."""
        return self.driver.find_element("css selector", selector)

    def find_all(self, selector: str) -> list[Any]:
        """All elements that a CSS selector finds."""
        return list(self.driver.find_elements("css selector", selector))

    def text(self, selector: str) -> str:
        """The text of the first element that a CSS selector finds."""
        return str(self.find(selector).text)

    def click(self, selector: str) -> None:
        """Click the first element that a CSS selector finds."""
        self.find(selector).click()

    def keys(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def touch(self, *points: tuple[float, float]) -> None:
        """Put a finger down at the first point, move it over the others, and lift it."""
        kinds = ["touchStart", *["touchMove"] * (len(points) - 1)]
        for kind, (x, y) in zip(kinds, points, strict=True):
            self.command("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def errors(self) -> list[str]:
        """What the page has said on the console since the last look, warnings too."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def picture(self, path: Path) -> None:
        """A screenshot, to look at."""
        self.driver.save_screenshot(str(path))


@contextmanager
def _driver(profile: Path) -> Iterator[Any]:
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        missing = "chromium" if browser is None else "chromium-driver"
        pytest.skip(f"no browser: the package {missing} is not installed")
    options = selenium.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    window = selenium.Chrome(options=options, service=selenium.ChromeService(driver))
    try:
        window.set_script_timeout(20)
        yield window
    finally:
        window.quit()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser that all tests share: starting one takes longer than most tests."""
    with _driver(tmp_path_factory.mktemp("profile")) as window:
        yield Browser(window)


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, with an empty page and nothing on the console; a page that complains fails."""
    chromium.driver.get("about:blank")
    chromium.errors()
    yield chromium
    assert chromium.errors() == []


@pytest.fixture
def explore(browser: Any, tmp_path: Path) -> Callable[..., Any]:
    """Open the explorer of a graph in the browser."""

    def open_(graph: Any, **how: Any) -> Any:
        mf.value_and_grad(graph.output, graph.feed, wrt=())
        size = how.pop("size", browser.DESKTOP)
        page = tmp_path / "graph.html"
        Explorer(graph.output, graph.feed, **how).save(page)
        browser.open(page, size)
        return browser

    return open_
