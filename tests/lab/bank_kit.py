"""What the bank of solutions is made of."""

from typing import NamedTuple


class Wrong(NamedTuple):
    """A wrong solution: the solution's own file, and after it `code`, which defines things anew.

    `says` must appear in what the check tells the learner, and `never`, which would be untrue, must
    not.
    """

    name: str
    says: str
    code: str
    never: str = ""


class Right(NamedTuple):
    """A right solution that is not the usual one: the solution's own file, and after it `code`."""

    name: str
    code: str
