"""Files of C: a model for some number of rows, or a training step for those of its last call."""

import os
import re
from collections.abc import Mapping, Sequence

import numpy as np

from miniflow.backends.c import PASSES
from miniflow.backends.c.names import CNames, is_identifier
from miniflow.backends.c.printing import Field, FunctionOfFile, print_file
from miniflow.compiler.compiled import Compiled
from miniflow.compiler.recorded import recorded_step, recorded_value
from miniflow.errors import printable
from miniflow.exports.facts import ModelFacts, Told, about_input, facts_of, text_of_step
from miniflow.ir.dtypes import DTYPES, ValueType
from miniflow.ir.program import Program, handed_out
from miniflow.models import Model
from miniflow.models.forward_program import without_loss
from miniflow.options import OptionError
from miniflow.passes import optimize
from miniflow.passes.int8_weights import int8_weights

ROLES = {
    "fed": "",
    "parameter": "a parameter, in the state",
    "state": "what the optimizer keeps, in the state",
    "hyper": "the learning rate, in the state",
}
RESERVED = ("state", "scratch")  # what functions call their own


def name_of_file(path: str, name: str | None) -> str:
    """What all names in a file begin with: `name`, or the file's stem.

    >>> name_of_file("models/digits.c", None), name_of_file("1st.c", "first")
    ('digits', 'first')

    Raises:
        OptionError: it is no identifier.
    """
    if name is not None:
        if not isinstance(name, str) or not is_identifier(name):
            raise OptionError(f"export: name is an identifier of C, such as digits, not {name!r}.")
        return name
    stem = os.path.splitext(os.path.basename(path))[0]
    if not is_identifier(stem):
        suggested = re.sub(r"\W+", "_", stem, flags=re.ASCII).strip("_") or "model"
        suggested = suggested if is_identifier(suggested) else f"model_{suggested}"
        raise OptionError(
            f"export: names in a file of C begin with the file's, and {stem!r} is no identifier of "
            f'C: name the file {suggested}.c, or say name="{suggested}".'
        )
    return stem


def c_of_model(model: Model, batch: int | None, name: str, weights: str | None = None) -> bytes:
    """A model, for that many rows; by default for one, if it has no number of its own; its weights
    in 8 bits, if `weights` says so.
    """
    rows = batch or 1
    grows = any(None in entry.shape for entry in model.inputs)
    passes = (*PASSES, int8_weights) if weights == "int8" else PASSES
    program = optimize(model.program_for(rows), passes)
    count = len(handed_out(program))
    names = CNames()
    outputs = ["out"] if count == 1 else [names(o.name or "out") for o in handed_out(program)]
    facts = facts_of(model, rows)
    function = FunctionOfFile("predict", program, {}, outputs, _of_predict(name))
    defines = [f"#define {name}_ROWS {rows} /* how many examples a call takes */"] if grows else []
    defines += _class_names(name, facts)
    how = "\nweights: whole numbers of 8 bits, with a scale for each column" if weights else ""
    about = f"{facts.text()}{how}\n\n{_how_to_use(name)}"
    return print_file(name, about, [function], defines=defines).encode()


def c_of_step(step: Compiled, name: str) -> bytes:
    """A training step: what is fed goes in, the value and the gradients that it returns come out;
    the parameters, what the optimizer keeps and its learning rate are a state. What the loss is
    computed from, the logits, say, is a second function, for one row.
    """
    program, values = recorded_step(step)
    words = CNames(RESERVED)
    fields = {
        number: Field(words(entry.variable.name), entry.variable.type, np.asarray(value))
        for number, (entry, value) in enumerate(zip(program.inputs, values, strict=True))
        if entry.role != "fed"
    }
    handed = handed_out(program)
    names = CNames()
    outputs = [
        names("loss" if o.role == "value" and k == 0 else f"d_{o.name or 'x'}")
        for k, o in enumerate(handed)
    ]
    inputs = [
        _entry(
            fields[number].name if number in fields else str(entry.variable.name),
            entry.variable.type,
            about_input(step, entry, ROLES),
        )
        for number, entry in enumerate(program.inputs)
    ]
    told = [
        _entry(word, o.operand.type, "" if o.role == "value" else o.role)
        for word, o in zip(outputs, handed, strict=True)
    ]
    functions = [FunctionOfFile("step", optimize(program, PASSES), fields, outputs, _of_step(name))]
    predict = _prediction_of(step, program, fields)
    if predict is not None:
        functions.append(predict)
        told += [
            _entry("out", o.operand.type, f"of {name}_predict") for o in handed_out(predict.program)
        ]
    about = f"{text_of_step(inputs, told)}\n\n{_how_to_use(name)}"
    return print_file(name, about, functions, list(fields.values())).encode()


def _prediction_of(
    step: Compiled, program: Program, fields: Mapping[int, Field]
) -> FunctionOfFile | None:
    """The function that predicts for one row with the parameters of a state, if the step's node is
    a loss of something that works for one row.
    """
    node = without_loss(step._node, None)
    if node is step._node:
        return None
    found = recorded_value(step, node, rows=1)
    if found is None:
        return None
    field_of = {
        step._order[entry.origin.index]: fields[number]
        for number, entry in enumerate(program.inputs)
        if number in fields and entry.role == "parameter" and entry.origin is not None
    }
    forward, owners = found
    own: dict[int, Field] = {}
    for number, (entry, owner) in enumerate(zip(forward.inputs, owners, strict=True)):
        if entry.role != "fed":
            if owner not in field_of:
                return None
            own[number] = field_of[owner]
    about = "What the loss is computed from, for one row, with the parameters of a state."
    return FunctionOfFile("predict", optimize(forward, PASSES), own, ["out"], about)


def _entry(name: str, type_: ValueType, about: str) -> Told:
    return Told(printable(name), type_.shape, str(DTYPES[type_.dtype]), about)


def _how_to_use(name: str) -> str:
    return (
        f"Compiled as it stands, this file is the implementation; after\n"
        f'#define {name}_HEADER_ONLY, #include "..." declares what it has. Link with -lm.\n'
        f"Fused multiply-adds are the processor's, if the compiler may use them (-mfma);\n"
        f"else numbers are multiplied and added or, with -D{name}_EXACT, computed exactly."
    )


def _of_predict(name: str) -> str:
    return (
        "The outputs, for inputs in C order. Returns 0; or what went wrong, if something can.\n"
        f"   {name}_predict computes in memory of its own, one call at a time; with memory of the\n"
        "   caller's, interrupts and threads may call, too."
    )


def _of_step(name: str) -> str:
    return (
        "One step of training, which updates the state. Returns 0; or what went wrong, and then\n"
        f"   nothing is updated. {name}_step computes in memory of its own, one call at a time;\n"
        "   with memory of the caller's, interrupts and threads may call, too."
    )


def _class_names(name: str, facts: ModelFacts) -> Sequence[str]:
    if not facts.class_names:
        return []
    words = ", ".join(f'"{_escaped(word)}"' for word in facts.class_names)
    return [f"#define {name}_CLASS_NAMES {{{words}}}"]


def _escaped(text: str) -> str:
    """What stands in a string of C: bytes that are no plain letters in octal."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}"
        for byte in text.encode("utf-8", "surrogatepass")
    )
