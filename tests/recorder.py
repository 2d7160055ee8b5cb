"""An array that refuses what a recording of NumPy calls cannot follow.

It stands in for the arrays with which an optimizer is compiled: it has a shape and a dtype, takes
part in ufuncs, in-place operators, `np.where` and `astype`, and nothing else. Asking for its truth,
for a Python number or for the memory behind it fails. It notes the dtype of every result.
"""

from typing import Any, ClassVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin


class Recorded(NDArrayOperatorsMixin):
    """An array behind a pane of glass."""

    dtypes: ClassVar[list[tuple[Any, Any]]] = []  # shapes and dtypes of all results

    def __init__(self, array: Any) -> None:
        self.hidden = np.asarray(array)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.hidden.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.hidden.dtype

    def astype(self, dtype: Any) -> "Recorded":
        return _noted(self.hidden.astype(dtype))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.pop("out", None)
        if out is not None:
            options["out"] = tuple(_shown(x) for x in out)
        result = getattr(ufunc, method)(*map(_shown, inputs), **options)
        return out[0] if out is not None else _noted(result)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        assert function is np.where, f"{function} is not expected here"
        return _noted(function(*map(_shown, args), **options))

    def _refuse(self, *args: Any) -> Any:
        raise TypeError("a recorded array has no value to look at")

    __bool__ = __float__ = __int__ = __index__ = __iter__ = __len__ = __array__ = item = _refuse


def _shown(x: Any) -> Any:
    return x.hidden if isinstance(x, Recorded) else x


def _noted(result: Any) -> Recorded:
    recorded = Recorded(result)
    Recorded.dtypes.append((recorded.shape, recorded.dtype))
    return recorded
