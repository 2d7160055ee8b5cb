"""Products of matrices in C: tiles that stay in registers while they go through k.

    for each panel of 16 columns of B (copied to a panel of its own, where it does not lie in rows)
      for each 6 rows of A, or 5
        t[6][16] = 0
        for p in range(k): t[i][j] = fma(a[i, p], b[p, j], t[i][j])
        c[i, j] = alpha * t[i][j] (+ beta * c[i, j])

Each entry is one chain of multiply-adds in the order of k, as `lowering.matrices` has it, so that
tiles have the bits of any other. Their sizes are written into the code, by which compilers make
vectors of the columns. Of one row, as in a model for one example, a tile is 64 columns wide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib.resources import files
from typing import Final, NamedTuple

from miniflow.backends.c.types import C_TYPES
from miniflow.files.templates import fill_template
from miniflow.ir.program import Literal
from miniflow.lowering.loop_program import BufferView, Product
from miniflow.lowering.matrices import Matrices, StackAxis, matrices_of
from miniflow.lowering.sums import LANES, LONGEST_CHAIN

Pointer = Callable[[BufferView], str]
_ADDED: Final = "_added"  # what a tile is called that is added to c
_ON: Final = "_on"  # and one that goes on with c
_TURNED: Final = "_turned"  # and one that stores the transpose
STACKED: Final = (
    3  # axes of a stack at most, as for the native backend: so both have the same steps
)
DTYPES: Final = ("f32", "f64", "i32")  # of which there are products
_WIDTH: Final = {"f32": 16, "f64": 8, "i32": 16}  # of a tile: two vectors of 32 bytes
_K_BLOCK: Final = 256  # products of an entry that are added at a time, where there are many more
_PACKED_ROWS: Final = 16  # from as many rows of A on, a copy of B's panel pays


def can_multiply(c: BufferView, a: BufferView, b: BufferView) -> bool:
    """Whether there is a product for operands that lie so: where the native backend has one."""
    if c.dtype not in DTYPES or {a.dtype, b.dtype} != {c.dtype} or 0 in c.shape:
        return False
    if _is_dot(a, b):
        return True
    found = matrices_of(a, b, c)
    return (found.c[1] == 1 or found.shape[1] == 1) and len(found.stacks) <= STACKED


def _is_dot(a: BufferView, b: BufferView) -> bool:
    is_long = len(a.shape) == len(b.shape) == 1 and a.shape[0] > LONGEST_CHAIN
    return is_long and a.dtype[0] == "f"


class ProductForm(NamedTuple):
    """What a function for products is written for; sizes and distances it is handed.

    `dtypes` are those of A, B and C; whole numbers may be shorter in A and B than in C.
    `blocks` are the tiles: how many columns, how many rows at most, and how many in fact, of which
    the taller come first. `packs`: panels of B are copied, by its rows or columns, whichever are
    contiguous; `adds`: c counts; `goes_on`: k is long, and cut into blocks, between which the
    chains are kept in C; `is_turned`: it is the transpose of C that lies in rows.
    """

    dtypes: tuple[str, str, str]
    blocks: tuple[tuple[int, int, tuple[int, ...]], ...]
    packs: str
    adds: bool
    goes_on: bool = False
    is_turned: bool = False


def panel_size(product: Product) -> int:
    """How many numbers a panel of B has, where it is copied; else 0."""
    if _is_dot(product.left, product.b):
        return 0
    found, form = _form(product)
    deep = _K_BLOCK if form.goes_on else found.shape[2]
    return deep * form.blocks[0][0] if form.packs else 0


def panel_dtype(product: Product) -> str:
    """The dtype of a panel of B."""
    return _form(product)[1].dtypes[1]


def _form(product: Product) -> tuple[Matrices, ProductForm]:
    """A product as it is computed."""
    found, dtype = matrices_of(product.left, product.b, product.c), product.c.dtype
    adds, k = product.beta is not None, found.shape[2]
    is_unscaled = isinstance(product.alpha, Literal) and product.alpha.value == 1
    goes_on = k > 4 * _K_BLOCK and min(found.shape[:2]) > 1 and is_unscaled and not adds
    is_turned = goes_on and found.a[0] == 1 != found.a[1] and found.b[1] == 1
    if is_turned:  # what is long, is read by rows
        found = _transposed(found)
    m, n, _ = found.shape
    packs = "by columns" if n > 1 and found.b[1] != 1 else ""
    if not (packs or is_turned) and m >= _PACKED_ROWS and n > _WIDTH[dtype]:
        packs = "by rows"
    if not k:  # B has no numbers
        packs = ""
    first, second = product.left.dtype, product.b.dtype
    dtypes = (second, first, dtype) if found.swapped else (first, second, dtype)
    blocks = _blocks(m, n, _WIDTH[dtype])
    return found, ProductForm(dtypes, blocks, packs, adds, goes_on, is_turned)


def _transposed(found: Matrices) -> Matrices:
    """The transpose of C, as the product of those of B and A."""
    (m, n, k), swapped = found.shape, not found.swapped
    stacks = tuple(StackAxis(s.times, (s.steps[1], s.steps[0], s.steps[2])) for s in found.stacks)
    return Matrices((n, m, k), found.b[::-1], found.a[::-1], found.c, stacks, swapped)


def _blocks(m: int, n: int, width: int) -> tuple[tuple[int, int, tuple[int, ...]], ...]:
    """Cut n columns into tiles, the widest first."""
    widest = 4 * width if m == 1 else 2 * width if m < 4 else width
    widths, rest = list[int](), n
    while widest >= width:
        if rest >= widest:
            widths.append(widest)
            rest %= widest
        widest //= 2
    widths += [rest] if rest else []
    most = [8 if 2 * w <= width else 6 for w in widths]
    return tuple((w, rows, _heights(m, rows)) for w, rows in zip(widths, most, strict=True))


def _heights(m: int, most: int) -> tuple[int, ...]:
    """Rows in as few tiles as can be, which differ by one row at most."""
    low, rest = divmod(m, -(-m // most))
    return (low + 1, low) if rest else (low,)


class ProductPrinter:
    """Writes calls of products, and the functions that these need."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._forms: dict[ProductForm, str] = {}
        self._tiles: dict[tuple[tuple[str, str, str], int, int, str], str] = {}
        self._dots: dict[str, str] = {}  # by dtype

    def call(
        self,
        product: Product,
        pointer: Pointer,
        alpha: str,
        beta: str | None,
        panel: str,
    ) -> list[str]:
        """Return the lines of one product; `pointer` writes where a view begins."""
        a, b, c = product.left, product.b, product.c
        numbers = f", {alpha}" if beta is None else f", {alpha}, {beta}"
        numbers = numbers if c.dtype[0] == "f" else ""  # sums of whole numbers are what they are
        if _is_dot(a, b):
            word = self._dot(c.dtype)
            steps = f"{pointer(a)}, {a.strides[0]}, {pointer(b)}, {b.strides[0]}"
            added = f"{beta or '0'}, {int(beta is not None)}"
            return [f"{word}({a.shape[0]}, {steps}, {pointer(c)}, {alpha}, {added});"]
        found, form = _form(product)
        first, second = (b, a) if found.swapped else (a, b)
        m, n, k = found.shape
        places = [pointer(first), pointer(second), pointer(c)]
        lines, indent = [], ""
        for number, axis in enumerate(found.stacks, 1):
            index = f"stack_{number}"
            head = f"for (int64_t {index} = 0; {index} < {axis.times}; {index}++) {{"
            lines.append(indent + head)
            indent += "  "
            places = [
                f"{place} + {step} * {index}" if step else place
                for place, step in zip(places, axis.steps, strict=True)
            ]
        where = (
            f"{places[0]}, {found.a[0]}, {found.a[1]}, "
            f"{places[1]}, {found.b[0]}, {f'{found.b[1]}, ' if form.packs == 'by columns' else ''}"
            f"{places[2]}, {found.c[0]}"
        )
        packed = f", {panel}" if form.packs else ""
        lines.append(f"{indent}{self._function(form)}({m}, {n}, {k}, {where}{numbers}{packed});")
        while indent:
            indent = indent[2:]
            lines.append(f"{indent}}}")
        return lines

    def texts(self) -> list[str]:
        """Return the functions that the calls need, each before those that call it."""
        if not self._forms:
            return [*self._dots.values()]
        head = fill_template(_template("tiles.h"), NAME=self.prefix)
        return [*self._dots.values(), head, *self._tiles.values(), *map(self._text, self._forms)]

    def _dot(self, dtype: str) -> str:
        parts = {"TYPE": C_TYPES[dtype], "DTYPE": dtype, "UPPER": dtype.upper()}
        text = fill_template(_template("dot.h"), NAME=self.prefix, LANES=str(LANES), **parts)
        self._dots.setdefault(dtype, text)
        return f"{self.prefix}_dot_{dtype}"

    def _function(self, form: ProductForm) -> str:
        word = self._forms.setdefault(form, f"{self.prefix}_product_{len(self._forms) + 1}")
        for width, _, heights in form.blocks:
            for height in heights:
                for how in _ways(form):
                    key = form.dtypes, height, width, how
                    self._tiles.setdefault(key, self._tile(*key))
        return word

    def _tile_name(self, dtypes: tuple[str, str, str], height: int, width: int, how: str) -> str:
        kinds = "_".join(dtypes if len({*dtypes}) > 1 else dtypes[:1])
        return f"{self.prefix}_tile{how}_{kinds}_{height}x{width}"

    def _tile(self, dtypes: tuple[str, str, str], height: int, width: int, how: str) -> str:
        a, b, kind = (C_TYPES[dtype] for dtype in dtypes)
        prefix, is_float = self.prefix, dtypes[2][0] == "f"
        keep = f"\n      {prefix}_KEEP_LOOP" if width <= 16 else ""
        word, adds = self._tile_name(dtypes, height, width, how), how == _ADDED
        entry = "c[j * c0 + i]" if how.endswith(_TURNED) else "c[i * c0 + j]"
        numbers = f", {kind} alpha{f', {kind} beta' if adds else ''}" if is_float else ""
        value = f"beta * {entry} + alpha * t[i][j]" if adds else "alpha * t[i][j]"
        sum_kind, factor, next_sum = kind, a, ""
        if is_float:
            fma = f"{prefix}_FMA_{dtypes[2].upper()}"
            next_sum = f"t[i][j] = {fma}(x, b[p * b0 + j], t[i][j]);"
        else:  # which wraps around, as NumPy's does
            sum_kind, factor = "uint32_t", "uint32_t"
            next_sum = "t[i][j] += x * (uint32_t)b[p * b0 + j];"
            if "i32" not in dtypes[:2]:  # products of bytes do not
                factor, next_sum = "int32_t", "t[i][j] += (uint32_t)(x * b[p * b0 + j]);"
            value = f"({kind})t[i][j]"
        cast = "(uint32_t)" if factor == "uint32_t" else ""
        first = f"{'' if is_float else '(uint32_t)'}{entry}" if how.startswith(_ON) else "0"
        fetch = ""
        if how.endswith(_TURNED):  # B's rows are far apart, and each is read once or twice
            row = "b + (p + 16 < k ? p + 16 : p) * b0"
            fetch = f"\n    {prefix}_PREFETCH({row});\n    {prefix}_PREFETCH({row} + {width - 1});"
        rows = f"for (int64_t i = 0; i < {height}; i++)"
        columns = f"for (int64_t j = 0; j < {width}; j++)"
        return f"""\
static void {word}(int64_t k, const {a} *restrict a, int64_t a0, int64_t a1,
    const {b} *restrict b, int64_t b0, {kind} *restrict c, int64_t c0{numbers}) {{
  {sum_kind} t[{height}][{width}];
  {rows} {{
    {columns} t[i][j] = {first};
  }}
  for (int64_t p = 0; p < k; p++) {{
    {prefix}_NO_INTERCHANGE{fetch}
    {rows} {{
      const {factor} x = {cast}a[i * a0 + p * a1];{keep}
      {columns} {next_sum}
    }}
  }}
  {rows} {{
    {columns} {entry} = {value};
  }}
}}
"""

    def _text(self, form: ProductForm) -> str:
        """The function of a form: columns by blocks, and the rows of each by tiles."""
        a, b, kind = (C_TYPES[dtype] for dtype in form.dtypes)
        declared = "".join(f", {kind} {each}" for each in _numbers(form))
        step = ", int64_t b1" if form.packs == "by columns" else ""
        panel = f", {b} *panel" if form.packs else ""
        lines = [
            f"static void {self._forms[form]}(int64_t m, int64_t n, int64_t k, const {a} *a, "
            "int64_t a0, int64_t a1,",
            f"    const {b} *b, int64_t b0{step}, {kind} *c, int64_t c0{declared}{panel}) {{",
        ]
        blocks = ["  int64_t i, j = 0;"]
        for width, most, heights in form.blocks:
            blocks.append(f"  for (; j + {width} <= n; j += {width}) {{")
            if form.packs:
                blocks += _packing(form, width)
            blocks += ["    i = 0;", *self._rows(form, width, most, heights), "  }"]
        if form.goes_on:
            blocks = [
                f"  for (int64_t p0 = 0; p0 < k; p0 += {_K_BLOCK}) {{",
                f"  const int64_t deep = k - p0 < {_K_BLOCK} ? k - p0 : {_K_BLOCK};",
                *blocks,
                "  }",
            ]
        return "\n".join([*lines, *blocks, "}"]) + "\n"

    def _rows(
        self, form: ProductForm, width: int, most: int, heights: Sequence[int]
    ) -> Iterator[str]:
        """The rows of a block of columns: as many tiles of each height as there is room for."""
        k, p0 = _deep(form), "p0" if form.goes_on else ""
        a = f"a + i * a0{' + p0 * a1' if p0 else ''}, a0, a1"
        b = f"panel, {width}" if form.packs else f"b{' + p0 * b0' if p0 else ''} + j, b0"
        c = f"c + {'j * c0 + i' if form.is_turned else 'i * c0 + j'}, c0"
        handed = ", ".join([k, a, b, c, *_numbers(form)])
        for height in heights:
            is_taller = height != heights[-1]
            end = f"m % ((m + {most - 1}) / {most}) * {height}" if is_taller else "m"
            head = f"    for (; i < {end}; i += {height})"
            calls = [
                f"{self._tile_name(form.dtypes, height, width, how)}({handed});"
                for how in _ways(form)
            ]
            if form.goes_on:
                yield from (f"{head} {{", f"      if (p0 == 0) {calls[0]}")
                yield from (f"      else {calls[1]}", "    }")
            else:
                yield f"{head} {calls[0]}"


