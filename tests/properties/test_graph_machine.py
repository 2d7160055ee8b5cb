"""Whatever is done to graphs, in whatever order, they compute what plain NumPy computes.

A machine builds nodes, feeds, differentiates, compiles, saves, loads, drops heads and collects
garbage, as Hypothesis draws it, and keeps a mirror: a list of what each node is made of, without a
node in it. After each act the result is compared with the mirror's, evaluated by NumPy alone;
gradients are compared with the mirror's central differences. HYPOTHESIS_PROFILE=thorough makes it a
thousand stories in place of a few.
"""

import gc
import pathlib
import tempfile
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from conformance import activations, elementwise, printed
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

import miniflow as mf
from miniflow.optimizers import SGD

LARGEST = 50.0  # numbers stay below it, so that differences stay precise
H = 1e-6
Array = np.ndarray[Any, Any]


class Kind(NamedTuple):
    """A node class, and what it computes in plain NumPy."""

    build: Callable[..., mf.Node]
    formula: Callable[..., Any]
    arity: int


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


KINDS = {
    "Add": Kind(mf.Add, np.add, 2),
    "Sub": Kind(lambda x, y: x - y, np.subtract, 2),
    "Mul": Kind(mf.Mul, np.multiply, 2),
    "raw Add": Kind(printed.Add, np.add, 2),
    "raw Mul": Kind(elementwise.Mul, np.multiply, 2),
    "Neg": Kind(mf.Neg, np.negative, 1),
    "Tanh": Kind(mf.Tanh, np.tanh, 1),
    "raw Tanh": Kind(activations.Tanh, np.tanh, 1),
    "Sigmoid": Kind(mf.Sigmoid, sigmoid, 1),
    "numbers": Kind(lambda x: 2.0 * x - 1.5, lambda x: 2.0 * x - 1.5, 1),
    "Mean": Kind(lambda x: mf.Mean(x, keepdims=True), lambda x: np.mean(x, keepdims=True), 1),
    "MSE": Kind(mf.MSE, lambda x, y: np.mean((x - y) ** 2), 2),
}
ARRAYS = st.tuples(*[st.integers(-24, 24)] * 6).map(lambda n: np.array(n).reshape(2, 3) / 16)

BUILDS = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 3), st.integers(0, 5)),
    min_size=5,
    max_size=12,
)


class Part(NamedTuple):
    """What a node is: its kind (or "input", "parameter"), its operands' numbers, and its shadow."""

    kind: str
    operands: tuple[int, ...]
    alive: Callable[[], mf.Node | None]


class Compiled(NamedTuple):
    """A compiled step: of which head, with respect to which nodes."""

    head: int
    wrt: list[int]
    step: Any


class Saved(NamedTuple):
    """A loaded model: of which head, and the parameters as they were."""

    head: int
    inputs: list[int]
    model: mf.Model
    parameters: dict[int, Array]


