"""The parameters of a graph in a file by their names, and taken from one: for another graph, or
another day.

    mf.save_weights(loss, "weights.safetensors")
    print(mf.load_weights(other, "weights.safetensors", strict=False))

A model file (`save`) holds the same arrays beside its program, under the same names, and is read as
well. Nothing is written into a parameter before all of them have been looked at.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import GraphError, ModelFileError, printable, shown
from miniflow.files.arrays import Arrays, Path, read_arrays, write_arrays
from miniflow.graph import Constant, Node, Parameter
from miniflow.graph.plans import ancestors_in_order
from miniflow.interpreter.feeding import checked_output
from miniflow.interpreter.listing import parameters, states
from miniflow.interpreter.passes import one_pass_at_a_time
from miniflow.models.saving import BACKWARD, model_path
from miniflow.options import file_path, flag
from miniflow.tracing.first_values import check_is_made

WEIGHTS = "file of weights"
MOST_NAMES = 8  # that a message lists


class LoadedWeights(NamedTuple):
    """What `load_weights` did. Printing it says so in words.

    taken: the names of the parameters that have their values from the file, in order.
    missing: the parameters that are not in the file, and stayed as they were.
    left: what is in the file, and is no parameter of the graph.
    misfits: what is in both and does not fit, and stayed as it was: name → why.
    """

    taken: list[str]
    missing: list[str]
    left: list[str]
    misfits: dict[str, str]

    def __str__(self) -> str:
        lines = [f"taken: {_names(self.taken)}"]
        lines += [f"not in the file: {_names(self.missing)}"] if self.missing else []
        lines += [f"left in the file: {_names(self.left)}"] if self.left else []
        lines += [f"does not fit: {name}: {why}" for name, why in self.misfits.items()]
        return "\n".join(lines)


def save_weights(node: Node | Sequence[Node], path: Path) -> None:
    """Write the parameters that a node depends on, and its states, to a file, by their names, in
    one step.

    Args:
        node: the output, or a list of outputs.
        path: the file; `.safetensors` is the usual ending.

    Raises:
        GraphError: a parameter has no name, or two have the same: the message says where they are.
        OptionError: `path` is no path, or ends as another format's.
        OSError: the file cannot be written; then an old one is as it was.

    >>> import pathlib, tempfile, miniflow as mf
    >>> W, V = mf.Parameter([1.0, 2.0], "W"), mf.Parameter([0.0, 0.0], "W")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "weights.safetensors")
    ...     save_weights(mf.Sum(W), path)
    ...     load_weights(mf.Sum(V), path).taken
    ['W']
    >>> V.value
    array([1., 2.])
    """
    path = model_path("save_weights", path)
    with one_pass_at_a_time:
        found = _by_name("save_weights", node)
        arrays = {name: parameter.value.copy() for name, parameter in found.items()}
    write_arrays(path, WEIGHTS, arrays, {"format": 1})


def load_weights(node: Node | Sequence[Node], path: Path, strict: bool = True) -> LoadedWeights:
    """Give the parameters that a node depends on, and its states, the values that a file has for
    their names.

    They are written into the parameters' own arrays, in their dtype, frozen or not; what an
    optimizer remembers stays as it is.

    Args:
        node: the output, or a list of outputs.
        path: a file of `save_weights`, or of `save`.
        strict: whether all has to be in both the graph and the file, and fit; True by default. If
            not, what fits is taken.

    Returns:
        What was taken and what was not. If nothing was, that is an error all the same.

    Raises:
        GraphError: a parameter has no name, or two have the same, or one is read-only; the message
            says where they are.
        ModelFileError: the file is damaged, of another kind, or does not fit; nothing is changed.
        OSError: it cannot be opened.

    >>> import pathlib, tempfile, miniflow as mf
    >>> W, V = mf.Parameter([1.0, 2.0], "W"), mf.Parameter([0.0, 0.0], "W")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "weights.safetensors")
    ...     save_weights(mf.Sum(W), path)
    ...     _ = load_weights(mf.Sum(V), path)
    >>> V.value
    array([1., 2.])
    """
    path = file_path("load_weights", path)
    strict = flag("load_weights", "strict", strict)
    with one_pass_at_a_time:
        found = _by_name("load_weights", node)
        constants = _names_of_constants(node)
        arrays, folded = _arrays_in(path)
        report, values = _compare(found, arrays, constants, folded)
        if not report.taken or (strict and (report.missing or report.left or report.misfits)):
            raise ModelFileError(_explain(path, report, found, strict))
        for name in report.taken:
            found[name].check_writable()
        for name in report.taken:
            found[name].value[...] = values[name]
    return report


def _by_name(owner: str, node: Any) -> dict[str, Parameter]:
    """The parameters of a graph by their names, if each has one of its own."""
    found: dict[str, Parameter] = {}
    unnamed, twice = list[Parameter](), dict[str, list[Parameter]]()
    for parameter in (*parameters(node), *states(node)):
        check_is_made(parameter)
        if parameter.name is None:
            unnamed.append(parameter)
        elif (other := found.setdefault(printable(parameter.name), parameter)) is not parameter:
            twice.setdefault(printable(parameter.name), [other]).append(parameter)
    if unnamed:
        raise GraphError(
            f"{owner}: {len(unnamed)} parameter{'s have' if len(unnamed) > 1 else ' has'} no name: "
            f"{_list(f'{p}' for p in unnamed)}. Give each one: mf.Parameter(value, 'W')."
        )
    if twice:
        each = (f"{name!r}: {_list(p.where for p in some)}" for name, some in twice.items())
        raise GraphError(
            f"{owner}: several parameters have the same name: {'; '.join(each)}. Give each its own."
        )
    if not found:
        raise GraphError(f"{owner}: the graph has no Parameter.")
    return found


def _names_of_constants(node: Any) -> set[str]:
    """Those of the graph's constants, which a model file holds, too."""
    outputs = list(node) if isinstance(node, (list, tuple)) else [node]
    order = (n for output in outputs for n in ancestors_in_order(checked_output(output)))
    return {printable(n.name) for n in order if isinstance(n, Constant) and n.name is not None}


