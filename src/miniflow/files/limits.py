"""How much a file may ask for, whoever made it: memory, arithmetic, and what unpacks from it.

A file of a few lines can describe a program that needs any memory, and any time. So what it asks
for is counted first, and compared with limits that no honest file comes near. Whoever runs it may
know better, and raise them, in the environment:

    MINIFLOW_LIMITS="memory_a_row=1GiB flops_a_row=1e13" miniflow predict ...

All limits stand here.
"""

import os
from dataclasses import dataclass, fields, replace

from miniflow.errors import MiniflowError, shown

VARIABLE = "MINIFLOW_LIMITS"
ALWAYS_UNPACKED = 64 << 20  # bytes that any packed file may hold: labels pack very well
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What a file may ask for.

    - `memory_a_row`: bytes of all values of a model's program that are needed at once, for each row
      that it is given, besides the file's own arrays; 256 MiB by default;
    - `memory`: the same for any number of rows; 8 GiB by default;
    - `flops_a_row`: arithmetic operations of a model's program for each row; 10¹² by default;
    - `unpacked`: bytes that one byte of a packed file may become, once all are more than 64 MiB;
      100 by default.
    """

    memory_a_row: int = 256 << 20
    memory: int = 8 << 30
    flops_a_row: int = 10**12
    unpacked: int = 100


def current_limits() -> FileLimits:
    """The limits in force: the defaults, but for those that MINIFLOW_LIMITS names.

    >>> current_limits().unpacked
    100
    """
    names = [field.name for field in fields(FileLimits)]
    chosen = {}
    for setting in os.environ.get(VARIABLE, "").split():
        name, _, amount = setting.partition("=")
        number = _amount(amount)
        if name not in names or number is None:
            raise MiniflowError(
                f"{VARIABLE}: {shown(setting)!r} is no limit. One is {names[0]}=1GiB; there are "
                f"{', '.join(names)}."
            )
        chosen[name] = number
    return replace(FileLimits(), **chosen)


def _amount(text: str) -> int | None:
    """A number of at least 1, such as 1e12 or 512MiB; None for what is none."""
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    try:
        number = float(text.removesuffix(unit)) * _UNITS.get(unit, 1)
        return int(number) if number >= 1 else None
    except (ValueError, OverflowError):
        return None


def too_much_unpacked(claimed: int, packed: int) -> bool:
    """Whether so many bytes are more than a packed file of that size may hold."""
    return claimed > max(ALWAYS_UNPACKED, packed * current_limits().unpacked)


def way_to_raise(name: str, amount: str) -> str:
    """How an error ends that is about a limit.

    >>> way_to_raise("memory", "16GiB")
    'If you trust the file, run this with MINIFLOW_LIMITS="memory=16GiB" in the environment'
    """
    return f'If you trust the file, run this with {VARIABLE}="{name}={amount}" in the environment'
