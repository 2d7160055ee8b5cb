"""The attributes and methods that NumPy's numbers and arrays have in common, for traced ones."""

from math import prod
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from miniflow.ir.dtypes import DTYPES, ValueType
from miniflow.tracing.trace import is_recording
from miniflow.tracing.traced import Traced, resolve


class NumPyMethods(Traced, NDArrayOperatorsMixin):
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
        from miniflow.tracing.arrays import cast

        if not is_recording():
            return resolve(self).astype(dtype)
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
        return self.__copy__() if is_recording() else np.copy(resolve(self))

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
