"""How many threads NumPy's matrix products use in this process.

OpenBLAS, which NumPy carries, splits every product over all processors and waits for the last part.
A product of a small network takes less than a millisecond: waiting costs more than splitting gains.
And where another program wants a processor too, the threads wait for each other at every product;
training a 784-128-10 network then takes ten times as long as with one thread.

Where NumPy uses something else, or where the user has said how many threads to use (in
`OPENBLAS_NUM_THREADS` or `OMP_NUM_THREADS`), nothing is changed.
"""

import ctypes
import os
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

WORTH_SPLITTING = 200e6  # floating-point operations in a product


@contextmanager
def one_thread_if_small(operations: float) -> Iterator[None]:
    """Inside the block, use one thread for all products, if the largest of them is small.

    Args:
        operations: of the largest product: 2 · m · n · p for (m, n) times (n, p).

    It holds for the whole process, and depends on nothing that is measured: the same program always
    uses the same number of threads.
    """
    library = None if _said_by_user() or operations > WORTH_SPLITTING else _openblas()
    if library is None:
        yield
        return
    get, put = library
    before = get()
    put(1)
    try:
        yield
    finally:
        put(before)


def _said_by_user() -> bool:
    return any(name in os.environ for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))


@cache
def _openblas() -> tuple[Any, Any] | None:
    """What gets and what sets the number of threads of the OpenBLAS that NumPy has loaded."""
    package = pathlib.Path(np.__file__).parent
    for folder in (package.with_name("numpy.libs"), package / ".dylibs"):
        for path in sorted(folder.glob("*openblas*")):
            try:
                library = ctypes.CDLL(str(path))
            except OSError:
                continue
            for name in ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads"):
                try:
                    return library[name.format("get")], library[name.format("set")]
                except AttributeError:
                    continue
    return None
