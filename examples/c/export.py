"""Write what the programs in C are compiled with, and images for them.

`digits.c` is the model that comes with miniflow, with weights of 8 bits. `learner.c` is a training
step for one example, of a network that has seen the digits 0 to 8 and never a nine. `images` has
PGM files, whose names begin with the digit: to be recognised, to be taught, and to be asked for.

    python export.py
"""

import os

import numpy as np

import miniflow as mf
from miniflow.shipped import DIGITS_FILE


def write_pgm(path, image):
    """Write 28 by 28 numbers from 0 to 1 as bytes."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(b"P5 28 28 255\n" + np.rint(255 * image).astype(np.uint8).tobytes())


def write_images(folder, images, labels, counts):
    """Write the first so many images of each digit."""
    for digit, count in counts.items():
        for number, row in enumerate(np.flatnonzero(labels == digit)[:count]):
            write_pgm(f"images/{folder}/{digit}-{number}.pgm", images[row])


def train(images, labels, epochs):
    """A step for one example, of a network that has been trained on these."""
    x, y = mf.Input("pixels"), mf.Input("digit")
    hidden = mf.layers.Dense(32, "relu", rng=0)(x)
    loss = mf.CrossEntropyWithSoftmax(mf.layers.Dense(10, rng=1)(hidden), y, name="loss")
    data = {x: images, y: labels}
    mf.fit(loss, data, mf.Adam(0.002), epochs=epochs, batch_size=64, progress="none")
    step = mf.compile(loss, optimizer=mf.SGD(0.005))
    step({x: images[:1], y: labels[:1]})  # so that its shapes are known: one example
    return step


def main(epochs=4):
    """Write the files; return their sizes."""
    digits = mf.datasets.mnist()
    known, test = digits.train, digits.test
    images, labels = known.images.astype(np.float32) / known.images.max(), known.labels
    seen = labels != 9
    mf.export(train(images[seen].reshape(-1, 784), labels[seen], epochs), "learner.c")
    mf.export(mf.load(DIGITS_FILE), "digits.c", weights="int8")
    tests = test.images.astype(np.float32) / test.images.max()
    write_images("recognise", tests, test.labels, dict.fromkeys(range(10), 1))
    write_images("test", tests, test.labels, dict.fromkeys(range(9), 20) | {9: 60})
    write_images("teach", images, labels, dict.fromkeys(range(9), 10) | {9: 40})
    sizes = {name: os.path.getsize(name) for name in ("digits.c", "learner.c")}
    print(", ".join(f"{name}: {size:,} bytes" for name, size in sizes.items()))
    return sizes


if __name__ == "__main__":
    main()
