"""PyTorch: networks with BatchNorm, along sequences, and with an embedding, as its tutorials write
them; "compile" is torch.compile of the model, "sparse" an embedding with sparse gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from races import Array, Data, Race, first_parameters, texts
from torch import Tensor, nn

from contenders import Runner


def build(variant: str, race: Race, data: Data) -> Runner:
    """The one runner, whatever the network."""
    return Training(variant, race, data)


class Do(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Training:
    """Model, criterion, optimizer, and the loop of every tutorial."""

    def __init__(self, variant: str, race: Race, data: Data) -> None:
        is_text = race.kind == "embedding"
        self.inputs = torch.from_numpy(texts(len(data.images)) if is_text else data.images)
        self.labels = torch.from_numpy(data.labels)
        self.kept: list[tuple[Tensor, Any]] = []  # each parameter, and how the race has it
        self.left = [torch.from_numpy(array) for array in first_parameters(race)]
        model = nn.Sequential(*self.modules(race, variant))
        self.model: Callable[..., Tensor] = torch.compile(model) if variant == "compile" else model
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=race.lr)

    def modules(self, race: Race, variant: str) -> list[nn.Module]:
        if race.kind == "embedding":
            table = nn.Embedding(*race.layers[:2], sparse=variant == "sparse")
            self.give(table.weight)
            found: list[nn.Module] = [table, Do(lambda rows: rows.mean(1))]
        elif race.kind == "conv1d":
            found, channels = [Do(lambda x: x.view(-1, 28, 28).transpose(1, 2))], 28
            for size, count in race.kernels:
                convolution = nn.Conv1d(channels, count, size)
                self.give(convolution.weight, (2, 1, 0))
                self.give(convolution.bias)
                found += [convolution, nn.ReLU()]
                channels = count
            found.append(Do(lambda x: x.mean(2)))
        else:
            found, channels = [], 1
            for side, count in race.kernels:
                conv = nn.Conv2d(channels, count, side, bias=False)
                self.give(conv.weight, (3, 2, 0, 1))
                found += [conv, self.norm(nn.BatchNorm2d(count)), nn.ReLU(), nn.MaxPool2d(2)]
                channels = count
            if race.kernels:  # the race has the channels last
                found = [Do(lambda x: x.view(-1, 1, 28, 28)), *found]
                found.append(Do(lambda x: x.permute(0, 2, 3, 1).flatten(1)))
            for wide, narrow in zip(race.layers, race.layers[1:-1], strict=False):
                layer = nn.Linear(wide, narrow, bias=False)
                self.give(layer.weight, (1, 0))
                found += [layer, self.norm(nn.BatchNorm1d(narrow)), nn.ReLU()]
        last = nn.Linear(*race.layers[-2:])
        self.give(last.weight, (1, 0))
        self.give(last.bias)
        return [*found, last]

    def norm(self, norm: Any) -> nn.Module:
        self.give(norm.weight)
        self.give(norm.bias)
        made: nn.Module = norm
        return made

    def give(self, parameter: Tensor | None, order: tuple[int, ...] | None = None) -> None:
        """Let it be the next first parameter; `order` is where torch has the race's axes."""
        assert parameter is not None
        given = self.left.pop(0)
        back = None
        if order is not None:
            given = given.permute(order)
            back = tuple(order.index(axis) for axis in range(len(order)))
        with torch.no_grad():
            parameter.copy_(given)
        self.kept.append((parameter, back))

    def run(self, work: Array) -> float:
        loss = torch.zeros(())
        for indices in torch.from_numpy(work):
            loss = self.criterion(self.model(self.inputs[indices]), self.labels[indices])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()

    def answer(self) -> list[Array]:
        tensors = (
            p.detach() if back is None else p.detach().permute(back) for p, back in self.kept
        )
        return [tensor.numpy().copy() for tensor in tensors]
