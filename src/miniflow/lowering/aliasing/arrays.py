"""Which whole arrays are computed in the memory of others: NumPy's, whose unit is an equation.

- The new value of an input is computed in the input's own memory, after everything that reads the
  old value. Equations that do so come last, together with all that depends on them, and none of
  them can raise: a program that fails has changed none of its inputs. A chain of equations, each
  written over the one before, may lead from the old value to the new one.
- The parts of a concatenation are computed where the whole will need them.
- A result is computed in the memory of an operand that dies in the very equation (`exp(x)` written
  over `x`), if the backend can compute it there.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

from miniflow.ir.program import Equation, Program, Variable, number_to_check
from miniflow.lowering.aliasing.rule import may_write


class StorageRule(NamedTuple):
    """How a backend stores the result of an equation.

    - `kind`: ``buffer`` (memory of its own), ``view`` (of its first operand), ``constant`` (made
      before the first run and never written), or ``number`` (nothing to plan);
    - `overwrites`: the operands in whose memory the result may be computed, best first; they must
      be arrays of the result's type;
    - `is_pointwise`: an element of the result depends on the same element of the operands alone,
      so an operand that is overwritten may be read twice;
    - `scratch`: sizes in bytes of memory that is needed while the equation runs;
    - `may_raise`: running it can raise an exception.
    """

    kind: str
    overwrites: tuple[int, ...] = ()
    is_pointwise: bool = False
    scratch: tuple[int, ...] = ()
    may_raise: bool = False


class ArrayFacts:
    """How the results of a program are stored, who reads them, what views show."""

    def __init__(self, program: Program, storage: Callable[[Equation], StorageRule]) -> None:
        self.program = program
        self.storage = {equation: storage(equation) for equation in program.equations}
        self.equation_of = {equation.result: equation for equation in program.equations}
        self.outputs = {output.operand for output in program.outputs}
        self.roots: dict[Variable, Variable] = {}
        self.readers: dict[Variable, list[Equation]] = {}
        for equation in program.equations:
            for operand in set(variables_read(equation)):
                self.readers.setdefault(operand, []).append(equation)
            if self.storage[equation].kind == "view":
                (base,) = variables_read(equation)
                self.roots[equation.result] = self.roots.get(base, base)

    def roots_read(self, equation: Equation) -> list[Variable]:
        """The variables whose memory an equation reads; a view reads none."""
        if self.storage[equation].kind == "view":
            return []
        return [self.roots.get(v, v) for v in variables_read(equation)]

    def shows_all(self, variable: Variable) -> bool:
        """Whether a variable has the elements of its root, all and in the same order."""
        while variable in self.roots:
            equation = self.equation_of[variable]
            if equation.primitive != "reshape" or self.storage[equation].kind != "view":
                return False
            (variable,) = variables_read(equation)
        return True

    def can_overwrite(self, equation: Equation, place: int) -> bool:
        """Whether an equation may write over the operand at `place`, if nothing else needs it."""
        operand, result = equation.operands[place], equation.result
        if not isinstance(operand, Variable) or operand.type != result.type:
            return False
        root = self.roots.get(operand, operand)
        others = [
            v for i, v in enumerate(equation.operands) if i != place and isinstance(v, Variable)
        ]
        again = [v for v in others if self.roots.get(v, v) is root]
        is_pointwise = self.storage[equation].is_pointwise
        return self.shows_all(operand) and all(v is operand and is_pointwise for v in again)


def variables_read(equation: Equation) -> list[Variable]:
    """The operands that are variables."""
    return [operand for operand in equation.operands if isinstance(operand, Variable)]


class ArrayUpdates:
    """Which new values are computed in place, and the order of equations that this asks for."""

    def __init__(self, facts: ArrayFacts) -> None:
        self._facts = facts
        self.places: dict[Variable, Variable] = {}
        wanted = self._wanted()
        self.order, self.first = self._order(wanted)
        self._position = {equation: i for i, equation in enumerate(self.order)}
        last_reads = self._reads_of({replaced for replaced, _ in wanted})
        for replaced, chain in wanted:
            self._place(replaced, chain, last_reads.get(replaced, []))
        self.copies = [
            (output.replaces, output.operand)
            for output in facts.program.outputs
            if output.replaces is not None and isinstance(output.operand, Variable)
            if self.places.get(output.operand) is not output.replaces
        ]
        self.copied = {value for _, value in self.copies}

    def _wanted(self) -> list[tuple[Variable, list[Equation]]]:
        """(input, equations that could compute its new value in place), where none can raise, nor
        can anything that comes after them.
        """
        facts, raising = self._facts, self._raising()
        wanted = []
        for output in facts.program.outputs:
            if output.replaces is None or not isinstance(output.operand, Variable):
                continue
            equation = facts.equation_of[output.operand]
            if equation.result in raising:
                continue
            chain = self._chain(equation, output.replaces)
            if any(e.result in raising for e in chain):
                chain = [equation]
            wanted.append((output.replaces, chain))
        return wanted

    def _raising(self) -> set[Variable]:
        """The results whose equation, or one that depends on it, may raise, as the check may."""
        facts = self._facts
        checked = number_to_check(facts.program)
        raising: set[Variable] = set()
        for equation in reversed(facts.program.equations):
            readers = facts.readers.get(equation.result, ())
            may_raise = facts.storage[equation].may_raise or equation.result is checked
            if may_raise or any(e.result in raising for e in readers):
                raising.add(equation.result)
        return raising

    def _chain(self, last: Equation, replaced: Variable) -> list[Equation]:
        """The equations up to `last` that could each write over the one before, from `replaced`
        on: velocity * momentum, then + gradient. Only `last`, if there is no such chain.
        """
        facts, chain = self._facts, [last]
        while True:
            equation = chain[0]
            overwritten = [
                equation.operands[place]
                for place in facts.storage[equation].overwrites
                if facts.can_overwrite(equation, place)
            ]
            if replaced in overwritten:
                return chain
            inner = [
                facts.equation_of[v]
                for v in overwritten
                if isinstance(v, Variable) and v in facts.equation_of and v not in facts.outputs
                if len(facts.readers[v]) == 1 and facts.storage[facts.equation_of[v]].overwrites
            ]
            if not inner:
                return [last]
            previous = next((e for e in inner if replaced in e.operands), inner[0])
            chain.insert(0, previous)

    def _order(
        self, wanted: list[tuple[Variable, list[Equation]]]
    ) -> tuple[tuple[Equation, ...], int]:
        """Put what updates inputs last, and what depends on it; each part in its old order."""
        updating = {equation.result for _, chain in wanted for equation in chain}
        before, after = [], []
        for equation in self._facts.program.equations:
            if equation.result in updating or any(v in updating for v in variables_read(equation)):
                updating.add(equation.result)
                after.append(equation)
            else:
                before.append(equation)
        return (*before, *after), len(before)

    def _reads_of(self, inputs: set[Variable]) -> dict[Variable, list[Equation]]:
        reads: dict[Variable, list[Equation]] = {}
        for equation in self.order[self.first :]:
            for root in self._facts.roots_read(equation):
                if root in inputs:
                    reads.setdefault(root, []).append(equation)
        return reads

    def _place(self, replaced: Variable, chain: list[Equation], reads: list[Equation]) -> None:
        """Compute the chain in the memory of `replaced`, if nobody misses the old value."""
        facts = self._facts
        for equations in (chain, chain[-1:]):
            first, rest = equations[0], set(equations[1:])
            others = [e for e in reads if e not in rest]
            is_free = may_write(self._position[first], (self._position[e] for e in others))
            overwritten = any(
                first.operands[place] is replaced and facts.can_overwrite(first, place)
                for place in facts.storage[first].overwrites
            )
            if is_free and (overwritten or first not in reads) and not rest.intersection(reads):
                if equations[-1].result not in self.places:
                    self.places.update((equation.result, replaced) for equation in equations)
                return


def join_parts(facts: ArrayFacts, updates: ArrayUpdates) -> dict[Variable, int]:
    """Let the parts of concatenations have their roots in the whole, where all of them can be
    computed there; return how many bytes after its start.
    """
    offset_of: dict[Variable, int] = {}
    elsewhere = {*facts.outputs, *updates.places, *updates.copied}
    for equation in updates.order:
        whole, parts = equation.result, variables_read(equation)
        if equation.primitive != "concatenate" or equation.params["axis"] != 0:
            continue
        if whole in elsewhere or len(set(parts)) < len(equation.operands):
            continue
        if all(
            part.dtype == whole.dtype
            and part in facts.equation_of
            and facts.storage[facts.equation_of[part]].kind == "buffer"
            and part not in elsewhere
            for part in parts
        ):
            offset = 0
            for part in parts:
                offset_of[part], facts.roots[part] = offset, whole
                offset += part.type.nbytes
            elsewhere.update(parts)
            elsewhere.add(whole)
    for view, base in facts.roots.items():
        facts.roots[view] = facts.roots.get(base, base)
    return offset_of


def find_dying_operand(
    facts: ArrayFacts,
    kept: Container[Variable],
    equation: Equation,
    last_use: Mapping[Variable, int],
    now: int,
) -> Variable | None:
    """The root of an operand that the equation may overwrite and that is read here for the last
    time, of those whose memory is `kept` for nobody else.
    """
    for place in facts.storage[equation].overwrites:
        operand = equation.operands[place]
        if isinstance(operand, Variable) and facts.can_overwrite(equation, place):
            root = facts.roots.get(operand, operand)
            if root in kept and may_write(now, (last_use[root],)):
                return root
    return None
