"""An error that was handled keeps nothing alive: what is dropped is freed without the collector."""

import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.graph.plans import ancestors_in_order

rows, labels = np.ones((3, 2)), np.zeros(3, int)


class Graph:
    """A network with one node of a class of the user's, and its loss."""

    def __init__(self, class_: Callable[[mf.Node], mf.Node]) -> None:
        self.X, self.y, self.W = mf.Input("X"), mf.Input("y"), mf.Parameter(np.eye(2), "W")
        self.loss = mf.CrossEntropyWithSoftmax(class_(self.X @ self.W), self.y)
        self.feed: dict[Any, Any] = {self.X: rows, self.y: labels}

    def fed(self, x: Any, y: Any = labels) -> dict[Any, Any]:
        return {self.X: x, self.y: y}


class Asks(mf.Op):
    """Cannot be recorded: it asks for a number."""

    def compute(self, x: Any) -> Any:
        return x * float(np.max(x))

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


class Catches(Asks):
    def compute(self, x: Any) -> Any:
        try:
            return Asks.compute(self, x)
        except Exception:
            return x * 1.0


class Draws(Asks):
    def compute(self, x: Any) -> Any:
        return x * np.random.random()


class Counts(Asks):
    n = 0

    def compute(self, x: Any) -> Any:
        self.n += 1
        return x * 1.0


class Fails(Asks):
    def compute(self, x: Any) -> Any:
        raise RuntimeError("mine")


class FailsBackward(Asks):
    def compute(self, x: Any) -> Any:
        return x * 1.0

    def gradient(self, grad: Any, x: Any) -> Any:
        raise RuntimeError("mine")


class LeavesNothing(mf.Node):
    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self, *value: Any) -> None:
        pass


CLASSES: dict[str, Callable[[mf.Node], mf.Node]] = {
    "fine": lambda x: x * 1.0,
    **{c.__name__: c for c in (Asks, Catches, Draws, Counts, Fails, FailsBackward, LeavesNothing)},
}


class FailingCallback(mf.Callback):
    def on_batch_end(self, training: Any) -> None:
        raise RuntimeError("mine")


def compiled(g: Graph, backend: str, feed: Any) -> None:
    mf.compile(g.loss, wrt=[g.W], backend=backend)(feed)


def stepped(g: Graph, backend: str, feed: Any) -> None:
    step = mf.compile(g.loss, optimizer=mf.SGD(0.1), backend=backend)
    step(g.feed)
    step(feed)


def trained(g: Graph, backend: str, data: Any, **options: Any) -> None:
    mf.fit(g.loss, data, mf.SGD(0.1), epochs=1, progress="none", backend=backend, **options)


def failing_data(g: Graph) -> Callable[[], Iterator[Any]]:
    def batches() -> Iterator[Any]:
        yield g.feed
        raise RuntimeError("mine")

    return batches


FEEDS: dict[str, Callable[[Graph], Any]] = {
    "what is missing": lambda g: {g.X: rows},
    "a name": lambda g: {"X": rows},
    "None": lambda g: g.fed(None),
    "another shape": lambda g: g.fed(np.ones((3, 5))),
    "labels out of range": lambda g: g.fed(rows, labels + 7),
    "NaN": lambda g: g.fed(rows * np.nan),
}
Kind = tuple[str, Callable[[Graph, str], Any]]
COMPILED: dict[str, Kind] = {}
for _class in CLASSES:
    COMPILED[f"compiled, {_class}"] = _class, lambda g, b: compiled(g, b, g.feed)
    COMPILED[f"a step, {_class}"] = _class, lambda g, b: stepped(g, b, g.feed)
    COMPILED[f"trained, {_class}"] = _class, lambda g, b: trained(g, b, g.feed)
    COMPILED[f"evaluated, {_class}"] = (
        _class,
        lambda g, b: mf.evaluate(g.loss, g.feed, backend=b),
    )
for _what, _feed in FEEDS.items():
    COMPILED[f"compiled and fed {_what}"] = "fine", lambda g, b, f=_feed: compiled(g, b, f(g))
    COMPILED[f"a step fed {_what}"] = "fine", lambda g, b, f=_feed: stepped(g, b, f(g))
    COMPILED[f"trained on {_what}"] = "fine", lambda g, b, f=_feed: trained(g, b, f(g))
COMPILED["trained with a callback that fails"] = (
    "fine",
    lambda g, b: trained(g, b, g.feed, callbacks=[FailingCallback()]),
)
COMPILED["trained on data that fail"] = "fine", lambda g, b: trained(g, b, failing_data(g))
COMPILED["several numbers for a loss"] = (
    "fine",
    lambda g, b: mf.compile(g.loss.inbound_nodes[0], optimizer=mf.SGD(0.1), backend=b)(g.feed),
)

INTERPRETED: dict[str, Kind] = {}
for _name in ("value", "value_and_grad", "accuracy", "check_gradients", "find_not_finite"):
    _run = getattr(mf, _name)
    for _class in CLASSES:
        INTERPRETED[f"{_name}, {_class}"] = _class, lambda g, b, run=_run: run(g.loss, g.feed)
    for _what, _feed in FEEDS.items():
        INTERPRETED[f"{_name} fed {_what}"] = (
            "fine",
            lambda g, b, run=_run, f=_feed: run(g.loss, f(g)),
        )
for _class in CLASSES:
    INTERPRETED[f"saved, {_class}"] = (
        _class,
        lambda g, path: mf.save(g.loss, Path(path, "m.safetensors"), {g.X: rows}),
    )
INTERPRETED["saved and never fed"] = "fine", lambda g, path: mf.save(g.loss, Path(path, "m"))
INTERPRETED["saved to nowhere"] = (
    "fine",
    lambda g, path: mf.save(g.loss, Path(path, "no", "folder"), {g.X: rows}),
)


def check_freed(kind: Kind, argument: str) -> None:
    class_, run = kind
    g = Graph(CLASSES[class_])
    nodes = [weakref.ref(node) for node in ancestors_in_order(g.loss)]
    gc.disable()
    try:
        with suppress(Exception), np.errstate(all="ignore"):
            run(g, argument)
        del g
        assert [reference() for reference in nodes] == [None] * len(nodes)
    finally:
        gc.enable()


needs_llvmlite = pytest.mark.skipif(find_spec("llvmlite") is None, reason="needs llvmlite")


@pytest.mark.breadth("backend")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "backend", ["auto", "interpreter", "numpy", pytest.param("native", marks=needs_llvmlite)]
)
@pytest.mark.parametrize("what", COMPILED)
def test_a_handled_error_of_compiled_code_keeps_no_graph_alive(what: str, backend: str) -> None:
    check_freed(COMPILED[what], backend)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", INTERPRETED)
def test_a_handled_error_of_a_pass_keeps_no_graph_alive(what: str, tmp_path: Path) -> None:
    check_freed(INTERPRETED[what], str(tmp_path))


def test_what_is_freed_is_seen() -> None:
    """The test of the test: an exception in a variable of its own frame is found out."""

    def keeps(g: Graph, _: str) -> None:
        told = RuntimeError("mine")
        raise told

    with pytest.raises(AssertionError):
        check_freed(("fine", keeps), "")
