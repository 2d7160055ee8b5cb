"""PyTorch: eager, as its tutorials write it, and a whole training step under torch.compile.

For the compiled variant the loss, its gradients (`torch.func`), the gather and the update are one
function: compiling the model alone, the usual way, was slower in every race.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from races import Array, Data, Race, first_parameters
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from contenders import Runner


def build(variant: str, race: Race, data: Data) -> Runner:
    """The runner of the race's kind."""
    if race.kind == "scalar":
        return CompiledScalar() if variant == "compile" else Scalar()
    if race.kind == "infer":
        return Inference(race, data, variant == "compile")
    if variant == "compile":
        return CompiledStep(race, data)
    return Eager(race, data, variant)


def stack(race: Race) -> nn.Sequential:
    """The layers, with the first parameters; torch keeps weights transposed."""
    activation = nn.ReLU if race.activation == "relu" else nn.Sigmoid
    modules: list[nn.Module] = []
    parameters = first_parameters(race)
    for W, b in zip(parameters[::2], parameters[1::2], strict=True):
        modules += [layer(W, b), activation()]
    return nn.Sequential(*modules[:-1])


def layer(W: Array, b: Array) -> nn.Linear:
    result = nn.Linear(*W.shape)
    with torch.no_grad():
        result.weight.copy_(torch.from_numpy(W.T))
        result.bias.copy_(torch.from_numpy(b))
    return result


class Unrolled(nn.Module):
    """The recurrent network as a graph of small operations, one time step after the other."""

    def __init__(self, race: Race) -> None:
        super().__init__()
        Wx, Wh, b, V, c = first_parameters(race)
        self.pixels, self.times = race.layers[0], race.time_steps
        self.input, self.output = layer(Wx, b), layer(V, c)
        self.recurrent = nn.Parameter(torch.from_numpy(Wh))

    def forward(self, X: Tensor) -> Tensor:
        first, *others = X.split(self.pixels, dim=1)
        H = torch.tanh(self.input(first))
        for x in others:
            H = torch.tanh(self.input(x) + H @ self.recurrent)
        result: Tensor = self.output(H)
        return result

    def arrays(self) -> list[Tensor]:
        a, b = self.input, self.output
        return [a.weight.T, self.recurrent, a.bias, b.weight.T, b.bias]


class Recurrent(nn.Module):
    """The same by torch's own recurrent layer; its second bias, which we lack, stays zero."""

    def __init__(self, race: Race) -> None:
        super().__init__()
        Wx, Wh, b, V, c = (torch.from_numpy(array) for array in first_parameters(race))
        self.pixels, self.output = race.layers[0], layer(V.numpy(), c.numpy())
        self.rnn = nn.RNN(*Wx.shape, batch_first=True)
        with torch.no_grad():
            self.rnn.weight_ih_l0.copy_(Wx.T)
            self.rnn.weight_hh_l0.copy_(Wh.T)
            self.rnn.bias_ih_l0.copy_(b)
            self.rnn.bias_hh_l0.zero_()
        self.rnn.bias_hh_l0.requires_grad_(False)

    def forward(self, X: Tensor) -> Tensor:
        _, last = self.rnn(X.view(len(X), -1, self.pixels))
        result: Tensor = self.output(last[0])
        return result

    def arrays(self) -> list[Tensor]:
        rnn = self.rnn
        weights = [rnn.weight_ih_l0.T, rnn.weight_hh_l0.T, rnn.bias_ih_l0]
        return [*weights, self.output.weight.T, self.output.bias]


