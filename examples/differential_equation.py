"""A differential equation, solved by a network: how a pendulum swings.

θ″ = -sin θ with θ(0) = 2 and θ′(0) = 0 has no solution in elementary functions. Here θ is a network
of the time that has the right start whatever its weights are; its second derivative is a node, and
the loss is how far it is from the equation. The answer is compared with small steps of Runge and
Kutta's method.

    python examples/differential_equation.py
"""

import numpy as np

import miniflow as mf
from miniflow import layers

START, END = 2.0, 4.0


def stepped(places, steps=4000):
    """θ at these places, by the classical Runge-Kutta method."""

    def slope(state):
        return np.array([state[1], -np.sin(state[0])])

    h, state, found = END / steps, np.array([START, 0.0]), [START]
    for _ in range(steps):
        a = slope(state)
        b = slope(state + h / 2 * a)
        c = slope(state + h / 2 * b)
        state = state + h / 6 * (a + 2 * b + 2 * c + slope(state + h * c))
        found.append(state[0])
    return np.interp(places, np.linspace(0, END, steps + 1), found)


def main(steps=3000, places=64):
    t = layers.Input((1,), name="t")
    network = layers.Sequential(
        [layers.Dense(32, "tanh"), layers.Dense(32, "tanh"), layers.Dense(1)], rng=0
    )
    theta = START + t**2 * network(t)  # whatever the network says, θ(0) = 2 and θ′(0) = 0
    (velocity,) = mf.gradient(theta, [t])
    (acceleration,) = mf.gradient(velocity, [t])
    loss = mf.Mean((acceleration + mf.Sin(theta)) ** 2)

    at = np.linspace(0, END, places, dtype=np.float32)[:, np.newaxis]
    step = mf.compile(loss, optimizer=mf.Adam(mf.schedules.CosineDecay(0.01, steps=steps)))
    for _ in range(steps):
        left = step({t: at})
    off = float(np.abs(mf.value(theta, {t: at})[:, 0] - stepped(at[:, 0])).max())
    print(f"the equation is missed by {left**0.5:.4f} on average; θ is off by {off:.4f} at most")
    return off


if __name__ == "__main__":
    main()
