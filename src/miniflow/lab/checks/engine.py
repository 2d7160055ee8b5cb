"""The check of `engine`: the order of nodes, the walk forward and back, and all of it together."""

from collections.abc import Mapping, Sequence
from typing import Any

import miniflow as mf
from miniflow.lab.answers import short_repr
from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.comparing import agree

exercise = Exercise(
    "engine",
    title="The engine: in which order, and back",
    chapter=4,
    file="engine.py",
    needs=("mul",),
    hints=(
        "order: a function within it that writes one node down, but first its inbound nodes, and "
        "only if it does not stand there yet. backward: two loops; the first looks for consumers "
        "that are not in the list, the second goes through reversed(nodes).",
        "forward: node.forward(feed[node]) if node in feed, else node.forward(). backward, first "
        "loop: consumer.gradients = {inbound: 0 for inbound in consumer.inbound_nodes}. For "
        "question 3: in the second pass g and h have twice their gradients, and x has -1 already.",
        "order: nodes = []; def write_down(node): if node not in nodes: for inbound in "
        "node.inbound_nodes: write_down(inbound); then nodes.append(node). value_and_grad: nodes = "
        "order(Seed(output)); forward(nodes, feed); backward(nodes); and of each node in wrt "
        "sum(n.gradients[node] for n in node.outbound_nodes).",
    ),
)


@exercise.part("the questions on the diamond, the node beside it, the zeros", points=3)
def questions(work: Work) -> None:
    work.answer(
        "nodes_in_order",
        6,
        mistakes=[
            Mistake("x stands in it once, although two paths lead to it.", 7),
            Mistake("f does not need e, so e is not in it.", when=lambda given: given in (7, 8)),
            Mistake("those are the inputs; g, h and f are nodes, too.", 3),
            Mistake("f itself is the last of them.", 5),
        ],
    )
    work.answer(
        "consumers_that_hand_back_0",
        1,
        mistakes=[
            Mistake("f depends on g and on h: what they hand back is y and z.", 2),
            Mistake("which of g, h and e does f not need?", 0),
            Mistake("f depends on g and on h: what they hand back is y and z.", 3),
        ],
    )
    work.answer(
        "gradient_of_x_in_the_second_pass",
        -3,
        mistakes=[
            Mistake("that would be with zeros made anew: x has -1 from the first pass.", -1),
            Mistake("g and h hand back twice as much: -2, on top of the -1 that x has.", -2),
            Mistake("that is what the third pass says.", -6),
        ],
    )


# --- Graphs to walk through

MOST_ASKED = 10_000
TURNED = "the walk goes from the last node to the first: reversed(nodes)."


class Numbers:
    """f = x*y + x*z, and beside it e = x + x, which f does not need; all of the library's nodes."""

    def __init__(self, nodes: Any = mf) -> None:
        self.x, self.y, self.z = nodes.Input("x"), nodes.Input("y"), nodes.Input("z")
        self.g = nodes.Mul(self.x, self.y, "g")
        self.h = nodes.Mul(self.x, self.z, "h")
        self.f = nodes.Add(self.g, self.h, "f")
        self.e = nodes.Add(self.x, self.x, "e")

    def feed(self, x: float, y: float, z: float) -> dict[Any, float]:
        return {self.x: x, self.y: y, self.z: z}


def named(nodes: Sequence[Any]) -> str:
    """Nodes as a learner reads them: x, y, g."""
    return ", ".join(node.name or type(node).__name__ for node in nodes)


@exercise.part("order: each node once, after its inbound nodes, and no other", points=3)
def order(work: Work) -> None:
    function = work.get("order")
    numbers = Numbers()
    require_order(
        work, function, numbers.f, "f = Add(Mul(x, y), Mul(x, z)), beside it e = Add(x, x)"
    )
    require_order(work, function, numbers.x, "x, an Input")
    require_order(work, function, mf.Add(numbers.f, numbers.x, "s"), "s = Add(f, x)")
    doubled: Any = numbers.y
    for number in range(30):
        doubled = Doubled(doubled, work, f"d{number}")
    require_order(work, function, doubled, "30 doublings, one after the other")


