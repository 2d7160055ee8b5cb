"""The report of a network that writes: its loss and what that means, lines that it wrote after each
epoch, and where it looks.
"""

import html
import math
import os
from collections.abc import Mapping, Sequence

from miniflow.errors import printable
from miniflow.reports.report import Section, picture_section, write_report
from miniflow.training.history import Epoch


def write_writing_report(
    path: str | os.PathLike[str],
    title: str,
    facts: Mapping[str, str],
    *,
    history: Sequence[Epoch],
    best: int,
    guesses: int,
    samples: Sequence[Sequence[str]],
    final: Sequence[str],
    curve: str | os.PathLike[str],
    attention: str | os.PathLike[str] | None = None,
) -> None:
    """Write the report to a file, in one step.

    Args:
        path, title, facts: as for `write_report`.
        history: a row an epoch.
        best: the epoch that was kept.
        guesses: how many letters there are to guess among, the end of a line being one.
        samples: the lines that were written after each epoch.
        final: those of the network that was kept.
        curve, attention: files of pictures; no attention: None.

    Raises OSError if it cannot be written, or a picture is missing.
    """
    sections = [
        picture_section("Learning curve", curve),
        Section("What the loss means", _meaning(history, best, guesses), wide=False),
        Section("What it writes", f'<p class="words">{_words(final)}</p>'),
        Section("What it wrote after each epoch", _table(history, samples)),
    ]
    if attention is not None:
        sections.append(picture_section("Attention", attention, wide=True))
    write_report(path, title, facts, sections)


def letters_guessed_among(loss: float) -> str:
    """E to the loss: among so many letters, all as likely, one would guess as well.

    >>> letters_guessed_among(0.0), letters_guessed_among(math.log(27))
    ('1.0', '27.0')
    """
    return f"{math.exp(min(loss, 50.0)):.1f}" if math.isfinite(loss) else "?"


def _meaning(history: Sequence[Epoch], best: int, guesses: int) -> str:
    row = next((row for row in history if row.epoch == best), None)
    loss = None if row is None else row.validation_loss
    told = ""
    if loss is not None:
        told = (
            f" After epoch {best}, the best, the loss of the validation was {loss:.4f}: the "
            f"network guesses as well as somebody with {letters_guessed_among(loss)} letters to "
            "choose from."
        )
    return (
        "<p>The loss is the mean, over all letters, of −log p, where p is the probability that the "
        f"network gave to the letter that came. Who knows nothing gives each of {guesses} (the end "
        f"of a line is one) the same: a loss of log {guesses} = {math.log(guesses):.4f}. "
        f"A loss of L is like guessing among e<sup>L</sup> letters.{told}</p>"
    )


def _table(history: Sequence[Epoch], samples: Sequence[Sequence[str]]) -> str:
    rows = [
        f"<tr><td>{row.epoch}</td><td>{_number(row.loss)}</td>"
        f"<td>{_number(row.validation_loss)}</td><td>{_guessed(row.validation_loss)}</td>"
        f"<td>{_words(lines)}</td></tr>"
        for row, lines in zip(history, samples, strict=False)
    ]
    return (
        '<div class="graph"><table class="samples"><thead><tr><th>epoch</th><th>loss</th>'
        "<th>validation loss</th><th>letters to guess among</th><th>lines</th></tr></thead><tbody>"
        + "".join(rows)
        + "</tbody></table></div>"
    )


def _number(loss: float | None) -> str:
    return "" if loss is None else f"{loss:.4f}"


def _guessed(loss: float | None) -> str:
    return "" if loss is None else letters_guessed_among(loss)


def _words(lines: Sequence[str]) -> str:
    return " · ".join(html.escape(printable(line)) or "(empty)" for line in lines)
