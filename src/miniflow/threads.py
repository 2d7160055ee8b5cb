"""How many threads NumPy's matrix products use in this process.

OpenBLAS, which NumPy carries, splits every product over all processors and waits for the last part.
A product of a small network takes less than a millisecond: waiting costs more than splitting gains.
And where another program wants a processor too, the threads wait for each other at every product;
training a 784-128-10 network then takes ten times as long as with one thread.

Where NumPy uses something else, or where the user has said how many threads to use (in
`OPENBLAS_NUM_THREADS` or `OMP_NUM_THREADS`), nothing is changed.
"""

import os
from contextlib import AbstractContextManager, nullcontext

from miniflow.backends import blas

WORTH_SPLITTING = 200e6  # floating-point operations in a product


def one_thread_if_small(operations: float) -> AbstractContextManager[None]:
    """Inside the `with` block, use one thread for all products, if the largest of them is small.

    Args:
        operations: of the largest product: 2 · m · n · p for (m, n) times (n, p).

    It holds for the whole process, and depends on nothing that is measured: the same program always
    uses the same number of threads.
    """
    said = any(name in os.environ for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))
    library = None if said or operations > WORTH_SPLITTING else blas.find()
    return nullcontext() if library is None else library.threads(1)


def thread_count() -> int | None:
    """How many threads a large product may use now; None if it is not known."""
    library = blas.find()
    return None if library is None else library.get_threads()
