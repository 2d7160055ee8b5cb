"""A program as JSON, and back: what a model file holds.

Sizes that depend on the number of rows that a program is made for are written as `[a, b]`, meaning
a·n + b, so that one stored program serves every n. They are found by recording the same graph for
three numbers of rows (`generalize`): what grows evenly is a·n + b, a fraction may be c / n, and
what is neither cannot be stored for every n. The body of a scan is a program within the program,
and written like one.

`parse` trusts nothing: it checks the form of everything that it reads, and the program that it
makes is checked before anybody evaluates it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from miniflow.errors import printable
from miniflow.ir.check import check
from miniflow.ir.dtypes import DTYPES, PYTHON_DTYPES, ProgramError, ValueType, same_bits
from miniflow.ir.program import (
    Constant,
    Equation,
    Input,
    Literal,
    Operand,
    Origin,
    Output,
    Program,
    Variable,
)
from miniflow.ir.rules import short

MAX_EQUATIONS = 200_000
MAX_DIGITS = 40
Json = Any


def describe_program(program: Program) -> dict[str, Json]:
    """A program as plain dictionaries, lists, numbers and strings; constants by number, without
    their arrays.
    """
    numbers: dict[Variable, int] = {}

    def define(variable: Variable) -> int:
        return numbers.setdefault(variable, len(numbers))

    def operand(o: Operand) -> Json:
        return ["v", numbers[o]] if isinstance(o, Variable) else ["n", *_literal(o)]

    for variable in (
        *(i.variable for i in program.inputs),
        *(c.variable for c in program.constants),
    ):
        define(variable)
    origins: dict[Origin, int] = {}
    equations = []
    for e in program.equations:
        read = [operand(o) for o in e.operands]
        origin = -1 if e.origin is None else origins.setdefault(e.origin, len(origins))
        params = {name: _described(e.params[name]) for name in sorted(e.params)}
        define(e.result)
        equations.append([e.primitive, read, params, _type(e.result.type), e.result.name, origin])
    return {
        "inputs": [[_type(i.variable.type), i.variable.name, i.role] for i in program.inputs],
        "constants": [[_type(c.variable.type), c.variable.name] for c in program.constants],
        "origins": [[o.node, o.phase] for o in origins],
        "equations": equations,
        "outputs": [[operand(o.operand), o.role, o.name] for o in program.outputs],
    }


def _described(param: Any) -> Json:
    return describe_program(param) if type(param) is Program else param


def _type(type_: ValueType) -> Json:
    return [type_.dtype, list(type_.shape), type_.kind]


def _literal(literal: Literal) -> tuple[str, str, str]:
    value = literal.value
    number = float(value).hex() if isinstance(value, (float, np.floating)) else str(int(value))
    return literal.type.dtype, literal.type.kind, number


def generalize(programs: Mapping[int, Program]) -> Json:
    """One description for programs that were recorded for different numbers of rows, n → program.

    Raises `ProgramError` where they differ in more than sizes that grow evenly with n.
    """
    sizes = sorted(programs)
    for constants in zip(*(programs[n].constants for n in sizes), strict=False):
        if not all(same_bits(constants[0].value, constant.value) for constant in constants):
            raise ProgramError("an array of the program differs with the number of rows")
    texts = [json.loads(json.dumps(describe_program(programs[n]))) for n in sizes]
    return _general(texts, sizes)


def _general(texts: Sequence[Json], sizes: Sequence[int]) -> Json:
    first = texts[0]
    if isinstance(first, dict):
        if any(not isinstance(t, dict) or t.keys() != first.keys() for t in texts):
            raise ProgramError("the program differs with the number of rows")
        return {key: _general([t[key] for t in texts], sizes) for key in first}
    if isinstance(first, list):
        if any(not isinstance(t, list) or len(t) != len(first) for t in texts):
            raise ProgramError("the program differs with the number of rows")
        return [_general(list(entries), sizes) for entries in zip(*texts, strict=True)]
    if all(t == first and type(t) is type(first) for t in texts):
        return first
    if all(type(t) is int for t in texts):
        return {"n": _line(texts, sizes)}
    return _general_literal(texts, sizes)


def _general_literal(texts: Sequence[Json], sizes: Sequence[int]) -> Json:
    """A number written as text: a count that was divided by (the n of a mean), or c / n."""
    if all(type(t) is str for t in texts):
        try:
            return {"text": _line([int(t) for t in texts], sizes)}
        except ValueError:
            return _general_fraction(texts, sizes)
    raise ProgramError("the program differs with the number of rows")


def _general_fraction(texts: Sequence[str], sizes: Sequence[int]) -> Json:
    try:
        values = [float.fromhex(text) for text in texts]
    except (ValueError, OverflowError):
        raise ProgramError("the program differs with the number of rows") from None
    if all(value.is_integer() for value in values):
        return {"float": _line([int(value) for value in values], sizes)}
    total = round(values[0] * sizes[0], 9)
    if any(total / n != value for n, value in zip(sizes, values, strict=True)):
        raise ProgramError("a number of the program depends on the number of rows")
    return {"share": total.hex()}


def _line(values: Sequence[int], sizes: Sequence[int]) -> list[int]:
    slope, remainder = divmod(values[1] - values[0], sizes[1] - sizes[0])
    offset = values[0] - slope * sizes[0]
    if remainder or any(slope * n + offset != v for n, v in zip(sizes, values, strict=True)):
        raise ProgramError("a size of the program does not grow evenly with the number of rows")
    return [slope, offset]


# --- Reading


def parse(
    description: Json, arrays: Sequence[np.ndarray], n: int, max_bytes: int | None = None
) -> Program:
    """The program for n rows, checked.

    Raises:
        ProgramError: the description is not one of a program, the program is not well formed, or
            one of its values would have more than `max_bytes`.
    """
    try:
        if len(description["equations"]) > MAX_EQUATIONS:
            raise ProgramError(f"it has more than {MAX_EQUATIONS} equations")
        program = _parse(specialize(description, n), arrays)
    except ProgramError:
        raise
    except RecursionError:
        raise ProgramError("it is nested too deeply") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ProgramError(
            f"it does not describe a program ({type(error).__name__}: {_readable(error)})"
        ) from None
    check(program, max_bytes=max_bytes)
    return program


def specialize(description: Json, n: int) -> Json:
    """The description for n rows."""
    if isinstance(description, (list, tuple)):
        return [specialize(entry, n) for entry in description]
    if isinstance(description, dict):
        if description.keys() == {"n"}:
            slope, offset = map(_whole, description["n"])
            return slope * n + offset
        if description.keys() == {"text"}:
            slope, offset = map(_whole, description["text"])
            return str(slope * n + offset)
        if description.keys() == {"float"}:
            slope, offset = map(_whole, description["float"])
            return float(slope * n + offset).hex()
        if description.keys() == {"share"}:
            return (float.fromhex(str(description["share"])[:MAX_DIGITS]) / n).hex()
        return {str(key): specialize(value, n) for key, value in description.items()}
    return description


def _readable(text: object) -> str:
    """Text from a file, for a message or for a program: short, and without control characters."""
    return printable(str(text)[:200])


def _whole(x: Json) -> int:
    if type(x) is not int or abs(x) > 1 << 62:
        raise ProgramError(f"{short(x)} is not a whole number")
    return x


def _parse(description: Mapping[str, Json], arrays: Sequence[np.ndarray]) -> Program:
    variables: list[Variable] = []

    def define(type_: Json, name: Json) -> Variable:
        dtype, shape, kind = type_
        if kind not in ("array", "scalar"):  # Python's numbers can grow without bound
            raise ProgramError(f"its values are arrays, not {short(kind)}")
        variable = Variable(
            ValueType(str(dtype), tuple(map(_whole, shape)), str(kind)),
            None if name is None else _readable(name),
        )
        variables.append(variable)
        return variable

    def operand(o: Json) -> Operand:
        if o[0] == "v":
            if not 0 <= _whole(o[1]) < len(variables):
                raise ProgramError("it uses a value that comes later, or never")
            return variables[int(o[1])]
        literal: Literal = _read_literal(*o[1:])
        return literal

    inputs = tuple(
        Input(define(type_, name), str(role)) for type_, name, role in description["inputs"]
    )
    if len(arrays) != len(description["constants"]):
        raise ProgramError("it has not as many arrays as its program says")
    constants = tuple(
        Constant(define(type_, name), array)
        for (type_, name), array in zip(description["constants"], arrays, strict=True)
    )
    origins = [Origin(_readable(node), "", str(phase)) for node, phase in description["origins"]]
    equations = []
    for primitive, operands, params, type_, name, origin in description["equations"]:
        read = tuple(operand(o) for o in operands)
        frozen = {str(key): _frozen(value) for key, value in params.items()}
        if primitive in ("slice", "slice_update", "slice_add"):
            frozen["index"] = tuple(map(_without_empty_run, frozen["index"]))
        result = define(type_, name)
        equations.append(
            Equation(
                str(primitive),
                read,
                frozen,
                result,
                origins[origin] if _whole(origin) >= 0 else None,
            )
        )
    outputs = tuple(
        Output(operand(o), str(role), None if name is None else _readable(name))
        for o, role, name in description["outputs"]
    )
    return Program(inputs, tuple(equations), outputs, constants)


def _without_empty_run(entry: Any) -> Any:
    """An entry of an index, where an empty run is written in its one way: for no rows, a run of n
    has become one of none, which begins anywhere.
    """
    is_empty = isinstance(entry, tuple) and len(entry) == 3 and entry[1] == 0
    return (0, 0, 1) if is_empty else entry


def _frozen(value: Json) -> Any:
    if isinstance(value, dict):  # the body of a scan
        if len(value["equations"]) > MAX_EQUATIONS:
            raise ProgramError(f"it has more than {MAX_EQUATIONS} equations")
        return _parse(value, [])
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _read_literal(dtype: str, kind: str, number: str) -> Literal:
    convert: Callable[[str], Any] = float.fromhex if dtype in ("f16", "f32", "f64") else int
    if len(number) > MAX_DIGITS:
        raise ProgramError("a number is too long")
    value = convert(number)
    if kind == "python":
        makers = {name: type_ for type_, name in PYTHON_DTYPES.items()}
        return Literal(makers[dtype](value))
    with np.errstate(all="ignore"):
        scalar: np.generic = DTYPES[dtype].type(value)
    return Literal(scalar)
