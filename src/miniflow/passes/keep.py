"""*keep*: what a loop computes on its way is kept, where it would be computed once more afterwards.

The way back through a loop asks what the gates were in each turn. It knows all states, so it can
compute them anew, for all turns at once; but the loop has had them, each in its turn:

    h = scan(h0, [x], U)                          h = scan(h0, [x], U)
      body: ... z = sigmoid(x + h @ U) ...    =     body: ... z = sigmoid(x + h @ U) ...
    zs = sigmoid(x + before(h) @ U)               zs = scan(h0, [x], U)
                                                    body: ... the same; the history of z

The second scan is the first one, and shows another value of its body (`ir.loop`): a backend runs
one loop for both. To find out what there is twice, everything that a body computes is written down
for all turns, and `simplify` and `dedupe` say what of that the program has already. A value is kept
if the program needs it for something else, and to compute it anew takes more than a few additions
and multiplications of what lies in memory; it has the place then that the second one would have
had.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from miniflow.ir.build import Builder
from miniflow.ir.loop import body_of
from miniflow.ir.program import (
    Equation,
    Operand,
    Origin,
    Output,
    Params,
    Program,
    Variable,
    is_number,
)
from miniflow.ir.stacks import STACKED
from miniflow.ir.vectorize import Vectorizer
from miniflow.passes.dedupe import dedupe
from miniflow.passes.effort import is_short, is_soon_read, is_view
from miniflow.passes.prune import prune
from miniflow.passes.simplify import simplify


class _Turned(NamedTuple):
    """That a value of the program is what the body of a scan computes, in all turns."""

    loop: Variable  # the result of the scan
    inner: Equation


def keep(program: Program) -> Program:
    """Return the program in which loops show what is computed a second time after them.

    >>> from miniflow.ir import ValueType
    >>> body, b = Builder(), Builder()
    >>> state, x = (body.input(ValueType("f64", (3,)), name=name) for name in ("state", "x"))
    >>> new = body.add("add", (body.add("exp", (state,), name="e"), x))
    >>> first, xs = b.input(ValueType("f64", (3,)), name="h"), b.input(ValueType("f64", (1, 3)))
    >>> params = {"body": body.program([new]), "sequences": 1, "reverse": False}
    >>> states = b.add("scan", (first, xs), params, name="states")
    >>> es = b.add("exp", (b.add("reshape", (first,), {"shape": (1, 3)}),), name="es")
    >>> print(keep(b.program([states, es])))
    program(h: f64[3], t1: f64[1,3]):
      states = scan(h, [t1])  # f64[1,3]
        body(state: f64[3], x: f64[3]):
          e = exp(state)  # f64[3]
          t1 = add(e, x)  # f64[3]
          return t1
      es = scan(h, [t1])      # f64[1,3]
        the history of e in the loop of states
      return states, es
    """
    loops = [e for e in program.equations if _is_history_of_arrays(e)]
    if not loops:
        return program
    written = Builder()
    written.equations += program.equations
    wanted: list[tuple[Variable, Equation | None, Operand]] = []
    for loop in loops:
        wanted.append((loop.result, None, loop.result))
        wanted += all_turns(loop, written)
    outputs = (*program.outputs, *(Output(operand) for _, _, operand in wanted))
    longer = replace(program, equations=tuple(written.equations), outputs=outputs)
    found = dedupe(simplify(longer))
    count = len(program.outputs)
    there = [output.operand for output in found.outputs[count:]]
    shorter = prune(replace(found, outputs=found.outputs[:count]))
    pairs = list(zip(wanted, there, strict=True))
    now = {loop: operand for (loop, inner, _), operand in pairs if inner is None}
    turned: dict[Operand, _Turned] = {
        operand: _Turned(now[loop], inner)  # type: ignore[arg-type]
        for (loop, inner, _), operand in reversed(pairs)
        if inner is not None and isinstance(operand, Variable)
    }
    return _with_kept(shorter, turned)


def _is_history_of_arrays(equation: Equation) -> bool:
    """Whether it is a scan that shows its state, which is an array."""
    body = body_of(equation)
    return body is not None and len(body.outputs) == 1 and len(equation.result.shape) > 1


def all_turns(
    loop: Equation, written: Builder
) -> Iterator[tuple[Variable, Equation | None, Operand]]:
    """Write what the body computes of its state, for all turns; yield it."""
    body: Program = loop.params["body"]
    count = loop.result.shape[0]
    end = 1 + loop.params["sequences"]
    inputs = [entry.variable for entry in body.inputs]
    zeros = any(
        e.result is loop.operands[0] and e.primitive == "full" and is_number(e.operands[0], 0)
        for e in written.equations
    )
    before = _Before(loop, written, zeros)
    stacks: dict[Operand, Operand] = {inputs[0]: before.states}
    stacks |= zip(inputs[1:end], loop.operands[1:end], strict=True)
    outside: dict[Operand, Operand] = dict(zip(inputs[end:], loop.operands[end:], strict=True))
    vectorizer = Vectorizer(before.add, count, stacks, outside)
    vectorizer.learn(body.equations)
    of_state, unknown = {inputs[0]}, set[Operand]()
    for inner in body.equations:
        if inner.primitive not in STACKED or not unknown.isdisjoint(inner.operands):
            unknown.add(inner.result)
        elif not of_state.isdisjoint(inner.operands):
            of_state.add(inner.result)
            if inner.result.kind == "array" and inner.result is not body.outputs[0].operand:
                yield loop.result, inner, vectorizer.stack(inner.result)


class _Before:
    """The state before each turn, and equations that read it."""

    def __init__(self, loop: Equation, written: Builder, begins_with_zeros: bool) -> None:
        self.loop, self.written, self.begins_with_zeros = loop, written, begins_with_zeros
        history, count = loop.result, loop.result.shape[0]
        shape, first = history.shape[1:], loop.operands[0]
        one = written.add("reshape", (first,), {"shape": (1, *shape)})
        self.states: Operand = one
        self.others: Operand | None = None  # all but the first, in the order of the turns
        if count == 1:
            return
        turn = int(loop.params["reverse"])
        self.whole = tuple((0, length, 1) for length in shape)
        index = ((turn, count - 1, 1), *self.whole)
        self.others = written.add("slice", (history,), {"index": index})
        parts = (self.others, one) if turn else (one, self.others)
        self.states = written.add("concatenate", parts, {"axis": 0})

    def add(
        self, primitive: str, operands: Sequence[Operand], params: Params, origin: Origin | None
    ) -> Variable:
        """Write an equation. Something and the states, where the first is zero, is a sum with a
        part: so are the gradients of states written, which are zero behind the last turn.
        """
        if primitive == "add" and self.begins_with_zeros and operands[1] is self.states:
            x, count, turn = operands[0], self.loop.result.shape[0], self.loop.params["reverse"]
            if x.type == self.states.type and self.others is not None:
                place = (int(not turn), count - 1, 1)
                primitive, operands = "slice_add", (x, self.others)
                params = {"index": (place, *self.whole)}
        return self.written.add(primitive, operands, params, origin)


def _with_kept(program: Program, turned: Mapping[Operand, _Turned]) -> Program:
    """The program with scans in place of what is worth it."""
    loops = {e.result: e for e in program.equations if body_of(e) is not None}
    place = {e.result: number for number, e in enumerate(program.equations)}
    worth = {loop: _Worth(loops[loop].params) for loop, _ in turned.values()}
    live: set[Operand] = {output.operand for output in program.outputs}
    shown = dict[Operand, _Turned]()
    for equation in reversed(program.equations):
        result = equation.result
        if result not in live:
            continue
        found = turned.get(result)
        if found and place[result] < place[found.loop]:
            found = None  # of one turn, say, which reads it itself
        if found and worth[found.loop].is_costly(found.inner):
            shown[result] = found
            live.add(found.loop)  # which runs
        else:
            live.update(equation.operands)
    by_loop = {loop: {inner.result for of, inner in shown.values() if of is loop} for loop in worth}
    kept: dict[Operand, list[tuple[Operand, Operand]]] = {}
    for again, (loop, inner) in shown.items():
        if not worth[loop].follows_from(inner, by_loop[loop]):
            kept.setdefault(loop, []).append((again, inner.result))
    if not kept:
        return program
    replaced = {result for values in kept.values() for result, _ in values}
    equations: list[Equation] = []
    for equation in program.equations:
        if equation.result not in replaced:
            equations.append(equation)
        for again, value in reversed(kept.get(equation.result, [])):
            assert isinstance(again, Variable)
            body: Program = equation.params["body"]
            longer = replace(body, outputs=(body.outputs[0], Output(value)))
            params = {**equation.params, "body": longer}
            equations.append(Equation("scan", equation.operands, params, again, equation.origin))
    return prune(replace(program, equations=tuple(equations)))


class _Worth:
    """What is worth keeping of what the body of a scan with these params computes."""

    def __init__(self, params: Params) -> None:
        body: Program = params["body"]
        self.made: dict[Operand, Equation] = {e.result: e for e in body.equations}
        self.costly: set[Operand] = set()
        given = [entry.variable for entry in body.inputs]
        # What is read to compute something anew, and differs from turn to turn.
        read: dict[Operand, frozenset[Operand]] = {v: frozenset() for v in given}
        read |= {v: frozenset((v,)) for v in given[: 1 + params["sequences"]]}
        for equation in body.equations:
            operands = [o for o in equation.operands if isinstance(o, Variable)]
            reads = frozenset[Operand]().union(*(read[o] for o in operands))
            read[equation.result] = reads
            is_cheap = is_short(equation) or is_view(equation)
            if not (
                is_cheap and is_soon_read(equation.result, reads)
            ) or not self.costly.isdisjoint(operands):
                self.costly.add(equation.result)

    def is_costly(self, equation: Equation) -> bool:
        """Whether it takes more than a few cycles to compute it anew."""
        return equation.result in self.costly and not is_view(equation)

    def follows_from(self, equation: Equation, kept: Collection[Operand]) -> bool:
        """Whether it is no effort, with what is kept."""
        known = (self._is_known(operand, kept) for operand in equation.operands)
        return is_short(equation) and all(known)

    def _is_known(self, operand: Operand, kept: Collection[Operand]) -> bool:
        while operand in self.made and is_view(self.made[operand]) and operand not in kept:
            operand = self.made[operand].operands[0]
        return operand in kept or operand not in self.made
