"""From a product of a loop program to a compiled step."""

from __future__ import annotations

from miniflow.backends.native import machine
from miniflow.backends.native.compiled import (
    CompiledStep,
    MachineArgument,
    NumberCell,
    SharedScratch,
)
from miniflow.backends.native.products.plan import (
    DotPlan,
    ProductPlan,
    compile_product,
    plan_product,
)
from miniflow.ir import Literal
from miniflow.lowering.loop_program import BufferView, Number, Product


def can_multiply(c: BufferView, a: BufferView, b: BufferView) -> bool:
    """Whether there is a product for operands that lie so."""
    return _plan(c, a, b) is not None


def compiled_product(product: Product) -> CompiledStep:
    """Make machine code of a product."""
    c, adds = product.c, product.beta is not None
    plan = _plan(c, product.a, product.b)
    assert plan is not None
    beta = Literal(0.0) if product.beta is None else product.beta
    places: dict[str, MachineArgument] = {"a": product.a, "b": product.b, "c": c}
    places |= {word: _number(x, c.dtype) for word, x in (("alpha", product.alpha), ("beta", beta))}
    wanted = plan.scratch(adds=adds).items()
    places |= {word: SharedScratch(word, nbytes) for word, nbytes in wanted}
    text, arguments = compile_product(plan, machine.final_routine, adds=adds)
    handed = (x if isinstance(x, int) else places.get(x, c) for x in arguments)
    return CompiledStep(machine.final_routine(text), tuple(handed))


def _plan(c: BufferView, a: BufferView, b: BufferView) -> ProductPlan | DotPlan | None:
    return plan_product(a, b, c, machine.processor())


def _number(number: Number, dtype: str) -> MachineArgument:
    return NumberCell(number, dtype) if isinstance(number, Literal) else number
