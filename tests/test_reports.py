"""The pictures of a run show what they are given, cut nothing off, and are always the same."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFont

from miniflow.errors import DataError
from miniflow.pictures import pixels as printer
from miniflow.pictures.canvas import Canvas, Text
from miniflow.pictures.pixels import SAVED
from miniflow.reports import confusion_matrix, learning_curve, worst_mistakes
from miniflow.reports.confusion import _grid_of, _percent
from miniflow.reports.paper import BLUE, INK, MARGIN, VERMILION, WHITE, readable_on
from miniflow.training.history import Epoch

Pixels = NDArray[np.uint8]


def pixels(path: Path) -> Pixels:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.info["dpi"] == pytest.approx((72 * SAVED, 72 * SAVED), abs=0.1)
        return np.asarray(picture.convert("RGB"))


def count(page: Pixels, colour: tuple[int, int, int]) -> int:
    return int((page == np.array(colour)).all(axis=-1).sum())


def assert_margins_are_white(page: Pixels, points: float = 14) -> None:
    """What would be cut off at an edge would first of all run into the margin."""
    inside = page.copy()
    edge = round(points * SAVED)
    inside[edge:-edge, edge:-edge] = 255
    assert (inside == 255).all()


def run(epochs: int, **columns: float | None) -> list[Epoch]:
    """A training in which everything gets better, but for the columns that are given."""
    rows = []
    for epoch in range(1, epochs + 1):
        loss = 2 * math.exp(-epoch / (1 + epochs / 6)) + 0.05
        accuracy = 1 - 0.2 * loss
        row = Epoch(epoch, loss, accuracy, loss + 0.1, accuracy - 0.02, 1.0, 0.1)
        rows.append(row._replace(**columns))
    return rows


# --- learning curve ------------------------------------------------------------------------------

HISTORIES = {
    "one epoch": run(1),
    "two epochs": run(2),
    "a hundred epochs": run(100),
    "no epoch": [],
    "no validation": run(9, validation_loss=None, validation_accuracy=None),
    "no accuracy": run(9, accuracy=None, validation_accuracy=None),
    "nothing finite": run(5, loss=math.nan, validation_loss=math.inf),
    "enormous": [row._replace(loss=row.loss * 1e11) for row in run(12)],
    "negative": [row._replace(loss=row.loss - 3) for row in run(12)],
    "constant": run(4, loss=0.0, validation_loss=0.0, accuracy=1.0, validation_accuracy=1.0),
    "resumed late": run(1300)[1200:],
    "one late epoch": run(37)[36:],
    "vanishing": run(4, loss=5e-324, validation_loss=1e-323),
}


@pytest.mark.breadth("name")
@pytest.mark.parametrize("name", HISTORIES)
def test_learning_curve_cuts_nothing_off(tmp_path: Path, name: str) -> None:
    path = tmp_path / "curve.png"
    learning_curve(HISTORIES[name], path)
    assert_margins_are_white(pixels(path))


def test_training_is_blue_and_validation_vermilion(tmp_path: Path) -> None:
    path = tmp_path / "curve.png"
    learning_curve(run(9), path)
    both = pixels(path)
    assert min(count(both, BLUE), count(both, VERMILION)) > 500
    learning_curve(HISTORIES["no validation"], path)
    training = pixels(path)
    assert count(training, BLUE) > 500
    assert count(training, VERMILION) == 0


def test_panel_of_accuracies_is_left_out_where_there_are_none(tmp_path: Path) -> None:
    learning_curve(run(9), tmp_path / "both.png")
    learning_curve(HISTORIES["no accuracy"], tmp_path / "loss.png")
    assert len(pixels(tmp_path / "loss.png")) < 0.7 * len(pixels(tmp_path / "both.png"))


def curve_columns(path: Path, colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Which columns of the first panel, between its sides, have something of a colour."""
    page = pixels(path)
    panel = page[: len(page) // 2, 80 * SAVED : 590 * SAVED]
    return (panel == np.array(colour)).all(axis=-1).any(axis=0)


def test_curve_has_a_gap_where_a_value_is_not_finite(tmp_path: Path) -> None:
    rows = run(41)
    learning_curve(rows, tmp_path / "whole.png", best=1)
    assert curve_columns(tmp_path / "whole.png", BLUE)[10:-10].all()
    for epoch in range(16, 26):
        rows[epoch - 1] = rows[epoch - 1]._replace(loss=math.nan)
    learning_curve(rows, tmp_path / "gap.png", best=1)
    drawn = curve_columns(tmp_path / "gap.png", BLUE)
    middle = len(drawn) // 2
    assert not drawn[middle - 60 : middle + 60].any()
    assert drawn[10 : middle - 200].all()
    assert drawn[middle + 200 : -10].all()
    assert curve_columns(tmp_path / "gap.png", VERMILION)[10:-10].all()


def best_marked(history: list[Epoch], folder: Path) -> int:
    """Which epoch `learning_curve` marks of its own accord."""
    learning_curve(history, folder / "default.png")
    found = []
    for row in history:
        learning_curve(history, folder / "told.png", best=row.epoch)
        if (folder / "told.png").read_bytes() == (folder / "default.png").read_bytes():
            found.append(row.epoch)
    (epoch,) = found
    return epoch


def test_best_epoch_is_the_first_with_the_highest_validation_accuracy(tmp_path: Path) -> None:
    rows = run(4)
    for epoch, accuracy in [(2, 0.99), (3, 0.99), (4, math.nan)]:
        rows[epoch - 1] = rows[epoch - 1]._replace(validation_accuracy=accuracy)
    assert best_marked(rows, tmp_path) == 2


def test_best_epoch_without_accuracies_has_the_lowest_validation_loss(tmp_path: Path) -> None:
    rows = run(3, accuracy=None, validation_accuracy=None)
    rows[1] = rows[1]._replace(validation_loss=0.001)
    assert best_marked(rows, tmp_path) == 2


# --- confusion matrix ----------------------------------------------------------------------------


def confusion(classes: int, seed: int = 0) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    return rng.poisson(0.4, (classes, classes)) + np.diag(rng.integers(300, 900, classes))


LONG = "a class whose name is much too long to be written: {}"


@pytest.mark.breadth("name")
@pytest.mark.parametrize(
    ("classes", "name"),
    [(1, "{}"), (3, "{}"), (10, "{}"), (26, "{}"), (60, "{}"), (3, LONG), (12, LONG)],
)
def test_confusion_matrix_cuts_nothing_off(tmp_path: Path, classes: int, name: str) -> None:
    path = tmp_path / "confusion.png"
    confusion_matrix(confusion(classes), [name.format(k) for k in range(classes)], path)
    assert_margins_are_white(pixels(path))


def cell_colours(path: Path, names: list[str]) -> NDArray[np.int64]:
    """The colour of every cell, (k, k, 3), taken at its corner, beside the count."""
    page, at = pixels(path), _grid_of(names)
    corners = [round((k * at.cell + 3) * SAVED) for k in range(len(names))]
    rows = [round(at.top * SAVED) + corner for corner in corners]
    columns = [round(at.left * SAVED) + corner for corner in corners]
    return page[np.ix_(rows, columns)].astype(np.int64)


def test_right_is_blue_wrong_is_vermilion_and_a_larger_share_is_darker(tmp_path: Path) -> None:
    path, names = tmp_path / "confusion.png", ["a", "b", "c"]
    confusion_matrix([[90, 10, 0], [0, 50, 5], [0, 0, 80]], names, path)
    colours = cell_colours(path, names)
    assert tuple(colours[2, 2]) == BLUE  # the whole of its row
    assert tuple(colours[0, 1]) == VERMILION  # the largest wrong share
    lightness = colours.sum(axis=-1)
    assert lightness[2, 2] < lightness[1, 1]
    assert lightness[0, 1] < lightness[1, 2]
    for right in (colours[0, 0], colours[1, 1]):
        assert right[2] > right[0]
    assert colours[1, 2][0] > colours[1, 2][2]
    assert len({int(value) for value in colours[1, 0]}) == 1  # nothing counted: grey
    np.testing.assert_array_equal(colours[1, 0], colours[2, 0])


def test_shades_are_shares_of_the_row_so_rare_classes_count_as_much(tmp_path: Path) -> None:
    names = ["a", "b"]
    confusion_matrix([[900, 100], [1, 9]], names, tmp_path / "confusion.png")
    colours = cell_colours(tmp_path / "confusion.png", names)
    np.testing.assert_array_equal(colours[0, 0], colours[1, 1])
    np.testing.assert_array_equal(colours[0, 1], colours[1, 0])


def test_matrix_without_mistakes_or_examples_is_drawn(tmp_path: Path) -> None:
    for matrix in (np.eye(4) * 25, np.zeros((4, 4), int)):
        confusion_matrix(matrix, list("abcd"), tmp_path / "confusion.png")
        assert_margins_are_white(pixels(tmp_path / "confusion.png"))


def test_hundred_percent_is_said_only_of_all() -> None:
    assert _percent(0.9999, 1) == "99.9%"
    assert _percent(0.57, 2) == "57.00%"
    assert _percent(1.0, 0) == "100%"
    assert _percent(math.nan, 1) == "-"


@pytest.mark.parametrize(
    ("matrix", "names", "message"),
    [
        ([[1, 2]], ["a"], r"has shape \(k, k\), k at least 1; saw \(1, 2\)"),
        (np.zeros((0, 0)), [], r"saw \(0, 0\)"),
        ([[1, 2], [3, 4]], ["a"], "A matrix of 2 classes came with 1 names"),
        ([[1, -2], [3, 4]], ["a", "b"], "whole numbers, none below zero"),
        ([[0.5, 0.5], [0, 1]], ["a", "b"], "whole numbers, none below zero"),
        ([[math.nan, 1], [0, 1]], ["a", "b"], "whole numbers, none below zero"),
        ([["many"]], ["a"], "whole numbers, none below zero"),
    ],
)
def test_what_is_no_confusion_matrix_is_refused(
    tmp_path: Path, matrix: Any, names: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        confusion_matrix(matrix, names, tmp_path / "confusion.png")
    assert list(tmp_path.iterdir()) == []


# --- worst mistakes ------------------------------------------------------------------------------


def flat_pictures(greys: list[float]) -> NDArray[np.float64]:
    """Pictures of one grey each, by which they can be recognised on a sheet, (n, 784)."""
    return np.repeat(np.array(greys)[:, None], 784, axis=1)


def tiles(path: Path, n: int) -> list[float]:
    """The grey, as ink, of the first n pictures on a sheet."""
    page = pixels(path)
    row = round((MARGIN + 54 + 14 + 30) * SAVED)
    columns = [round((MARGIN + k * 90 + 38) * SAVED) for k in range(n)]
    return [round(1 - page[row, column, 0] / 255, 2) for column in columns]


PROBABILITIES = [
    [0.9, 0.1, 0.0],  # right
    [0.2, 0.8, 0.0],  # wrong: 0.2 for the truth
    [0.01, 0.3, 0.69],  # wrong: 0.01 for the truth, the worst
    [0.1, 0.2, 0.7],  # wrong: 0.1
    [0.1, 0.5, 0.4],  # wrong: 0.1, but less sure of its answer
]


def test_worst_mistake_comes_first_and_what_is_right_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.png"
    pictures = flat_pictures([0.0, 0.2, 0.4, 0.6, 0.8])
    worst_mistakes(pictures, [0, 0, 0, 0, 0], PROBABILITIES, path)
    assert tiles(path, 5) == [0.4, 0.6, 0.8, 0.2, 0.0]  # a fifth would be white paper
    assert_margins_are_white(pixels(path))


def test_at_most_so_many_mistakes_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.png"
    worst_mistakes(flat_pictures([0.5] * 5), [0] * 5, PROBABILITIES, path, most=2)
    assert tiles(path, 4) == [0.5, 0.5, 0.0, 0.0]


def test_bytes_and_fractions_show_the_same(tmp_path: Path) -> None:
    fractions = np.random.default_rng(0).integers(0, 256, (5, 28, 28)) / 255
    worst_mistakes(fractions, [0] * 5, PROBABILITIES, tmp_path / "a.png")
    as_bytes = np.rint(fractions * 255).astype(np.uint8).reshape(5, 784)
    worst_mistakes(as_bytes, [0] * 5, PROBABILITIES, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_pictures_need_not_be_square_and_long_names_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.png"
    names = ["a name that does not fit below", "another one of those names", "c"]
    pictures = np.zeros((5, 8 * 20))
    worst_mistakes(pictures, [0] * 5, PROBABILITIES, path, (8, 20), class_names=names)
    assert_margins_are_white(pixels(path))
    assert path.stat().st_size > 5000


def test_answer_without_a_probability_is_not_said_to_be_sure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets: list[Canvas] = []
    png = Canvas.png
    monkeypatch.setattr(Canvas, "png", lambda sheet: (sheets.append(sheet), png(sheet))[1])
    shares = np.full((1, 3), math.nan)
    worst_mistakes(np.zeros((1, 784)), [1], shares, tmp_path / "mistakes.png")
    (sheet,) = sheets
    written = [shape.words for shape in sheet.shapes if isinstance(shape, Text)]
    assert written[-3:] == ["1", "0", "-"]


def test_sheet_without_mistakes_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.png"
    for n in (5, 0):
        labels = np.argmax(np.reshape(PROBABILITIES, (5, 3)), axis=1)[:n]
        worst_mistakes(np.zeros((n, 784)), labels, np.array(PROBABILITIES)[:n], path)
        page = pixels(path)
        assert len(page) < 130 * SAVED
        assert count(page, INK) > 100
        assert_margins_are_white(page)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((5, 783))}, r"Pictures of 28 × 28 are .* saw \(5, 783\)"),
        ({"images": np.zeros(784)}, r"saw \(784,\)"),
        ({"images": np.zeros((4, 784))}, r"saw 4 pictures, labels \(5,\)"),
        ({"labels": [0] * 4}, r"labels \(4,\) and probabilities \(5, 3\)"),
        ({"probabilities": np.zeros((5, 0))}, r"k at least 1; .* probabilities \(5, 0\)"),
        ({"labels": [3] * 5}, "Labels must be whole numbers from 0 to 2"),
        ({"labels": [-1] * 5}, "Labels must be whole numbers from 0 to 2"),
        ({"labels": [0.0] * 5}, "Labels must be whole numbers"),
        ({"class_names": ["a"]}, "Probabilities of 3 classes came with 1 names"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    given = {"images": np.zeros((5, 784)), "labels": [0] * 5, "probabilities": PROBABILITIES}
    with pytest.raises(DataError, match=message):
        worst_mistakes(**(given | change), path=tmp_path / "mistakes.png")
    assert list(tmp_path.iterdir()) == []


# --- all of them ---------------------------------------------------------------------------------

REPORTS: dict[str, Callable[[Path], None]] = {
    "learning curve": lambda path: learning_curve(run(12), path),
    "confusion matrix": lambda path: confusion_matrix(confusion(10), list("0123456789"), path),
    "worst mistakes": lambda path: worst_mistakes(
        np.random.default_rng(0).random((5, 784)), [0] * 5, PROBABILITIES, path
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_same_input_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    REPORTS[name](tmp_path / "a.png")
    REPORTS[name](tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").stat().st_size < 200_000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("name", REPORTS)
def test_file_that_cannot_be_written_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "missing" / "report.png"
    with pytest.raises(FileNotFoundError) as caught:
        REPORTS[name](path)
    assert caught.value.filename == str(path)


@pytest.fixture
def no_freetype(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pillow as it is where it was built without FreeType: bitmap letters, of one size."""

    def load_default(size: float | None = None) -> ImageFont.ImageFont:
        if size is not None:
            raise ImportError("The _imagingft C module is not installed")
        return ImageFont.load_default_imagefont()

    printer._font.cache_clear()
    monkeypatch.setattr(ImageFont, "load_default", load_default)
    yield
    printer._font.cache_clear()


@pytest.mark.usefixtures("no_freetype")
@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_drawn_with_bitmap_letters_where_there_are_no_others(
    tmp_path: Path, name: str
) -> None:
    REPORTS[name](tmp_path / "report.png")
    assert count(pixels(tmp_path / "report.png"), INK) > 100


def test_text_stays_readable_on_every_shade() -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        parts = [(c / 255 + 0.055) / 1.055 if c > 10 else c / 255 / 12.92 for c in colour]
        return sum(w * p**2.4 for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    for hue in (BLUE, VERMILION):
        for share in np.linspace(0, 1, 21):
            ground = WHITE.mix(hue, float(share))
            bright, dark = sorted((luminance(ground), luminance(readable_on(ground))), reverse=True)
            assert (bright + 0.05) / (dark + 0.05) > 3
