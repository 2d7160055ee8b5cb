"""From a kernel's text (see `language`) to LLVM's language.

As machine code, a kernel is called with two pointers, ``kernel(places, arguments)``: the first
lists addresses of memory; the second holds the value of each size and, for each array or number,
its index in `places` and an offset in bytes. The result is 0, or what the kernel returned.

A kernel becomes two functions: one that fetches the arguments, and the loops themselves, whose
arrays do not overlap (``noalias``). Functions that it calls are copied into it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from miniflow.backends.native.llvm import (
    LLVM_TYPES,
    KernelError,
    Term,
    as_type,
    conversion,
    element,
    fit,
    load_pointer,
    typed,
)

_ARITHMETIC: Final[dict[type, tuple[str, str]]] = {  # of floats, of integers
    ast.Add: ("fadd", "add"),
    ast.Sub: ("fsub", "sub"),
    ast.Mult: ("fmul", "mul"),
    ast.Div: ("fdiv", ""),
    ast.LShift: ("", "shl"),
    ast.RShift: ("", "ashr"),
    ast.BitAnd: ("", "and"),
    ast.BitOr: ("", "or"),
    ast.BitXor: ("", "xor"),
}
_COMPARISONS: Final[dict[type, tuple[str, str]]] = {
    ast.Eq: ("oeq", "eq"),
    ast.NotEq: ("une", "ne"),
    ast.Lt: ("olt", "lt"),
    ast.LtE: ("ole", "le"),
    ast.Gt: ("ogt", "gt"),
    ast.GtE: ("oge", "ge"),
}
# LLVM's own functions of floats. `nsz`: which of 0.0 and -0.0 is the larger is left open, as NumPy
# leaves it.
_INTRINSICS: Final = {
    "absolute": "fabs",
    "ceil": "ceil",
    "copysign": "copysign",
    "floor": "floor",
    "fma": "fmuladd",
    "maximum": "maximum",
    "minimum": "minimum",
    "rint": "rint",
    "sqrt": "sqrt",
}
_CASTS: Final = {**{name: name for name in LLVM_TYPES if name != "bool"}, "bool_": "bool"}


class _Array(NamedTuple):
    pointer: str
    type: str
    shape: tuple[ast.expr, ...]


def translate(source: str, name: str) -> str:
    """Return LLVM's text for the kernel in `source`, as a function called `name`."""
    (definition,) = ast.parse(source).body
    if not isinstance(definition, ast.FunctionDef):
        raise KernelError("a kernel is one function")
    body = _Function(definition)
    kernel = body.write_kernel(name)
    return "\n".join([*_with_all_they_call(body), kernel])


def _with_all_they_call(body: _Function) -> list[str]:
    """Return the texts of the functions that `body` calls, directly or not, and declarations."""
    texts, declarations = dict[str, str](), dict[str, str](body.declarations)
    waiting = list(body.called)
    while waiting:
        function = waiting.pop()
        if function not in texts:
            callee = _Function(_library()[function])
            texts[function] = callee.write_function(function)
            waiting += callee.called
            declarations |= callee.declarations
    return [*declarations.values(), *texts.values()]


@cache
def _library() -> Mapping[str, ast.FunctionDef]:
    """The functions of `functions`, by name."""
    tree = ast.parse((files(__package__) / "functions.py").read_text(encoding="utf-8"))
    return {f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)}


