"""miniflow on a GPU, against hand-written JAX and PyTorch: `python benchmarks/gpu.py`.

    python benchmarks/gpu.py                      checks, then all races; some ten minutes
    python benchmarks/gpu.py --only mlp-128       one race, no checks
    python benchmarks/gpu.py --small              everything at a size for any processor

It needs `jax[cuda12]`, and PyTorch for its rows; both are looked for. First the conformance graphs
and the built-in nodes are computed on the device and compared with the interpreter. Then each race
trains the same network from the same numbers on the same rows: miniflow in one `step.epoch` a
round, JAX as one `jit` call a step and as one `lax.scan` a round, PyTorch eager, compiled and as a
CUDA graph. Rounds take turns. What is printed is Markdown, for RESULTS.md.

A contender whose loss is not that of the others after the first round is told, and has no row.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import races  # noqa: E402 (it needs the path)
import writing  # noqa: E402

NAMES = ("mlp-128", "mlp-1024", "cnn", "gpt-64")
ROUNDS, EXAMPLES, STEPS = 9, 55_000, 400
Run = Callable[[Any], float]


def main() -> None:
    """Check, race, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=NAMES, help="one race, and no checks")
    parser.add_argument("--small", action="store_true", help="a size for any processor")
    given = parser.parse_args()
    device = jax.devices()[0]
    print(f"{device.device_kind} ({device.platform}), JAX {jax.__version__}\n")
    if given.only is None:
        check()
    print("| race | contender | ms an epoch | median | × hand-written scan |")
    print("|---|---|---|---|---|")
    for name in (given.only,) if given.only else NAMES:
        race(name, given.small)


def check() -> None:
    """The graphs of the tests, here."""
    from backends.jax import graphs

    for name in ("every_conformance_graph", "every_built_in_node", "all_optimizers"):
        getattr(graphs, name)()
        print(f"{name.replace('_', ' ')}: agree with the interpreter")
    print()


def race(name: str, small: bool) -> None:
    """One race: its rows of the table."""
    (found,) = races.find(name)
    steps = 4 if small else STEPS
    raced = replace(found, steps=steps, chunk=steps)
    examples = 2_000 if small else EXAMPLES
    rng = np.random.default_rng(races.SEED)
    images = rng.random((examples, 784), np.float32)
    labels = rng.integers(0, 10, examples)
    data = races.Data(images, labels, images[:1], labels[:1])
    order = rng.integers(0, examples, (steps, raced.batch))
    runs = {title: build(raced, data) for title, build in CONTENDERS.items() if is_there(title)}
    losses = {title: run(order) for title, run in runs.items()}
    wanted = losses["JAX, lax.scan"]
    for title, loss in losses.items():
        if abs(loss - wanted) > 0.02 * abs(wanted):
            print(f"{name}: {title} has the loss {loss}, not {wanted}", file=sys.stderr)
            del runs[title]
    seconds: dict[str, list[float]] = {title: [] for title in runs}
    for _ in range(2 if small else ROUNDS):
        for title, run in runs.items():
            start = time.perf_counter()
            run(order)
            seconds[title].append(time.perf_counter() - start)
    best = min(seconds["JAX, lax.scan"])
    for title, taken in seconds.items():
        times = f"{min(taken) * 1e3:.2f} | {statistics.median(taken) * 1e3:.2f}"
        print(f"| {name} | {title} | {times} | {best / min(taken):.2f} |", flush=True)


def is_there(title: str) -> bool:
    """Whether what a contender needs is installed, and has a device."""
    if not title.startswith("PyTorch"):
        return True
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available() or "graph" not in title


def by_miniflow(raced: Any, data: Any) -> Run:
    """The whole epoch in one call, on the device."""
    if raced.kind == "gpt":
        from contenders import writing_miniflow

        made: Any = writing_miniflow.build("jax", raced, data)
        given = (made.x, made.y)
    else:
        from contenders import miniflow_

        made, given = miniflow_.build("jax", raced, data), (data.images, data.labels)
    for array in given:
        array.flags.writeable = False  # so that it goes there once
    run: Run = made.run
    return run


def by_jax(variant: str) -> Callable[[Any, Any], Run]:
    """Hand-written, one call a step or an epoch."""

    def build(raced: Any, data: Any) -> Run:
        if raced.kind == "gpt":
            from contenders import writing_jax

            return writing_jax.build(variant, raced, data).run
        from contenders import jax_

        return jax_.build(variant, raced, data).run

    return build