def _deep(form: ProductForm) -> str:
    """How much of k is gone through at a time."""
    return "deep" if form.goes_on else "k"


def _numbers(form: ProductForm) -> list[str]:
    """By what a product, and what it is added to, are multiplied; whole numbers by nothing."""
    return ["alpha", "beta"][: 1 + form.adds] if form.dtypes[2][0] == "f" else []


def _packing(form: ProductForm, width: int) -> list[str]:
    """Loops that copy a block of B's columns into the panel, along what lies together in B."""
    is_by_rows = form.packs == "by rows"
    loops = [
        f"for (int64_t column = 0; column < {width}; column++)",
        f"for (int64_t p = 0; p < {_deep(form)}; p++)",
    ]
    outer, inner = loops[::-1] if is_by_rows else loops
    row = "(p + p0)" if form.goes_on else "p"
    place = "j + column" if is_by_rows else "(j + column) * b1"
    return [
        f"    {outer} {{",
        f"      {inner} panel[p * {width} + column] = b[{row} * b0 + {place}];",
        "    }",
    ]


def _ways(form: ProductForm) -> tuple[str, ...]:
    """How its tiles begin and end: those of the first block of k, and those of the others."""
    turned = _TURNED if form.is_turned else ""
    return (_ADDED,) if form.adds else (turned, _ON + turned) if form.goes_on else ("",)


def _template(file: str) -> str:
    return (files(__package__) / file).read_text(encoding="utf-8")
