"""Pictures of more than eight bits a pixel are read by their contrast, whatever white is there."""

import functools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from miniflow.datasets.class_folders import load_class_folders, read_picture
from miniflow.digit_images import digit_from_grey, read_digit, read_grey

Array = NDArray[np.float64]
WHITES = [255, 1023, 4095, 16383, 65535]
RNG = np.random.default_rng(0)


def seven(polarity: str = "dark on light") -> Array:
    """A 7, 0 to 1."""
    picture = Image.new("L", (280, 200), 255)
    ImageDraw.Draw(picture).line([(90, 40), (170, 40), (120, 160)], fill=0, width=14)
    page = np.asarray(picture, np.float64) / 255
    return page if polarity == "dark on light" else 1 - page


def written(numbers: Array, path: Path, dtype: str = "uint16") -> Path:
    Image.fromarray(numbers.astype(dtype)).save(path)
    return path


@functools.cache
def expected() -> Array:
    return digit_from_grey(seven()).pixels


def is_seven(path: Path) -> bool:
    digit = read_digit(path)
    return not digit.empty and float(np.abs(digit.pixels - expected()).mean()) < 0.02


@pytest.mark.breadth("white", "ending")
@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("polarity", ["dark on light", "light on dark"])
@pytest.mark.parametrize("white", WHITES)
def test_a_digit_is_read_from_whatever_part_of_sixteen_bits(
    tmp_path: Path, white: int, polarity: str, ending: str
) -> None:
    for darkest, brightest in ((0, 1), (0.07, 0.93), (0.1, 0.3), (0.6, 0.65), (0.9, 0.95)):
        numbers = white * (darkest + (brightest - darkest) * seven(polarity))
        assert is_seven(written(numbers, tmp_path / f"seven.{ending}")), (darkest, brightest)


@pytest.mark.parametrize("white", WHITES)
def test_the_brightest_tells_how_many_bits_are_used(tmp_path: Path, white: int) -> None:
    numbers = np.rint(white * (0.1 + 0.8 * seven()))
    grey = read_grey(written(numbers, tmp_path / "seven.png"))
    np.testing.assert_allclose(grey, numbers / white, atol=1e-6)


@pytest.mark.parametrize("outlier", [0, 65535])
def test_dead_pixels_say_nothing_of_the_range(tmp_path: Path, outlier: int) -> None:
    numbers = 300 + 3500 * seven()
    numbers[5::60, 7::60] = outlier
    assert is_seven(written(numbers, tmp_path / "seven.png"))


@pytest.mark.breadth("white")
@pytest.mark.parametrize("white", WHITES)
@pytest.mark.parametrize("noise", [0, 0.005])
@pytest.mark.parametrize("level", [0.02, 0.9])
def test_an_empty_sheet_stays_empty(tmp_path: Path, white: int, noise: float, level: float) -> None:
    light = level + np.linspace(0, 0.05, 280) + RNG.normal(0, noise, (200, 280))
    path = written(white * np.clip(light, 0, 1), tmp_path / "sheet.png")
    assert read_digit(path).empty


@pytest.mark.parametrize(
    ("darkest", "brightest"), [(0, 1), (0, 1e-6), (0, 1e9), (0.3, 0.35), (200, 900), (-2000, -1000)]
)
def test_fractions_of_any_range_are_read(tmp_path: Path, darkest: float, brightest: float) -> None:
    numbers = darkest + (brightest - darkest) * seven()
    assert is_seven(written(numbers, tmp_path / "seven.tif", "float32"))


@pytest.mark.breadth("darkest", "brightest", "polarity")
@pytest.mark.parametrize("polarity", ["dark on light", "light on dark"])
@pytest.mark.parametrize(("darkest", "brightest"), [(0, 1000), (0, 0.01), (-5, 5), (1000, 1000.5)])
@pytest.mark.parametrize("gaps", ["none", "the ink", "half of the ink", "a corner"])
def test_what_is_no_number_is_ink_or_nothing(
    tmp_path: Path, darkest: float, brightest: float, polarity: str, gaps: str
) -> None:
    page = seven(polarity)
    is_ink = seven() < 0.5
    numbers = darkest + (brightest - darkest) * page
    if gaps == "the ink":
        numbers[is_ink] = np.nan
    elif gaps == "half of the ink":
        numbers[is_ink & (np.arange(200)[:, None] > 100)] = np.nan
    elif gaps == "a corner":
        numbers[0, :2] = np.nan, np.inf
    assert is_seven(written(numbers, tmp_path / "seven.tif", "float32"))


@pytest.mark.parametrize("mean", [0, 1000, -3])
@pytest.mark.parametrize("noise", [0, 1e-3, 1])
def test_an_empty_sheet_of_fractions_stays_empty(tmp_path: Path, mean: float, noise: float) -> None:
    numbers = mean + RNG.normal(0, noise, (200, 280))
    assert read_digit(written(numbers, tmp_path / "sheet.tif", "float32")).empty


def test_a_picture_without_any_number_is_empty(tmp_path: Path) -> None:
    path = written(np.full((30, 30), np.nan), tmp_path / "sheet.tif", "float32")
    assert read_digit(path).empty


def test_folders_of_pictures_are_read_by_the_same_rule(tmp_path: Path) -> None:
    for name in ("seven", "turned"):
        (tmp_path / name).mkdir()
        for i in range(10):
            page = seven() if name == "seven" else np.flip(seven(), 0).copy()
            written(300 + 3500 * page, tmp_path / name / f"{i}.png")
    train, *_ = load_class_folders(tmp_path)
    found = read_picture(tmp_path / "seven" / "0.png", train.image_shape)
    assert found.max() > 200
    assert found.min() < 90
    rows = np.rint(255 * np.asarray(train.images).reshape(len(train), -1))
    assert (rows == found.reshape(-1)).all(axis=1).any()
