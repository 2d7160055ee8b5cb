"""What is fuzzed: a `Target` makes an input from a seed, and uses it as a person would.

`prepare` writes the input into the target's folder and `use` reads it there; only `use` is watched.
It may raise `MiniflowError` or `OSError`; anything else is a defect, and so is what a target's own
look at the result finds wrong (an AssertionError).

Files with a checksum (models, checkpoints, PNG, zip, gzip) are changed in two ways: as they are,
which the checksum finds out, and inside, with a new checksum, so that what lies behind it is
reached.
"""

import contextlib
import gzip
import io
import json
import pathlib
import random
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from blobs import Problem, problem
from mutations import NUMBERS, mutated, mutated_json, mutated_words

import miniflow as mf
from miniflow.callbacks import EarlyStopping, KeepBest
from miniflow.checkpoints import previous_path
from miniflow.cli import app
from miniflow.cli.classifiers import load_classifier
from miniflow.cli.predict import predict_one
from miniflow.datasets import Dataset, Splits, digits
from miniflow.datasets import load as load_data
from miniflow.datasets.digits import MNIST_FILES
from miniflow.datasets.idx import read_idx, write_idx
from miniflow.errors import DataError, MiniflowError, ModelFileError
from miniflow.files import read_arrays, sealed
from miniflow.ir.dtypes import DTYPES
from miniflow.ir.primitives import PRIMITIVES
from miniflow.networks import build
from miniflow.optimizers import SGD, Adam
from miniflow.training import fit

MOST_NUMBERS = 1 << 20  # a model that takes larger inputs is not called


class Target:
    """Something that reads what strangers give. Subclasses have `prepare` and `use`."""

    name = ""
    share = 1  # of all inputs, in relation to the others'

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder / self.name
        self.folder.mkdir()

    def prepare(self, draw: random.Random) -> None:
        """Write an input."""
        raise NotImplementedError

    def use(self) -> None:
        """Read it, and do what one does with it."""
        raise NotImplementedError


# --- Models

WORDS = [*PRIMITIVES, *DTYPES, "array", "scalar", "python", "fed", "parameter", "value", "n", "v"]


def write_models(folder: pathlib.Path) -> list[pathlib.Path]:
    """Model files of all kinds of graphs."""
    rng = np.random.default_rng(0)
    X, i = mf.Input("X"), mf.Input("i")
    dense = build((6, 5, 3), 0)
    image = mf.Reshape(X, (-1, 6, 6, 1))
    W, b = mf.Parameter(rng.normal(size=(3, 3, 1, 2)), "W"), mf.Parameter(np.zeros(2), "b")
    conv = mf.Flatten(mf.MaxPool(mf.ReLU(mf.Conv2D(image, W, b, padding="same")), 2))
    table = mf.Parameter(rng.normal(size=(4, 3)), "table")
    gathered = mf.LayerNorm(
        mf.Gather(table, i), mf.Parameter(np.ones(3)), mf.Parameter(np.zeros(3))
    )
    many = mf.Where(X, mf.Softmax(mf.GELU(X)), X[:, ::-1] ** 2) + mf.Max(X, axis=1, keepdims=True)
    mixed = mf.Concat(mf.Mean(many, axis=0, keepdims=True), many, axis=0)
    graphs = {
        "dense": (dense.logits, {dense.X: np.zeros((2, 6), np.float32)}),
        "convolution": (conv, {X: np.zeros((2, 36))}),
        "table": (gathered, {i: np.zeros(2, np.uint8)}),
        "mixed": (mixed, {X: np.ones((2, 4), np.float32)}),
        "numbers": (mf.Exp(X) / 2.0, {X: 1.0}),
    }
    paths = []
    for name, (output, inputs) in graphs.items():
        paths.append(folder / f"{name}.safetensors")
        mf.save(output, paths[-1], inputs)
    return paths


