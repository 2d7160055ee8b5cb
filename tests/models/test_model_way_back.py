"""Model files: the program of the way back, which is the nodes' own `backward`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_models import classifier, images, parts, refusal, saved, written

import miniflow as mf
from miniflow.files.arrays import read_arrays
from miniflow.ir.evaluate import evaluate


def gradient_of(model: mf.Model, *arguments: Any) -> Any:
    assert model.backward_program is not None
    (gradient,) = evaluate(model.backward_program, arguments)
    return gradient


def test_the_way_back_is_the_nodes_own(tmp_path: Path) -> None:
    X, _, logits, _ = classifier()
    model = saved(logits, tmp_path, {X: images(7)})
    x, upstream = images(1), np.array([[0.5, -2.0, 1.0]])
    _, (expected,) = mf.value_and_grad(end := mf.DummyGrad(logits), {X: x, end: upstream}, wrt=[X])
    np.testing.assert_allclose(gradient_of(model, x, upstream), expected)


def test_the_way_back_through_a_class_of_ones_own_is_that_classes(tmp_path: Path) -> None:
    class Tripled(mf.Node):
        def __init__(self, x: mf.Node) -> None:
            mf.Node.__init__(self, [x])

        def forward(self) -> None:
            self.value = 3 * self.inbound_nodes[0].value

        def backward(self) -> None:
            (x,) = self.inbound_nodes
            self.gradients = {x: sum(100 * n.gradients[self] for n in self.outbound_nodes)}

    X = mf.Input("X")
    model = saved(Tripled(X), tmp_path, {X: images(2)})
    upstream = np.arange(6.0)[None]
    np.testing.assert_array_equal(gradient_of(model, images(1), upstream), 100 * upstream)


def test_the_way_back_begins_at_a_class_that_insists_on_being_last(tmp_path: Path) -> None:
    class Last(mf.Node):
        def __init__(self, x: mf.Node) -> None:
            mf.Node.__init__(self, [x])

        def forward(self) -> None:
            assert len(self.outbound_nodes) == 0
            self.value = 2 * self.inbound_nodes[0].value

        def backward(self) -> None:
            assert len(self.outbound_nodes) == 0
            for consumer in self.outbound_nodes:
                grad = consumer.gradients[self]
                grad *= 2  # in place: what it is handed is an array of its own
                self.gradients = {self.inbound_nodes[0]: grad}

    X = mf.Input("X")
    model = saved(Last(X), tmp_path, {X: images(2)})
    upstream = np.arange(6.0)[None]
    np.testing.assert_array_equal(gradient_of(model, images(1), upstream), 2 * upstream)


def test_what_has_no_way_back_is_saved_without(tmp_path: Path) -> None:
    class OneWay(mf.Node):
        def __init__(self, x: mf.Node) -> None:
            mf.Node.__init__(self, [x])

        def forward(self) -> None:
            self.value = self.inbound_nodes[0].value + 1

        def backward(self) -> None:
            raise NotImplementedError

    X = mf.Input("X")
    model = saved(OneWay(X), tmp_path, {X: images(2)})
    assert model.backward_program is None
    np.testing.assert_array_equal(model(images(3)), images(3) + 1)


def test_the_way_back_stores_no_array_twice(tmp_path: Path) -> None:
    X, _, logits, _ = classifier()
    saved(logits, tmp_path, {X: images(2)})
    arrays, about = read_arrays(tmp_path / "model.safetensors", "model")
    assert set(about["backward"]["arrays"]) <= arrays.keys()
    assert len(arrays) == 4


def test_a_file_from_before_there_was_a_way_back_is_read(tmp_path: Path) -> None:
    arrays, about = parts(tmp_path)
    del about["backward"]
    path = tmp_path / "old.safetensors"
    path.write_bytes(written(arrays, about))
    model = mf.load(path)
    assert model.backward_program is None
    assert model(images(2)).shape == (2, 3)


@pytest.mark.parametrize(
    ("where", "to", "message"),
    [
        (("arrays", 0), "missing", "its backward program is none"),
        (("arrays",), 5, "its backward program is none"),
        (("program", "outputs", 0, 1), "value", "does not belong to its forward program"),
        (("program", "inputs", 0, 0, 1, 1), 5, "damaged"),
        ((), "nothing", "its backward program is none"),
    ],
)
def test_a_damaged_way_back_is_refused(
    where: tuple[Any, ...], to: Any, message: str, tmp_path: Path
) -> None:
    arrays, about = parts(tmp_path)
    place: Any = about
    for step in ("backward", *where)[:-1]:
        place = place[step]
    place[("backward", *where)[-1]] = to
    assert message in str(refusal(tmp_path / "model.safetensors", written(arrays, about)))
