"""Nodes that stand for the equations of a program: which class says which primitive.

A class says `primitive = "add"`, and is found here by that name. A node of such a class can be
given a `meaning`, the primitive's own: it then computes to the bit what the equation computes, in
the equation's dtypes, whatever the class makes of integers and of float16. Its gradient is the
class's.
"""

from typing import Any

NODE_OF: dict[str, Any] = {}
"""Primitive → the node class that says it is that."""


def register(cls: type) -> None:
    """Note a class that says which primitive it is."""
    name = cls.__dict__.get("primitive")
    if name is not None:
        NODE_OF[name] = cls
