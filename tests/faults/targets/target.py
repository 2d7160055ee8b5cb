"""What all targets have in common."""

import pathlib
import random


class Target:
    """Something that reads what strangers give. Subclasses have `prepare` and `use`."""

    name = ""
    share = 1  # of all inputs, in relation to the others'

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder / self.name
        self.folder.mkdir()

    def prepare(self, draw: random.Random) -> None:
        """Write an input."""
        raise NotImplementedError

    def use(self) -> None:
        """Read it, and do what one does with it."""
        raise NotImplementedError
