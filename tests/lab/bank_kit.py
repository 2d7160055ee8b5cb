"""What the bank of wrong solutions is made of."""

from typing import NamedTuple


class Wrong(NamedTuple):
    """A wrong solution: the solution's own file, and after it `code`, which defines things anew.

    `says` must appear in what the check tells the learner.
    """

    name: str
    says: str
    code: str
