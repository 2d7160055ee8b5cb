"""The true limit: a step's gather, and its multiply-adds at the rate of which the processor is
capable, in registers, with nothing to load and nothing to store.

The multiply-adds are machine code of the native backend's LLVM, as many chains as hide their
latency; on all threads, each does its share. Nobody's products are as fast as that.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from races import Data, Race, products

from contenders import Runner
from contenders.limit import Pieces, in_numpy

CHAINS = 12  # multiply-adds of vectors under way; twice as many where there are 32 registers


def build(variant: str, race: Race, data: Data) -> Runner:
    """The gather, by NumPy, and the multiply-adds of all products of a step."""
    functions = {name: f for name, f in in_numpy(race, data).items() if name == "gather"}
    amount = sum(product.count * product.m * product.n * product.k for product in products(race))
    functions["multiply-adds"] = 1, multiply_adds(amount)
    return Pieces(functions)


def multiply_adds(amount: int) -> Callable[[int], None]:
    """A function that does so many multiply-adds, so many times, on as many threads as it may."""
    from miniflow.backends.native import machine

    found = machine.processor()
    lanes, chains = found.nbytes // 4, CHAINS * (2 if found.registers > 16 else 1)
    address = machine.final_routine(text(lanes, chains, found.has_fma))
    call = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)(address)
    threads = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))
    pool = ThreadPoolExecutor(threads)
    results = [np.zeros(lanes, np.float32) for _ in range(threads)]

    def run(repeats: int) -> None:
        turns = max(round(amount * repeats / (lanes * chains * threads)), 1)
        if threads == 1:
            call(turns, results[0].ctypes.data)
        else:
            list(pool.map(lambda result: call(turns, result.ctypes.data), results))

    return run


def text(lanes: int, chains: int, has_fma: bool) -> str:
    """LLVM's text of `run(turns, result)`: so many times, each chain is one multiply-add longer."""
    vector = f"<{lanes} x float>"
    fma = f"@llvm.fma.v{lanes}f32"
    lines = [
        f"declare {vector} {fma}({vector}, {vector}, {vector})",
        "define i64 @run(i64 %turns, ptr %result) nounwind {",
        "entry:",
        f"%x = load {vector}, ptr %result, align 4",
        "br label %turn",
        "turn:",
        "%left = phi i64 [%turns, %entry], [%fewer, %turn]",
        *(f"%c{i} = phi {vector} [%x, %entry], [%d{i}, %turn]" for i in range(chains)),
    ]
    for i in range(chains):
        if has_fma:
            lines.append(f"%d{i} = call {vector} {fma}({vector} %x, {vector} %x, {vector} %c{i})")
        else:
            lines.append(f"%p{i} = fmul {vector} %x, %c{i}")
            lines.append(f"%d{i} = fadd {vector} %p{i}, %x")
    lines += [
        "%fewer = add i64 %left, -1",
        "%more = icmp ne i64 %fewer, 0",
        "br i1 %more, label %turn, label %done",
        "done:",
        f"%s0 = fadd {vector} %d0, %x",
    ]
    lines += [f"%s{i} = fadd {vector} %s{i - 1}, %d{i}" for i in range(1, chains)]
    lines += [f"store {vector} %s{chains - 1}, ptr %result, align 4", "ret i64 0", "}"]
    return "\n".join(lines)
