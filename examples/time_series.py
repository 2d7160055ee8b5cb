"""A time series: a recurrent network says the next hour of a load curve.

A day's 24 values go in, one after the other: `mf.scan` is the loop over time, one equation of the
compiled program, however long it is. What comes out is compared with two rules of thumb: the next
hour is like the last one, or like that of yesterday.

    python examples/time_series.py
"""

import numpy as np

import miniflow as mf
from miniflow import layers

HOURS, UNITS = 24, 32


def load_curve(days, rng):
    """Hours of a made-up town: days, weeks, and weather that changes slowly."""
    hour = np.arange(days * 24)
    day = np.sin(2 * np.pi * (hour % 24) / 24 - 2) + 0.4 * np.sin(4 * np.pi * (hour % 24) / 24)
    weekend = np.where(hour // 24 % 7 >= 5, 0.6, 1.0)
    weather = np.convolve(rng.normal(0, 0.3, len(hour)), np.ones(36) / 6, mode="same")
    return (day * weekend + weather).astype(np.float32)


def main(days=200, epochs=15):
    curve = load_curve(days, np.random.default_rng(0))
    windows = np.lib.stride_tricks.sliding_window_view(curve, HOURS + 1)
    cut = len(windows) * 8 // 10
    train, test = windows[:cut], windows[cut + HOURS :]  # no hour is in both

    X, y = layers.Input((HOURS,), name="X"), mf.Input("y")
    hours = mf.Reshape(mf.Transpose(X), (HOURS, -1, 1))  # (time, rows, 1)
    first = X[:, :1] * np.zeros(UNITS, np.float32)  # zeros, as many rows as are fed
    cell = layers.Dense(UNITS, "tanh", rng=0)
    states = mf.scan(lambda h, x: cell(mf.Concat(h, x, axis=1)), first, hours)
    prediction = layers.Dense(1, rng=1)(states[-1]) + X[:, -1:]  # the change from the last hour
    loss = mf.MSE(prediction, y)
    optimizer = mf.Adam(0.003, global_clipnorm=1.0)
    mf.fit(
        loss,
        {X: train[:, :-1], y: train[:, -1:]},
        optimizer,
        epochs=epochs,
        batch_size=64,
        rng=0,
        progress="none",
    )

    def off(guess):
        return float(np.sqrt(((guess - test[:, -1]) ** 2).mean()))

    found = off(mf.predict(prediction, np.ascontiguousarray(test[:, :-1]))[:, 0])
    last, yesterday = off(test[:, -2]), off(test[:, 0])
    print(f"off by {found:.3f}; as the last hour {last:.3f}, as yesterday {yesterday:.3f}")
    return found / last


if __name__ == "__main__":
    main()
