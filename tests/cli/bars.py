"""Data that the command is tested on: 28 × 28 pictures of a lying (0) and a standing (1) bar."""

import pathlib

import numpy as np


def pictures(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Bytes (n, 28, 28) and labels (n,): bars of some length and width, with some noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    images = np.zeros((count, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        half = int(rng.integers(1, 4))
        short = slice(14 - half, 14 + half)
        long = slice(14 - int(rng.integers(7, 11)), 14 + int(rng.integers(7, 11)))
        image[(long, short) if label else (short, long)] = 255
        image[rng.random((28, 28)) < 0.02] = 128
    return images, labels


def write_bars(path: pathlib.Path, count: int = 120) -> pathlib.Path:
    """An .npz file of bars."""
    images, labels = pictures(count)
    np.savez(path, images=images, labels=labels)
    return path


def draw_bar(path: pathlib.Path, standing: bool) -> pathlib.Path:
    """A picture of a bar as a person would draw it: large, dark on light."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (300, 300), "white")
    ends = [(150, 40), (150, 260)] if standing else [(40, 150), (260, 150)]
    ImageDraw.Draw(image).line(ends, fill="black", width=30)
    image.save(path)
    return path
