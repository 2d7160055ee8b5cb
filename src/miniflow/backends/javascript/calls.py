"""How primitives are written that are no part of a loop nest of several equations: products, writes
to parts of arrays, and what goes along an axis element by element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from miniflow.backends.javascript.dialect import WRITINGS, template
from miniflow.backends.javascript.layout import View
from miniflow.backends.javascript.loops import looked_up
from miniflow.backends.javascript.nest import NestText
from miniflow.backends.javascript.source import ScriptSource
from miniflow.backends.javascript.values import (
    ScriptExpression,
    class_of,
    converted,
    fill,
    rounded,
    stored,
    tag_of,
)
from miniflow.ir.dtypes import ValueType
from miniflow.ir.primitives import infer
from miniflow.ir.program import Equation, Operand, Variable, is_number
from miniflow.lowering.loop_dtypes import loop_dtypes_of
from miniflow.lowering.views import Shape, StridedView, c_strides, sliced


def write_call(source: ScriptSource, equation: Equation) -> None:
    """Add the lines of an equation to `run`."""
    source.lines += source.label(equation.origin)
    CALLS[equation.primitive](source, equation)


# Products.


def _matmul(source: ScriptSource, equation: Equation) -> None:
    a, b = equation.operands
    _product(source, a, b, equation.result)


def _gemm(source: ScriptSource, equation: Equation) -> None:
    """The product lies where the sum will lie, and is scaled and added to there."""
    c, a, b, alpha, beta = equation.operands
    result, dtype = equation.result, equation.result.dtype
    _product(source, a, b, result)
    nest = NestText(result.shape)
    index = source.own_index(nest)
    terms = [source.read(c, dtype, nest), source.place(result, index)]
    for place, scale in enumerate((beta, alpha)):
        if not is_number(scale, 1):
            text = template(WRITINGS["multiply"], dtype)
            scaled = fill(text, terms[place], source.read(scale, dtype, nest))
            terms[place] = rounded(scaled, dtype)
    total = fill(template(WRITINGS["add"], dtype), *terms)
    nest.add(source.assign(result, index, rounded(total, dtype)))
    source.close(nest)


def _product(source: ScriptSource, a: Operand, b: Operand, result: Variable) -> None:
    """A product of floats is made by `multiply`; others, and numbers, are sums of their own."""
    batch = result.shape[: len(result.shape) - (len(a.shape) > 1) - (len(b.shape) > 1)]
    left, right = source.views.of(a), source.views.of(b)
    if len(a.shape) == 1:
        left = left._replace(shape=(1, *left.shape), strides=(0, *left.strides))
    if len(b.shape) == 1:
        right = right._replace(shape=(*right.shape, 1), strides=(*right.strides, 0))
    if result.kind != "array" or result.dtype not in ("f32", "f64"):
        _sum_of_products(source, result, batch, left, right)
        return
    (m, k), n = left.shape[-2:], right.shape[-1]
    nest = NestText(batch)
    arguments = [source.array(result), nest.index(0, tuple(m * n * s for s in c_strides(batch)))]
    for view in (left, right):
        assert isinstance(view.base, Variable)
        stack = view._replace(shape=view.shape[:-2], strides=view.strides[:-2])
        rows, columns = view.strides[-2:]
        arguments += [source.array(view.base), nest.index(view.offset, stack.laid_over(batch))]
        arguments += [str(rows), str(columns)]
    factors = " @ ".join(_called(source, operand) for operand in (a, b))
    nest.add(f"multiply({', '.join(arguments)}, {m}, {k}, {n});  // {factors}")
    source.close(nest)


def _called(source: ScriptSource, factor: Operand) -> str:
    """What a reader would call a factor."""
    view = source.views.of(factor)
    assert isinstance(view.base, Variable)
    turned = view._replace(shape=view.shape[::-1], strides=view.strides[::-1])
    part = "" if view.is_whole else ".T" if turned.is_whole else "[...]"
    return f"{source.names(view.base)}{part}"


def _sum_of_products(
    source: ScriptSource, result: Variable, batch: Shape, left: View, right: View
) -> None:
    dtype = result.dtype
    tag = "f64" if dtype[0] == "f" else dtype
    (m, k), n = left.shape[-2:], right.shape[-1]
    nest = NestText((*batch, m, n, k))
    x = source.element(left, _over(left, batch, (left.strides[-2], 0, left.strides[-1])), tag, nest)
    y = source.element(right, _over(right, batch, (0, *right.strides[:-3:-1])), tag, nest)
    total = source.fresh("total")
    product = fill(template(WRITINGS["multiply"], tag), x, y)
    taken = fill(template(WRITINGS["add"], tag), ScriptExpression(total), product)
    start = {"bigs": "0n", "bools": "false"}.get(class_of(tag), "0")
    nest.add(f"{total} = {rounded(taken, tag).text};")
    whole = rounded(ScriptExpression(total), dtype) if tag != dtype else ScriptExpression(total)
    if result.kind == "array":
        index = nest.index(0, (*c_strides((*batch, m, n)), 0))
        after = source.assign(result, index, whole)
    else:
        after = f"const {source.names(result)} = {whole.text};"
    nest.around(len(nest.space) - 1, f"let {total} = {start};", after)
    source.close(nest)


def _over(view: View, batch: Shape, last: Shape) -> Shape:
    stack = view._replace(shape=view.shape[:-2], strides=view.strides[:-2])
    return (*stack.laid_over(batch), *last)


# Arrays put together, and changed in part.


def _copy(source: ScriptSource, x: Operand, out: Variable) -> None:
    """Copy an array into another of its type."""
    view = source.views.of(x)
    is_whole = view.base.kind == "array" and view.is_whole
    if isinstance(view.base, Variable) and is_whole and view.base not in source.views.aranges:
        source.lines.append(f"{source.array(out)}.set({source.array(view.base)});")
        return
    nest = NestText(out.shape)
    nest.add(source.assign(out, source.own_index(nest), source.read(x, out.dtype, nest)))
    source.close(nest)


def _concatenate(source: ScriptSource, equation: Equation) -> None:
    result, axis = equation.result, equation.params["axis"]
    strides, offset = c_strides(result.shape), 0
    for x in equation.operands:
        nest = NestText(x.shape)
        value = source.read(x, result.dtype, nest)
        nest.add(source.assign(result, nest.index(offset, strides), value))
        source.close(nest)
        offset += x.shape[axis] * strides[axis]


def _slice_update(source: ScriptSource, equation: Equation) -> None:
    (x, value), result = equation.operands, equation.result
    _copy(source, x, result)
    whole: View = StridedView(result, 0, result.shape, c_strides(result.shape))
    part = sliced(whole, equation.params["index"])
    nest = NestText(part.shape)
    number = _assigned(source, value, result.dtype, nest)
    nest.add(source.assign(result, nest.index(part.offset, part.strides), number))
    source.close(nest)


def _slice_add(source: ScriptSource, equation: Equation) -> None:
    (x, value), result = equation.operands, equation.result
    _copy(source, x, result)
    part = sliced(View(result, 0, result.shape, c_strides(result.shape)), equation.params["index"])
    nest = NestText(part.shape)
    index = nest.index(part.offset, part.strides)
    added = _assigned(source, value, result.dtype, nest)
    total = fill(template(WRITINGS["add"], result.dtype), source.place(result, index), added)
    nest.add(source.assign(result, index, rounded(total, result.dtype)))
    source.close(nest)


def _assigned(source: ScriptSource, value: Operand, dtype: str, nest: NestText) -> ScriptExpression:
    """A value that is broadcast to a place: axes of length one in front do not count."""
    view = source.views.of(value)
    extra = max(len(view.shape) - len(nest.space), 0)
    view = view._replace(shape=view.shape[extra:], strides=view.strides[extra:])
    return source.element(view, view.laid_over(nest.space), dtype, nest)


def _gather_update(source: ScriptSource, equation: Equation) -> None:
    (x, value, *indices), result = equation.operands, equation.result
    _copy(source, x, result)
    nest, index = _places(source, equation, indices)
    number = _assigned(source, value, result.dtype, nest)
    nest.add(source.assign(result, index, number))
    source.close(nest)


def _scatter_add(source: ScriptSource, equation: Equation) -> None:
    (x, value, *indices), result = equation.operands, equation.result
    _copy(source, x, result)
    nest, index = _places(source, equation, indices)
    here = source.fresh("here")
    nest.add(f"const {here} = {index};")
    old = Variable(ValueType(result.dtype, (1,)))
    tag = loop_dtypes_of("add", old, _as_array(value))[0] or result.dtype
    added = _assigned(source, value, tag, nest)
    place = source.place(result, here)
    total = fill(template(WRITINGS["add"], tag), converted(place, result.dtype, tag), added)
    whole = converted(rounded(total, tag), tag, result.dtype)
    nest.add(f"{source.array(result)}[{here}] = {stored(whole, result.dtype)};")
    source.close(nest)


def _as_array(value: Operand) -> Operand:
    """`np.add.at` makes an array of what it adds."""
    return Variable(ValueType(value.dtype, (1,))) if value.kind == "python" else value


def _places(
    source: ScriptSource, equation: Equation, indices: list[Operand]
) -> tuple[NestText, str]:
    """A nest over the places that are written to, and the index of such a place."""
    result = equation.result
    picked = infer("gather", (result, *indices), equation.params)
    nest = NestText(picked.shape)
    whole: View = StridedView(result, 0, result.shape, c_strides(result.shape))
    return nest, looked_up(source, equation, whole, indices, nest)


# Along an axis.


def _arg_reduction(source: ScriptSource, equation: Equation) -> None:
    """The first of the largest (smallest) elements, or the first NaN."""
    (x,), result, axis = equation.operands, equation.result, equation.params["axis"]
    nest, view, strides = _along(source, x, axis)
    value = source.element(view, strides, tag_of(x), nest)
    best, place, element = (source.fresh(hint) for hint in ("best", "place", "element"))
    counter = nest.counter(0, (*[0] * (len(nest.space) - 1), 1))
    sign = ">" if equation.primitive == "argmax" else "<"
    is_better = f"{element} {sign} {best}"
    if x.dtype[0] == "f":
        is_better = f"{is_better} || ({element} !== {element} && {best} === {best})"
    nest.add(f"const {element} = {value.text};")
    nest.add(f"if ({counter} === 0 || {is_better}) {{")
    nest.add(f"  {best} = {element};")
    nest.add(f"  {place} = {counter};")
    nest.add("}")
    whole = fill("BigInt({0})", ScriptExpression(place))
    if result.kind == "array":
        kept = (n for a, n in enumerate(x.shape) if a != axis)
        after = source.assign(result, nest.index(0, (*c_strides(kept), 0)), whole)
    else:
        after = f"const {source.names(result)} = {whole.text};"
    nest.around(len(nest.space) - 1, f"let {best} = 0, {place} = 0;", after)
    source.close(nest)


def _cumsum(source: ScriptSource, equation: Equation) -> None:
    (x,), result, axis = equation.operands, equation.result, equation.params["axis"]
    nest, view, strides = _along(source, x, axis)
    value = source.element(view, strides, result.dtype, nest)
    total = source.fresh("total")
    start = {"bigs": "0n", "floats": "-0"}.get(class_of(result.dtype), "0")  # -0 + -0 is -0
    added = fill("{0} + {1}", ScriptExpression(total), value)
    nest.add(f"{total} = {rounded(added, result.dtype).text};")
    order = _last(axis, c_strides(result.shape))
    nest.add(source.assign(result, nest.index(0, order), ScriptExpression(total)))
    nest.around(len(nest.space) - 1, f"let {total} = {start};", "")
    source.close(nest)


def _along(source: ScriptSource, x: Operand, axis: int) -> tuple[NestText, View, Shape]:
    """A nest whose innermost loop goes along an axis, and how it reads an array."""
    view = source.views.of(x)
    return NestText(_last(axis, x.shape)), view, _last(axis, view.strides)


def _last(axis: int, entries: Shape) -> Shape:
    return (*entries[:axis], *entries[axis + 1 :], entries[axis])


CALLS: Final[dict[str, Callable[[ScriptSource, Equation], None]]] = {
    "matmul": _matmul,
    "gemm": _gemm,
    "concatenate": _concatenate,
    "slice_update": _slice_update,
    "slice_add": _slice_add,
    "gather_update": _gather_update,
    "scatter_add": _scatter_add,
    "argmax": _arg_reduction,
    "argmin": _arg_reduction,
    "cumsum": _cumsum,
}
