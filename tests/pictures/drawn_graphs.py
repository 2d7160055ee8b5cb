"""The graphs of the snapshots, and random ones: what several of the tests of pictures draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

import miniflow as mf
from miniflow import ir
from miniflow.backends import Buffers
from miniflow.graph import Node
from miniflow.pictures import Drawing, draw
from miniflow.pictures.layout import Box, Group, Link
from miniflow.pictures.program import program_figure


def case_study() -> tuple[Node, dict[str, Node]]:
    """The function f = x·y + x·z, at x = 3, y = 4, z = −5."""
    x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
    g, h = mf.Mul(x, y, name="g"), mf.Mul(x, z, name="h")
    f = mf.Add(g, h, name="f")
    mf.value_and_grad(f, {x: 3, y: 4, z: -5}, wrt=[x, y, z])
    return f, {"x": x, "y": y, "z": z, "g": g, "h": h}


def linear() -> tuple[Node, dict[str, Node]]:
    """Z = X W + b on 2×2 matrices, with a fed upstream gradient: the lab's example."""
    X, W, b = mf.Input("X"), mf.Input("W"), mf.Input("b")
    Z = mf.Linear(X, W, b, name="Z")
    dummy = mf.DummyGrad(Z)
    feed = {
        X: np.array([[-1.0, -2.0], [-1.0, -2.0]]),
        W: np.array([[2.0, -3.0], [2.0, -3.0]]),
        b: np.array([-3.0, -5.0]),
        dummy: np.array([[1.0, 2.0], [3.0, 4.0]]),
    }
    mf.value_and_grad(dummy, feed, wrt=[X, W, b])
    return dummy, {"X": X, "W": W, "b": b, "Z": Z}


def cross_entropy() -> tuple[Node, dict[str, Node]]:
    """The loss of one example with three classes: the lab's example."""
    x, y = mf.Input("x"), mf.Input("y")
    loss = mf.CrossEntropyWithSoftmax(x, y, name="L")
    mf.value_and_grad(loss, {x: np.array([[0.5, 1.0, 1.5]]), y: np.array([1])}, wrt=[x])
    return loss, {"x": x, "y": y}


def network(run: bool = True) -> Node:
    """Two layers, wide enough for summaries and heat maps."""
    X, labels = mf.Input("X"), mf.Input("labels")
    W1, b1 = mf.Parameter(_waves(20, 8), "W1"), mf.Parameter(np.zeros(8), "b1")
    W2, b2 = mf.Parameter(_waves(8, 3), "W2"), mf.Parameter(np.zeros(3), "b2")
    hidden = mf.ReLU(mf.Linear(X, W1, b1, name="hidden"))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(hidden, W2, b2, name="logits"), labels, name="loss")
    if run:
        mf.value_and_grad(loss, {X: _waves(6, 20), labels: np.array([0, 1, 2, 0, 1, 2])}, ())
    return loss


def _waves(rows: int, columns: int) -> np.ndarray:
    """Numbers without a pattern that are the same on every machine: multiples of 1/64."""
    return (np.arange(rows * columns) * 37 % 128 - 64).reshape(rows, columns) / 64


def weights(*shape: int, name: str | None = None) -> Node:
    return mf.Parameter(np.zeros(shape), name)


def residual(blocks: int, names: bool = True) -> Node:
    """A row of residual blocks, with names like "block1/expand" or without any."""
    t: Node = mf.Input("x")
    for i in range(1, blocks + 1):
        b = f"block{i}/" if names else ""

        def name(part: str, b: str = b) -> str | None:
            return b + part if b else None

        inner = mf.Linear(t, weights(4, 8, name=name("W1")), weights(8, name=name("b1")))
        inner.name = name("expand")
        outer = mf.Linear(
            mf.ReLU(inner), weights(8, 4, name=name("W2")), weights(4, name=name("b2"))
        )
        outer.name = name("contract")
        t = mf.Add(t, outer, name=name("sum"))
    return t


def recurrent(steps: int) -> Node:
    """A recurrent network, unrolled: every step reads the same weights."""
    W, U, b = weights(4, 4, name="W"), weights(4, 4, name="U"), weights(4, name="b")
    h: Node = mf.Input("h0")
    for i in range(1, steps + 1):
        h = mf.Tanh(mf.Add(mf.Linear(mf.Input(f"x{i}"), W, b), mf.MatMul(h, U)), name=f"h{i}")
    return h


def two_heads() -> Drawing:
    h = mf.Input("h")
    return draw(mf.Sum(h * 2.0, name="head 1"), mf.Mean(mf.Exp(h), name="head 2"))


def diamonds(count: int) -> Node:
    a: Node = mf.Input("a")
    for _ in range(count):
        a = mf.Add(mf.Tanh(a), mf.Neg(a))
    return a


def attention() -> Node:
    """Frames within frames."""
    x = mf.Input("x")
    q, k, v = (
        mf.MatMul(x, weights(4, 4, name=f"attention/W{c}"), name=f"attention/{c}") for c in "qkv"
    )
    scores = mf.Softmax(mf.MatMul(q, mf.Transpose(k), name="attention/mix/scores"))
    scores.name = "attention/mix/shares"
    mixed = mf.MatMul(scores, v, name="attention/mix/mixed")
    return mf.Add(x, mixed, name="sum")


