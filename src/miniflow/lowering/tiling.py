"""Groups that go through the items of a batch tile by tile, so that what they hand on stays in
the processor's cache.

A convolution copies what its windows see to the rows of a matrix, many times as large as the images
were. Computed one after the other for the whole batch, each group writes megabytes that the next
one has to fetch again:

    columns = copy windows(images)          columns = copy windows(images[0:8])
    z       = columns @ W                   z       = columns @ W
    a, mask = bias and ReLU of z            a, mask[0:8] = bias and ReLU of z
    ...                                     ...
                                            columns = copy windows(images[8:16])
                                            ...

On the right, `columns`, `z` and `a` are as large as one tile, if nobody else reads them, and are
there when they are read. The order of the groups in a tile stays what it was.

The scores of attention are such arrays, too: so many for each pair of places and each head. What
goes through the batch with them are its products, the softmax between them, and all that stands
before and behind that looks at an example alone.

A group can be cut if its results for some items depend on those items alone: a loop whose rows are
whole items, a product of rows that are, or of a stack of matrices of the items, a copy, a part
written or added. What all items read, and has nothing to do with them, a mask, say, comes before.
In memory, the i-th item of an array is the i-th of equal parts of it; a value that does not lie so
is not cut. Sums over the batch, and all else that cannot be cut, come after the tiles, unless a
tile needs it.

But the gradient of a weight, a product whose k are the rows of all items, and that of a bias, a sum
over these rows, are added up tile by tile, while what they read is near: each tile goes on with the
chains that the one before has left. So a batch of a transformer goes through all its layers, the
loss (`totals`) and back in one tile, and memory is wanted for the activations of one tile, not of
the batch. The gradients of kernels of convolutions are products that read windows, and add up those
of biases in passing (`column_sums`): they come after their tiles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from miniflow.ir import Equation, Operand, Variable
from miniflow.lowering.aliasing import may_raise
from miniflow.lowering.copies import MAX_RANK
from miniflow.lowering.groups import (
    AFTER,
    CALL,
    COLUMN,
    CONSTANT,
    ELEMENT,
    LOOP,
    NUMBER,
    ONE,
    PART,
    PRODUCT,
    ROW,
    VIEW,
    EquationGroup,
)
from miniflow.lowering.nests import LOOP_DTYPES
from miniflow.lowering.plan import StepPlan
from miniflow.lowering.stages import is_over_rows
from miniflow.lowering.tiles import Tiling, axis_of_items, has_stacks, is_stack
from miniflow.lowering.values import Values

CACHE: Final = 1 << 20  # bytes of the largest array of a tile
SEVERAL: Final = 4  # arrays of that size that a stack of products is read from and written to
FEWEST_ROWS: Final = 16  # of an item, in a product: with fewer, it is better to have them all
MOST_POSTPONED: Final = 8  # groups, before the search for one more that can be cut ends


def find_tiling(
    plan: StepPlan,
    values: Values,
    position: int,
    items: int,
    is_compiled: Callable[[Equation], bool],
    continues_products: bool = False,
) -> Tiling | None:
    """Return the tiling that begins with the group at `position`; None if there is none that is
    worth it. What the groups before it read may have been copied: they have to be written first.

    `is_compiled` says whether a product or a movement is one for compiled code, which alone sees
    tiles; `continues_products`, whether one can go on with the chains of another.
    """
    if items < 2:
        return None
    return _Search(plan, values, items, is_compiled, continues_products).run(position)


def batch_size(plan: StepPlan) -> int:
    """Return how many items the batch seems to have: the commonest first axis of what is copied;
    0 if nothing is.
    """
    lengths = Counter(
        operand.shape[0]
        for group in plan.schedule.groups
        if _is_by_items(group)
        for operand in group.equations[0].operands
        if len(operand.shape) > 1 and operand.shape[0] > 1
    )
    return max(lengths, key=lambda length: lengths[length], default=0)


def _is_by_items(group: EquationGroup) -> bool:
    """Whether a group has a batch's items, as a rule, along its first axis."""
    return group.kind == CALL or (group.kind == PRODUCT and is_stack(group.equations[0]))


def _read_by(group: EquationGroup) -> set[Operand]:
    return {operand for equation in group.equations for operand in equation.operands}


def _operands_of_stack(
    a: Variable, b: Variable, c: Variable
) -> tuple[list[Variable], list[Variable]]:
    """Return which factors of a stack of products have its first axis, and which serve it all."""
    cut, whole = list[Variable](), list[Variable]()
    for factor in dict.fromkeys((a, b)):
        has_axis = len(factor.shape) == len(c.shape) and factor.shape[0] == c.shape[0]
        (cut if has_axis else whole).append(factor)
    return cut, whole


