"""Write the golden files of the version that is installed: once, when it is released.

    PYTHONPATH=tests python -m golden.make_golden tests/golden/VERSION

A folder that exists is left as it is: what people have on their disks does not change either.
"""

import shutil
import sys
from pathlib import Path

import numpy as np

import miniflow as mf
from golden.graphs import CASES, EPOCHS, network, rows
from miniflow.shipped import DIGITS_FILE


def main(folder: Path) -> None:
    """Two models with what they predict, and two checkpoints with where they lead."""
    folder.mkdir(parents=True)
    images, _ = rows()
    expected = {}
    mlp = network(dropout=False)
    mf.fit(mlp.loss, mlp.data, mf.SGD(0.5), epochs=20, rng=0, progress="none", backend="numpy")
    mf.save(mlp.loss, folder / "mlp.safetensors")
    expected["mlp"] = mf.load(folder / "mlp.safetensors")(images)
    shutil.copy(DIGITS_FILE, folder / "digits.safetensors")
    expected["digits"] = mf.load(folder / "digits.safetensors")(pictures())
    for name, make in CASES.items():
        file = folder / f"{name}.checkpoint"
        case = make()
        mf.fit(
            case.loss, case.data, epochs=EPOCHS, checkpoint=file, progress="none", **case.options
        )
        case = make()
        copy = shutil.copy(file, folder / "going_on.checkpoint")
        mf.fit(
            case.loss, case.data, epochs=2 * EPOCHS, checkpoint=copy, resume=True,
            progress="none", **case.options,
        )  # fmt: skip
        for left in folder.glob("going_on*"):
            left.unlink()
        for parameter in case.parameters:
            expected[f"{name}.{parameter.name}"] = parameter.value
    np.savez(folder / "expected.npz", **expected)


def pictures() -> np.ndarray:
    """Four test digits of those that miniflow ships with."""
    return mf.datasets.mnist().test.images[:4]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