class Eager:
    """Model, criterion, optimizer, and the loop of every tutorial."""

    def __init__(self, race: Race, data: Data, variant: str) -> None:
        self.images, self.labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
        self.model: nn.Module
        if race.kind == "sequence":
            self.model = Recurrent(race) if variant == "nn.RNN" else Unrolled(race)
        else:
            self.model = stack(race)
        self.criterion = nn.CrossEntropyLoss()
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.SGD(trained, lr=race.lr)

    def run(self, work: Array) -> float:
        loss = torch.zeros(())
        for indices in torch.from_numpy(work):
            X, y = self.images[indices], self.labels[indices]
            loss = self.criterion(self.model(X), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        return loss.item()

    def answer(self) -> list[Array]:
        if isinstance(self.model, Unrolled | Recurrent):
            tensors: list[Any] = self.model.arrays()
        else:
            tensors = [p.T if p.ndim == 2 else p for p in self.model.parameters()]
        return [tensor.detach().numpy().copy() for tensor in tensors]


class CompiledStep:
    """Gather, loss, gradients and update as one compiled function."""

    def __init__(self, race: Race, data: Data) -> None:
        self.images, self.labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
        arrays = first_parameters(race)
        self.parameters = [torch.from_numpy(a.T.copy() if a.ndim == 2 else a) for a in arrays]
        activation = torch.relu if race.activation == "relu" else torch.sigmoid
        lr = race.lr

        def loss_of(parameters: list[Tensor], X: Tensor, y: Tensor) -> Tensor:
            *hidden, (W, b) = zip(parameters[::2], parameters[1::2], strict=True)
            for weights, biases in hidden:
                X = activation(linear(X, weights, biases))
            return cross_entropy(linear(X, W, b), y)

        differentiated = torch.func.grad_and_value(loss_of)

        def step(parameters: list[Tensor], images: Tensor, labels: Tensor, at: Tensor) -> Tensor:
            gradients, loss = differentiated(parameters, images[at], labels[at])
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.sub_(gradient, alpha=lr)
            return loss

        self.step: Callable[..., Tensor] = torch.compile(step)

    def run(self, work: Array) -> float:
        loss = torch.zeros(())
        with torch.no_grad():
            for indices in torch.from_numpy(work):
                loss = self.step(self.parameters, self.images, self.labels, indices)
        return loss.item()

    def answer(self) -> list[Array]:
        return [(p.T if p.ndim == 2 else p).numpy().copy() for p in self.parameters]


class Scalar:
    """x·y + x·z on tensors without dimensions, made anew for each triple."""

    def __init__(self) -> None:
        self.last: list[Tensor] = []

    def run(self, work: Array) -> float:
        total = 0.0
        for numbers in work.tolist():
            x, y, z = (torch.tensor(n, dtype=torch.float64, requires_grad=True) for n in numbers)
            f = x * y + x * z
            f.backward()
            total += f.item()
            self.last = [f.detach(), x.grad, y.grad, z.grad]
        return total

    def answer(self) -> list[Array]:
        return [torch.stack(self.last).numpy()]


class CompiledScalar(Scalar):
    """The function and its gradients as one compiled call."""

    def __init__(self) -> None:
        super().__init__()
        f = torch.func.grad_and_value(lambda x, y, z: x * y + x * z, argnums=(0, 1, 2))
        self.f: Callable[..., Any] = torch.compile(f)

    def run(self, work: Array) -> float:
        total = 0.0
        with torch.no_grad():
            for numbers in torch.from_numpy(work):
                gradients, value = self.f(*numbers.unbind())
                total += value.item()
                self.last = [value, *gradients]
        return total


class Inference:
    """Class probabilities in inference mode."""

    def __init__(self, race: Race, data: Data, compiled: bool) -> None:
        self.images, self.batch = torch.from_numpy(data.test_images), race.batch
        model = nn.Sequential(*stack(race), nn.Softmax(dim=1)).eval()
        self.model: Callable[..., Tensor] = torch.compile(model) if compiled else model
        self.last = torch.zeros(())

    def run(self, work: Array) -> float:
        with torch.inference_mode():
            for start in work.tolist():
                self.last = self.model(self.images[start : start + self.batch])
        return self.last[0, 0].item()

    def answer(self) -> list[Array]:
        return [self.last.numpy()]
