"""What a model relies on of its file: its programs are those of a model, and fit each other."""

from typing import Any

from miniflow.ir.dtypes import ProgramError
from miniflow.ir.program import Input, Program


def grows(one: Input, two: Input) -> bool:
    """Whether the first axis of an input is that of the rows; else all is fixed."""
    shape, rest = one.variable.shape, one.variable.shape[1:]
    if two.variable.shape == shape:
        return False
    if shape[:1] != (1,) or two.variable.shape != (2, *rest):
        raise ProgramError("the shape of an input is no number of rows")
    return True


def checked_names(names: Any) -> list[str] | None:
    """The names of the outputs, as a file has them; None where there is one output."""
    if names is None:
        return None
    is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not is_list or not names or len(set(names)) < len(names):
        raise ProgramError("the names of its outputs are none")
    return list(names)


def check_is_a_model(program: Program, count: int = 1) -> None:
    """What a caller relies on: arrays go in, and so many values come out."""
    if any(e.role != "fed" or e.variable.kind != "array" for e in program.inputs):
        raise ProgramError("an input is not an array that is fed")
    if [output.role for output in program.outputs] != ["value"] * count:
        one = "one output, a value" if count == 1 else f"{count} outputs, values"
        raise ProgramError(f"it has not {one}")


def check_is_the_way_back(backward: Program, forward: Program) -> None:
    """Inputs and upstream gradient go in, the gradient of each input of fractions comes out, in
    its shape. (A node may have computed it in another precision.)
    """
    ways_in = [entry.variable.type for entry in forward.inputs]
    taken = [entry.variable.type for entry in backward.inputs if entry.role == "fed"]
    given = [output.operand for output in backward.outputs if output.role == "gradient"]
    fits = (
        (len(taken), len(given)) == (len(backward.inputs), len(backward.outputs))
        and taken == [*ways_in, forward.outputs[0].operand.type]
        and all(gradient.dtype.startswith("f") for gradient in given)
        and [gradient.shape for gradient in given]
        == [type_.shape for type_ in ways_in if type_.dtype.startswith("f")]
    )
    if not fits:
        raise ProgramError("its backward program does not belong to its forward program")
