"""*batch*: many small products that could be one large one become that.

A product of small matrices takes about as long to ask for as to compute. A recurrent network,
unrolled, asks for hundreds, and two kinds of them need not wait for each other:

    add(matmul(a1, b1), matmul(a2, b2), ...)       products that are added up, as the gradient of
                                                   shared weights is
    = matmul([a1 a2 ...], [b1; b2; ...])           side by side, and one below the other

    matmul(a1, w), matmul(a2, w), ...              products with the same right factor, as those of
                                                   shared weights with the inputs of all time steps
    = rows of matmul([a1; a2; ...], w)

The sums over rows that the gradient of a bias is made of are added up in the same way. Copying the
parts to one place costs less than the calls that it saves; large products stay as they are. Terms
are added in another order, so results agree to rounding.

Of products with the same factor, those are taken together that have the same *depth*: the number of
products on the longest path that leads to them. None of these can depend on another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, NamedTuple

from miniflow.ir.build import Builder
from miniflow.ir.program import Equation, Operand, Origin, Program, Variable, count_uses
from miniflow.passes.prune import prune

FLOATS: Final = ("f32", "f64")


class BatchLimits(NamedTuple):
    """What is worth it: so many terms or products, of at most so many multiplications each; more
    take longer than the call that is saved. The defaults are OpenBLAS's, on one core; a backend
    with another library asks for `partial(batch, limits=...)`.
    """

    fewest: int = 4
    largest: int = 2**17


def batch(program: Program, limits: BatchLimits = BatchLimits()) -> Program:  # noqa: B008 (it is immutable)
    """Return the program with one product in the place of many small ones; what nobody reads is
    left out.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> w = b.input(ValueType("f32", (3, 2)), name="w")
    >>> xs = [b.input(ValueType("f32", (5, 3)), name=f"x{i}") for i in range(4)]
    >>> ys = [b.add("matmul", (x, w)) for x in xs]
    >>> print(batch(b.program([b.add("exp", (y,)) for y in ys])))
    program(w: f32[3,2], x0: f32[5,3], x1: f32[5,3], x2: f32[5,3], x3: f32[5,3]):
      t1 = matmul(concatenate(x0, x1, x2, x3, axis=0), w)  # f32[20,2]
      t2 = exp(t1[:5])                                     # f32[5,2]
      t3 = exp(t1[5:10])                                   # f32[5,2]
      t4 = exp(t1[10:15])                                  # f32[5,2]
      t5 = exp(t1[15:])                                    # f32[5,2]
      return t2, t3, t4, t5
    """
    return _with_shared_factors(prune(_with_long_sums(program, limits)), limits)


# Products that are added up.


def _with_long_sums(program: Program, limits: BatchLimits) -> Program:
    """The program with sums of many terms of one kind as one term each."""
    sums = _Sums(program, limits)
    b = _JoiningBuilder()
    for equation in program.equations:
        groups = sums.groups(equation)
        if groups:
            _write_sum(b, sums, equation, groups)
        else:
            b.equations.append(equation)
    return Program(program.inputs, tuple(b.equations), program.outputs, program.constants)


class _Sums:
    """The trees of additions in a program: `inner` are their values but for the roots."""

    def __init__(self, program: Program, limits: BatchLimits) -> None:
        self.definitions: dict[Operand, Equation] = {e.result: e for e in program.equations}
        self._limits = limits
        self._uses = count_uses(program)
        self.inner: set[Operand] = set()
        for equation in program.equations:
            if _is_addition(equation):
                self.inner.update(o for o in equation.operands if self._is_addend(o))

    def _is_addend(self, operand: Operand) -> bool:
        """Whether it is a sum itself, which nobody else reads."""
        made = self.definitions.get(operand)
        return made is not None and _is_addition(made) and self._uses[made.result] == 1

    def groups(self, root: Equation) -> dict[Any, list[Equation]]:
        """The terms of the tree of which this is the root, by what they have in common: those of
        which there are enough.
        """
        if not _is_addition(root) or root.result in self.inner:
            return {}
        groups: dict[Any, list[Equation]] = {}
        for operand in self.terms(root):
            equation = self.definitions.get(operand)
            if equation is not None and self._uses[equation.result] == 1:
                kind = self._kind_of_term(equation)
                if kind is not None:
                    groups.setdefault(kind, []).append(equation)
        fewest = self._limits.fewest
        return {kind: terms for kind, terms in groups.items() if len(terms) >= fewest}

    def terms(self, root: Equation) -> Iterator[Operand]:
        """What is added up, from left to right."""
        stack: list[Operand] = [root.result]
        while stack:
            operand = stack.pop()
            if operand is root.result or operand in self.inner:
                stack += reversed(self.definitions[operand].operands)
            else:
                yield operand

    def _kind_of_term(self, equation: Equation) -> Any:
        """What terms must have in common to be one; None for a term that stays by itself."""
        if _is_small_product(equation, self._limits):
            return "matmul", _is_transposed(equation.operands[0], self.definitions)
        if equation.primitive == "sum" and equation.params["axis"] == (0,):
            (x,) = equation.operands
            is_small = x.type.size <= self._limits.largest
            if x.dtype == equation.result.dtype in FLOATS and is_small:
                return "sum", equation.params["keepdims"]
        return None


def _is_addition(equation: Equation) -> bool:
    return equation.primitive == "add" and all(
        operand.type == equation.result.type and operand.kind == "array"
        for operand in equation.operands
    )


def _is_small_product(equation: Equation, limits: BatchLimits) -> bool:
    if equation.primitive != "matmul" or equation.result.dtype not in FLOATS:
        return False
    a, b = equation.operands
    if not (len(a.shape) == len(b.shape) == 2 and a.dtype == b.dtype == equation.result.dtype):
        return False
    return 0 < a.shape[0] * b.shape[0] * b.shape[1] <= limits.largest


def _is_transposed(operand: Operand, definitions: dict[Operand, Equation]) -> bool:
    made = definitions.get(operand)
    return made is not None and made.primitive == "transpose" and made.params["axes"] == (1, 0)


def _write_sum(
    b: _JoiningBuilder, sums: _Sums, root: Equation, groups: dict[Any, list[Equation]]
) -> None:
    """Write the sum that `root` ends: a term for each group, and the others one by one."""
    batched = {term.result for terms in groups.values() for term in terms}
    totals: list[Operand] = []
    for (primitive, is_special), terms in groups.items():
        origin = terms[0].origin
        if primitive == "sum":
            parts = [term.operands[0] for term in terms]
            params = {"axis": (0,), "keepdims": is_special}
            totals.append(b.add("sum", (b.join(parts, 0, origin),), params, origin))
            continue
        left = [term.operands[0] for term in terms]
        right = b.join([term.operands[1] for term in terms], 0, origin)
        if is_special:  # a transposed array lies well for BLAS: what it is made of is joined
            rows = b.join([sums.definitions[a].operands[0] for a in left], 0, origin)
            joined = b.add("transpose", (rows,), {"axes": (1, 0)}, origin)
        else:
            joined = b.join(left, 1, origin)
        totals.append(b.add("matmul", (joined, right), origin=origin))
    totals += [term for term in sums.terms(root) if term not in batched]
    for position in range(1, len(totals)):
        both = totals[position - 1], totals[position]
        totals[position] = b.add("add", both, origin=root.origin)
    last = b.equations.pop()
    b.equations.append(replace(last, result=root.result))


# Products with the same right factor.


class _Member(NamedTuple):
    """A product, and the addition of a bias if that is all that reads it."""

    product: Equation
    addition: Equation | None

    @property
    def result(self) -> Variable:
        return (self.addition or self.product).result

    @property
    def bias(self) -> Operand | None:
        if self.addition is None:
            return None
        x, y = self.addition.operands
        return y if x is self.product.result else x


def _with_shared_factors(program: Program, limits: BatchLimits) -> Program:
    """The program with products of one depth and one right factor as parts of one product."""
    batches = _find_batches(program, limits)
    if not batches:
        return program
    b = _JoiningBuilder()
    batch_of = {member.result: members for members in batches for member in members}
    definitions: dict[Operand, Equation] = {e.result: e for e in program.equations}
    absorbed = {m.product.result for members in batches for m in members if m.addition}
    written: set[Operand] = set()
    # Before a batch comes what all its members read, wherever it stood.
    stack = [e.result for e in reversed(program.equations) if e.result not in absorbed]
    while stack:
        result = stack[-1]
        members = batch_of.get(result)
        needed = _read_by(members) if members else definitions[result].operands
        missing = [o for o in needed if o in definitions and o not in written]
        if result in written:
            stack.pop()
        elif missing:
            stack += reversed(missing)  # type: ignore[arg-type]
        elif members:
            written.update(member.result for member in members)
            _write_batch(b, members)
        else:
            written.add(result)
            b.equations.append(definitions[result])
    return Program(program.inputs, tuple(b.equations), program.outputs, program.constants)


def _find_batches(program: Program, limits: BatchLimits) -> list[list[_Member]]:
    biased = _find_biased(program)
    depth: dict[Operand, int] = {}
    candidates: dict[Any, list[_Member]] = {}
    for equation in program.equations:
        before = max((depth.get(operand, 0) for operand in equation.operands), default=0)
        depth[equation.result] = before + (equation.primitive in ("matmul", "gemm"))
        if _is_small_product(equation, limits):
            a, b = equation.operands
            member = _Member(equation, biased.get(equation.result))
            if depth.get(member.bias, 0) > before:  # type: ignore[arg-type]
                member = member._replace(addition=None)
            candidates.setdefault((b, member.bias, before, a.shape), []).append(member)
    return [members for members in candidates.values() if len(members) >= limits.fewest]


def _find_biased(program: Program) -> dict[Operand, Equation]:
    """The additions of a row to something that nobody else reads, by that."""
    uses = count_uses(program)
    found: dict[Operand, Equation] = {}
    for equation in program.equations:
        if equation.primitive == "add":
            for x, row in (equation.operands, equation.operands[::-1]):
                is_row = isinstance(row, Variable) and row.shape == x.shape[-1:]
                same = x.type == equation.result.type and x.dtype == row.dtype
                if is_row and same and uses.get(x) == 1:  # type: ignore[arg-type]
                    found[x] = equation
    return found


def _read_by(members: list[_Member]) -> list[Operand]:
    first = members[0]
    shared = [first.product.operands[1], *([first.bias] if first.bias is not None else [])]
    return [*(member.product.operands[0] for member in members), *shared]


def _write_batch(b: _JoiningBuilder, members: list[_Member]) -> None:
    """Write one product for all members, and each of these as a part of it."""
    first = members[0]
    origin = first.product.origin
    rows = b.join([member.product.operands[0] for member in members], 0, origin)
    whole = b.add("matmul", (rows, first.product.operands[1]), origin=origin)
    if first.bias is not None:
        whole = b.add("add", (whole, first.bias), origin=origin)
    m, n = first.result.shape
    for number, member in enumerate(members):
        params = {"index": ((number * m, m, 1), (0, n, 1))}  # start, count, step
        origin = (member.addition or member.product).origin
        b.add("slice", (whole,), params, origin, result=member.result)


class _JoiningBuilder(Builder):
    """A builder that joins the same parts once."""

    def __init__(self) -> None:
        Builder.__init__(self)
        self._joined: dict[Any, Variable] = {}

    def join(self, parts: list[Operand], axis: int, origin: Origin | None) -> Variable:
        """Return the parts as one array."""
        key = (tuple(parts), axis)
        if key not in self._joined:
            self._joined[key] = self.add("concatenate", parts, {"axis": axis}, origin)
        return self._joined[key]
