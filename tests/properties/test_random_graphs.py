"""Compiled equals interpreted, on whatever graph is drawn."""

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_graphs import COVERED, Recipe, may_hold_bytes, recipes

import miniflow as mf
from miniflow import nodes
from miniflow.graph.plans import ancestors_in_order
from miniflow.ir import check
from miniflow.optimizers import SGD, Adam, AdamW, RMSprop
from miniflow.schedules import CosineDecay

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # the interpreter's overflows
    may_hold_bytes,
]

RELATIVE = {np.dtype(np.float16): 1e-2, np.dtype(np.float32): 1e-3}  # others: 1e-7
EXAMPLES = {"reference": 2, "numpy": 4, "native": 1}  # times the profile's


def backends(test: Any) -> Any:
    """The test on each backend, with its share of the examples; native where llvmlite is there."""
    tests = [
        pytest.param(
            backend,
            marks=pytest.mark.skipif(
                backend == "native" and find_spec("llvmlite") is None, reason="needs llvmlite"
            ),
        )
        for backend in EXAMPLES
    ]
    return pytest.mark.parametrize("backend", tests)(test)


def examples(backend: str) -> settings:
    return settings(max_examples=EXAMPLES[backend] * settings.default.max_examples)


def same(seen: Any, wanted: Any, least: float = 0.0) -> None:
    """The same kind, dtype, shape, and numbers to rounding, at `least` that of what they are of."""
    assert type(seen) is type(wanted)
    assert np.shape(seen) == np.shape(wanted)
    dtype = getattr(wanted, "dtype", None)
    assert getattr(seen, "dtype", None) == dtype
    relative = max(RELATIVE.get(dtype, 1e-7), least)
    scale = float(np.max(np.abs(wanted), initial=1.0))
    np.testing.assert_allclose(seen, wanted, rtol=0, atol=relative * scale)


def differentiable(head: mf.Node) -> list[mf.Node]:
    return [n for n in ancestors_in_order(head) if not isinstance(n, mf.Constant | mf.State)]


@backends
def test_compiled_equals_interpreted(backend: str) -> None:
    @examples(backend)
    @given(recipes(), st.data())
    def run(recipe: Recipe, data: st.DataObject) -> None:
        built = recipe.build()
        heads = data.draw(st.lists(st.sampled_from(built.nodes), max_size=1)) + built.nodes[-1:]
        for head in heads:
            candidates = differentiable(head)
            some = st.lists(st.sampled_from(candidates), unique=True) if candidates else st.just([])
            wrt = data.draw(some)
            compare(head, built.feed, wrt, backend)

    run()


def compare(head: mf.Node, feed: dict[mf.Node, Any], wrt: list[mf.Node], backend: str) -> None:
    f = mf.compile(head, wrt=wrt, backend=backend)
    for _ in range(2):  # the second call finds the first one's buffers
        value, gradients = mf.value_and_grad(head, feed, wrt)
        assume(all(np.all(np.isfinite(g)) for g in gradients))
        assume(all(np.max(np.abs(g), initial=0) < 1e6 for g in gradients))
        compiled = f(feed)
        same(compiled[0] if wrt else compiled, value)
        for seen, wanted in zip(compiled[1] if wrt else [], gradients, strict=bool(wrt)):
            same(seen, wanted)
        feed = {node: np.copy(x) if isinstance(x, np.ndarray) else x for node, x in feed.items()}
    check(f.program)


@backends
def test_upstream_gradients_reach_every_node(backend: str) -> None:
    @examples(backend)
    @given(recipes(most=4), st.data())
    def run(recipe: Recipe, data: st.DataObject) -> None:
        built = recipe.build()
        dummy = mf.DummyGrad(built.nodes[-1])
        value = np.asarray(mf.value(built.nodes[-1], built.feed))
        upstream = np.random.default_rng(value.size).normal(size=value.shape)
        upstream = upstream.astype(value.dtype if value.dtype.kind == "f" else float)
        fed = data.draw(st.sampled_from([upstream, 0.5]))
        wrt = [n for n in differentiable(dummy) if n is not dummy]
        compare(dummy, built.feed | {dummy: fed}, wrt, backend)

    run()


OPTIMIZERS = {
    "SGD": lambda: SGD(0.01),
    "momentum": lambda: SGD(0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": lambda: Adam(0.01, epsilon=1e-3),
    "AdamW, decaying": lambda: AdamW(CosineDecay(0.01, steps=3), epsilon=1e-3),
    "RMSprop": lambda: RMSprop(0.01, epsilon=1e-3),
}


@backends
def test_steps_of_an_optimizer_move_the_parameters_alike(backend: str) -> None:
    @examples(backend)
    @given(recipes(), st.sampled_from(sorted(OPTIMIZERS)))
    def run(recipe: Recipe, name: str) -> None:
        compiled, interpreted = recipe.build(), recipe.build()
        if np.size(mf.value(interpreted.nodes[-1], interpreted.feed)) == 0:
            return  # nothing has no mean
        losses = [
            mf.Mean(mf.Tanh(built.nodes[-1] * mf.Parameter(0.5, "scale")))
            for built in (compiled, interpreted)
        ]
        used = [n for n in differentiable(losses[1]) if isinstance(n, mf.Parameter)]
        step = mf.compile(losses[0], optimizer=OPTIMIZERS[name](), backend=backend)
        optimizer = OPTIMIZERS[name]()
        for _ in range(3):
            value, gradients = mf.value_and_grad(losses[1], interpreted.feed, used)
            if not np.isfinite(value) or any(
                not np.max(np.abs(g), initial=0) < 1e3 for g in gradients
            ):
                return
            same(step(compiled.feed), value, 1e-5)  # parameters may be float32
            optimizer.update(used, gradients)
            for seen, wanted in zip(step.parameters, used, strict=True):
                same(seen.value, wanted.value, 1e-5)
        check(step.program)

    run()


def test_every_built_in_node_is_drawn() -> None:
    assert set(nodes.__all__) <= COVERED
