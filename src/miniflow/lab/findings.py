"""What a check found: a `Report`, which shows itself in a terminal, in a notebook and in a test."""

from typing import Self

from miniflow.lab.html import as_html
from miniflow.lab.results import Finding, PartResult, Results
from miniflow.lab.showing import as_text

__all__ = ["Finding", "NotPassedError", "PartResult", "Points", "Report"]


class Points(float):
    """Points, as the last line of a cell: a plain number for nbgrader, words for who reads it."""

    def _repr_html_(self) -> str:
        return f"<small>{self:g} points</small>"


class NotPassedError(AssertionError):
    """Raised by `must_pass`: a notebook shows the report, and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self).strip()]


class Report(Results):
    """The results of one exercise's check, to be looked at."""

    def grade(self) -> float:
        """Show this report in a notebook, and return its points.

        A cell that ends in this is what nbgrader takes for partial credit: a number from 0 to the
        cell's points.
        """
        from IPython.display import display

        display(self)  # type: ignore[no-untyped-call]
        return Points(self.points)

    def must_pass(self) -> Self:
        """The report itself; AssertionError, with the report as its message, if not all passed."""
        if not self.passed:
            raise NotPassedError("\n" + str(self))
        return self

    def __str__(self) -> str:
        return as_text(self)

    def __repr__(self) -> str:
        return str(self)  # what a notebook without HTML shows, and a test that fails

    def _repr_html_(self) -> str:
        return as_html(self)
