"""Programs that give parameters new values."""

from __future__ import annotations

from miniflow.ir import Builder, Output, ValueType, Variable

F32 = "f32"


def updating(b: Builder, new: Variable, old: Variable) -> Output:
    """The output that gives `old` a new value."""
    return Output(new, "parameter", replaces=old)


def parameters(b: Builder, *names: str) -> list[Variable]:
    return [b.input(ValueType(F32, (3, 4)), "parameter", name) for name in names]
