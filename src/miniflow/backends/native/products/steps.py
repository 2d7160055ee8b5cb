"""From a product of a loop program to a compiled step."""

from __future__ import annotations

from dataclasses import replace

from miniflow.backends.native import machine
from miniflow.backends.native.compiled import (
    CompiledStep,
    MachineArgument,
    NumberCell,
    SharedScratch,
    compiled_arguments,
)
from miniflow.backends.native.products.epilogue import Epilogue, plan_epilogue
from miniflow.backends.native.products.in_place import InPlacePlan
from miniflow.backends.native.products.plan import (
    DotPlan,
    ProductPlan,
    compile_product,
    plan_product,
    plan_windows,
)
from miniflow.ir import Literal
from miniflow.lowering.loop_program import (
    BufferView,
    Factor,
    FusedProduct,
    Number,
    Product,
    WindowMatrix,
)


def can_multiply(c: BufferView, a: BufferView, b: BufferView) -> bool:
    """Whether there is a product for operands that lie so."""
    return _plan(c, a, b) is not None


def can_read_windows(product: Product) -> bool:
    """Whether there is a product that reads windows where they are."""
    return _plan(product.c, product.a, product.b) is not None


def can_sum(product: Product) -> bool:
    """Whether there is a product that adds up the columns of its second factor, too."""
    if not isinstance(product.a, WindowMatrix) or not product.a.is_turned:
        return False
    return plan_windows(product.a, product.b, product.c, machine.processor(), True) is not None


def can_finish(step: FusedProduct) -> bool:
    """Whether there is a product with such an epilogue."""
    plan = _plan(step.product.c, step.product.a, step.product.b)
    return plan is not None and plan.can_finish and plan_epilogue(step) is not None


def compiled_product(
    product: Product, epilogue: Epilogue | None = None, keeps: bool = False
) -> CompiledStep:
    """Make machine code of a product; its entries go through an epilogue, if there is one, which
    finds them in c, if that `keeps` them.
    """
    c, adds = product.c, product.beta is not None
    plan = _plan(c, product.a, product.b, product.sums is not None)
    assert plan is not None
    if epilogue is not None and isinstance(plan, ProductPlan):
        plan = plan.along_rows(epilogue)
    if product.continues:
        assert isinstance(plan, ProductPlan)
        plan = plan._replace(fitted=None)  # which begins with zeros
    if product.is_measured and isinstance(plan, DotPlan):
        plan = plan._replace(is_measured=True)
    beta = Literal(0.0) if product.beta is None else product.beta
    a = product.a.view if isinstance(product.a, WindowMatrix) else product.a
    places: dict[str, MachineArgument] = {"a": a, "b": product.b, "c": c}
    places |= {word: _number(x, c.dtype) for word, x in (("alpha", product.alpha), ("beta", beta))}
    if product.sums is not None:
        places["sums"] = product.sums
    has_tile = epilogue is not None and not keeps
    wanted = plan.scratch(adds=adds, finishes=has_tile).items()
    places |= {word: SharedScratch(word, nbytes) for word, nbytes in wanted}
    how = {"adds": adds, "keeps": keeps, "continues": product.continues}
    made = compile_product(plan, machine.final_routine, epilogue=epilogue, **how)
    handed = [x if isinstance(x, int) else places.get(x, c) for x in made.arguments]
    if epilogue:
        handed += compiled_arguments(epilogue.handed)
    return CompiledStep(machine.final_routine(made.text), tuple(handed))


def compiled_fused_product(step: FusedProduct) -> CompiledStep:
    """Make machine code of a product with an epilogue."""
    epilogue = plan_epilogue(step)
    assert epilogue is not None
    product = step.product
    free = None if step.keeps else epilogue.array_to_fill(product.c)
    if free is not None:
        product = replace(product, c=free)
    return compiled_product(product, epilogue, step.keeps)


def _plan(
    c: BufferView, a: Factor, b: BufferView, sums: bool = False
) -> ProductPlan | DotPlan | InPlacePlan | None:
    if isinstance(a, WindowMatrix):
        return plan_windows(a, b, c, machine.processor(), sums)
    return plan_product(a, b, c, machine.processor())


def _number(number: Number, dtype: str) -> MachineArgument:
    return NumberCell(number, dtype) if isinstance(number, Literal) else number