def _arrays_in(path: str) -> tuple[dict[str, list[np.ndarray[Any, Any]]], dict[str, str]]:
    """What a file has under each name: of a model file, several things may be called the same. And
    which of them have another node folded into them, and what that is called.
    """
    arrays, about = read_arrays(path, WEIGHTS, "model")
    if about.get("format") != 1:
        raise ModelFileError(f"{path}: was written by another version of miniflow.")
    if about["kind"] == "model":
        folded = about.get("folded", {})
        return _arrays_of_model(arrays), dict(folded) if isinstance(folded, dict) else {}
    return {name: [array] for name, array in arrays.items()}, {}


def _arrays_of_model(arrays: Arrays) -> dict[str, list[np.ndarray[Any, Any]]]:
    found: dict[str, list[np.ndarray[Any, Any]]] = {}
    for key in sorted(arrays):
        name = key.partition(".")[2]
        if not key.startswith(BACKWARD) and name != "constant":
            found.setdefault(name, []).append(arrays[key])
    return found


def _compare(
    found: Mapping[str, Parameter],
    arrays: Mapping[str, Sequence[np.ndarray[Any, Any]]],
    constants: set[str],
    folded: Mapping[str, Any],
) -> tuple[LoadedWeights, Arrays]:
    """What can be taken, and the values, in the parameters' dtypes."""
    report = LoadedWeights([], [], [], {})
    values: Arrays = {}
    for name, parameter in found.items():
        if name not in arrays:
            report.missing.append(name)
            continue
        norm = folded.get(name)
        if norm is not None and any(other.startswith(f"{norm}/") for other in found):
            report.misfits[name] = (
                f"the file is for inference, and has {shown(norm, 40)!r} folded into it; "
                "save_weights keeps them apart"
            )
            continue
        value = _value_for(parameter, arrays[name])
        if isinstance(value, str):
            report.misfits[name] = value
        else:
            report.taken.append(name)
            values[name] = value
    report.left.extend(shown(name) for name in arrays if name not in {*found, *constants})
    return report, values


def _value_for(
    parameter: Parameter, arrays: Sequence[np.ndarray[Any, Any]]
) -> np.ndarray[Any, Any] | str:
    """The value for a parameter; or why there is none."""
    if len(arrays) > 1:
        return f"{len(arrays)} arrays of the file have that name"
    (array,), own = arrays, parameter.value
    if array.dtype != own.dtype and not array.dtype.kind == own.dtype.kind == "f":
        return f"the file has {array.dtype} for it"
    if array.shape != own.shape:
        return f"it has shape {own.shape}, and {array.shape} in the file"
    with np.errstate(all="ignore"):
        value = array.astype(own.dtype)
    if (np.isfinite(array) & ~np.isfinite(value)).any():
        return f"a number of the file is none in its dtype, {own.dtype}"
    return value


def _explain(path: str, report: LoadedWeights, found: Mapping[str, Parameter], strict: bool) -> str:
    """Why a file is not taken."""
    told = []
    if report.missing:
        told.append(f"it has nothing for {_list(str(found[name]) for name in report.missing)}")
    told += [f"{found[name]}: {why}" for name, why in report.misfits.items()][:MOST_NAMES]
    if report.left:
        told.append(f"the graph has no parameter {_list(map(repr, report.left))}")
    way_out = "" if not report.taken else " strict=False takes what fits."
    what = "does not fit the graph" if strict or report.taken else "has nothing that fits the graph"
    return f"{os.fspath(path)}: {what}: {'; '.join(told)}.{way_out}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "nothing"


def _list(texts: Iterable[str]) -> str:
    """Some of them, and how many more."""
    every = list(texts)
    more = f" and {len(every) - MOST_NAMES} more" if len(every) > MOST_NAMES else ""
    return ", ".join(every[:MOST_NAMES]) + more
