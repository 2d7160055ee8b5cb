"""What optimizers of 0.1.0 kept otherwise is read as what they keep today: the mean square itself
in the place of its root, and float16 in the place of float32. Whoever drew random numbers then is
told that they are others now.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.files.arrays import read_arrays, write_arrays
from miniflow.training.changes import RandomNumbersWarning

ROWS = np.random.default_rng(0).normal(size=(32, 3))


def trained(path: Path, make: Any, dtype: type, epochs: int) -> Any:
    """The weights after some epochs, from the checkpoint on if there is one."""
    x, w = mf.Input("x"), mf.Parameter(np.array([1.0, -2.0, 0.5], dtype), "w")
    data, options = {x: ROWS.astype(dtype)}, {"batch_size": 8, "rng": 1, "progress": "none"}
    mf.fit(
        mf.Mean((x * w - 1.0) ** 2), data, make(), epochs=epochs,
        checkpoint=path, resume=True, backend="numpy", **options,
    )  # fmt: skip
    return w.value


def as_0_1_0_wrote_it(path: Path, dtype: type) -> None:
    arrays, about = read_arrays(path, "checkpoint")
    older = {}
    for name, array in arrays.items():
        if name.startswith("optimizer.rms."):
            name, array = name.replace("rms", "square"), array.astype(float) ** 2
        if name.startswith("optimizer.") and not name.endswith("step"):
            array = array.astype(dtype)
        older[name] = array
    kinds = {name: f"{a.dtype}{list(a.shape)}" for name, a in older.items()}
    about = {k: v for k, v in about.items() if k != "sha256"} | {"arrays": kinds}
    write_arrays(path, "checkpoint", older, about)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize(
    "make",
    [
        lambda: mf.Adam(0.05),
        lambda: mf.AdamW(0.05),
        lambda: mf.RMSprop(0.05),
        lambda: mf.SGD(0.05, momentum=0.9),
    ],
    ids=["Adam", "AdamW", "RMSprop", "SGD"],
)
def test_a_training_goes_on_from_what_0_1_0_kept(make: Any, dtype: type, tmp_path: Path) -> None:
    right = trained(tmp_path / "now", make, dtype, 4)
    trained(tmp_path / "then", make, dtype, 2)
    as_0_1_0_wrote_it(tmp_path / "then", dtype)
    assert np.allclose(
        trained(tmp_path / "then", make, dtype, 4).astype(float),
        right.astype(float),
        rtol=1e-5 if dtype is np.float32 else 1e-2,
    )


def go_on(path: Path, draws: list[str], epochs: int) -> None:
    x, y, seed = mf.layers.Input((4, 4), name="X"), mf.Input("y"), mf.Seed()
    hidden = mf.layers.Dense(5, rng=0)(mf.Flatten(x))
    if "Dropout" in draws:
        hidden = mf.Dropout(hidden, seed)
    data = mf.datasets.Dataset(
        np.arange(320, dtype="f4").reshape(20, 4, 4) / 320, np.arange(20) % 5
    )
    given = mf.augmented(data) if "augmentation" in draws else data
    options = {"batch_size": 8, "rng": 1, "progress": "none", "backend": "numpy"}
    mf.fit(
        mf.CrossEntropyWithSoftmax(hidden, y), given, mf.SGD(0.1), epochs=epochs,
        checkpoint=path, resume=True, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    "draws", [[], ["Dropout"], ["augmentation"], ["Dropout", "augmentation"]], ids=str
)
def test_random_numbers_of_another_version_are_told_where_some_are_drawn(
    draws: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "c"
    go_on(path, draws, 1)
    go_on(path, draws, 2)  # silently: the numbers are today's
    arrays, about = read_arrays(path, "checkpoint")
    del about["random_numbers"]  # 0.1.0 said nothing
    write_arrays(path, "checkpoint", arrays, about)
    if not draws:
        go_on(path, draws, 3)
        return
    with pytest.warns(RandomNumbersWarning) as warned:
        go_on(path, draws, 3)
    [message] = [str(one.message) for one in warned]
    assert f"a version of miniflow whose {' and '.join(draws)} drew other" in message
    go_on(path, draws, 4)  # told once
