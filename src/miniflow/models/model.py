"""A model: a program and its arrays, read from a file (`saving` writes it), and called.

    model = mf.load("digits.safetensors")
    model(images)                                    # logits, for any number of rows
    model.predict(images)                            # the class of each row

Reading a file runs nothing of the writer's. `Model` is made from a file alone; every number in it
is checked before an array is made (`ir.store`).
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from miniflow.backends import check_name, choose
from miniflow.bars import BarStyle, rows_bar
from miniflow.compiler.pool import ExecutablePool, make_run
from miniflow.errors import FeedError, ModelFileError, ShapeError
from miniflow.files.arrays import Arrays, Path, read_arrays
from miniflow.graph.checks import is_listed
from miniflow.graph.values import as_value, describe
from miniflow.ir.dtypes import DTYPES, ProgramError
from miniflow.ir.program import Program
from miniflow.locks import Lock
from miniflow.models.bounds import TooLargeError, parse_within_limits
from miniflow.models.fitting_together import (
    check_is_a_model,
    check_is_the_way_back,
    checked_names,
    grows,
)
from miniflow.models.lifting import ProgramGraph
from miniflow.models.model_graph import are_parameters, graph_of_rows
from miniflow.models.notes import check_columns, in_unit, predictions_of
from miniflow.models.saving import BACKWARD
from miniflow.options import OptionError, file_path, whole

MOST_ROWS = 1 << 62  # and no array has as many
KEPT = 8  # programs that a model keeps, one for each number of rows


class ModelInput(NamedTuple):
    """An input of a model: its name, its shape (None where the number of rows stands) and its
    dtype.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


def load(path: Path, backend: str = "auto") -> "Model":
    """Read a model that `save` wrote.

    Args:
        path: the file.
        backend: what runs it, as for `compile`.

    Raises:
        ModelFileError: the file is damaged, of another kind, or holds no well-formed program, or
            one that asks for more memory or arithmetic than is allowed (`docs/reliability.md`).
        OSError: it cannot be opened.
        OptionError: `path` is no path.

    >>> import miniflow as mf
    >>> mf.load("no such file.safetensors")
    Traceback (most recent call last):
        ...
    FileNotFoundError: [Errno 2] No such file or directory: 'no such file.safetensors'
    """
    check_name(backend)
    path = file_path("load", path)
    arrays, about = read_arrays(path, "model")
    if about.get("format") != 1:
        raise ModelFileError(f"{path}: was written by another version of miniflow.")
    in_order = [arrays[name] for name in sorted(arrays) if not name.startswith(BACKWARD)]
    try:
        backward = _backward_of(about, arrays)
        notes = about.get("notes", {})
        more = about.get("parameters"), about.get("outputs")
        return Model(about.get("program"), in_order, backend, backward, notes, *more)
    except TooLargeError as error:
        raise ModelFileError(f"{path}: {error}.") from error
    except ProgramError as error:
        raise ModelFileError(f"{path}: is damaged: {error}.") from error


