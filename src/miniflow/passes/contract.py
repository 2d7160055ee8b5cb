"""*contract*: a matrix product, and the sums and scalings around it, become one `gemm`.

    gemm(c, a, b, alpha, beta) = beta c + alpha (a @ b)

is what BLAS computes in one call, in place of c:

    matmul(X, W) + bias                  gemm(broadcast_to(bias), X, W, 1.0, 1.0)
    W - lr * matmul(transpose(X), G)     gemm(W, transpose(X), G, -lr, 1.0)
    W - lr * (matmul(A, B) + decay * W)  gemm(W, A, B, -lr, 1.0 - lr * decay)
    matmul(A, B) + matmul(C, D)          gemm(matmul(A, B), C, D, 1.0, 1.0)
    matmul(A, B) / 8                     gemm(full(0.0), A, B, 0.125, 0.0)

All of these are trees of `add`, `subtract`, `negative`, `multiply` and `divide` by a number, whose
inner values are read nowhere else. Each is read as ``factor_1 term_1 + factor_2 term_2 + ...`` and
rebuilt around the products among the terms. So the sum is taken in another order, and the factors
are multiplied with each other first: results agree to rounding. Three products or more are added up
by themselves before the rest: beside a large weight, many small steps would vanish one by one. A
sum that is scaled, and then no term of another, stays as it is, and the scaling too: ``X W + b`` is
a value that somebody may want to see, and ``-(X W + b)`` is not.

What a product is added to is copied first, unless it may be overwritten: the array that the sum
replaces, zeros, another product. For a backend that adds in passing, where it reads the product
next, such a copy is no gain: `contract_in_place` leaves these additions to it. (`gemm` is then what
adds products to each other, and to a parameter.)

The factors' equations are left for `simplify` to tidy up, and what was replaced for `prune`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from miniflow.ir.build import Builder
from miniflow.ir.program import (
    NO_PARAMS,
    Equation,
    Literal,
    Operand,
    Origin,
    Params,
    Program,
    Variable,
    count_uses,
)

MAX_ADDED_TO_OTHERS: Final = 2  # products
ONE: Final = Literal(1.0)
ZERO: Final = Literal(0.0)
_SUMS: Final = ("add", "subtract")


def contract(program: Program) -> Program:
    """Return the program with `gemm` in place of matrix products that are scaled or added to.

    >>> from miniflow.ir import Builder, ValueType
    >>> b = Builder()
    >>> shapes = {"x": (4, 3), "w": (3, 2), "bias": (2,)}
    >>> x, w, bias = (b.input(ValueType("f32", shape), name=name) for name, shape in shapes.items())
    >>> print(contract(b.program([b.add("add", (b.add("matmul", (x, w)), bias), name="z")])))
    program(x: f32[4,3], w: f32[3,2], bias: f32[2]):
      z = gemm(broadcast_to(bias, (4, 2)), x, w, 1.0, 1.0)  # f32[4,2]
      return z
    """
    return _contract(program, in_place=False)


def contract_in_place(program: Program) -> Program:
    """Return the same, but with a `gemm` only where its first operand may be overwritten.

    >>> from miniflow.ir import Builder, Output, ValueType
    >>> b = Builder()
    >>> shapes = {"x": (4, 3), "w": (3, 2), "bias": (2,), "v": (4, 2)}
    >>> x, w, bias, v = (b.input(ValueType("f32", s), "parameter", n) for n, s in shapes.items())
    >>> z = b.add("add", (b.add("matmul", (x, w)), bias), name="z")
    >>> new = b.add("add", (b.add("matmul", (x, w)), v), name="new")
    >>> print(contract_in_place(b.program([z, Output(new, "parameter", replaces=v)])))
    program(x: f32[4,3], w: f32[3,2], bias: f32[2], v: f32[4,2]):
      z = add(matmul(x, w), bias)    # f32[4,2]
      new = gemm(v, x, w, 1.0, 1.0)  # f32[4,2]
      return (
        z,
        new,  # new value of v
      )
    """
    return _contract(program, in_place=True)


def _contract(program: Program, in_place: bool) -> Program:
    trees = _Trees(program)
    replaced = {o.operand: o.replaces for o in program.outputs if o.replaces is not None}
    equations: list[Equation] = []
    for equation in program.equations:
        if equation.result in trees.inner:
            continue
        if trees.has_root(equation):
            old = replaced.get(equation.result) if in_place else None
            equations += _Sum(trees, equation, in_place, old).rebuild()
        else:
            equations.append(equation)
    return Program(program.inputs, tuple(equations), program.outputs, program.constants)


class _Trees:
    """The trees with products in them: `inner` are their values but for the roots."""

    def __init__(self, program: Program) -> None:
        self.definitions: dict[Operand, Equation] = {e.result: e for e in program.equations}
        self.inner: set[Operand] = set()
        self._uses: Mapping[Any, int] = count_uses(program)
        self._products: dict[Operand, int] = {}  # how many are in the tree below a value
        for equation in program.equations:
            self._grow(equation)
        for equation in program.equations:
            if equation.result not in self.inner:
                self._cut(equation)

    def has_root(self, equation: Equation) -> bool:
        """Whether a tree, and more than a bare product, ends (or goes on) here."""
        return equation.result in self._products and equation.primitive != "matmul"

    def scaling(self, operand: Operand) -> Equation | None:
        """Return the equation of something scaled that is read only here, and holds no product."""
        equation = self.definitions.get(operand)
        if equation is None or operand in self._products or self._uses[operand] != 1:
            return None
        return equation if _scaled(equation) is not None else None

    def _grow(self, equation: Equation) -> None:
        """Extend the trees of the operands by an equation that reads them, if it is linear."""
        if equation.primitive == "matmul":
            if _is_matrix_product(equation):
                self._products[equation.result] = 1
            return
        inner = [
            operand
            for operand in equation.operands
            if operand in self._products
            and self._uses[operand] == 1
            and operand.type == equation.result.type
        ]
        if inner and self._is_linear(equation, inner[0]):
            self._products[equation.result] = sum(self._products[operand] for operand in inner)
            self.inner.update(inner)

    def _is_linear(self, equation: Equation, inner: Operand) -> bool:
        if equation.primitive in _SUMS:
            return all(operand.dtype == inner.dtype for operand in equation.operands)
        is_scaling = equation.primitive == "negative" or _scaled(equation) is not None
        return is_scaling and self._products[inner] == 1  # of several: the sum is scaled once

    def _cut(self, root: Equation) -> None:
        """Let a tree that ends in scalings of a sum end in that sum."""
        scalings: list[Operand] = []
        while root.result in self._products and root.primitive not in _SUMS:
            scalings.append(root.result)
            below = next((o for o in root.operands if o in self.inner), None)
            if below is None or root.primitive == "matmul":
                return  # a product that is scaled
            root = self.definitions[below]
        if root.primitive in _SUMS and scalings:
            for operand in scalings:
                del self._products[operand]
            self.inner.difference_update(scalings, (root.result,))


def _is_matrix_product(equation: Equation) -> bool:
    types = [operand.type for operand in (*equation.operands, equation.result)]
    dtypes = {type_.dtype for type_ in types}
    return all(type_.ndim == 2 for type_ in types) and dtypes in ({"f32"}, {"f64"})


def _scaled(equation: Equation) -> tuple[Operand, Operand] | None:
    """Return what is scaled by which number, if the equation scales a matrix."""
    if equation.primitive not in ("multiply", "divide"):
        return None
    x, number = equation.operands
    if equation.primitive == "multiply" and x.kind != "array":
        x, number = number, x
    if x.type != equation.result.type or len(x.shape) != 2 or number.kind == "array":
        return None
    if number.kind == "scalar":
        return (x, number) if number.dtype == x.dtype else None
    if equation.primitive == "divide" and not (isinstance(number, Literal) and number.value):
        return None  # 1.0 / 0 raises where an array / 0 is infinite
    return x, number


class _Term(NamedTuple):
    """A term of a sum: its sign, its factor (None: 1), and what is scaled by these."""

    is_negative: bool
    factor: Operand | None
    operand: Operand


class _Sum:
    """One tree, from its root, as it is read and rebuilt. With `in_place`, products are added to
    nothing but products and the array that the root replaces, `old`.
    """

    def __init__(self, trees: _Trees, root: Equation, in_place: bool, old: Variable | None) -> None:
        self._trees = trees
        self._root = root
        self._in_place, self._old = in_place, old
        self._builder = Builder()
        self._equations = self._builder.equations

    def rebuild(self) -> list[Equation]:
        """Return what computes the root now: a start, a `gemm` for each product, what is left."""
        products: list[_Term] = []
        others: dict[Operand, _Term] = {}
        for term in self._terms():
            if term.operand in self._trees.inner:
                products.append(term)
            elif term.operand in others:
                others[term.operand] = self._together(others[term.operand], term)
            else:
                others[term.operand] = term
        is_copied = self._in_place and others.keys() - {self._old}
        if is_copied and len(products) == 1:
            return self._as_it_was()
        start, beta, left = self._start(products, list(others.values()), bool(is_copied))
        total = start
        for term in products:
            product = self._trees.definitions[term.operand]
            if term.operand is not start:
                operands = (total, *product.operands, self._number(term), beta)
                total, beta = self._emit("gemm", operands, origin=product.origin), ONE
        for term in left:
            total = self._added(total, term)
        last = self._equations.pop()
        return [*self._equations, replace(last, result=self._root.result)]

    def _as_it_was(self) -> list[Equation]:
        """Return the equations from the only product to the root."""
        path = [self._root]
        while inner := [o for o in path[-1].operands if o in self._trees.inner]:
            path.append(self._trees.definitions[inner[0]])
        return path[::-1]

    def _terms(self) -> Iterator[_Term]:
        """Yield the terms of the tree, from left to right; what scales a sum scales each term."""
        stack = [_Term(False, None, self._root.result)]
        while stack:
            is_negative, factor, operand = term = stack.pop()
            equation = self._opened(operand)
            if equation is None:
                yield term
            elif equation.primitive == "negative":
                stack.append(_Term(not is_negative, factor, equation.operands[0]))
            elif (scaled := _scaled(equation)) is not None:
                x, number = scaled
                stack.append(_Term(is_negative, self._times(factor, equation, number), x))
            else:
                left, right = equation.operands
                flips = equation.primitive == "subtract"
                stack.append(_Term(is_negative != flips, factor, right))
                stack.append(_Term(is_negative, factor, left))

    def _opened(self, operand: Operand) -> Equation | None:
        """Return the equation of a value inside of the tree, None for a term of the sum."""
        if operand is self._root.result or operand in self._trees.inner:
            equation = self._trees.definitions[operand]
            return None if equation.primitive == "matmul" else equation
        return self._trees.scaling(operand)

    def _start(
        self, products: list[_Term], others: list[_Term], is_copied: bool
    ) -> tuple[Operand, Operand, list[_Term]]:
        """Choose what the first product is added to, times what, and what is left for the end."""
        wanted = self._root.result.type
        if not others or is_copied or len(products) > MAX_ADDED_TO_OTHERS:
            for is_negative, factor, product in products:
                if factor is None and not is_negative:
                    self._equations.append(self._trees.definitions[product])
                    return product, ONE, others
            params = {"shape": wanted.shape, "dtype": wanted.dtype}
            return self._emit("full", (ZERO,), params), ZERO, others
        # One matrix takes its factor as beta; of several, one that has a factor, or else their sum.
        for term in others:
            if term.operand.type == wanted and (len(others) == 1 or term.factor is not None):
                return term.operand, self._number(term), [t for t in others if t is not term]
        total: Operand | None = None
        for term in others:
            total = self._added(total, term)
        assert total is not None
        if total.type != wanted:
            total = self._emit("broadcast_to", (total,), {"shape": wanted.shape})
        return total, ONE, []

    def _added(self, total: Operand | None, term: _Term) -> Operand:
        """Emit `total` plus a term."""
        is_negative, factor, value = term
        if factor is not None:
            value = self._emit("multiply", (factor, value))
        if total is not None:
            return self._emit("subtract" if is_negative else "add", (total, value))
        return self._emit("negative", (value,)) if is_negative else value

    def _together(self, first: _Term, second: _Term) -> _Term:
        """Return two terms of the same operand as one."""
        factor = self._emit("add", (self._number(first), self._number(second)))
        return _Term(False, factor, first.operand)

    def _times(self, factor: Operand | None, scaling: Equation, number: Operand) -> Operand:
        if factor is None and scaling.primitive == "multiply":
            return number
        return self._emit(scaling.primitive, (ONE if factor is None else factor, number))

    def _number(self, term: _Term) -> Operand:
        """The factor of a term, with its sign."""
        factor = ONE if term.factor is None else term.factor
        return self._emit("negative", (factor,)) if term.is_negative else factor

    def _emit(
        self,
        primitive: str,
        operands: tuple[Operand, ...],
        params: Params = NO_PARAMS,
        origin: Origin | None = None,
    ) -> Variable:
        """Add an equation: of the node that `origin` names, or of the root's if that updates."""
        mine = self._root.origin
        if origin is None or (mine is not None and mine.phase == "update"):
            origin = mine
        return self._builder.add(primitive, operands, params, origin)