class _Function:
    """Translates one function; its lines grow in the order of the source."""

    def __init__(self, definition: ast.FunctionDef) -> None:
        self.definition = definition
        self.called: dict[str, None] = {}
        self.declarations: dict[str, str] = {}
        self._lines: list[str] = []
        self._slots: list[str] = []
        self._terms: dict[str, Term] = {}  # parameters and counters of loops
        self._arrays: dict[str, _Array] = {}
        self._variables: dict[str, Term] = {}  # each lives in a slot of the stack
        self._count = 0
        self._block = "entry"

    # Whole functions.

    def write_function(self, name: str) -> str:
        """Return the text of a function of numbers, to be copied into its callers."""
        annotation = self.definition.returns
        assert isinstance(annotation, ast.Name)
        parameters = [self._number(p.arg, _word(p.annotation)) for p in self._parameters()]
        self._statements(self.definition.body)
        head = f"define internal {LLVM_TYPES[annotation.id]} @{name}({', '.join(parameters)})"
        return self._text(f"{head} alwaysinline")

    def write_kernel(self, name: str) -> str:
        """Return the text of a kernel: its body, and the function that finds its arguments."""
        parameters, load, offset = [], list[str](), 0
        for parameter in self._parameters():
            annotation, label = parameter.annotation, parameter.arg
            if isinstance(annotation, ast.Subscript):
                kind = _word(annotation.value)
                self._arrays[label] = _Array(f"%{label}", kind, _entries(annotation.slice))
                parameters.append(f"ptr noalias %{label}")
                load += load_pointer(label, offset)
                offset += 2
            elif _word(annotation) == "size":
                parameters.append(self._number(label, "i64"))
                load += [element("i64", f"{label}.at", "%arguments", str(offset))]
                load += [f"%{label} = load i64, ptr %{label}.at"]
                offset += 1
            else:
                kind = _word(annotation)
                parameters.append(self._number(label, kind))
                load += [*load_pointer(f"{label}.p", offset)]
                load += [f"%{label} = load {LLVM_TYPES[kind]}, ptr %{label}.p"]
                offset += 2
        self._statements(self.definition.body)
        self._line("ret i64 0")
        names = ", ".join(p.replace(" noalias", "") for p in parameters)
        return "\n".join(
            [
                self._text(f"define internal i64 @body({', '.join(parameters)}) noinline nounwind"),
                f"define i64 @{name}(ptr %places, ptr %arguments) nounwind {{",
                *load,
                f"%status = call i64 @body({names})",
                "ret i64 %status",
                "}",
            ]
        )

    def _parameters(self) -> list[ast.arg]:
        return self.definition.args.args

    def _number(self, name: str, kind: str) -> str:
        self._terms[name] = Term(f"%{name}", kind)
        return f"{LLVM_TYPES[kind]} %{name}"

    def _text(self, head: str) -> str:
        return "\n".join([f"{head} {{", "entry:", *self._slots, *self._lines, "}"])

    # Statements.

    def _statements(self, statements: list[ast.stmt]) -> None:
        for statement in statements:
            match statement:
                case ast.For(target=ast.Name(id=counter), iter=ast.Call(args=[stop])):
                    self._loop(counter, stop, statement.body)
                case ast.Assign(targets=[target]):
                    self._assign(target, self._expression(statement.value))
                case ast.AugAssign(target=target, op=ast.Add()):
                    self._accumulate(target, statement.value)
                case ast.If(test=test, body=[ast.Return(value=value)], orelse=[]):
                    self._return_if(test, value)
                case ast.Return(value=ast.expr() as value):
                    result = self._expression(value)
                    self._line(f"ret {typed(result)}")
                case ast.Expr(value=ast.Constant()):
                    pass  # a docstring
                case _:
                    raise _refusal(statement)

    def _loop(self, counter: str, stop: ast.expr, body: list[ast.stmt]) -> None:
        limit = self._typed(stop, "i64")
        number = self._next()
        before, inside, after = self._block, f"loop{number}", f"after{number}"
        ready = self._new(f"icmp sgt i64 {limit.text}, 0", "bool")
        self._line(f"br i1 {ready.text}, label %{inside}, label %{after}")
        self._open(inside)
        current = f"%{counter}.{number}"
        place = len(self._lines)  # of the counter's phi, which needs to know where the loop ends
        self._terms[counter] = Term(current, "i64")
        self._statements(body)
        following = self._new(f"add nuw nsw i64 {current}, 1", "i64")
        phi = f"{current} = phi i64 [0, %{before}], [{following.text}, %{self._block}]"
        self._lines.insert(place, phi)
        again = self._new(f"icmp slt i64 {following.text}, {limit.text}", "bool")
        self._line(f"br i1 {again.text}, label %{inside}, label %{after}")
        self._open(after)

    def _return_if(self, test: ast.expr, value: ast.expr | None) -> None:
        assert isinstance(value, ast.Constant)
        condition, number = self._typed(test, "bool"), self._next()
        self._line(f"br i1 {condition.text}, label %leave{number}, label %stay{number}")
        self._open(f"leave{number}")
        self._line(f"ret i64 {value.value!r}")
        self._open(f"stay{number}")

    def _assign(self, target: ast.expr, value: Term) -> None:
        if isinstance(target, ast.Subscript):
            array, address = self._address(target)
            self._store(address, fit(value, array.type, target))
            return
        assert isinstance(target, ast.Name)
        slot = self._variables.get(target.id)
        if slot is None:
            if not value.type:
                raise KernelError(f"{target.id} = {value.number}: of which type?")
            slot = Term(f"%{target.id}.slot", value.type)
            self._variables[target.id] = slot
            self._slots.append(f"{slot.text} = alloca {LLVM_TYPES[value.type]}")
        value = fit(value, slot.type, target)
        self._line(f"store {typed(value)}, ptr {slot.text}")

    def _accumulate(self, target: ast.expr, value: ast.expr) -> None:
        before = self._expression(target)
        added = self._typed(value, before.type)
        operation = "fadd reassoc" if before.type[0] == "f" else "add"
        total = self._new(f"{operation} {typed(before)}, {added.text}", before.type)
        self._assign(target, total)

    # Expressions.

    def _expression(self, node: ast.expr) -> Term:
        match node:
            case ast.Constant(value=bool() | int() | float() as number):
                return Term("", "", number)
            case ast.Name(id="inf" | "nan" as word):
                return Term("", "", float(word))
            case ast.Name(id=name) if name in self._terms:
                return self._terms[name]
            case ast.Name(id=name) if name in self._variables:
                slot = self._variables[name]
                return self._new(f"load {LLVM_TYPES[slot.type]}, ptr {slot.text}", slot.type)
            case ast.Subscript():
                array, address = self._address(node)
                return self._load(address, array.type)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._negative(self._expression(operand))
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return self._new(f"xor i1 {self._typed(operand, 'bool').text}, true", "bool")
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(type(op), *self._pair(left, right))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._comparison(type(op), *self._pair(left, right))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, arguments)
        raise _refusal(node)

    def _negative(self, x: Term) -> Term:
        if x.number is not None:
            return Term("", "", -x.number)
        what = f"fneg {typed(x)}" if x.type[0] == "f" else f"sub {LLVM_TYPES[x.type]} 0, {x.text}"
        return self._new(what, x.type)

    def _pair(self, left: ast.expr, right: ast.expr) -> tuple[Term, Term]:
        x, y = self._expression(left), self._expression(right)
        x, y = as_type(x, y.type), as_type(y, x.type)
        if x.type != y.type or not x.type:
            raise KernelError(f"{ast.unparse(left)}, {ast.unparse(right)}: {x.type} and {y.type}")
        return x, y

    def _arithmetic(self, op: type, x: Term, y: Term) -> Term:
        operation = _ARITHMETIC[op][0 if x.type[0] == "f" else 1]
        if op is ast.RShift and x.type[0] == "u":
            operation = "lshr"  # no sign is drawn along
        return self._new(f"{operation} {typed(x)}, {y.text}", x.type)

    def _comparison(self, op: type, x: Term, y: Term) -> Term:
        of_floats, condition = _COMPARISONS[op]
        if x.type[0] == "f":
            return self._new(f"fcmp {of_floats} {typed(x)}, {y.text}", "bool")
        if op not in (ast.Eq, ast.NotEq):
            condition = ("s" if x.type[0] == "i" else "u") + condition
        return self._new(f"icmp {condition} {typed(x)}, {y.text}", "bool")

    def _call(self, name: str, nodes: list[ast.expr]) -> Term:
        if name in _CASTS:
            return self._cast(self._expression(nodes[0]), _CASTS[name])
        if name.startswith("as_"):
            x, kind = self._expression(nodes[0]), name[3:]
            return self._new(f"bitcast {typed(x)} to {LLVM_TYPES[kind]}", kind)
        if name == "where":
            condition, (x, y) = self._typed(nodes[0], "bool"), self._pair(*nodes[1:])
            return self._new(f"select i1 {condition.text}, {typed(x)}, {typed(y)}", x.type)
        terms = [self._expression(node) for node in nodes]
        kind = next(term.type for term in terms if term.type)
        arguments = ", ".join(typed(as_type(term, kind)) for term in terms)
        result = LLVM_TYPES[kind]
        if name in _INTRINSICS:
            function, flag = f"llvm.{_INTRINSICS[name]}.{kind}", ""
            if name in ("maximum", "minimum"):
                flag = "nsz "
            types = ", ".join([result] * len(terms))
            self.declarations[function] = f"declare {result} @{function}({types})"
            return self._new(f"call {flag}{result} @{function}({arguments})", kind)
        function = name if name in _library() else f"{name}_{kind}"
        if function not in _library():
            raise KernelError(f"there is no function {function}")
        self.called[function] = None
        return self._new(f"call {result} @{function}({arguments})", kind)

    def _cast(self, x: Term, to: str) -> Term:
        if x.number is not None:
            return as_type(x, to)
        if x.type == to:
            return x
        if to == "bool":
            zero = as_type(Term("", "", 0), x.type)
            condition = "fcmp une" if x.type[0] == "f" else "icmp ne"
            return self._new(f"{condition} {typed(x)}, {zero.text}", "bool")
        return self._new(f"{conversion(x.type, to)} {typed(x)} to {LLVM_TYPES[to]}", to)

    # Memory.

    def _address(self, node: ast.Subscript) -> tuple[_Array, str]:
        """Return where an element lies: rows follow each other, the last index is contiguous."""
        array = self._arrays[_word(node.value)]
        offset: Term | None = None
        for entry, length in zip(_entries(node.slice), array.shape, strict=True):
            index = self._typed(entry, "i64")
            if offset is not None:
                size = self._typed(length, "i64")
                row = self._new(f"mul nsw i64 {offset.text}, {size.text}", "i64")
                index = self._new(f"add nsw i64 {row.text}, {index.text}", "i64")
            offset = index
        assert offset is not None
        address = f"%t{self._next()}"
        self._line(element(array.type, address[1:], array.pointer, offset.text))
        return array, address

    def _load(self, address: str, kind: str) -> Term:
        if kind == "bool":  # one byte in memory
            byte = self._new(f"load i8, ptr {address}", "u8")
            return self._new(f"icmp ne i8 {byte.text}, 0", "bool")
        return self._new(f"load {LLVM_TYPES[kind]}, ptr {address}", kind)

    def _store(self, address: str, value: Term) -> None:
        if value.type == "bool":
            value = self._new(f"zext i1 {value.text} to i8", "u8")
        self._line(f"store {typed(value)}, ptr {address}")

    # Parts.

    def _typed(self, node: ast.expr, kind: str) -> Term:
        return fit(self._expression(node), kind, node)

    def _new(self, what: str, kind: str) -> Term:
        term = Term(f"%t{self._next()}", kind)
        self._line(f"{term.text} = {what}")
        return term

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _line(self, text: str) -> None:
        self._lines.append(text)

    def _open(self, block: str) -> None:
        self._block = block
        self._lines.append(f"{block}:")


def _refusal(node: ast.AST) -> KernelError:
    return KernelError(f"{ast.unparse(node)!r} is not in the language of kernels")


def _word(node: ast.expr | None) -> str:
    if not isinstance(node, ast.Name):
        raise KernelError("a name was expected")
    return node.id


def _entries(node: ast.expr) -> tuple[ast.expr, ...]:
    return tuple(node.elts) if isinstance(node, ast.Tuple) else (node,)
