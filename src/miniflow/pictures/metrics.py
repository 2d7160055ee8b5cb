"""How wide a text will be, without a font at hand.

A picture is shown with whatever font the reader's system has, so widths here are upper bounds: for
each character the widest of DejaVu Sans and Arial's metrics (the system fonts of today's desktops
are narrower than the first), rounded up to five hundredths of the font size. Boxes sized by them
never clip a text; they may be some percent too wide.
"""

from __future__ import annotations

import unicodedata
from typing import Literal

Font = Literal["sans", "bold", "mono"]

# Hundredths of the font size -> characters of that width.
_SANS = {
    30: "'Iijl′ₜₗιΙ",
    40: " ,./:;\\|·()-[]f″ᵀₐₙₛt‘’¦",
    45: "!r¹²³₀₁₂₃₄₅₆₇₈₉⁰⁴⁵⁶⁷⁸⁹ₑₒₕₖₚₓ",
    50: '"*J`°‖',
    55: "cszçέεζ∂“”₊₋⁻▸◂",
    60: "?L_kvxyΓγκλνξςυχ–•",
    65: "$0123456789FTabdeghnopqu{}ßàáâãäåèéêëñòóôõöøùúûüΞΣΤβδηθμορστ√ₘµ",
    70: "ABEKPSVXYZÀÁÂÃÄÅÈÉÊËΑΒΔΕΖΚΛΡΥΧαπφ∇",
    75: "CNRUÇÑÙÚÛÜΝψ∑",
    80: "&DGHOQÒÓÔÕÖØΗΘΟΠΦΩ",
    85: "#+<=>^w~±×÷Ψω∏∞≈≠≤≥−⊙",
    90: "MΜ∈",
    100: "%WmÆæ→←↔⋮⋯…—½",
    105: "@",
}
_BOLD = {
    30: "'′ₗ",
    40: " ijl,./:;I\\|·ιΙ‘’ₛₜ",
    45: "-f¹²³₀₁₂₃₄₅₆₇₈₉⁰⁴⁵⁶⁷⁸⁹ᵀₓ",
    50: "!()[]`rt°‖″ₐₑₒₕₖₙₚ",
    55: '"*∂₊₋⁻▸◂',
    60: "J_cszçεζξς–",
    65: "?LxΓΞλτχ•",
    70: "$0123456789EFTaekovyÈÉÊËàáâãäåèéêëòóôõöøΕΣΤαγδθνου∇√“”ₘ",
    75: "CPSYZbdghnpqu{}ÇñùúûüßΖΡΥβηκμρ∑µ",
    80: "ABKRVXÀÁÂÃÄÅΑΒΔΚΛΧπσφψ",
    85: "#+<=>DGHNU^~±ÑÙÚÛÜ÷×ΗΝΠΨ∏∞≈≠≤≥−⊙",
    90: "&OQÒÓÔÕÖØΘΟΦΩω∈",
    95: "w",
    100: "@MΜ→←↔⋮⋯…—",
    105: "%mæ½",
    115: "WÆ",
}
_WIDTHS = {
    "sans": {char: width / 100 for width, chars in _SANS.items() for char in chars},
    "bold": {char: width / 100 for width, chars in _BOLD.items() for char in chars},
}
_MONO = 0.605
_WIDE = 1.25  # characters as wide as they are high, and emoji
_OTHER = 0.9  # any other character that the tables do not know


def text_width(text: str, size: float, font: Font = "sans") -> float:
    """An upper bound of the width of one line of text, in the unit of the font size.

    >>> text_width("128×784", 10, "mono")
    42.35
    """
    return round(sum(_char_width(char, font) for char in text) * size, 2)


def _char_width(char: str, font: Font) -> float:
    if unicodedata.east_asian_width(char) in "WF":
        return _WIDE
    if font == "mono":
        return _MONO if char.isascii() or char in _WIDTHS["sans"] else _OTHER
    return _WIDTHS[font].get(char, _OTHER)


def shorten(text: str, limit: int) -> str:
    """The text, or its start and end with an ellipsis between them if it has more characters than
    `limit`.

    >>> shorten("encoder/block12/attention/query", 21)
    'encoder/bl…tion/query'
    """
    if len(text) <= limit:
        return text
    front = limit // 2
    return f"{text[:front]}…{text[len(text) - (limit - front - 1) :]}"
