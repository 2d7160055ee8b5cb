"""A small exercise and its solution, to try the machinery on. It is also a teacher's own check."""

import miniflow as mf
from miniflow.lab.checking import Exercise, Mistake, Work

exercise = Exercise(
    "mul-small",
    title="Mul",
    chapter=3,
    file="mul.py",
    hints=("Look at Add.", "A product, not a sum.", "self.value = x.value * y.value"),
    seconds=2,
)


@exercise.part("forward multiplies", points=2)
def forward(work: Work) -> None:
    Mul = work.get("Mul", mf.Node)
    x, y = mf.Input("x"), mf.Input("y")
    a, b = work.rng.normal(size=(2, 3)), work.rng.normal(size=(2, 3))
    ran = "value(Mul(x, y), {x: a, y: b})"
    work.compare(
        work.value(Mul(x, y), {x: a, y: b}, ran=ran, at=Mul.forward),
        a * b,
        ran=ran,
        at=Mul.forward,
        mistakes=[Mistake("you added; Mul multiplies.", a + b)],
    )


@exercise.part("backward adds up over consumers", points=3)
def backward(work: Work) -> None:
    Mul = work.get("Mul", mf.Node)
    x, y = mf.Input("x"), mf.Input("y")
    product = Mul(x, y)
    ran = "value_and_grad(p + p * 2, {x: 3, y: 4}, [x, y])"
    _, (dx, dy) = work.gradients(
        product + product * 2, {x: 3.0, y: 4.0}, [x, y], ran=ran, at=Mul.backward
    )
    work.compare(dx, 12.0, ran=ran, at=(Mul.backward, 0), what="gradient of x")
    work.compare(dy, 9.0, ran=ran, at=(Mul.backward, 1), what="gradient of y")


@exercise.part("the question", points=1)
def question(work: Work) -> None:
    work.answer("paths_from_x", 2, mistakes=[Mistake("that is the number of nodes.", 3)])


SOLUTION = """from miniflow import Node

paths_from_x = 2


class Mul(Node):
    def __init__(self, x, y):
        Node.__init__(self, [x, y])

    def forward(self):
        x, y = self.inbound_nodes
        self.value = x.value * y.value

    def backward(self):
        x, y = self.inbound_nodes
        self.gradients = {n: 0 for n in self.inbound_nodes}
        for n in self.outbound_nodes:
            self.gradients[x] += y.value * n.gradients[self]
            self.gradients[y] += x.value * n.gradients[self]
"""
