"""What a picture shows of a value or a gradient: the numbers of a small array, a summary of a large
one.

A summary is the shape, mean ± standard deviation, the norm, and a small heat map; for integers,
which are labels and indices as a rule, the range. Entries that are not finite are counted and left
out of the statistics. A picture never invents a number: where there is no value, `seen` gives None
and the picture says so.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from miniflow.pictures.metrics import shorten
from miniflow.pictures.thumbnail import heat_map

MOST_ROWS, MOST_COLUMNS = 4, 6  # an array up to this size is shown in numbers


class Seen(NamedTuple):
    """A value as it is shown: `rows` of numbers (a scalar: one row of one), or a summary in
    `lines`.
    """

    shape: str  # "128×10", "" for a single number
    rows: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()
    thumbnail: str | None = None  # a data URI
    warning: str = ""

    @property
    def text(self) -> str:
        """The whole on one line.

        >>> seen(np.array([[1, 2], [3, 4]])).text
        '[[1 2] [3 4]]'
        """
        if not self.rows:
            return ", ".join(filter(None, (*self.lines, self.warning)))
        rows = [" ".join(cell.strip() for cell in row) for row in self.rows]
        if not self.shape:
            return rows[0]
        return f"[{rows[0]}]" if "×" not in self.shape else f"[{' '.join(f'[{r}]' for r in rows)}]"


def seen(value: Any) -> Seen | None:
    """How to show a value; None if there is none."""
    if value is None:
        return None
    array = value if isinstance(value, np.ndarray) else None
    if array is None and isinstance(value, (bool, int, float, complex, np.generic)):
        array = np.asarray(value)
    if array is None or array.dtype.kind not in "biufc":
        return Seen("", lines=(shorten(repr(value).replace("\n", " "), 28),))
    shape = shape_text(array.shape)
    if not array.size:
        return Seen(shape, lines=("empty",))
    grid = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
    if array.ndim <= 2 and grid.shape[0] <= MOST_ROWS and grid.shape[1] <= MOST_COLUMNS:
        warning = _warning(array) if array.size > 1 else ""
        return Seen(shape, rows=numbers(grid), warning=warning)
    lines = _summary(array)
    picture = None if lines[0].startswith(("all", "nothing")) else heat_map(array)
    return Seen(shape, (), lines, picture, _warning(array))


def shape_text(shape: tuple[int, ...]) -> str:
    """`(128, 10)` as "128×10", `(10,)` as "10", `()` as "".

    >>> shape_text((128, 10)), shape_text((10,)), shape_text(())
    ('128×10', '10', '')
    """
    return "×".join(map(str, shape))


def numbers(grid: np.ndarray[Any, Any]) -> tuple[tuple[str, ...], ...]:
    """The entries of a matrix with as many decimals each as the largest needs for four digits.

    >>> numbers(np.array([[0.18632, -0.6928]])), numbers(np.array([[3.0, 40.0]]))
    ((('0.1863', '−0.6928'),), (('3', '40'),))
    """
    if grid.dtype.kind not in "f":
        return tuple(tuple(number(x) for x in row) for row in grid.tolist())
    sizes = [abs(x) for x in grid.ravel().tolist() if math.isfinite(x) and x]
    digits = 3 - math.floor(math.log10(max(sizes))) if sizes else 0
    fits = bool(sizes) and digits in range(6) and min(sizes) >= 0.1 ** max(0, digits - 1)
    if not fits:
        return tuple(tuple(number(x) for x in row) for row in grid.tolist())
    cells = [
        [f"{x + 0.0:.{digits}f}" if math.isfinite(x) else str(x) for x in row]
        for row in grid.tolist()
    ]
    decimals = [cell.partition(".")[2].rstrip("0") for row in cells for cell in row]
    spare = digits - max(map(len, decimals))  # zeros that all of them end with
    cut = spare + 1 if spare == digits and digits else spare
    return tuple(
        tuple((cell[: len(cell) - cut] if "." in cell else cell).replace("-", "−") for cell in row)
        for row in cells
    )


def number(x: Any) -> str:
    """One number with four digits and a true minus sign.

    >>> number(-0.00001234), number(3), number(1.0)
    ('−1.234e−5', '3', '1')
    """
    if isinstance(x, (bool, np.bool_)):
        return str(bool(x))
    if isinstance(x, (complex, np.complexfloating)):
        return shorten(f"{complex(x):.3g}".replace("-", "−"), 20)
    if isinstance(x, (int, np.integer)) and abs(int(x)) < 10**7:
        return str(int(x)).replace("-", "−")
    try:
        text = f"{float(x) + 0.0:.4g}"  # no minus before a zero
    except OverflowError:  # a Python int beyond all floats
        return f"{len(str(abs(x)))} digits"
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        text = f"{mantissa}e{int(exponent)}"
    return text.replace("-", "−")


def _summary(array: np.ndarray[Any, Any]) -> tuple[str, ...]:
    """Mean ± sd and norm of the finite entries in double precision; of integers the range."""
    if array.dtype.kind in "iu":
        return (f"{number(array.min())} … {number(array.max())}",)
    if array.dtype.kind == "b":
        return (f"{number(int(array.sum()))} of {array.size} true",)
    flat = np.abs(array).ravel() if array.dtype.kind == "c" else array.ravel()
    flat = flat[np.isfinite(flat)].astype(np.float64)
    if not flat.size:
        return ("nothing finite",)
    if flat.min() == flat.max():
        return (f"all {number(float(flat[0]))}",)
    scale = float(np.abs(flat).max())  # so that squares neither overflow nor vanish
    flat = flat / scale
    mean, sd, norm = (scale * float(x) for x in (flat.mean(), flat.std(), np.sqrt(flat @ flat)))
    if sd and abs(mean) < 1000 * sd:  # no digits of the mean beyond those of the deviation
        mean = round(mean, 2 - math.floor(math.log10(sd)))
    return (f"{round_text(mean)} ± {round_text(sd)}", f"‖·‖ {round_text(norm)}")


def round_text(x: float) -> str:
    """A statistic, to three digits."""
    return number(float(f"{x:.3g}"))


def _warning(array: np.ndarray[Any, Any]) -> str:
    """How many entries are NaN or infinite, if any."""
    if array.dtype.kind not in "fc":
        return ""
    nans = int(np.isnan(array).sum())
    infinities = int(np.isinf(array).sum())
    found = [f"{nans} NaN"] * bool(nans) + [f"{infinities} infinite"] * bool(infinities)
    return ", ".join(found)
