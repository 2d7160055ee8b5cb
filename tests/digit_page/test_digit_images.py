"""A picture of a digit, whatever file and light it comes in, ends as MNIST would have had it."""

import contextlib
import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFile, features

import miniflow
from miniflow.digit_images import digit_from_grey, fit_digit, lift_ink, read_digit, read_grey
from miniflow.errors import DataError

Array = NDArray[np.float64]


def seven(width: int = 280, height: int = 200) -> Image.Image:
    """A black 7 on white, which looks different however it is turned or mirrored."""
    picture = Image.new("L", (width, height), 255)
    corners = [(x * width / 280, y * height / 200) for x, y in [(90, 40), (170, 40), (120, 160)]]
    ImageDraw.Draw(picture).line(corners, fill=0, width=max(2, width // 20), joint="curve")
    return picture


def brightness(picture: Image.Image) -> Array:
    return np.asarray(picture.convert("L"), np.float64) / 255


def saved(picture: Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)
    return path


SEVEN = digit_from_grey(brightness(seven())).pixels


def difference(pixels: NDArray[np.float32], expected: NDArray[np.float32] = SEVEN) -> float:
    return float(np.abs(pixels - expected).mean())


def mnist(n: int) -> NDArray[np.uint8]:
    """The first `n` test digits, (n, 28, 28), from the files that the package carries."""
    file = Path(miniflow.__file__).parent / "datasets" / "data" / "t10k-images-idx3-ubyte.gz"
    if not file.exists():
        pytest.skip("the package carries no MNIST files")
    with gzip.open(file) as stream:
        return np.frombuffer(stream.read(16 + n * 784), np.uint8, offset=16).reshape(n, 28, 28)


# --- as MNIST was --------------------------------------------------------------------------------


@pytest.mark.slow
def test_digits_of_mnist_come_back_from_large_inverted_off_centre_pictures() -> None:
    rng = np.random.default_rng(0)
    differences = []
    for original in mnist(40):
        large = Image.fromarray(255 - original).resize((140, 140), Image.Resampling.BICUBIC)
        page = Image.new("L", (280, 200), 255)
        page.paste(large, (int(rng.integers(0, 140)), int(rng.integers(0, 60))))
        digit = digit_from_grey(brightness(page))
        assert digit.inverted
        assert not digit.empty
        differences.append(float(np.abs(digit.pixels - original / 255).mean()))
    assert np.mean(differences) < 0.03  # bicubic enlargement alone costs 0.013, a zero picture 0.12
    assert max(differences) < 0.1


def test_digits_of_mnist_themselves_are_left_as_they_are() -> None:
    for original in mnist(60):
        digit = digit_from_grey(original / 255)
        assert not digit.inverted
        assert np.abs(digit.pixels - original / 255).mean() < 0.01
        assert np.abs(fit_digit(original / 255) - original / 255).mean() < 0.01


@settings(max_examples=4 * settings.default.max_examples, deadline=None)
@given(st.integers(20, 150), st.integers(1, 150), st.integers(0, 40), st.integers(0, 40))
def test_longer_side_becomes_20_and_centre_of_mass_row_and_column_14(
    height: int, width: int, top: int, left: int
) -> None:
    grey = np.zeros((200, 200))
    grey[top : top + height, left : left + width] = 0.7
    digit = fit_digit(grey)
    inked_rows, inked_columns = np.nonzero(digit > 0.3)
    sides = np.ptp(inked_rows) + 1, np.ptp(inked_columns) + 1
    assert max(sides) == 20
    assert abs(min(sides) - max(1.0, 20 * min(height, width) / max(height, width))) <= 0.5
    for axis in (0, 1):
        masses = digit.sum(axis=1 - axis)
        assert abs((masses * np.arange(28)).sum() / masses.sum() - 14) <= 0.5 + 1e-6
    assert digit.max() == pytest.approx(1)
    assert digit.min() >= 0


def test_lopsided_digit_is_centred_by_mass_not_by_its_box() -> None:
    grey = np.zeros((40, 40))
    grey[10:30, 10:12] = 1  # a heavy foot to the right of a thin pole
    grey[26:30, 10:30] = 1
    rows, columns = np.nonzero(fit_digit(grey))
    assert (columns.min(), columns.max() + 1) == (7, 27)
    assert (rows.min(), rows.max() + 1) == (0, 20)  # one more would leave the frame


def test_place_and_size_of_the_digit_in_the_picture_do_not_matter() -> None:
    digit = np.zeros((60, 40))
    digit[5:45, 10:14] = 1
    digit[5:9, 10:30] = 0.8
    expected = fit_digit(digit)
    for moved in (np.roll(digit, 9, axis=0), np.roll(digit, -4, axis=1), np.pad(digit, 17)):
        np.testing.assert_allclose(fit_digit(moved), expected, atol=1e-12)
    for times in (2, 5):
        larger = np.kron(digit, np.ones((times, times)))
        np.testing.assert_allclose(fit_digit(larger), expected, atol=1e-12)


def test_small_digit_is_enlarged_smoothly() -> None:
    grey = np.zeros((9, 9))
    grey[2:7, 4] = 1
    digit = fit_digit(grey)
    assert np.count_nonzero(digit.max(axis=1) >= 0.5) == 20
    assert len(np.unique(digit.round(6))) > 3  # not blocks of one and zero


def test_nothing_stays_nothing_and_the_argument_is_not_changed() -> None:
    grey = np.zeros((30, 50), np.float32)
    assert not fit_digit(grey).any()
    page = brightness(seven())
    before = page.copy()
    lift_ink(page)
    fit_digit(page)
    np.testing.assert_array_equal(page, before)


# --- ink and paper -------------------------------------------------------------------------------


def test_light_on_dark_and_dark_on_light_read_the_same() -> None:
    dark_on_light = digit_from_grey(brightness(seven()))
    light_on_dark = digit_from_grey(1 - brightness(seven()))
    assert (dark_on_light.inverted, light_on_dark.inverted) == (True, False)
    np.testing.assert_allclose(dark_on_light.pixels, light_on_dark.pixels, atol=1e-6)


def grain(scale: float) -> Array:
    return np.random.default_rng(3).normal(0, scale, (200, 280))


def lamp() -> Array:
    y, x = np.mgrid[-1:1:200j, -1:1:280j]
    return 0.8 - 0.2 * x - 0.1 * y


def shadow() -> Array:
    y, x = np.mgrid[-1:1:200j, -1:1:280j]
    return np.asarray(0.85 - 0.25 / (1 + np.exp(-(x + 0.4 * y - 0.1) / 0.03)))


def dust() -> Array:
    page = np.ones((200, 280))
    for y, x in [(8, 9), (20, 250), (150, 30), (185, 200), (100, 262)]:
        page[y : y + 3, x : x + 3] = 0.2
    return page


PAPERS = {
    "grain": 0.75 + grain(0.05),
    "lamp": lamp(),
    "lamp and grain": lamp() + grain(0.03),
    "shadow": shadow(),
    "dust": dust(),
    "blackboard": np.clip(0.1 + grain(0.02), 0, 1),
}


@pytest.mark.parametrize("name", PAPERS)
def test_digit_is_read_from_uneven_paper(name: str) -> None:
    paper, stroke = PAPERS[name], 1 - brightness(seven())
    page = paper + 0.6 * stroke if name == "blackboard" else paper * (1 - 0.7 * stroke)
    digit = digit_from_grey(np.clip(page, 0, 1))
    assert not digit.empty
    assert digit.inverted == (name != "blackboard")
    assert difference(digit.pixels) < 0.02


@pytest.mark.parametrize("name", PAPERS)
def test_empty_paper_is_said_to_be_empty(name: str) -> None:
    digit = digit_from_grey(np.clip(PAPERS[name], 0, 1))
    assert digit.empty
    assert not digit.inverted
    assert not digit.pixels.any()


@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 2), (28, 28), (300, 1)])
def test_picture_of_one_grey_is_empty(grey: float, shape: tuple[int, int]) -> None:
    assert digit_from_grey(np.full(shape, grey)).empty


