"""From the operands of a product, as they lie in memory, to the step that computes it.

`plan_product` makes of any product (of vectors, of matrices, of stacks of them) one of matrices, or
a stack of such, and chooses how it is cut; `compile_product` makes a step of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from miniflow.backends.native.processor import Processor
from miniflow.backends.native.products import dot, fitted
from miniflow.backends.native.products.blocking import (
    FAR,
    SECOND_CACHE,
    Blocking,
    block_windows,
    choose_blocking,
    split,
)
from miniflow.backends.native.products.dot import print_dot
from miniflow.backends.native.products.driver import (
    CODE,
    NUMBERS,
    PLACES,
    STACKED,
    WINDOW_NUMBERS,
    print_driver,
)
from miniflow.backends.native.products.epilogue import Epilogue, print_epilogue
from miniflow.backends.native.products.fitted import FittedProducts, fitted_products
from miniflow.backends.native.products.gather_windows import (
    WindowGeometry,
    geometry_of,
    print_gather_windows,
)
from miniflow.backends.native.products.in_place import (
    InPlacePlan,
    plan_in_place,
)
from miniflow.backends.native.products.micro_kernel import TileShape, print_micro_kernel
from miniflow.backends.native.products.packing import (
    ANY,
    BY_COLUMNS,
    BY_ROWS,
    print_pack_panels,
    print_pack_strips,
)
from miniflow.backends.native.products.print_fitted import print_fitted
from miniflow.backends.native.products.print_in_place import compile_in_place
from miniflow.backends.native.writer import REALS
from miniflow.lowering.loop_program import BufferView, WindowMatrix
from miniflow.lowering.matrices import Matrices, Operand, StackAxis, matrices_of
from miniflow.lowering.sums import LONGEST_CHAIN

DTYPES: Final = tuple(REALS)  # of which there are products
_LINE: Final = 64  # bytes


class Gathered(NamedTuple):
    """The rows of A are windows, or, if they `are_columns`, its columns: from the `first` one on,
    and of each the elements from `first_element` on.
    """

    geometry: WindowGeometry
    are_columns: bool
    first: int
    first_element: int


class ProductPlan(NamedTuple):
    """C (m, n) = A (m, k) @ B (k, n), or a stack of such.

    `swapped`: as it is computed, A is the second operand, transposed, and B the first. Strides and
    steps count numbers.
    """

    dtype: str
    shape: tuple[int, int, int]  # m, n, k
    strides: tuple[int, int, int, int, int]  # of A's rows and columns, of B's, of C's rows
    stacks: tuple[StackAxis, ...]
    swapped: bool
    blocking: Blocking
    processor: Processor
    windows: Gathered | None = None
    fitted: FittedProducts | None = None  # if it is made by a function for its shape
    tiles: tuple[int, int] = (0, 0)  # of that, of each height

    def scratch(self, *, adds: bool, finishes: bool = False) -> dict[str, int]:
        """Return how many bytes of memory are wanted: for the ``strips`` of A and the ``panel`` of
        B, where they are packed; for the ``partial`` sums of the blocks of k but the last, where C
        has to stay what it is until then, as it is added to; and for the ``tile`` that goes to the
        epilogue, if it `finishes` with one.
        """
        (m, n, k), blocking, wanted = self.shape, self.blocking, dict[str, int]()
        if self.fitted:
            return wanted
        if finishes and k <= blocking.k_block:
            wanted["tile"] = blocking.rows * blocking.vectors * self.processor.nbytes
        if blocking.packs_a:
            rows = min(blocking.block_rows + blocking.rows, m)
            wanted["strips"] = rows * blocking.k_block * self._size
        if self.windows:
            rows = min(blocking.block_rows + blocking.rows, m)
            many = blocking.k_block if self.windows.are_columns else rows
            row = self.windows.geometry.shape.size * self._size
            wanted["strips"] = many * row + self.processor.nbytes
        if blocking.packs_b or self.packs_edge:
            panel = blocking.vectors * self.processor.nbytes
            all_panels = -(-n * self._size // panel)
            panels = all_panels if self.keeps_panels else min(blocking.panels, all_panels)
            panels = panels if blocking.packs_b else 1
            wanted["panel"] = panels * panel * blocking.k_block
        if adds and blocking.k_block < k:
            wanted["partial"] = ((m - 1) * self.strides[4] + n) * self._size
        return wanted

    @property
    def can_finish(self) -> bool:
        """Whether the entries are made row by row of the result, for an epilogue."""
        return not self.swapped and not self.stacks

    def along_rows(self, epilogue: Epilogue) -> ProductPlan:
        """Return the plan that makes the result some rows at a time, from end to end, where B stays
        near meanwhile, and the epilogue reads so much that it should be read in order.
        """
        blocking, (_, n, _) = self.blocking, self.shape
        is_near = blocking.k_block * n * self._size <= SECOND_CACHE // 4
        if self.windows or not is_near or epilogue.arrays_beside < 2:
            return self
        return self._replace(blocking=blocking._replace(block_rows=blocking.rows))

    @property
    def packs_edge(self) -> bool:
        """Whether the last panel of B, where it is cut, is packed though no other is."""
        cut = self.shape[1] % (self.processor.nbytes // self._size)
        return self.blocking.packs_b or (bool(cut) and not self.processor.has_masks)

    @property
    def columns_of_a_group(self) -> int:
        """How many columns of B a strip of A meets, one panel after the other."""
        panels = self.blocking.panels if self.blocking.packs_b else 1
        return self.blocking.vectors * self.processor.nbytes // self._size * panels

    @property
    def bytes_ahead(self) -> int:
        """How many bytes of the next row of A are fetched with each k, if A is large and its rows
        lie one behind the other, or nearly so; else 0.
        """
        (m, _, k), k_block, (row, step, *_) = self.shape, self.blocking.k_block, self.strides
        if m * k * self._size <= SECOND_CACHE:
            return 0
        if self.blocking.packs_a:
            return self._size
        is_near = step == 1 and k_block <= row <= k_block * 3 // 2
        return row * self._size // k_block if is_near else 0

    @property
    def keeps_panels(self) -> bool:
        """Whether packed panels are read by more than one block of rows."""
        return self.blocking.block_rows < self.shape[0]

    @property
    def _size(self) -> int:
        return REALS[self.dtype][1]


class DotPlan(NamedTuple):
    """c = a · b of two vectors of k numbers, at these distances; of one with itself, if that only
    `is_measured`.
    """

    dtype: str
    k: int
    steps: tuple[int, int]
    has_fma: bool
    is_measured: bool = False

    def scratch(self, *, adds: bool, finishes: bool = False) -> dict[str, int]:
        """Return what memory is wanted: none."""
        return {}

    @property
    def can_finish(self) -> bool:
        """A single number has no epilogue."""
        return False


class CompiledProduct(NamedTuple):
    """The text of the function of a step, and its arguments: numbers, and names of places.

    A place is handed over as two numbers, an index in the table of memory and an offset in bytes.
    There are the operands ``a`` and ``b``, ``c``, the numbers ``alpha`` and ``beta``, and the
    memory that `scratch` wants; where it does not want one, any place will do.
    """

    text: str
    arguments: list[int | str]


def plan_product(
    a: Operand, b: Operand, c: Operand, processor: Processor, blocking: Blocking | None = None
) -> ProductPlan | DotPlan | None:
    """Plan c = a @ b, where the operands are what NumPy's matmul takes; None if there is no way.

    There is one unless the numbers of c are neither side by side in its rows nor in its columns, or
    a stack has too many axes, or the dtypes differ.
    """
    dtype = c.dtype
    if dtype not in DTYPES or {a.dtype, b.dtype} != {dtype} or 0 in c.shape:
        return None
    if len(a.shape) == len(b.shape) == 1 and a.shape[0] > LONGEST_CHAIN:
        return DotPlan(dtype, a.shape[0], (a.strides[0], b.strides[0]), processor.has_fma)
    return _plan_of(dtype, matrices_of(a, b, c), processor, blocking)


def _plan_of(
    dtype: str, found: Matrices, processor: Processor, blocking: Blocking | None
) -> ProductPlan | None:
    _, n, _ = found.shape
    if (found.c[1] != 1 and n > 1) or len(found.stacks) > STACKED:
        return None
    strides = (*found.a, *found.b)
    all_strides = (*found.a, *found.b, found.c[0])
    fitted = None
    if blocking is None:
        blocking = choose_blocking(found.shape, REALS[dtype][1], strides, processor)
        fitted = fitted_products(dtype, found.shape, all_strides, found.stacks, processor, blocking)
    if strides[3] != 1 and n > 1:
        blocking = blocking._replace(packs_b=True)
    stacks, swapped = found.stacks, found.swapped
    plan = ProductPlan(dtype, found.shape, all_strides, stacks, swapped, blocking, processor)
    return plan._replace(fitted=fitted[0], tiles=fitted[1]) if fitted else plan


def plan_windows(
    a: WindowMatrix, b: BufferView, c: BufferView, processor: Processor, sums: bool = False
) -> ProductPlan | InPlacePlan | None:
    """Plan c = a @ b, where a is a matrix of windows; None if there is no way. With `sums`, the
    columns of b are added up, too.
    """
    in_place = plan_in_place(a, b, c, processor, sums)
    return in_place or (None if sums else _plan_of_copies(a, b, c, processor))


def _plan_of_copies(
    a: WindowMatrix, b: BufferView, c: BufferView, processor: Processor
) -> ProductPlan | None:
    geometry, dtype = geometry_of(a), c.dtype
    if geometry is None or dtype not in DTYPES or {a.dtype, b.dtype} != {dtype}:
        return None
    if len(b.shape) != 2 or 0 in c.shape:
        return None
    (m, k), (_, n), step = a.shape, b.shape, geometry.shape.size
    steps = (1, step) if a.is_turned else (step, 1)
    near = (1, 1)  # they are in the cache when they are read
    (b_step, b_column), (c_row, c_column) = b.strides, c.strides
    found = Matrices((m, n, k), near, (b_step, b_column), (c_row, c_column), ())
    plan = _plan_of(dtype, found, processor, None)
    if plan is None:
        return None
    blocking = block_windows(plan.blocking, step * REALS[a.dtype][1], plan.shape, a.is_turned)
    windows = Gathered(geometry, a.is_turned, a.rows[0], a.columns[0])
    strides = (*steps, *plan.strides[2:])
    return plan._replace(blocking=blocking, windows=windows, strides=strides, fitted=None)


def compile_product(
    plan: ProductPlan | DotPlan | InPlacePlan,
    routine: Callable[[str], int],
    *,
    adds: bool,
    epilogue: Epilogue | None = None,
    keeps: bool = False,
    continues: bool = False,
) -> CompiledProduct:
    """Return the step that computes c = alpha · a @ b, plus beta · c if it `adds`; what goes to an
    epilogue is in c, too, if that `keeps` it. If it `continues`, the chains begin with what is in c
    (of a plan that is neither for windows nor `fitted`).

    `routine` gives the address of the machine code of a text. What an epilogue is handed stands
    behind the arguments of the product.
    """
    if isinstance(plan, InPlacePlan):
        made = compile_in_place(plan, routine, adds=adds, epilogue=epilogue, keeps=keeps)
        return CompiledProduct(*made)
    if isinstance(plan, DotPlan):
        text = print_dot(plan.dtype, plan.steps == (1, 1), plan.has_fma, plan.is_measured)
        steps = (REALS[plan.dtype][1] * step for step in plan.steps)
        return CompiledProduct(text, [*dot.PLACES, plan.k, *steps, int(adds)])
    if plan.fitted:
        first, second, *others = fitted.PLACES
        operands = [second, first] if plan.swapped else [first, second]
        counts = [*plan.tiles, *(axis.times for axis in plan.stacks)]
        cut = plan.fitted.n % plan.fitted.lanes
        counts += [cut] if epilogue and cut else []
        text = print_fitted(plan.fitted, adds, epilogue.text if epilogue else None, keeps)
        return CompiledProduct(text, [*operands, *others, *counts])
    arguments = _arguments(plan, routine, adds, epilogue, keeps, continues)
    return CompiledProduct(print_driver(), arguments)


def _arguments(
    plan: ProductPlan,
    routine: Callable[[str], int],
    adds: bool,
    epilogue: Epilogue | None,
    keeps: bool,
    continues: bool,
) -> list[int | str]:
    (m, n, k), blocking, size = plan.shape, plan.blocking, REALS[plan.dtype][1]
    high, low = split(m, blocking.rows)
    lanes = plan.processor.nbytes // size
    numbers: dict[str, int] = {
        "tiles": high[1] + low[1],
        "high_tiles": high[1],
        "rows": low[0],
        "tiles_a_block": max(blocking.block_rows // blocking.rows, 1),
        "n": n,
        "panel_columns": blocking.vectors * lanes,
        "group_columns": plan.columns_of_a_group,
        "k": k,
        "k_block": blocking.k_block,
        "size": size,
        "lanes": lanes,
        "packs_a": blocking.packs_a,
        "packs_b": blocking.packs_b,
        "packs_edge": plan.packs_edge,
        "panels_kept": plan.keeps_panels,
        "adds": adds,
        "continues": continues,
        "has_partial": "partial" in plan.scratch(adds=adds),
    }
    for field, stride in zip(
        ("a_row", "a_step", "b_step", "b_column", "c_row"), plan.strides, strict=True
    ):
        numbers[field] = stride * size
    numbers["ahead"] = plan.bytes_ahead
    tile = "tile" in plan.scratch(adds=adds, finishes=epilogue is not None and not keeps)
    if tile:  # each one takes the place of the one before
        numbers["c_row"] = blocking.vectors * lanes * size
    numbers |= {
        "c_to_row": 0 if tile else numbers["c_row"],
        "c_to_column": 0 if tile else size,
        "first_row": epilogue.walk.corner[0] if epilogue else 0,
        "first_column": epilogue.walk.corner[1] if epilogue else 0,
        "entries_row": numbers["c_row"],
        "has_epilogue": epilogue is not None,
    }
    numbers |= dict.fromkeys(WINDOW_NUMBERS, 0)
    if plan.windows:
        numbers |= plan.windows.geometry.numbers(size)
        numbers["rows_are_windows"] = not plan.windows.are_columns
        numbers["columns_are_windows"] = plan.windows.are_columns
        numbers["first_window"] = plan.windows.first
        numbers["first_element"] = plan.windows.first_element * size
    stacks = (*plan.stacks, *[StackAxis(1, (0, 0, 0))] * (STACKED - len(plan.stacks)))
    for axis, stack in enumerate(stacks):
        numbers[f"count{axis}"] = stack.times
        for word, step in zip("abc", stack.steps, strict=True):
            numbers[f"{word}_to{axis}"] = step * size
    code = [routine(text) if text else 0 for text in _code(plan, epilogue).values()]
    first, second, third, *others = PLACES
    operands = [second, first] if plan.swapped else [first, second]
    operands.append("tile" if tile else third)
    return [*code, *operands, *others, *(int(numbers[field]) for field in NUMBERS)]


def _code(plan: ProductPlan, epilogue: Epilogue | None) -> dict[str, str]:
    """Return the text of each routine that the driver needs, "" where it needs none."""
    (m, n, _), blocking, has_fma = plan.shape, plan.blocking, plan.processor.has_fma
    size, code = REALS[plan.dtype][1], dict.fromkeys(CODE, "")
    lanes = plan.processor.nbytes // size
    whole, rest = divmod(n, blocking.vectors * lanes)
    strip_order = BY_COLUMNS if plan.strides[0] == 1 else ANY
    for word, (height, count) in zip(("high", "low"), split(m, blocking.rows), strict=True):
        if not count:
            continue
        if whole:
            code[word] = _kernel(plan, lanes, height, blocking.vectors, is_edge=False)
        if rest:
            code[f"{word}_at_edge"] = _kernel(
                plan, lanes, height, -(-rest // lanes), is_edge=bool(rest % lanes)
            )
        if blocking.packs_a:
            code[f"pack_{word}"] = print_pack_strips(plan.dtype, height, strip_order)
    if plan.windows:
        window = plan.windows.geometry.shape
        masks = plan.processor.has_masks
        code["gather_windows"] = print_gather_windows(plan.dtype, lanes, window, masks)
    if epilogue and whole:
        code["epilogue"] = print_epilogue(epilogue, lanes, blocking.vectors, False, has_fma)
    if epilogue and rest:
        edge = -(-rest // lanes), bool(rest % lanes)
        code["epilogue_at_edge"] = print_epilogue(epilogue, lanes, *edge, has_fma)
    if blocking.packs_b or plan.packs_edge:
        order = BY_ROWS if plan.strides[3] == 1 or n == 1 else ANY
        if order == ANY and plan.strides[2] == 1:
            order = BY_COLUMNS
        code["pack_panels"] = print_pack_panels(plan.dtype, lanes, blocking.vectors, order)
    return code


def _kernel(plan: ProductPlan, lanes: int, rows: int, vectors: int, *, is_edge: bool) -> str:
    processor = plan.processor
    is_padded = is_edge and not processor.has_masks
    (m, _, k), (a_row, a_step, *_), size = plan.shape, plan.strides, REALS[plan.dtype][1]
    is_far = a_row == 1 and a_step * size >= FAR and not plan.blocking.packs_a
    is_far = is_far and m * k * size > SECOND_CACHE // 4
    columns = min(plan.columns_of_a_group, plan.shape[1])
    some = rows * plan.bytes_ahead * min(vectors * lanes, columns)  # times how many a strip meets
    return print_micro_kernel(
        TileShape(
            *(plan.dtype, lanes, rows, vectors, is_edge, is_padded, processor.has_fma, is_far),
            fetches=-(-some // (_LINE * columns)),
        )
    )
