"""Tracer values: they have a shape and a dtype, no numbers, and record what NumPy is asked to do
with them.

Three classes, as there are three kinds of value (see `ir.dtypes`): `TracedPython` stands for a
Python number and `TracedScalar` for a NumPy number, neither of which can change; `TracedArray`
stands for an array, which can. A `TracedArray` is a `Storage` seen through views (slices,
transposes, reshapes): it is read by applying the views to the contents of the storage, and written
by undoing them, so that a write through one view is seen through all.

What the three share is in `traced.py`, and what NumPy's numbers share with its arrays in
`methods.py`. What NumPy's functions do with traced values is in `ufuncs.py` and `functions/`. At
the end of this file: from values to operands and back.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from miniflow.ir.dtypes import PYTHON_DTYPES, dtype_name
from miniflow.ir.program import Operand, Params
from miniflow.tracing.methods import NumPyMethods
from miniflow.tracing.trace import Storage, Trace, active, is_recording, literal_or_constant
from miniflow.tracing.traced import Traced, is_traced, resolve


class _Number(Traced):
    """A number: it cannot change."""

    def __init__(self, operand: Operand) -> None:
        self._operand = operand
        self._trace = active()

    def own_trace(self) -> Trace:
        """The recording that it belongs to."""
        return self._trace

    def own(self) -> Operand:
        """The operand that holds this number."""
        return self._operand


class TracedPython(_Number):
    """A Python int, float or bool; arithmetic among these is Python's."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # so `isinstance` says what it will say when the program runs
        return _PYTHON_CLASSES[self._operand.type.dtype]

    @staticmethod
    def _operator(primitive: str) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
        return (
            lambda self, other: elementwise(primitive, self, other),
            lambda self, other: elementwise(primitive, other, self),
        )

    __add__, __radd__ = _operator("add")
    __sub__, __rsub__ = _operator("subtract")
    __mul__, __rmul__ = _operator("multiply")
    __truediv__, __rtruediv__ = _operator("divide")
    __floordiv__, __rfloordiv__ = _operator("floor_divide")
    __mod__, __rmod__ = _operator("remainder")
    __pow__, __rpow__ = _operator("power")
    __lt__, _ = _operator("less")
    __le__, _ = _operator("less_equal")
    __gt__, _ = _operator("greater")
    __ge__, _ = _operator("greater_equal")
    __eq__, _ = _operator("equal")
    __ne__, _ = _operator("not_equal")

    __hash__ = Traced.__hash__

    def __neg__(self) -> Any:
        return elementwise("negative", self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return elementwise("absolute", self)

    def __getattr__(self, name: str) -> Any:
        raise self._unknown(name, self.__class__)


_PYTHON_CLASSES = {name: class_ for class_, name in PYTHON_DTYPES.items()}


class TracedScalar(_Number, NumPyMethods):
    """A NumPy number, such as `np.sum(x)`: `+=` on it makes another one."""

    __iter__ = None  # has __getitem__, and is no sequence

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return self.dtype.type

    def __getitem__(self, index: Any) -> Any:
        if index == ():
            return self
        return zero_d(self)[index]


class View(NamedTuple):
    """One way of looking at the array below: the primitive that reads it, and one that writes
    through it.
    """

    primitive: str
    params: Params
    # (the array below, the new contents of the view) -> the new array below
    undo: Callable[[Operand, Operand], Operand]
    operands: tuple[Operand, ...] = ()  # of the primitive, after the array below


class TracedArray(NumPyMethods):
    """An array: its storage, or a view of another array that shares the storage.

    `contiguous` is False where NumPy's own memory layout is not known to be C order, so that a
    reshape could be a view or a copy.
    """

    def __init__(
        self,
        storage: Storage,
        below: "TracedArray | None" = None,
        view: View | None = None,
        contiguous: bool = True,
    ) -> None:
        self.storage = storage
        self.contiguous = contiguous
        self._below = below
        self._view = view
        self._seen: tuple[int, Operand | None] = (-1, None)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return np.ndarray

    def __hash__(self) -> int:
        raise TypeError("unhashable type: 'numpy.ndarray'")

    def own_trace(self) -> Trace:
        """The recording that it belongs to."""
        return self.storage.trace

    def own(self) -> Operand:
        """The operand that holds the entries now, in the recording that it belongs to."""
        if self._below is None or self._view is None:
            return self.storage.contents
        version, operand = self._seen
        if operand is None or version != self.storage.version:
            view, below = self._view, self._below.own()
            operands = [below, *view.operands]
            operand = self.storage.trace.record(view.primitive, operands, view.params)
            self._seen = self.storage.version, operand
        return operand

    def write(self, contents: Operand) -> None:
        """Replace all entries; whoever shares the memory sees it."""
        array: TracedArray = self
        while array._below is not None and array._view is not None:
            if array.storage.locked:
                break
            contents = array._view.undo(array._below.read(), contents)
            array = array._below
        self.storage.write(contents)

    def become(self, other: "TracedArray") -> None:
        """Let another array, of the same type, be known to hold the entries, if it is no view."""
        if self._below is None and type(self.storage) is Storage:
            self.storage.contents = other.own()
            self.storage.version += 1

    def look(self, view: View, contiguous: bool) -> "TracedArray":
        """The same memory, looked at in another way."""
        return TracedArray(self.storage, self, view, contiguous)

    def assign(self, value: Any) -> None:
        """`self[...] = value`: cast to the dtype and broadcast to the shape, as NumPy does."""
        new = operand_of(value)
        record = active().record
        while len(new.shape) > self.ndim and new.shape[0] == 1:  # assignment ignores leading ones
            new = record("reshape", [new], {"shape": new.shape[1:]})
        if new.type.dtype != self.type.dtype or new.type.kind == "python":
            new = record("cast", [new], {"dtype": self.type.dtype})
        if new.shape != self.shape or new.type.kind != "array":
            new = record("broadcast_to", [new], {"shape": self.shape})
        self.write(new)

    def fill(self, value: Any) -> None:
        """`self[...] = value`."""
        self.assign(value)

    def __pow__(self, exponent: Any) -> Any:
        # NumPy's `**` squares where it can, and the square of booleans has a dtype of its own.
        if type(exponent) is int and exponent == 2 and self.type.dtype == "bool":
            return np.square(self)
        return super().__pow__(exponent)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def __getitem__(self, index: Any) -> Any:
        from miniflow.tracing.indexing import get_item

        return get_item(self, index) if is_recording() else resolve(self)[resolve(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        from miniflow.tracing.indexing import set_item

        set_item(self, index, value)


# --- From values to operands, and back


def is_traced_array(value: Any) -> bool:
    """Whether a value is a tracer that stands for an array; `isinstance` would be told it is
    NumPy's.
    """
    return type(value) is TracedArray


def operand_of(value: Any) -> Operand:
    """The operand for a traced value, a number or an array; lists with traced entries become
    arrays.
    """
    if is_traced(value):
        operand: Operand = value.read()
        return operand
    if is_traced_list(value):
        entries: list[Any] = [wrap(operand_of(entry)) for entry in value]
        return operand_of(np.stack(entries))
    return literal_or_constant(value)


def is_traced_list(value: Any) -> bool:
    """Whether a value is a list (of lists) with traced entries: NumPy makes an array of it."""
    if type(value) not in (list, tuple):
        return False
    return any(is_traced(entry) or is_traced_list(entry) for entry in value)


def as_traced(value: Any) -> Any:
    """A traced value as it is; a number or an array as one."""
    return value if is_traced(value) else wrap(operand_of(value))


def wrap(operand: Operand, contiguous: bool = True) -> Any:
    """Make the tracer for a result: a fresh array, or a number."""
    if operand.type.kind == "python":
        return TracedPython(operand)
    if operand.type.kind == "scalar":
        return TracedScalar(operand)
    return TracedArray(Storage(operand), contiguous=contiguous)


def number_of(value: Any) -> Any:
    """What NumPy's functions give in place of an array without axes: its number."""
    return value[()] if is_traced_array(value) and value.ndim == 0 else value


def zero_d(value: Any) -> Any:
    """A number as an array without axes."""
    return wrap(active().record("reshape", [operand_of(value)], {"shape": ()}))


def fresh(operand: Operand) -> Any:
    """A copy: the same contents in a storage of its own."""
    return wrap(operand)


def elementwise(primitive: str, *values: Any) -> Any:
    """Record an elementwise primitive."""
    contiguous = all(value.contiguous for value in values if is_traced_array(value))
    return wrap(active().record(primitive, [operand_of(value) for value in values]), contiguous)


def cast(value: Any, dtype: Any) -> Any:
    """A value in another dtype."""
    operand, name = operand_of(value), dtype_name(dtype)
    contiguous = getattr(value, "contiguous", True)
    if operand.type.dtype == name and operand.type.kind != "python":
        return wrap(operand, contiguous)
    return wrap(active().record("cast", [operand], {"dtype": name}), contiguous)