class Graphs(RuleBasedStateMachine):
    """Graphs, and their mirror. Bundles hold numbers, so that nothing but `held` holds a node."""

    nodes = Bundle("nodes")
    steps = Bundle("steps")
    models = Bundle("models")

    def __init__(self) -> None:
        RuleBasedStateMachine.__init__(self)
        self.parts: list[Part] = []
        self.held: dict[int, mf.Node] = {}
        self.values: dict[int, Array] = {}  # of inputs and parameters
        self.compiled: list[Compiled | None] = []
        self.folder = tempfile.TemporaryDirectory()
        gc.freeze()  # collecting garbage looks through this story's objects alone

    def teardown(self) -> None:
        self.folder.cleanup()

    # --- The mirror

    def leads_to(self, head: int) -> list[int]:
        """The numbers of all nodes that a head is made of, operands first."""
        found, waiting = set(), [head]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                waiting += self.parts[number].operands
        return sorted(found)

    def mirrored(self, head: int, values: dict[int, Array]) -> Any:
        """The value of a head, by NumPy alone."""
        results: dict[int, Any] = {}
        for number in self.leads_to(head):
            kind, operands, _ = self.parts[number]
            operand_values = [results[operand] for operand in operands]
            results[number] = (
                KINDS[kind].formula(*operand_values) if kind in KINDS else values[number]
            )
        return results[head]

    def differences(self, head: int, leaf: int) -> Array:
        """The central differences of a head's sum, entry by entry of an input or a parameter."""
        gradient = np.zeros_like(self.values[leaf])
        for index in np.ndindex(gradient.shape):
            sides = []
            for step in (H, -H):
                moved = self.values[leaf].copy()
                moved[index] += step
                sides.append(np.sum(self.mirrored(head, self.values | {leaf: moved})))
            gradient[index] = (sides[0] - sides[1]) / (2 * H)
        return gradient

    def leaves(self, head: int, kind: str = "") -> list[int]:
        return [
            n
            for n in self.leads_to(head)
            if self.parts[n].kind not in KINDS and kind in self.parts[n].kind
        ]

    def some_leaves(self, head: int, data: st.DataObject) -> list[int]:
        """All of them in any order, or some."""
        leaves = self.leaves(head)
        return data.draw(st.permutations(leaves) | st.lists(st.sampled_from(leaves), unique=True))

    def feed(self, head: int) -> dict[mf.Node, Any]:
        return {self.alive(n): self.values[n] for n in self.leaves(head, "input")}

    def alive(self, number: int) -> mf.Node:
        node = self.parts[number].alive()
        assert node is not None
        return node

    def add(self, kind: str, operands: tuple[int, ...], node: mf.Node) -> int:
        number = len(self.parts)
        self.parts.append(Part(kind, operands, weakref.ref(node)))
        self.held[number] = node
        return number

    # --- What is done

    @initialize(target=nodes, x=ARRAYS, y=ARRAYS, w=ARRAYS, first=BUILDS)
    def begin(self, x: Array, y: Array, w: Array, first: list[tuple[str, int, int]]) -> Any:
        """A story begins with a graph in which something can go wrong, seen from all sides: a few
        nodes on each other, counted from the last one back.
        """
        self.add_input(x), self.add_input(y), self.add_parameter(w)
        for kind, *back in first:
            count = len(self.parts)
            self.build_on(kind, *(count - 1 - steps % count for steps in back))
        head = max(self.held, key=lambda number: (len(self.leads_to(number)), number))
        for wrt in (self.leaves(head), self.leaves(head)[::-1]):
            self.check_interpreted(head, wrt)
            self.check_compiled(self.compiled_step(head, wrt))
            self.compiled[-1] = None
        self.check_model(self.saved_model(head))
        self.check_learning(head, 0.125)
        return multiple(*self.held)

    def add_input(self, value: Array) -> int:
        self.values[len(self.parts)] = value
        return self.add("input", (), mf.Input(f"x{len(self.parts)}"))

    def add_parameter(self, value: Array) -> int:
        self.values[len(self.parts)] = value.copy()
        return self.add("parameter", (), mf.Parameter(value, f"w{len(self.parts)}"))

    @rule(target=nodes, value=ARRAYS, is_parameter=st.booleans())
    def add_leaf(self, value: Array, is_parameter: bool) -> int:
        return self.add_parameter(value) if is_parameter else self.add_input(value)

    @rule(target=nodes, kind=st.sampled_from(sorted(KINDS)), x=nodes, y=nodes)
    def build(self, kind: str, x: int, y: int) -> Any:
        built = self.build_on(kind, x, y)
        return multiple() if built is None else built

    def build_on(self, kind: str, x: int, y: int) -> int | None:
        """The number of a new node; None if its numbers would be too large, or it cannot be."""
        operands = (x, y)[: KINDS[kind].arity]
        given = [self.mirrored(operand, self.values) for operand in operands]
        if not np.all(np.abs(KINDS[kind].formula(*given)) < LARGEST):
            return None
        broadcasts = kind != "MSE" and "raw" not in kind  # classes in the lab's style do not
        if not broadcasts and len({np.shape(value) for value in given}) > 1:
            return None
        return self.add(kind, operands, KINDS[kind].build(*(self.held[o] for o in operands)))

    @rule(node=nodes, value=ARRAYS)
    def feed_or_set(self, node: int, value: Array) -> None:
        if self.parts[node].kind == "input":
            self.values[node] = value
        elif self.parts[node].kind == "parameter":
            self.values[node] = value.copy()
            self.held[node].value[...] = value

    @rule(head=nodes)
    def run_forward(self, head: int) -> None:
        same(mf.value(self.held[head], self.feed(head)), self.mirrored(head, self.values))

    @rule(head=nodes, data=st.data())
    def differentiate(self, head: int, data: st.DataObject) -> None:
        self.check_interpreted(head, self.some_leaves(head, data))

    def check_interpreted(self, head: int, wrt: list[int]) -> None:
        asked = [self.alive(n) for n in wrt]
        value, gradients = mf.value_and_grad(self.held[head], self.feed(head), asked)
        same(value, self.mirrored(head, self.values))
        self.check_gradients(head, wrt, gradients)

    def check_gradients(self, head: int, wrt: list[int], gradients: list[Any]) -> None:
        for leaf, gradient in zip(wrt, gradients, strict=True):
            expected = self.differences(head, leaf)
            scale = 1 + float(np.max(np.abs(expected)))
            np.testing.assert_allclose(gradient, expected, rtol=0, atol=3e-5 * scale)

    @rule(node=consumes(nodes))
    def drop(self, node: int) -> None:
        del self.held[node]

    @rule()
    def collect_garbage(self) -> None:
        gc.collect()

    @rule(target=steps, head=nodes, data=st.data())
    def compile(self, head: int, data: st.DataObject) -> int:
        return self.compiled_step(head, self.some_leaves(head, data))

    def compiled_step(self, head: int, wrt: list[int]) -> int:
        asked = [self.alive(n) for n in wrt]
        step = mf.compile(self.held[head], wrt=asked, backend="numpy")
        self.compiled.append(Compiled(head, wrt, step))
        return len(self.compiled) - 1

    @rule(number=steps)
    def run_compiled(self, number: int) -> None:
        self.check_compiled(number)

    def check_compiled(self, number: int) -> None:
        compiled = self.compiled[number]
        assert compiled is not None
        head, wrt, step = compiled  # the step holds its graph, whoever else has dropped it
        result = step(self.feed(head))
        value, gradients = result if wrt else (result, [])
        same(value, self.mirrored(head, self.values))
        self.check_gradients(head, wrt, gradients)

    @rule(number=consumes(steps))
    def forget_compiled(self, number: int) -> None:
        self.compiled[number] = None

    @precondition(lambda self: any(part.kind == "parameter" for part in self.parts))
    @rule(head=nodes, lr=st.sampled_from([0.0, 0.125]))
    def learn(self, head: int, lr: float) -> None:
        self.check_learning(head, lr)

    def check_learning(self, head: int, lr: float) -> None:
        parameters = self.leaves(head, "parameter")
        if not parameters:
            return
        loss = mf.Mean(mf.Tanh(self.held[head]))
        step = mf.compile(loss, optimizer=SGD(lr), backend="numpy")
        number = self.add("Tanh", (head,), loss.inbound_nodes[0])
        expected = {
            n: self.values[n] - lr * self.differences(number, n) / self.size(number)
            for n in parameters
        }
        same(step(self.feed(head)), np.mean(self.mirrored(number, self.values)))
        del self.held[number]
        for n in parameters:
            moved = self.alive(n).value
            np.testing.assert_allclose(moved, expected[n], rtol=0, atol=1e-6)
            self.values[n] = np.array(moved)

    def size(self, number: int) -> int:
        return int(np.size(self.mirrored(number, self.values)))

    @rule(target=models, head=nodes)
    def save_and_load(self, head: int) -> Saved:
        return self.saved_model(head)

    def saved_model(self, head: int) -> Saved:
        inputs = self.leaves(head, "input")
        path = pathlib.Path(self.folder.name, "model.safetensors")
        mf.save(self.held[head], path, {self.alive(n): self.values[n] for n in inputs})
        first = path.read_bytes()
        mf.save(self.held[head], path, {self.alive(n): self.values[n] for n in inputs})
        assert path.read_bytes() == first
        parameters = {n: self.values[n].copy() for n in self.leaves(head, "parameter")}
        return Saved(head, inputs, mf.load(path, "numpy"), parameters)

    @rule(saved=models)
    def call_model(self, saved: Saved) -> None:
        self.check_model(saved)

    def check_model(self, saved: Saved) -> None:
        head, inputs, model, parameters = saved
        seen = model(*(self.values[n] for n in inputs))
        same(seen, self.mirrored(head, self.values | parameters))

    # --- What always holds

    @invariant()
    def what_nobody_holds_is_freed_at_once(self) -> None:
        roots = [*self.held, *(compiled.head for compiled in self.compiled if compiled)]
        needed = {number for root in roots for number in self.leads_to(root)}
        assert {n for n, part in enumerate(self.parts) if part.alive() is not None} == needed

    @invariant()
    def consumers_that_live_are_known_to_their_inputs(self) -> None:
        for number, node in self.held.items():
            seen = list(map(id, node.outbound_nodes))
            assert len(seen) == len(set(seen))
            for part in self.parts:
                consumer = part.alive()
                if number in part.operands and consumer is not None and part.kind != "numbers":
                    assert id(consumer) in seen


def same(seen: Any, expected: Any) -> None:
    assert np.shape(seen) == np.shape(expected)
    np.testing.assert_allclose(seen, expected, rtol=1e-9, atol=1e-9)


TestGraphs = Graphs.TestCase
TestGraphs.settings = settings(stateful_step_count=15)
