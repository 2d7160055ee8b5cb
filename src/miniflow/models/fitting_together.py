"""What a model relies on of its file: its programs are those of a model, and fit each other."""

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


def check_is_a_model(program: Program) -> None:
    """What a caller relies on: arrays go in, and one value comes out."""
    if any(e.role != "fed" or e.variable.kind != "array" for e in program.inputs):
        raise ProgramError("an input is not an array that is fed")
    if [output.role for output in program.outputs] != ["value"]:
        raise ProgramError("it has not one output, a value")


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
