"""What the tests of the JAX backend run in processes of their own (`child.py`): JAX starts threads,
and other tests fork. Each function is a test; what it raises, the test that started it tells.
"""

from __future__ import annotations

from collections.abc import Callable

from . import derivatives, graphs, primitives, steps, training

PARTS = (primitives, graphs, steps, training, derivatives)


def find(name: str) -> Callable[[], None]:
    """The function of that name."""
    found: Callable[[], None] = next(
        getattr(part, name) for part in PARTS if getattr(part, name, None) is not None
    )
    return found
