"""Loops: equations that can be computed on one walk over rows of equal length.

The axes of a loop's `space` are split in two: those on the left count rows, those on the right
count the elements of a row. Each value of the loop has a place:

    domain    one number for each ...   for example, in a softmax of logits (n, k)
    ELEMENT   row and column            the shifted logits, the gradient
    ROW       row                       the maximum, the sum, the label
    COLUMN    column                    the bias, and its gradient, a sum over the rows
    ONE       (a single number)         the loss

and a sweep: whether it is computed BEFORE the walk over the rows, in it (WITHIN), or AFTER it, as
what depends on a sum over the rows must be. Within a row, a sum over its elements is finished
before what depends on it begins.

`LoopBuilder` collects the equations of one loop. It knows NumPy's rule of broadcasting: an array is
laid over the rows, or the columns, where NumPy would lay it so, and else does not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Final, NamedTuple, TypeAlias

from miniflow.ir import PRIMITIVES, Equation, Literal, Operand, Variable

Shape: TypeAlias = "tuple[int, ...]"

ONE, ROW, COLUMN, ELEMENT, TABLE = "one", "row", "column", "element", "table"
PART = "part"
BEFORE, WITHIN, AFTER = 0, 1, 2
LOOP, PRODUCT, VIEW, CALL = "loop", "product", "view", "call"
NUMBER, CONSTANT = "number", "constant"

_INDEXING: Final = ("gather", "gather_update", "scatter_add")
MAX_EQUATIONS: Final = 40  # in a loop: compilers take their time over long ones


class PlaceInLoop(NamedTuple):
    """Where a loop has a value: for each element, row or column, or once; and in which sweep."""

    domain: str
    sweep: int


@dataclass(frozen=True, slots=True, eq=False)
class EquationGroup:
    """Equations that run together.

    `kind` is one of

    - ``loop``: one walk over `rows` rows of `columns` elements, `space` being the shape of it all
      and `split` the number of its axes that count rows. `places` says where its values are,
      `reads` over what it lays each value from outside (``table``: a row of it for each row;
      ``part``: a mask, say, one row of which serves several rows);
    - ``product``: a matrix product; ``view``: another look at memory; ``number``: arithmetic of
      Python numbers; ``constant``: what depends on no input and is not part of a loop; ``call``:
      any other primitive; all these of one equation.
    """

    kind: str
    equations: tuple[Equation, ...]
    space: Shape = ()
    split: int = 0
    places: Mapping[Variable, PlaceInLoop] = field(default_factory=dict)
    reads: Mapping[Variable, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows a loop walks over."""
        return prod(self.space[: self.split])

    @property
    def columns(self) -> int:
        """How many elements a row has."""
        return prod(self.space[self.split :])


class _Fit(NamedTuple):
    """How an equation would join a loop."""

    place: PlaceInLoop
    space: Shape
    split: int | None
    reads: dict[Variable, str]


