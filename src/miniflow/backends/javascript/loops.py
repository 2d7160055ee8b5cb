"""How the equations of a loop nest are written: elementwise ones, look-ups, and reductions.

A value that is read once and has no name of its own is written where it is read, if the line stays
short; other values get a constant in the loop, and those that other nests read an array.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from miniflow.backends.javascript.dialect import (
    REDUCTIONS,
    WrittenValue,
    template,
    where_text,
    write,
)
from miniflow.backends.javascript.grouping import NestGroup
from miniflow.backends.javascript.layout import View
from miniflow.backends.javascript.nest import NestText
from miniflow.backends.javascript.source import ScriptSource
from miniflow.backends.javascript.values import (
    ScriptExpression,
    class_of,
    fill,
    is_small_sum,
    rounded,
    stored,
)
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.program import Equation, Literal, Operand, Variable
from miniflow.lowering.views import Shape, c_strides

MAX_NESTED: Final = 60  # characters of a value that is written where it is read


def write_loop(source: ScriptSource, group: NestGroup) -> None:
    """Add the nest of a group to `run`."""
    assert group.space is not None
    nest = NestText(group.space)
    source.lines += source.label(group.equations[0].origin)
    for equation in group.equations:
        for comment in source.label(equation.origin):
            nest.add(comment)
        if equation.primitive in REDUCTIONS:
            _reduce(source, equation, nest)
        else:
            _place(source, equation, _value(source, equation, nest), nest)
    source.close(nest)


def _value(source: ScriptSource, equation: Equation, nest: NestText) -> WrittenValue:
    if equation.primitive == "gather":
        x, *indices = equation.operands
        view = source.views.of(x)
        assert isinstance(view.base, Variable)
        index = looked_up(source, equation, view, indices, nest)
        return WrittenValue(source.place(view.base, index), x.dtype, is_exact=True)
    if equation.primitive == "slice":
        part, tag = source.views.view(equation), equation.result.dtype
        assert part is not None
        return WrittenValue(source.element(part, (), tag, nest), tag, is_exact=True)
    return write(equation, lambda operand, tag: source.read(operand, tag, nest))


def _place(source: ScriptSource, equation: Equation, value: WrittenValue, nest: NestText) -> None:
    """Store a value, give it a name, or keep it for the line that reads it."""
    result = equation.result
    is_stored = result in source.plan.stored
    if is_stored and result.kind == "array":
        index = source.own_index(nest)
        fitting = value.raw if value.tag != "f16" else value.rounded
        nest.add(source.assign(result, index, fitting))
        source.keep(result, source.place(result, index))
        return
    text = value.rounded
    is_short = len(text.text) <= MAX_NESTED
    if not is_stored and result.name is None and source.uses.get(result) == 1 and is_short:
        source.keep(result, text)
        return
    nest.add(f"const {source.names(result)} = {text.text};")
    source.keep(result, ScriptExpression(source.names(result)))


# Look-ups.


def looked_up(
    source: ScriptSource, equation: Equation, x: View, indices: list[Operand], nest: NestText
) -> str:
    """Where in memory `x[indices]` has its element, for the index of a nest over its shape.

    The result's axes are the axes that are not indexed, and among them those of the indices: in
    place if the indexed axes are neighbours, else in front.
    """
    axes: Shape = equation.params["axes"]
    others = [stride for axis, stride in enumerate(x.strides) if axis not in axes]
    first = axes[0] if axes[-1] - axes[0] == len(axes) - 1 else 0
    before, after = nest.space[:first], nest.space[len(nest.space) - len(others) + first :]
    indexed = nest.space[first : len(nest.space) - len(after)]
    offset, strides, terms = x.offset, [*others[:first], *[0] * len(indexed), *others[first:]], []
    for axis, index in zip(axes, indices, strict=True):
        length, step = x.shape[axis], x.strides[axis]
        laid = (0,) * len(before) + source.views.of(index).laid_over(indexed) + (0,) * len(after)
        known = _known(source, index, laid, length)
        if known is not None:
            offset += step * known[0]
            strides = [s + step * k for s, k in zip(strides, known[1], strict=True)]
            continue
        number = source.index(index, laid, nest).text
        place = f"at({number}, {length}, {axis}, {where_text(equation)})"
        terms.append(place if step == 1 else f"{step}*{place}")
    if offset or any(strides) or not terms:
        terms.insert(0, nest.index(offset, tuple(strides)))
    return " + ".join(terms)


def _known(
    source: ScriptSource, index: Operand, laid: Shape, length: int
) -> tuple[int, Shape] | None:
    """Where an index begins and its steps, if it is known beforehand and inside of its axis."""
    if isinstance(index, Literal):
        value = int(index.value)
        return (value % length, (0,) * len(laid)) if -length <= value < length else None
    view = source.views.of(index)
    if view.base not in source.views.aranges or 0 in view.shape:
        return None
    start, step = source.views.count(view)
    ends = [s * step * (n - 1) for n, s in zip(view.shape, view.strides, strict=True)]
    lowest = start + sum(end for end in ends if end < 0)
    highest = start + sum(end for end in ends if end > 0)
    is_inside = lowest >= 0 and highest < length
    return (start, tuple(step * s for s in laid)) if is_inside else None


# Reductions.


def _reduce(source: ScriptSource, equation: Equation, nest: NestText) -> None:
    x, params = equation.operands[0], equation.params
    tag = _tag_of_total(equation)
    value = source.read(x, tag, nest)
    reduced = [axis for axis in params["axis"] if nest.space[axis] != 1]
    kept = [a for a, n in enumerate(nest.space) if n != 1 and a not in reduced]
    if not reduced or not kept or max(kept) < min(reduced):
        _reduce_rows(source, equation, nest, value, min(reduced, default=len(nest.space)))
    else:
        _reduce_columns(source, equation, nest, value)


def _tag_of_total(equation: Equation) -> str:
    """The dtype in which elements are taken up: doubles are exact for small integers, and fast."""
    x, dtype = equation.operands[0], equation.result.dtype
    if equation.primitive != "sum":
        return dtype
    return "f64" if dtype[0] == "f" or is_small_sum(x.dtype, x.type.size) else dtype


def _reduce_rows(
    source: ScriptSource, equation: Equation, nest: NestText, value: ScriptExpression, axis: int
) -> None:
    """The last axes are reduced: one variable takes up the elements of a row."""
    result, total = equation.result, source.fresh("total")
    before = f"let {total} = {_start(equation).text};"
    nest.add(_taken_up(equation, ScriptExpression(total), value))
    whole = _whole(equation, ScriptExpression(total))
    if result.kind == "array":
        index = nest.index(0, _result_strides(equation, nest.space))
        nest.around(axis, before, source.assign(result, index, whole))
    else:
        nest.around(axis, before, f"const {source.names(result)} = {whole.text};")


def _reduce_columns(
    source: ScriptSource, equation: Equation, nest: NestText, value: ScriptExpression
) -> None:
    """Other axes are reduced: an array takes up one row after the other."""
    result, start = equation.result, _start(equation)
    index = nest.index(0, _result_strides(equation, nest.space))
    if _tag_of_total(equation) == result.dtype:
        totals = source.array(result)
        element = source.place(result, index)
        nest.around(0, f"{totals}.fill({stored(start, result.dtype)});", "")
    else:
        totals = source.scratch("totals", "Float64Array", result.type.size)
        element = ScriptExpression(f"{totals}[{index}]")
        rounding = _whole(equation, ScriptExpression("x")).text
        rounds_itself = result.dtype in ("f32", "f64")
        values = totals if rounds_itself else f"Array.from({totals}, (x) => {rounding})"
        nest.around(0, f"{totals}.fill(0);", f"{source.array(result)}.set({values});")
    nest.add(_taken_up(equation, element, value))


def _start(equation: Equation) -> ScriptExpression:
    tag = _tag_of_total(equation)
    text = template(REDUCTIONS[equation.primitive].start, tag)
    if tag[0] in "iu":
        limits = np.iinfo(DTYPES[tag])
        text = text.format(low=limits.min, high=limits.max)
    return ScriptExpression(text)


def _taken_up(equation: Equation, total: ScriptExpression, value: ScriptExpression) -> str:
    """The line that takes up one more element."""
    tag, name = _tag_of_total(equation), equation.primitive
    place = total.number or total.text
    if name == "sum":
        return f"{place} += {value.text};"
    writing = REDUCTIONS[name].step
    step = fill(template(writing, tag), total, value)
    step = step if class_of(tag) in writing.exact else rounded(step, tag)
    return f"{place} = {stored(step, tag) if total.number else step.text};"


def _whole(equation: Equation, total: ScriptExpression) -> ScriptExpression:
    """What was taken up, as a value of the result's dtype."""
    tag, dtype = _tag_of_total(equation), equation.result.dtype
    if class_of(dtype) == "bigs" and tag == "f64":
        return fill("BigInt({0})", total)
    return rounded(total, dtype) if equation.primitive == "sum" else total


def _result_strides(equation: Equation, space: Shape) -> Shape:
    """The strides of the result for the indices of what is reduced."""
    axis = equation.params["axis"]
    strides = iter(c_strides(n for a, n in enumerate(space) if a not in axis))
    return tuple(0 if a in axis else next(strides) for a in range(len(space)))
