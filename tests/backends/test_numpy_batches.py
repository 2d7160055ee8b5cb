"""What is computed from every part of a concatenation is computed from the whole."""

import numpy as np

from miniflow.backends.numpy import lower
from miniflow.ir import Builder, ValueType, check, evaluate
from miniflow.passes import prune
from miniflow.passes.batch_parts import batch_parts

RNG = np.random.default_rng(0)


def written(function, count=3):
    """A program with the outputs of `function(builder, inputs)`; inputs of 2 and more rows."""
    b = Builder()
    inputs = [b.input(ValueType("f64", (2 + i, 3)), name=f"x{i}") for i in range(count)]
    return b.program(function(b, inputs))


def batched(program):
    """What `batch_parts` makes of it, checked to compute the same, also by the backend."""
    result = prune(batch_parts(program))
    check(result)
    arguments = [RNG.normal(size=entry.variable.shape) for entry in program.inputs]
    wanted = evaluate(program, arguments)
    for seen in (evaluate(result, arguments), lower(result).run(arguments)):
        for a, b in zip(seen, wanted, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
    return [equation.primitive for equation in result.equations]


def test_chains_of_equations_on_the_parts_become_one_chain():
    def program(b, inputs):
        states = [b.add("tanh", (x,)) for x in inputs]
        slopes = [b.add("subtract", (1.0, b.add("multiply", (h, h)))) for h in states]
        ends = [b.add("multiply", (x, s)) for x, s in zip(inputs, slopes, strict=True)]
        return [b.add("concatenate", states, {"axis": 0}), *ends]

    primitives = batched(written(program))
    assert primitives.count("multiply") == 1 + 3  # the last ones read something else besides
    assert primitives.count("subtract") == 1
    assert primitives.count("tanh") == 3  # these make the parts


def test_equations_that_one_part_lacks_stay_apart():
    def program(b, inputs):
        states = [b.add("tanh", (x,)) for x in inputs]
        return [
            b.add("concatenate", states, {"axis": 0}),
            *(b.add("exp", (h,)) for h in states[1:]),
            *(b.add("multiply", (h, 2.0 if i else 3.0)) for i, h in enumerate(states)),
        ]

    primitives = batched(written(program))
    assert primitives.count("exp") == 2
    assert primitives.count("multiply") == 3


def test_what_leads_to_another_part_stays_apart():
    b = Builder()
    h = b.input(ValueType("f64", (2, 3)), name="h")
    states, squares = [], []
    for _ in range(4):
        h = b.add("tanh", (h,))
        states.append(h)
        h = b.add("multiply", (h, h))
        squares.append(h)
    whole = b.add("concatenate", states, {"axis": 0})
    assert batched(b.program([whole, *squares])).count("multiply") == 4


def test_a_part_that_is_there_twice_changes_nothing():
    def program(b, inputs):
        h = b.add("tanh", (inputs[0],))
        return [b.add("concatenate", (h, h), {"axis": 0}), b.add("exp", (h,))]

    assert batched(written(program)) == ["tanh", "concatenate", "exp"]
