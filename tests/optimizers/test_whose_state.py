"""What an optimizer remembers belongs to the parameters that it has moved."""

import copy
import pathlib
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blobs import problem

import miniflow as mf
from miniflow.errors import GraphError
from miniflow.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from miniflow.schedules import StepDecay

REMEMBERING: dict[str, Callable[[], Optimizer]] = {
    "a schedule": lambda: SGD(StepDecay(0.1, every=2)),
    "momentum": lambda: SGD(0.1, momentum=0.9),
    "Adam": lambda: Adam(0.1),
    "AdamW": lambda: AdamW(0.1),
    "RMSprop": lambda: RMSprop(0.1),
}


def line(name: str = "W") -> tuple[mf.Node, mf.Input, mf.Parameter]:
    """A loss, what it is fed and its one parameter."""
    x, W = mf.Input("x"), mf.Parameter(np.array([1.0, 2.0]), name)
    return mf.Mean((x * W - 1.0) ** 2), x, W


def by_hand(optimizer: Any, loss: mf.Node, x: mf.Input, W: mf.Parameter) -> None:
    _, gradients = mf.value_and_grad(loss, {x: np.ones((3, 2))}, wrt=[W])
    optimizer.update([W], gradients)


def by_a_step(optimizer: Any, loss: mf.Node, x: mf.Input, W: mf.Parameter) -> None:
    mf.compile(loss, optimizer=optimizer, backend="numpy")({x: np.ones((3, 2))})


def by_groups(optimizer: Any, loss: mf.Node, x: mf.Input, W: mf.Parameter) -> None:
    step = mf.compile(loss, optimizer=[(optimizer, [W])], backend="reference")
    step({x: np.ones((3, 2))})


def by_fit(backend: str) -> Callable[..., None]:
    def run(optimizer: Any, loss: mf.Node, x: mf.Input, W: mf.Parameter) -> None:
        data = {x: np.ones((3, 2))}
        mf.fit(loss, data, optimizer, epochs=1, progress="none", backend=backend)

    return run


WAYS = {
    "update": by_hand,
    "a compiled step": by_a_step,
    "groups": by_groups,
    "fit, compiled": by_fit("numpy"),
    "fit, interpreted": by_fit("interpreter"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", REMEMBERING)
def test_another_network_does_not_go_on_with_the_moments_of_the_first(kind: str, way: str) -> None:
    optimizer, first, second = REMEMBERING[kind](), line("first"), line("second")
    WAYS[way](optimizer, *first)
    before = {name: array.copy() for name, array in optimizer.state.items()}
    with pytest.raises(GraphError, match=r"belongs to Parameter 'first' .*move Parameter 'second'"):
        WAYS[way](optimizer, *second)
    assert second[2].value.tolist() == [1.0, 2.0]
    assert all(np.array_equal(optimizer.state[name], array) for name, array in before.items())
    optimizer.state = {}
    WAYS[way](optimizer, *second)
    fresh, third = REMEMBERING[kind](), line("third")
    WAYS[way](fresh, *third)
    assert second[2].value.tolist() == third[2].value.tolist()
    with pytest.raises(GraphError, match=r"belongs to Parameter 'second'"):
        WAYS[way](optimizer, *first)


@pytest.mark.parametrize("kind", REMEMBERING)
def test_training_the_same_network_in_one_way_and_in_another_goes_on(kind: str) -> None:
    optimizer, network = REMEMBERING[kind](), line()
    straight, other = REMEMBERING[kind](), line()
    for _ in range(2 * len(WAYS)):
        by_hand(straight, *other)
    for way in (*WAYS.values(), *WAYS.values()):
        way(optimizer, *network)
    np.testing.assert_allclose(network[2].value, other[2].value, rtol=1e-12)


def test_the_places_of_parameters_count() -> None:
    a, b = mf.Parameter(1.0, "a"), mf.Parameter(1.0, "b")
    optimizer = SGD(0.1, momentum=0.9)
    optimizer.update([a, b], [1.0, 1.0])
    with pytest.raises(GraphError, match=r"belongs to Parameter 'a' .*move Parameter 'b'"):
        optimizer.update([b, a], [1.0, 1.0])
    a.trainable = False
    optimizer.update([a, b], [None, 1.0])
    assert float(b.value) == pytest.approx(1.0 - 0.1 - 0.19)


def test_a_network_that_is_gone_is_named_still() -> None:
    optimizer = Adam()
    by_hand(optimizer, *line("forgotten"))
    with pytest.raises(GraphError, match="belongs to Parameter 'forgotten'"):
        by_hand(optimizer, *line())


def test_what_remembers_nothing_moves_any_network() -> None:
    optimizer, networks = SGD(0.1), [line(), line()]
    for network in networks:
        by_hand(optimizer, *network)
        by_a_step(optimizer, *network)
    assert networks[0][2].value.tolist() == networks[1][2].value.tolist()


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],
    ids=["deep copy", "pickle"],
)
def test_a_copy_goes_on_with_whoever_comes_first(copied: Any) -> None:
    optimizer, first, second = Adam(), line(), line()
    by_hand(optimizer, *first)
    other = copied(optimizer)
    by_hand(other, *second)
    assert float(other.state["step"]) == 2.0
    with pytest.raises(GraphError, match="its state belongs"):
        by_hand(other, *first)


def test_state_can_be_handed_on_with_a_word() -> None:
    optimizer, first, second = Adam(), line(), line()
    by_hand(optimizer, *first)
    optimizer.state = dict(optimizer.state)
    by_hand(optimizer, *second)
    assert float(optimizer.state["step"]) == 2.0


@pytest.mark.parametrize("backend", ["interpreter", "numpy"])
def test_a_graph_that_was_built_again_resumes_with_the_optimizer_that_there_is(
    backend: str, tmp_path: pathlib.Path
) -> None:
    def train(p: Any, optimizer: Any, epochs: int, **options: Any) -> None:
        options |= {"batch_size": 16, "rng": 3, "progress": "none", "backend": backend}
        mf.fit(p.loss, p.data, optimizer, epochs=epochs, **options)

    path = tmp_path / "checkpoint.safetensors"
    straight, first, again = problem(), problem(), problem(seed=99)
    train(straight, Adam(0.02), 4)
    optimizer = Adam(0.02)
    train(first, optimizer, 2, checkpoint=path)
    with pytest.raises(GraphError, match="its state belongs"):
        train(again, optimizer, 2)
    train(again, optimizer, 4, checkpoint=path, resume=True)
    assert again.bytes() == straight.bytes()


def test_a_checkpoint_that_is_refused_leaves_the_state_with_its_owners(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "checkpoint.safetensors"
    first, other = line("first"), line("other")
    feed = {first[1]: np.ones((3, 2))}
    mf.fit(first[0], feed, Adam(0.02), checkpoint=path, progress="none")
    optimizer = RMSprop(0.1)
    by_hand(optimizer, *first)
    fed = {other[1]: np.ones((3, 2))}
    with pytest.raises(mf.MiniflowError, match="belongs to another training"):
        mf.fit(other[0], fed, optimizer, checkpoint=path, resume=True, progress="none")
    with pytest.raises(GraphError, match="its state belongs to Parameter 'first'"):
        by_hand(optimizer, *other)
