"""The body of a scan as a program that writes the next state where it is told to: the array in
which it lies is one more input, and the output is its new value; so are those for what else it
shows, after that. So a backend that
computes new values in place computes each state right where the history has it. It is fed that
array, another one in each turn, and keeps none; `check` would not have that of a program.
"""

from __future__ import annotations

from dataclasses import replace

from miniflow.ir.dtypes import ValueType
from miniflow.ir.program import Equation, Input, Output, Program, Variable


def body_in_place(body: Program) -> Program:
    """Return the body of a scan with the array to write to, for each output, as its last inputs.

    >>> from miniflow.ir import Builder
    >>> b = Builder()
    >>> state, item = (b.input(ValueType("f64", (3,)), name=name) for name in ("state", "item"))
    >>> print(body_in_place(b.program([b.add("add", (state, item))])))
    program(state: f64[3], item: f64[3], new_state: f64[3]):
      t1 = add(state, item)  # f64[3]
      return (
        t1,  # new value of new_state
      )
    """
    inputs, equations, outputs = [*body.inputs], [*body.equations], list[Output]()
    for number, output in enumerate(body.outputs):
        new = output.operand
        place = Variable(ValueType(new.dtype, new.shape), "value" if number else "new state")
        if new.kind != "array":
            array = Variable(place.type)
            equations.append(Equation("reshape", (new,), {"shape": ()}, array))
            new = array
        inputs.append(Input(place, "fed"))
        outputs.append(Output(new, "state", None, place))
    return replace(body, inputs=tuple(inputs), equations=tuple(equations), outputs=tuple(outputs))
