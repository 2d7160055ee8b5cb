"""The lab's pages to play with, in a real browser: the numbers are those of the course."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow.lab.figures.descent import descent_path
from miniflow.lab.play import play
from miniflow.lab.play.network import LABELS, POINTS

PATH = "return document.querySelector('.path').getAttribute('points')"


def opened(browser: Any, tmp_path: Path, page: Any, size: tuple[int, int] = (390, 844)) -> Any:
    page.save(tmp_path / "page.html")
    browser.open(tmp_path / "page.html", size)
    return browser


def test_the_valley_is_the_chapters_and_its_start_is_dragged(browser: Any, tmp_path: Path) -> None:
    opened(browser, tmp_path, play("valley"))
    shown = [tuple(map(float, p.split(","))) for p in browser.script(PATH).split()]
    path = descent_path(0.18, (-9.0, 2.2), 30)
    np.testing.assert_allclose(
        shown, [((a + 10) / 20 * 720, (4.2 - b) / 8.4 * 302) for a, b in path], atol=0.06
    )
    assert "It has arrived." in browser.text(".says")

    browser.script(
        "const s = document.querySelector('svg'), r = s.getBoundingClientRect();"
        "s.setPointerCapture = () => {};"
        "for (const [kind, x, y] of [['pointerdown', 0.2, 0.2], ['pointermove', 0.75, 0.5]])"
        "  s.dispatchEvent(new PointerEvent(kind, {buttons: 1, pointerId: 1,"
        "    clientX: r.left + x * r.width, clientY: r.top + y * r.height}))"
    )
    first = browser.script(PATH).split()[0].split(",")
    np.testing.assert_allclose([float(x) for x in first], [540, 151], atol=1)

    browser.script(
        "move(-9, 2.2); const i = document.querySelector('input');"
        "i.value = 0.235; i.dispatchEvent(new Event('input'))"
    )
    assert "diverges" in browser.text(".says")
    width, inner = browser.script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner
    assert browser.errors() == []


def network(values: list[Any]) -> tuple[mf.Node, list[mf.Parameter], dict[mf.Node, Any]]:
    X, y = mf.Input("X"), mf.Input("y")
    shapes = [(2, 8), (8,), (8, 2), (2,)]
    W1, b1, W2, b2 = (
        mf.Parameter(np.reshape(value, shape), f"p{i}")
        for i, (value, shape) in enumerate(zip(values, shapes, strict=True))
    )
    logits = mf.Linear(mf.Sigmoid(mf.Linear(X, W1, b1)), W2, b2)
    return mf.CrossEntropyWithSoftmax(logits, y), [W1, b1, W2, b2], {X: POINTS, y: LABELS}


@pytest.mark.parametrize("whose", ["by hand", "of ones own"])
def test_xor_is_trained_by_the_numbers_of_miniflow(
    browser: Any, tmp_path: Path, whose: str
) -> None:
    rng = np.random.default_rng(1)
    first = [rng.normal(size=n) for n in (16, 8, 16, 2)]
    page = play("xor") if whose == "by hand" else play("xor", network(first)[0])
    opened(browser, tmp_path, page)
    ways = {"plain": mf.SGD(0.3), "momentum": mf.SGD(0.3, momentum=0.9), "Adam": mf.Adam(0.3)}
    for way, optimizer in ways.items():
        start = browser.script("engine.forget(); return engine.parameters.map((p) => [...p])")
        loss, parameters, feed = network(start)
        expected = []
        for _ in range(5):
            value, gradients = mf.value_and_grad(loss, feed, wrt=parameters)
            optimizer.update(parameters, gradients)
            expected.append(float(value))
        seen = browser.script(f"return Array.from({{length: 5}}, () => engine.step('{way}', 0.3))")
        np.testing.assert_allclose(seen, expected, rtol=1e-9)
        kept = browser.script("return engine.parameters.map((p) => [...p])")
        for values, parameter in zip(kept, parameters, strict=True):
            np.testing.assert_allclose(values, parameter.value.ravel(), rtol=1e-9, atol=1e-12)

    browser.script("engine.restart(); losses = []; way = 'Adam'; rate = 0.1; steps(300)")
    assert "4 of 4 points are right" in browser.text(".says")
    assert browser.script("return document.querySelector('.path').getAttribute('d').length") > 100
    width, inner = browser.script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner
    assert browser.errors() == []
