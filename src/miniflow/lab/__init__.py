"""The lab: build your own TensorFlow, exercise by exercise.

`miniflow lab` is the command (`runner.py` is what it does); in a notebook, the same checks are

    from miniflow.lab import check

    check("mul")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from miniflow.lab.notebook import check

__all__ = ["check"]


def __getattr__(name: str) -> Any:
    """`check`, loaded when it is asked for: notebooks want other settings than the command."""
    if name == "check":
        from miniflow.lab.notebook import check

        return check
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
