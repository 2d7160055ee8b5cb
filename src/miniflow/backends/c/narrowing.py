"""Products of whole numbers read them in 8 bits, as they are, rather than converted to 32.

    kernel_1(a1=x, n=400, a2=t1)        a2[j] = i32(i8(...))       a2[j] = i8(...)
    kernel_2(a1=W, n=12800, a2=t2)      a2[j] = i32(a1[j])         (not needed: W is read)
    z = t1 @ t2

That is possible where nobody but products reads what was converted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from miniflow.lowering.loop_program import (
    KEPT,
    Buffer,
    BufferView,
    LoopProgram,
    Nest,
    Product,
    Repeat,
    Step,
    accesses,
)
from miniflow.lowering.nests import (
    ArrayParameter,
    Kernel,
    Let,
    Loop,
    Statement,
    Store,
    Term,
    name,
    terms_of,
)

NARROW: Final = ("i8", "u8")


def narrow_factors(program: LoopProgram) -> LoopProgram:
    """Return a program whose products of i32 read i8 or u8 where that is what was converted."""
    buffers = dict(program.buffers)
    candidates = _read_by_products_alone(program)
    if not candidates:
        return program
    steps = tuple(_narrowed(program.steps, candidates, buffers))
    narrow = {word: buffers[word].dtype for word in candidates if buffers[word].dtype in NARROW}
    instead: dict[str, BufferView] = {}
    kept = tuple(_without_copies(steps, narrow, instead))
    steps = tuple(_reading(kept, narrow, instead))
    for word in instead:
        del buffers[word]
    return replace(program, buffers=buffers, steps=steps)


def _read_by_products_alone(program: LoopProgram) -> set[str]:
    """The i32 buffers that products read, which one nest writes, as a whole."""
    read: set[str] = set()
    others: set[str] = set()
    writers: dict[str, int] = {}
    for step in program.all_steps():
        for access in accesses(step):
            word = access.view.buffer
            is_factor = isinstance(step, Product) and not access.writes
            if access.reads:
                (read if is_factor else others).add(word)
            if access.writes:
                writers[word] = writers.get(word, 0) + 1
                if not isinstance(step, Nest):
                    others.add(word)
    handed = {o.buffer for o in program.outputs if isinstance(o, BufferView)}
    return {
        word
        for word in read - others - handed
        if program.buffers[word].role == KEPT and program.buffers[word].dtype == "i32"
        if writers.get(word) == 1
    }


def _narrowed(
    steps: Iterable[Step], candidates: set[str], buffers: dict[str, Buffer]
) -> Iterator[Step]:
    """The steps, whose nests store 8 bits where they have converted 8 bits."""
    for step in steps:
        if isinstance(step, Repeat):
            yield replace(step, steps=tuple(_narrowed(step.steps, candidates, buffers)))
            continue
        if isinstance(step, Nest):
            for parameter, argument in zip(step.kernel.parameters, step.arguments, strict=True):
                if not isinstance(argument, BufferView) or argument.buffer not in candidates:
                    continue
                found = _storing_narrow(step.kernel, parameter.name)
                if found is not None:
                    kernel, dtype = found
                    word = argument.buffer
                    buffers[word] = replace(buffers[word], dtype=dtype)
                    step = replace(step, kernel=kernel, arguments=_retyped(step, word, dtype))
        yield step


def _retyped(nest: Nest, word: str, dtype: str) -> tuple:  # type: ignore[type-arg]
    return tuple(
        a._replace(dtype=dtype) if isinstance(a, BufferView) and a.buffer == word else a
        for a in nest.arguments
    )


def _storing_narrow(kernel: Kernel, array: str) -> tuple[Kernel, str] | None:
    """The kernel that stores what it has converted to i32 as it was, and that dtype."""
    values = {s.name: s.value for s in kernel.statements() if isinstance(s, Let)}
    found: set[str] = set()
    for statement in kernel.statements():
        if isinstance(statement, Store) and statement.array == array:
            wide = _before(statement.value, values)
            found.add("" if wide is None or statement.adds else wide.dtype)
    if len(found) != 1 or not found <= {*NARROW}:
        return None
    (dtype,) = found
    parameters = tuple(
        replace(p, dtype=dtype) if isinstance(p, ArrayParameter) and p.name == array else p
        for p in kernel.parameters
    )
    body = tuple(_with_stores(s, array, values) for s in kernel.body)
    return _without_unread_names(Kernel(parameters, body)), dtype


def _before(value: Term, values: dict[str, Term]) -> Term | None:
    """What was converted to i32, if a value is something converted."""
    if value.op == "name" and value.what in values:
        value = values[str(value.what)]
    if value.op != "cast" or value.operands[0].dtype not in NARROW:
        return None
    return value.operands[0]


def _with_stores(statement: Statement, array: str, values: dict[str, Term]) -> Statement:
    if isinstance(statement, Loop):
        return replace(
            statement, body=tuple(_with_stores(s, array, values) for s in statement.body)
        )
    if isinstance(statement, Store) and statement.array == array:
        narrow = _before(statement.value, values)
        assert narrow is not None
        return replace(statement, value=narrow)
    return statement


def _without_unread_names(kernel: Kernel) -> Kernel:
    """Leave out the names that nothing reads."""
    while True:
        read: set[str] = set()
        for statement in kernel.statements():
            waiting = list(terms_of(statement))
            while waiting:
                term = waiting.pop()
                if term.op == "name":
                    read.add(str(term.what))
                waiting += term.operands
        unread = {s.name for s in kernel.statements() if isinstance(s, Let)} - read
        if not unread:
            return kernel
        kernel = Kernel(kernel.parameters, tuple(_without(kernel.body, unread)))


def _without(body: Iterable[Statement], unread: set[str]) -> Iterator[Statement]:
    for statement in body:
        if isinstance(statement, Let) and statement.name in unread:
            continue
        if isinstance(statement, Loop):
            yield replace(statement, body=tuple(_without(statement.body, unread)))
        else:
            yield statement


# Copies of what could be read where it is.


def _without_copies(
    steps: Iterable[Step], narrow: dict[str, str], instead: dict[str, BufferView]
) -> Iterator[Step]:
    """The steps but for copies in one piece to `narrow` buffers; `instead` gets what they copy."""
    for step in steps:
        if isinstance(step, Repeat):
            yield replace(step, steps=tuple(_without_copies(step.steps, narrow, instead)))
            continue
        source = _copied(step, narrow) if isinstance(step, Nest) else None
        if source is None:
            yield step
        else:
            instead[source[0]] = source[1]


def _copied(nest: Nest, narrow: dict[str, str]) -> tuple[str, BufferView] | None:
    """The buffer that a nest copies to, and the constant that it copies, if it does no more."""
    body = nest.kernel.body
    if len(body) != 1 or not isinstance(body[0], Loop) or len(body[0].body) != 1:
        return None
    (store,) = body[0].body
    index = name(body[0].index)
    if not isinstance(store, Store) or store.index != (index,) or store.value.op != "load":
        return None
    if store.value.operands != (index,):
        return None
    views = dict(zip((p.name for p in nest.kernel.parameters), nest.arguments, strict=True))
    target, source = views[store.array], views[str(store.value.what)]
    if not isinstance(target, BufferView) or not isinstance(source, BufferView):
        return None
    is_whole = target.offset == 0 and source.offset == 0 and not source.moves
    return (target.buffer, source) if target.buffer in narrow and is_whole else None


def _reading(
    steps: Iterable[Step], narrow: dict[str, str], instead: dict[str, BufferView]
) -> Iterator[Step]:
    """The steps, whose products read what is narrow, where it is."""

    def factor(view: BufferView) -> BufferView:
        if view.buffer not in narrow:
            return view
        word = instead[view.buffer].buffer if view.buffer in instead else view.buffer
        return view._replace(dtype=narrow[view.buffer], buffer=word)

    for step in steps:
        if isinstance(step, Repeat):
            yield replace(step, steps=tuple(_reading(step.steps, narrow, instead)))
        elif isinstance(step, Product):
            yield replace(step, a=factor(step.left), b=factor(step.b))
        else:
            yield step