class Model:
    """A forward program and its arrays: call it with one array for each input. Made by `load`.

    Any thread may call it, and as many as there are processors compute at once, each in memory of
    its own; it can be copied and pickled, and works after a fork.

    Attributes:
        inputs: name, shape and dtype of each input.
        notes: what `save` was given to keep: names → what JSON can hold.
        output_names: of a model that was saved from a list of nodes, their names, by which it gives
            its outputs in a dictionary; else None.

    >>> import pathlib, tempfile, numpy as np, miniflow as mf
    >>> X, W = mf.Input("X"), mf.Parameter([[1.0], [2.0]], "W")
    >>> _ = mf.value(X @ W, {X: np.zeros((1, 2))})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "sum.safetensors")
    ...     mf.save(X @ W, path)
    ...     model = mf.load(path, backend="numpy")
    >>> model(np.array([[3.0, 4.0]]))
    array([[11.]])
    """

    way_to_a_node = "mf.graph_of(model) makes nodes of it"

    def __init__(
        self,
        description: Any,
        arrays: Sequence[np.ndarray],
        backend: str = "auto",
        backward: tuple[Any, Sequence[np.ndarray]] | None = None,
        notes: Any = None,
        parameters: Any = None,
        output_names: Any = None,
    ) -> None:
        if not isinstance(notes or {}, dict):
            raise ProgramError("its notes are no dictionary")
        if parameters is not None and (
            type(parameters) is not int or not 0 <= parameters <= len(arrays)
        ):
            raise ProgramError("it has not as many arrays as it says that it has parameters")
        self._parameters: int | None = parameters  # how many of the arrays; None: not known
        self.notes: dict[str, Any] = notes or {}
        for array in (*arrays, *(() if backward is None else backward[1])):
            array.flags.writeable = False
        self._description = description
        self._arrays = arrays
        self._backend = backend
        self._pools: OrderedDict[int, ExecutablePool] = OrderedDict()
        self._lock = Lock()
        one, two = (parse_within_limits(description, arrays, n) for n in (1, 2))
        self._program = one
        self._grows = [grows(i, j) for i, j in zip(one.inputs, two.inputs, strict=True)]
        self.output_names = checked_names(output_names)
        check_is_a_model(one, 1 if self.output_names is None else len(self.output_names))
        self._backward_given = backward
        self._backward = None if backward is None else parse_within_limits(*backward, 1)
        if self._backward is not None:
            check_is_the_way_back(self._backward, one)
        self.inputs = [
            ModelInput(
                name,
                ((None, *entry.variable.shape[1:]) if does_grow else entry.variable.shape),
                DTYPES[entry.variable.dtype],
            )
            for name, entry, does_grow in zip(_names(one), one.inputs, self._grows, strict=True)
        ]

    def __reduce__(self) -> tuple[Any, ...]:
        """Made anew from what the file held: neither a lock nor what is compiled can be copied."""
        kept = (self._description, self._arrays, self._backend, self._backward_given, self.notes)
        return Model, (*kept, self._parameters, self.output_names)

    @property
    def program(self) -> Program:
        """The forward program, for one row; print it."""
        return self._program

    @property
    def backward_program(self) -> Program | None:
        """The backward program, for one row: it takes the inputs and the upstream gradient, in the
        shape of the output, and gives the gradient of each input that holds fractions, by its
        name. It is what the nodes' own `backward` computes; None if the file has none.
        """
        return self._backward

    @property
    def outputs(self) -> int:
        """How many numbers the model gives for each row: the number of classes, for a
        classifier. Of several outputs, that of the first.
        """
        shape = self._program.outputs[0].operand.shape
        return int(shape[-1]) if shape else 1

    @property
    def parameter_count(self) -> int:
        """How many numbers the model's arrays hold; `program.constants` has the arrays."""
        return sum(constant.value.size for constant in self._program.constants)

    def __call__(self, *arrays: Any) -> Any:
        """The output, for one array (or list) for each input; of several outputs, a dictionary.

        Raises:
            FeedError: there are not as many arrays as inputs, or a table has other columns than the
                one that the model was fitted to.
            ShapeError: one has another shape than the model takes.
        """
        if len(arrays) != len(self.inputs):
            names = ", ".join(entry.name for entry in self.inputs)
            takes = "one array" if len(self.inputs) == 1 else f"{len(self.inputs)} arrays"
            raise FeedError(f"The model takes {takes} ({names}), and was given {len(arrays)}.")
        for array in arrays:
            check_columns(array, self.notes)
        given = [
            _array_for(array, entry, self.notes)
            for array, entry in zip(arrays, self.inputs, strict=True)
        ]
        rows = {a.shape[0] for a, does_grow in zip(given, self._grows, strict=True) if does_grow}
        if len(rows) > 1:
            raise ShapeError(f"The model was given different numbers of rows: {sorted(rows)}.")
        n = rows.pop() if rows else 1
        try:
            with self._lock:
                pool = self._pool_for(n)
            results = pool.run(given)
            if self.output_names is not None:
                return dict(zip(self.output_names, results, strict=True))
            return results[0]
        except ProgramError as error:
            raise ShapeError(f"The model does not work for {n} rows: {error}.") from error
        except IndexError as error:
            raise FeedError(
                f"The model was given an index that is out of range: {error}."
            ) from error

    def predict(self, *arrays: Any, batch_size: int = 1000, progress: BarStyle = "auto") -> Any:
        """The class of each row: the index of its largest output (of one output: whether it
        is positive, 1, or not, 0). Of a model whose notes say `"task": "regression"`, as those of a
        `MiniflowRegressor` do, the numbers themselves: (n,), or (n, k) for k outputs. Of several
        outputs, a dictionary with that of each.

        Args:
            arrays: one (or a list, a table) for each input.
            batch_size: rows at a time, 1000 by default.
            progress: "bar", "none", or "auto", a bar on a terminal if it takes a while; "auto" by
                default.

        Raises NotFiniteError where what is computed is NaN, which is no answer; and what a call
        raises.
        """
        found = self._in_batches(
            arrays, whole("predict", "batch_size", batch_size, least=1), progress
        )
        if self.output_names is not None:
            return {name: predictions_of(output, self.notes) for name, output in found.items()}
        return predictions_of(found, self.notes)

    def graph(self) -> ProgramGraph:
        """The forward program as a graph, which is trained on, differentiated and looked into like
        any other; made anew each time, with arrays of its own.

        Returns `inputs`, `parameters` and `outputs`, each a list of nodes. Any number of rows
        can be fed, if the file is for any number. Which arrays are parameters, the file says; one
        that version 0.1.0 wrote does not, and every floating array is a parameter then, with a
        `ParameterWarning`.

        >>> import pathlib, tempfile, numpy as np, miniflow as mf
        >>> X, W = mf.Input("X"), mf.Parameter([[1.0], [2.0]], "W")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "model.safetensors")
        ...     mf.save(X @ W, path, inputs={X: np.zeros((1, 2))})
        ...     graph = mf.load(path).graph()
        >>> graph.inputs, graph.parameters
        ([<Input 'X'>], [<Parameter 'W'>])
        >>> mf.value_and_grad(mf.Sum(graph.outputs[0]), {graph.inputs[0]: np.ones((3, 2))})[1]
        [array([[3.],
               [3.]])]
        """
        graph = graph_of_rows(
            self.program_for, self._grows, are_parameters(self._arrays, self._parameters)
        )
        pixels = self.notes.get("pixels")
        for node in graph.inputs:
            node._is_fed_pixels = isinstance(pixels, list) and node.name in pixels
        return graph

    def program_for(self, rows: int) -> Program:
        """The forward program for so many rows; of a model of one number of rows, always that one.

        Raises:
            OptionError: rows is no whole number, negative, or larger than any array.
            ProgramError: the model does not work for so many, or the limits do not allow it.
        """
        rows = whole("program_for", "rows", rows, least=0)
        if rows >= MOST_ROWS:
            raise OptionError(
                f"program_for: rows is a whole number below 2**62, not {describe(rows)}."
            )
        return parse_within_limits(self._description, self._arrays, rows)

    def _in_batches(self, arrays: Sequence[Any], n: int, progress: BarStyle) -> Any:
        """What a call gives, some rows at a time; at once where the outputs have other rows."""
        given = list(zip(arrays, self._grows, strict=False))
        lengths = {
            len(array)
            for array, grows in given
            if grows and is_listed(array) and hasattr(array, "__len__")
        }
        rows = min(lengths, default=0)
        if len(lengths) != 1 or rows <= n or len(arrays) != len(self.inputs):
            return self(*arrays)
        found = []
        with rows_bar("predict", rows, progress) as advance:
            for start in range(0, rows, n):
                part = [array[start : start + n] if grows else array for array, grows in given]
                result = self(*part)
                found.append([result] if self.output_names is None else list(result.values()))
                count = min(n, rows - start)
                if any(np.shape(output)[:1] != (count,) for output in found[-1]):
                    return self(*arrays)
                advance(count)
        whole_outputs = [np.concatenate(column) for column in zip(*found, strict=True)]
        if self.output_names is None:
            return whole_outputs[0]
        return dict(zip(self.output_names, whole_outputs, strict=True))

    def _pool_for(self, n: int) -> ExecutablePool:
        if n not in self._pools:
            choice = choose(self.program_for(n), self._backend)
            self._pools[n] = ExecutablePool(partial(make_run, choice))
            if len(self._pools) > KEPT:
                self._pools.popitem(last=False)
        self._pools.move_to_end(n)
        return self._pools[n]

    def __repr__(self) -> str:
        inputs = ", ".join(
            f"{entry.name}: {entry.dtype}{['n' if s is None else s for s in entry.shape]}"
            for entry in self.inputs
        )
        return f"<Model of {inputs.replace(chr(39), '')}, {len(self._program.equations)} equations>"


