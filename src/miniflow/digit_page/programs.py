"""The programs that the page runs, each recorded from the NumPy that defines it.

    fit       a drawing → 28 × 28 pixels, as MNIST's were made (`digit_images`)
    shrink    a drawing → 28 × 28 pixels, where it stands
    answer    pixels → the probability of each class, and the values of the layers; of feature maps,
              one map after the other
    explain   pixels, a class → the gradient of the log-probability of the class with respect to the
              pixels; only where the model file holds a backward program

None of them is a second definition of anything: the first two are recordings of the functions that
`miniflow predict` uses, the softmax and the derivative of the cross-entropy are those of the nodes,
and the rest is the model's own.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from miniflow.digit_images import fit_drawing, shrink_drawing
from miniflow.digit_page.layers import Maps, VisibleLayer, layers_of
from miniflow.graph import Input, Node, Op
from miniflow.ir.build import Builder
from miniflow.ir.dtypes import ValueType
from miniflow.ir.program import Operand, Output, Program
from miniflow.models import Model
from miniflow.models.forward_program import record_graph
from miniflow.models.probabilities import gives_probabilities
from miniflow.nodes.activation import softmax
from miniflow.nodes.loss import CrossEntropyWithSoftmax
from miniflow.passes import optimize

SIDE = 280  # of the drawing, in pixels
FRAME = (28, 28)


class Programs(NamedTuple):
    """The page's programs, and the layers whose values `answer` gives after the probabilities."""

    fit: Program
    shrink: Program
    answer: Program
    explain: Program | None
    layers: list[VisibleLayer]


def programs_for(model: Model) -> Programs:
    """The programs of the page on which one draws for a model of 28 × 28 pixels."""
    drawing = ValueType("f64", (SIDE, SIDE))
    layers = layers_of(model.program)
    is_probability = gives_probabilities(model)
    return Programs(
        fit=optimize(_record(fit_drawing, ink=drawing)),
        shrink=optimize(_record(shrink_drawing, ink=drawing)),
        answer=optimize(_answer(model.program, layers, is_probability)),
        explain=optimize(_explain(model.program, back, is_probability))
        if (back := model.backward_program)
        else None,
        layers=layers,
    )


def _answer(forward: Program, layers: Sequence[VisibleLayer], is_probability: bool) -> Program:
    builder = Builder()
    pixels = builder.input(ValueType("f32", FRAME), name="pixels")
    values = _inline(builder, forward, [_as_input(builder, pixels, forward)])
    output = forward.outputs[0].operand
    probabilities = _in_double(builder, values.get(output, output))
    if not is_probability:
        softmax_of = _record(softmax, logits=probabilities.type)
        (probabilities,) = _calls(builder, softmax_of, [probabilities])
    shown = [
        _by_maps(builder, values.get(layer.values, layer.values), layer.maps) for layer in layers
    ]
    outputs = [Output(probabilities, name="probabilities")]
    return builder.program(
        [*outputs, *(Output(v, name=n.name) for v, n in zip(shown, layers, strict=True))]
    )


def _explain(forward: Program, backward: Program, is_probability: bool) -> Program:
    builder = Builder()
    pixels = builder.input(ValueType("f32", FRAME), name="pixels")
    label = builder.input(ValueType("i64", (1,)), name="label")
    given = _as_input(builder, pixels, forward)
    (raw,) = _calls(builder, forward, [given])
    logits = output = _in_double(builder, raw)
    if is_probability:
        (output,) = _calls(builder, _record(_not_zero, p=output.type), [output])
        logits = builder.add("log", [output])
    loss = CrossEntropyWithSoftmax(z := Input("logits"), y := Input("label"))
    recording = record_graph(loss, {z: logits.type, y: label.type}, wrt=[z])
    _, gradient = _calls(builder, recording.program, [logits, label])
    if is_probability:
        gradient = builder.add("divide", [gradient, output])
    # The loss is minus the log-probability, so the way up is against its gradient.
    upstream = builder.add("cast", [builder.add("negative", [gradient])], {"dtype": raw.dtype})
    (slope,) = _calls(builder, backward, [given, upstream])
    whole = builder.add("cast", [slope], {"dtype": "f64"})
    return builder.program([builder.add("reshape", [whole], {"shape": FRAME})])


def _as_input(builder: Builder, pixels: Operand, forward: Program) -> Operand:
    """The pixels, in the dtype and the shape that a model takes."""
    wanted = forward.inputs[0].variable
    cast = builder.add("cast", [pixels], {"dtype": wanted.dtype})
    return builder.add("reshape", [cast], {"shape": wanted.shape})


def _by_maps(builder: Builder, values: Operand, maps: Maps | None) -> Operand:
    """The values of a layer; of feature maps, one map after the other, each row by row."""
    if maps is None:
        return values
    rows, columns, which = maps.axes
    others = [axis for axis in range(len(values.shape)) if axis not in maps.axes]
    turned = builder.add("transpose", [values], {"axes": (*others, which, rows, columns)})
    rows, columns, count = maps.shape
    return builder.add("reshape", [turned], {"shape": (count, rows, columns)})


def _not_zero(p: Any) -> Any:
    """Probabilities that have a logarithm."""
    return np.maximum(p, 1e-30)


def _in_double(builder: Builder, output: Operand) -> Operand:
    """A model's output in double precision: near certainty, 1 - p is lost in less."""
    return builder.add("cast", [output], {"dtype": "f64"})


def _record(function: Callable[..., Any], **types: ValueType) -> Program:
    """A function of arrays of these types, in NumPy, as a program."""
    inputs: dict[Node, ValueType] = {Input(name): type_ for name, type_ in types.items()}
    return record_graph(_FunctionNode(function, *inputs), inputs).program


class _FunctionNode(Op):
    """A function of arrays as a node, to be recorded."""

    def __init__(self, function: Callable[..., Any], *inputs: Node) -> None:
        Op.__init__(self, *inputs, name=function.__name__)
        self._function = function

    def compute(self, *values: Any) -> Any:
        return self._function(*values)


def _calls(builder: Builder, program: Program, operands: Sequence[Operand]) -> list[Operand]:
    """The outputs of a program that is made a part of the one that is being built."""
    values = _inline(builder, program, operands)
    return [values.get(o.operand, o.operand) for o in program.outputs]


def _inline(
    builder: Builder, program: Program, operands: Sequence[Operand]
) -> dict[Operand, Operand]:
    """Write a program's equations into the one that is being built: its values → their new ones."""
    values: dict[Operand, Operand] = {
        entry.variable: operand for entry, operand in zip(program.inputs, operands, strict=True)
    }
    for constant in program.constants:
        values[constant.variable] = builder.constant(constant.value, constant.variable.name)
    for e in program.equations:
        read = [values.get(operand, operand) for operand in e.operands]
        values[e.result] = builder.add(e.primitive, read, e.params, e.origin, e.result.name)
    return values
