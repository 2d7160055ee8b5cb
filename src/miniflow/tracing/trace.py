"""A recording under way, and what it means to refuse.

`Trace` collects the equations that traced values ask for; each carries the origin (node and pass)
that the driver has set. What cannot be recorded raises `Refused`, with a reason and a way out; the
driver turns it into a `CompileError` that names the node and the line of the user's code.

A `Storage` is the memory of one array that NumPy would have allocated. The arrays of a program
never change, those of NumPy do: so a storage remembers which variable holds its contents *now*, and
writing to it, directly or through a view, gives it a new variable.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from miniflow.errors import GraphError
from miniflow.ir.build import Builder
from miniflow.ir.dtypes import ProgramError, same_bits
from miniflow.ir.primitives import PRIMITIVES
from miniflow.ir.program import Equation, Literal, Operand, Origin, Params, Variable


class Refused(Exception):  # noqa: N818 - it is an answer, made into a CompileError by the driver
    """What the code did, which cannot be recorded, and the way out.

    The recording under way remembers it: code that catches it (`except Exception:`) would go on
    with something that it does only while it is recorded.
    """

    def __init__(self, what: str, way_out: str) -> None:
        super().__init__(f"{what} {way_out}")
        if _active and _active[-1].refused is None:
            _active[-1].refused = self


class Storage:
    """The memory of one array: the variable that holds its contents now.

    `locked` says why it must not be written to ("it was fed"), "" where it may be.
    """

    __slots__ = ("contents", "locked", "trace", "version")

    def __init__(self, contents: Operand, locked: str = "") -> None:
        self.contents = contents
        self.locked = locked
        self.version = 0
        self.trace = active()

    def write(self, contents: Operand) -> None:
        """Replace the contents."""
        if self.trace is not active():
            raise outlived_error("it writes to")
        if self.locked:
            raise Refused(
                f"it writes to an array in place, and {self.locked}.",
                "Work on a copy: np.copy(x), or x = x - 1 instead of x -= 1.",
            )
        self.contents = contents
        self.version += 1


class OutsideStorage(Storage):
    """The memory of an array that was made before the pass: a constant, once it is read."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray, locked: str) -> None:
        self.array = array
        self.locked = locked
        self.version = 0
        self.trace = active()

    @property
    def contents(self) -> Operand:  # type: ignore[override]
        """The array as a constant of the program."""
        return self.trace.constant(self.array)


class Trace:
    """The equations recorded so far, and where they come from.

    Attributes:
        origin: the node and the pass whose code is running.
        refused: the first refusal, also if the code has caught it.
    """

    def __init__(self) -> None:
        self.builder = Builder()
        self.origin: Origin | None = None
        self.refused: Refused | None = None
        self._constants: dict[int, tuple[Any, Variable]] = {}
        self._defining: dict[Operand, Equation] = {}
        self._known: dict[Operand, Any] = {}  # what known_value has found out; None: not known
        self._thread = threading.get_ident()

    def record(
        self, primitive: str, operands: list[Operand], params: Params | None = None
    ) -> Variable:
        """Add an equation; what NumPy would refuse (shapes, dtypes) raises ValueError as
        NumPy does.
        """
        try:
            result = self.builder.add(primitive, operands, params or {}, self.origin)
        except ProgramError as error:
            raise ValueError(str(error)) from None
        self._defining[result] = self.builder.equations[-1]
        return result

    def constant(self, array: np.ndarray) -> Variable:
        """The array of the user's code, as it is now, as a constant of the program; the same one
        once only.
        """
        known = self._constants.get(id(array))
        if known is None or not same_bits(self._known[known[1]], array):
            variable = self.builder.constant(array)
            self._known[variable] = self.builder.constants[-1].value
            known = self._constants[id(array)] = (array, variable)
        return known[1]

    def known_value(self, operand: Operand) -> Any:
        """What an operand is, if no input of the program has a part in it; else None."""
        wanted: list[Operand] = [operand]
        while wanted:
            current = wanted[-1]
            if current in self._known:
                wanted.pop()
            elif isinstance(current, Literal):
                self._known[current] = current.value
            elif (equation := self._defining.get(current)) is None:
                self._known[current] = None  # an input
            elif missing := [o for o in equation.operands if o not in self._known]:
                wanted.extend(missing)
            else:
                self._known[current] = self._compute(equation)
        return self._known[operand]

    def _compute(self, equation: Equation) -> Any:
        values = [self._known[operand] for operand in equation.operands]
        if any(value is None for value in values):
            return None
        with np.errstate(all="ignore"):
            return PRIMITIVES[equation.primitive].compute(*values, **equation.params)

    def is_of_this_thread(self) -> bool:
        """Whether the caller is the thread that records, and not one beside it."""
        return threading.get_ident() == self._thread


_active: list[Trace] = []  # the one under way last; passes are serialised by the interpreter's lock


def active() -> Trace:
    """The recording under way."""
    if not _active:
        raise outlived_error("it uses")
    return _active[-1]


def outlived_error(does: str) -> Exception:
    """The error for a traced value that was kept, in an attribute or a cache, beyond its pass."""
    if _active:
        return Refused(
            f"{does} an array that was computed in an earlier pass over the graph, and kept.",
            "Compute it in every pass, or feed it.",
        )
    return GraphError(
        "A node's code has kept something in a global variable, a class or a cache while `compile` "
        "looked at that code, and there are no numbers in it. Keep such things in the node (self)."
    )


@contextmanager
def recording(patches: Callable[[Trace], Any]) -> Iterator[Trace]:
    """Record what happens inside; `patches` is a context manager that makes array creation
    visible.
    """
    trace = Trace()
    _active.append(trace)
    try:
        with patches(trace):
            yield trace
    finally:
        _active.pop()


def is_recording() -> bool:
    """Whether a recording is under way."""
    return bool(_active)


def literal_or_constant(value: Any) -> Operand:
    """A number as a literal; an array (a list, a range) as a constant, a range as an equation."""
    trace = active()
    if type(value) in (bool, int, float):
        return Literal(value)
    if isinstance(value, np.generic):
        return Literal(value)
    if isinstance(value, range):
        params = {"start": value.start, "stop": value.stop, "step": value.step, "dtype": "i64"}
        return trace.record("arange", [], params)
    array = np.asarray(value)
    if array.dtype == object:
        raise Refused(
            f"it computes with {'None' if value is None else f'a {type(value).__name__}'}.",
            "Only arrays and numbers are recorded; ask for None with `x is None`.",
        )
    return trace.constant(array)
