"""The small language that kernels are written in, and its translation to LLVM.

A kernel of the native backend is text, a few nested loops that a person can read:

    def kernel(m: size, n: size, x: f32[m, n], b: f32[n], total: f32[m], out: f32[m, n]):
        for i in range(m):
            s = f64(0)
            for j in range(n):
                t1 = x[i, j] + b[j]
                out[i, j] = exp(t1)
                s += f64(t1)
            total[i] = f32(s)

It is Python, and means what Python and NumPy scalars make of it. What it may hold:

- parameters with a type: a `size`; arrays with dtype and shape, the last axis contiguous; numbers
  (``lr: f64``);
- ``for i in range(n):``, assignments, ``if condition: return 1``, and `+=`;
- arithmetic and comparison of two values of one type; a literal takes the type of what it meets;
  nothing is promoted, types are changed by calls (``f32(t)``, ``bool_(t)``);
- `where`, `fma`, `rint`, ... below, and functions of `functions` (`exp`, `log`, ...).

Floating-point arithmetic is done as written, each operation rounded by itself, with one exception:
`+=` may add up in any order, which is what lets a sum be made eight numbers at a time (LLVM's flag
``reassoc``; it keeps NaN and infinities). Arrays must not overlap.

`translation` makes LLVM's language of it. This file has the words that Python and NumPy lack, so
that a kernel, or a function, runs as Python too.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

f32: TypeAlias = np.float32
f64: TypeAlias = np.float64
i32: TypeAlias = np.int32
i64: TypeAlias = np.int64
inf, nan = np.inf, np.nan
absolute: Any = np.absolute
copysign: Any = np.copysign
sqrt: Any = np.sqrt
where: Any = np.where


def fma(x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once where the processor can."""
    return x * y + z


def as_f32(bits: Any) -> Any:
    """The f32 that has the bits of an i32."""
    return bits.view(np.float32)


def as_i32(x: Any) -> Any:
    """The i32 that has the bits of an f32."""
    return x.view(np.int32)


def as_f64(bits: Any) -> Any:
    """The f64 that has the bits of an i64."""
    return bits.view(np.float64)


def as_i64(x: Any) -> Any:
    """The i64 that has the bits of an f64."""
    return x.view(np.int64)
