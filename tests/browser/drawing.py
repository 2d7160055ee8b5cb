"""Drawing on the digit page as a hand would, by events that a script sends, and reading it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from strokes import strokes_of

import miniflow as mf

DRAW = """
const canvas = document.querySelector(".sheet"), root = canvas.closest(".mf-digits");
const box = canvas.getBoundingClientRect();
const send = (type, [x, y]) => canvas.dispatchEvent(new PointerEvent(type, {
  bubbles: true, pointerId: 7, isPrimary: true, clientX: box.left + x * box.width,
  clientY: box.top + y * box.height,
}));
const draw = (strokes) => {
  root.querySelector(".clear").click();
  for (const stroke of strokes) {
    send("pointerdown", stroke[0]);
    for (const point of stroke.slice(1)) send("pointermove", point);
    send("pointerup", stroke[stroke.length - 1]);
  }
  const { digit, milliseconds } = root.digits.latest;
  return [digit, milliseconds];
};
return arguments[0].map(draw);
"""
LATEST = """
const { latest } = document.querySelector(".mf-digits").digits;
const listed = (numbers) => numbers && Array.from(numbers);
return {
  ...latest, ink: listed(latest.ink), pixels: listed(latest.pixels),
  probabilities: listed(latest.probabilities), gradient: listed(latest.gradient),
  layers: latest.layers.map(listed),
};
"""
SEVEN = [[(0.25, 0.2), (0.7, 0.2), (0.42, 0.8)]]


def draw(browser: Any, strokes: Any) -> dict[str, Any]:
    """Draw one digit, and say what the page has made of it."""
    browser.script(DRAW, [strokes])
    return latest(browser)


def latest(browser: Any) -> dict[str, Any]:
    found = browser.script(LATEST)
    found["layers"] = [np.array(values) for values in found["layers"]]
    for name in ("ink", "pixels", "probabilities", "gradient"):
        if found.get(name) is not None:
            found[name] = np.array(found[name])
    return dict(found)


def answers_to_test_digits(browser: Any, count: int) -> NDArray[np.int64]:
    """What the open page takes the first of MNIST's test digits for, drawn stroke by stroke."""
    images = mf.datasets.mnist().test.images
    answers = []
    for start in range(0, count, 10):
        strokes = [strokes_of(image.reshape(28, 28)) for image in images[start : start + 10]]
        answers += [digit for digit, _ in browser.script(DRAW, strokes)]
    return np.array(answers)


def blank_canvases(browser: Any) -> int:
    """How many canvases of the page have nothing on them."""
    return int(
        browser.script(
            "return Array.from(document.querySelectorAll('canvas')).filter((canvas) => {"
            " const { width, height } = canvas;"
            " const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);"
            " return !data.some((x) => x > 0); }).length"
        )
    )
