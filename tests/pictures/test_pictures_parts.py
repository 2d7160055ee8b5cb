"""The parts of which pictures are made: order and tracks of lines, widths of text, what is shown of
values.
"""

from __future__ import annotations

import base64
import io
from itertools import combinations, pairwise
from random import Random

import numpy as np
import pytest

from miniflow.errors import printable
from miniflow.pictures.layout.crossings import count_crossings, order_layers
from miniflow.pictures.layout.layered import spread
from miniflow.pictures.metrics import shorten, text_width
from miniflow.pictures.repeats import RepeatedRun, find_repeats
from miniflow.pictures.thumbnail import COLUMNS, ROWS, heat_map
from miniflow.pictures.tracks import Move, assign_tracks
from miniflow.pictures.values import number, numbers, seen


def test_crossings_are_counted_as_pairs_of_lines_that_cross() -> None:
    random = Random(1)
    for _ in range(30):
        pairs = {(random.randrange(5), 5 + random.randrange(5)) for _ in range(9)}
        after = [[b for a, b in sorted(pairs) if a == vertex] for vertex in range(10)]
        expected = sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(pairs, 2))
        assert count_crossings([list(range(5)), list(range(5, 10))], after) == expected


def test_an_order_without_crossings_is_found() -> None:
    random = Random(2)
    for _ in range(20):  # trees can always be drawn without crossings
        layers, before, after = [[0]], [[]], [[]]
        for _ in range(4):
            layer = []
            for parent in layers[-1]:
                for _ in range(random.randint(1, 3)):
                    layer.append(len(before))
                    before.append([parent])
                    after.append([])
                    after[parent].append(layer[-1])
            random.shuffle(layer)
            layers.append(layer)
        ordered = order_layers(layers, before, after)
        assert count_crossings(ordered, after) == 0
        assert [sorted(layer) for layer in ordered] == [sorted(layer) for layer in layers]


def test_little_work_still_gives_an_order_no_worse_than_the_given_one() -> None:
    random = Random(5)
    layers = [list(range(start, start + 12)) for start in (0, 12, 24)]
    after = [random.sample(range(12, 24), 3) for _ in range(12)]
    after += [random.sample(range(24, 36), 3) for _ in range(12)] + [[] for _ in range(12)]
    before: list[list[int]] = [[] for _ in range(36)]
    for vertex, readers in enumerate(after):
        for reader in readers:
            before[reader].append(vertex)
    given, little, much = (
        count_crossings(order, after)
        for order in (layers, *(order_layers(layers, before, after, share) for share in (0.01, 1)))
    )
    assert much <= little < given
    assert 10 <= count_crossings(layers, after, limit=10) < given


def test_arrowheads_keep_their_order_and_distance_and_stay_on_the_side() -> None:
    random = Random(3)
    for _ in range(200):
        wished = sorted(random.uniform(-90, 90) for _ in range(random.randint(2, 9)))
        half = random.uniform(1, 40)
        got = spread(wished, 8, half)
        gap = min(8, 2 * half / (len(wished) - 1))
        assert all(b - a >= gap - 1e-9 for a, b in pairwise(got))
        assert -half - 1e-9 <= got[0]
        assert got[-1] <= half + 1e-9


def test_lines_that_share_a_row_do_not_meet_in_it() -> None:
    random = Random(4)
    for _ in range(200):
        moves = {Move(random.randrange(30), random.randrange(30)) for _ in range(8)}
        rows = assign_tracks(moves)
        assert set(rows) == moves
        spans: dict[tuple[int, int], list[int]] = {}
        for move, row in rows.items():
            spans.setdefault((row, move.start), []).extend(move)
        for (one, a), (other, b) in combinations(spans.items(), 2):
            if one[0] == other[0]:
                assert max(a) < min(b) or max(b) < min(a)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ("xabcabcabcy", [RepeatedRun(1, 3, 3)]),
        ("aaaaab", [RepeatedRun(0, 1, 5)]),
        ("abababxcdcdcd", [RepeatedRun(0, 2, 3), RepeatedRun(7, 2, 3)]),
        ("abcabc", []),
        ("", []),
    ],
)
def test_repeated_blocks_are_found(kinds: str, expected: list[RepeatedRun]) -> None:
    assert find_repeats(kinds) == expected


def test_widths_are_upper_bounds_of_the_fonts_that_pictures_name() -> None:
    ImageFont = pytest.importorskip("PIL.ImageFont")
    found = 0
    for font, names in {
        "sans": ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf"),
        "bold": ("DejaVuSans-Bold.ttf", "LiberationSans-Bold.ttf", "Arial Bold.ttf"),
        "mono": ("DejaVuSansMono.ttf", "LiberationMono-Regular.ttf", "Menlo.ttc"),
    }.items():
        for name in names:
            try:
                typeface = ImageFont.truetype(name, 100)
            except OSError:
                continue
            found += 1
            for text in (
                "hidden/W1 784×128",
                "∂f/∂x = −0.6928 ± 0.5",
                "Größe @#%& MWmw",
                "p₁₂ → Σ",
            ):
                assert text_width(text, 100, font) >= typeface.getlength(text), (name, text)
    if not found:
        pytest.skip("none of the fonts is installed")


