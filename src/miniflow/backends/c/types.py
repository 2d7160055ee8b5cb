"""What each dtype is called in C."""

from __future__ import annotations

from typing import Final

from miniflow.lowering.nests import SIZE

C_TYPES: Final = {
    "f16": "uint16_t", "f32": "float", "f64": "double", "bool": "uint8_t", SIZE: "int64_t"
} | {
    f"{letter}{bits}": f"{'u' if letter == 'u' else ''}int{bits}_t"
    for letter in "iu"
    for bits in (8, 16, 32, 64)
}  # fmt: skip
