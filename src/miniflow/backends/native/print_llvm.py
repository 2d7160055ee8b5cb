"""From a kernel to LLVM's language.

As machine code, a kernel is called with two pointers, ``run(places, arguments)``: the first lists
addresses of memory; the second holds the value of each size and, for each array or number, its
index in `places` and an offset in bytes. The result is 0, or the status with which it failed.

A kernel becomes two functions: one that fetches the arguments, and the loops themselves, whose
arrays do not overlap (``noalias``). Functions that it calls are copied into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Final

from miniflow.backends.native.llvm import (
    LLVM_TYPES,
    element,
    load_pointer,
)
from miniflow.backends.native.print_terms import TermPrinter
from miniflow.backends.native.sums import dtypes_of_terms, print_sums
from miniflow.lowering.functions import FUNCTIONS, called_by
from miniflow.lowering.halves import without_halves
from miniflow.lowering.nest_evaluate import evaluate_term
from miniflow.lowering.nest_walk import StatementWalk
from miniflow.lowering.nests import (
    SIZE,
    ArrayParameter,
    Fail,
    Kernel,
    Loop,
    NumberParameter,
    Statement,
    Term,
    name,
)
from miniflow.lowering.sums import CHUNK, LANES, sums_of

LONG_LOOP: Final = 512  # turns


def print_kernel(
    kernel: Kernel,
    has_fma: bool = True,
    body: FunctionPrinter | None = None,
    sizes: Mapping[str, int] | None = None,
) -> str:
    """Return LLVM's text of a kernel, as a function called `run`, with all that it calls.

    Where the processor has no fused multiply-add (`has_fma`), it multiplies and adds. `body` prints
    the loops. Where they are long, by the kernel's `sizes`, LLVM is to take vectors of 64 bytes if
    there are any; it would rather take those of 32.
    """
    kernel, body = without_halves(kernel), body or FunctionPrinter(has_fma)
    parameters, fetched = _parameters(kernel, body)
    body.statements(kernel.body)
    body.line("ret i64 0")
    wide = ' "prefer-vector-width"="512"' if sizes and _has_long_loops(kernel, sizes) else ""
    head = f"define internal i64 @body({', '.join(parameters)}) noinline nounwind{wide}"
    names = ", ".join(parameter.replace(" noalias", "") for parameter in parameters)
    printed = [_print_function(function, has_fma) for function in called_by([kernel])]
    helpers = [*(print_sums(*dtypes) for dtypes in sorted(body.summed)), *body.helpers()]
    declarations = body.declarations.union(*(declared for _, declared in printed))
    return "\n".join(
        [
            *sorted(declarations),
            *(text for text, _ in printed),
            *helpers,
            body.text(head),
            "define i64 @run(ptr %places, ptr %arguments) nounwind {",
            *fetched,
            f"%status = call i64 @body({names})",
            "ret i64 %status",
            "}",
        ]
    )


def _has_long_loops(kernel: Kernel, sizes: Mapping[str, int]) -> bool:
    """Whether all of the innermost loops of a kernel are long."""
    loops = [s for s in kernel.statements() if isinstance(s, Loop)]
    inner = [s for s in loops if not any(isinstance(x, Loop) for x in s.body)]
    words = {str(end.what) for s in inner for end in (s.start, s.stop) if end.op == "name"}
    if not inner or not words <= sizes.keys():
        return False
    return all(
        evaluate_term(s.stop, sizes) - evaluate_term(s.start, sizes) >= LONG_LOOP
        or (s.stop.op == "const" and not int(s.stop.what) % LANES)
        for s in inner
    )


def _parameters(kernel: Kernel, body: FunctionPrinter) -> tuple[list[str], list[str]]:
    """Return the parameters of the loops, and the lines that fetch them."""
    parameters, fetched, offset = list[str](), list[str](), 0
    for parameter in kernel.parameters:
        word = parameter.name
        if isinstance(parameter, ArrayParameter):
            body.arrays[word] = parameter
            parameters.append(f"ptr noalias %{word}")
            fetched += load_pointer(word, offset)
            offset += 2
        elif isinstance(parameter, NumberParameter):
            parameters.append(body.parameter(word, parameter.dtype))
            fetched += load_pointer(f"{word}.p", offset)
            fetched.append(f"%{word} = load {LLVM_TYPES[parameter.dtype]}, ptr %{word}.p")
            offset += 2
        else:
            parameters.append(body.parameter(word, SIZE))
            fetched.append(element(SIZE, f"{word}.at", "%arguments", str(offset)))
            fetched.append(f"%{word} = load i64, ptr %{word}.at")
            offset += 1
    return parameters, fetched


@cache
def _print_function(called: str, has_fma: bool) -> tuple[str, frozenset[str]]:
    """Return the text of a function of numbers, and what it needs to have declared."""
    function, printer = FUNCTIONS[called], FunctionPrinter(has_fma)
    parameters = [printer.parameter(word, function.dtype) for word in function.parameters]
    printer.statements(function.body)
    printer.line(f"ret {LLVM_TYPES[function.dtype]} {printer.term(function.result)}")
    head = f"define internal {LLVM_TYPES[function.dtype]} @{called}({', '.join(parameters)})"
    return printer.text(f"{head} alwaysinline"), frozenset(printer.declarations)


class FunctionPrinter(TermPrinter, StatementWalk[None]):
    """Prints one function; its lines grow in the order of the statements."""

    def __init__(self, has_fma: bool) -> None:
        super().__init__(has_fma)
        self.totals: dict[str, str] = {}  # each lives in a slot of the stack
        self.arrays: dict[str, ArrayParameter] = {}
        self.summed: set[tuple[str, str]] = set()  # dtypes of sums by way of a buffer, and of that
        self._buffers: dict[str, tuple[str, str]] = {}  # where the terms of a total go, and as what
        self.slots: dict[str, str] = {}  # of the stack, for totals and buffers; their declarations
        self._term_number = ""

    def parameter(self, word: str, dtype: str) -> str:
        """Let a number be known by its name, and return its declaration."""
        self.names[word] = f"%{word}"
        return f"{LLVM_TYPES[dtype]} %{word}"

    def text(self, head: str) -> str:
        """Return all of the function, but not what it declares."""
        return "\n".join([f"{head} {{", "entry:", *self.slots.values(), *self.lines, "}"])

    def helpers(self) -> list[str]:
        """Return other functions that this one calls, and declare what they need."""
        return []

    # Statements.

    def statements(self, statements: Iterable[Statement]) -> None:
        """Print statements in order."""
        for statement in statements:
            self.statement(statement)

    def let(self, word: str, value: Term) -> None:
        """A value gets a name."""
        self.names[word] = self.term(value)

    def fail(self, fail: Fail) -> None:
        """The kernel ends here."""
        self.line(f"ret i64 {fail.status}")
        self.open(f"unreached{self.next_number()}")

    def loop_of(self, loop: Loop) -> None:
        """Statements run again and again."""
        start, stop = self.term(loop.start), self.term(loop.stop)
        totals = sums_of(loop)
        if totals:
            self._summing_loop(loop, start, stop, totals)
            return
        with self.counting(loop.index, start, stop, loop.step) as counter:
            self.names[loop.index] = counter
            self.statements(loop.body)

    def _summing_loop(self, loop: Loop, start: str, stop: str, totals: dict[str, str]) -> None:
        """Run a loop in parts; add up the terms of totals after each, in the order of `sums`."""
        count, lanes = self.new(f"sub i64 {stop}, {start}"), dict[str, str]()
        kept = dtypes_of_terms(loop, totals)
        self.summed.update((dtype, kept[word]) for word, dtype in totals.items())
        for word, dtype in totals.items():
            kind, number = LLVM_TYPES[dtype], self.next_number()
            self._buffers[word], lanes[word] = (f"%terms{number}", kept[word]), f"%lanes{number}"
            terms = f"[{CHUNK} x {LLVM_TYPES[kept[word]]}]"
            for slot, size in (("terms", terms), ("lanes", f"<{LANES} x {kind}>")):
                self.slots[f"{slot}{number}"] = f"%{slot}{number} = alloca {size}, align 64"
            zeros = f"<{LANES} x {kind}> zeroinitializer"
            self.line(f"store {zeros}, ptr {lanes[word]}, align 64")
        self.declarations.add("declare i64 @llvm.smin.i64(i64, i64)")
        with self.counting("part", start, stop, CHUNK) as part:
            rest = self.new(f"sub nuw nsw i64 {stop}, {part}")
            n = self.new(f"call i64 @llvm.smin.i64(i64 {rest}, i64 {CHUNK})")
            with self.counting("term", "0", n, 1) as self._term_number:
                self.names[loop.index] = self.new(f"add nuw nsw i64 {part}, {self._term_number}")
                self.statements(loop.body)
            for word, dtype in totals.items():
                where = f"ptr {lanes[word]}, ptr {self._buffers[word][0]}"
                called = f"@add_up.{dtype}.{kept[word]}"
                self.line(f"call void {called}({where}, i64 {n}, i64 {count})")
        for word, dtype in totals.items():
            kind, where = LLVM_TYPES[dtype], f"ptr {lanes[word]}, ptr {self._buffers.pop(word)[0]}"
            before = self.new(f"load {kind}, ptr %{word}.slot")
            called = f"@total.{dtype}.{kept[word]}"
            call = f"call {kind} {called}({where}, i64 {count}, {kind} {before})"
            self.line(f"store {kind} {self.new(call)}, ptr %{word}.slot")

    @contextmanager
    def counting(self, word: str, start: str, stop: str, step: int) -> Iterator[str]:
        """Repeat what is written inside, for a counter from `start` to before `stop`."""
        number = self.next_number()
        before, inside, after = self.block, f"loop{number}", f"after{number}"
        ready = self.new(f"icmp slt i64 {start}, {stop}")
        self.line(f"br i1 {ready}, label %{inside}, label %{after}")
        self.open(inside)
        counter = f"%{word}.{number}"
        place = len(self.lines)  # of the counter's phi, which needs to know where the loop ends
        yield counter
        following = self.new(f"add nuw nsw i64 {counter}, {step}")
        phi = f"{counter} = phi i64 [{start}, %{before}], [{following}, %{self.block}]"
        self.lines.insert(place, phi)
        again = self.new(f"icmp slt i64 {following}, {stop}")
        self.line(f"br i1 {again}, label %{inside}, label %{after}")
        self.open(after)

    def condition(self, condition: Term, body: Sequence[Statement]) -> None:
        """Statements run where a condition holds."""
        holds, number = self.holds(condition), self.next_number()
        self.line(f"br i1 {holds}, label %then{number}, label %on{number}")
        self.open(f"then{number}")
        self.statements(body)
        self.line(f"br label %on{number}")
        self.open(f"on{number}")

    def holds(self, condition: Term) -> str:
        """Return whether a condition holds."""
        return self.term(condition)

    def begin(self, word: str, value: Term) -> None:
        """A total begins."""
        if word not in self.slots:
            self.slots[word] = f"%{word}.slot = alloca {LLVM_TYPES[value.dtype]}"
        self.line(f"store {self.typed(value)}, ptr %{word}.slot")

    def accumulate(self, word: str, value: Term, by: str) -> None:
        """A total goes on."""
        dtype = self.totals[word]
        if word in self._buffers:
            buffer, kept = self._buffers[word]
            term = value if value.dtype == kept else value.operands[0]
            place = f"getelementptr inbounds {LLVM_TYPES[kept]}, ptr {buffer}"
            where = self.new(f"{place}, i64 {self._term_number}")
            self.line(f"store {self.typed(term)}, ptr {where}")
            return
        new = self.added(self.term(name(word, dtype)), value, by)
        self.line(f"store {LLVM_TYPES[dtype]} {new}, ptr %{word}.slot")

    def added(self, before: str, value: Term, by: str) -> str:
        if by != "add":
            return self.operation(by, value.dtype, value.dtype, [before, self.term(value)])
        instruction = "fadd" if value.dtype[0] == "f" else "add"
        return self.new(f"{instruction} {LLVM_TYPES[value.dtype]} {before}, {self.term(value)}")

    def store(self, array: str, index: Sequence[Term], value: Term, adds: bool) -> None:
        """A value is put into an array, or added to what is there."""
        dtype, address = self.arrays[array].dtype, self.address(self.arrays[array], index)
        new = self.added(self._load(address, dtype), value, "add") if adds else self.term(value)
        type_ = LLVM_TYPES[dtype]
        if dtype == "bool":  # a byte in memory
            type_, new = "i8", self.new(f"zext i1 {new} to i8")
        self.line(f"store {type_} {new}, ptr {address}")

    # Terms.

    def read(self, term: Term) -> str:
        """Return a name's value, or an entry of an array."""
        if term.op == "load":
            return self._load(self.address(self.arrays[str(term.what)], term.operands), term.dtype)
        if term.what in self.totals:
            return self.new(f"load {LLVM_TYPES[term.dtype]}, ptr %{term.what}.slot")
        return super().read(term)

    def call(self, called: str, dtype: str, operands: list[str]) -> str:
        """Call a function, which is copied into the text."""
        return self.call_function(called, dtype, operands)

    def address(self, array: ArrayParameter, index: Iterable[Term]) -> str:
        """Return where an element lies: rows follow each other, the last index is contiguous."""
        first, *others = index
        offset = self.term(first)
        for entry, length in zip(others, array.shape[1:], strict=True):
            step = self.term(entry)
            row = self.new(f"mul nsw i64 {offset}, {self.term(length)}")
            offset = self.new(f"add nsw i64 {row}, {step}")
        word = f"t{self.next_number()}"
        self.line(element(array.dtype, word, f"%{array.name}", offset))
        return f"%{word}"

    def _load(self, address: str, dtype: str) -> str:
        if dtype == "bool":  # a byte in memory
            return self.new(f"icmp ne i8 {self.new(f'load i8, ptr {address}')}, 0")
        return self.new(f"load {LLVM_TYPES[dtype]}, ptr {address}")
