"""What everybody may know of a backend: one record, which stands in the backend's own folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from miniflow.errors import CompileError
from miniflow.ir.dtypes import Array
from miniflow.ir.primitive import Primitive
from miniflow.ir.program import Equation, Program, Variable

Purpose: TypeAlias = Literal["run", "devices", "compare", "write"]
Pass: TypeAlias = "Callable[[Program], Program]"
Groups: TypeAlias = "tuple[tuple[Equation, ...], ...]"

RUN: Final[Purpose] = "run"
DEVICES: Final[Purpose] = "devices"
COMPARE: Final[Purpose] = "compare"
WRITE: Final[Purpose] = "write"


class Buffers(NamedTuple):
    """The memory that an executable has allocated for good: the size of each buffer in bytes, and
    in which of them (by its number) a result is kept.
    """

    sizes: tuple[int, ...] = ()
    number_of: Mapping[Variable, int] = MappingProxyType({})


class Executable(Protocol):
    """A program that can be run.

    It is handed one argument for each input of the program, exactly of its type; arrays are in C
    order, and none that was fed shares memory with a parameter. New values of parameters and of an
    optimizer's state are written into their own arrays, after everything else; the other outputs
    are returned, in order, and belong to the caller; a check is not. If `number_to_check` of a
    program that updates something turns out NaN or infinite, `FloatingPointError` is raised before
    anything is updated.

    What it says of itself, for pictures: the name of its backend, the program that it was made of,
    the groups of equations that it computes in one loop each, its buffers, and its code.
    """

    backend: str
    program: Program
    groups: Groups
    buffers: Buffers
    source: str

    def run(self, arguments: Sequence[Any]) -> list[Any]:
        """The outputs that replace no input, in order."""


ARGUMENTS: Final = "take the arguments"
RESULTS: Final = "hand out the results"


class TimedPart(NamedTuple):
    """A part of a step that is timed by itself: the code, or what is said of it, and what it
    computes.
    """

    text: str
    equations: tuple[Equation, ...]


class TimedRun(NamedTuple):
    """A step in parts: `run(arguments, tick)` calls `tick(number)` after each of the `parts`, which
    compute the equations of `program`; `dialect` has primitives of the backend's own.
    """

    run: Callable[[Sequence[Any], Callable[[int], None]], Any]
    parts: tuple[TimedPart, ...]
    program: Program
    dialect: Mapping[str, Primitive] = MappingProxyType({})


@runtime_checkable
class CanBeTimed(Protocol):
    """An executable whose parts can be timed."""

    def timed(self) -> TimedRun:
        """The same step in parts, to be run on the same memory."""


@runtime_checkable
class CanRepeat(Protocol):
    """An executable that makes many steps in one call, each with rows of whole arrays.

    `run_steps(arguments, data, rows, counting)`: the arguments of the first step; place among the
    inputs → array with a row for each example; the row numbers (steps, batch); place → Python
    number that counts up by one. It returns the losses, and the first step that went wrong, with
    what `run` would have raised, or None; those after it have not been made.
    """

    def run_steps(
        self,
        arguments: Sequence[Any],
        data: Mapping[int, Any],
        rows: Any,
        counting: Mapping[int, int],
    ) -> tuple[Any, tuple[int, Exception] | None]:
        """Make the steps."""


class SeriesResult(NamedTuple):
    """What a series of runs has come to: how many were made, what each of the program's outputs was
    in each of these, (runs, ...), and why the next could not be made, if there is one.
    """

    made: int
    outputs: list[Array]
    error: Exception | None = None


class DataWalk:
    """A way through data, in several calls, on which nobody writes to them.

    Attributes:
        kept: what a backend keeps of the data until the end of the way.
        ahead: the rows of the steps that come next, after those of a call.
    """

    def __init__(self) -> None:
        self.kept: dict[Any, Any] = {}
        self.ahead: Sequence[Array] = ()


class StepSeries(Protocol):
    """Runs a program many times in one call, each time with other rows of the data."""

    def run(
        self,
        arguments: Sequence[Any],
        data: Mapping[int, Array],
        order: Array,
        numbers: Mapping[int, Sequence[Any]],
        walk: DataWalk,
    ) -> SeriesResult:
        """Make the runs.

        Args:
            arguments: as of a single run; those with data and other numbers for each run count for
                nothing.
            data: by the places of arguments, arrays of their dtype, whose rows have their shape;
                none shares memory with what the program writes.
            order: the rows of each run, (runs, batch), which are there.
            numbers: by the places of arguments, a number for each run.
            walk: the way through the data that these runs are a part of.
        """

    def run_each(self, arguments: Sequence[Sequence[Any]]) -> SeriesResult:
        """Make a run with each of these arguments, of which a single run would take any."""

    @property
    def nbytes(self) -> int:
        """How many bytes the outputs of one run have."""

    @property
    def is_shared(self) -> bool:
        """Whether several processes make each run together, each with its own part of a batch."""

    @property
    def lengths(self) -> tuple[int, ...] | None:
        """How many runs a call makes, the most first, where a run's bits depend on that, so that no
        clock may choose: as many as there are runs left for. None where any number gives the same.
        """


@runtime_checkable
class CanRunSeries(Protocol):
    """An executable that can run many times in one call; `series` is None where it cannot after
    all.
    """

    @property
    def series(self) -> StepSeries | None: ...


THIS_MACHINE: Final = "the same machine, with the same number of threads"


@dataclass(frozen=True)
class Backend:
    """One backend.

    Attributes:
        name: what it is asked for by.
        lower: makes what runs (an `Executable`) of a program, or what is written to a file (text).
        passes: what a program goes through before that, in order.
        purpose: "run"; "devices", for what computes on devices and keeps arrays there
            (`miniflow.residence`): it is taken where it is asked for by name; "compare", which is
            slow; or "write", for what runs elsewhere.
        package: what has to be installed besides NumPy, if anything; `extra` is the extra of this
            package that brings it.
        declines: why `auto` shall not take it for a program that went through its passes; "" if it
            may.
        remark: what is to be said of it on this machine, when it is chosen; "" as a rule.
        same_bits_on: where its results have the same bits.
        has_blas: whether its products are BLAS's, which has threads of its own.
        devices: over how many devices it divides a batch.
        for_training: its name, for batches of which the last of an epoch has any number of rows.
        record_for: the record of a name that comes with options; itself for a plain one.
    """

    name: str
    lower: Callable[[Program], Any]
    passes: tuple[Pass, ...] = ()
    purpose: Purpose = RUN
    package: str | None = None
    extra: str | None = None
    declines: Callable[[Program], str] = lambda program: ""
    remark: Callable[[], str] = lambda: ""
    same_bits_on: Callable[[], str] = lambda: THIS_MACHINE
    has_blas: bool = False
    devices: Callable[[], int] = lambda: 1
    for_training: Callable[[str], str] = lambda name: name
    record_for: Callable[[str], Backend] | None = None

    def available(self) -> bool:
        """Whether what it needs is installed.

        >>> from miniflow.backends import find
        >>> find("numpy").available()
        True
        """
        return self.package is None or find_spec(self.package) is not None

    def __str__(self) -> str:
        return f"{self.name} (needs {self.package})" if self.package else self.name

    def check_available(self) -> None:
        """Raise CompileError, with the way to install it, if what it needs is not installed."""
        if not self.available():
            raise CompileError(
                f"The {self.name} backend needs {self.package}: "
                f'pip install "miniflow-graphs[{self.extra}]".'
            )