def by_torch(variant: str) -> Callable[[Any, Any], Run]:
    """The same numbers in PyTorch, data and parameters on the device."""

    def build(raced: Any, data: Any) -> Run:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
        step, prepare = torch_step(raced, data, device, variant)

        def run(order: Any) -> float:
            loss: Any = 0.0
            for rows in torch.from_numpy(prepare(order)).to(device):
                loss = step(rows)
            return float(loss)

        return run

    return build


def torch_step(
    raced: Any, data: Any, device: str, variant: str
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """One step of a row order; and what makes the rows of an order."""
    import torch
    from torch.nn import functional

    is_text = raced.kind == "gpt"
    first = writing.first_parameters(raced) if is_text else races.first_parameters(raced)
    x, y = writing.examples(raced) if is_text else data[:2]
    x, y = (torch.from_numpy(np.array(array)).to(device) for array in (x, y))
    parameters = [torch.nn.Parameter(torch.from_numpy(p.copy()).to(device)) for p in first]
    if is_text:
        options = {"lr": raced.lr, "betas": writing.BETAS, "eps": writing.EPSILON}
        optimizer: Any = torch.optim.Adam(parameters, **options, capturable=device == "cuda")
    else:
        optimizer = torch.optim.SGD(parameters, lr=raced.lr)

    def loss_of(rows: Any) -> Any:
        xs, ys = x[rows], y[rows]
        if is_text:
            from contenders import writing_torch

            names = writing.names_of_parameters(raced)
            scores = writing_torch.scores_of_text(
                raced, dict(zip(names, parameters, strict=True)), xs
            )
            return functional.cross_entropy(scores.flatten(0, 1), ys.flatten())
        return functional.cross_entropy(torch_logits(raced, parameters, xs), ys)

    forward = torch.compile(loss_of) if variant == "compile" else loss_of

    def step(rows: Any) -> Any:
        optimizer.zero_grad(set_to_none=variant != "graph")
        loss = forward(rows)
        loss.backward()
        optimizer.step()
        return loss.detach()

    prepare = (lambda order: order % writing.EXAMPLES) if is_text else (lambda order: order)
    if variant != "graph":
        return step, prepare
    replay = captured(step, raced.batch)
    begin_again(parameters, first, optimizer)
    return replay, prepare


def begin_again(parameters: list[Any], first: Any, optimizer: Any) -> None:
    """Give parameters and optimizer the numbers that they had, where these lie."""
    import torch

    with torch.no_grad():
        for parameter, numbers in zip(parameters, first, strict=True):
            parameter.copy_(torch.from_numpy(numbers))
        for kept in optimizer.state.values():
            for tensor in kept.values():
                if isinstance(tensor, torch.Tensor):
                    tensor.zero_()


def captured(step: Callable[[Any], Any], batch: int) -> Callable[[Any], Any]:
    """The step as a CUDA graph, replayed for each batch; its first steps are on row 0, and move the
    parameters.
    """
    import torch

    rows = torch.zeros(batch, dtype=torch.int64, device="cuda")
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):  # type: ignore[no-untyped-call]
        for _ in range(3):
            step(rows)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step(rows)

    def replay(order: Any) -> Any:
        rows.copy_(order)
        graph.replay()
        return loss

    return replay


def torch_logits(raced: Any, parameters: list[Any], X: Any) -> Any:
    """The networks of the races, with their parameters as miniflow has them."""
    import torch
    from torch.nn import functional

    count = 2 * len(raced.kernels)
    if count:
        X = X.view(-1, 1, 28, 28)
        for W, b in zip(parameters[:count:2], parameters[1:count:2], strict=True):
            X = functional.conv2d(X, W.permute(3, 2, 0, 1), b)
            X = functional.max_pool2d(functional.relu(X), 2)
        X = X.permute(0, 2, 3, 1).flatten(1)
    *hidden, (V, c) = zip(parameters[count::2], parameters[count + 1 :: 2], strict=True)
    activation = functional.relu if raced.activation == "relu" else torch.sigmoid
    for W, b in hidden:
        X = activation(X @ W + b)
    return X @ V + c


CONTENDERS: dict[str, Callable[[Any, Any], Run]] = {
    "miniflow, an epoch a call": by_miniflow,
    "JAX, lax.scan": by_jax("scan"),
    "JAX, jit": by_jax("jit"),
    "PyTorch, eager": by_torch("eager"),
    "PyTorch, torch.compile": by_torch("compile"),
    "PyTorch, CUDA graph": by_torch("graph"),
}

if __name__ == "__main__":
    main()
