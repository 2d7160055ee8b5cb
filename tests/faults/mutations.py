"""Inputs that are nearly right: what the fuzzing makes of files, JSON and command lines.

Everything is drawn from a `random.Random` that is handed in, so the same seed gives the same input.
"""

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

NUMBERS = [
    *(0, 1, 2, 3, 7, 8, 9, 28, 63, 64, 65, 127, 128, 255, 256, 784, 1000, 32767, 32768, 65535),
    *(65536, 10**6, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**63 - 1, 2**63, 2**64 - 1),
]  # fmt: skip
LEAVES: list[Any] = [
    *(None, True, False, "", "n", "text", "0x1p0", "-1", "nan", "1e400", "\x1b[31m\n", "x" * 5000),
    *(0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), [], {}, [[]], {"n": [1, 0]}),
    *({"n": [2**40, 1]}, {"n": [-1, 3]}, {"n": ["a", None]}, {"text": [1, 1]}, 10**30, 10**400),
]  # fmt: skip


def mutated(draw: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """The bytes with one to four changes: bits, numbers, blocks, ends, parts of other files."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 4))):
        changed = draw.choice(CHANGES)(draw, changed, others)
    return bytes(changed)


def place_in(draw: random.Random, data: bytearray) -> int:
    """A place; every second time near the beginning, where headers are."""
    reach = min(len(data), 64) if draw.random() < 0.5 else len(data)
    return draw.randrange(reach) if reach else 0


def flip_bits(draw: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    for _ in range(draw.choice((1, 1, 2, 8, 64)) if data else 0):
        data[place_in(draw, data)] ^= 1 << draw.randrange(8)
    return data


def set_bytes(draw: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    at, count = place_in(draw, data), draw.choice((1, 2, 4, 16))
    value = draw.choice((0, 255, draw.randrange(256)))
    data[at : at + count] = bytes([value]) * len(data[at : at + count])
    return data


def set_number(draw: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    size, order = draw.choice((1, 2, 4, 8)), draw.choice(("big", "little"))
    number = draw.choice(NUMBERS) % 256**size
    at = place_in(draw, data)
    at -= at % draw.choice((1, size))
    data[at : at + size] = number.to_bytes(size, order)  # type: ignore[arg-type]
    return data


def cut(draw: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    return data[: draw.choice((place_in(draw, data), max(len(data) - draw.randrange(1, 40), 0)))]


def lengthen(draw: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    return data + draw.choice((b"\0", b"\xff", bytes(1000), draw.randbytes(16), bytes(data[:2000])))


def remove_block(draw: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    at = place_in(draw, data)
    del data[at : at + draw.choice((1, 4, 17, 200))]
    return data


def repeat_block(draw: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    at, size = place_in(draw, data), draw.choice((1, 4, 17, 200))
    data[at:at] = bytes(data[at : at + size]) * draw.choice((1, 2, 50))
    return data


def splice(draw: random.Random, data: bytearray, others: Sequence[bytes]) -> bytearray:
    other = draw.choice(others) if others else bytes(data)
    start = draw.randrange(len(other)) if other else 0
    part, at = other[start : start + draw.choice((4, 50, 5000))], place_in(draw, data)
    data[at : at + draw.choice((0, len(part)))] = part
    return data


CHANGES: list[Callable[..., bytearray]] = [
    *(flip_bits, flip_bits, set_bytes, set_number, set_number, cut, lengthen),
    *(remove_block, repeat_block, splice),
]  # fmt: skip


def mutated_json(draw: random.Random, tree: Any, words: Sequence[str]) -> Any:
    """A tree of dictionaries and lists with one to four changes.

    words: what a string may be changed into, so that much of what comes out means something.
    """
    tree = copy.deepcopy(tree)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        holder, key = _some_place(draw, tree)
        if holder is not None:
            _change(draw, tree, holder, key, words)
    return tree


def _some_place(draw: random.Random, tree: Any) -> tuple[Any, Any]:
    holder, key = None, None
    while isinstance(tree, (dict, list)) and tree:
        if holder is not None and draw.random() < 0.1:
            break
        key = draw.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        holder, tree = tree, tree[key]
    return holder, key


def _change(draw: random.Random, tree: Any, holder: Any, key: Any, words: Sequence[str]) -> None:
    value = holder[key]
    what = draw.choice(("natural", "natural", "natural", "leaf", "other", "delete", "repeat"))
    if what == "natural" and type(value) is int:
        holder[key] = draw.choice(
            (value + 1, value - 1, -value, 2 * value, draw.choice(NUMBERS), -draw.choice(NUMBERS))
        )
    elif what == "natural" and isinstance(value, str):
        holder[key] = draw.choice(words)
    elif what == "natural" and isinstance(value, list):
        draw.shuffle(value)
    elif what == "other":
        other, place = _some_place(draw, tree)
        holder[key] = copy.deepcopy(other[place]) if other is not None else None
    elif what == "delete":
        del holder[key]
    elif what == "repeat" and isinstance(holder, list):
        holder[key:key] = [copy.deepcopy(value)] * draw.choice((1, 1, 60))
    else:
        holder[key] = copy.deepcopy(draw.choice(LEAVES))


def mutated_words(draw: random.Random, line: Sequence[str], words: Sequence[str]) -> list[str]:
    """A command line with words changed, lost, repeated, in another order, or none."""
    line = list(line)
    for _ in range(draw.choice((0, 1, 1, 2, 3))):
        at = draw.randrange(len(line) + 1)
        what = draw.choice(("insert", "replace", "delete", "swap", "letters"))
        if what == "insert" or not line:
            line.insert(at, draw.choice(words))
            continue
        at = min(at, len(line) - 1)
        if what == "replace":
            line[at] = draw.choice(words)
        elif what == "delete":
            del line[at]
        elif what == "swap":
            other = draw.randrange(len(line))
            line[at], line[other] = line[other], line[at]
        else:
            text = mutated(draw, line[at].encode("utf-8", "replace"))
            line[at] = text.decode("utf-8", "replace").replace("\0", "")[:300]
    return line