def _backward_of(about: Any, arrays: Arrays) -> tuple[Any, list[np.ndarray[Any, Any]]] | None:
    """The description and the arrays of the backward program, if there is one."""
    backward = about.get("backward")
    if backward is None:
        return None
    try:
        return backward["program"], [arrays[str(name)] for name in backward["arrays"]]
    except (LookupError, TypeError) as error:
        raise ProgramError("its backward program is none") from error


def _names(program: Program) -> list[str]:
    """The names of the inputs, each once."""
    names: list[str] = []
    for i, entry in enumerate(program.inputs, 1):
        name = entry.variable.name or "input"
        names.append(name if name not in names else f"{name} {i}")
    return names


def _array_for(x: Any, entry: ModelInput, notes: Mapping[str, Any]) -> Any:
    """An array in the shape, the dtype and the layout that a program takes."""
    array = np.asarray(as_value(x, f"Input '{entry.name}' of the model"))
    if entry.dtype.kind == "f":
        array = in_unit(array, entry.name, notes)
    if len(array.shape) != len(entry.shape) or any(
        wanted not in (None, seen) for wanted, seen in zip(entry.shape, array.shape, strict=True)
    ):
        shape = tuple("n" if size is None else size for size in entry.shape)
        text = f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
        raise ShapeError(
            f"Input '{entry.name}' of the model has shape {text}, and was given {array.shape}."
        )
    with np.errstate(all="ignore"):
        fitting = np.require(array, entry.dtype, ["C", "A"])
    if entry.dtype.kind != "f" and not np.array_equal(fitting, array):
        raise FeedError(
            f"Input '{entry.name}' of the model holds {entry.dtype}, and was given {array.dtype} "
            "that does not fit."
        )
    return fitting
