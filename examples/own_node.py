"""A node of your own: a layer of circles, written in plain NumPy, checked, trained and compiled.

Each unit of this node looks at how far a point is from a centre of its own: exp(-r²/2). Its
`forward` and `backward` are written by hand, as in the lab; `check_gradients` compares them with
differences. It separates two rings of points, which a linear layer cannot.

    python examples/own_node.py
"""

import numpy as np

import miniflow as mf


class Circles(mf.Node):
    """Z[n, k] = exp(-½ Σ_d (X[n, d] - C[k, d])²): one bell round each centre."""

    def __init__(self, x, centres, name=None):
        mf.Node.__init__(self, [x, centres], name)

    def forward(self):
        x, centres = self.inbound_nodes
        self.cache["away"] = x.value[:, None, :] - centres.value[None, :, :]  # (n, k, d)
        self.value = np.exp(-0.5 * np.sum(self.cache["away"] ** 2, axis=2))

    def backward(self):
        x, centres = self.inbound_nodes
        self.gradients = {x: np.zeros_like(x.value), centres: np.zeros_like(centres.value)}
        for consumer in self.outbound_nodes:
            grad = consumer.gradients[self] * self.value  # (n, k)
            pull = grad[:, :, None] * self.cache["away"]
            self.gradients[x] -= pull.sum(axis=1)
            self.gradients[centres] += pull.sum(axis=0)


def rings(count, rng):
    """Points on two rings, one inside the other."""
    label = rng.integers(0, 2, count)
    angle, radius = rng.uniform(0, 2 * np.pi, count), 1.0 + label + rng.normal(0, 0.15, count)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), label


def main(count=600, epochs=60):
    rng = np.random.default_rng(0)
    points, labels = rings(count, rng)
    X, y = mf.Input("X"), mf.Input("y")
    centres = mf.Parameter(rng.normal(size=(12, 2)), "centres")
    W, b = mf.Parameter(np.zeros((12, 2)), "W"), mf.Parameter(np.zeros(2), "b")
    bells = Circles(X, centres, name="circles")
    loss = mf.CrossEntropyWithSoftmax(mf.Linear(bells, W, b), y)

    print(mf.check_gradients(bells, {X: points[:5]}))
    history = mf.fit(
        loss,
        {X: points, y: labels},
        mf.Adam(0.05),
        epochs=epochs,
        batch_size=64,
        rng=0,
        progress="none",
    )
    print(history.why_backend())  # compiled, from the very code above

    points, labels = rings(1000, rng)
    right = mf.accuracy(loss, {X: points, y: labels})
    print(f"new points told apart: {right:.1%}")
    return right


if __name__ == "__main__":
    main()
