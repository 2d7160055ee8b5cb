"""From a kernel to LLVM's language.

As machine code, a kernel is called with two pointers, ``run(places, arguments)``: the first lists
addresses of memory; the second holds the value of each size and, for each array or number, its
index in `places` and an offset in bytes. The result is 0, or the status with which it failed.

A kernel becomes two functions: one that fetches the arguments, and the loops themselves, whose
arrays do not overlap (``noalias``). Functions that it calls are copied into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from miniflow.backends.native.llvm import (
    LLVM_TYPES,
    conversion,
    element,
    load_pointer,
    number_text,
)
from miniflow.backends.native.sums import print_sums
from miniflow.lowering.functions import FUNCTIONS, called_by
from miniflow.lowering.halves import without_halves
from miniflow.lowering.nests import (
    SIZE,
    Accumulate,
    ArrayParameter,
    Begin,
    Fail,
    If,
    Kernel,
    Let,
    Loop,
    NumberParameter,
    Statement,
    Store,
    Term,
    name,
)
from miniflow.lowering.sums import CHUNK, LANES, sums_of

_OPERATIONS: Final = {  # of floats, of signed and of unsigned integers
    "add": ("fadd", "add", "add"),
    "subtract": ("fsub", "sub", "sub"),
    "multiply": ("fmul", "mul", "mul"),
    "divide": ("fdiv", "", ""),
    "fmod": ("frem", "", ""),
    "quotient": ("", "sdiv", "udiv"),
    "left_shift": ("", "shl", "shl"),
    "right_shift": ("", "ashr", "lshr"),
    "bitwise_and": ("", "and", "and"),
    "bitwise_or": ("", "or", "or"),
    "bitwise_xor": ("", "xor", "xor"),
    "equal": ("fcmp oeq", "icmp eq", "icmp eq"),
    "not_equal": ("fcmp une", "icmp ne", "icmp ne"),
    "less": ("fcmp olt", "icmp slt", "icmp ult"),
    "less_equal": ("fcmp ole", "icmp sle", "icmp ule"),
    "greater": ("fcmp ogt", "icmp sgt", "icmp ugt"),
    "greater_equal": ("fcmp oge", "icmp sge", "icmp uge"),
}
_INTRINSICS: Final = {  # LLVM's own functions of floats
    "absolute": "fabs",
    "ceil": "ceil",
    "copysign": "copysign",
    "floor": "floor",
    "fma": "fma",
    "maximum": "maximum",
    "minimum": "minimum",
    "rint": "rint",
    "sqrt": "sqrt",
}


def print_kernel(kernel: Kernel, has_fma: bool = True) -> str:
    """Return LLVM's text of a kernel, as a function called `run`, with all that it calls.

    Where the processor has no fused multiply-add (`has_fma`), it multiplies and adds.
    """
    kernel, body = without_halves(kernel), _FunctionPrinter(has_fma)
    parameters, fetched = _parameters(kernel, body)
    body.statements(kernel.body)
    body.line("ret i64 0")
    head = f"define internal i64 @body({', '.join(parameters)}) noinline nounwind"
    names = ", ".join(parameter.replace(" noalias", "") for parameter in parameters)
    printed = [_print_function(function, has_fma) for function in called_by([kernel])]
    declarations = body.declarations.union(*(declared for _, declared in printed))
    return "\n".join(
        [
            *sorted(declarations),
            *(text for text, _ in printed),
            *map(print_sums, sorted(body.summed)),
            body.text(head),
            "define i64 @run(ptr %places, ptr %arguments) nounwind {",
            *fetched,
            f"%status = call i64 @body({names})",
            "ret i64 %status",
            "}",
        ]
    )


def _parameters(kernel: Kernel, body: _FunctionPrinter) -> tuple[list[str], list[str]]:
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
    function, printer = FUNCTIONS[called], _FunctionPrinter(has_fma)
    parameters = [printer.parameter(word, function.dtype) for word in function.parameters]
    printer.statements(function.body)
    printer.line(f"ret {LLVM_TYPES[function.dtype]} {printer.term(function.result)}")
    head = f"define internal {LLVM_TYPES[function.dtype]} @{called}({', '.join(parameters)})"
    return printer.text(f"{head} alwaysinline"), frozenset(printer.declarations)


class _FunctionPrinter:
    """Prints one function; its lines grow in the order of the statements."""

    def __init__(self, has_fma: bool) -> None:
        self.has_fma = has_fma
        self.arrays: dict[str, ArrayParameter] = {}
        self.summed: set[str] = set()  # dtypes of sums by way of a buffer
        self.declarations: set[str] = set()
        self._names: dict[str, str] = {}  # of numbers, in LLVM's text
        self._totals: dict[str, str] = {}  # each lives in a slot of the stack; its dtype
        self._buffers: dict[str, str] = {}  # where the terms of a total go, in an innermost loop
        self._slots: list[str] = []
        self._lines: list[str] = []
        self._count = 0
        self._term_number = ""
        self._open_block = "entry"

    def parameter(self, word: str, dtype: str) -> str:
        """Let a number be known by its name, and return its declaration."""
        self._names[word] = f"%{word}"
        return f"{LLVM_TYPES[dtype]} %{word}"

    def line(self, text: str) -> None:
        """Add a line."""
        self._lines.append(text)

    def text(self, head: str) -> str:
        """Return all of the function."""
        return "\n".join([f"{head} {{", "entry:", *self._slots, *self._lines, "}"])

    # Statements.

    def statements(self, statements: Iterable[Statement]) -> None:
        """Print statements in order."""
        for statement in statements:
            match statement:
                case Let(word, value):
                    self._names[word] = self.term(value)
                case Begin(word, value):
                    self._begin(word, value)
                case Accumulate(word, value, by):
                    self._accumulate(word, value, by)
                case Store(array, index, value, adds):
                    self._store(self.arrays[array], index, value, adds)
                case Loop():
                    self._loop(statement)
                case If(condition, body):
                    self._if(condition, body)
                case Fail(status):
                    self.line(f"ret i64 {status}")
                    self._open(f"unreached{self._next()}")

    def _loop(self, loop: Loop) -> None:
        start, stop = self.term(loop.start), self.term(loop.stop)
        totals = sums_of(loop)
        if totals:
            self._summing_loop(loop, start, stop, totals)
            return
        with self._counting(loop.index, start, stop, loop.step) as counter:
            self._names[loop.index] = counter
            self.statements(loop.body)

    def _summing_loop(self, loop: Loop, start: str, stop: str, totals: dict[str, str]) -> None:
        """Run a loop in parts; add up the terms of totals after each, in the order of `sums`."""
        self.summed.update(totals.values())
        count, lanes = self._new(f"sub i64 {stop}, {start}"), dict[str, str]()
        for word, dtype in totals.items():
            kind, number = LLVM_TYPES[dtype], self._next()
            self._buffers[word], lanes[word] = f"%terms{number}", f"%lanes{number}"
            self._slots.append(f"%terms{number} = alloca [{CHUNK} x {kind}], align 64")
            self._slots.append(f"%lanes{number} = alloca <{LANES} x {kind}>, align 64")
            zeros = f"<{LANES} x {kind}> zeroinitializer"
            self.line(f"store {zeros}, ptr {lanes[word]}, align 64")
        self.declarations.add("declare i64 @llvm.smin.i64(i64, i64)")
        with self._counting("part", start, stop, CHUNK) as part:
            rest = self._new(f"sub nuw nsw i64 {stop}, {part}")
            n = self._new(f"call i64 @llvm.smin.i64(i64 {rest}, i64 {CHUNK})")
            with self._counting("term", "0", n, 1) as self._term_number:
                self._names[loop.index] = self._new(f"add nuw nsw i64 {part}, {self._term_number}")
                self.statements(loop.body)
            for word, dtype in totals.items():
                where = f"ptr {lanes[word]}, ptr {self._buffers[word]}"
                self.line(f"call void @add_up.{dtype}({where}, i64 {n}, i64 {count})")
        for word, dtype in totals.items():
            kind, where = LLVM_TYPES[dtype], f"ptr {lanes[word]}, ptr {self._buffers.pop(word)}"
            before = self._new(f"load {kind}, ptr %{word}.slot")
            call = f"call {kind} @total.{dtype}({where}, i64 {count}, {kind} {before})"
            self.line(f"store {kind} {self._new(call)}, ptr %{word}.slot")

    @contextmanager
    def _counting(self, word: str, start: str, stop: str, step: int) -> Iterator[str]:
        """Repeat what is written inside, for a counter from `start` to before `stop`."""
        number = self._next()
        before, inside, after = self._open_block, f"loop{number}", f"after{number}"
        ready = self._new(f"icmp slt i64 {start}, {stop}")
        self.line(f"br i1 {ready}, label %{inside}, label %{after}")
        self._open(inside)
        counter = f"%{word}.{number}"
        place = len(self._lines)  # of the counter's phi, which needs to know where the loop ends
        yield counter
        following = self._new(f"add nuw nsw i64 {counter}, {step}")
        phi = f"{counter} = phi i64 [{start}, %{before}], [{following}, %{self._open_block}]"
        self._lines.insert(place, phi)
        again = self._new(f"icmp slt i64 {following}, {stop}")
        self.line(f"br i1 {again}, label %{inside}, label %{after}")
        self._open(after)

    def _if(self, condition: Term, body: Iterable[Statement]) -> None:
        holds, number = self.term(condition), self._next()
        self.line(f"br i1 {holds}, label %then{number}, label %on{number}")
        self._open(f"then{number}")
        self.statements(body)
        self.line(f"br label %on{number}")
        self._open(f"on{number}")

    def _begin(self, word: str, value: Term) -> None:
        if word not in self._totals:
            self._slots.append(f"%{word}.slot = alloca {LLVM_TYPES[value.dtype]}")
            self._totals[word] = value.dtype
        self.line(f"store {self._typed(value)}, ptr %{word}.slot")

    def _accumulate(self, word: str, value: Term, by: str) -> None:
        dtype = self._totals[word]
        if word in self._buffers:
            kind = LLVM_TYPES[dtype]
            place = f"getelementptr inbounds {kind}, ptr {self._buffers[word]}"
            where = self._new(f"{place}, i64 {self._term_number}")
            self.line(f"store {self._typed(value)}, ptr {where}")
            return
        new = self._added(self.term(name(word, dtype)), value, by)
        self.line(f"store {LLVM_TYPES[dtype]} {new}, ptr %{word}.slot")

    def _added(self, before: str, value: Term, by: str) -> str:
        if by != "add":
            return self._operation(by, value.dtype, value.dtype, [before, self.term(value)])
        instruction = "fadd" if value.dtype[0] == "f" else "add"
        return self._new(f"{instruction} {LLVM_TYPES[value.dtype]} {before}, {self.term(value)}")

    def _store(self, array: ArrayParameter, index: Iterable[Term], value: Term, adds: bool) -> None:
        address = self._address(array, index)
        if adds:
            new = self._added(self._load(address, array.dtype), value, "add")
        else:
            new = self.term(value)
        type_ = LLVM_TYPES[array.dtype]
        if array.dtype == "bool":  # a byte in memory
            type_, new = "i8", self._new(f"zext i1 {new} to i8")
        self.line(f"store {type_} {new}, ptr {address}")

    # Terms.

    def term(self, term: Term) -> str:
        """Return the text of a value; lines that it needs are added."""
        dtype = term.dtype
        match term.op:
            case "const":
                assert not isinstance(term.what, str)
                return number_text(term.what, dtype)
            case "name" if term.what in self._totals:
                return self._new(f"load {LLVM_TYPES[dtype]}, ptr %{term.what}.slot")
            case "name":
                return self._names[str(term.what)]
            case "load":
                address = self._address(self.arrays[str(term.what)], term.operands)
                return self._load(address, dtype)
        operands = [self.term(operand) for operand in term.operands]
        of = term.operands[0].dtype
        match term.op:
            case "cast":
                return self._cast(operands[0], of, dtype)
            case "bits":
                return self._new(f"bitcast {LLVM_TYPES[of]} {operands[0]} to {LLVM_TYPES[dtype]}")
            case "where":
                condition, x, y = operands
                kind = LLVM_TYPES[dtype]
                return self._new(f"select i1 {condition}, {kind} {x}, {kind} {y}")
            case "call":
                return self._call(str(term.what), dtype, operands)
        return self._operation(term.op, of, dtype, operands)

    def _operation(self, op: str, of: str, dtype: str, operands: list[str]) -> str:
        kind, is_float = LLVM_TYPES[of], of[0] == "f"
        if op in _OPERATIONS:
            instruction = _OPERATIONS[op][{"f": 0, "u": 2}.get(of[0], 1)]
            return self._new(f"{instruction} {kind} {operands[0]}, {operands[1]}")
        if op == "invert":
            return self._new(f"xor {kind} {operands[0]}, {'true' if of == 'bool' else -1}")
        if op == "negative":
            what = f"fneg {kind} {operands[0]}" if is_float else f"sub {kind} 0, {operands[0]}"
            return self._new(what)
        if is_float:
            return self._intrinsic(op, dtype, operands)
        first, second = (operands[0], "0") if op == "absolute" else operands
        wanted = {"maximum": "greater", "minimum": "less", "absolute": "greater"}[op]
        chosen = self._operation(wanted, of, "bool", [first, second])
        if op == "absolute":
            second = self._operation("negative", of, dtype, [first])
        return self._new(f"select i1 {chosen}, {kind} {first}, {kind} {second}")

    def _intrinsic(self, op: str, dtype: str, operands: list[str]) -> str:
        # 0.0 is larger than -0.0: so the largest of many is the same in any order.
        function, kind = f"llvm.{_INTRINSICS[op]}.{dtype}", LLVM_TYPES[dtype]
        if op == "fma" and not self.has_fma:
            product = self._new(f"fmul {kind} {operands[0]}, {operands[1]}")
            return self._new(f"fadd {kind} {product}, {operands[2]}")
        types = ", ".join([kind] * len(operands))
        self.declarations.add(f"declare {kind} @{function}({types})")
        return self._call(function, dtype, operands)

    def _call(self, function: str, dtype: str, operands: list[str]) -> str:
        kind = LLVM_TYPES[dtype]
        arguments = ", ".join(f"{kind} {operand}" for operand in operands)
        return self._new(f"call {kind} @{function}({arguments})")

    def _cast(self, x: str, of: str, to: str) -> str:
        if to == "bool":
            return self._operation("not_equal", of, "bool", [x, number_text(0, of)])
        return self._new(f"{conversion(of, to)} {LLVM_TYPES[of]} {x} to {LLVM_TYPES[to]}")

    # Memory.

    def _address(self, array: ArrayParameter, index: Iterable[Term]) -> str:
        """Return where an element lies: rows follow each other, the last index is contiguous."""
        first, *others = index
        offset = self.term(first)
        for entry, length in zip(others, array.shape[1:], strict=True):
            step = self.term(entry)
            row = self._new(f"mul nsw i64 {offset}, {self.term(length)}")
            offset = self._new(f"add nsw i64 {row}, {step}")
        word = f"t{self._next()}"
        self.line(element(array.dtype, word, f"%{array.name}", offset))
        return f"%{word}"

    def _load(self, address: str, dtype: str) -> str:
        if dtype == "bool":  # a byte in memory
            return self._new(f"icmp ne i8 {self._new(f'load i8, ptr {address}')}, 0")
        return self._new(f"load {LLVM_TYPES[dtype]}, ptr {address}")

    # Parts.

    def _typed(self, term: Term) -> str:
        return f"{LLVM_TYPES[term.dtype]} {self.term(term)}"

    def _new(self, what: str) -> str:
        word = f"%t{self._next()}"
        self.line(f"{word} = {what}")
        return word

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _open(self, block: str) -> None:
        self._open_block = block
        self.line(f"{block}:")
