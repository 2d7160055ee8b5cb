"""What the native backend changes in a program before it is sorted into groups.

`separate`: a `gemm` stays one where BLAS can add to its first operand in place. The others are
taken apart, for a bias costs nothing where the loop adds it that reads the product next.

Exponentials that are one and the same are shared, as in the NumPy backend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from miniflow.ir import Equation, Literal, Operand, Params, Program, Variable, count_uses, infer
from miniflow.ir.program import NO_PARAMS
from miniflow.lowering.written_over import is_zero
from miniflow.passes.share_exponentials import share_exponentials


def prepare(program: Program) -> Program:
    """Return the program as the native backend wants it."""
    return share_exponentials(separate(program))


def separate(program: Program) -> Program:
    """Return the program with a `gemm` only where it can add to its first operand in place.

    Products that are added up are a chain: each `gemm` adds to the one before. The first may add to
    what the last one replaces, to a plain product, or to zeros; anything else is added at the end.
    """
    uses = count_uses(program)
    definitions: dict[Operand, Equation] = {e.result: e for e in program.equations}
    replaced = {(o.operand, o.replaces) for o in program.outputs if o.replaces is not None}
    instead: dict[Equation, list[Equation]] = {}
    for chain in _chains(program, uses):
        start = chain[0].operands[0]
        made = definitions.get(start)
        if (chain[-1].result, start) in replaced or (made and is_zero(made)):
            continue
        if made and made.primitive == "matmul" and uses[made.result] == 1:
            continue
        if made and made.primitive == "broadcast_to" and _is_one(chain[0].operands[4]):
            start = made.operands[0]  # a sum broadcasts by itself
        instead |= _added_at_the_end(chain, start)
    equations = (new for e in program.equations for new in instead.get(e, [e]))
    return Program(program.inputs, tuple(equations), program.outputs, program.constants)


def _chains(program: Program, uses: Mapping[Variable, int]) -> Iterable[list[Equation]]:
    """Return the `gemm`s, those together that add to each other and that nobody else reads."""
    chains: dict[Operand, list[Equation]] = {}  # by the result of the last
    for equation in program.equations:
        if equation.primitive == "gemm":
            c, beta = equation.operands[0], equation.operands[4]
            is_alone = isinstance(c, Variable) and uses[c] == 1
            chain = chains.pop(c, []) if is_alone and _is_one(beta) else []
            chain.append(equation)
            chains[equation.result] = chain
    return chains.values()


def _is_one(operand: Operand) -> bool:
    return isinstance(operand, Literal) and operand.value == 1


def _added_at_the_end(chain: list[Equation], c: Operand) -> dict[Equation, list[Equation]]:
    """Return what comes in the place of each `gemm` of a chain, so that c is added at the end."""
    beta = chain[0].operands[4]
    instead: dict[Equation, list[Equation]] = {}
    total: Variable | None = None
    for gemm in chain:
        new = instead[gemm] = list[Equation]()
        _, a, b, alpha, _ = gemm.operands
        if total is None and _is_one(alpha):
            total = _add(new, gemm, "matmul", (a, b))
            continue
        if total is None:
            like = {"shape": gemm.result.shape, "dtype": gemm.result.dtype}
            total = _add(new, gemm, "full", (Literal(0.0),), like)
        total = _add(new, gemm, "gemm", (total, a, b, alpha, Literal(1.0)))
    assert total is not None
    scaled = c if _is_one(beta) else _add(new, gemm, "multiply", (c, beta))
    new.append(Equation("add", (scaled, total), {}, gemm.result, gemm.origin))
    return instead


def _add(
    equations: list[Equation],
    like: Equation,
    primitive: str,
    operands: tuple[Operand, ...],
    params: Params = NO_PARAMS,
) -> Variable:
    """Add an equation of the same origin as another one, and return its result."""
    result = Variable(infer(primitive, operands, params))
    equations.append(Equation(primitive, operands, params, result, like.origin))
    return result
