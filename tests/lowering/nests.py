"""Kernels for tests, in few words."""

from __future__ import annotations

from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    ArrayParameter,
    Begin,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    Parameter,
    SizeParameter,
    Statement,
    Store,
    Term,
    call,
    cast,
    constant,
    load,
    maximum,
    name,
)

M, N, ROW, J = map(name, "mnij")


def array(word: str, dtype: str, *shape: Term) -> ArrayParameter:
    """An array; of one row of n elements, unless a shape is given."""
    return ArrayParameter(word, dtype, shape or (N,))


def sized(*parameters: Parameter) -> tuple[Parameter, ...]:
    """Parameters behind the sizes m and n."""
    return (SizeParameter("m"), SizeParameter("n"), *parameters)


def rows(*body: Statement) -> Loop:
    """A loop over rows."""
    return Loop("i", M, body)


def columns(*body: Statement) -> Loop:
    """A loop over columns."""
    return Loop("j", N, body)


def sums_of_rows() -> Kernel:
    """Rows: out = exp(x + b) / 2, total = Σ (x + b) of each row, largest = its maximum."""
    x, out = array("x", "f32", M, N), array("out", "f32", M, N)
    b, total, largest = array("b", "f32"), array("total", "f32", M), array("largest", "f32", M)
    t1, s, top = name("t1", "f32"), name("s", "f64"), name("top", "f32")
    body = rows(
        Begin("s", constant(0, "f64")),
        Begin("top", constant(float("-inf"), "f32")),
        columns(
            Let("t1", load(x, ROW, J) + load(b, J)),
            Store("out", (ROW, J), call("exp", t1) * 0.5),
            Accumulate("s", cast(t1, "f64")),
            Accumulate("top", t1, "maximum"),
        ),
        Store("total", (ROW,), cast(s, "f32")),
        Store("largest", (ROW,), top),
    )
    return Kernel(sized(x, b, total, largest, out), (body,))


def checked_indices() -> Kernel:
    """Columns: out = 2 x, which fails with status 1 where x is no index of it."""
    x, out = array("x", "i64"), array("out", "i64")
    place = name("place")
    body = columns(
        Let("place", cast(load(x, J), SIZE)),
        If((place < 0) | (place >= N), (Fail(1),)),
        Store("out", (J,), load(x, J) * 2),
    )
    return Kernel(sized(x, out), (body,))


def whole_numbers() -> Kernel:
    """Integers of all kinds: they wrap around, are shifted, compared and made of each other."""
    x, y, u = array("x", "i8"), array("y", "u8"), array("u", "u32")
    flags, out, wide = array("flags", "bool"), array("out", "i8"), array("wide", "i64")
    mixed, larger = array("mixed", "u32"), array("larger", "u32")
    body = columns(
        Store("out", (J,), load(x, J) * 2 - 1),
        Store("wide", (J,), cast(load(x, J), "i64") + cast(load(y, J), "i64")),
        Store("flags", (J,), (load(x, J) > 0) & ~cast(load(y, J), "bool")),
        Store("larger", (J,), maximum(load(u, J), 7)),
        Store("mixed", (J,), (load(u, J) << 3) ^ (load(u, J) >> 5 | 9)),
        Store("out", (J,), load(x, J) >> 2, adds=True),
    )
    return Kernel(sized(x, y, u, flags, out, wide, mixed, larger), (body,))


def arithmetic() -> Kernel:
    """Products, sums and quotients, none of which may be joined."""
    x, y, out = array("x", "f32"), array("y", "f32"), array("out", "f32")
    a, b = load(x, J), load(y, J)
    body = columns(Store("out", (J,), (a * b + a) / (b - a * 0.1) - a * b))
    return Kernel(sized(x, y, out), (body,))


def every_third() -> Kernel:
    """out[2], out[5], ... = their index: a loop with a start and a step."""
    out = array("out", "f64")
    turn = Loop("j", N, (Store("out", (J,), cast(J, "f64")),), start=constant(2, SIZE), step=3)
    return Kernel(sized(out), (turn,))
