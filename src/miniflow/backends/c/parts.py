"""What the functions of a file of C share: kernels, products, and constant arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from miniflow.backends.c.kernels import head, helpers, kernel_text, number_text
from miniflow.backends.c.names import CNames
from miniflow.backends.c.products import ProductPrinter
from miniflow.backends.c.types import C_TYPES
from miniflow.ir.dtypes import Array, dtype_name
from miniflow.lowering.nests import Kernel

WIDTH: Final = 100  # of a line of numbers


class FileParts:
    """Kernels, products and constants, each once, under names that begin with `prefix`."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.products = ProductPrinter(prefix)
        self._kernels: dict[Kernel, str] = {}
        self._constants: dict[tuple[str, int, bytes], tuple[str, Array]] = {}
        self._names = CNames()

    def kernel(self, kernel: Kernel) -> str:
        """What a kernel is called."""
        word = f"{self.prefix}_kernel_{len(self._kernels) + 1}"
        return self._kernels.setdefault(kernel, word)

    def constant(self, hint: str, value: Array) -> str:
        """What an array of the file is called, which has these numbers."""
        dtype = dtype_name(value.dtype)
        key = dtype, value.size, value.tobytes()
        if key not in self._constants:
            self._constants[key] = f"{self.prefix}_array_{self._names(hint)}", value
        return self._constants[key][0]

    def number(self, value: Array) -> str:
        """A single number, as the file writes it."""
        (text,) = _numbers(np.asarray(value), dtype_name(value.dtype))
        return text

    def texts(self) -> Iterator[str]:
        """All of it, in the order in which C wants to read it."""
        yield head(self.prefix)
        yield helpers(self.prefix, self._kernels)
        for word, value in self._constants.values():
            yield array_text(word, value)
        for kernel, word in self._kernels.items():
            yield kernel_text(self.prefix, word, kernel)
        yield from self.products.texts()


def array_text(word: str, value: Array) -> str:
    """The definition of a constant array."""
    dtype = dtype_name(value.dtype)
    numbers = list(_numbers(value, dtype)) or ["0"]
    lines, line = [], " "
    for number in numbers:
        if len(line) + len(number) + 2 > WIDTH:
            lines.append(line)
            line = " "
        line += f" {number},"
    body = "\n".join([*lines, line.rstrip(",")])
    return f"static const {C_TYPES[dtype]} {word}[{len(numbers)}] = {{\n{body}\n}};\n"


def _numbers(value: Array, dtype: str) -> Iterator[str]:
    """Numbers as C writes them, which read have the same bits."""
    flat = value.reshape(-1)
    if dtype == "f16":
        flat, dtype = flat.view(np.uint16), "u16"
    if dtype[0] != "f":
        return (number_text(number, dtype) for number in flat.tolist())
    end = "f" if dtype == "f32" else ""
    return (
        f"{_shortest(number)}{end}" if np.isfinite(number) else number_text(float(number), dtype)
        for number in flat
    )


def _shortest(number: np.floating) -> str:
    """The shortest decimal number that is nearest to this one.

    >>> _shortest(np.float32(0.1)), _shortest(np.float64(1e-300)), _shortest(np.float32(2.0))
    ('0.1', '1.0e-300', '2.0')
    """
    return (
        str(np.format_float_scientific(number, trim="0")).replace("e+00", "")
        if not (1e-4 <= abs(number) < 1e6 or number == 0)
        else np.format_float_positional(number, trim="0")
    )
