"""PyTorch in the races of `writing`: eager, with its own attention and GRU, and a compiled step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import writing
from races import Array, Data, Race
from torch import Tensor
from torch.nn import functional

from contenders import Runner


def build(variant: str, race: Race, data: Data) -> Runner:
    return Steps(variant, race)


def normed(x: Tensor) -> Tensor:
    return functional.rms_norm(x, x.shape[-1:], eps=writing.NORM)


def scores_of_text(race: Race, p: dict[str, Tensor], letters: Tensor) -> Tensor:
    n, places = letters.shape
    x = normed(p["letters"][letters] + p["places"])
    for i in range(writing.sizes(race).depth):
        a = normed(x)
        q, k, v = (
            (a @ p[f"{i}{key}"]).view(n, places, writing.HEADS, -1).transpose(1, 2) for key in "QKV"
        )
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
        x = x + seen.reshape(n, places, -1) @ p[f"{i}O"]
        x = x + functional.relu(normed(x) @ p[f"{i}F"]) @ p[f"{i}G"]
    return x @ p["scores"]


class Steps:
    """The loop of every tutorial, or the loss and its gradients compiled."""

    def __init__(self, variant: str, race: Race) -> None:
        self.race = race
        self.x, self.y = map(torch.from_numpy, writing.examples(race))
        names = writing.names_of_parameters(race)
        first = writing.first_parameters(race)
        self.p = {
            name: torch.nn.Parameter(torch.from_numpy(array.copy()))
            for name, array in zip(names, first, strict=True)
        }
        self.gru: Any = None
        if race.kind == "gru":
            self.gru = torch.nn.GRU(
                writing.sizes(race).width, writing.sizes(race).width, batch_first=True
            )
            d = writing.sizes(race).width
            with torch.no_grad():
                self.gru.weight_ih_l0.copy_(self.p["W"].T)
                self.gru.weight_hh_l0.copy_(self.p["U"].T)
                self.gru.bias_ih_l0.copy_(self.p["b"])
                self.gru.bias_hh_l0.zero_()
                self.gru.bias_hh_l0[2 * d :] = self.p["c"]
            # The biases of r and z that the race has not stay where they are.
            still = torch.zeros(3 * d)
            still[2 * d :] = 1
            self.gru.bias_hh_l0.register_hook(lambda grad: grad * still)
            trained = [*self.gru.parameters(), self.p["V"]]
        else:
            trained = list(self.p.values())
        self.optimizer = torch.optim.Adam(
            trained, lr=race.lr, betas=writing.BETAS, eps=writing.EPSILON, fused=True
        )
        self.loss_of: Callable[[Tensor, Tensor], Tensor] = self.loss
        if variant == "compile":
            self.loss_of = torch.compile(self.loss)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        if self.gru is not None:
            return functional.cross_entropy(self.gru(x)[0][:, -1] @ self.p["V"], y)
        scores = scores_of_text(self.race, self.p, x)
        return functional.cross_entropy(scores.view(-1, writing.LETTERS), y.reshape(-1))

    def run(self, work: Array) -> float:
        loss = torch.zeros(())
        for rows in torch.from_numpy(work % writing.EXAMPLES):
            loss = self.loss_of(self.x[rows], self.y[rows])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
        return loss.item()

    def answer(self) -> list[Array]:
        if self.gru is not None:
            g, d = self.gru, writing.sizes(self.race).width
            found = [
                g.weight_ih_l0.T,
                g.weight_hh_l0.T,
                g.bias_ih_l0,
                g.bias_hh_l0[2 * d :],
                self.p["V"],
            ]
        else:
            found = list(self.p.values())
        return [tensor.detach().numpy().copy() for tensor in found]
