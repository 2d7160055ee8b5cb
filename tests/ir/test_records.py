"""Records that are frozen are not written to."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import miniflow as mf
from miniflow.ir import Builder, Literal, ValueType, Variable

FOLDER = Path(mf.__file__).parent
SOURCES = sorted(FOLDER.rglob("*.py"))
PUTS_BACK = FOLDER / "interpreter" / "keeping.py"  # what people's own objects held, as it was


@pytest.mark.slow
def test_no_code_writes_past_a_frozen_record_but_the_record_itself_when_it_is_made() -> None:
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        own = {
            inner
            for made in ast.walk(tree)
            if isinstance(made, ast.FunctionDef) and made.name == "__post_init__"
            for inner in ast.walk(made)
        }
        for node in ast.walk(tree):
            match node:
                case ast.Call(ast.Attribute(ast.Name("object"), "__setattr__")):
                    assert node in own or path == PUTS_BACK, f"{path}:{node.lineno}"


def test_a_variable_that_is_named_late_has_its_name_wherever_the_program_has_it() -> None:
    b = Builder()
    x = b.input(ValueType("f64", (3,)))
    c = b.constant(mf.np.ones(3))
    y = b.add("add", (x, c))
    z = b.add("multiply", (y, y))
    for variable, name in ((x, "x"), (c, "c"), (y, "y"), (z, "z"), (y, "another")):
        b.name(variable, name)
    program = b.program([z, y])
    assert [v.name for v in (x, c, y, z)] == [None] * 4  # what there was is as it was
    assert program.inputs[0].variable.name == "x"
    assert program.constants[0].variable.name == "c"
    first, second = program.equations
    assert first.operands == (program.inputs[0].variable, program.constants[0].variable)
    assert second.operands == (first.result, first.result)
    assert [output.operand for output in program.outputs] == [second.result, first.result]
    assert (first.result.name, second.result.name) == ("y", "z")
    assert (b.named(y), b.named(z)) == (first.result, second.result)


@pytest.mark.parametrize("operand", [Variable(ValueType("f64"), "taken"), Literal(1.0)])
def test_what_has_a_name_or_can_have_none_stays_as_it_is(operand: Variable | Literal) -> None:
    b = Builder()
    b.name(operand, "y")
    assert b.named(operand) is operand
