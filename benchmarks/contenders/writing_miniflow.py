"""miniflow in the races of `writing`: many steps in one call; of the interpreter, a call a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import writing
from races import Array, Data, Race

import miniflow as mf
from contenders import Runner
from miniflow.layers.attending import JoinHeads, SplitHeads
from miniflow.layers.cells import GRUCell
from miniflow.layers.recurrent import nothing_like


def build(variant: str, race: Race, data: Data) -> Runner:
    return Epochs(variant, race)


def scores_of_text(race: Race, letters: mf.Node, p: dict[str, mf.Node]) -> mf.Node:
    """The transformer's scores, (n, context, letters)."""
    x = mf.RMSNorm(mf.Embedding(letters, p["letters"]) + p["places"], epsilon=writing.NORM)
    for i in range(writing.sizes(race).depth):
        a = mf.RMSNorm(x, epsilon=writing.NORM)
        q, k, v = (SplitHeads(a @ p[f"{i}{key}"], writing.HEADS) for key in "QKV")
        seen = JoinHeads(mf.ScaledDotProductAttention(q, k, v, causal=True))
        x = x + seen @ p[f"{i}O"]
        x = x + mf.ReLU(mf.RMSNorm(x, epsilon=writing.NORM) @ p[f"{i}F"]) @ p[f"{i}G"]
    return x @ p["scores"]


def scores_of_sequences(race: Race, xs: mf.Node, p: dict[str, mf.Node]) -> mf.Node:
    """The scores of the last state of a GRU, (n, classes)."""
    d = writing.sizes(race).width
    said = mf.Transpose(mf.Linear(xs, p["W"], p["b"]), (1, 0, 2))
    first = nothing_like(said[0], d, 3 * d)
    states = mf.scan(lambda h, item: GRUCell(h, item, p["U"], p["c"]), first, said)
    return states[-1] @ p["V"]


class Epochs:
    """Steps of Adam: `step.epoch`, many in one call; by the interpreter a call each."""

    def __init__(self, variant: str, race: Race) -> None:
        self.x, self.y = writing.examples(race)
        self.X, self.Y = mf.Input("X"), mf.Input("Y")
        names = writing.names_of_parameters(race)
        self.parameters = {
            name: mf.Parameter(array, name)
            for name, array in zip(names, writing.first_parameters(race), strict=True)
        }
        scores = scores_of_text if race.kind == "gpt" else scores_of_sequences
        self.loss = mf.CrossEntropyWithSoftmax(scores(race, self.X, self.parameters), self.Y)
        self.optimizer = mf.Adam(
            race.lr, beta_1=writing.BETAS[0], beta_2=writing.BETAS[1], epsilon=writing.EPSILON
        )
        self.variant = variant
        if variant != "interpreter":
            self.step = mf.compile(self.loss, optimizer=self.optimizer, backend=variant)

    def run(self, work: Array) -> float:
        order = work % writing.EXAMPLES
        if self.variant != "interpreter":
            return float(self.step.epoch({self.X: self.x, self.Y: self.y}, order)[-1])
        loss: Any = 0.0
        wrt = list(self.parameters.values())
        for rows in order:
            feed = {self.X: self.x[rows], self.Y: self.y[rows]}
            loss, gradients = mf.value_and_grad(self.loss, feed, wrt)
            self.optimizer.update(wrt, gradients)
        return float(loss)

    def profile(self, rows: Array) -> Any:
        """Where the time of a compiled step goes."""
        rows = rows % writing.EXAMPLES
        return self.step.profile({self.X: self.x[rows], self.Y: self.y[rows]})

    def answer(self) -> list[Array]:
        return [np.array(parameter.value) for parameter in self.parameters.values()]
