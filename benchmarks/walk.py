"""The walk of one number: how many of miniflow's functions are called from a `feed_dict` to what it
gives, in how many files, and how often the reader who follows has to change the file.

    python benchmarks/walk.py

Counted with `sys.setprofile`, so nothing is timed: a small graph, a softmax of one layer (five
nodes). A change of file is a call whose function stands in another file than that of the call
before it. A generated function ("<arguments of a program>") stands in a file of its own.
"""

import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import numpy as np

import miniflow as mf

SOURCE = f"{Path(mf.__file__).parent}/"


class Count(NamedTuple):
    calls: int
    functions: int
    files: int
    changes: int


def count(run: Callable[[], Any]) -> Count:
    """What of miniflow is called while `run` runs, in this thread."""
    called: list[CodeType] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith((SOURCE, "<")):
            called.append(frame.f_code)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    files = [code.co_filename for code in called]
    changes = sum(a != b for a, b in pairwise(files))
    return Count(len(called), len(set(called)), len(set(files)), changes)


def softmax_of_one_layer() -> tuple[mf.Node, list[mf.Node], dict[mf.Node, Any]]:
    rng = np.random.default_rng(0)
    X, y = mf.Input("X"), mf.Input("y")
    W, b = mf.Parameter(rng.normal(size=(784, 10)), "W"), mf.Parameter(np.zeros(10), "b")
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(X, W, b), y)
    return loss, [W, b], {X: rng.normal(size=(32, 784)), y: rng.integers(0, 10, 32)}


def first_and_second(backend: str) -> tuple[Count, Count]:
    """Compiling and the first step; the second step."""
    loss, _, feed = softmax_of_one_layer()
    steps: list[Any] = []

    def first() -> None:
        steps.append(mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend))
        steps[0](feed)

    return count(first), count(lambda: steps[0](feed))


def counts() -> dict[str, Count]:
    """The table: what was done, and what it called."""
    loss, parameters, feed = softmax_of_one_layer()
    mf.value_and_grad(loss, feed, wrt=parameters)
    found = {
        "value_and_grad, second call": count(lambda: mf.value_and_grad(loss, feed, wrt=parameters))
    }
    for backend in ("numpy", "native"):
        first_and_second(backend)  # what is imported at the first use is no part of the walk
        first, second = first_and_second(backend)
        found[f"compile {backend}, first call"] = first
        found[f"step {backend}, second call"] = second
    return found


if __name__ == "__main__":
    print(f"{'':30}{'calls':>8}{'functions':>11}{'files':>7}{'changes of file':>17}")
    for name, c in counts().items():
        print(f"{name:30}{c.calls:>8,}{c.functions:>11,}{c.files:>7,}{c.changes:>17,}")
