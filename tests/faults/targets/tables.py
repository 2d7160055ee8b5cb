"""IDX and NPZ files."""

import gzip
import io
import pathlib
import random
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from mutations import NUMBERS, mutated

from miniflow.datasets import load as load_data
from miniflow.datasets.idx import read_idx, write_idx
from miniflow.datasets.idx_folders import MNIST_FILES
from targets.target import Target


class Idx(Target):
    """IDX files, plain and packed, one by one and as a folder of data."""

    name, share = "idx", 20

    def __init__(self, folder: pathlib.Path) -> None:
        Target.__init__(self, folder)
        rng = np.random.default_rng(0)
        self.good = {
            name: rng.integers(0, 10, (20, 4, 5) if "images" in name else 20).astype(np.uint8)
            for name in MNIST_FILES
        }
        arrays = [*self.good.values(), rng.normal(size=(2, 3)), rng.normal(size=9).astype("f4")]
        arrays += [np.arange(8, dtype="i4").reshape(2, 2, 2), np.zeros((0, 3), "i2")]
        path = self.folder / "one"
        self.plain = []
        for array in arrays:
            write_idx(path, array)
            self.plain.append(path.read_bytes())
        self.packed = [gzip.compress(data, 6, mtime=0) for data in self.plain]
        self.packed.append(gzip.compress(self.plain[0] + bytes(3_000_000), 9, mtime=0))
        self.path = path
        for name, array in self.good.items():
            write_idx(self.folder / name, array)

    def prepare(self, draw: random.Random) -> None:
        kind = draw.choice(("plain", "plain", "packed", "inside"))
        if kind == "packed":
            data = mutated(draw, draw.choice(self.packed), self.packed)
        else:
            data = mutated(draw, draw.choice(self.plain), self.plain)
        if kind == "inside":
            data = gzip.compress(data, 1, mtime=0)
        self.is_folder = draw.random() < 0.3
        self.changed = self.folder / draw.choice(MNIST_FILES) if self.is_folder else self.path
        self.changed.write_bytes(data)

    def use(self) -> None:
        try:
            if self.is_folder:
                check_splits(load_data(self.folder))
            else:
                array = read_idx(self.changed)
                assert array.flags.writeable
                assert array.ndim >= 1
        finally:
            if self.is_folder:
                write_idx(self.changed, self.good[self.changed.name])


def check_splits(splits: Any) -> None:
    """That what was taken for data is data."""
    for part in splits:
        assert len(part.images) == len(part.labels) == len(part) > 0
        assert np.isfinite(part.images).all()
        assert part.labels.min() >= 0
        next(part.batches(4))


class Npz(Target):
    """NumPy's zips of arrays."""

    name, share = "npz", 15

    def __init__(self, folder: pathlib.Path) -> None:
        Target.__init__(self, folder)
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (30, 4, 5)).astype(np.uint8)
        labels = rng.integers(0, 3, 30)
        self.sets: list[dict[str, Any]] = [
            {"images": images, "labels": labels},
            {"images": images / 255, "labels": labels, "test_images": images[:4] / 255,
             "test_labels": labels[:4]},
            {"images": np.asfortranarray(images.reshape(30, 20)), "labels": labels.astype(">i2")},
            {"images": np.array([{}, print], object), "labels": labels[:2]},
        ]  # fmt: skip
        self.members = []
        for arrays in self.sets:
            stream = io.BytesIO()
            np.savez(stream, **arrays)
            with zipfile.ZipFile(stream) as archive:
                self.members.append({name: archive.read(name) for name in archive.namelist()})
        self.whole = [zipped(m, zipfile.ZIP_STORED) for m in self.members]
        self.whole += [zipped(m, zipfile.ZIP_DEFLATED) for m in self.members]
        self.path = self.folder / "data.npz"

    def prepare(self, draw: random.Random) -> None:
        if draw.random() < 0.5:
            self.path.write_bytes(mutated(draw, draw.choice(self.whole), self.whole))
            return
        members = dict(draw.choice(self.members))
        name = draw.choice(sorted(members))
        changed = members[name]
        if draw.random() < 0.5:
            changed = with_header(draw, changed)
        else:
            changed = mutated(draw, changed, list(members.values()))
        members[name] = changed
        if draw.random() < 0.1:
            members[draw.choice(("../up.npy", "test_images.npy", "labels.npy"))] = members.pop(name)
        self.path.write_bytes(zipped(members, draw.choice((0, zipfile.ZIP_DEFLATED))))

    def use(self) -> None:
        check_splits(load_data(self.path))


def zipped(members: dict[str, bytes], method: int) -> bytes:
    """A zip file, with right checksums."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return stream.getvalue()


def with_header(draw: random.Random, data: bytes) -> bytes:
    """An `.npy` with another header, of the right length."""
    length = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + length].decode("latin-1")
    descr = draw.choice(("|u1", "<f8", "|O", "<f4", ">i8", "|S9", "<U4", "<c16", "<M8[s]", "|V3"))
    shape = draw.choice(
        ("()", "(0,)", "(-1,)", f"({draw.choice(NUMBERS)},)", f"({draw.choice(NUMBERS)}, 4, 5)")
    )
    changes: list[Callable[[], str]] = [
        lambda: re.sub(r"'descr': '[^']*'", f"'descr': '{descr}'", header),
        lambda: re.sub(r"\([^)]*\)", shape, header),
        lambda: header.replace("False", "True"),
        lambda: header.replace("}", ", 'x': __import__('os').system('true')}"),
        lambda: "(" * draw.choice((50, 5000)),
        lambda: mutated(draw, header.encode("latin-1")).decode("latin-1"),
    ]
    text = draw.choice(changes)().rstrip() + "\n"
    packed = text.encode("latin-1", "replace")[:65535]
    return data[:8] + len(packed).to_bytes(2, "little") + packed + data[10 + length :]