def test_wide_and_unknown_characters_are_given_room() -> None:
    assert text_width("数字", 10) >= 20
    assert text_width("🙂", 10, "mono") >= 10


def test_long_texts_keep_their_start_and_end() -> None:
    assert shorten("abcdefghij", 7) == "abc…hij"
    assert shorten("short", 7) == "short"
    assert printable("a\nb\x00") == r"a\nb\x00"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (-0.5, "−0.5"),
        (True, "True"),
        (np.float32(0.1), "0.1"),
        (1234567.0, "1.235e6"),
        (-0.0, "0"),
        (10**400, "401 digits"),
        (float("nan"), "nan"),
        (1 + 2j, "1+2j"),
    ],
)
def test_numbers_are_short(value: object, text: str) -> None:
    assert number(value) == text


def test_entries_of_a_matrix_share_their_decimals() -> None:
    assert numbers(np.array([[0.5, -12.25]])) == (("0.50", "−12.25"),)
    assert numbers(np.array([[1e-9, 1.0]])) == (("1e−9", "1"),)
    assert numbers(np.array([[2.0, 30.0]])) == (("2", "30"),)
    assert numbers(np.array([[0.0, 0.0]])) == (("0", "0"),)


def test_no_value_shows_as_nothing_and_not_as_zero() -> None:
    assert seen(None) is None


def test_small_arrays_are_shown_in_numbers_and_large_ones_summed_up() -> None:
    small = seen(np.array([[1, 2], [3, 4]]))
    assert small is not None
    assert small.rows == (("1", "2"), ("3", "4"))
    assert small.thumbnail is None
    large = seen(np.arange(100.0).reshape(10, 10))
    assert large is not None
    assert large.shape == "10×10"
    assert large.lines == ("49.5 ± 28.9", "‖·‖ 573")
    assert large.thumbnail


@pytest.mark.parametrize(
    ("value", "shape", "lines"),
    [
        (np.zeros((0, 3)), "0×3", ("empty",)),
        (np.full(50, 0.25), "50", ("all 0.25",)),
        (np.arange(50) % 10, "50", ("0 … 9",)),
        (np.arange(50) % 2 == 0, "50", ("25 of 50 true",)),
        (np.full(50, np.nan), "50", ("nothing finite",)),
        (np.array([1e300, -1e300] * 9), "18", ("0 ± 1e300", "‖·‖ 4.24e300")),
        (np.array(["a", "b"]), "", ("array(['a', 'b… dtype='<U1')",)),
    ],
)
def test_what_is_said_of_an_array(value: object, shape: str, lines: tuple[str, ...]) -> None:
    shown = seen(value)
    assert shown is not None
    assert (shown.shape, shown.lines) == (shape, lines)


def test_entries_that_are_not_finite_are_counted() -> None:
    value = np.arange(40.0)
    value[3], value[7], value[8] = np.nan, np.inf, -np.inf
    shown = seen(value)
    assert shown is not None
    assert shown.warning == "1 NaN, 2 infinite"
    assert "nan" not in shown.text


def test_a_number_that_is_not_finite_says_so_itself() -> None:
    shown = seen(np.float64("nan"))
    assert shown is not None
    assert (shown.text, shown.warning) == ("nan", "")


def test_digits_of_the_mean_that_mean_nothing_are_not_shown() -> None:
    shown = seen(np.array([1.0, -1.0 + 1e-9] * 20))
    assert shown is not None
    assert shown.lines[0] == "0 ± 1"


def heat(array: np.ndarray) -> np.ndarray:
    Image = pytest.importorskip("PIL.Image")
    uri = heat_map(array)
    assert uri is not None
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    image = Image.open(io.BytesIO(data))
    image.load()
    return np.asarray(image.convert("RGBA"))


def test_a_heat_map_is_blue_below_zero_orange_above_and_clear_at_zero() -> None:
    pixels = heat(np.array([[-1.0, 0.0, 1.0]]))
    assert pixels.shape == (1, 3, 4)
    (red, _, blue, opaque), zero, (warm, _, cold, _) = pixels[0].tolist()
    assert blue > red
    assert warm > cold
    assert opaque == 255
    assert zero[3] == 0


def test_a_heat_map_of_a_large_array_shows_means_of_blocks() -> None:
    array = np.zeros((120, 240))
    array[:60, :120] = 1.0
    pixels = heat(array)
    assert pixels.shape == (ROWS, COLUMNS, 4)
    opacity = pixels[:, :, 3]
    assert (opacity[: ROWS // 2, : COLUMNS // 2] == 255).all()
    assert (opacity[ROWS // 2 :] == 0).all()


def test_a_heat_map_needs_a_finite_entry() -> None:
    assert heat_map(np.full(30, np.nan)) is None
    assert heat(np.array([np.nan, 1.0]))[0, 0, 3] == 0
