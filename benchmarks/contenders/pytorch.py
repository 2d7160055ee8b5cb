"""PyTorch: eager, as its tutorials write it, and a whole training step under torch.compile.

For the compiled variant the loss, its gradients (`torch.func`), the gather and the update are one
function: compiling the model alone, the usual way, was slower in every race. "channels last" is
eager with images and kernels in that memory format; what is computed is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from races import Array, Data, Race, first_parameters
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy, linear, max_pool2d

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
    parameters, count = stored(race), 2 * len(race.kernels)
    modules: list[nn.Module] = [AsImages()] if count else []
    for kernels, b in zip(parameters[:count:2], parameters[1:count:2], strict=True):
        conv = nn.Conv2d(kernels.shape[1], kernels.shape[0], kernels.shape[2])
        with torch.no_grad():
            conv.weight.copy_(kernels)
            conv.bias.copy_(b)
        modules += [conv, activation(), nn.MaxPool2d(2)]
    modules += [nn.Flatten()] if count else []
    for weights, bias in zip(parameters[count::2], parameters[count + 1 :: 2], strict=True):
        W, b = weights.T.numpy(), bias.numpy()
        modules += [layer(W, b), activation()]
    return nn.Sequential(*modules[:-1])


class AsImages(nn.Module):
    """Rows as grey images; images as they are."""

    def forward(self, X: Tensor) -> Tensor:
        return X if X.ndim == 4 else X.view(-1, 1, 28, 28)


def stored(race: Race) -> list[Tensor]:
    """The first parameters as torch keeps them: weights transposed, channels before the pixels.

    The layer after the convolutions has its inputs in torch's order: channel by channel.
    """
    found = []
    for place, array in enumerate(first_parameters(race)):
        if race.kernels and place == 2 * len(race.kernels):
            array = by_channel(race, array)
        found.append(torch.from_numpy(array.transpose(*range(array.ndim)[::-1]).copy()))
    # (kernels, channels, width, height): torch has the height first.
    return [p.transpose(2, 3).contiguous() if p.ndim == 4 else p for p in found]


def by_channel(race: Race, W: Array, back: bool = False) -> Array:
    """Rows in the order (channel, pixel) that were in the order (pixel, channel), or back again."""
    channels = race.kernels[-1][1]
    order = np.arange(len(W)).reshape(-1, channels).T.ravel()
    return W[np.argsort(order)] if back else W[order]


def as_raced(race: Race, tensors: list[Tensor]) -> list[Array]:
    """The parameters as the race has them."""
    arrays = [p.permute(2, 3, 1, 0) if p.ndim == 4 else p.T if p.ndim == 2 else p for p in tensors]
    found = [array.detach().numpy().copy() for array in arrays]
    if race.kernels:
        place = 2 * len(race.kernels)
        found[place] = by_channel(race, found[place], back=True)
    return found


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
        self.race = race
        self.images, self.labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
        self.model: nn.Module
        if race.kind == "sequence":
            self.model = Recurrent(race) if variant == "nn.RNN" else Unrolled(race)
        else:
            self.model = stack(race)
        if variant == "channels last":
            self.model = self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.images = self.images.view(-1, 1, 28, 28).to(memory_format=torch.channels_last)
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
            return [tensor.detach().numpy().copy() for tensor in self.model.arrays()]
        return as_raced(self.race, list(self.model.parameters()))


class CompiledStep:
    """Gather, loss, gradients and update as one compiled function."""

    def __init__(self, race: Race, data: Data) -> None:
        self.race, count = race, 2 * len(race.kernels)
        self.images, self.labels = torch.from_numpy(data.images), torch.from_numpy(data.labels)
        self.parameters = stored(race)
        activation = torch.relu if race.activation == "relu" else torch.sigmoid
        lr = race.lr

        def loss_of(parameters: list[Tensor], X: Tensor, y: Tensor) -> Tensor:
            X = X.view(-1, 1, 28, 28) if count else X
            pairs = list(zip(parameters[::2], parameters[1::2], strict=True))
            for kernels, biases in pairs[: count // 2]:
                X = max_pool2d(activation(conv2d(X, kernels, biases)), 2)
            X = X.flatten(1)
            *hidden, (W, b) = pairs[count // 2 :]
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
        return as_raced(self.race, self.parameters)


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
