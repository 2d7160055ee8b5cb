"""The smaller figures, ratios or differences taken in one run: `python benchmarks/figures.py`.

    interpreter   a step of the interpreter against the same step in a plain NumPy loop
    scalars       x·y + x·z with three gradients, the interpreter against micrograd
    import        `import miniflow` against `import numpy`, in fresh processes
    data          the first and the second loading of MNIST, in fresh processes
    compile       recording and passes of a two-layer network; growth from 1,000 to 10,000 nodes
    memory        new memory in a compiled step, at batch 128 and 8,192
    overhead      what an equation costs on tiny arrays, and a call without any

Name some of them to have only those. What is compared takes turns; minimum and median are shown.
"""

from __future__ import annotations

import environment

environment.enter()

import argparse  # noqa: E402  # from here on in the environment of the peers
import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from statistics import median  # noqa: E402
from typing import Any  # noqa: E402

import load  # noqa: E402
import races  # noqa: E402
import report  # noqa: E402
from mnist_files import read_mnist  # noqa: E402

SOURCE = environment.ROOT / "src"
sys.path.insert(0, str(SOURCE))

Times = dict[str, list[float]]


def main() -> None:
    """Print the figures asked for."""
    figures: dict[str, Callable[[], None]] = {
        "interpreter": interpreter,
        "scalars": scalars,
        "import": importing,
        "data": data,
        "compile": compiling,
        "memory": memory,
        "overhead": overhead,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("figures", nargs="*", help=f"of {', '.join(figures)}")
    chosen = parser.parse_args().figures or list(figures)
    if unknown := [name for name in chosen if name not in figures]:
        parser.error(f"there is no figure {', '.join(unknown)}; there are {', '.join(figures)}")
    report.warn(load.sentence(load.cores_used_by_others()).replace("meanwhile", "just now"))
    for name in chosen:
        try:
            figures[name]()
        except (ImportError, AttributeError) as error:
            print(f"{name}: not to be had here ({type(error).__name__}: {error})\n")


def alternate(contenders: dict[str, Callable[[], object]], rounds: int, per: int = 1) -> Times:
    """Seconds of each function, divided by `per`, in `rounds` rounds in which they take turns."""
    times: Times = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, function in contenders.items():
            start = time.perf_counter()
            function()
            if number > 0:  # the first round warms up
                times[name].append((time.perf_counter() - start) / per)
    return times


def show(
    title: str, times: Times, unit: str = "µs", base: str = "", difference: bool = False
) -> None:
    """A line for each contender; with a `base`, the ratio to it, or how much longer it takes."""
    scale, digits = {"µs": (1e6, 1), "ms": (1e3, 1)}[unit]
    width = max(map(len, times))
    print(title)
    for name, seconds in times.items():
        least, middle = min(seconds) * scale, median(seconds) * scale
        line = f"  {name:{width}}  min {least:10,.{digits}f}  median {middle:10,.{digits}f} {unit}"
        if base and name != base:
            of_base = min(times[base]) * scale, median(times[base]) * scale
            if difference:
                line += f"   +{least - of_base[0]:.1f} / +{middle - of_base[1]:.1f} {unit}"
            else:
                line += f"   × {least / of_base[0]:.2f} / × {middle / of_base[1]:.2f}"
        print(line)
    print(flush=True)


# --------------------------------------------------------------------------------------- figures


def interpreter() -> None:
    """784-128-10, batch 128, float32: the same steps, in one process and one pool of threads."""
    from contenders import by_hand, miniflow_
    from threadpoolctl import threadpool_limits

    race = races.find("mlp-128")[0]
    digits = read_mnist(SOURCE / "miniflow" / "datasets" / "data")
    rows = races.work(race, len(digits.images))[:50]
    for threads in sorted({1, os.cpu_count() or 1}):
        with threadpool_limits(threads):
            plain = by_hand.build("plain", race, digits)
            ours = miniflow_.build("interpreter", race, digits)
            runs: dict[str, Any] = {"NumPy by hand": plain, "interpreter": ours}
            functions = {name: (lambda run=r.run: run(rows)) for name, r in runs.items()}
            times = alternate(functions, 15, per=len(rows))
        title = f"interpreter: a step of {race.title}, {threads} thread{'s' * (threads > 1)}"
        show(title, times, base="NumPy by hand")


def scalars() -> None:
    """x·y + x·z and its three gradients on Python floats; micrograd has to build the graph anew."""
    from contenders import micrograd_, miniflow_

    import miniflow as mf

    race = races.find("tiny")[0]
    triples = races.work(race, 0)[: race.steps]
    interpreted = miniflow_.Scalar("interpreter", race, None)
    micrograd = micrograd_.Scalar()

    def built_anew() -> None:
        for a, b, c in triples.tolist():
            x, y, z = mf.Input(), mf.Input(), mf.Input()
            mf.value_and_grad(x * y + x * z, {x: a, y: b, z: c}, wrt=[x, y, z])

    functions: dict[str, Callable[[], object]] = {
        "micrograd, built and differentiated": lambda: micrograd.run(triples),
        "interpreter, graph built once": lambda: interpreted.run(triples),
        "interpreter, graph built anew": built_anew,
    }
    times = alternate(functions, 15, per=len(triples))
    show(
        "scalars: x·y + x·z and its three gradients",
        times,
        base="micrograd, built and differentiated",
    )


def importing() -> None:
    """Whole processes that import one thing and end."""
    functions = {
        name: (lambda statement=statement: run_python(statement))
        for name, statement in {
            "import numpy": "import numpy",
            "import miniflow": "import miniflow",
        }.items()
    }
    times = alternate(functions, 25)
    show("import: a process that imports and ends", times, "ms", "import numpy", difference=True)


def data() -> None:
    """The time inside a fresh process, imports not counted."""
    statement = (
        "import time, numpy, miniflow.datasets as d\n"
        "def load():\n"
        "    start = time.perf_counter(); t = d.mnist().train; t.images[:1]; t.labels[:1]\n"
        "    return time.perf_counter() - start\n"
        "print(load(), load())"
    )
    times: Times = {"first": [], "second": []}
    for _ in range(5):
        for name, seconds in zip(times, run_python(statement).split(), strict=True):
            times[name].append(float(seconds))
    show("data: loading MNIST and touching images and labels", times, "ms")


def compiling() -> None:
    """The first call of a compiled graph less its second: recording, passes, and the backend.

    The reference backend has next to nothing to prepare: what it takes is recording and passes.
    """
    import numpy as np

    import miniflow as mf

    def first_call(make: Callable[[], tuple[Any, dict[Any, Any]]]) -> float:
        step, feed = make()
        start = time.perf_counter()
        step(feed)
        between = time.perf_counter()
        step(feed)
        return (between - start) - (time.perf_counter() - between)

    def chain(nodes: int, backend: str) -> tuple[Any, dict[Any, Any]]:
        x, w = mf.Input("x"), mf.Input("w")
        h = x
        for _ in range(nodes // 2):
            h = mf.Tanh(h * w)
        loss = mf.Sum(h)
        feed = {x: np.full(8, 0.5, np.float32), w: np.full(8, 0.9, np.float32)}
        return mf.compile(loss, wrt=[x, w], backend=backend), feed

    for backend in ("reference", "numpy", "native"):
        makers: dict[str, Callable[[], tuple[Any, dict[Any, Any]]]] = {
            "two layers": lambda backend=backend: two_layers(backend, 128),
            "1,000 nodes": lambda backend=backend: chain(1_000, backend),
            "10,000 nodes": lambda backend=backend: chain(10_000, backend),
        }
        times: Times = {name: [] for name in makers}
        for _ in range(5):
            for name, make in makers.items():
                times[name].append(first_call(make))
        title = f"compile: the first call less the second, backend {backend!r}"
        show(title, times, "ms", base="1,000 nodes")


def two_layers(backend: str, batch: int) -> tuple[Any, dict[Any, Any]]:
    """A compiled step of the network 784-128-10, and a feed for it."""
    import numpy as np

    import miniflow as mf

    parameters = [mf.Parameter(array) for array in races.first_parameters(races.find("mlp-128")[0])]
    X, y = mf.Input("X"), mf.Input("y")
    hidden = mf.Sigmoid(mf.Linear(X, *parameters[:2]))
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(hidden, *parameters[2:]), y)
    feed = {X: np.zeros((batch, 784), np.float32), y: np.zeros(batch, np.int64)}
    return mf.compile(loss, optimizer=mf.SGD(0.1), backend=backend), feed


def memory() -> None:
    """What `tracemalloc` sees at the peak of a step, less what was there before."""
    import tracemalloc

    print("memory: new memory at the peak of a step of 784-128-10 with SGD")
    for backend in ("numpy", "native"):
        for batch in (128, 8_192):
            step, feed = two_layers(backend, batch)
            step(feed)
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            step(feed)
            new = tracemalloc.get_traced_memory()[1] - before
            tracemalloc.stop()
            print(f"  {backend:7} batch {batch:5,}  {new / 1e3:8.1f} KB")
    print(flush=True)


def overhead() -> None:
    """How much longer a program takes for each equation, in the NumPy backend, arrays of 2 × 2."""
    import numpy as np

    import miniflow as mf

    def program(node: Callable[[Any], Any], count: int) -> Callable[[], object]:
        x = mf.Input("x")
        last: Any = x
        for _ in range(count):
            last = node(last)
        feed = {x: np.eye(2, dtype=np.float32)}
        step = mf.compile(last, backend="numpy")
        step(feed)
        return lambda: [step(feed) for _ in range(50)]

    few, many = 20, 220
    kinds: dict[str, Callable[[Any], Any]] = {
        "tanh": mf.Tanh,
        "multiply": lambda x: x * x,
        "product": lambda x: x @ x,
        "sum over rows, and add": lambda x: x + mf.Sum(x, axis=0),
    }
    for name, node in kinds.items():
        functions = {str(n): program(node, n) for n in (few, many)}
        least = {n: min(seconds) for n, seconds in alternate(functions, 15, per=50).items()}
        each = (least[str(many)] - least[str(few)]) / (many - few) * 1e6
        print(f"overhead: {name:24} {each:6.2f} µs a node")
    empty, feed = two_layers("numpy", 2)
    empty(feed)
    empty._last.run = lambda arguments: [0.0]
    functions = {"call": lambda: [empty(feed) for _ in range(1000)]}
    show("overhead: a call of a step that does nothing", alternate(functions, 15, per=1000))


def run_python(statement: str) -> str:
    """What a fresh process prints that runs a statement with miniflow's source on its path."""
    environment = dict(os.environ, PYTHONPATH=str(SOURCE))
    done = subprocess.run(
        [sys.executable, "-c", statement],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    main()
