"""An autoencoder: digits through a bottleneck of 16 numbers, and back.

The network is trained to give out what went in. What it makes of test images is written as a
picture, originals above and reconstructions below; the 16 numbers come from a node inside the same
graph, and are compared with as many principal components.

    python examples/autoencoder.py
"""

import numpy as np
from PIL import Image

import miniflow as mf
from miniflow import layers


def main(epochs=10, count=20_000, path="autoencoder.png"):
    digits = mf.datasets.mnist()
    images, test = digits.train.images[:count], digits.test.images[:1000]

    X = layers.Input((784,), name="X")
    code = layers.Sequential([layers.Dense(128, "relu"), layers.Dense(16, name="code")], rng=0)(X)
    logits = layers.Sequential([layers.Dense(128, "relu"), layers.Dense(784)], rng=1)(code)
    loss = mf.BinaryCrossEntropy(logits, X)  # pixels from 0 to 1 are its probabilities
    mf.fit(loss, {X: images}, mf.Adam(0.002), epochs=epochs, rng=0, progress="none")

    again, codes = mf.predict([mf.Sigmoid(logits), code], test)
    off = float(((again - test) ** 2).mean())
    print(f"16 numbers an image, {codes.shape}; squared error a pixel {off:.4f}")
    print(f"16 principal components: {of_components(images[:5000], test, 16):.4f}")

    rows = np.vstack([np.hstack(some[:12].reshape(-1, 28, 28)) for some in (test, again)])
    Image.fromarray((255 * (1 - rows)).astype(np.uint8)).resize((28 * 12 * 3, 28 * 2 * 3)).save(
        path
    )
    print("written:", path)
    return off


def of_components(images, test, count):
    """The squared error of the best linear map through as many numbers."""
    mean = images.mean(axis=0)
    _, components = np.linalg.eigh((images - mean).T @ (images - mean))  # the last are the largest
    kept = components[:, -count:].T
    return float(((mean + (test - mean) @ kept.T @ kept - test) ** 2).mean())


if __name__ == "__main__":
    main()
