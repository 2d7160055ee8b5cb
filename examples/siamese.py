"""A siamese network: are these two digits the same?

Both images go through the *same* layers: calling a layer twice makes two nodes of one set of
parameters, whose gradients add up. What is trained is how near the two descriptions are. It is then
asked about digits of a kind that it has never seen.

    python examples/siamese.py
"""

import numpy as np

import miniflow as mf
from miniflow import layers

UNSEEN = 7


def pairs(images, labels, count, rng):
    """As many pairs of the same digit as of different ones."""
    first = rng.integers(0, len(labels), count)
    second = rng.integers(0, len(labels), count)
    of_digit = {digit: np.flatnonzero(labels == digit) for digit in np.unique(labels)}
    for k in range(0, count, 2):
        second[k] = rng.choice(of_digit[labels[first[k]]])
    same = (labels[first] == labels[second]).astype(np.float32)
    return images[first], images[second], same[:, np.newaxis]


def main(epochs=10, count=20_000):
    digits, rng = mf.datasets.mnist(), np.random.default_rng(0)
    seen = digits.train.labels != UNSEEN
    images, labels = digits.train.images[seen], digits.train.labels[seen]

    A, B, y = layers.Input((784,), name="A"), layers.Input((784,), name="B"), mf.Input("y")
    describe = layers.Sequential([layers.Dense(128, "relu"), layers.Dense(32)], rng=0)
    likeness = mf.CosineSimilarity(describe(A), describe(B))
    scale, shift = (
        mf.Parameter(np.float32([5.0]), "scale"),
        mf.Parameter(np.float32([-2.5]), "shift"),
    )
    logit = mf.Reshape(likeness, (-1, 1)) * scale + shift
    loss = mf.BinaryCrossEntropy(logit, y)
    assert len(mf.parameters(loss)) == 6  # two layers, scale and shift: shared, and so there once

    a, b, same = pairs(images, labels, count, rng)
    mf.fit(loss, {A: a, B: b, y: same}, mf.Adam(0.002), epochs=epochs, rng=0, progress="none")

    a, b, same = pairs(digits.test.images, digits.test.labels, 2000, rng)
    right = mf.accuracy(loss, {A: a, B: b, y: same})
    print(f"test pairs told apart: {right:.1%}")

    new = digits.test.images[digits.test.labels == UNSEEN][:200]
    other = digits.test.images[digits.test.labels != UNSEEN][:200]
    alike = mf.value(likeness, {A: new, B: new[::-1]}).mean()
    unlike = mf.value(likeness, {A: new, B: other}).mean()
    print(f"a {UNSEEN}, never seen before: like another {alike:.2f}, like others {unlike:.2f}")
    return right


if __name__ == "__main__":
    main()