class Doubled(mf.Add):
    """node + node, which counts how often it is asked for its inbound nodes: a walk that does not
    look where it has been asks a thousand million times.
    """

    def __init__(self, node: mf.Node, work: Work, name: str) -> None:
        self._work, self._asked = work, 0
        super().__init__(node, node, name)

    @property
    def inbound_nodes(self) -> Any:
        self._asked += 1
        if self._asked > MOST_ASKED:
            self._work.fail(
                "the walk goes along every path, and there are a thousand million: where a node "
                "has been, it need not go again."
            )
        return self._inbound

    @inbound_nodes.setter
    def inbound_nodes(self, nodes: Any) -> None:
        self._inbound = nodes


def require_order(work: Work, function: Any, output: Any, told: str) -> None:
    """Fail unless the nodes that lead to an output come in an order in which each can be called."""
    work.describe(f"order of {told}", function)
    found = function(output)
    if isinstance(found, mf.Node) or not isinstance(found, Sequence):
        wrong = (
            "nothing is returned: end with `return`." if found is None else "order gives a list."
        )
        work.fail(wrong, detail=None if found is None else short_repr(found))
    nodes = list(found)
    if not all(isinstance(node, mf.Node) for node in nodes):
        work.fail("order gives a list of nodes.", detail=short_repr(nodes))
    needed = ancestors(output)
    seen = named(nodes) if len(nodes) < 12 else f"{len(nodes)} nodes"
    twice = next((node for node in nodes if sum(node is other for other in nodes) > 1), None)
    if twice is not None:
        name = named([twice])
        work.fail(f"{name} stands in it twice: each node once, however many paths.", detail=seen)
    beside = [node for node in nodes if not any(node is other for other in needed)]
    if beside:
        work.fail(f"the output does not need {named(beside)}.", detail=seen)
    missing = [node for node in needed if not any(node is other for other in nodes)]
    if missing:
        work.fail(f"{named(missing[:5])}: not in the list, and the output needs it.", detail=seen)
    place = {id(node): number for number, node in enumerate(nodes)}
    for node in nodes:
        for inbound in node.inbound_nodes:
            if place[id(inbound)] > place[id(node)]:
                last = nodes[0] is output and len(nodes) > 1
                turned = " The list is the other way round." if last else ""
                needs = f"{named([node])} comes before {named([inbound])}, whose value it needs."
                work.fail(needs + turned, detail=seen)


def ancestors(output: Any) -> list[Any]:
    """The nodes that lead to an output, and itself, in any order."""
    left, found = [output], list[Any]()
    while left:
        node = left.pop()
        if not any(node is other for other in found):
            found.append(node)
            left.extend(node.inbound_nodes)
    return found


@exercise.part("forward: each node's value, with what is fed", points=1)
def forward(work: Work) -> None:
    function = work.get("forward")
    numbers = Numbers()
    nodes = [numbers.x, numbers.y, numbers.z, numbers.g, numbers.h, numbers.f]
    for x, y, z in ((3.0, 4.0, -5.0), tuple(work.rng.uniform(1, 3, 3))):
        ran = f"forward([x, y, z, g, h, f], {{x: {x:.4g}, y: {y:.4g}, z: {z:.4g}}})"
        work.describe(ran, function)
        try:
            function(nodes, numbers.feed(x, y, z))
        except TypeError as error:
            if numbers.x.value is not None:
                raise
            work.fail(
                "x has no value: what is fed goes to a node's forward, forward(feed[node]).",
                detail=str(error),
            )
        for node, expected in zip(nodes, (x, y, z, x * y, x * z, x * y + x * z), strict=True):
            if node.value is None:
                work.fail(f"{node.name} has no value: its forward was not called.")
            work.compare(node.value, expected, what=f"value of {node.name}")


class Calls:
    """Writes down which nodes have had their `backward` called."""

    def __init__(self, nodes: Sequence[Any]) -> None:
        self.names: list[str] = []
        for node in nodes:
            node.backward = self.noting(node, node.backward)

    def noting(self, node: Any, backward: Any) -> Any:
        def note() -> None:
            self.names.append(node.name or type(node).__name__)
            backward()

        return note