class Models(Target):
    """Model files, as `mf.load` and whoever calls the model take them."""

    name, share = "model", 30

    def __init__(self, folder: pathlib.Path) -> None:
        Target.__init__(self, folder)
        paths = write_models(self.folder)
        self.whole = [path.read_bytes() for path in paths]
        self.parts = [read_arrays(path, "model") for path in paths]
        self.path = self.folder / "mutated.safetensors"
        self.backend = "numpy"

    def prepare(self, draw: random.Random) -> None:
        self.backend = draw.choice(("numpy", "reference", "auto"))
        self.path.write_bytes(self.changed(draw))

    def changed(self, draw: random.Random) -> bytes:
        return changed_container(draw, self.whole, self.parts, WORDS)

    def use(self) -> None:
        model = mf.load(self.path, self.backend)
        str(model.program), repr(model)
        assert model.outputs >= 0
        assert model.parameter_count >= 0
        for n in (1, 3):
            shapes = [tuple(n if s is None else s for s in entry.shape) for entry in model.inputs]
            if all(np.prod(shape, dtype=float) <= MOST_NUMBERS for shape in shapes):
                given = [
                    np.ones(shape, entry.dtype)
                    for shape, entry in zip(shapes, model.inputs, strict=True)
                ]
                np.shape(model.predict(*given))


def changed_container(
    draw: random.Random,
    whole: Sequence[bytes],
    parts: Sequence[tuple[dict[str, Any], dict[str, Any]]],
    words: Sequence[str],
) -> bytes:
    """One of our safetensors files, changed outside or inside."""
    if draw.random() < 0.3:
        return mutated(draw, draw.choice(whole), whole)
    arrays, about = draw.choice(parts)
    arrays = dict(arrays)
    if arrays and draw.random() < 0.2:
        name = draw.choice(sorted(arrays))
        arrays[name] = draw.choice(
            (
                np.zeros(
                    draw.choice(((), (0,), (1,), (5, 6), (2, 3, 4))), draw.choice(list("fdiB?"))
                ),
                arrays[name].T,
                np.full_like(arrays[name], draw.choice((0, 1, -1, 7, float("nan"))))
                if arrays[name].dtype.kind == "f"
                else arrays[name],
            )
        )
        if draw.random() < 0.3:
            arrays[draw.choice((name + "x", "", "\x1b[0m", "9"))] = arrays.pop(name)
    if draw.random() < 0.9:
        about = mutated_json(draw, about, words)
    try:
        return sealed(arrays, about)
    except (TypeError, ValueError, AttributeError):  # no longer what a file can hold
        return mutated(draw, draw.choice(whole), whole)


# --- Checkpoints


class Checkpoints(Target):
    """Checkpoints, as `fit(..., resume=True)` takes them."""

    name, share = "checkpoint", 12

    def __init__(self, folder: pathlib.Path) -> None:
        Target.__init__(self, folder)
        self.path = self.folder / "checkpoint.safetensors"
        self.kinds: list[Callable[[], dict[str, Any]]] = [
            lambda: {
                "optimizer": SGD(0.1, momentum=0.9),
                "rng": np.random.Generator(np.random.PCG64(1)),
                "callbacks": [KeepBest("validation_loss")],
            },
            lambda: {
                "optimizer": Adam(0.02),
                "rng": np.random.Generator(np.random.MT19937(1)),
                "callbacks": [EarlyStopping("loss")],
            },
            lambda: {"optimizer": SGD(0.1), "rng": np.random.Generator(np.random.Philox(1))},
        ]
        self.whole, self.parts = [], []
        for kind in self.kinds:
            self.path.unlink(missing_ok=True)
            self.train(problem(count=32), kind(), epochs=1)
            self.whole.append(self.path.read_bytes())
            self.parts.append(read_arrays(self.path, "checkpoint"))
        self.kind = 0

    def train(self, p: Problem, options: dict[str, Any], epochs: int) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            fit(
                p.loss,
                p.data,
                epochs=epochs,
                batch_size=16,
                validation=p.validation,
                checkpoint=self.path,
                resume=True,
                progress="lines",
                backend="interpreter",
                **options,
            )

    def prepare(self, draw: random.Random) -> None:
        self.kind = draw.randrange(len(self.kinds))
        at = slice(self.kind, self.kind + 1)
        changed = changed_container(
            draw, self.whole[at], self.parts[at], ["PCG64", "Adam", "0", ""]
        )
        self.path.write_bytes(changed)
        before = previous_path(self.path)
        before.unlink(missing_ok=True)
        if draw.random() < 0.2:
            before.write_bytes(self.whole[self.kind])

    def use(self) -> None:
        p = problem(count=32)
        first, options = p.bytes(), self.kinds[self.kind]()
        state = options["rng"].bit_generator.state
        try:
            self.train(p, options, epochs=2)
        except ModelFileError as error:
            if "best epoch" not in str(error):
                assert p.bytes() == first, "a refused checkpoint changed the parameters"
                assert str(options["rng"].bit_generator.state) == str(state)
            raise


# --- IDX and NPZ


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


# --- Pictures


