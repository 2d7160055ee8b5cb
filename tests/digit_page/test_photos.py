"""Photographs of every kind: at least nine of ten digits are read, and a blank sheet is empty."""

import importlib
import json
import pathlib
from typing import Any

import numpy as np
import pytest
from breadth import one_in_three
from photos import BLANK, KINDS, digits_side_by_side, photo

import miniflow as mf
from miniflow.digit_images import DigitImage, digit_from_grey
from miniflow.shipped import DIGITS_FILE

LARGE = "small on a large sheet"  # it takes as long as all others


@pytest.fixture(scope="module")
def model() -> Any:
    return mf.load(DIGITS_FILE)


def seen_in(picture: Any) -> DigitImage:
    return digit_from_grey(np.asarray(picture.convert("L"), np.float64) / 255)


def read(model: Any, picture: Any) -> int | str:
    """The digit, or why there is none."""
    seen = seen_in(picture)
    if seen.empty or seen.trouble:
        return seen.trouble or "empty"
    logits = np.asarray(model(seen.pixels.reshape(1, -1)))[0]
    return int(logits.argmax())


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [*one_in_three(KINDS.keys() - {LARGE}, "rare"), pytest.param(LARGE, marks=pytest.mark.rare)],
)
def test_at_least_nine_of_ten_digits_of_a_kind_are_read(kind: str, model: Any) -> None:
    right = [read(model, photo(kind, digit, seed=2)) == digit for digit in range(10)]
    assert sum(right) >= 9


@pytest.mark.slow
@pytest.mark.parametrize("kind", one_in_three(BLANK, "rare"))
def test_a_blank_sheet_of_a_kind_is_empty(kind: str) -> None:
    assert seen_in(photo(kind, None, seed=2)).empty


@pytest.mark.breadth("kind", "digit")
@pytest.mark.parametrize(
    ("kind", "digit"),
    [
        ("squares -60", 8),
        ("ruled -60", 3),
        ("margin line", 5),
        ("shadow's edge at 230", 7),
        ("hard shadow at the bottom", 0),
        ("table on two sides", 6),
        ("thumb in the corner", 3),
        ("chalk", 2),
    ],
)
def test_what_is_no_ink_is_left_out(kind: str, digit: int, model: Any) -> None:
    assert read(model, photo(kind, digit, seed=1)) == digit


@pytest.mark.breadth("kind")
@pytest.mark.parametrize("kind", ["squares -35", "shadow's edge at 200", "table on two sides"])
def test_such_a_sheet_with_nothing_on_it_is_empty(kind: str) -> None:
    assert seen_in(photo(kind, None, seed=1)).empty


@pytest.mark.breadth("digits")
@pytest.mark.parametrize(
    ("digits", "rows"),
    [
        ([4, 2], 1),
        ([1, 1], 1),
        ([0, 0], 1),
        ([1, 2, 3, 4], 1),
        ([3, 1, 4, 1, 5, 9], 2),
        ([7, 7], 2),
    ],
)
def test_several_digits_are_seen_and_told(digits: list[int], rows: int) -> None:
    seen = seen_in(digits_side_by_side(digits, rows=rows))
    assert not seen.empty
    assert seen.trouble == "several digits: crop to one"


@pytest.mark.slow
def test_no_single_digit_is_told_in_one_key(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("typer")
    from typer.testing import CliRunner

    from miniflow.cli import app

    monkeypatch.chdir(tmp_path)
    digits_side_by_side([4, 2]).save("42.png")
    photo("squares -35", None).save("blank.png")
    photo("plain", 3).save("three.png")
    names = ["42.png", "blank.png", "three.png"]
    runner, words = CliRunner(), ["predict", "--model", "digits", *names]
    shown = json.loads(runner.invoke(app, [*words, "--json"]).stdout)
    assert [p["digit"] for p in shown] == [None, None, 3]
    assert [p["empty"] for p in shown] == [False, True, False]
    assert [p["reason"] for p in shown] == ["several digits: crop to one", "empty", None]
    assert all({"image", "digit", "probabilities", "empty", "reason"} <= p.keys() for p in shown)
    lines = runner.invoke(app, words).stdout.splitlines()
    assert lines[:2] == ["42.png: several digits: crop to one", "blank.png: empty"]


def test_what_is_not_clearly_a_digit_is_not_shown_as_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("typer")
    command = importlib.import_module("miniflow.cli.predict")
    monkeypatch.setattr(command, "probabilities_of", lambda *given: np.full((1, 10), 0.1))
    photo("plain", 3).save(tmp_path / "three.png")
    prediction = command.predict_one(mf.load(DIGITS_FILE), str(tmp_path / "three.png"))
    assert (prediction.digit, prediction.reason) == (None, "not clearly one digit")
    assert command.line(prediction).endswith("three.png: not clearly one digit")
