"""A table: numbers, a category, and a price to be predicted.

Flats have a size, an age and a quarter. The numbers are scaled with what the training rows say; the
quarter is a row of an embedding. Two inputs of different kinds meet in `Concat`, and the network is
trained with early stopping, and asked about rows that it has not seen.

    python examples/tabular.py
"""

import numpy as np

import miniflow as mf
from miniflow import layers


def make_flats(count, rng):
    """A made-up town: prices in thousands that depend on everything, and some luck."""
    size, age = rng.uniform(20, 150, count), rng.uniform(0, 100, count)
    quarter = rng.integers(0, 6, count)
    rate = np.array([2.0, 2.4, 2.9, 3.1, 3.8, 5.0])[quarter]
    price = size * rate * (1 - 0.004 * age + 0.00003 * age**2) + rng.normal(0, 12, count)
    return np.column_stack([size, age]), quarter, price


def main(count=4000, epochs=60):
    numbers, quarter, price = make_flats(count, np.random.default_rng(0))
    cut, end = count * 7 // 10, count * 85 // 100  # to learn from, to choose by, to report on
    mean, spread = numbers[:cut].mean(axis=0), numbers[:cut].std(axis=0)
    scaled = ((numbers - mean) / spread).astype(np.float32)
    unit = price[:cut].std()  # targets of about 1 are learned fastest
    target = ((price / unit)[:, np.newaxis]).astype(np.float32)

    X, place, y = (
        layers.Input((2,), name="X"),
        mf.Input("place", shape=(), dtype=int),
        mf.Input("y"),
    )
    beside = mf.Concat(X, layers.Embedding(6, 3, rng=0)(place), axis=1)
    network = layers.Sequential(
        [layers.Dense(32, "relu"), layers.Dense(32, "relu"), layers.Dense(1)], rng=1
    )
    prediction = network(beside)
    loss = mf.Huber(prediction, y)
    mf.summary(prediction)

    train, validation, test = (
        {X: scaled[part], place: quarter[part], y: target[part]}
        for part in (slice(cut), slice(cut, end), slice(end, None))
    )
    history = mf.fit(
        loss,
        train,
        mf.Adam(0.003),
        epochs=epochs,
        batch_size=64,
        validation=validation,
        callbacks=[mf.EarlyStopping("validation_loss", patience=10)],
        rng=0,
        progress="none",
    )

    found = mf.predict(prediction, test)[:, 0] * unit
    off = np.abs(found - price[end:]).mean()
    guess = np.abs(price[:cut].mean() - price[end:]).mean()
    print(f"{len(history)} epochs; off by {off:.1f} thousand, the mean price by {guess:.1f}")
    return off / guess


if __name__ == "__main__":
    main()
