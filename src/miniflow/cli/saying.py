"""How commands say something: names of files, data and classes are whatever people call them."""

import math

import typer

from miniflow.distributed.meeting import is_first
from miniflow.errors import printable


def say(text: object, err: bool = False) -> None:
    """Print lines of text, in which no name can command the terminal or fail to be written. Of
    several processes that train together, the first one prints; the others, errors alone.
    """
    if not err and not is_first():
        return
    typer.echo("\n".join(map(printable, str(text).split("\n"))), err=err)


def as_json_number(x: float | None) -> float | None:
    """A number as JSON can hold it: what is not finite is null.

    >>> as_json_number(0.5), as_json_number(float("nan"))
    (0.5, None)
    """
    return x if x is not None and math.isfinite(x) else None