class _Search:
    """Collects the groups of a tiling, from one position on."""

    def __init__(
        self,
        plan: StepPlan,
        values: Values,
        items: int,
        is_compiled: Callable[[Equation], bool],
        continues_products: bool,
    ) -> None:
        self.plan, self.values = plan, values
        self.items, self.is_compiled = items, is_compiled
        self.continues_products = continues_products and has_stacks(plan.schedule)
        self.inputs = {entry.variable for entry in self.plan.program.inputs}
        self.cut: dict[Variable, None] = {}  # memory, of what the groups read and make
        self.whole: set[Variable] = set()
        self.summed: dict[Variable, Variable] = {}  # memory, and what each tile adds to there
        self.before: list[int] = []
        self.taken: list[int] = []
        self.waiting: list[int] = []  # what fills an array, for whoever is taken and adds to it
        self.after: list[int] = []
        self.after_reads: set[Variable] = set()
        self.after_makes: set[Variable] = set()

    def run(self, start: int) -> Tiling | None:
        """Return the tiling that begins with the group at `start`; None if it is not worth it."""
        groups = self.plan.schedule.groups
        for position in range(start, len(groups)):
            group = groups[position]
            is_step = group.kind not in (VIEW, NUMBER, CONSTANT) and self._is_needed(group)
            if not is_step or (self.taken and self._comes_before(position)):
                self.before.append(position)
            elif group.kind == LOOP and not group.reads:
                self.waiting.append(position)
            elif self._take_with_what_it_fills(position):
                pass
            elif not self.taken or len(self.after) == MOST_POSTPONED:
                break
            else:
                for each in (*self._filled_for(group), position):
                    self._postpone(each)
        return self._tiling() if self._is_worth_it() else None

    def _filled_for(self, group: EquationGroup) -> list[int]:
        """Which of the arrays that are only filled, and wait, a group reads or writes to."""
        values = [v for e in group.equations for v in (*e.operands, e.result)]
        touched = self._memory((*values, *group.reads))
        groups = self.plan.schedule.groups
        return [p for p in self.waiting if self._memory(self._results(groups[p])) & touched]

    def _take_with_what_it_fills(self, position: int) -> bool:
        """Take a group, and before it what fills an array that it adds to; whether that can be."""
        groups, cut, whole = self.plan.schedule.groups, dict(self.cut), set(self.whole)
        taken = [*self._filled_for(groups[position]), position]
        if all(self._take(groups[each]) for each in taken):
            self.taken = sorted([*self.taken, *taken])
            self.waiting = [each for each in self.waiting if each not in taken]
            return True
        self.cut, self.whole = cut, whole
        return False

    def _postpone(self, position: int) -> None:
        """Let a group come after all tiles."""
        group = self.plan.schedule.groups[position]
        self.waiting = [each for each in self.waiting if each != position]
        self.after.append(position)
        self.after_reads |= self._memory(o for e in group.equations for o in e.operands)
        self.after_reads |= self._memory(group.reads)
        self.after_makes |= self._memory(e.result for e in group.equations)

    def _is_needed(self, group: EquationGroup) -> bool:
        return any(equation.result in self.plan.needed for equation in group.equations)

    def _is_worth_it(self) -> bool:
        groups = [self.plan.schedule.groups[position] for position in self.taken]
        groups = [group for group in groups if not self._is_done(group)]
        if len(groups) < 2 or not any(map(_is_by_items, groups)):
            return False
        return self._tile_size() < self.items

    def _is_done(self, group: EquationGroup) -> bool:
        """Whether a part is written that has been made where it lies."""
        equation = group.equations[0]
        if equation.primitive != "slice_update":
            return False
        value, home = equation.operands[1], self.values.home(equation.result)
        return isinstance(value, Variable) and self.values.root(value) is home

    def _tile_size(self) -> int:
        largest = max(v.type.nbytes for v in self.cut) // self.items
        groups = (self.plan.schedule.groups[position] for position in self.taken)
        has_stacks = any(g.kind == PRODUCT and is_stack(g.equations[0]) for g in groups)
        room = CACHE // SEVERAL if has_stacks else CACHE
        most = min(max(room // max(largest, 1), 1), self.items)
        even = (count for count in range(most, most // 2, -1) if self.items % count == 0)
        return next(even, most)

    def _tiling(self) -> Tiling:
        last = self.taken[-1]
        return Tiling(
            before=tuple(p for p in self.before if p < last),
            groups=tuple(self.taken),
            after=tuple(p for p in sorted((*self.after, *self.waiting)) if p < last),
            items=self.items,
            count=self._tile_size(),
            cut=frozenset(self.cut),
            local=frozenset(self._find_local()),
            summed=tuple(self.summed.values()),
            checked=tuple(p for p in self.taken if self._may_raise(self.plan.schedule.groups[p])),
        )

    def _find_local(self) -> Iterator[Variable]:
        """Yield the memory that nothing but the tiles reads or writes."""
        taken = set(self.taken)
        freed = {
            root
            for position in self.taken
            for root in self.plan.last_reads.get(position, ())
            if root not in self.after_reads
        }
        for root in freed & self.cut.keys():
            makers = {
                position
                for position, group in enumerate(self.plan.schedule.groups)
                if group.kind != VIEW and self._is_needed(group)
                for equation in group.equations
                if self._made_in(group, equation.result) is root
            }
            if makers and makers <= taken:
                yield root

    def _made_in(self, group: EquationGroup, result: Variable) -> Variable:
        """The memory that a group writes to; a loop or a product, as a part of another's."""
        is_laid = group.kind in (LOOP, PRODUCT)
        return self.values.root(result) if is_laid else self.values.home(result)

    def _take(self, group: EquationGroup) -> bool:
        """Take a group if it can be cut; say whether it can."""
        if self._may_raise(group) and not self._can_be_checked(group):
            return False
        if any(e.result is self.plan.finite for e in group.equations):
            return False
        if self._take_sum(group):
            return True
        operands = self._operands(group)
        if operands is None:
            return False
        cut, whole = operands
        sums = self._sums_over_rows(group)
        made = [v for v in self._results(group) if v in self.plan.needed and v not in sums]
        if not all(self._axis_of_items(v) == 0 for v in (*cut, *made)):
            return False
        results, reads = self._memory(made), self._memory(cut)
        if self.after and group.reads and not reads & self.cut.keys():
            return False  # what has been put off should not wait for it
        if results & (self._not_written() | self.whole):
            return False
        reads_whole = self._memory(whole)
        if (reads & self.whole) or (reads_whole & (self.cut.keys() | reads | results)):
            return False
        if (reads | reads_whole) & (self.after_makes | self.summed.keys()):
            return False
        totals = self._memory(sums)
        if totals & (self._not_written() | self.whole | self.cut.keys() | results | reads_whole):
            return False
        self.cut |= dict.fromkeys((*reads, *results))
        self.whole |= reads_whole
        self.summed |= {self.values.home(v): v for v in sums}
        return True

    def _may_raise(self, group: EquationGroup) -> bool:
        return may_raise(group, self.plan.safe)

    def _can_be_checked(self, group: EquationGroup) -> bool:
        """Whether all that a loop may fail of is known before it: indices that are handed in."""
        if group.kind != LOOP or not self.continues_products:
            return False
        raising = (e for e in group.equations if may_raise(replace(group, equations=(e,))))
        indices = [e.operands[-1] for e in raising]
        return all(isinstance(x, Variable) and self.values.root(x) in self.inputs for x in indices)

    def _take_sum(self, group: EquationGroup) -> bool:
        """Take a product that adds up what all items have, if each tile can go on with it."""
        equation = group.equations[0]
        is_product = group.kind == PRODUCT and equation.primitive == "matmul"
        if not (self.continues_products and is_product and self.is_compiled(equation)):
            return False
        (a, b), c = equation.operands, equation.result
        assert isinstance(a, Variable)
        assert isinstance(b, Variable)
        is_long = len(a.shape) == 2 == len(b.shape) and a.shape[1] >= FEWEST_ROWS * self.items
        if not is_long or (self._axis_of_items(a), self._axis_of_items(b)) != (1, 0):
            return False
        reads, results = self._memory((a, b)), self._memory((c,))
        if not reads <= self.cut.keys() or reads & self.after_makes or c not in self.plan.needed:
            return False
        if any(self._is_moved(v) for v in (a, b)):
            return False  # a product may read it where it was, and all of it in other pieces
        if results & (self._not_written() | self.whole | self.cut.keys()):
            return False
        self.summed |= dict.fromkeys(results, c)
        return True

    def _is_moved(self, variable: Variable) -> bool:
        """Whether a value is a copy of what lies elsewhere: of windows, say."""
        group = self.plan.made_by.get(self.values.layout(variable).base)
        return group is not None and group.kind == CALL

    def _not_written(self) -> set[Variable]:
        """The memory that no tile may write to, as others do."""
        return self.inputs | self.after_reads | self.after_makes | self.summed.keys()

    def _operands(self, group: EquationGroup) -> tuple[list[Variable], list[Variable]] | None:
        """Return what a group reads by items, and what it reads whole; None if it cannot be cut."""
        if group.kind == LOOP:
            return self._operands_of_loop(group)
        if group.kind == PRODUCT:
            return self._operands_of_product(group)
        return self._operands_of_movement(group) if group.kind == CALL else None

    def _sums_over_rows(self, group: EquationGroup) -> list[Variable]:
        """The sums of columns that a loop leaves, which each tile can add to: of biases, say."""
        if group.kind != LOOP or not self.continues_products:
            return []
        return [
            e.result
            for e in group.equations
            if e.primitive == "sum" and is_over_rows(e, group)
            if group.places[e.result].domain == COLUMN and e.result.dtype in ("f32", "f64")
            if e.result in self.plan.needed and e.result in self.plan.schedule.stored
            if self.values.root(e.result) is e.result
        ]

    def _comes_before(self, position: int) -> bool:
        """Whether a group has nothing to do with what is cut, and somebody reads its results whole:
        a mask, say, that is the same for all items.
        """
        group = self.plan.schedule.groups[position]
        reads = self._memory([*group.reads, *(o for e in group.equations for o in e.operands)])
        makes = self._memory(e.result for e in group.equations)
        others = self.cut.keys() | self.whole | self._not_written()
        not_yet = self.cut.keys() | self.after_makes | self.summed.keys()
        if may_raise(group) or reads & not_yet or makes & others:
            return False
        results = {e.result for e in group.equations}
        for later in self.plan.schedule.groups[position + 1 :]:
            if self._is_needed(later) and not results.isdisjoint(later.reads or _read_by(later)):
                found = self._operands(later)
                if found is not None and makes & self._memory(found[1]):
                    return True
        return False

    def _results(self, group: EquationGroup) -> list[Variable]:
        results = [equation.result for equation in group.equations]
        return [v for v in results if group.kind != LOOP or v in self.plan.schedule.stored]

    def _operands_of_loop(
        self, group: EquationGroup
    ) -> tuple[list[Variable], list[Variable]] | None:
        """Return what a loop reads by items, and what it reads whole; None if it cannot be cut."""
        if not group.space or group.space[0] % self.items:
            return None
        by_items = {ELEMENT, ROW} if group.split else {ELEMENT}
        sums = self._sums_over_rows(group)
        if any(p.sweep == AFTER and v not in sums for v, p in group.places.items()):
            return None
        if any(
            group.places[v].domain not in by_items for v in self._results(group) if v not in sums
        ):
            return None
        if not group.split and any(p.domain != ELEMENT for p in group.places.values()):
            return None
        cut, whole = list[Variable](), list[Variable]()
        for v, domain in group.reads.items():
            has_items = len(v.shape) == len(group.space) and v.shape[0] == group.space[0]
            if domain in by_items or (domain == PART and has_items):
                cut.append(v)
            elif domain in (COLUMN, ONE) or (domain == PART and len(v.shape) < len(group.space)):
                whole.append(v)
            else:
                return None
        return cut, whole

    def _operands_of_product(
        self, group: EquationGroup
    ) -> tuple[list[Variable], list[Variable]] | None:
        equation = group.equations[0]
        if equation.primitive != "matmul" or not self.is_compiled(equation):
            return None
        a, b = equation.operands
        assert isinstance(a, Variable)
        assert isinstance(b, Variable)
        if is_stack(equation):
            return _operands_of_stack(a, b, equation.result)
        if len(a.shape) != 2 or len(b.shape) != 2:
            return None
        if equation.result.shape[0] < FEWEST_ROWS * self.items:
            return None
        return [a], [b]

    def _operands_of_movement(
        self, group: EquationGroup
    ) -> tuple[list[Variable], list[Variable]] | None:
        equation = group.equations[0]
        if not self.is_compiled(equation):
            return None
        if equation.primitive in ("slice_update", "slice_add"):
            whole = equation.operands[0].shape[0] if equation.operands[0].shape else 0
            if equation.params["index"][0] != (0, whole, 1):
                return None
        return [o for o in equation.operands if isinstance(o, Variable)], []

    def _axis_of_items(self, variable: Variable) -> int | None:
        """The axis along which a value has the items; None if there is none, or no tile."""
        layout = self.values.layout(variable)
        if len(layout.shape) > MAX_RANK or layout.base.dtype not in LOOP_DTYPES:
            return None  # it may have to be copied
        return axis_of_items(layout, self.items)

    def _memory(self, values: Iterable[Operand]) -> set[Variable]:
        """The memory that these values lie in."""
        home, layout = self.values.home, self.values.layout
        return {home(layout(value).base) for value in values if isinstance(value, Variable)}
