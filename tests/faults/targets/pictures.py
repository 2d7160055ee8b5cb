"""Pictures: PNG, JPEG and their kin, whole and cut, with right and wrong checksums."""

import contextlib
import io
import pathlib
import random
import struct
import zlib
from typing import Any

import numpy as np
from mutations import mutated

import miniflow as mf
from miniflow.cli.classifiers import load_classifier
from miniflow.cli.predict import predict_one
from miniflow.errors import DataError
from miniflow.layers.networks import build
from targets.target import Target


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
        if found.probabilities is None:
            assert found.reason
        else:
            assert abs(sum(found.probabilities) - 1) < 1e-5


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
