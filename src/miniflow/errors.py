"""The errors that miniflow raises on purpose, one class a territory.

Every message names what the user named: a node (with its class, its name and the line that built
it), a file, an option. A `MiniflowError` is always about the user's input; anything else that
escapes is a defect of miniflow. Each class also derives from the built-in exception that NumPy or
Python would have raised, so `except ValueError` works.
"""

from typing import Any


class MiniflowError(Exception):
    """Base class of all errors about what the user gave; its message is meant to be shown as it
    is.
    """


class GraphError(MiniflowError, ValueError):
    """Something about a graph: its nodes, what was fed to them, what they computed."""


class OperandError(GraphError, TypeError):
    """A node was handed to what takes numbers (`np.mean(x)`, `float(x)`), or stands beside what it
    cannot be combined with (`x == 0`, `True`).
    """


class CallError(MiniflowError, TypeError):
    """A node, a layer or an optimizer was called with an option that it does not have, or with too
    many or too few.
    """


class FeedError(GraphError):
    """A `feed_dict` lacks a value, has a key that cannot be fed, or a value that does not fit."""


class ShapeError(GraphError):
    """Values reached a node in shapes that it cannot combine."""


class GradientError(GraphError):
    """A `backward` forgot an input, returned the wrong shape, or was asked for what does not
    exist.
    """


class NodeError(GraphError):
    """A node's own code raised; the original exception is the `__cause__`."""


class NotFiniteError(GraphError, ArithmeticError):
    """A loss turned NaN or infinite; the message names the node or edge where it began.

    Attributes:
        losses: of the steps that were made before it in the same call (`step.epoch`); None of a
            single step.
    """

    losses: Any = None


class DataError(MiniflowError, ValueError):
    """A data set, an image or a table is not what its name or its header claims."""


class ModelFileError(MiniflowError, ValueError):
    """A model file is damaged, foreign, or belongs to another network."""


class MeetingError(MiniflowError, RuntimeError):
    """The processes of a training did not come together, or do not agree."""


class CompileError(MiniflowError, TypeError):
    """A node does something that cannot be recorded; the interpreter still runs it."""


def printable(text: object) -> str:
    r"""What somebody called something, on one line, for whatever shows it: a terminal, code, a
    picture, a page. What could command a terminal, end a line or a comment, or is no letter at all
    (as in a file's name that is not UTF-8) is written as Python would write it in a string.

    >>> print(printable("Adam" + chr(27) + "[31m"), printable("Z" + chr(0xDCFC) + "rich"))
    Adam\x1b[31m Z\udcfcrich
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def shown(text: object, most: int = 200) -> str:
    r"""What a file says, for a message: short, and `printable`.

    >>> print(shown("weights and more weights", 12), shown("Adam" + chr(27) + "[31m"))
    weights a... Adam\x1b[31m
    """
    letters = str(text)[: most + 1]
    return printable(letters if len(letters) <= most else f"{letters[: most - 3]}...")
