"""The lab's own pictures: each module has a dictionary `FIGURES`, name → function → SVG text."""

import importlib
import pkgutil
from collections.abc import Callable


def all_figures() -> dict[str, Callable[[], str]]:
    """Every figure of every module here, by the name of its file without `.svg`."""
    found: dict[str, Callable[[], str]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        imported = importlib.import_module(f"{__name__}.{module.name}")
        found.update(getattr(imported, "FIGURES", {}))
    return found
