"""What checks are written with: `Exercise`, its parts, `Mistake`, and the `Work` that parts get.

    exercise = Exercise("mul", title="Mul", chapter=3, file="mul.py", hints=("...", "...", "..."))

    @exercise.part("forward multiplies", points=2)
    def forward(work: Work) -> None:
        Mul = work.get("Mul", mf.Node)
        x, y = mf.Input("x"), mf.Input("y")
        work.describe("value(Mul(x, y), {x: 3, y: 4})", Mul.forward)
        work.compare(
            work.value(Mul(x, y), {x: 3.0, y: 4.0}),
            12.0,
            mistakes=[Mistake("you added; Mul multiplies its two inputs.", 7.0)],
        )

A part either returns, and is passed, or something in it raises: a `Failed`, which `Work`'s methods
raise with a `Finding`, or whatever the learner's code raises, which becomes a finding with the line
of theirs that did it (`trouble.py`). Expected numbers are worked out in the check, in plain NumPy.
The library's nodes never stand in for the learner's: `Work.get` hands out only what is defined in
the learner's own files.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from miniflow.lab.work import Failed, Mistake, Work

__all__ = ["Exercise", "ExercisePart", "Failed", "Mistake", "Work"]


@dataclass(frozen=True)
class ExercisePart:
    """One part of a check: what the learner reads, its points and the function that checks it."""

    text: str
    points: float
    check: Callable[[Work], None]


@dataclass
class Exercise:
    """One exercise: its file, three hints that say more and more, and the parts of its check.

    Args:
        name: what it is called on the command line: the stem of `file`.
        title: a few words.
        chapter: its number, from 1.
        file: the learner's file.
        hints: exactly three.
        needs: exercises whose nodes this one is built of.
        seconds: the time limit of its check.
    """

    name: str
    title: str
    chapter: int
    file: str
    hints: tuple[str, str, str]
    needs: tuple[str, ...] = ()
    seconds: float = 10.0
    parts: list[ExercisePart] = field(default_factory=list)

    def part(
        self, text: str, points: float
    ) -> Callable[[Callable[[Work], None]], Callable[[Work], None]]:
        """Declare the decorated function as the next part of the check."""

        def declare(check: Callable[[Work], None]) -> Callable[[Work], None]:
            self.parts.append(ExercisePart(text, points, check))
            return check

        return declare

    @property
    def points(self) -> float:
        return sum(part.points for part in self.parts)
