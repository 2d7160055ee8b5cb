"""Tracer values: they have a shape and a dtype, no numbers, and record what NumPy is asked to do
with them.

Three classes, as there are three kinds of value (see `ir.dtypes`): `TracedPython` stands for a
Python number and `TracedScalar` for a NumPy number, neither of which can change; `TracedArray`
stands for an array, which can. A `TracedArray` is a `Storage` seen through views (slices,
transposes, reshapes): it is read by applying the views to the contents of the storage, and written
by undoing them, so that a write through one view is seen through all.

What NumPy's functions do with traced values is in `ufuncs.py` and `functions.py`.
"""

import operator
from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from miniflow.ir.dtypes import DTYPES, PYTHON_DTYPES, ValueType
from miniflow.ir.program import Literal, Operand, Params
from miniflow.tracing.trace import (
    Refused,
    Storage,
    Trace,
    active,
    is_recording,
    literal_or_constant,
    outlived,
)


class Traced:
    """What the three kinds share: they answer NumPy's functions, and refuse to say which number
    they are.

    A traced value that has outlived its recording (a helper with a cache made it, say) stands for
    the number or array that it is, if no input has a part in it; other uses of one are errors.
    """

    def own_trace(self) -> Trace:
        """The recording that it belongs to."""
        raise NotImplementedError

    def own(self) -> Operand:
        """The operand that holds this value now, in the recording that it belongs to."""
        raise NotImplementedError

    def read(self) -> Operand:
        """The operand that holds this value now, in the recording under way."""
        return self.own() if self.own_trace() is active() else literal_or_constant(settled(self))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from miniflow.tracing.functions import call_function

        if not is_recording():
            return function(*settled(args), **{name: settled(x) for name, x in kwargs.items()})
        return call_function(function, args, kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        from miniflow.tracing.ufuncs import call_ufunc

        if not is_recording() and "out" not in options:
            return getattr(ufunc, method)(*settled(inputs), **options)
        return call_ufunc(ufunc, method, inputs, options)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if not is_recording():
            return np.array(settled(self), dtype)
        known = self.own_trace().known_value(self.own())
        if known is None:
            raise Refused(
                "it hands an array to code that needs its numbers.",
                "Call NumPy's functions as np.name(...); cast with x.astype(dtype); "
                "pick from a fixed array with np.take(table, indices, axis=0).",
            )
        return np.array(known, dtype)

    def _number(self, asked: str) -> Any:
        value = self.own_trace().known_value(self.own())
        if value is None and not is_recording():
            raise outlived("it uses")
        if value is None:
            raise Refused(
                f"it asks for the number in an array ({asked}), which differs from call to call.",
                _INSTEAD.get(asked, "Leave it in its array: np.exp(x) instead of math.exp(x)."),
            )
        return value

    def __repr__(self) -> str:
        # Two that read alike are equal: a node's code may take the text for a key.
        operand = self.own()
        return f"<traced {operand.type} {operand if isinstance(operand, Literal) else id(operand)}>"

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __hash__(self) -> int:
        raise Refused(
            "it uses a number as a key (of a dictionary, a set, a cache).",
            "Keys are made of what does not change, such as shapes.",
        )

    def __copy__(self) -> Any:
        return fresh(self.read())

    def __deepcopy__(self, memo: Any) -> Any:
        return fresh(self.read())

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise Refused("it stores an array outside of the graph (pickle).", "Store it afterwards.")

    def __bool__(self) -> bool:
        return bool(self._number(_CONDITION))

    def __int__(self) -> int:
        return int(self._number("int(x)"))

    def __float__(self) -> float:
        return float(self._number("float(x)"))

    def __index__(self) -> int:
        return operator.index(self._number(_COUNT))

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._number("round(x)"), digits)

    def _unknown(self, attribute: str, class_: type) -> Exception:
        """The error for an attribute that tracers lack: NumPy's have it, or lack it too."""
        if attribute.startswith("__") or not hasattr(class_, attribute):
            return AttributeError(f"{class_.__name__!r} object has no attribute {attribute!r}")
        return Refused(
            f"it uses `.{attribute}` of an array, which the compiler does not know.",
            "Say it with sums, products, np.exp, np.where, slices and their like.",
        )


_CONDITION, _COUNT = "a condition", "as a count or an index"
_INSTEAD = {
    _CONDITION: "Choose with np.where(condition, a, b) instead of `if`, with np.maximum(a, b) "
    "instead of max(a, b); leave out what only checks.",
    _COUNT: "Counts follow from shapes (len(x)); an array picks entries by itself: x[i].",
}


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
        def apply(self: Any, other: Any) -> Any:
            if getattr(other, "__array_ufunc__", True) is None:
                return NotImplemented
            return elementwise(primitive, self, other)

        return apply, lambda self, other: elementwise(primitive, other, self)

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


