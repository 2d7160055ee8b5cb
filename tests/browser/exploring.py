"""Reading the explorer's page in a browser, and comparing every step with the interpreter."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import miniflow as mf
from miniflow.graph.plans import ancestors_in_order
from miniflow.pictures.local import local_derivative
from miniflow.pictures.reading import Reading

RIGHT, LEFT, HOME, END, TAB, ENTER = "\ue014", "\ue012", "\ue011", "\ue010", "\ue004", "\ue007"

READ = """
const all = (selector) => [...document.querySelectorAll(selector)];
const explorer = document.querySelector(".mfx").explorer;
return {
  heading: document.querySelector(".panel h3").textContent,
  sentence: document.querySelector(".sentence").textContent,
  formulas: all(".formula").map((p) => p.textContent),
  warning: all(".warning").map((p) => p.textContent).join(),
  quantities: all(".panel .quantity").map((q) => [
    q.querySelector(".name").textContent,
    [...q.querySelectorAll("[data-full]")].map((x) => Number(x.dataset.full)),
  ]),
  code: all(".panel .code").map((p) => p.textContent).join(),
  cards: Object.fromEntries(all(".card").map((c) => [c.dataset.key, c.getAttribute("aria-label")])),
  position: explorer.position,
  last: explorer.steps.length - 1,
};
"""


def read(browser: Any) -> Any:
    """All that the page says at this step."""
    return browser.script(READ)


def wait_until(browser: Any, condition: str) -> None:
    """Until a piece of JavaScript is true."""
    for _ in range(200):
        if browser.script(f"return {condition}"):
            return
        time.sleep(0.02)
    raise AssertionError(f"it never came to {condition}")


def close(seen: Sequence[float], expected: Any, rtol: float = 1e-9) -> None:
    wanted = np.asarray(expected, dtype=float).ravel()
    assert len(seen) == wanted.size
    scale = float(np.abs(wanted).max(initial=0))
    np.testing.assert_allclose(seen, wanted, rtol=rtol, atol=rtol * scale)


def check_every_step(browser: Any, output: mf.Node, feed: Any, rtol: float = 1e-12) -> None:
    """Step through the whole pass by key, and compare each number with the interpreter's."""
    nodes = ancestors_in_order(output)
    called = Reading([output]).called
    mf.value(output, feed)  # a backward may work in place on what its forward kept
    edges = [(node, source) for node in nodes for source in node.inbound_nodes]
    local = {edge: local_derivative(*edge) for edge in edges}
    mf.value_and_grad(output, feed, wrt=())
    browser.keys(HOME)
    assert read(browser)["heading"] == "Before the pass"
    for node in nodes:
        browser.keys(RIGHT)
        check_forward(read(browser), node, called, rtol)
    browser.keys(RIGHT)
    assert read(browser)["heading"] == f"Backward · {called[output]}"
    shares: dict[mf.Node, list[Any]] = {node: [] for node in nodes}
    for node in reversed(nodes):
        upstream = np.sum(shares[node], axis=0) if node is not output else np.ones(())
        for source in dict.fromkeys(node.inbound_nodes):
            if isinstance(source, mf.Constant):  # nobody asks for its gradient
                continue
            browser.keys(RIGHT)
            shares[source].append(node.gradients[source])
            seen = read(browser)
            assert seen["heading"] == f"Backward · {called[node]} → {called[source]}"
            check_backward(seen, node.gradients[source], upstream, shares[source], rtol)
            if numbers_of(seen)["local derivative"] or local[node, source].kind != "jacobian":
                close(numbers_of(seen)["local derivative"], local[node, source].value, rtol)
    browser.keys(RIGHT)
    assert read(browser)["heading"] == "After the pass"
    assert read(browser)["position"] == read(browser)["last"]


def check_forward(seen: Any, node: mf.Node, called: Any, rtol: float) -> None:
    assert seen["heading"] == f"Forward · {called[node]}"
    inputs, value = seen["quantities"][:-1], seen["quantities"][-1]
    assert [name for name, _ in inputs] == [called[source] for source in node.inbound_nodes]
    for (_, numbers), source in zip(inputs, node.inbound_nodes, strict=True):
        close(numbers, source.value, rtol)
    close(value[1], node.value, rtol)


def numbers_of(seen: Any) -> dict[str, list[float]]:
    """The numbers of a backward step by what they are."""
    return {re.split("  | to ", name)[0]: numbers for name, numbers in seen["quantities"]}


def check_backward(seen: Any, handed: Any, upstream: Any, shares: list[Any], rtol: float) -> None:
    assert seen["warning"] == ""
    found = numbers_of(seen)
    close(found["upstream gradient"], upstream, rtol)
    close(found["handed"], handed, rtol)
    assert ("accumulated" in found) >= (len(shares) > 1)
    if "accumulated" in found:
        close(found["accumulated"], np.sum(shares, axis=0), rtol)


def train(browser: Any, label: str) -> None:
    buttons = browser.find_all(".training .buttons button")
    names = [b.get_attribute("aria-label") or b.text for b in buttons]
    buttons[names.index(label)].click()
    wait_until(browser, "!document.querySelector('.mfx').explorer.workbench.busy")
