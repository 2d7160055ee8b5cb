"""The page of the model that comes with miniflow, a convolutional network, in a real browser."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawing import SEVEN, answers_to_test_digits, blank_canvases, draw

import miniflow as mf
from miniflow.digit_page.programs import programs_for
from miniflow.ir.evaluate import evaluate
from miniflow.shipped import DIGITS_FILE

KERNELS, MAPS = ".layer:nth-child(1) .units button", ".layer:nth-child(2) .units span"
TILES = """
return Array.from(document.querySelectorAll(arguments[0])).map((tile) => {
  const canvas = tile.lastChild, { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  return [height, width, Array.from(data).filter((_, i) => i % 4 === 0)];
});
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shipped") / "digits.html"
    mf.page(DIGITS_FILE, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("count", [20, 100])
def test_drawn_digits_are_recognised(browser: Any, page: Path, count: int) -> None:
    browser.open(page)
    labels = mf.datasets.mnist().test.labels[:count]
    assert np.mean(answers_to_test_digits(browser, count) == labels) >= 0.95


def test_the_numbers_are_those_of_the_reference_evaluator(browser: Any, page: Path) -> None:
    browser.open(page)
    seen = draw(browser, SEVEN)
    programs = programs_for(mf.load(DIGITS_FILE))
    pixels = seen["pixels"].reshape(28, 28).astype(np.float32)
    probabilities, *layers = evaluate(programs.answer, [pixels])
    np.testing.assert_allclose(seen["probabilities"], np.ravel(probabilities), atol=1e-5)
    for mine, values in zip(seen["layers"], layers, strict=True):
        np.testing.assert_allclose(mine, np.ravel(values), atol=1e-4)
    assert programs.explain is not None
    (gradient,) = evaluate(programs.explain, [pixels, np.array([seen["digit"]])])
    atol = 2e-3 * np.abs(gradient).max()
    np.testing.assert_allclose(seen["gradient"], gradient.ravel(), atol=atol)


@pytest.mark.slow
def test_each_map_is_a_picture_of_its_values(browser: Any, page: Path) -> None:
    browser.open(page)
    first, second, *_ = draw(browser, SEVEN)["layers"]
    for selector, values, shape in ((KERNELS, first, (16, 12, 12)), (MAPS, second, (32, 4, 4))):
        tiles = browser.script(TILES, selector)
        assert [tile[:2] for tile in tiles] == [list(shape[1:])] * shape[0]
        shown = np.array([tile[2] for tile in tiles], float).reshape(shape)
        values = values.reshape(shape)
        assert values.min() == 0 < values.max()
        paper, ink = shown[values == 0][0], shown[values == values.max()][0]
        np.testing.assert_allclose(shown, paper + (ink - paper) * values / values.max(), atol=1)


@pytest.mark.slow
def test_a_map_is_chosen_by_mouse_and_by_key_and_its_kernel_shown(browser: Any, page: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    most = draw(browser, SEVEN)["layers"][0].reshape(16, -1).max(axis=1)
    assert browser.text(".unit .note").startswith(f"Map {most.argmax() + 1}: ")
    browser.find_all(KERNELS)[5].click()
    assert browser.text(".unit .note").startswith(f"Map 6: {most[5]:.3g}"[:9])
    assert "5\u00a0×\u00a05 at a time" in browser.find(".unit .note").get_attribute("textContent")
    browser.keys(Keys.ARROW_RIGHT)
    chosen = [tile.get_attribute("aria-checked") for tile in browser.find_all(KERNELS)]
    assert chosen.index("true") == 6
    assert chosen.count("true") == 1


@pytest.mark.breadth("size", "dark")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", ["DESKTOP", "PHONE"])
def test_the_page_fits_and_everything_on_it_is_drawn(
    size: str, dark: bool, browser: Any, page: Path
) -> None:
    browser.open(page, getattr(browser, size), dark)
    draw(browser, SEVEN)
    assert browser.script("return document.documentElement.scrollWidth - innerWidth") <= 0
    assert blank_canvases(browser) == 0
