"""Taking the paper away from a picture, so that only the ink is left.

Paper is hardly ever one grey: a lamp stands to one side, a hand throws its shadow, the grain shows.
So the paper's brightness is estimated everywhere first. What then differs from it to one side is
ink. What differs to the other side cannot be ink, so it is noise, and says how large the noise on
the ink's side must be. What rises above the noise is gathered into connected pieces, and small
pieces, dust and specks, are dropped.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from miniflow.digit_images.pieces import CELLS, connected, sums_of_cells
from miniflow.digit_images.scene import (
    Marks,
    edges_of,
    grain_of,
    smoothed,
    thin_marks,
    without_lines,
)
from miniflow.errors import DataError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_LEVEL = 0.02  # what differs less than this from the paper is paper
LEAST_CONTRAST = 0.08  # where even the ink differs less than this from the paper, there is none
NOISE_MARGIN = 1.3  # ink rises this many times as high as the noise does
MOST_MISFIT = 0.04  # noise up to this, or twice the grain, is no sign of a shadow's edge
MOST_GRAIN = 0.25  # no paper spreads more than this
LEAST_SHARE = 1 / 25  # a piece with less ink than this share of the heaviest piece is dust
GREAT_SHARE = 1 / 4  # where even the heaviest piece has less than this of all ink, all is dust
HEAVY_SHARE = 1 / 4  # unless a few pieces with this share of the heaviest have most of the ink
MOST_DIGITS, MOST_OF_IT = 12, 0.8
LEAST_LENGTH = 1 / 32  # a digit reaches over at least this share of the picture's longer side
LEAST_SCENE = 100  # a smaller picture is a digit, and no photograph of a sheet
BROAD_CONTRAST = 0.15  # what differs so much from the paper may be strokes of a very thick pen
BROAD_SHARE = 1 / 300  # if it is so much of the picture
FAINTEST_SHARE = 0.2  # marks fainter than this share of the fullest are what lines leave behind
MOST_ON_EDGES = 0.5  # a piece with more than this share on the background's edges is a part of them
GRID = 48  # the paper is estimated from at most so many points a side


class _Paper(NamedTuple):
    """The brightness of the empty paper, (h, w), and how far most of the paper is from that."""

    brightness: Array
    spread: float


class _Ink(NamedTuple):
    """The ink, (h, w); whether it is dark on light; how far the paper strays to the other side."""

    ink: Array
    dark_on_light: bool
    noise: float


def lift_ink(grey: NDArray[Any]) -> tuple[Array, bool]:
    """Separate the ink from the paper in a picture of brightness `grey`, (h, w) in [0, 1].

    Returns the ink, (h, w) in [0, 1] with zero for paper and one for the fullest ink, and whether
    the picture was dark on light. The ink of an empty picture is zero everywhere.

    Raises `DataError` if `grey` has another shape, or values outside [0, 1].

    >>> page = np.full((50, 50), 0.9)
    >>> page[10:40, 24:27] = 0.2
    >>> ink, dark_on_light = lift_ink(page)
    >>> round(ink.sum()), dark_on_light
    (90, True)
    """
    grey = np.asarray(grey, np.float64)
    _check_brightness(grey)
    if min(grey.shape) >= LEAST_SCENE:
        single = grey.astype(np.float32)  # of a large picture there are many copies on the way
        marks = thin_marks(single)
        if not _has_broad_strokes(marks):
            ink = _ink_in(marks, grain_of(single)).astype(np.float64)
            return ink, marks.dark_on_light
    paper = _smooth_paper(grey)
    if paper.spread > MOST_GRAIN:  # most of the border is no paper: cropped to the digit
        paper = _commonest_paper(grey)
    lifted = _ink_on(paper, grey)
    if lifted.noise > max(MOST_MISFIT, 2 * paper.spread):  # more than grain: the light has edges
        lifted = _ink_on(_shadowed_paper(grey), grey)
    return lifted.ink, lifted.dark_on_light


def _has_broad_strokes(marks: Marks) -> bool:
    """Whether something in the middle of the picture is darker (or brighter) than the paper round
    it and too broad to be a thin mark: the strokes of a very thick pen.
    """
    factor = max(1, max(marks.background.shape) // CELLS)
    cells = marks.background[::factor, ::factor]
    paper = float(np.median(cells))
    beyond = (paper - cells if marks.dark_on_light else cells - paper) > BROAD_CONTRAST
    height, width = cells.shape
    for rows, columns in connected(beyond):
        is_inside = rows.min() > 0 and columns.min() > 0
        is_inside &= rows.max() < height - 1 and columns.max() < width - 1
        if is_inside and len(rows) > BROAD_SHARE * cells.size:
            return True
    return False


def _ink_in(marks: Marks, grain: float) -> Array:
    """The ink among thin marks, with no lines of the sheet, and no slivers of an edge."""
    thin = without_lines(marks.marks, grain)
    level = max(LEAST_LEVEL, 2.5 * grain)
    ink = np.where(smoothed(thin) > level, thin, 0.0)
    full = float(np.quantile(ink[ink > 0], 0.98)) if ink.any() else 0.0
    ink[ink < FAINTEST_SHARE * full] = 0.0
    ink *= _strokes(ink, edges_of(marks.background, max(LEAST_CONTRAST / 2, 0.2 * full)))
    full = float(np.quantile(ink[ink > 0], 0.9)) if ink.any() else 0.0
    return np.minimum(ink / full, 1.0) if full >= LEAST_CONTRAST else np.zeros(ink.shape)


def _ink_on(paper: _Paper, grey: Array) -> _Ink:
    difference = grey - paper.brightness
    dark_on_light = float(np.sum(difference * np.abs(difference))) < 0
    if dark_on_light:
        difference = -difference
    noise = float(np.quantile(np.maximum(-difference, 0.0), 0.999))
    level = max(LEAST_LEVEL, NOISE_MARGIN * max(noise, paper.spread))
    ink = np.where(difference > level, difference, 0.0)
    ink *= _strokes(ink)
    full = float(np.quantile(ink[ink > 0], 0.9)) if ink.any() else 0.0
    ink = np.minimum(ink / full, 1.0) if full >= LEAST_CONTRAST else np.zeros(ink.shape)
    return _Ink(ink, dark_on_light, noise)


def _check_brightness(grey: Array) -> None:
    if grey.ndim != 2 or grey.size == 0:
        raise DataError(f"A grey picture has shape (h, w), h and w at least 1; saw {grey.shape}.")
    darkest, brightest = float(grey.min()), float(grey.max())
    if not (darkest >= 0 and brightest <= 1):  # NaN ends here, too
        raise DataError(f"Brightness must lie in [0, 1]; saw {darkest:g} to {brightest:g}.")


# --- the paper -----------------------------------------------------------------------------------


def _smooth_paper(grey: Array) -> _Paper:
    """Estimate the paper as a quadratic surface, which follows a lamp or a lens but not a stroke.

    It is fitted to the picture's border first, most of which is paper even where a digit touches
    it, and then to all that is near it.
    """
    rows, columns = _grid(grey)
    sample = grey[np.ix_(rows, columns)]
    terms = _quadratic(rows / grey.shape[0], columns / grey.shape[1])

    paper = _border(sample.shape)
    coefficients: NDArray[Any] = _least_absolute(terms[paper], sample[paper])
    for _ in range(3):
        distance = np.abs(sample - terms @ coefficients)
        spread = 4 * float(np.median(distance[paper]))
        paper = distance <= max(LEAST_LEVEL, spread)
        coefficients = np.linalg.lstsq(terms[paper], sample[paper], rcond=None)[0]
    surface = _quadratic(*(np.arange(n) / n for n in grey.shape)) @ coefficients
    return _Paper(surface, spread)


def _commonest_paper(grey: Array) -> _Paper:
    """Take the paper to be one grey, the darkest or the brightest, whichever there is more of."""
    dark, bright = (float(level) for level in np.quantile(grey, [0.02, 0.98]))
    near = (bright - dark) / 4
    more_dark = np.count_nonzero(grey < dark + near) > np.count_nonzero(grey > bright - near)
    return _Paper(np.full(grey.shape, dark if more_dark else bright), 0.0)


def _shadowed_paper(grey: Array) -> _Paper:
    """Estimate the paper as the median of its neighbourhood, a third of the picture wide.

    A median follows the edge of a shadow, and does not see a stroke that is thin beside it. Strokes
    still weigh on one side; so it is taken twice, the second time with the strokes painted over.
    """
    rows, columns = _grid(grey)
    sample = grey[np.ix_(rows, columns)]
    reach = GRID // 6
    medians = _local_medians(sample, reach)
    distance = np.abs(sample - medians)
    strokes = distance > distance.max() / 2
    medians = _local_medians(np.where(strokes, medians, sample), reach)
    spread = 4 * float(np.median(np.abs(sample - medians)))
    tall = _interpolation(grey.shape[0], rows) @ medians
    return _Paper(tall @ _interpolation(grey.shape[1], columns).T, spread)


def _local_medians(values: Array, reach: int) -> Array:
    """Return the median of every value's neighbourhood, `reach` to each side."""
    side = 2 * reach + 1
    padded = np.pad(values, reach, mode="reflect")
    around = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    medians: Array = np.median(around, axis=(2, 3))
    return medians