def test_pale_pencil_is_as_bright_as_ink_in_the_end() -> None:
    pencil = digit_from_grey(0.9 - 0.15 * (1 - brightness(seven())))
    assert pencil.pixels.max() == 1
    assert difference(pencil.pixels) < 0.005


def test_detached_stroke_of_a_digit_is_kept() -> None:
    page = np.ones((100, 100))
    page[20:26, 40:70] = 0  # the bar of a 5 that does not touch its body
    page[36:80, 40:46] = 0
    digit = digit_from_grey(page)
    assert digit.pixels[:8].any()
    rows = np.nonzero(digit.pixels.max(axis=1) > 0.3)[0]
    assert np.ptp(rows) + 1 == 20


def test_digit_that_fills_the_picture_to_its_edges_is_still_read() -> None:
    page = brightness(seven())
    rows, columns = np.nonzero(page < 0.5)
    crop = page[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    digit = digit_from_grey(crop)
    assert digit.inverted
    assert difference(digit.pixels) < 0.01


@pytest.mark.parametrize("shape", [(28, 28, 3), (5,), (0, 10), ()])
def test_what_is_no_grey_picture_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"shape \(h, w\)"):
        lift_ink(np.zeros(shape))


@pytest.mark.parametrize("value", [255.0, -0.5, float("nan")])
def test_brightness_outside_zero_to_one_is_refused(value: float) -> None:
    page = np.zeros((5, 5))
    page[2, 2] = value
    with pytest.raises(DataError, match=r"must lie in \[0, 1\]"):
        lift_ink(page)


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "ppm", "webp"])
def test_every_format_reads_the_same(tmp_path: Path, suffix: str) -> None:
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    digit = read_digit(saved(seven(), tmp_path / f"seven.{suffix}"))
    assert digit.inverted
    assert difference(digit.pixels) < 0.01


