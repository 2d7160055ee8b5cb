"""Text: a network that has read names makes up new ones.

Three letters are looked up in one table of rows (an embedding), and a network says how probable
each next letter is. Trained on 25,000 given names, it is then drawn from, a letter at a time,
until it says that the name ends.

    python examples/text.py
"""

import numpy as np

import miniflow as mf
from miniflow import layers

LETTERS = ".abcdefghijklmnopqrstuvwxyz"  # the dot: before a name begins, and after it ends
SEEN = 3


def examples_of(names):
    """Each letter of each name, with the three before it."""
    numbers = {letter: i for i, letter in enumerate(LETTERS)}
    before, after = [], []
    for name in names:
        last = [0] * SEEN
        for letter in name + ".":
            before.append(last)
            after.append(numbers[letter])
            last = [*last[1:], numbers[letter]]
    return np.array(before), np.array(after)


def main(every=1, epochs=8, made=10):
    names = mf.datasets.names()
    before, after = examples_of(names.train[::every])

    X, y = mf.Input("X", shape=(SEEN,), dtype=int), mf.Input("y")
    letters = mf.Flatten(layers.Embedding(len(LETTERS), 16, rng=0)(X))
    logits = layers.Sequential([layers.Dense(128, "tanh"), layers.Dense(len(LETTERS))], rng=1)(
        letters
    )
    loss = mf.CrossEntropyWithSoftmax(logits, y)
    rate = mf.schedules.CosineDecay(0.005, steps=epochs * (len(after) // 256 + 1))
    mf.fit(
        loss,
        {X: before, y: after},
        mf.Adam(rate),
        epochs=epochs,
        batch_size=256,
        rng=0,
        progress="none",
    )

    before, after = examples_of(names.validation)
    left = mf.evaluate(loss, {X: before, y: after}).loss
    print(f"loss {left:.3f} a letter; a guess among all letters costs {np.log(len(LETTERS)):.3f}")

    rng, next_letter = np.random.default_rng(0), mf.compile(mf.Softmax(logits))
    for _ in range(made):
        name, last = "", [0] * SEEN
        while not name.endswith(".") and len(name) < 15:
            probabilities = next_letter({X: np.array([last])})[0].astype(float)
            chosen = rng.choice(len(LETTERS), p=probabilities / probabilities.sum())
            name, last = name + LETTERS[chosen], [*last[1:], chosen]
        print(name.rstrip("."))
    return left


if __name__ == "__main__":
    main()
