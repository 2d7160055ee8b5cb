"""What is drawn by hand: the same shapes as SVG and as PNG, and numbers for axes."""

import io
import math
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from miniflow.lab.figures import all_figures
from miniflow.pictures.canvas import Axes, Canvas, Text, tick_labels, ticks
from miniflow.pictures.pixels import SAVED, fit_text, text_width, writable
from miniflow.pictures.style import Colour

BLUE = Colour(0, 114, 178)
RED_OF_GRADIENTS = (178, 58, 12)  # "lit", by day


def draw_everything(look: str | Colour, line: str | Colour) -> Canvas:
    """One of each shape, apart from each other."""
    canvas = Canvas(120, 60, "Shapes", "One of each shape.")
    canvas.text((10, 20), "word", look, "start")
    canvas.text((50, 40), "up", look, upwards=True)
    canvas.box((60, 5), 20, 15, look, 3)
    canvas.circle((100, 12), 7, look)
    canvas.line([(60, 30), (80, 40), (110, 30)], line, 2)
    canvas.picture((5, 30), 20, 20, np.array([[0.0, 1.0], [0.5, math.nan]]))
    return canvas


SHEETS: dict[str, Callable[[], Canvas]] = {
    "classes": lambda: draw_everything("value", "edge lit"),
    "colours": lambda: draw_everything(BLUE, BLUE),
}


def pixels_of(canvas: Canvas) -> np.ndarray:
    with Image.open(io.BytesIO(canvas.png())) as image:
        return np.asarray(image.convert("RGB"))


def has(page: np.ndarray, colour: tuple[int, int, int], x: float, y: float, size: float) -> bool:
    """Whether a colour is in the square with its upper left corner at x, y."""
    left, top, side = (round(number * SAVED) for number in (x, y, size))
    part = page[top : top + side, left : left + side]
    return bool((part == np.array(colour)).all(axis=-1).any())


@pytest.mark.parametrize("name", SHEETS)
def test_every_shape_is_printed_as_svg(name: str) -> None:
    root = ElementTree.fromstring(SHEETS[name]().svg())
    kinds = [element.tag.rpartition("}")[2] for element in root]
    head = ["title", "desc", "style", "rect"]
    assert kinds == [*head, "text", "text", "rect", "circle", "path", "image"]
    assert [element.text for element in root if element.tag.endswith("text")] == ["word", "up"]


@pytest.mark.parametrize(
    ("name", "fill", "stroke"),
    [("classes", (26, 90, 140), RED_OF_GRADIENTS), ("colours", BLUE, BLUE)],
)
def test_every_shape_is_printed_as_png_in_its_colours(
    name: str, fill: tuple[int, int, int], stroke: tuple[int, int, int]
) -> None:
    page = pixels_of(SHEETS[name]())
    assert page.shape == (60 * SAVED, 120 * SAVED, 3)
    places = {"word": (8, 8, 30), "up": (38, 28, 16), "box": (62, 7, 16), "circle": (95, 7, 10)}
    assert {what for what, place in places.items() if has(page, fill, *place)} == places.keys()
    assert has(page, stroke, 60, 28, 22)
    greys = [page[round(y * SAVED), round(x * SAVED), 0] for y in (35, 45) for x in (10, 20)]
    assert greys == [0, 255, 128, 0]  # what is no number is black


@pytest.mark.parametrize("name", sorted(all_figures()))
def test_figures_of_the_course_can_be_printed_as_png(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets: list[Canvas] = []
    svg = Canvas.svg
    monkeypatch.setattr(Canvas, "svg", lambda sheet: (sheets.append(sheet), svg(sheet))[1])
    all_figures()[name]()
    for sheet in sheets:  # none where a graph is drawn
        page = pixels_of(sheet)
        assert page.shape[:2] == (sheet.height * SAVED, sheet.width * SAVED)
        for shape in sheet.shapes:
            if isinstance(shape, Text) and shape.words:
                x, y = shape.at
                back = {"start": 0.0, "middle": 0.5, "end": 1.0}[shape.anchor]
                left = x - back * text_width(shape.words, shape.size)
                part = page[int((y - shape.size) * SAVED) : int(y * SAVED), int(left * SAVED) :]
                assert part.min() < 200, shape.words


def test_a_plot_grows_upwards_and_knows_what_it_holds() -> None:
    axes = Axes(Canvas(100, 100, "", ""), (10, 20), (80, 40), (0, 4), (-1, 1))
    assert axes.at(0, -1) == (10, 60)
    assert axes.at(4, 1) == (90, 20)
    assert axes.holds(4, -1)
    assert not axes.holds(4.1, 0)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e3), st.integers(3, 12))
def test_ticks_are_few_round_evenly_spaced_and_span_the_values(
    low: float, extent: float, most: int
) -> None:
    high = low + extent * max(1.0, abs(low))
    numbers = ticks(low, high, most)
    steps = np.diff(numbers)
    step = float(steps[0])
    assert 2 <= len(numbers) <= most
    np.testing.assert_allclose(steps, step, rtol=1e-4)
    assert numbers[0] <= low + 1e-4 * step
    assert numbers[-1] >= high - 1e-4 * step
    leading = step / 10 ** math.floor(math.log10(step * (1 + 1e-4)))
    assert min(abs(leading - digit) for digit in (1, 2, 5)) < 1e-3


def test_ticks_of_a_single_value_stand_around_it() -> None:
    for value in (0.0, 3.0, -7.5, 1e12):
        numbers = ticks(value, value)
        assert numbers[0] < value < numbers[-1]


def test_tick_labels_have_the_places_that_tell_them_apart() -> None:
    assert tick_labels([97.5, 98.0, 98.5], "%") == ["97.5%", "98.0%", "98.5%"]
    assert tick_labels([0.0, 2000.0]) == ["0", "2,000"]
    assert tick_labels([0.0, 5e8]) == ["0", "5e+08"]
    assert tick_labels([0.0, 2e-6]) == ["0", "2e-06"]


def test_text_that_is_too_long_ends_with_an_ellipsis_and_fits() -> None:
    assert fit_text("short", 12, 200) == "short"
    cut = fit_text("a rather long name of a class", 12, 60)
    assert cut.endswith("…")
    assert text_width(cut, 12) <= 60


def test_what_the_typeface_lacks_is_replaced_by_what_comes_nearest() -> None:
    assert writable("naïve café") == "naive cafe"
    assert writable("−3 × 2 · 5° …") == "-3 x 2 · 5° …"
    assert writable("½ x²") == "1/2 x2"
    assert writable("数字\n") == "???"
