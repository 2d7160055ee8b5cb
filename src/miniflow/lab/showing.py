"""A report as rows of text: what passed, and of what did not, first what a learner can act on.

Every failing part gets its sentence; the first, and the first that is of code and not of a
question, get everything that is known: the learner's line, what was run, shapes, and both numbers
at the first and at the worst index.
"""

from collections.abc import Iterator

from miniflow.lab.results import CodeLine, Difference, Finding, PartResult, Results
from miniflow.lab.screen import Row, cut, indent, plain, row, spread, wrap

PRINTED = 10  # lines of what the learner's code printed
BAR = ("  │ ", "dim")
LABEL = 15  # columns


def as_text(report: Results, width: int = 88) -> str:
    """The whole report, in plain text."""
    return plain(rows_of(report, width))


def rows_of(report: Results, width: int = 88, verbose: bool = False) -> Iterator[Row]:
    """The whole report; with the seed of its random numbers, if it is to be `verbose`."""
    mark = ("✓ ", "good") if report.passed else ("✗ ", "bad")
    score = f"{number(report.points)} of {number(report.possible)} points"
    title = cut(report.title, width - len(report.file) - len(score) - 6)
    yield spread(row(mark, (report.file, "head"), f"  {title}"), row((score, "head")), width)
    yield []
    if report.trouble is not None:
        yield from details(report.trouble, width)
        yield []
    yield from rows_of_parts(report, width)
    if report.needed_first:
        (first,) = report.needed_first[:1]
        yield []
        sentence = f"{report.file} is built on {first}.py, which is not right yet. First: "
        yield row(sentence, (f"miniflow lab check {first}", "code"))
    if verbose:
        yield []
        yield row((f"seed {report.seed}", "dim"))
    if report.printed and not report.passed:
        lines = report.printed.rstrip("\n").splitlines()
        yield []
        yield row(("your code printed", "dim"))
        yield from (row(BAR, line[: width - 4]) for line in lines[:PRINTED])
        if len(lines) > PRINTED:
            yield row(BAR, ("...", "dim"))


def rows_of_parts(report: Results, width: int) -> Iterator[Row]:
    told = {report.trouble.sentence} if report.trouble is not None else set()
    for part in report.parts:
        got = f"{number(part.points)}" if part.passed else f"0 of {number(part.points)}"
        text = cut(part.text, width - len(got) - 6)
        yield spread(row("  ", mark_of(part), f" {text}"), row((got, "dim")), width)
        if any(part.finding is finding for finding in report.in_full):
            assert part.finding is not None
            yield from details(part.finding, width)
        elif part.finding is not None and part.finding.sentence not in told:
            yield from indent(wrap(in_short(part.finding), width - 4), BAR)
        if part.finding is not None:
            told.add(part.finding.sentence)


def in_short(finding: Finding) -> str:
    """The sentence of a finding, and for an exception the line, which says more than its name."""
    line = finding.line
    where = f" ({line.file}:{line.number})" if finding.kind == "exception" and line else ""
    return capital(finding.sentence) + where


def mark_of(part: PartResult) -> tuple[str, str]:
    if part.passed:
        return ("✓", "good")
    return ("✗", "bad") if part.ran else ("·", "dim")


def details(finding: Finding, width: int) -> Iterator[Row]:
    """Everything that is known of a finding, behind a bar."""
    yield from indent(wrap(capital(finding.sentence), width - 4, "bad"), BAR)
    facts = list(facts_of(finding, width - 4))
    if facts:
        yield row(BAR)
        yield from indent(facts, BAR)
        yield row(BAR)


def facts_of(finding: Finding, width: int) -> Iterator[Row]:
    if finding.line is not None:
        yield from rows_of_line(finding.line)
    if finding.detail:
        label = "your answer" if finding.kind == "answer" else "it said"
        yield from label_rows(label, finding.detail, width)
    if finding.ran:
        yield from label_rows("ran", finding.ran, width, "code")
    if finding.difference is not None:
        yield from rows_of_difference(finding.difference)


def label_rows(label: str, text: str, width: int, style: str = "") -> list[Row]:
    """A fact: its label, and its text in a column beside it."""
    rows = wrap(text, width - LABEL, style)
    first = [[*row((label.ljust(LABEL), "dim")), *rows[0]]] if rows else []
    return [*first, *indent(rows[1:], " " * LABEL)]


def rows_of_line(line: CodeLine) -> Iterator[Row]:
    head = f"{line.file}:{line.number}"
    pad = " " * max(2, LABEL - len(head))
    yield row((head, "head"), pad, (line.text, "mine"))
    if line.caret is not None:
        yield row(" " * (len(head) + len(pad) + line.caret - 1), ("^", "bad"))


def rows_of_difference(seen: Difference) -> Iterator[Row]:
    label = seen.what.ljust(LABEL - 1) + " "
    if seen.expected_shape != seen.actual_shape:
        shapes = f"expected {seen.expected_shape}, yours {seen.actual_shape}"
        yield row(("shape".ljust(LABEL), "dim"), shapes)
        return
    if not seen.expected_shape:
        (entry,) = seen.entries
        yield row((label, "dim"), f"expected {entry.expected}, yours {entry.actual}")
        return
    share = f"{seen.differing} of {seen.size} numbers differ"
    yield row((label, "dim"), f"shape {seen.actual_shape}: {share}")
    cells = [("", "expected", "yours")]
    for name, entry in zip(("first", "worst"), seen.entries, strict=False):
        index = "[" + ", ".join(map(str, entry.index)) + "]"
        cells.append((f"{name} {index}", entry.expected, entry.actual))
    widths = [max(len(line[i]) for line in cells) for i in range(3)]
    for i, (name, expected, yours) in enumerate(cells):
        style = "dim" if i == 0 else ""
        yield row(
            " " * LABEL,
            (name.ljust(widths[0]), "dim"),
            (expected.rjust(widths[1] + 3), style),
            (yours.rjust(widths[2] + 3), style or "bad"),
        )


def capital(sentence: str) -> str:
    """A sentence that begins with a capital letter, unless it begins with a name of the code.

    >>> capital("you added."), capital("mul.py is empty."), capital("paths_from_x has no answer.")
    ('You added.', 'mul.py is empty.', 'paths_from_x has no answer.')
    """
    first = sentence.partition(" ")[0]
    is_name = any(sign in first[:-1] for sign in "._()[]`") or first[:1].isupper()
    return sentence if is_name else sentence[:1].upper() + sentence[1:]


def number(points: float) -> str:
    """Points without a needless .0."""
    return f"{points:g}"