def write_pictures() -> list[bytes]:
    """Pictures of a stroke in every format and mode that is read."""
    from PIL import Image, ImageDraw

    grey = Image.new("L", (40, 30), 230)
    ImageDraw.Draw(grey).line([(20, 4), (18, 26)], fill=20, width=4)
    clear = Image.merge("RGBA", (grey, grey, grey, grey.point(lambda x: 255 - x)))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6  # held sideways
    kinds: list[tuple[Any, str, dict[str, Any]]] = [
        (grey, "PNG", {}),
        (clear, "PNG", {}),
        (deep, "PNG", {}),
        (grey.convert("P"), "PNG", {"transparency": 3}),
        (grey.convert("1"), "PNG", {}),
        (grey, "JPEG", {"exif": exif}),
        (grey.convert("RGB"), "JPEG", {"progressive": True}),
        (grey.convert("CMYK"), "JPEG", {}),
        (grey, "BMP", {}),
        (grey.convert("RGB"), "BMP", {}),
        (grey, "GIF", {"save_all": True, "append_images": [grey.rotate(90)]}),
        (grey, "TIFF", {}),
        (clear, "TIFF", {"compression": "tiff_lzw"}),
        (deep, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (grey.convert("1"), "TIFF", {"compression": "group4"}),
        (grey.convert("F"), "TIFF", {}),
        (clear, "WEBP", {"lossless": True}),
        (grey.convert("RGB"), "WEBP", {}),
        (grey, "PPM", {}),
        (deep, "PPM", {}),
    ]
    pictures = []
    for image, kind, options in kinds:
        stream = io.BytesIO()
        with contextlib.suppress(OSError):  # Pillow may have been built without a format
            image.save(stream, kind, **options)
            pictures.append(stream.getvalue())
    return [*pictures, b"P3\n# text\n3 2\n255\n" + b"0 128 255\n" * 6]


class Pictures(Target):
    """Pictures, as `miniflow predict` takes them."""

    name, share = "picture", 13

    def __init__(self, folder: pathlib.Path) -> None:
        Target.__init__(self, folder)
        self.whole = write_pictures()
        network = build((784, 10), 0)
        model = self.folder / "model.safetensors"
        mf.save(network.logits, model, {network.X: np.zeros((1, 784), np.float32)})
        self.model = load_classifier(model)
        self.path = self.folder / "picture"

    def prepare(self, draw: random.Random) -> None:
        whole = draw.choice(self.whole)
        if whole.startswith(b"\x89PNG") and draw.random() < 0.7:
            self.path.write_bytes(with_right_checksums(draw, whole))
        else:
            self.path.write_bytes(mutated(draw, whole, self.whole))

    def use(self) -> None:
        found = predict_one(self.model, str(self.path))
        if found.error is not None:
            raise DataError(found.error)
        assert found.empty or abs(sum(found.probabilities or []) - 1) < 1e-5


def with_right_checksums(draw: random.Random, png: bytes) -> bytes:
    """A PNG file with a change in one of its chunks, and all checksums right."""
    out, at, chunks = png[:8], 8, []
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        chunks.append([png[at + 4 : at + 8], png[at + 8 : at + 8 + length]])
        at += 12 + length
    chosen = draw.choice(chunks)
    if chosen[0] == b"IDAT" and draw.random() < 0.5:
        chosen[1] = zlib.compress(mutated(draw, zlib.decompress(chosen[1])))
    else:
        chosen[1] = mutated(draw, chosen[1])
    if draw.random() < 0.1:
        chunks.insert(draw.randrange(len(chunks)), list(draw.choice(chunks)))
    for kind, data in chunks:
        out += (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )
    return out


# --- The command


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


TARGETS: list[type[Target]] = [Models, Checkpoints, Idx, Npz, Pictures, Command]
DECLARED = (MiniflowError, OSError)


def make_quick() -> None:
    """What takes long and is not what is looked at: of MNIST, a few images are enough; a run's
    pictures, which take longer to draw than such a run, are empty files.
    """
    from miniflow import reports

    whole = mf.datasets.mnist()
    few = Splits(*(Dataset(d.images[:200], d.labels[:200], image_shape=(28, 28)) for d in whole))
    digits._embedded = lambda: few  # type: ignore[assignment]

    for name, place in (("learning_curve", 1), ("confusion_matrix", 2), ("worst_mistakes", 3)):
        setattr(
            reports,
            name,
            lambda *given, place=place, **options: given[place].write_bytes(b""),
        )
    warnings.simplefilter("error")
