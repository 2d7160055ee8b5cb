"""`scan` as `lax.scan`: a function for a turn, and the loop, which carries what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from miniflow.backends.jax.operands import OperandWriter, tuple_text
from miniflow.ir.program import Equation, Operand, Program, Variable


def write_scan(
    w: OperandWriter, e: Equation, write_equations: Callable[[Sequence[Equation]], None]
) -> None:
    """Write a scan; `write_equations` writes those of its body."""
    first, *values = e.operands
    count, body = e.params["sequences"], e.params["body"]
    turn = _write_turn(w, e, body, write_equations)
    sequences = tuple_text([w.read(x) for x in values[:count]])
    begin = f"({w.as_it_is(first)}, u8(0))"
    length, reverse = e.result.shape[0], e.params["reverse"]
    found = w.new_name("found")
    w.line(
        f"(_, {found}), {w.read(e.result)} = lax.scan({turn}, {begin}, {sequences}, "
        f"length={length}, reverse={reverse})",
        str(e.result.type),
    )
    for bit, flagged in ((1, w.indices), (2, w.wrong)):
        flagged.append(f"lax.ne(lax.bitwise_and({found}, u8({bit})), u8(0))")


def _write_turn(
    w: OperandWriter,
    e: Equation,
    body: Program,
    write_equations: Callable[[Sequence[Equation]], None],
) -> str:
    """Write the function that makes a turn; return its name."""
    first, *values = e.operands
    count = e.params["sequences"]
    state, *others = (entry.variable for entry in body.inputs)
    for inner, outer in zip(others[count:], values[count:], strict=True):
        w.known[inner] = _outside_text(w, inner, outer)
    turn = w.new_name("turn")
    w.line(f"def {turn}(carry, items):")
    kept, checked_before = (w.indices, w.wrong), w.checked.copy()
    w.indices, w.wrong = [], []
    w.depth += 1
    w.line(f"{w.names(state)}, wrong = carry")
    w.line(f"{tuple_text([w.names(x) for x in others[:count]])} = items")
    write_equations(body.equations)
    (output,) = body.outputs
    new = w.text(output.operand, first.dtype, first.shape)
    now = f"functions.flags(wrong, [{', '.join(w.indices)}], [{', '.join(w.wrong)}])"
    w.line(f"return ({new}, {now}), {new}")
    w.depth -= 1
    (w.indices, w.wrong), w.checked = kept, checked_before
    return turn


def _outside_text(w: OperandWriter, inner: Variable, outer: Operand) -> str:
    """What stands for a value from outside in a body: its own name."""
    if isinstance(outer, Variable):
        return w.read(outer)
    if inner.kind == "python":
        return w.read_in_python(outer)
    name = w.names(inner)
    w.line(f"{name} = {w.text(outer, inner.dtype)}")
    return name
