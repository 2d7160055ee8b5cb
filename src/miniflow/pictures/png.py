"""From SVG to PNG, through the library resvg (the extra "png"): the same picture for programs that
know no SVG.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from miniflow.errors import MiniflowError
from miniflow.pictures.style import class_of, css


def png(svg: str, scale: float = 2) -> bytes:
    """The picture as a PNG, `scale` pixels to a unit.

    Raises MiniflowError if resvg is not installed, or finds no font to write with.
    """
    render = _renderer()
    if not _finds_fonts():
        raise MiniflowError(
            "A PNG of this picture would have no text: this system has none of the usual fonts. "
            "Install one (DejaVu Sans, for instance), or save the picture as .svg."
        )
    return bytes(render(svg_string=svg, zoom=scale))


def _renderer() -> Callable[..., bytes]:
    try:
        import resvg_py  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise MiniflowError(
            'To save a picture as .png, install miniflow with its extra "png", which brings '
            "resvg-py; or save the picture as .svg."
        ) from error
    render: Callable[..., bytes] = resvg_py.svg_to_bytes
    return render


@cache
def _finds_fonts() -> bool:
    """Whether a text leaves a mark: where no font is found, it silently leaves none."""
    size = 'width="20" height="20"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} class="{class_of("light")}">'
    blank = f"{head}<style>{css('light')}</style></svg>"
    written = blank.replace("</svg>", '<text class="ink" y="15">M</text></svg>')
    render = _renderer()
    return bytes(render(svg_string=blank)) != bytes(render(svg_string=written))
