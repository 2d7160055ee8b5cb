"""SVG as text: the document around a picture, and what every printer of SVG needs.

A document is one self-contained file: a style sheet for day and night, shapes and text, no script,
no outside reference. Numbers are rounded, so that a picture has the same bytes on every machine.
"""

from __future__ import annotations

import hashlib
from xml.sax.saxutils import escape, quoteattr

from miniflow.errors import printable
from miniflow.pictures.style import Theme, class_of, css


def document(
    width: float, height: float, title: str, description: str, body: str, theme: Theme = "auto"
) -> str:
    """The whole document; `theme` "auto" follows the reader's preference for day or night."""
    name = "mf" + hashlib.sha256((description + body).encode()).hexdigest()[:8]
    size = f'width="{short(width)}" height="{short(height)}"'
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" {size} \
viewBox="0 0 {short(width)} {short(height)}" class="{class_of(theme)}" \
role="img" aria-labelledby="{name}t {name}d">
<title id="{name}t">{xml_text(title)}</title>
<desc id="{name}d">{xml_text(description)}</desc>
<style>
{css(theme)}
</style>
<rect class="paper" {size} rx="8"/>
{body}
</svg>
"""


def rectangle(
    paint: str, x: float, y: float, width: float, height: float, radius: float | None = None
) -> str:
    """A rectangle; `paint` is its class, or its colours, as attributes."""
    rounded = "" if radius is None else f' rx="{short(radius)}"'
    return (
        f'<rect {paint} x="{short(x)}" y="{short(y)}" width="{short(width)}" '
        f'height="{short(height)}"{rounded}/>'
    )


def image(x: float, y: float, width: float, height: float, uri: str) -> str:
    """A picture of pixels, stretched to a size."""
    return (
        f'<image x="{short(x)}" y="{short(y)}" width="{short(width)}" height="{short(height)}" '
        f'preserveAspectRatio="none" href={quoteattr(uri)}/>'
    )


def xml_text(text: str) -> str:
    """Text for XML: escaped, and without the control characters that XML cannot hold."""
    return escape(printable(text))


def short(x: float) -> str:
    """A number with at most two decimals.

    >>> short(12.0), short(2 / 3), short(-0.001)
    ('12', '0.67', '0')
    """
    return f"{x:.2f}".rstrip("0").rstrip(".") if round(x, 2) else "0"