class LoopBuilder:
    """A loop group that takes equations one by one, or refuses them.

    All arrays of the domain ELEMENT have the shape `space`. `split` is None until an equation
    needs rows, unless it is told before; then arrays may serve several rows.
    """

    def __init__(self, definitions: Mapping[Variable, Equation], split: int | None = None) -> None:
        self.definitions = definitions
        self.equations: list[Equation] = []
        self.space: Shape = ()
        self.split, self.is_told = split, split is not None
        self.places: dict[Variable, PlaceInLoop] = {}
        self.reads: dict[Variable, str] = {}

    def add(self, equation: Equation) -> bool:
        """Take the equation if it fits, be it with other rows than there are; say whether it did.

        A mask of (m, n) is laid over rows of m · n numbers; the softmax behind it has rows of n.
        """
        if self._take(equation):
            return True
        split = _rows_wanted(equation, self.space)
        if split is None or self.split in (None, split):
            return False
        other = LoopBuilder(self.definitions, split)
        if not all(map(other._take, (*self.equations, equation))):
            return False
        self.__dict__.update(other.__dict__)
        return True

    def _take(self, equation: Equation) -> bool:
        fit = self._fit(equation) if len(self.equations) < MAX_EQUATIONS else None
        if fit is None or any(self.reads.get(v, d) != d for v, d in fit.reads.items()):
            return False
        self.equations.append(equation)
        self.places[equation.result] = fit.place
        self.space, self.split = fit.space, fit.split
        self.reads |= fit.reads
        return True

    @property
    def goes_by_element(self) -> bool:
        """Whether all there is depends on an element's own place, or is one number for all."""
        return all(
            place.domain in (ELEMENT, ONE) and equation.primitive not in _INDEXING
            for equation, place in zip(self.equations, self.places.values(), strict=True)
        )

    @property
    def has_totals(self) -> bool:
        """Whether anything is reduced."""
        return any(PRIMITIVES[e.primitive].category == "reduction" for e in self.equations)

    def group(self) -> EquationGroup:
        """Return what has been collected."""
        equations, split = tuple(self.equations), self.split or 0
        return EquationGroup(LOOP, equations, self.space, split, self.places, self.reads)

    def _fit(self, equation: Equation) -> _Fit | None:
        category = PRIMITIVES[equation.primitive].category
        if equation.primitive in _INDEXING:
            return self._fit_indexing(equation)
        if category == "reduction":
            return self._fit_reduction(equation)
        if equation.primitive in ("reshape", "slice", "transpose"):
            return self._fit_renaming(equation)
        return self._fit_elementwise(equation)

    def _fit_elementwise(self, equation: Equation) -> _Fit | None:
        shape = equation.result.shape
        operands = [o for o in equation.operands if isinstance(o, Variable)]
        inside = [self.places[o] for o in operands if o in self.places]
        space = self.space or (shape if prod(shape) != 1 else ())
        split = 0 if len(space) == 1 else self.split
        domain = _join(place.domain for place in inside)
        if space and shape == space:
            domain = ELEMENT
        elif domain == ONE and prod(shape) != 1:
            domain, split = _lay(shape, space, split)
        reads = {}
        for operand in operands:
            laid, split = self._lay_operand(operand, shape, domain, space, split)
            if laid is None:
                return None
            if operand not in self.places:
                reads[operand] = laid
        sweep = WITHIN if domain in (ELEMENT, ROW) else BEFORE
        sweep = max([sweep, *(place.sweep for place in inside)])
        if domain is None or (sweep == AFTER and domain in (ELEMENT, ROW)):
            return None
        if not _counts(shape, domain, space, split):  # something was broadcast to more
            return None
        return _Fit(PlaceInLoop(domain, sweep), space, split, reads)

    def _lay_operand(
        self, operand: Variable, shape: Shape, to: str | None, space: Shape, split: int | None
    ) -> tuple[str | None, int | None]:
        """Return over what an operand is laid where the result has `shape` and is laid over `to`;
        None where NumPy's rule of broadcasting would lay it differently.
        """
        inside = self.places.get(operand)
        if prod(operand.shape) == 1:
            return (inside.domain if inside else ONE), split
        if to == ELEMENT:
            laid, split = _lay(operand.shape, space, split)
            if laid is None and inside is None and (operand.dtype == "bool" or self.is_told):
                laid, split = _lay_part(operand.shape, space, split)
        else:
            laid = to if operand.shape == shape else None
        fits = inside is None or inside.domain == laid
        return (laid if fits else None), split

    def _fit_reduction(self, equation: Equation) -> _Fit | None:
        (x,) = equation.operands
        if not isinstance(x, Variable) or not x.shape:
            return None
        place = self.places.get(x) or PlaceInLoop(ELEMENT, WITHIN)
        space, split = self.space or x.shape, self.split
        reads = {} if x in self.places else {x: ELEMENT}
        if place.domain == ELEMENT:
            if x.shape != space:
                return None
            result, split = _reduce(equation.params["axis"], space, split)
        else:  # of all rows, or of all columns
            result = ONE if prod(equation.result.shape) == 1 and prod(x.shape) != 1 else None
        if result is None:
            return None
        sweep = place.sweep if place.domain == COLUMN or result == ROW else AFTER
        return _Fit(PlaceInLoop(result, sweep), space, split, reads)

    def _fit_indexing(self, equation: Equation) -> _Fit | None:
        """``x[arange(m), y]`` is read, or written, at one place of each row; ``x[y]`` is a table of
        rows.
        """
        x, *rest = equation.operands
        axes, writes = equation.params["axes"], equation.primitive != "gather"
        indices = rest[1:] if writes else rest
        shape = equation.result.shape
        if not all(isinstance(o, Variable) for o in (x, *indices)) or self.split not in (None, 1):
            return None
        reads: dict[Variable, str] = {}
        if axes == (0,) and not writes and len(x.shape) > 1 and x not in self.places:
            rows, row_index = shape, indices[0]
            reads[x] = TABLE  # type: ignore[index]
        elif axes == (0, 1) and len(x.shape) == 2 and self._counts_rows(indices[0], x.shape[0]):
            rows, row_index = x.shape, indices[1]
            if x not in self.places:
                reads[x] = ELEMENT  # type: ignore[index]
            elif self.places[x].domain != ELEMENT:  # type: ignore[index]
                return None
        else:
            return None
        along_rows = [row_index, rest[0]] if writes else [row_index]
        if rows != (self.space or rows) or row_index.shape != rows[:1]:
            return None
        for operand in along_rows:
            laid = self._lay_along_rows(operand, rows[:1])
            if laid is None:
                return None
            if isinstance(operand, Variable) and operand not in self.places:
                reads[operand] = laid
        domain = ELEMENT if shape == rows else ROW
        return _Fit(PlaceInLoop(domain, WITHIN), rows, 1, reads)

    def _counts_rows(self, index: Operand, rows: int) -> bool:
        equation = self.definitions.get(index)  # type: ignore[arg-type]
        if equation is None or equation.primitive != "arange":
            return False
        start, stop, step = (equation.params[name] for name in ("start", "stop", "step"))
        return bool((start, stop, step) == (0, rows, 1))

    def _lay_along_rows(self, operand: Operand, rows: Shape) -> str | None:
        if isinstance(operand, Literal):
            return ONE
        place = self.places.get(operand)
        if place is not None and place.sweep == AFTER:
            return None
        wanted = ONE if prod(operand.shape) == 1 and (place is None or rows != (1,)) else ROW
        if wanted == ROW and operand.shape != rows:
            return None
        return wanted if place is None or place.domain == wanted else None

    def _fit_renaming(self, equation: Equation) -> _Fit | None:
        """A view of a value of the group that keeps the order of its elements is another name."""
        x, shape = equation.operands[0], equation.result.shape
        place = self.places.get(x)  # type: ignore[arg-type]
        if place is None or prod(shape) != prod(x.shape) or not _keeps_order(equation):
            return None
        if place.domain == ELEMENT and shape != self.space:
            return None
        return _Fit(place, self.space, self.split, {})


