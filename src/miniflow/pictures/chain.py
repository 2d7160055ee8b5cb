"""Paths through a graph, and the sum of products that the chain rule makes of them, as lines of
text.

Here a graph is a mapping from each node to those that it reads, in order of computation; nodes may
be anything hashable. `paths` uses this for the nodes of a graph, `elements` for the entries of its
matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from miniflow.pictures.figure import Span, Words
from miniflow.pictures.metrics import shorten

MOST_PATHS = 8  # that are written out
_MOST = (72, 40, 40, 56)  # characters of each part of a product

N = TypeVar("N", bound=Hashable)


class PathProduct(NamedTuple):
    """One path's product: in symbols, in numbers, what it comes to, and the path; each may be
    empty.
    """

    symbols: str
    numbers: str
    result: str
    route: str


def count_paths(before: Mapping[N, Sequence[N]], start: N, end: N) -> int:
    """How many paths lead from `start` to `end`.

    >>> count_paths({"x": [], "g": ["x"], "h": ["x"], "f": ["g", "h"]}, "x", "f")
    2
    """
    counts = dict.fromkeys(before, 0) | {start: 1}
    for node, sources in before.items():
        if node != start:
            counts[node] = sum(counts[source] for source in sources)
    return counts[end]


def all_paths(before: Mapping[N, Sequence[N]], start: N, end: N) -> Iterator[list[N]]:
    """Every path from `start` to `end`.

    >>> list(all_paths({"x": [], "g": ["x"], "h": ["x"], "f": ["g", "h"]}, "x", "f"))
    [['x', 'g', 'f'], ['x', 'h', 'f']]
    """
    stack = [[end]]
    while stack:
        path = stack.pop()
        if path[0] == start:
            yield path
        else:
            stack.extend([source, *path] for source in reversed(before[path[0]]))


def times(factors: Iterable[str]) -> str:
    """Numbers as a product, negative ones in brackets.

    >>> times(["1", "−5"])
    '1 · (−5)'
    """
    return " · ".join(f"({text})" if text.startswith("−") else text for text in factors)


def chain_rule(
    whole: str,
    before: Mapping[N, Sequence[N]],
    start: N,
    ends: Sequence[N],
    along: Callable[[list[N]], PathProduct],
    total: str | None,
) -> tuple[Words, ...]:
    """The chain rule in lines: `whole` is the sum over the paths from `start` to any of the ends,
    of what `along` makes of each; where there are too many paths, only how many.
    """
    count = sum(count_paths(before, start, end) for end in ends)
    found = (path for end in ends for path in all_paths(before, start, end))
    products = [
        PathProduct(*(shorten(text, most) for text, most in zip(along(path), _MOST, strict=True)))
        for path in (found if count <= MOST_PATHS else ())
    ]
    notes: list[Words] = []
    symbols, numbers, results = (max((len(p[i]) for p in products), default=0) for i in range(3))
    for index, product in enumerate(products):
        lead = f"{whole} = " if not index else " " * (len(whole) + 1) + "+ "
        cells = [Span(lead), Span(product.symbols.ljust(symbols))]
        for text, wide in ((product.numbers, numbers), (product.result, results)):
            if wide:
                cells.append(Span(f"   {'=' if text else ' '} {text.ljust(wide)}", "gradient"))
        notes.append((*cells, Span(f"     {product.route}", "dim")))
    if not products:
        notes.append((Span(f"{whole}: the sum over {count:,} paths", "ink"),))
    if total is not None and len(products) != 1:
        notes.append((Span(" " * (len(whole) + 1) + "= "), Span(total, "gradient")))
    return tuple(notes)
