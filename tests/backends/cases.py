"""Cases for every primitive, which every backend is held to: over dtypes, kinds, ranks and edge
values. A case is (primitive, operands, params). The samples are those of the tests of the
primitives themselves; what a backend's tests add of their own is there.

`program_of_many` makes one program of many cases.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ir.test_primitives import CUBE, ELEMENTWISE, MATMUL_SHAPES, REDUCED, SAMPLES

from miniflow.ir import DTYPES, PRIMITIVES, Builder, Program, type_of

from .agreement import Case

ONE_OPERAND = [p.name for p in ELEMENTWISE if p.arity == 1]
TWO_OPERANDS = [p.name for p in ELEMENTWISE if p.arity == 2]

TALL = np.random.default_rng(3).standard_normal((40, 7)).astype(np.float32)
TALL_WITH_NAN = np.where(TALL > 2, np.nan, TALL)
MORE_REDUCED = [*REDUCED, TALL, TALL.astype(np.float64), TALL_WITH_NAN, (TALL * 4).astype(np.int16)]

SLICES = [
    (0, (0, 3, 1), (0, 4, 1)),
    (1, 2, 3),
    ((0, 2, 1), 1, (3, 4, -1)),
    ((1, 1, 1), (2, 2, -2), (0, 2, 2)),
    ((0, 0, 1), (0, 3, 1), 0),
    ((1, 1, 1), (0, 3, 1), (0, 4, 1)),
]

ROWS, COLUMNS = np.array([1, 0, 1, -1]), np.array([2, 2, 0, -3])
INDICES = [
    ((0,), (ROWS,)),
    ((1,), (COLUMNS.astype(np.int32),)),
    ((2,), (np.array([[0, 3], [3, -4]]),)),
    ((0, 1), (ROWS, COLUMNS)),
    ((0, 2), (ROWS, np.uint8([1, 1, 3, 0]))),
    ((0, 1, 2), (ROWS, COLUMNS, np.array([3, 3, 0, 1]))),
    ((0, 1, 2), (ROWS[:, None], COLUMNS, np.array(3))),
    ((0, 1, 2), (1, 2, 3)),
    ((0,), (np.int64(-1),)),
    ((1, 2), (COLUMNS, 0)),
    ((0,), (np.zeros((0,), np.int64),)),
    ((1, 2), (np.arange(3), np.array([[0, 3, 1], [0, 3, -3]]))),
    ((2,), (np.array(3),)),
]


def where(step: int = 1) -> list[Case]:
    """With each `step`-th of the samples to choose from."""
    conditions = [np.array([True, False, True] * 3), np.array(True), True, np.float64(0.0)]
    chosen = [x for x in SAMPLES if not isinstance(x, np.ndarray) or x.dtype.itemsize > 1][::step]
    return [("where", (c, x, y), {}) for c in conditions for x in chosen for y in chosen]


def cast(dtype: str, samples: Iterable[Any] = SAMPLES) -> list[Case]:
    return [("cast", (x,), {"dtype": dtype}) for x in samples]


def reductions(name: str) -> list[Case]:
    return [
        (name, (x,), {"axis": axis, "keepdims": keepdims})
        for x in MORE_REDUCED
        for axis in _axes(np.ndim(x))
        for keepdims in (False, True)
    ]


def _axes(ndim: int) -> list[tuple[int, ...]]:
    return [axes for r in range(ndim + 1) for axes in itertools.combinations(range(ndim), r)]


def arg_reductions(name: str) -> list[Case]:
    return [
        (name, (x,), {"axis": axis, "keepdims": keepdims})
        for x in MORE_REDUCED
        for axis in range(np.ndim(x))
        for keepdims in (False, True)
    ]


def cumsum() -> list[Case]:
    return [("cumsum", (x,), {"axis": axis}) for x in MORE_REDUCED for axis in range(np.ndim(x))]


def matmul_in_every_rank() -> list[Case]:
    arrays = [np.arange(float(np.prod(shape))).reshape(shape) - 2 for shape in MATMUL_SHAPES]
    return [("matmul", pair, {}) for pair in itertools.product(arrays, arrays)]


def matmul_in_every_dtype() -> list[Case]:
    left = [np.arange(6).reshape(2, 3).astype(dtype) for dtype in DTYPES.values()]
    right = [np.arange(12).reshape(3, 4).astype(dtype) for dtype in DTYPES.values()]
    return [("matmul", pair, {}) for pair in itertools.product(left, right)]


def gemm(dtype: Any) -> list[Case]:
    cases: list[Case] = []
    for m, k, n in [(2, 3, 4), (1, 3, 4), (2, 3, 1), (2, 0, 4), (0, 3, 4), (1, 1, 1)]:
        c, a, b = (
            np.arange(np.prod(s)).reshape(s).astype(dtype) - 2 for s in ((m, n), (m, k), (k, n))
        )
        for alpha, beta in itertools.product((1.0, -0.5, 0.0, 2), (1.0, 0.25, 0.0)):
            cases.append(("gemm", (c, a, b, alpha, beta), {}))
        cases.append(("gemm", (c, a, b, dtype(-0.5), dtype(2)), {}))
        if a.size and c.size:
            a, c = a.copy(), c.copy()
            a[0, 0], c[-1, -1] = np.nan, np.inf
            cases += [("gemm", (c, a, b, x, y), {}) for x in (0.0, 1.0) for y in (0.0, 1.0)]
    return cases


def movements() -> list[Case]:
    cases: list[Case] = []
    for x in (
        CUBE,
        CUBE.astype(np.int8)[:, ::2].copy(),
        np.array(2.5),
        np.float32(3),
        2,
        2.5,
        True,
    ):
        shape, size, ndim = np.shape(x), np.size(x), np.ndim(x)
        for to in ((1, size), (size,), (size, 1, 1)):
            cases.append(("reshape", (x,), {"shape": to}))
        for to in (shape, (2, *shape), (2, 1, *shape)):
            cases.append(("broadcast_to", (x,), {"shape": to}))
        cases += [
            ("transpose", (x,), {"axes": axes}) for axes in itertools.permutations(range(ndim))
        ]
    for x in (CUBE, CUBE.astype(np.uint8), CUBE[:, :0].copy()):
        for axes, window in (((0,), (1,)), ((0, 2), (2, 3)), ((2,), (4,))):
            cases.append(("windows", (x,), {"axes": axes, "window": window}))
    parts = [CUBE, CUBE[:1].astype(np.float32), np.zeros((0, 3, 4), np.int8)]
    cases += [
        ("concatenate", tuple(parts), {"axis": 0}),
        ("concatenate", (CUBE, CUBE), {"axis": 2}),
    ]
    pairs = itertools.product(DTYPES.values(), DTYPES.values())
    cases += [("concatenate", (np.ones(2, a), np.ones(1, b)), {"axis": 0}) for a, b in pairs]
    return cases


def creations() -> list[Case]:
    cases: list[Case] = []
    for dtype in DTYPES:
        for value in (0, 1.5, np.float32(2), np.array(3)):
            cases += [
                ("full", (value,), {"shape": s, "dtype": dtype}) for s in ((), (2, 0, 3), (2, 3))
            ]
        for start, stop, step in ((0, 5, 1), (5, 0, -2), (3, 3, 1), (0, -4, 1), (1, 10, 4)):
            cases.append(
                ("arange", (), {"start": start, "stop": stop, "step": step, "dtype": dtype})
            )
    return cases


def slices() -> list[Case]:
    cases: list[Case]
    cases = [("slice", (x,), {"index": i}) for i in SLICES for x in (CUBE, CUBE.astype(np.uint8))]
    cases += [("slice", (x,), {"index": ()}) for x in (np.array(2.5), np.float32(2))]
    for index in SLICES:
        place = np.shape(PRIMITIVES["slice"].compute(CUBE, index=index))
        values = [
            7,
            1.5,
            np.float32(3),
            np.array(-0.0),
            np.ones(place) * 5,
            np.ones((1, 1, *place)),
        ]
        cases += [("slice_update", (CUBE, value), {"index": index}) for value in values]
        cases += [("slice_add", (CUBE, value), {"index": index}) for value in values[:-1]]
        cases.append(
            ("slice_update", (CUBE.astype(np.int8), np.full(place, 2.7)), {"index": index})
        )
        for dtype in (np.int8, np.int64, bool, np.float16, np.float32):
            part = np.ones(place, dtype)
            cases.append(("slice_add", (CUBE.astype(dtype), part), {"index": index}))
    return cases


def gathers_and_scatters(dtype: str) -> list[Case]:
    x = CUBE.astype(DTYPES[dtype])
    vector = np.arange(5.0).astype(DTYPES[dtype])
    cases: list[Case] = []
    for axes, indices in INDICES:
        part = np.asarray(PRIMITIVES["gather"].compute(x, *indices, axes=axes))
        some = part[..., :1] if part.ndim else part
        values = [part, part.astype(np.float32), some, np.array(2), 1, 0.5, np.float32(2)]
        cases.append(("gather", (x, *indices), {"axes": axes}))
        for name in ("gather_update", "scatter_add"):
            cases += [(name, (x, value, *indices), {"axes": axes}) for value in values]
    at = np.array([4, -1, 0, 0])
    for name in ("gather_update", "scatter_add"):
        cases.append((name, (vector, np.arange(4).astype(DTYPES[dtype]), at), {"axes": (0,)}))
    cases.append(("gather", (vector, at), {"axes": (0,)}))
    return cases


def scans(dtype: str) -> list[Case]:
    """Loops over items of several ranks, with numbers and arrays from outside, both ways."""
    cases: list[Case] = []
    for shape, items in (((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((3,), ())):
        first = _some(dtype, shape)[()]
        for outside in ((), (_some(dtype, (3,)[: len(shape)])[()],), (2,), (np.array(2, np.int8),)):
            for sequences in (1, 2):
                rows = [_some(dtype, (4, *items)) for _ in range(sequences)]
                operands = (first, *rows, *outside)
                body = _step(operands, sequences)
                for reverse in (False, True):
                    params = {"body": body, "sequences": sequences, "reverse": reverse}
                    cases.append(("scan", operands, params))
    return cases


def _some(dtype: str, shape: tuple[int, ...]) -> Any:
    return (np.arange(np.prod(shape, dtype=int)).reshape(shape) % 3 - 1).astype(DTYPES[dtype])


def _step(operands: tuple[Any, ...], sequences: int) -> Program:
    """The state times what is outside, and the items added."""
    b = Builder()
    state = b.input(type_of(operands[0]))
    items = [b.input(type_of(x[0])) for x in operands[1 : 1 + sequences]]
    outside = [b.input(type_of(x)) for x in operands[1 + sequences :]]
    new: Any = b.add("cast", (state,), {"dtype": state.dtype}) if state.kind == "array" else state
    for value in outside:
        new = b.add("multiply", (new, value))
    for item in items:
        new = b.add("add", (new, item))
    return b.program([b.add("cast", (new,), {"dtype": state.dtype})])


def primitives_tested_in(file: str) -> set[str]:
    """The primitives that a file of tests names, or the lists of `cases` that it uses."""
    text = Path(file).read_text(encoding="utf-8")
    used = [
        f for name, f in globals().items() if inspect.isfunction(f) and f"cases.{name}(" in text
    ]
    text += "".join(map(inspect.getsource, used))
    named = {name for name in PRIMITIVES if f'"{name}"' in text}
    return named | {p.name for p in ELEMENTWISE}


KINDS: dict[str, Callable[[], list[Case]]] = {
    **{
        name: lambda name=name: [(name, (x,), {}) for x in SAMPLES]  # type: ignore[misc]
        for name in ONE_OPERAND
    },
    **{
        name: lambda name=name: [(name, (x, y), {}) for x in SAMPLES for y in SAMPLES]  # type: ignore[misc]
        for name in TWO_OPERANDS
    },
    "where": lambda: where(2),
    "cast": lambda: [case for dtype in DTYPES for case in cast(dtype)],
    **{
        name: lambda name=name: reductions(name)  # type: ignore[misc]
        for name in ("sum", "prod", "max", "min", "any", "all")
    },
    "argmax": lambda: arg_reductions("argmax"),
    "argmin": lambda: arg_reductions("argmin"),
    "cumsum": cumsum,
    "matmul": lambda: [*matmul_in_every_rank(), *matmul_in_every_dtype()],
    "gemm": lambda: [*gemm(np.float32), *gemm(np.float64)],
    "movements": movements,
    "creations": creations,
    "slices": slices,
    "parts": lambda: [case for dtype in DTYPES for case in gathers_and_scatters(dtype)],
    "scans": lambda: [case for dtype in DTYPES for case in scans(dtype)],
}
"""Every primitive, by kinds of cases."""
