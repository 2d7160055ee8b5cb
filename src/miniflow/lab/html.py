"""A report as HTML for a notebook: the same rows as in a terminal, readable in light and dark.

Colours are given for both, by the notebook's own theme where it says which it is (JupyterLab, VS
Code), and by the reader's system elsewhere. Text and background of the cell are the notebook's.
"""

from collections.abc import Iterable
from html import escape

from miniflow.lab.results import Results
from miniflow.lab.screen import Row
from miniflow.lab.showing import rows_of

WIDTH = 76  # columns: what a cell has room for beside the folder in a window 1100 pixels wide
COLOURS = {  # style → (in light, in dark); contrast is at least 4.5 to 1 on white and on #111
    "good": ("#1a7f37", "#4ac26b"),
    "bad": ("#c0252d", "#ff8178"),
    "dim": ("#616a75", "#9aa4af"),
    "code": ("#0b60a8", "#79b8ff"),
    "mine": ("#8a4b00", "#e3b341"),
}
DARK = ('[data-jp-theme-light="false"] ', ".vscode-dark ", ".vscode-high-contrast ")


def as_html(report: Results) -> str:
    """The report as one `<div>` with its own style."""
    return html_of(rows_of(report, WIDTH), f"{report.file}: {report.points:g} points")


def html_of(rows: Iterable[Row], label: str) -> str:
    lines = "\n".join("".join(span(*piece) for piece in line) for line in rows)
    return (
        f"<style>{STYLE}</style>"
        f'<div class="mf-lab" role="region" aria-label="{escape(label)}"><pre>{lines}</pre></div>'
    )


def span(text: str, style: str) -> str:
    inside = escape(text)
    if style == "head":
        return f"<b>{inside}</b>"
    return f'<span class="mf-{style}">{inside}</span>' if style else inside


def style_sheet() -> str:
    """The rules for light, and those for dark, under whatever says that it is dark."""
    light = "".join(f".mf-lab .mf-{name}{{color:{pair[0]}}}" for name, pair in COLOURS.items())
    dark = {name: pair[1] for name, pair in COLOURS.items()}
    by_theme = "".join(
        f"{theme}.mf-lab .mf-{name}{{color:{colour}}}"
        for theme in DARK
        for name, colour in dark.items()
    )
    by_system = "".join(
        f"body:not([data-jp-theme-light]):not([class*=vscode]) .mf-lab .mf-{name}{{color:{colour}}}"
        for name, colour in dark.items()
    )
    return (
        ".mf-lab pre{white-space:pre-wrap;line-height:1.45;background:none;color:inherit}"
        ".mf-lab .mf-good,.mf-lab .mf-bad{font-weight:600}"
        f"{light}{by_theme}@media (prefers-color-scheme:dark){{{by_system}}}"
    )


STYLE = style_sheet()
