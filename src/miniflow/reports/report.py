"""The report of a training: its pictures, its graph and the page to draw on, in one HTML file."""

import base64
import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from miniflow.errors import printable
from miniflow.files.atomic import write_text
from miniflow.files.templates import fill_template, static


class Section(NamedTuple):
    """A part of a report: a heading, its HTML, whether it takes the whole width, and whether its
    heading stands in a picture, and need not be seen a second time.
    """

    heading: str
    html: str
    wide: bool = True
    pictured: bool = False


def picture_section(heading: str, path: str | os.PathLike[str], wide: bool = False) -> Section:
    """A section with a PNG file, which goes into the report. Raises OSError if it is missing."""
    bytes_ = base64.b64encode(Path(path).read_bytes()).decode("ascii")
    image = f'<img src="data:image/png;base64,{bytes_}" alt="{_escaped(heading)}">'
    return Section(heading, f'<div class="sheet-of-paper">{image}</div>', wide, pictured=True)


def write_report(
    path: str | os.PathLike[str],
    title: str,
    facts: Mapping[str, str],
    sections: Sequence[Section],
) -> None:
    """Write a report to a file, in one step: one page that needs no other file and no network.

    Args:
        path: the file.
        title: its heading.
        facts: what stands below that: name → text.
        sections: their HTML is taken as it is; every other text is escaped.

    Raises OSError if it cannot be written.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "report.html")
    ...     write_report(path, "<a run>", {"accuracy": "98 %"}, [Section("Notes", "<p>fine</p>")])
    ...     "<h1>&lt;a run&gt;</h1>" in path.read_text(encoding="utf-8")
    True
    """
    numbered = list(enumerate(sections, 1))
    page = fill_template(
        static("miniflow.reports", "report.html"),
        title=_escaped(title),
        facts="".join(
            f"<div><dt>{_escaped(name)}</dt><dd>{_escaped(text)}</dd></div>"
            for name, text in facts.items()
        ),
        links="".join(
            f'<a href="#part-{i}">{_escaped(section.heading)}</a>' for i, section in numbered
        ),
        sections="\n".join(_as_html(section, i) for i, section in numbered),
    )
    write_text(path, page)


def _escaped(text: str) -> str:
    return html.escape(printable(text))


def _as_html(section: Section, number: int) -> str:
    classes = "wide" * section.wide + " pictured" * section.pictured
    heading = f"<h2>{html.escape(section.heading)}</h2>"
    opening = f'<section id="part-{number}" class="{classes}">'
    return f"{opening}{heading}\n{section.html}\n</section>"