def step() -> ir.Program:
    """The loss Σ (X W), its gradient and a step of gradient descent."""
    b = ir.Builder()
    f32 = ir.ValueType
    forward, loss = ir.Origin("MatMul 'Z'", index=1), ir.Origin("Sum 'loss'", index=2)
    backward = ir.Origin("MatMul 'Z'", phase="backward", index=1)
    update = ir.Origin("SGD", phase="update")
    X = b.input(f32("f32", (8, 4)), name="X")
    W = b.input(f32("f32", (4, 2)), role="parameter", name="W")
    Z = b.add("matmul", (X, W), origin=forward, name="Z")
    total = b.add("sum", (Z,), {"axis": (0, 1), "keepdims": False}, origin=loss, name="loss")
    ones = b.add("full", (1.0,), {"shape": (8, 2), "dtype": "f32"}, origin=backward)
    transposed = b.add("transpose", (X,), {"axes": (1, 0)}, origin=backward)
    dW = b.add("matmul", (transposed, ones), origin=backward, name="dW")
    new = b.add("subtract", (W, dW), origin=update, name="W_new")
    outputs = [ir.Output(total), ir.Output(new, "parameter", replaces=W)]
    return b.program(outputs)


@dataclass
class Told:
    """What an executable says of itself; it cannot run."""

    groups: tuple[tuple[ir.Equation, ...], ...]
    buffers: Buffers
    backend: str = "native"


def figure_told(program: ir.Program, *groups: Any, buffers: Buffers | None = None) -> Any:
    """The figure of a program that is run in these groups and buffers."""
    told: Any = Told(tuple(map(tuple, groups)), buffers or Buffers())
    return program_figure(program, executable=told)


def _program() -> Drawing:
    """With two equations fused, and two buffers."""
    program = step()
    made = [equation.result for equation in program.equations]
    buffers = Buffers((64, 64), {made[0]: 0, made[2]: 1, made[4]: 0})
    return Drawing(figure_told(program, program.equations[:2], buffers=buffers))


def _chain() -> Drawing:
    x = mf.Input("x")
    return draw(mf.Exp(mf.Neg(mf.Tanh(x, name="t"))))


def _case_paths() -> Drawing:
    f, nodes = case_study()
    return draw(f, paths=(nodes["x"], f))


def _linear_paths() -> Drawing:
    dummy, nodes = linear()
    return draw(dummy, elements=True, paths=((nodes["X"], 0, 0), nodes["Z"]))


def _cross_entropy_entries() -> Drawing:
    loss, _ = cross_entropy()
    return draw(loss, elements=True)


SNAPSHOTS: dict[str, Callable[[], Drawing]] = {
    "chain": _chain,
    "diamonds": lambda: draw(diamonds(2), direction="down"),
    "two_heads": two_heads,
    "case_study": lambda: draw(case_study()[0]),
    "chain_rule": _case_paths,
    "two_layer_network": lambda: draw(network()),
    "two_layer_network_not_run": lambda: draw(network(run=False)),
    "residual": lambda: draw(residual(2), values=False),
    "residual_closed": lambda: draw(residual(5, names=False), groups="closed"),
    "recurrent": lambda: draw(recurrent(3), values=False),
    "attention": lambda: draw(attention(), values=False),
    "linear_entries": _linear_paths,
    "cross_entropy_entries": _cross_entropy_entries,
    "program": _program,
}


def random_boxes(seed: int) -> tuple[list[Box], list[Link], list[Group]]:
    """A random graph to lay out: sizes, labels, links used twice, and on every third one groups.

    Groups are runs of the order, so that no path leaves one and comes back.
    """
    random = Random(seed)
    count = random.randint(1, 30)
    groups, group_of = [], {}
    if seed % 3 == 0 and count > 6:
        groups = [Group("outer", (60, 18)), Group("inner", (40, 18), "outer")]
        start = random.randint(0, count - 6)
        for index in range(start, min(count, start + 9)):
            group_of[index] = "inner" if start + 2 <= index < start + 5 else "outer"
    boxes = [
        Box(i, random.randint(20, 160), random.randint(16, 120), group_of.get(i))
        for i in range(count)
    ]
    links = []
    for target in range(1, count):
        reach = target if random.random() < 0.15 else 6
        for _ in range(random.choice([0, 1, 1, 2, 3])):
            source = random.randint(max(0, target - reach), target - 1)
            label = (
                (random.randint(20, 90), 20) if seed % 4 == 0 and random.random() < 0.4 else None
            )
            links.append(Link(source, target, label))
    return boxes, links, groups


def random_graph(seed: int, names: Sequence[str]) -> list[Node]:
    """A random graph with one or two outputs; some of its nodes have one of these names."""
    random = Random(seed)
    nodes: list[Node] = [mf.Input(random.choice(names)), mf.Parameter(np.ones(2), "a/W")]
    for _ in range(random.randint(0, 12)):
        name = random.choice([None, *names])
        kind, count = random.choice([(mf.Exp, 1), (mf.Neg, 1), (mf.Add, 2), (mf.Mul, 2)])
        group = random.choice(["", "", "a/", "b/c/"])
        node = kind(*random.choices(nodes, k=count))
        node.name = group + name if name else None
        nodes.append(node)
    return random.sample(nodes, random.randint(1, 2))
