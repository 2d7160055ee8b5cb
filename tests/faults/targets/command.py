"""The words of a command line."""

import contextlib
import io
import json
import pathlib
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
from mutations import mutated, mutated_json, mutated_words

import miniflow as mf
from miniflow.cli import app
from miniflow.errors import DataError
from miniflow.layers.networks import build
from targets.target import Target

TRAIN = ["train", "--data", "bars.npz", "--model", "784-4-2", "--batch-size", "16", "--epochs", "1"]
LINES = [
    ["info"],
    ["--version"],
    ["train", "--help"],
    ["info", "model.safetensors", "--program"],
    ["info", "run"],
    ["draw", "model.safetensors", "-o", "out.svg"],
    ["draw", "model.safetensors", "-o", "out.dot"],
    ["draw", "run"],
    ["predict", "--model", "model.safetensors", "--json", "picture"],
    ["predict", "--model", "run", "picture", "nowhere.png", "bars.npz"],
    ["evaluate", "--model", "run", "--part", "train"],
    ["evaluate", "--model", "model.safetensors", "--data", "bars.npz"],
    [*TRAIN, "--out", "new", "--force", "--backend", "interpreter"],
    ["train", "--resume", "--out", "run"],
]
ARGUMENTS = [
    *("info", "draw", "predict", "evaluate", "train", "--model", "--data", "--out", "-o", "--json"),
    *("--epochs", "--batch-size", "--optimizer", "--lr", "--seed", "--backend", "--resume", "--"),
    *("--force", "--part", "--help", "-h", "--version", "--program", "-", "", " ", ".", ".."),
    *("model.safetensors", "bars.npz", "picture", "nowhere", "out.png", "out.svg", "out.mmd"),
    *("0", "1", "2", "-1", "1e3", "nan", "inf", "0.1", "adam", "sgd", "rmsprop", "interpreter"),
    *("numpy", "mlp", "linear", "784-3-2", "784--2", "784-0-2", "784-99999999-2", "１-2", "new"),
    *("train", "test", "\udcff", "ü.png", "x" * 5000, "run/model.safetensors", "run/history.csv"),
    *("run", "a\x1b[1m"),
]  # fmt: skip


class Command(Target):
    """The command line: its words, and the files that they name."""

    name, share = "command", 10

    def __init__(self, folder: pathlib.Path) -> None:
        from bars import draw_bar, write_bars
        from typer.main import get_command

        Target.__init__(self, folder)
        self.command = get_command(app)
        self.line: list[str] = []
        write_bars(self.folder / "bars.npz", 40)
        draw_bar(self.folder / "picture.png", True)
        (self.folder / "picture.png").rename(self.folder / "picture")
        network = build((784, 3, 2), 0)
        mf.save(
            network.logits, self.folder / "model.safetensors", {network.X: np.zeros((1, 784), "f4")}
        )
        code, told = self.run([*TRAIN, "--backend", "interpreter", "--out", "run"])
        assert code == 0, told
        self.good = {
            path.relative_to(self.folder): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.suffix != ".png"
        }
        self.names = sorted(self.good)

    def prepare(self, draw: random.Random) -> None:
        self.restore()
        self.line = draw.choice(LINES)
        if draw.random() < 0.6:
            name = draw.choice(self.names)
            (self.folder / name).write_bytes(self.changed(draw, name))
        else:
            self.line = mutated_words(draw, self.line, ARGUMENTS)

    def restore(self) -> None:
        """The folder as it was; all but a few trainings leave it so."""
        for path in self.folder.rglob("*"):
            name = path.relative_to(self.folder)
            if path.is_file() and (name not in self.good or path.stat().st_size == 0):
                path.unlink()
        for name, data in self.good.items():
            path = self.folder / name
            if not path.exists() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def changed(self, draw: random.Random, name: pathlib.Path) -> bytes:
        data = self.good[name]
        if name.suffix == ".json" and draw.random() < 0.8:
            tree = mutated_json(
                draw, json.loads(data), ["mlp", "linear", "numpy", "adam", "mnist2"]
            )
            if isinstance(tree, dict) and type(tree.get("epochs")) is int:
                tree["epochs"] = min(tree["epochs"], 3)  # more would be no hang, and take long
            return json.dumps(tree).encode()
        return mutated(draw, data, [data])

    def use(self) -> None:
        code, told = self.run(self.line)
        assert code in (0, 1, 2), code
        assert "Traceback" not in told
        if code:
            raise DataError(told[-300:] if code == 1 else "")  # 2 quotes the words that were typed

    def run(self, line: Sequence[str]) -> tuple[int, str]:
        """The exit code, and what was said on stderr."""
        out, err = io.StringIO(), io.StringIO()
        code: Any = 0
        streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
        with contextlib.chdir(self.folder), streams[0], streams[1]:
            try:
                self.command.main(list(line), prog_name="miniflow")
            except SystemExit as ended:
                code = ended.code
        return int(code or 0), err.getvalue()