@pytest.mark.parametrize(
    "name",
    [
        "1.png",
        "P.png",
        "LA.png",
        "RGB.png",
        "RGBA.png",
        "P.gif",
        "CMYK.jpg",
        "YCbCr.jpg",
        "CMYK.tif",
        "I.tif",
        "F.tif",
    ],
)
def test_every_mode_reads_the_same(tmp_path: Path, name: str) -> None:
    mode = name.split(".")[0]
    path = saved(seven().convert(mode), tmp_path / name)
    assert difference(read_digit(path).pixels) < 0.01


def test_sixteen_bits_a_pixel_are_read_in_full(tmp_path: Path) -> None:
    page = (brightness(seven()) * 65535).astype(np.uint16)
    grey = read_grey(saved(Image.fromarray(page), tmp_path / "seven.png"))
    np.testing.assert_allclose(grey, page / 65535, atol=1e-6)


def test_fractions_and_what_is_not_a_number_are_read_from_tiff(tmp_path: Path) -> None:
    page = np.asarray(brightness(seven()), np.float32)
    page[0, 0], page[0, 1] = np.nan, -np.inf
    grey = read_grey(saved(Image.fromarray(page), tmp_path / "seven.tif"))
    assert np.isfinite(grey).all()
    np.testing.assert_allclose(grey[1:], page[1:], atol=1e-6)


@pytest.mark.parametrize("colour", ["black", "white", "red"])
def test_ink_on_a_transparent_ground_is_read(tmp_path: Path, colour: str) -> None:
    picture = Image.new("RGBA", (280, 200), colour)
    picture.putalpha(Image.eval(seven(), lambda value: 255 - value))
    digit = read_digit(saved(picture, tmp_path / "seven.png"))
    assert digit.inverted == (colour != "white")
    assert difference(digit.pixels) < 0.01


