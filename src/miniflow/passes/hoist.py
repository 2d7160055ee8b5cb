"""*hoist*: what a loop computes in each turn and does not have to is computed before it.

What depends on the items and not on the state waits for no other turn: it is computed for all items
at once, so that a thousand small products are a large one, and the loop goes through the results.
What depends on neither is computed once.

    h = scan(h0, [x], U, W)              y = reshape(matmul(reshape(x), U))
      body(h, x, U, W):              =     h = scan(h0, [y], W)
        tanh(x @ U + h @ W)                  body(h, y, W): tanh(y + h @ W)

So the way back through a recurrent layer, which computes the states anew, does so in large products
before its loop, and only the gradient of the state is left to go from turn to turn. Views stay in
the body, where they cost nothing; and so does what would be much larger than the state and the
items themselves, for it would lie in memory for all items. Where the body is compiled, so does what
takes a few cycles (`hoist_costly`). A loop in which nothing depends on the
state is no loop any more. Products of other sizes are added up in another order: results agree to
rounding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from miniflow.ir.build import Builder
from miniflow.ir.loop import body_of
from miniflow.ir.program import Equation, Input, Literal, Operand, Program
from miniflow.ir.vectorize import Vectorizer
from miniflow.passes.bodies import with_body
from miniflow.passes.dedupe import dedupe
from miniflow.passes.effort import is_short, is_soon_read, is_view
from miniflow.passes.prune import prune
from miniflow.passes.replacing import hand_on_names, replace_operands, replace_outputs
from miniflow.passes.simplify import simplify

MOST: Final = 8  # times the bytes of the state or of the items, for a value that is kept for all


def hoist(program: Program, short_stays: bool = False) -> Program:
    """Return the program with what need not be in its loops before them, and nothing twice.

    >>> from miniflow.ir import Builder, ValueType
    >>> body = Builder()
    >>> state, item = (body.input(ValueType("f64", (3,)), name=name) for name in ("state", "item"))
    >>> new = body.add("add", (state, body.add("exp", (item,), name="e")))
    >>> b = Builder()
    >>> first, x = b.input(ValueType("f64", (3,)), name="first"), b.input(ValueType("f64", (9, 3)))
    >>> params = {"body": body.program([new]), "sequences": 1, "reverse": False}
    >>> print(hoist(b.program([b.add("scan", (first, x), params)])))
    program(first: f64[3], t1: f64[9,3]):
      t2 = scan(first, [exp(t1)])  # f64[9,3]
        body(state: f64[3], e: f64[3]):
          t1 = add(state, e)  # f64[3]
          return t1
      return t2
    """
    if all(body_of(equation) is None for equation in program.equations):
        return program
    written = Builder()
    now: dict[Operand, Operand] = {}
    for equation in program.equations:
        equation = replace_operands(equation, now)
        if body_of(equation) is None:
            written.equations.append(equation)
            continue
        split = _Split(equation, short_stays)
        whole = split.without_loop(written)
        if whole is None:
            written.equations.append(split.shorter_loop(written))
        else:
            now[equation.result] = whole
    outputs = replace_outputs(program.outputs, now)
    shorter = replace(program, equations=tuple(written.equations), outputs=outputs)
    return prune(dedupe(simplify(hand_on_names(program, now, shorter))))


def hoist_costly(program: Program) -> Program:
    """Return what `hoist` does, but leave in the loops what takes a few cycles there: less than to
    read it, in the place of one or two others, where a body is compiled.
    """
    return hoist(program, short_stays=True)


class _Split:
    """A scan, and what of its body can be known before it: `early`, in which views and constants
    are, too.
    """

    def __init__(self, equation: Equation, short_stays: bool) -> None:
        self.equation, self.short_stays = equation, short_stays
        self.body: Program = equation.params["body"]
        self.count = equation.result.shape[0]
        inputs = [entry.variable for entry in self.body.inputs]
        end = 1 + equation.params["sequences"]
        self.items = dict(zip(inputs[1:end], equation.operands[1:end], strict=True))
        self.outside = dict(zip(inputs[end:], equation.operands[end:], strict=True))
        self.limit = MOST * max(variable.type.nbytes for variable in inputs[:end])
        self.early: dict[Operand, Equation] = {}
        self.of_items: set[Operand] = set(self.items)  # what differs from turn to turn
        # What is read, of all that differs from turn to turn, to compute something early in a turn.
        self.reads: dict[Operand, frozenset[Operand]] = {}
        for inner in self.body.equations:
            if not self.of_items.isdisjoint(inner.operands):
                self.of_items.add(inner.result)
            if self._is_early(inner):
                self.early[inner.result] = inner
                self.reads[inner.result] = self._reads_of(inner)

    def _reads_of(self, equation: Equation) -> frozenset[Operand]:
        if not is_short(equation) and not is_view(equation):
            return frozenset((equation.result,))
        varying = [operand for operand in equation.operands if operand in self.of_items]
        return frozenset().union(*(self.reads.get(o, frozenset((o,))) for o in varying))

    def _is_early(self, equation: Equation) -> bool:
        result = equation.result
        known = all(map(self._is_known, equation.operands))
        is_item = result.kind == ("array" if result.shape else "scalar")
        is_small = result not in self.of_items or result.type.nbytes <= self.limit
        return known and is_item and (is_small or is_view(equation))

    def _is_known(self, operand: Operand) -> bool:
        is_given = operand in self.items or operand in self.outside
        return isinstance(operand, Literal) or is_given or operand in self.early

    def _stays(self, equation: Equation) -> bool:
        """Whether it is computed in each turn: a view, or what depends on nothing, as well."""
        is_cheap = is_view(equation) or not equation.operands
        is_cheap = is_cheap or all(isinstance(operand, Literal) for operand in equation.operands)
        if self.short_stays and is_short(equation) and equation.result in self.of_items:
            is_cheap = is_cheap or is_soon_read(
                equation.result, self.reads.get(equation.result, ())
            )
        return equation.result not in self.early or is_cheap

    def _vectorizer(self, written: Builder) -> Vectorizer:
        vectorizer = Vectorizer(written.add, self.count, self.items, self.outside)
        vectorizer.learn(self.early.values())
        return vectorizer

    def without_loop(self, written: Builder) -> Operand | None:
        """All states at once, if none depends on the one before."""
        new = self.body.outputs[0].operand
        if isinstance(new, Literal) or not self._is_known(new):
            return None
        return self._vectorizer(written).stack(new)

    def shorter_loop(self, written: Builder) -> Equation:
        """The scan without what can be known before it, which is written."""
        needed: set[Operand] = {self.body.outputs[0].operand}
        kept: list[Equation] = []
        before: list[Equation] = []
        for equation in reversed(self.body.equations):
            if equation.result in needed and self._stays(equation):
                kept.append(equation)
                needed.update(equation.operands)
            elif equation.result in needed:
                before.append(equation)
        if not before:
            return self.equation
        vectorizer = self._vectorizer(written)
        results = [equation.result for equation in reversed(before)]
        items, outside = dict(self.items), dict(self.outside)
        for result in results:
            if result in self.of_items:
                items[result] = vectorizer.stack(result)
            else:
                outside[result] = vectorizer.single(result)
        inputs = (self.body.inputs[0], *(Input(v) for v in (*items, *outside)))
        body = replace(self.body, inputs=inputs, equations=tuple(reversed(kept)))
        params = {**self.equation.params, "sequences": len(items), "body": body}
        operands = (self.equation.operands[0], *items.values(), *outside.values())
        return with_body(replace(self.equation, operands=operands, params=params), body)
