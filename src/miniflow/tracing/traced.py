"""What all traced values share, whatever they stand for: they answer NumPy's functions, and refuse
to say which number they are.

`arrays` has the kinds of them. Once their recording is over, only those are of use in which no
input has a part: `resolve` gives the number or the array that they stand for.
"""

import operator
from typing import Any

import numpy as np

from miniflow.ir.program import Literal, Operand
from miniflow.tracing.trace import (
    Refused,
    Trace,
    active,
    is_recording,
    literal_or_constant,
    outlived_error,
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
        return self.own() if self.own_trace() is active() else literal_or_constant(resolve(self))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        from miniflow.tracing.functions import call_function

        if not is_recording():
            return function(*resolve(args), **{name: resolve(x) for name, x in kwargs.items()})
        return call_function(function, args, kwargs)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        from miniflow.tracing.ufuncs import call_ufunc

        if not is_recording() and "out" not in options:
            return getattr(ufunc, method)(*resolve(inputs), **options)
        return call_ufunc(ufunc, method, inputs, options)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if not is_recording():
            return np.array(resolve(self), dtype)
        known = self.known_value()
        if known is None:
            raise Refused(
                "it hands an array to code that needs its numbers.",
                "Call NumPy's functions as np.name(...); cast with x.astype(dtype); "
                "pick from a fixed array with np.take(table, indices, axis=0).",
            )
        return np.array(known, dtype)

    def known_value(self) -> Any:
        """The number or the array that it is, if no input of the program has a part in it; else
        None.
        """
        return self.own_trace().known_value(self.own())

    def _number(self, asked: str) -> Any:
        value = self.known_value()
        if value is None and not is_recording():
            raise outlived_error("it uses")
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
        from miniflow.tracing.arrays import fresh

        return fresh(self.read())

    def __deepcopy__(self, memo: Any) -> Any:
        return self.__copy__()

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


def is_traced(value: Any) -> bool:
    """Whether a value is a tracer."""
    return issubclass(type(value), Traced)


def resolve(value: Any) -> Any:
    """What a traced value is, whose recording is not under way; in tuples and lists too."""
    known: Any = known_values(value)
    if known is None and value is not None:
        raise outlived_error("it uses")
    return known


def known_values(value: Any) -> Any:
    """A value with the traced ones in it as real ones; None if an input has a part in one."""
    if is_traced(value):
        return value.known_value()
    if type(value) in (tuple, list):
        entries = [known_values(entry) for entry in value]
        unknown = any(a is None and b is not None for a, b in zip(entries, value, strict=True))
        return None if unknown else type(value)(entries)
    return value