class _NumPyMethods(Traced, NDArrayOperatorsMixin):
    """The methods that NumPy's numbers and arrays share; each is NumPy's function of that name."""

    __hash__ = Traced.__hash__

    @property
    def type(self) -> ValueType:
        """The type in the program."""
        return self.own().type

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype."""
        return DTYPES[self.type.dtype]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape."""
        return self.type.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of entries."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes that the entries take."""
        return self.type.nbytes

    @property
    def itemsize(self) -> int:
        """The bytes that one entry takes."""
        return self.dtype.itemsize

    @property
    def T(self) -> Any:
        """The axes in reverse."""
        return np.transpose(self)

    @property
    def real(self) -> Any:
        """The value itself: there are no complex numbers here."""
        return self

    def item(self, *where: int) -> Any:
        """Refused unless the number is known."""
        return self._number("x.item()").item(*where)

    def tolist(self) -> Any:
        """Refused unless the numbers are known."""
        return self._number("x.tolist()").tolist()

    def astype(self, dtype: Any, copy: bool = True, **options: Any) -> Any:
        """A copy in another dtype."""
        if not is_recording():
            return settled(self).astype(dtype)
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        return cast(self, dtype)

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        """The entries in another shape."""
        given = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return self._call("reshape", tuple(given), order=order)

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order."""
        given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return np.transpose(self, given or None)

    def copy(self, order: str = "C") -> Any:
        """A copy, with memory of its own."""
        return fresh(self.read()) if is_recording() else np.copy(settled(self))

    def flatten(self, order: str = "C") -> Any:
        """A copy with one axis."""
        return self._call("ravel", order).copy()

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(np, name)(self, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS:
            function = getattr(np, name)
            return lambda *args, **kwargs: function(self, *args, **kwargs)
        raise self._unknown(name, self.__class__)


# The methods of arrays that are functions of NumPy by the same name, with the array first.
_METHODS = frozenset(
    (
        *("all", "any", "argmax", "argmin", "clip", "cumsum", "diagonal", "dot", "max", "mean"),
        *("min", "nonzero", "prod", "ptp", "put", "ravel", "repeat", "round", "sort", "squeeze"),
        *("std", "sum", "swapaxes", "take", "trace", "var"),
    )
)


class TracedScalar(_Number, _NumPyMethods):
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


class TracedArray(_NumPyMethods):
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

        return get_item(self, index) if is_recording() else settled(self)[settled(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        from miniflow.tracing.indexing import set_item

        set_item(self, index, value)


def is_traced(value: Any) -> bool:
    """Whether a value is a tracer."""
    return issubclass(type(value), Traced)


def settled(value: Any) -> Any:
    """What a traced value is, whose recording is not under way; in tuples and lists too."""
    known: Any = known_values(value)
    if known is None and value is not None:
        raise outlived("it uses")
    return known


def known_values(value: Any) -> Any:
    """A value with the traced ones in it as real ones; None if an input has a part in one."""
    if is_traced(value):
        return value.own_trace().known_value(value.own())
    if type(value) in (tuple, list):
        entries = [known_values(entry) for entry in value]
        unknown = any(a is None and b is not None for a, b in zip(entries, value, strict=True))
        return None if unknown else type(value)(entries)
    return value


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
        entries: list[Any] = [wrapped(operand_of(entry)) for entry in value]
        return operand_of(np.stack(entries))
    return literal_or_constant(value)


def is_traced_list(value: Any) -> bool:
    """Whether a value is a list (of lists) with traced entries: NumPy makes an array of it."""
    if type(value) not in (list, tuple):
        return False
    return any(is_traced(entry) or is_traced_list(entry) for entry in value)


def as_traced(value: Any) -> Any:
    """A traced value as it is; a number or an array as one."""
    return value if is_traced(value) else wrapped(operand_of(value))


def wrapped(operand: Operand, contiguous: bool = True) -> Any:
    """The tracer for a result: a fresh array, or a number."""
    if operand.type.kind == "python":
        return TracedPython(operand)
    if operand.type.kind == "scalar":
        return TracedScalar(operand)
    return TracedArray(Storage(operand), contiguous=contiguous)


def zero_d(value: Any) -> Any:
    """A number as an array without axes."""
    return wrapped(active().record("reshape", [operand_of(value)], {"shape": ()}))


def fresh(operand: Operand) -> Any:
    """A copy: the same contents in a storage of its own."""
    return wrapped(operand)


def elementwise(primitive: str, *values: Any) -> Any:
    """Record an elementwise primitive."""
    contiguous = all(value.contiguous for value in values if is_traced_array(value))
    return wrapped(active().record(primitive, [operand_of(value) for value in values]), contiguous)


def cast(value: Any, dtype: Any) -> Any:
    """A value in another dtype."""
    from miniflow.ir.dtypes import dtype_name

    operand, name = operand_of(value), dtype_name(dtype)
    contiguous = getattr(value, "contiguous", True)
    if operand.type.dtype == name and operand.type.kind != "python":
        return wrapped(operand, contiguous)
    return wrapped(active().record("cast", [operand], {"dtype": name}), contiguous)


__all__ = ["Literal", "Traced", "TracedArray", "TracedPython", "TracedScalar", "View"]