@exercise.part("backward: from the last to the first, zeros from beside", points=2)
def backward(work: Work) -> None:
    function = work.get("backward")
    numbers = Numbers()
    seed = mf.DummyGrad(numbers.f, name="seed")
    nodes = [numbers.x, numbers.y, numbers.z, numbers.g, numbers.h, numbers.f, seed]
    x, y, z = (float(n) for n in work.rng.uniform(1, 3, 3).round(3))
    for left in ({}, {numbers.x: 100.0}):
        run_forward(nodes, {**numbers.feed(x, y, z), seed: 1.0})
        numbers.e.gradients = dict(left)
        calls = Calls(nodes)
        told = "e has run before, and left 100 for x" if left else "e has never run"
        work.describe(f"backward([x, y, z, g, h, f, seed]); {told}", function)
        try:
            function(nodes)
        except KeyError as error:
            if calls.names[:1] == ["x"]:
                work.fail(TURNED)
            if numbers.x in numbers.e.gradients:
                raise
            work.fail(
                "e is a consumer of x and not in the list: it has no gradients until it is given "
                "zeros, before the walk.",
                detail=f"e.gradients[x]: {type(error).__name__}",
            )
        wanted = ["seed", "f", "h", "g", "z", "y", "x"]
        if calls.names == wanted[::-1]:
            work.fail(TURNED)
        if calls.names != wanted:
            said = ", ".join(calls.names) or "none"
            work.fail(
                "each node's backward is called once, from the last to the first.", detail=said
            )
        work.compare(
            numbers.x.gradients[numbers.x],
            y + z,
            what="gradient of x",
            mistakes=[
                Mistake(
                    "what e has left from another pass was counted: consumers that are not in the "
                    "list hand back zeros.",
                    y + z + 100,
                )
            ],
        )
        for node in nodes:
            del node.backward


def run_forward(nodes: Sequence[Any], feed: Mapping[Any, Any]) -> None:
    for node in nodes:
        node.forward(*([feed[node]] if node in feed else []))


@exercise.part("value_and_grad: pass after pass, on your own nodes", points=3)
def together(work: Work) -> None:
    function = work.get("value_and_grad")
    for nodes, whose in ((work.module, "your nodes"), (mf, "the library's nodes")):
        numbers = Numbers(nodes)
        wrt = [numbers.x, numbers.y, numbers.z, numbers.g, numbers.f, numbers.e]
        first, second = ((3, 4, -5), tuple(work.rng.uniform(1, 3, 3).round(3).tolist()))
        for number, (x, y, z) in enumerate((first, second, first), start=1):
            ran = (
                f"pass {number}: value_and_grad(f, {{x: {x}, y: {y}, z: {z}}}, [x, y, z, g, f, e])"
            )
            work.describe(f"{ran}, of {whose}", function)
            given = function(numbers.f, numbers.feed(x, y, z), wrt)
            if not isinstance(given, tuple) or len(given) != 2:
                work.fail("return two things: the output's value, and a list of gradients.")
            value, gradients = given
            work.compare(value, x * y + x * z)
            if not isinstance(gradients, list | tuple) or len(gradients) != len(wrt):
                work.fail("the second thing is a list: one gradient for each node in wrt.")
            compare_gradients(work, gradients, (x, y, z))
        work.describe(f"value_and_grad(e, {{x: 3}}, [x, y]) after that, of {whose}", function)
        value, gradients = function(numbers.e, {numbers.x: 3.0}, [numbers.x, numbers.y])
        work.compare(value, 6.0)
        work.compare(gradients[0], 2.0, what="gradient of x")
        work.compare(gradients[1], 0, what="gradient of y, which e does not need")


def compare_gradients(work: Work, gradients: Sequence[Any], at: tuple[float, ...]) -> None:
    """Fail unless these are the gradients of f with respect to x, y, z, g, f and e."""
    x, y, z = at
    right = {"x": y + z, "y": x, "z": x, "g": 1.0, "f": 1.0, "e": 0.0}
    if all(agree(seen, 0) for seen in gradients):
        work.fail(
            "all gradients are 0: nothing stands behind the output that hands back a 1 (Seed)."
        )
    for (name, expected), seen in zip(right.items(), gradients, strict=True):
        mistakes = [
            Mistake(
                "this is not a number: of each node, the sum over its consumers.", when=is_dict
            ),
            Mistake("only one of two consumers was asked: sum over outbound_nodes.", y),
            Mistake("only one of two consumers was asked: sum over outbound_nodes.", z),
        ]
        what = f"gradient of {name}"
        work.compare(seen, expected, what=what, mistakes=mistakes if name == "x" else mistakes[:1])


def is_dict(seen: Any) -> bool:
    return isinstance(seen, dict)
