"""How many bytes and microseconds a digit costs in C, and in the native backend on one thread.

    python compare.py

The model is the one that comes with miniflow, for one image. Bytes are those of machine code and
constants, and of the memory that a run uses; seconds are the processor's, the best of some rounds,
which take turns.
"""

import ctypes
import os
import re
import subprocess
import time

import numpy as np

import miniflow as mf
from miniflow.shipped import DIGITS_FILE

CC = os.environ.get("CC", "gcc")
FLAGS = ["-std=c99", "-O3", "-mavx2", "-mfma", "-ffp-contract=off"]


def compiled(model, weights):
    """What predicts in C, and its bytes: code with constants, and scratch memory."""
    mf.export(model, "compared.c", weights=weights)
    library = f"compared-{weights}.so"
    subprocess.run([CC, *FLAGS, "-c", "-fPIC", "compared.c", "-o", "compared.o"], check=True)
    subprocess.run([CC, "-shared", "compared.o", "-o", library, "-lm"], check=True)
    told = subprocess.run(["size", "compared.o"], capture_output=True, text=True, check=True)
    text, data = map(int, told.stdout.splitlines()[1].split()[:2])
    with open("compared.c", encoding="utf-8") as file:
        scratch = int(re.search(r"SCRATCH_BYTES (\d+)", file.read())[1])
    return ctypes.CDLL(os.path.abspath(library)).compared_predict, text + data, scratch


def microseconds(run, times=200):
    """Of the processor's time, for one call."""
    start = time.process_time()
    for _ in range(times):
        run()
    return 1e6 * (time.process_time() - start) / times


def main(rounds=20):
    """Print the table; return the ratio of C's time, as it is and with int8, to native's."""
    mf.set_threads(1)
    model = mf.load(DIGITS_FILE, backend="native")
    image, scores = np.random.default_rng(0).random((1, 784), np.float32), np.zeros(10, "f4")
    places = [ctypes.c_void_p(array.ctypes.data) for array in (image, scores)]
    runs, sizes = {"native": lambda: model(image)}, {"native": "-"}
    for name, weights in (("C", None), ("C, int8", "int8")):
        function, code, scratch = compiled(model, weights)
        runs[name] = lambda function=function: function(*places)
        sizes[name] = f"{code:,} + {scratch:,}"
    best = {name: min(microseconds(run) for _ in range(rounds)) for name, run in runs.items()}
    for name, found in best.items():
        print(f"{name:8} {sizes[name]:>18} bytes {found:8.1f} µs")
    return [best[name] / best["native"] for name in ("C", "C, int8")]


if __name__ == "__main__":
    main()
