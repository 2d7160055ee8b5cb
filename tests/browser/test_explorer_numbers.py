"""The numbers of the explorer: how cards show what is not finite, and what can be typed."""

from pathlib import Path
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.pictures.explorer import Explorer

TYPE = """
for (const details of document.querySelectorAll("details.editor")) details.open = true;
const field = document.querySelector(`input[type="number"][data-key="${arguments[0]}"]`);
field.value = arguments[1];
field.dispatchEvent(new Event("input"));
return field.getAttribute("aria-invalid");
"""
CARDS = """
const { cards } = document.querySelector(".mfx").explorer.stage;
return cards.filter(({ face }) => face.value).map(({ face: { name, value: { text, image } } }) =>
  [name, text.textContent, image.classList.contains("hidden")]);
"""


def test_cards_of_arrays_say_what_is_not_finite_and_draw_no_map_of_it(
    browser: Any, tmp_path: Path
) -> None:
    x, big = mf.Input("x"), mf.Input("big")
    feed = {x: np.full((2, 3), -1.0), big: np.arange(400.0).reshape(20, 20)}
    feed[big][3, 4] = np.inf
    logs = mf.Log(x, name="logs")
    f = mf.Add(mf.Sum(logs, name="one"), mf.Mean(big * feed[big], name="other"), name="f")
    with np.errstate(all="ignore"):
        mf.value_and_grad(f, feed, wrt=())
        mf.draw(f).save(tmp_path / "f.html")
    browser.open(tmp_path / "f.html")
    browser.script("document.querySelector('.mfx').explorer.go(99)")
    shown = {title: [text, hidden] for title, text, hidden in browser.script(CARDS)}
    assert shown["x"] == ["all −1", True]
    assert shown["logs"] == ["6 not finite", True]
    assert shown["big"] == ["1 not finite", True]
    spoken = browser.find(".card[data-key=n1]").get_attribute("aria-label")
    assert spoken.startswith("logs, value nothing finite, gradient")


def test_norm_that_no_number_can_hold_is_infinite(browser: Any, tmp_path: Path) -> None:
    x = mf.Input("x")
    data = np.full((20, 20), 1e308)
    data[0, 0] = -1e308
    Explorer(mf.Max(x), {x: data}).save(tmp_path / "huge.html")
    browser.open(tmp_path / "huge.html")
    browser.script("document.querySelector('.mfx').explorer.go(1)")
    assert browser.text(".panel .summary").endswith("‖·‖ ∞")


def test_statistics_of_huge_numbers_do_not_overflow(browser: Any, tmp_path: Path) -> None:
    x = mf.Input("x")
    Explorer(mf.Max(x), {x: np.array([1e308] * 5 + [-1e308])}).save(tmp_path / "huge.html")
    browser.open(tmp_path / "huge.html")
    browser.script("document.querySelector('.mfx').explorer.go(1)")
    spoken = browser.find(".card[data-key=n0]").get_attribute("aria-label")
    assert spoken == "x, value 6.67e307 ± 7.45e307, ‖·‖ ∞"


def test_whole_numbers_can_only_be_changed_to_whole_ones(browser: Any, tmp_path: Path) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(x, y, name="loss")
    Explorer(loss, {x: np.eye(2), y: np.array([0, 1])}).save(tmp_path / "loss.html")
    browser.open(tmp_path / "loss.html")
    labels = (
        "const { live } = document.querySelector('.mfx').explorer; return live.entry('node 1', 0)"
    )
    assert browser.script(TYPE, "node 1", "0.75") == "true"
    assert browser.script(labels) == 0
    assert browser.text(".message") == ""
    assert browser.script(TYPE, "node 1", "1") is None
    assert browser.script(labels) == 1
    assert browser.script(TYPE, "node 0", "-0.75") is None  # what is no label may be any number


def test_fields_leave_a_phone_its_minus(browser: Any, tmp_path: Path) -> None:
    x = mf.Input("x")
    Explorer(x * x, {x: -1.5}).save(tmp_path / "square.html")
    browser.open(tmp_path / "square.html", browser.PHONE)
    modes = "return [...document.querySelectorAll('input')].map((field) => field.inputMode)"
    assert browser.script(modes) == ["", "", ""]  # "decimal" has none on some of them


def test_curve_of_negative_losses_falls_from_its_highest_to_its_lowest(
    browser: Any, tmp_path: Path
) -> None:
    w = mf.Parameter(np.array(1.0), "w")
    Explorer(mf.Sub(w * w, 9.0, name="loss")).save(tmp_path / "loss.html")
    browser.open(tmp_path / "loss.html")
    browser.find_all(".training .buttons button")[0].click()
    heights, texts = browser.script(
        "const points = document.querySelector('.curve polyline').points;"
        "const texts = [...document.querySelectorAll('.curve text')].map((t) => t.textContent);"
        "return [[...points].map((p) => p.y), texts]"
    )
    assert 0 <= heights[0] < heights[1] <= 96
    highest, lowest = (float(text.replace("−", "-")) for text in texts[:2])
    assert highest == -8
    assert -9 < lowest < -8
    assert texts[2:] == ["0", "1 step"]
