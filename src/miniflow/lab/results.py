"""What a check finds, as data: the `Results` of its parts, each passed or with a `Finding` why not.

A check runs in another process than the one that shows what it found, so all of this turns into
JSON and back, and holds nothing but numbers and text. `showing` and `html` make it readable, and
`findings` has the `Report` that shows itself.
"""

import math
from dataclasses import asdict, dataclass, field, is_dataclass
from types import NoneType, UnionType
from typing import Any, Self, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class CodeLine:
    """A line of the learner's code; `caret` is the column of a syntax error, from 1."""

    file: str
    number: int
    text: str = ""
    caret: int | None = None


@dataclass(frozen=True)
class WrongEntry:
    """One entry of an array that is not what it should be."""

    index: tuple[int, ...]
    expected: str
    actual: str


@dataclass(frozen=True)
class Difference:
    """How what the learner computed differs from what was expected.

    `entries` are the first differing entry and the worst; they are empty if the shapes differ.
    """

    what: str
    expected_shape: tuple[int, ...]
    actual_shape: tuple[int, ...]
    differing: int = 0
    size: int = 0
    entries: tuple[WrongEntry, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Why a part failed.

    `kind` is one of: unsolved (code that is not written yet), answer (of a question: none, or a
    wrong one), numbers, shape, exception, provenance, missing, stopped, other, defect.
    `sentence` is for the learner, and the most important thing on the screen.
    """

    kind: str
    sentence: str
    ran: str | None = None
    line: CodeLine | None = None
    difference: Difference | None = None
    detail: str | None = None  # a learner's exception, their own answer

    @property
    def is_open(self) -> bool:
        """Whether nothing is wrong yet, because nothing is written yet."""
        return self.kind == "unsolved" or (self.kind == "answer" and self.detail is None)


@dataclass(frozen=True)
class PartResult:
    """One part of a check: its text, the points it is worth, and why it failed, if it did."""

    text: str
    points: float
    finding: Finding | None = None
    ran: bool = True  # False if something stopped the check before it came to this part

    @property
    def passed(self) -> bool:
        return self.ran and self.finding is None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, repr=False)
class Results:
    """What the check of one exercise found.

    `trouble` is what kept the check from running at all (a syntax error) or from ending (an endless
    loop); `printed` is what the learner's code printed meanwhile.
    """

    exercise: str
    title: str
    file: str
    parts: tuple[PartResult, ...]
    seed: int
    trouble: Finding | None = None
    printed: str = ""
    needed_first: tuple[str, ...] = ()
    folder: str = field(default="", compare=False)

    @property
    def passed(self) -> bool:
        return self.trouble is None and all(part.passed for part in self.parts)

    @property
    def points(self) -> float:
        return sum(part.points for part in self.parts if part.passed)

    @property
    def possible(self) -> float:
        return sum(part.points for part in self.parts)

    @property
    def first_finding(self) -> Finding | None:
        """The one to act on first: what is wrong, or else what is not written yet."""
        every = [self.trouble, *(part.finding for part in self.parts)]
        found = [finding for finding in every if finding is not None]
        return next((f for f in found if not f.is_open), found[0] if found else None)

    @property
    def in_full(self) -> tuple[Finding, ...]:
        """What to show with all that is known: the first, and the first in the code.

        A wrong answer to a question does not hide the numbers and the line of wrong code.
        """
        first = self.first_finding
        every = (part.finding for part in self.parts)
        of_code = next((f for f in every if f and not f.is_open and f.kind != "answer"), None)
        return tuple(finding for finding in (first, of_code) if finding is not None)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> Self:
        """What `to_json` wrote; ValueError if it is anything else."""
        made: Self = _read(data, cls)
        return made


def part_from_json(data: object) -> PartResult:
    """What `PartResult.to_json` wrote; ValueError if it is anything else."""
    made: PartResult = _read(data, PartResult)
    return made


def _read(data: Any, form: Any) -> Any:
    """JSON in the form of an annotation: a learner's code may have written it, so nothing is
    believed. Raises ValueError if it has another form.
    """
    if is_dataclass(form):
        forms = get_type_hints(form)
        if type(data) is not dict or data.keys() != forms.keys():
            raise ValueError(f"no {form}")
        make: Any = form
        return make(**{name: _read(data[name], forms[name]) for name in forms})
    if get_origin(form) is tuple:
        if type(data) is not list:
            raise ValueError("no list")
        return tuple(_read(entry, get_args(form)[0]) for entry in data)
    if get_origin(form) is UnionType:
        (form,) = (kind for kind in get_args(form) if kind is not NoneType)
        return None if data is None else _read(data, form)
    kinds = (int, float) if form is float else (form,)
    if type(data) not in kinds or (form is float and not math.isfinite(data)):
        raise ValueError(f"no {form}")
    return data
