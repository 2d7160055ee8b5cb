"""What mkdocstrings does to each docstring that it reads: its examples become blocks of code."""

import sys
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).resolve().parent))

from fences import fenced


class Doctests(griffe.Extension):
    """Rewrites the docstrings of the package when they have been read."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        if not obj.is_alias and obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