@pytest.mark.breadth("level")
@pytest.mark.parametrize(
    ("level", "mode"),
    [(0, "LA"), (200, "RGBA"), (230, "RGBA"), (240, "RGBA"), (248, "LA"), (254, "RGBA")],
)
@pytest.mark.parametrize("specks", [[], [0]], ids=["clean", "one black pixel"])
def test_ink_of_any_grey_on_a_transparent_ground_is_read(
    tmp_path: Path, mode: str, level: int, specks: list[int]
) -> None:
    pixels = np.full((200, 280, 4), level, np.uint8)
    pixels[..., 3] = 255 - np.asarray(seven())
    pixels.reshape(-1, 4)[specks] = (0, 0, 0, 255)
    digit = read_digit(saved(Image.fromarray(pixels).convert(mode), tmp_path / "seven.png"))
    assert digit.inverted == (level < 235)
    assert difference(digit.pixels) < 0.01


def test_transparent_corners_of_a_photograph_are_paper(tmp_path: Path) -> None:
    picture = seven().convert("RGBA")
    corners = Image.new("L", picture.size, 255)
    ImageDraw.Draw(corners).rectangle([0, 0, 30, 30], fill=0)
    picture.putalpha(corners)
    assert difference(read_digit(saved(picture, tmp_path / "seven.png")).pixels) < 0.01


def test_lightness_of_a_lab_picture_is_read(tmp_path: Path) -> None:
    neutral = Image.new("L", (280, 200), 128)
    picture = Image.merge("LAB", [seven(), neutral, neutral])
    assert difference(read_digit(saved(picture, tmp_path / "seven.tif")).pixels) < 0.01


def test_transparent_colour_of_a_palette_is_paper(tmp_path: Path) -> None:
    picture = seven().convert("P")  # white, number 255, is declared transparent
    path = saved(picture, tmp_path / "seven.png", transparency=255)
    assert difference(read_digit(path).pixels) < 0.01


def test_fully_transparent_picture_is_empty(tmp_path: Path) -> None:
    assert read_digit(saved(Image.new("RGBA", (50, 50)), tmp_path / "a.png")).empty


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.breadth("suffix")
@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_camera_held_sideways_reads_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    sideways = seven().transpose(TURNS[orientation])
    path = saved(sideways, tmp_path / f"seven.{suffix}", exif=exif)
    assert difference(read_digit(path).pixels) < 0.01


@pytest.mark.breadth("suffix")
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_large_photograph_is_reduced_and_read(tmp_path: Path, suffix: str) -> None:
    path = saved(seven(4200, 3000), tmp_path / f"seven.{suffix}")
    assert max(read_grey(path).shape) < 2048
    assert difference(read_digit(path).pixels) < 0.02


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be `width` × `height` and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [8_000, 10_000, 14_000, 60_000, 2**31 - 1])
def test_enormous_claim_is_refused_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: int
) -> None:
    def load(_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(side, side))
    with pytest.raises(DataError, match=r"bomb\.png: claims to hold more than 50,000,000 pixels"):
        read_digit(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "ppm"])
def test_truncated_picture_is_refused_by_name(tmp_path: Path, suffix: str) -> None:
    noisy = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8))
    path = saved(noisy, tmp_path / f"cut.{suffix}")
    whole = path.read_bytes()
    for length in (len(whole) // 2, len(whole) // 4):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=rf"cut\.{suffix}: "):
            read_digit(path)


def test_flipped_bytes_never_raise_anything_but_data_errors(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "damaged"
    for format in ("PNG", "JPEG", "GIF", "TIFF", "BMP"):
        buffer = io.BytesIO()
        seven(60, 40).save(buffer, format)
        for _ in range(15):
            damaged = np.frombuffer(buffer.getvalue(), np.uint8).copy()
            places = rng.integers(0, min(len(damaged), 400), 4)
            damaged[places] = rng.integers(0, 256, 4)
            path.write_bytes(damaged.tobytes())
            with contextlib.suppress(DataError):
                grey = read_grey(path)
                assert np.isfinite(grey).all()


def test_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "none.png"
    with pytest.raises(DataError) as caught:
        read_digit(path)
    assert str(caught.value) == f"{path}: cannot be opened: No such file or directory."
