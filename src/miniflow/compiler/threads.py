"""How many threads NumPy's matrix products use in this process.

OpenBLAS, which NumPy carries, splits every product but the smallest over all processors and waits
for the last part. On a machine with nothing else to do that pays from the first microseconds on.
But where another program wants a processor too, a part waits until the system gives it one, which
takes longer than many a small product; training a small network can take ten times as long as with
one thread. So small products take one thread, where all of a program's (or a command's) are small,
and large ones take all.

What is small depends on the shapes alone, never on anything that is measured: the same program
always uses the same number of threads. And what the user says counts. `mf.set_threads` and
`MINIFLOW_THREADS` are the most that any product takes. Where nothing is said to miniflow, and
`OPENBLAS_NUM_THREADS` or `OMP_NUM_THREADS` is set, or where NumPy uses something else than
OpenBLAS, nothing is changed.

OpenBLAS has one number for the whole process. It is changed when a program begins to run, to the
least that any of those wants that run at the time, and put back when the last of them has ended.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from miniflow.backends import blas
from miniflow.backends.thread_limit import OPENMP, said_threads
from miniflow.ir.loop import body_of
from miniflow.ir.program import Program
from miniflow.locks import Lock, renew_after_fork

WORTH_SPLITTING = 200e6  # floating-point operations in a product of a command that runs for minutes
SMALL = 10e6  # in a product of a program: it takes a tenth of a millisecond on one core
NEVER_SPLIT = 2 * 2**18  # OpenBLAS itself leaves products up to this size to one thread
_OPENBLAS_READS = ("OPENBLAS_NUM_THREADS", OPENMP)

Run = Callable[[Sequence[Any]], list[Any]]


def one_thread_if_small(operations: float) -> AbstractContextManager[None]:
    """Inside the `with` block, use one thread for all products, if the largest of them is small;
    and never more than the user has said.

    Args:
        operations: of the largest product: 2 · m · n · p for (m, n) times (n, p).

    It holds for the whole process. Blocks that several threads of the process are in at once may
    end in any order: the last puts the number back.
    """
    count = _thread_limit(operations <= WORTH_SPLITTING)
    library = None if count is None else blas.find()
    if library is None or count is None:
        return nullcontext()
    return _limit_of(library).block(count)


def thread_count() -> int | None:
    """How many threads a large product may use now; None if it is not known."""
    library = blas.find()
    if library is None:
        return None
    said = said_threads()
    return library.get_threads() if said is None else said


def on_one_thread_if_small(program: Program, run: Run) -> Run:
    """Return `run`, so that its products take one thread if all of them are small, and never more
    than the user has said.
    """
    largest = largest_product(program)
    library = blas.find() if largest > NEVER_SPLIT else None
    if library is None:
        return run
    limit = _limit_of(library)
    is_small = largest <= SMALL

    def run_on_few_threads(arguments: Sequence[Any]) -> list[Any]:
        count = _thread_limit(is_small)
        if count is None:
            return run(arguments)
        limit.begin(count)
        try:
            return run(arguments)
        finally:
            limit.end(count)

    return run_on_few_threads


def _thread_limit(is_small: bool) -> int | None:
    """How many threads products may take; None to leave that to OpenBLAS."""
    said = said_threads()
    if said is None and (not is_small or any(name in os.environ for name in _OPENBLAS_READS)):
        return None
    return 1 if is_small else said


def largest_product(program: Program) -> int:
    """The floating-point operations of the largest matrix product of a program; 0 if it has none.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> x, w = (b.input(ValueType("f32", shape)) for shape in ((32, 784), (784, 10)))
    >>> largest_product(b.program([b.add("matmul", (x, w))])) == 2 * 32 * 784 * 10
    True
    """
    sizes = [0]
    for equation in program.equations:
        if (body := body_of(equation)) is not None:
            sizes.append(largest_product(body))
        if equation.primitive in ("matmul", "gemm"):
            first = 1 if equation.primitive == "gemm" else 0
            a, b = (operand.shape for operand in equation.operands[first : first + 2])
            rows, columns = a[-2] if len(a) > 1 else 1, b[-1] if len(b) > 1 else 1
            sizes.append(2 * rows * a[-1] * columns)
    return max(sizes)


class _Limit:
    """The number of threads of a library, as long as somebody wants another one."""

    def __init__(self, library: blas.Library) -> None:
        self._library = library
        self._lock = Lock()
        self._wanted: list[int] = []
        self._before = self._now = 1  # at first, and since the last change
        renew_after_fork(self, _Limit.renew)

    def begin(self, count: int) -> None:
        """One more who wants so many threads."""
        with self._lock:
            if not self._wanted:
                self._before = self._now = self._library.get_threads()
            self._wanted.append(count)
            self._set(min(self._wanted))

    def end(self, count: int) -> None:
        """One less; of what began before a fork, the child has forgotten it."""
        with self._lock:
            if count in self._wanted:
                self._wanted.remove(count)
                self._set(min(self._wanted, default=self._before))

    @contextmanager
    def block(self, count: int) -> Iterator[None]:
        """Want it inside a `with` block."""
        self.begin(count)
        try:
            yield
        finally:
            self.end(count)

    def renew(self) -> None:
        """Forget the threads of the parent, which a forked child does not have."""
        if self._wanted:
            self._wanted = []
            self._now = self._library.get_threads()
            self._set(self._before)

    def _set(self, count: int) -> None:
        """Have so many; the library is asked only where somebody begins, for that takes a while."""
        if self._now != count:
            self._library.set_threads(count)
            self._now = count


_limits: dict[int, _Limit] = {}


def _limit_of(library: blas.Library) -> _Limit:
    return _limits.setdefault(id(library), _Limit(library))
