"""How many threads NumPy's matrix products use in this process.

OpenBLAS, which NumPy carries, splits every product but the smallest over all processors and waits
for the last part. On a machine with nothing else to do that pays from the first microseconds on.
But where another program wants a processor too, a part waits until the system gives it one, which
takes longer than many a small product; training a small network can take ten times as long as with
one thread. So small products take one thread, where all of a program's (or a command's) are small,
and large ones take all.

What is small depends on the shapes alone, never on anything that is measured: the same program
always uses the same number of threads. And what the user says counts: where `OPENBLAS_NUM_THREADS`
or `OMP_NUM_THREADS` is set, or where NumPy uses something else than OpenBLAS, nothing is changed.

OpenBLAS has one number for the whole process. It is changed when the first small program begins to
run, and put back when the last of them has ended.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from miniflow.backends import blas
from miniflow.ir.loop import body_of
from miniflow.ir.program import Program
from miniflow.locks import Lock, renew_after_fork

WORTH_SPLITTING = 200e6  # floating-point operations in a product of a command that runs for minutes
SMALL = 10e6  # in a product of a program: it takes a tenth of a millisecond on one core
NEVER_SPLIT = 2 * 2**18  # OpenBLAS itself leaves products up to this size to one thread

Run = Callable[[Sequence[Any]], list[Any]]


def one_thread_if_small(operations: float) -> AbstractContextManager[None]:
    """Inside the `with` block, use one thread for all products, if the largest of them is small.

    Args:
        operations: of the largest product: 2 · m · n · p for (m, n) times (n, p).

    It holds for the whole process. Blocks that several threads of the process are in at once may
    end in any order: the last puts the number back.
    """
    library = None if _is_said() or operations > WORTH_SPLITTING else blas.find()
    return nullcontext() if library is None else _limit_of(library).block()


def thread_count() -> int | None:
    """How many threads a large product may use now; None if it is not known."""
    library = blas.find()
    return None if library is None else library.get_threads()


def on_one_thread_if_small(program: Program, run: Run) -> Run:
    """Return `run`, so that its products take one thread if all of them are small."""
    largest = largest_product(program)
    library = blas.find() if NEVER_SPLIT < largest <= SMALL and not _is_said() else None
    if library is None:
        return run
    limit = _limit_of(library)

    def run_on_one_thread(arguments: Sequence[Any]) -> list[Any]:
        limit.begin()
        try:
            return run(arguments)
        finally:
            limit.end()

    return run_on_one_thread


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
    """One thread for products as long as anybody wants that."""

    def __init__(self, library: blas.Library) -> None:
        self._library = library
        self._lock = Lock()
        self._wanting = 0
        self._before = 1
        renew_after_fork(self, _Limit.renew)

    def begin(self) -> None:
        """One more who wants it."""
        with self._lock:
            if self._wanting == 0:
                self._before = self._library.get_threads()
                if self._before != 1:
                    self._library.set_threads(1)
            self._wanting += 1

    def end(self) -> None:
        """One less; of what began before a fork, the child has forgotten it."""
        with self._lock:
            self._wanting = max(self._wanting - 1, 0)
            if self._wanting == 0 and self._before != 1:
                self._library.set_threads(self._before)

    @contextmanager
    def block(self) -> Iterator[None]:
        """Want it inside a `with` block."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def renew(self) -> None:
        """Forget the threads of the parent, which a forked child does not have."""
        if self._wanting:
            self._wanting = 0
            self._library.set_threads(self._before)


_limits: dict[int, _Limit] = {}


def _limit_of(library: blas.Library) -> _Limit:
    return _limits.setdefault(id(library), _Limit(library))


def _is_said() -> bool:
    return any(name in os.environ for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"))
