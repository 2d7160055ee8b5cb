"""Who races: one file a framework, and here the list of them all.

A file has a function `build(variant, race, data)` that returns a runner, an object of two methods:

* `run(work)` does the steps that the rows of `work` describe and returns one number, which can
  only be known once all of it is done: the last loss, say;
* `answer()` returns arrays by which contenders are compared: the parameters, or the last result.

A framework is imported inside its own file only, and its file only in the process of a contender.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Any, Protocol

from races import Array


class Runner(Protocol):
    """What `build` returns."""

    def run(self, work: Array) -> float: ...

    def answer(self) -> list[Array]: ...


@dataclass(frozen=True)
class Setting:
    """How a process is set up before it starts: environment variables, and whether on one core."""

    name: str
    environment: tuple[tuple[str, str], ...] = ()
    pinned: bool = False


ALL = Setting("all threads")
ONE = Setting(
    "1 thread",
    (
        ("OPENBLAS_NUM_THREADS", "1"),
        ("OMP_NUM_THREADS", "1"),
        ("MKL_NUM_THREADS", "1"),
        ("NUMBA_NUM_THREADS", "1"),
        ("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false"),
        ("MINIFLOW_THREADS", "1"),
    ),
)
# JAX uses a second thread even if told not to; on one core it does not.
PINNED = Setting("1 core", ONE.environment, pinned=True)
OWN = Setting("as it comes")
# miniflow gives small products one thread of its own accord, unless it is told a number.
SAID = Setting("all threads", (("OPENBLAS_NUM_THREADS", str(os.cpu_count() or 1)),))
ANEW = ("EMPTY_CACHE", "1")  # the process finds none of the files that were compiled before
EMPTY = (
    Setting("empty cache", (ANEW,)),
    Setting("empty cache, all threads", (*SAID.environment, ANEW)),
)


def on_one_core(setting: Setting) -> Setting:
    """The same with one thread, on one core: how all contenders are set in a race of one thread.

    >>> on_one_core(OWN) == PINNED, on_one_core(EMPTY[1]).name
    (True, 'empty cache, 1 core')
    """
    if ANEW not in setting.environment:
        return PINNED
    return Setting("empty cache, 1 core", (*PINNED.environment, ANEW), pinned=True)


# Which variables of the user's shell could decide a race; contenders start without them.
CLEARED = (
    "OPENBLAS_", "GOTO_", "OMP_", "GOMP_", "KMP_", "MKL_", "NUMBA_", "XLA_", "JAX_", "TORCH",
    "PYTORCH", "MINIFLOW_", "VECLIB_", "BLIS_", "PYTHON",
)  # fmt: skip


@dataclass(frozen=True)
class Contender:
    """One line of a table.

    `kind` is "miniflow", "peer" (a framework), "by hand" (what a person could write instead),
    "rolled" (a framework that is told of a loop where the race has an unrolled graph, and is not
    counted as a peer), "limit" (the products of a step alone, by a BLAS) or "true limit" (its
    multiply-adds alone). Of several `settings` the fastest takes part; of the limits, all do. In a
    race of one thread each has one setting, `on_one_core`.
    """

    name: str
    kind: str
    module: str
    variant: str
    races: tuple[str, ...]
    settings: tuple[Setting, ...] = (ONE, ALL)


LIMITS = ("limit", "true limit")
LEARNING = ("train", "convolution", "sequence", "cold")
ANYTHING = (*LEARNING, "scalar", "infer")
WRITING = ("gpt", "gru")
PRODUCTS = ("train", "convolution", "sequence", "infer", *WRITING)
XLA = (PINNED, ALL)
COMPILED = (OWN, ONE, SAID)

PRACTICE = ("batchnorm", "conv1d", "embedding")

CONTENDERS = (
    Contender("miniflow, interpreter", "miniflow", "miniflow_", "interpreter", ANYTHING),
    Contender("miniflow, numpy", "miniflow", "miniflow_", "numpy", ANYTHING, COMPILED),
    Contender("miniflow, native", "miniflow", "miniflow_", "native", ANYTHING, COMPILED),
    Contender(
        "miniflow, jax", "miniflow", "miniflow_", "jax", ("train", "convolution", "infer"), XLA
    ),
    Contender("miniflow, native, anew", "miniflow", "miniflow_", "native", ("cold",), EMPTY),
    Contender("miniflow, numpy", "miniflow", "miniflow_practice", "numpy", PRACTICE, COMPILED),
    Contender("miniflow, native", "miniflow", "miniflow_practice", "native", PRACTICE, COMPILED),
    Contender("PyTorch eager", "peer", "pytorch_practice", "eager", PRACTICE),
    Contender("PyTorch, sparse gradients", "peer", "pytorch_practice", "sparse", ("embedding",)),
    Contender("torch.compile", "peer", "pytorch_practice", "compile", ("batchnorm", "conv1d")),
    Contender("JAX jit", "peer", "jax_practice", "jit", PRACTICE, XLA),
    Contender("JAX lax.scan", "peer", "jax_practice", "scan", ("batchnorm", "embedding"), XLA),
    Contender("JAX jit, rows by hand", "by hand", "jax_practice", "rows", ("embedding",), XLA),
    Contender("NumPy by hand", "by hand", "by_hand", "plain", ANYTHING),
    Contender("NumPy planned", "by hand", "by_hand_planned", "numpy", ("train", "cold")),
    Contender("NumPy planned, numba", "by hand", "by_hand_planned", "numba", ("train", "cold")),
    Contender("PyTorch eager", "peer", "pytorch", "eager", ANYTHING),
    Contender("PyTorch eager, channels last", "peer", "pytorch", "channels last", ("convolution",)),
    Contender("PyTorch nn.RNN", "rolled", "pytorch", "nn.RNN", ("sequence",)),
    Contender(
        "torch.compile",
        "peer",
        "pytorch",
        "compile",
        ("train", "convolution", "scalar", "infer", "cold"),
    ),
    Contender("JAX jit", "peer", "jax_", "jit", ANYTHING, XLA),
    Contender("JAX lax.scan", "peer", "jax_", "scan", LEARNING, XLA),
    Contender("JAX lax.scan over time", "rolled", "jax_", "rolled", ("sequence",), XLA),
    Contender("scikit-learn, a batch a call", "peer", "sklearn_", "batch", ("train",)),
    Contender("scikit-learn, many a call", "peer", "sklearn_", "chunk", ("train", "cold")),
    Contender("scikit-learn", "peer", "sklearn_", "infer", ("infer",)),
    Contender("autograd", "peer", "autograd_", "", ("train", "sequence", "scalar")),
    Contender("micrograd", "peer", "micrograd_", "", ("scalar",), (OWN,)),
    Contender("miniflow, interpreter", "miniflow", "writing_miniflow", "interpreter", WRITING),
    Contender("miniflow, numpy", "miniflow", "writing_miniflow", "numpy", WRITING, COMPILED),
    Contender("miniflow, native", "miniflow", "writing_miniflow", "native", WRITING, COMPILED),
    Contender("miniflow, jax", "miniflow", "writing_miniflow", "jax", WRITING, XLA),
    Contender("PyTorch eager", "peer", "writing_torch", "eager", WRITING),
    Contender("torch.compile", "peer", "writing_torch", "compile", WRITING),
    Contender("JAX jit", "peer", "writing_jax", "jit", WRITING, XLA),
    Contender("JAX lax.scan", "peer", "writing_jax", "scan", WRITING, XLA),
    Contender("plain Python, scalars", "by hand", "writing_scalar", "", ("gpt",), (OWN,)),
    Contender("products by NumPy's BLAS", "limit", "limit", "numpy", PRODUCTS),
    Contender("products by PyTorch", "limit", "limit", "torch", PRODUCTS),
    Contender("multiply-adds in registers", "true limit", "peak", "", PRODUCTS),
)


def pieces_of(runner: Any, seconds: float) -> dict[str, float]:
    """What a round is made of, by name: one piece, unless the runner measures several itself."""
    return getattr(runner, "pieces", None) or {"step": seconds}


def can_pin() -> bool:
    """Whether this system lets a process choose its cores."""
    return sys.platform == "linux"