def _grid(grey: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and the columns, evenly spaced, from which the paper is estimated."""
    height, width = (np.linspace(0, n - 1, min(n, GRID)).astype(np.intp) for n in grey.shape)
    return height, width


def _interpolation(n: int, places: NDArray[np.intp]) -> Array:
    """Return the matrix, (n, k), that interpolates linearly between values at k `places`."""
    return np.stack([np.interp(np.arange(n), places, unit) for unit in np.eye(len(places))], axis=1)


def _border(shape: tuple[int, ...]) -> Mask:
    """Return a mask of `shape` that is True in a margin of a tenth of it, at least of one place."""
    mask = np.ones(shape, bool)
    down, right = (max(1, n // 10) for n in shape)
    mask[down:-down, right:-right] = False
    return mask


def _quadratic(y: Array, x: Array) -> Array:
    """Return 1, x, y, xy, x², y² on the grid of `y`, (h,), and `x`, (w,): (h, w, 6)."""
    y, x = np.broadcast_arrays(y[:, None], x[None, :])
    return np.stack([np.ones(x.shape), x, y, x * y, x * x, y * y], axis=-1)


def _least_absolute(terms: Array, values: Array) -> Array:
    """Fit coefficients, (k,), of `terms`, (n, k), to `values`, (n,), by least absolute differences.

    A minority of outliers cannot move such a fit. It is computed as a sequence of least squares in
    which a point weighs one over its last distance (iteratively reweighted least squares).
    """
    weights = np.ones(values.shape)
    coefficients: NDArray[Any]
    for _ in range(20):
        roots = np.sqrt(weights)
        coefficients = np.linalg.lstsq(terms * roots[:, None], values * roots, rcond=None)[0]
        weights = 1 / np.maximum(np.abs(values - terms @ coefficients), 1e-4)
    return coefficients


# --- the strokes ---------------------------------------------------------------------------------


def _strokes(ink: Array, edges: Mask | None = None) -> Mask:
    """Return where `ink` belongs to the strokes of a digit and not to dust, nor, for the most part,
    to the `edges` of the background, (h, w).
    """
    side = max(ink.shape)
    cell = -(-side // CELLS)
    masses = sums_of_cells(ink, cell)
    pieces = connected(masses > 0)
    if edges is not None:
        on_edges = sums_of_cells(np.where(edges, ink, 0.0), cell)
        pieces = [p for p in pieces if on_edges[p].sum() <= MOST_ON_EDGES * masses[p].sum()]
    weights = [float(masses[rows, columns].sum()) for rows, columns in pieces]
    heaviest = max(weights, default=0.0)
    keep = np.zeros(masses.shape, bool)
    longest = 0
    for (rows, columns), weight in zip(pieces, weights, strict=True):
        if weight >= LEAST_SHARE * heaviest:
            keep[rows, columns] = True
            longest = max(longest, cell * (1 + int(max(np.ptp(rows), np.ptp(columns)))))
    great = [weight for weight in weights if weight >= HEAVY_SHARE * heaviest]
    is_dust = heaviest < GREAT_SHARE * sum(weights) and (
        len(great) > MOST_DIGITS or sum(great) < MOST_OF_IT * sum(weights)
    )
    if is_dust or longest < max(3, LEAST_LENGTH * side):
        keep[:] = False
    every_pixel: Mask = np.kron(keep, np.ones((cell, cell), bool))
    return every_pixel[: ink.shape[0], : ink.shape[1]]
