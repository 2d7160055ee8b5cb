"""What `blas.py` uses of ctypes, for a Python without it (Pyodide, small builds).

Nothing can be called through it: `CDLL` finds no library, so every product is `np.matmul`'s. What
stays is a number in a box, whose `value` may be set between two runs.
"""

from typing import Any, Self


class Boxed:
    """A number that can be replaced."""

    size = 8

    def __init__(self, value: Any = None) -> None:
        self.value = value

    @classmethod
    def from_param(cls, value: Any) -> Self:
        return cls(value)


class c_float(Boxed):  # noqa: N801 - as ctypes has it
    pass


class c_double(Boxed):  # noqa: N801
    pass


class c_int(Boxed):  # noqa: N801
    pass


class c_int32(Boxed):  # noqa: N801
    size = 4


class c_int64(Boxed):  # noqa: N801
    pass


class c_void_p(Boxed):  # noqa: N801
    pass


class c_char_p(Boxed):  # noqa: N801
    pass


def sizeof(kind: type[Boxed]) -> int:
    return kind.size


def CDLL(name: str, handle: Any = None) -> Any:
    raise OSError(f"{name}: no library can be opened here.")