def _join(domains: Iterable[str]) -> str | None:
    """Return the domain of what is computed from values of these domains; of none, it is ONE."""
    found = set(domains) - {ONE}
    return ONE if not found else found.pop() if len(found) == 1 else ELEMENT


def _lay(shape: Shape, space: Shape, split: int | None) -> tuple[str | None, int | None]:
    """Return over what an array of `shape` is laid when it is broadcast to `space`, and the split.

    A split that is None is chosen.
    """
    if prod(shape) == 1:
        return ONE, split
    if len(shape) > len(space):
        return None, split
    padded = (1,) * (len(space) - len(shape)) + shape
    if padded == space:
        return ELEMENT, split
    for p in range(1, len(space)) if split is None else (split,):
        if padded == space[:p] + (1,) * (len(space) - p):
            return ROW, p
        if padded == (1,) * p + space[p:]:
            return COLUMN, p
    return None, split


def _lay_part(shape: Shape, space: Shape, split: int | None) -> tuple[str | None, int | None]:
    """Return the same of an array that is broadcast along some of the axes of the rows only."""
    missing, split = len(space) - len(shape), len(space) - 1 if split is None else split
    padded = (1,) * missing + shape
    is_broadcast = all(n in (1, length) for n, length in zip(padded, space, strict=False))
    if missing < 0 or not split or not is_broadcast:
        return None, split
    is_laid = padded[split:] == space[split:] or prod(padded[split:]) == 1
    return (PART if is_laid else None), split


def _rows_wanted(equation: Equation, space: Shape) -> int | None:
    """Return how many axes count the rows if an equation reduces rows of that space, or has a mask
    to lay over it.
    """
    if len(space) < 2:
        return None
    if PRIMITIVES[equation.primitive].category != "reduction":
        has_mask = any(isinstance(o, Variable) and o.dtype == "bool" for o in equation.operands)
        return len(space) - 1 if has_mask and equation.result.shape == space else None
    axis, (x,) = equation.params["axis"], equation.operands
    if not axis or not axis[0] or axis != tuple(range(axis[0], len(space))):
        return None
    return axis[0] if isinstance(x, Variable) and x.shape == space else None


def _counts(shape: Shape, domain: str, space: Shape, split: int | None) -> bool:
    """Whether an array of `shape` has one element for each row, column, ..., as `domain` says."""
    if domain == ELEMENT:
        return shape == space
    axes = {ROW: space[:split], COLUMN: space[split:]}.get(domain, ())
    return prod(shape) == prod(axes)


def _reduce(axis: Shape, space: Shape, split: int | None) -> tuple[str | None, int | None]:
    """Return over what the result of a reduction is laid, and the split."""
    ndim = len(space)
    if ndim == 1 and axis == (0,):
        return ROW, 0  # one row, so that what comes next may read its elements again
    if axis == tuple(range(ndim)):
        return ONE, split
    for p in range(1, ndim) if split is None else (split,):
        if axis == tuple(range(p, ndim)):
            return ROW, p
        if axis == tuple(range(p)) and p:
            return COLUMN, p
    return None, split


def _keeps_order(equation: Equation) -> bool:
    if equation.primitive == "slice":  # of as many elements as there are
        return all(isinstance(e, int) or e[2] > 0 for e in equation.params["index"])
    if equation.primitive == "transpose":
        shape = equation.operands[0].shape
        moved = [axis for axis in equation.params["axes"] if shape[axis] != 1]
        return moved == sorted(moved)
    return True
