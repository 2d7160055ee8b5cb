"""What is given wrongly to `fit`, `evaluate`, `save`, `load` and callbacks: one sentence each."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import CompileError, DataError, GraphError, MiniflowError
from miniflow.options import OptionError

X, y, W = mf.Input("X"), mf.Input("y"), mf.Parameter(np.ones((2, 1)), "W")
z = X @ W
loss = mf.MSE(z, y)
rows, targets = np.ones((3, 2)), np.ones((3, 1))
feed = {X: rows, y: targets}


def fit(data: Any = feed, optimizer: Any = None, **options: Any) -> Any:
    optimizer = mf.SGD(0.1) if optimizer is None else optimizer
    return mf.fit(loss, data, optimizer, **{"progress": "none", "epochs": 1, **options})


WRONG: dict[str, tuple[Callable[[], Any], type[MiniflowError], str]] = {
    "a pair of arrays": (
        lambda: fit((rows, targets)),
        DataError,
        r"Say which input gets what: data=\{X: \.\.\., y: \.\.\.\}\.$",
    ),
    "a pair for validation": (
        lambda: fit(validation=(rows, targets)),
        DataError,
        r"validation=\{X: \.\.\., y: \.\.\.\}",
    ),
    "a pair to evaluate": (
        lambda: mf.evaluate(loss, (rows, targets)),
        DataError,
        r"data=\{X: \.\.\., y: \.\.\.\}",
    ),
    "metrics": (
        lambda: fit(metrics=["accuracy"]),
        OptionError,
        r"metrics is a dictionary from names",
    ),
    "validation_split": (lambda: fit(validation_split=0.1), OptionError, r"write validation="),
    "parameters": (lambda: fit(parameters=W), OptionError, r"parameters is a list of them"),
    "verbose": (lambda: fit(verbose=0), OptionError, r"write progress='none'"),
    "a misspelt option": (
        lambda: fit(epoch=3),
        OptionError,
        r"no option epoch\. .* are epochs, b",
    ),
    "evaluate's verbose": (
        lambda: mf.evaluate(loss, feed, verbose=0),  # type: ignore[call-arg]
        OptionError,
        r"evaluate has no option verbose",
    ),
    "options without names": (
        lambda: mf.fit(loss, feed, mf.SGD(0.1), 3),  # type: ignore[misc]
        OptionError,
        r"call it as fit\(loss, data, optimizer, epochs=\.\.\.\)",
    ),
    "no optimizer": (
        lambda: mf.fit(loss, feed),  # type: ignore[call-arg]
        OptionError,
        r"missing a required argument: 'optimizer'",
    ),
    "the name of an optimizer": (lambda: fit(optimizer="sgd"), OptionError, r"such as SGD\(0\.1\)"),
    "the class of an optimizer": (lambda: fit(optimizer=mf.SGD), OptionError, r"such as SGD\(0"),
    "one callback": (
        lambda: fit(callbacks=mf.EarlyStopping()),
        OptionError,
        r"callbacks is a list of them",
    ),
    "the class of a callback": (
        lambda: fit(callbacks=[mf.EarlyStopping]),
        OptionError,
        r"no Callback\. Make one: EarlyStopping\(\)",
    ),
    "a function for a callback": (lambda: fit(callbacks=[print]), OptionError, r"no Callback"),
    "no list of callbacks": (lambda: fit(callbacks=None), OptionError, r"callbacks is a list"),
    "text for rng": (lambda: fit(rng="a"), OptionError, r"rng is a whole number of at least 0"),
    "a seed below zero": (lambda: fit(rng=-1), OptionError, r"rng is a whole number of at least 0"),
    "a number for a checkpoint": (
        lambda: fit(checkpoint=3),
        OptionError,
        r"checkpoint is the name of a file",
    ),
    "resume from nowhere": (lambda: fit(resume=True), OptionError, r"checkpoint=path"),
    "a path for resume": (
        lambda: fit(checkpoint="c", resume="c"),
        OptionError,
        r"resume is True or False",
    ),
    "a number for progress": (
        lambda: fit(progress=0),
        OptionError,
        r"progress is one of auto, bar",
    ),
    "a list for progress": (lambda: fit(progress=[]), OptionError, r"progress is one of auto, bar"),
    "no backend": (lambda: fit(backend=None), OptionError, r"backend is one of auto, interpreter"),
    "a list of backends": (lambda: fit(backend=["numpy"]), OptionError, r"backend is one of auto"),
    "text for epochs": (lambda: fit(epochs="3"), OptionError, r"epochs is a whole number"),
    "half a row": (lambda: fit(batch_size=2.5), OptionError, r"batch_size is a whole number"),
    "a list of losses": (
        lambda: mf.fit([loss], feed, mf.SGD(0.1)),  # type: ignore[arg-type]
        GraphError,
        r"one at a time",
    ),
    "a list of nodes to save": (
        lambda: mf.save([z, loss], "m.safetensors"),
        GraphError,
        r"save: MatMul .* has no name",
    ),
    "a dictionary of nodes to save": (
        lambda: mf.save({"z": z}, "m.safetensors"),  # type: ignore[arg-type]
        GraphError,
        r"one at a time",
    ),
    "another format": (
        lambda: mf.save(z, "q.onnx"),
        OptionError,
        r"'q\.onnx' would be no file of ONNX: .* Name it q\.safetensors\.",
    ),
    "another format from epoch to epoch": (
        lambda: mf.ModelCheckpoint("best.h5"),
        OptionError,
        r"Name it best\.safetensors",
    ),
    "no path to save": (
        lambda: mf.save(z, None),  # type: ignore[arg-type]
        OptionError,
        r"path is the name of a file",
    ),
    "an array among the inputs": (
        lambda: mf.save(z, "m.safetensors", [rows]),  # type: ignore[list-item]
        GraphError,
        r"inputs is a list of nodes, or a dictionary \{node: example\}",
    ),
    "the name of an input": (
        lambda: mf.save(z, "m.safetensors", {"X": rows}),  # type: ignore[dict-item]
        GraphError,
        r"inputs is a list of nodes",
    ),
    "a number of inputs": (
        lambda: mf.save(z, "m.safetensors", 7),  # type: ignore[arg-type]
        GraphError,
        r"inputs is a list of nodes",
    ),
    "no path to load": (
        lambda: mf.load(None),  # type: ignore[arg-type]
        OptionError,
        r"path is the name of a file",
    ),
    "no source": (
        lambda: mf.datasets.load(None),  # type: ignore[arg-type]
        OptionError,
        r"source is the name of a file",
    ),
    "another backend": (lambda: mf.load("m", "gpu"), CompileError, r"There is no backend 'gpu'"),
    "a table without a path": (
        lambda: mf.CSVLogger(None),  # type: ignore[arg-type]
        OptionError,
        r"path is the name of a file",
    ),
    "a history without a path": (
        lambda: mf.History().to_csv(None),  # type: ignore[arg-type]
        OptionError,
        r"path is the name of a file",
    ),
    "patience for a monitor": (
        lambda: mf.EarlyStopping(3),  # type: ignore[arg-type]
        OptionError,
        r"EarlyStopping: monitor is one of loss, accuracy",
    ),
    "text for a flag": (
        lambda: mf.KeepBest(restore_best="no"),  # type: ignore[arg-type]
        OptionError,
        r"restore_best is True or False",
    ),
    "a number for a function": (
        lambda: mf.KeepBest(on_best=3),  # type: ignore[arg-type]
        OptionError,
        r"on_best is a function",
    ),
    "a number for a node": (
        lambda: mf.ModelCheckpoint("m", node=3),  # type: ignore[arg-type]
        GraphError,
        r"is a node, and 3",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_given_wrongly_is_told_in_a_sentence_with_the_way_out(what: str) -> None:
    call, error, message = WRONG[what]
    before = W.value.copy()
    with pytest.raises(error, match=message):
        call()
    assert np.array_equal(W.value, before)


@pytest.mark.parametrize("given", [str, os.fsencode, pathlib.Path])
def test_a_path_may_be_text_bytes_or_a_path(given: Any, tmp_path: pathlib.Path) -> None:
    model, table, checkpoint = (
        given(str(tmp_path / name)) for name in ("m.safetensors", "history.csv", "c.safetensors")
    )
    options: dict[str, Any] = {"checkpoint": checkpoint, "callbacks": [mf.CSVLogger(table)]}
    history = fit(**options)
    assert len(fit(**options, epochs=2, resume=True)) == 2
    mf.save(z, model, {X: rows})
    np.testing.assert_allclose(mf.load(model)(rows), rows @ W.value)
    history.to_csv(table)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("m.safetensors", "history.csv", "c.safetensors", "c.previous.safetensors")
    }


def test_numpys_numbers_serve_as_options() -> None:
    history = fit(epochs=np.int64(2), batch_size=np.int32(2), rng=np.int64(3), resume=np.False_)
    assert len(history) == 2
