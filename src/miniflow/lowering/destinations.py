"""What is only copied to a part of an array is computed there.

    kernel_1(..., a5=r)                     =    kernel_1(..., a5=joined[0], a5_step=96)
    joined[0 : 50x32 by 96,1] = r

The gates of a recurrent layer, what an LSTM hands from turn to turn, two layers side by side: a
loop makes the rows of one part, and they are put together by copies. A nest can as well write rows
that lie apart, if each of its statements names an entry by its row and its column. The others that
read the part find it in the array, too. That is done where nobody looks at this place of the array
between the nest and the last reader; parts beside it may be written meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from miniflow.lowering.loop_program import (
    KEPT,
    BufferView,
    Copy,
    LoopProgram,
    Nest,
    NestArgument,
    Repeat,
    Step,
    accesses,
    steps_of,
)
from miniflow.lowering.nests import ArrayParameter, Parameter, SizeParameter, name
from miniflow.lowering.turns import size_in, sizes_of


def compute_where_copied(program: LoopProgram) -> LoopProgram:
    """Return the program without copies of what can be computed where it is copied to.

    >>> from miniflow.lowering.loop_program import ARGUMENT, Buffer
    >>> from miniflow.lowering.nests import Loop, Store, load
    >>> m, n, i, j = map(name, "mnij")
    >>> x, y = (ArrayParameter(word, "f32", (m, n)) for word in "xy")
    >>> loop = Loop("i", m, (Loop("j", n, (Store("y", (i, j), load(x, i, j) * 2.0),)),))
    >>> from miniflow.lowering.nests import Kernel
    >>> kernel = Kernel((SizeParameter("m"), SizeParameter("n"), x, y), (loop,))
    >>> a, b = (BufferView(word, "f32", 0, (2, 3), (3, 1)) for word in "ab")
    >>> steps = Nest(kernel, (2, 3, a, b)), Copy(BufferView("c", "f32", 1, (2, 3), (5, 1)), b)
    >>> buffers = {"a": Buffer("f32", (2, 3), ARGUMENT), "b": Buffer("f32", (2, 3), KEPT)}
    >>> buffers["c"] = Buffer("f32", (2, 5), KEPT)
    >>> from miniflow.lowering.loop_text import step_text
    >>> found = compute_where_copied(LoopProgram(buffers, ("a",), steps, ()))
    >>> [step_text(step, found) for step in found.steps]
    ['kernel_1(m=2, n=3, x=a, y=c[1], y_step=5)']
    """
    touched: dict[str, int] = {}
    for step in steps_of(program.steps):
        for buffer in {access.view.buffer for access in accesses(step)}:
            touched[buffer] = touched.get(buffer, 0) + 1
    handed_out = {x.buffer for x in program.outputs if isinstance(x, BufferView)}
    inner = {
        word: count
        for word, count in touched.items()
        if program.buffers[word].role == KEPT and word not in handed_out
    }
    gone: set[str] = set()
    steps = _without_copies(program.steps, inner, gone)
    if not gone:
        return program
    buffers = {word: buffer for word, buffer in program.buffers.items() if word not in gone}
    return replace(program, buffers=buffers, steps=steps)


class _PlaceOf(NamedTuple):
    """A whole buffer, and the part of another one that takes its place."""

    source: BufferView
    target: BufferView


def _without_copies(
    steps: Sequence[Step], touched: dict[str, int], gone: set[str]
) -> tuple[Step, ...]:
    """Return the steps without the copies that need not be; `gone` takes the buffers that need not
    be either, `touched` says how many steps look at each that may be such.
    """
    found = [
        replace(step, steps=_without_copies(step.steps, touched, gone))
        if isinstance(step, Repeat)
        else step
        for step in steps
    ]
    for copy in steps:
        if not isinstance(copy, Copy) or not _is_by_rows(copy) or copy.source.buffer in gone:
            continue
        changed = _computed_there(found, copy, touched.get(copy.source.buffer, 0))
        if changed is not None:
            found = changed
            gone.add(copy.source.buffer)
    return tuple(found)


def _is_by_rows(copy: Copy) -> bool:
    """Whether a whole matrix is copied, to rows that lie apart."""
    target, source = copy.target, copy.source
    is_whole = source.is_contiguous and source.offset == 0 and not source.moves
    is_matrix = len(source.shape) == 2 == len(target.shape) and source.shape == target.shape
    if copy.adds or not is_matrix or not is_whole or target.dtype != source.dtype:
        return False
    return target.strides[1] == 1 and target.strides[0] >= target.shape[1] > 1


def _computed_there(steps: list[Step], copy: Copy, count: int) -> list[Step] | None:
    """Return the steps without a copy, if all `count` steps that look at what is copied are among
    them and find it where it is copied to.
    """
    part, word = _PlaceOf(copy.source, copy.target), copy.source.buffer
    at = [k for k, step in enumerate(steps) if word in {x.view.buffer for x in accesses(step)}]
    if len(at) != count or copy.target.buffer == word:
        return None
    first, *others = [steps[k] for k in at]
    made = [x for x in accesses(first) if x.view.buffer == word]
    if not isinstance(first, Nest) or any(x.reads for x in made):
        return None
    if not all(step is copy or isinstance(step, Nest) for step in others):
        return None
    if any(x.writes for step in others for x in accesses(step) if x.view.buffer == word):
        return None
    between = [step for step in steps[at[0] : at[-1] + 1] if step is not copy]
    if any(isinstance(step, Repeat) for step in between):
        return None
    touches = [x for step in between for x in accesses(step)]
    there = [x for x in touches if x.view.buffer == copy.target.buffer]
    if any(x.reads or not x.view.is_beside(copy.target) for x in there):
        return None
    changed = {k: _moved(step, part) for k in at if isinstance(step := steps[k], Nest)}
    if any(nest is None or _reads_what_it_writes(nest) for nest in changed.values()):
        return None
    return [changed.get(k) or step for k, step in enumerate(steps) if step is not copy]


def _reads_what_it_writes(nest: Nest) -> bool:
    """Whether a nest would read one part of an array and write another, which no step does."""
    found = accesses(nest)
    written = {x.view.buffer for x in found if x.writes}
    return any(not x.writes and x.view.buffer in written for x in found)


def _moved(nest: Nest, part: _PlaceOf) -> Nest | None:
    """The nest that finds what was in a buffer by itself in a part of another one."""
    parameters, arguments = list[Parameter](), list[NestArgument]()
    sizes, words = sizes_of(nest), {parameter.name for parameter in nest.kernel.parameters}
    for parameter, argument in zip(nest.kernel.parameters, nest.arguments, strict=True):
        if not isinstance(argument, BufferView) or argument.buffer != part.source.buffer:
            parameters.append(parameter)
            arguments.append(argument)
            continue
        step = f"{parameter.name}_step"
        if not isinstance(parameter, ArrayParameter) or step in words or argument.offset:
            return None
        if tuple(size_in(term, sizes) for term in parameter.shape) != part.source.shape:
            return None
        shape = (parameter.shape[0], name(step))
        parameters += (replace(parameter, shape=shape), SizeParameter(step))
        arguments += (part.target, part.target.strides[0])
    kernel = replace(nest.kernel, parameters=tuple(parameters))
    return replace(nest, kernel=kernel, arguments=tuple(arguments))
