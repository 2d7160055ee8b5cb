"""A scalar engine in plain Python, written for the race "gpt-16": every number is an object, which
knows what it was made of and its derivatives by that.

A step takes seconds, so one is measured where others take many.
"""

from __future__ import annotations

import math
import time

import numpy as np
import writing
from races import Array, Data, Race

from contenders import Runner

LARGEST = 16  # the width that it is for


def build(variant: str, race: Race, data: Data) -> Runner:
    if race.kind != "gpt" or writing.sizes(race).width > LARGEST:
        raise RuntimeError("a step would take minutes")
    return Steps(race)


class Scalar:
    """A number, what it was made of, and the derivatives by that."""

    __slots__ = ("children", "data", "grad", "slopes")

    def __init__(
        self,
        data: float,
        children: tuple[Scalar, ...] = (),
        slopes: tuple[float, ...] = (),
    ) -> None:
        self.data, self.grad, self.children, self.slopes = data, 0.0, children, slopes

    def __add__(self, other: Scalar) -> Scalar:
        return Scalar(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Scalar) -> Scalar:
        return Scalar(self.data * other.data, (self, other), (other.data, self.data))

    def times(self, factor: float) -> Scalar:
        return Scalar(self.data * factor, (self,), (factor,))

    def plus(self, number: float) -> Scalar:
        return Scalar(self.data + number, (self,), (1.0,))

    def power(self, exponent: float) -> Scalar:
        slope = exponent * self.data ** (exponent - 1)
        return Scalar(self.data**exponent, (self,), (slope,))

    def exp(self) -> Scalar:
        value = math.exp(self.data)
        return Scalar(value, (self,), (value,))

    def log(self) -> Scalar:
        return Scalar(math.log(self.data), (self,), (1 / self.data,))

    def relu(self) -> Scalar:
        return Scalar(max(self.data, 0.0), (self,), (float(self.data > 0),))

    def backward(self) -> None:
        """Add to every number's `grad` the derivative of this one by it."""
        order: list[Scalar] = []
        seen = {self}
        stack: list[tuple[Scalar, int]] = [(self, 0)]
        while stack:
            node, place = stack.pop()
            if place < len(node.children):
                stack.append((node, place + 1))
                child = node.children[place]
                if child not in seen:
                    seen.add(child)
                    stack.append((child, 0))
            else:
                order.append(node)
        self.grad = 1.0
        for node in reversed(order):
            grad = node.grad
            for child, slope in zip(node.children, node.slopes, strict=True):
                child.grad += slope * grad


Row = list[Scalar]


def total(numbers: Row) -> Scalar:
    found = numbers[0]
    for number in numbers[1:]:
        found = found + number
    return found


def product(x: Row, columns: list[Row]) -> Row:
    return [total([a * b for a, b in zip(x, column, strict=True)]) for column in columns]


def normed(x: Row) -> Row:
    scale = total([a * a for a in x]).times(1 / len(x)).plus(writing.NORM).power(-0.5)
    return [a * scale for a in x]


def shares(scores: Row) -> Row:
    largest = max(score.data for score in scores)
    powers = [score.plus(-largest).exp() for score in scores]
    scale = total(powers).power(-1.0)
    return [power * scale for power in powers]


class Steps:
    """A line at a time; gradients add up over those of a step. Matrices are kept by columns."""

    def __init__(self, race: Race) -> None:
        self.race = race
        self.x, self.y = writing.examples(race)
        self.first = writing.first_parameters(race)
        names = writing.names_of_parameters(race)
        self.p: dict[str, list[Row]] = {}
        for name, array in zip(names, self.first, strict=True):
            rows = array if name in ("letters", "places") else array.T
            self.p[name] = [[Scalar(float(number)) for number in row] for row in rows]
        self.flat = [n for matrix in self.p.values() for row in matrix for n in row]
        self.m, self.v, self.t = [0.0] * len(self.flat), [0.0] * len(self.flat), 0
        self.is_checked = False
        self.pieces: dict[str, float] = {}

    def loss(self, letters: list[int], following: list[int], share: float) -> Scalar:
        """The loss of one line, times its share in the mean."""
        p, losses = self.p, []
        size = writing.sizes(self.race).width // writing.HEADS
        memory: list[tuple[list[Row], list[Row]]] = [
            ([], []) for _ in range(writing.sizes(self.race).depth)
        ]
        for place, (letter, after) in enumerate(zip(letters, following, strict=True)):
            pairs = zip(p["letters"][letter], p["places"][place], strict=True)
            x = normed([a + b for a, b in pairs])
            for i, (keys, values) in enumerate(memory):
                a = normed(x)
                q = product(a, p[f"{i}Q"])
                keys.append(product(a, p[f"{i}K"]))
                values.append(product(a, p[f"{i}V"]))
                seen: Row = []
                for start in range(0, len(q), size):
                    part = slice(start, start + size)
                    fits = [
                        total([a * b for a, b in zip(q[part], key[part], strict=True)])
                        for key in keys
                    ]
                    weights = shares([fit.times(size**-0.5) for fit in fits])
                    seen += [
                        total([w * value[j] for w, value in zip(weights, values, strict=True)])
                        for j in range(start, start + size)
                    ]
                x = [a + b for a, b in zip(x, product(seen, p[f"{i}O"]), strict=True)]
                hidden = [a.relu() for a in product(normed(x), p[f"{i}F"])]
                x = [a + b for a, b in zip(x, product(hidden, p[f"{i}G"]), strict=True)]
            losses.append(shares(product(x, p["scores"]))[after].log())
        return total(losses).times(-share)

    def step(self, rows: Array) -> float:
        letters, following = self.x[rows].tolist(), self.y[rows].tolist()
        share, found = 1 / (len(rows) * len(letters[0])), 0.0
        for line, after in zip(letters, following, strict=True):
            loss = self.loss(line, after, share)
            loss.backward()
            found += loss.data
        self.t += 1
        b1, b2 = writing.BETAS
        rate, root = self.race.lr / (1 - b1**self.t), math.sqrt(1 - b2**self.t)
        for i, number in enumerate(self.flat):
            g, number.grad = number.grad, 0.0
            self.m[i] = b1 * self.m[i] + (1 - b1) * g
            self.v[i] = b2 * self.v[i] + (1 - b2) * g * g
            number.data -= rate * self.m[i] / (math.sqrt(self.v[i]) / root + writing.EPSILON)
        return found

    def run(self, work: Array) -> float:
        work = work % writing.EXAMPLES
        work, self.is_checked = (work[:1] if self.is_checked else work), True
        start = time.perf_counter()
        for rows in work:
            loss = self.step(rows)
        self.pieces = {"step": (time.perf_counter() - start) / len(work)}
        return loss

    def answer(self) -> list[Array]:
        found = []
        for name, matrix in self.p.items():
            array = np.array([[number.data for number in row] for row in matrix])
            found.append(array if name in ("letters", "places") else array.T)
        return found
