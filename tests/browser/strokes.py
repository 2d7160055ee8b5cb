"""Strokes made from pictures of digits, as a hand would draw them again.

A digit is thinned to its middle line (T. Y. Zhang, C. Y. Suen, "A fast parallel algorithm for
thinning digital patterns", 1984), and the line is followed from its ends, straight on where lines
cross, until all of it has been drawn.
"""

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, int]
AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]


def strokes_of(image: NDArray[np.float32]) -> list[list[tuple[float, float]]]:
    """The strokes of a picture (28, 28) in [0, 1]: points (x, y) in units of its side."""
    bold = np.kron(image, np.ones((2, 2)))
    smooth = sum(np.roll(bold, by, axis) for axis in (0, 1) for by in (-1, 0, 0, 1)) / 8
    left = {(int(y), int(x)) for y, x in np.argwhere(thinned(smooth > 0.45))}
    lines = []
    whole = set(left)
    while left:
        start = min(left, key=lambda p: (len(_beside(p, whole)) != 1, len(_beside(p, left)), p))
        line = _follow(start, left)
        joint = [p for p in _beside(line[0], whole) if p not in line]
        lines.append([*joint[:1], *line])
    return [[((x + 0.5) / 56, (y + 0.5) / 56) for y, x in _eased(line)] for line in lines]


def thinned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The middle line of what is True in a mask."""
    mask = np.pad(mask, 1)
    while True:
        before = mask.sum()
        for first in (True, False):
            ring = [np.roll(mask, (-dy, -dx), (0, 1)) for dy, dx in AROUND]
            count = sum(r.astype(int) for r in ring)
            turns = sum(
                (~a & b).astype(int) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)
            )
            up, right, down, left = ring[0], ring[2], ring[4], ring[6]
            if first:
                open_ = ~(up & right & down) & ~(right & down & left)
            else:
                open_ = ~(up & right & left) & ~(up & down & left)
            mask = mask & ~((count >= 2) & (count <= 6) & (turns == 1) & open_)
        if mask.sum() == before:
            return mask[1:-1, 1:-1]


def _beside(point: Point, points: set[Point]) -> list[Point]:
    return [p for dy, dx in AROUND if (p := (point[0] + dy, point[1] + dx)) in points]


def _follow(start: Point, left: set[Point]) -> list[Point]:
    """Walk over points that are left, as straight as possible, and take them away."""
    left.discard(start)
    line = [start]
    while ahead := _beside(line[-1], left):
        y, x = line[-1]
        back = line[-min(len(line), 4)]
        heading = (y - back[0], x - back[1])
        line.append(
            max(
                ahead,
                key=lambda p: np.dot(heading, (p[0] - y, p[1] - x)) / np.hypot(p[0] - y, p[1] - x),
            )
        )
        left.discard(line[-1])
    return line


def _eased(line: list[Point]) -> NDArray[np.float64]:
    """The line without its steps: every point moved towards the middle of its neighbours."""
    points = np.array(line, np.float64)
    for _ in range(3 if len(points) > 4 else 0):
        points[1:-1] = (points[:-2] + 2 * points[1:-1] + points[2:]) / 4
    return points
