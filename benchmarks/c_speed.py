"""How fast exported C is beside the native backend, on one thread, and how many bytes it takes.

    python benchmarks/c_speed.py [ROUNDS]

Programs are compiled with ``-O3 -mavx2 -mfma``. Rounds alternate; what is printed are seconds of
the processor's time: the minimum of C and of the native backend, and the median of the ratios. Both
get their arguments as addresses, so that a call costs Python as much in either.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

os.environ["MINIFLOW_THREADS"] = "1"

import miniflow as mf
from miniflow.backends import find
from miniflow.backends.c import PASSES, to_c
from miniflow.compiler.recorded import recorded_step
from miniflow.ir import DTYPES, Program
from miniflow.ir.program import handed_out
from miniflow.passes import optimize

FLAGS = ["-std=c99", "-O3", "-mavx2", "-mfma", "-ffp-contract=off"]
RNG = np.random.default_rng(0)


def weights(*shape: int) -> mf.Parameter:
    """Random numbers of a size that training likes."""
    fan_in = int(np.prod(shape[:-1])) or 1
    return mf.Parameter((RNG.normal(size=shape) / np.sqrt(fan_in)).astype("f4"), "W")


def mlp(rows: int) -> tuple[mf.Node, mf.Node, dict[Any, Any]]:
    """784-128-10: logits, loss, and what is fed."""
    x, y = mf.Input("x"), mf.Input("y")
    hidden = mf.ReLU(mf.Linear(x, weights(784, 128), weights(128)))
    logits = mf.Linear(hidden, weights(128, 10), weights(10))
    feed = {x: RNG.random((rows, 784), np.float32), y: RNG.integers(0, 10, rows)}
    return logits, mf.CrossEntropyWithSoftmax(logits, y), feed


def cnn(rows: int) -> tuple[mf.Node, mf.Node, dict[Any, Any]]:
    """Two convolutions of 5 x 5, with 8 and 16 channels, each with a pool; 64 hidden units."""
    x, y = mf.Input("x"), mf.Input("y")
    maps: Any = x
    for channels in ((1, 8), (8, 16)):
        W, b = weights(5, 5, *channels), weights(channels[1])
        maps = mf.MaxPool(mf.ReLU(mf.Conv2D(maps, W, b, padding="same")), 2)
    hidden = mf.ReLU(mf.Linear(mf.Flatten(maps), weights(784, 64), weights(64)))
    logits = mf.Linear(hidden, weights(64, 10), weights(10))
    feed = {x: RNG.random((rows, 28, 28, 1), np.float32), y: RNG.integers(0, 10, rows)}
    return logits, mf.CrossEntropyWithSoftmax(logits, y), feed


def programs() -> dict[str, tuple[Program, list[Any]]]:
    """What is measured: programs before their passes, and arguments."""
    found: dict[str, tuple[Program, list[Any]]] = {}
    for kind, network in (("MLP", mlp), ("CNN", cnn)):
        for rows in (1, 128):
            logits, loss, feed = network(rows)
            node = mf.compile(logits, backend="reference")
            x = next(iter(feed))
            node({x: feed[x]})
            arguments = arguments_of(node, node.program, {x: feed[x]}, None)
            found[f"{kind}, inference, {rows}"] = node.program, arguments
            if rows > 1:
                step = mf.compile(loss, optimizer=mf.SGD(0.01), backend="reference")
                step(feed)
                program, values = recorded_step(step)
                found[f"{kind}, training, {rows}"] = (
                    program, arguments_of(step, program, feed, values)
                )  # fmt: skip
    return found


def arguments_of(compiled: Any, program: Program, feed: Any, values: Any) -> list[Any]:
    """The arguments of a program, as arrays and numbers."""
    arguments = []
    for number, entry in enumerate(program.inputs):
        value = values[number] if values is not None else None
        if value is None and entry.origin is not None:
            owner = compiled._order[entry.origin.index]
            value = feed.get(owner, owner.value)
        is_array = entry.variable.kind == "array"
        arguments.append(
            np.array(value, DTYPES[entry.variable.dtype]) if is_array else float(value)
        )
    return arguments


def in_c(program: Program, arguments: list[Any], folder: Path, compiler: str) -> tuple[Any, int]:
    """What runs the program in C, and the bytes of its code and its constants."""
    (folder / "run.c").write_text(to_c(program, "run"))
    command = [compiler, *FLAGS, "-c", "-fPIC", "run.c", "-o", "run.o"]
    subprocess.run(command, check=True, cwd=folder)
    subprocess.run([compiler, "-shared", "run.o", "-o", "run.so", "-lm"], check=True, cwd=folder)
    told = subprocess.run(["size", "run.o"], capture_output=True, text=True, check=True, cwd=folder)
    nbytes = sum(map(int, told.stdout.splitlines()[1].split()[:2]))
    library = ctypes.CDLL(str(folder / "run.so"))
    replaced = {o.replaces for o in program.outputs}
    outputs = [np.zeros(o.operand.shape, DTYPES[o.operand.dtype]) for o in handed_out(program)]
    state = [a for a, e in zip(arguments, program.inputs, strict=True) if e.variable in replaced]
    memory = np.concatenate([a.reshape(-1) for a in state]) if state else np.zeros(1, "f4")
    handed = [ctypes.c_void_p(memory.ctypes.data)] if state else []
    for entry, argument in zip(program.inputs, arguments, strict=True):
        if entry.variable not in replaced:
            is_array = isinstance(argument, np.ndarray)
            handed.append(
                ctypes.c_void_p(argument.ctypes.data) if is_array else ctypes.c_double(argument)
            )
    handed += [ctypes.c_void_p(output.ctypes.data) for output in outputs]
    function, kept = library.run_run, (memory, outputs, library)

    def run(kept: Any = kept) -> None:
        if function(*handed):
            raise RuntimeError("it failed")

    return run, nbytes


def seconds(run: Callable[[], Any], times: int) -> float:
    """Of the processor's time, for one run."""
    start = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - start) / times


def main() -> None:
    """Measure, and print a table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    mf.set_threads(1)
    compilers = [c for c in ("gcc", "clang") if shutil.which(c)]
    print(f"{'':26}{'native':>10}" + "".join(f"{c:>10}{'ratio':>7}{'kB':>6}" for c in compilers))
    for name, (program, arguments) in programs().items():
        improved = optimize(program, PASSES)
        native = find("native")
        executable = native.lower(optimize(program, native.passes))
        copies = [np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments]
        runs: list[Callable[[], Any]] = [lambda e=executable, a=copies: e.run(a)]  # type: ignore[misc]
        sizes = []
        for compiler in compilers:
            with tempfile.TemporaryDirectory() as folder:
                run, nbytes = in_c(improved, arguments, Path(folder), compiler)
            runs.append(run)
            sizes.append(nbytes)
        times = max(int(0.05 / max(seconds(runs[0], 3), 1e-7)), 1)
        table = [[seconds(run, times) for run in runs] for _ in range(rounds)]
        best = [min(row[k] for row in table) for k in range(len(runs))]
        line = f"{name:26}{1e6 * best[0]:8.1f}µs"
        for k, nbytes in enumerate(sizes, 1):
            ratio = median(row[k] / row[0] for row in table)
            line += f"{1e6 * best[k]:8.1f}µs{ratio:7.2f}{nbytes / 1e3:6.0f}"
        print(line, flush=True)


if __name__ == "__main__":
    main()
