"""The explorer in a real browser, live: numbers are changed, and training steps made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from explorer_graphs import Choosy, Graph, case_study, network
from exploring import END, check_every_step, close, read, train

import miniflow as mf
from miniflow.graph.plans import ancestors_in_order


@pytest.mark.slow
def test_edited_weight_gives_the_interpreters_numbers(explore: Any) -> None:
    graph = network()
    browser = explore(graph)
    W1 = next(node for node in ancestors_in_order(graph.output) if node.name == "W1")
    key = f"node {ancestors_in_order(graph.output).index(W1)}"
    set_number(browser, key, 5, "0.625")
    W1.value[1, 2] = 0.625
    browser.script("document.activeElement.blur()")
    check_every_step(browser, *graph, rtol=1e-9)


@pytest.mark.slow
def test_edited_inputs_recompute_everything_that_is_shown(explore: Any) -> None:
    graph = case_study()
    browser = explore(graph)
    browser.keys(END)
    set_number(browser, "node 0", 0, "2.5")
    x = ancestors_in_order(graph.output)[0]
    assert read(browser)["cards"]["n5"] == "f, value −2.5, gradient 1"
    browser.script("document.activeElement.blur()")
    check_every_step(browser, graph.output, {**graph.feed, x: 2.5}, rtol=1e-9)
    browser.click(".reset")
    check_every_step(browser, *graph)


def set_number(browser: Any, key: str, entry: int, text: str) -> None:
    """Write a number into its field, as a person would."""
    selector = f'input[type="number"][data-key="{key}"][data-entry="{entry}"]'
    browser.script("for (const d of document.querySelectorAll('details.editor')) d.open = true")
    field = browser.find(selector)
    browser.script(
        "arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus(); "
        "arguments[0].select()",
        field,
    )
    browser.keys(*text)


def test_ten_training_steps_are_numpys(explore: Any) -> None:
    graph = network()
    browser = explore(graph, optimizer=mf.SGD(0.5))
    nodes = ancestors_in_order(graph.output)
    parameters = [node for node in nodes if isinstance(node, mf.Parameter)]
    losses = []
    for _ in range(10):
        loss, gradients = mf.value_and_grad(graph.output, graph.feed, parameters)
        losses.append(float(loss))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.value[...] -= 0.5 * gradient
    train(browser, "10 steps")
    close(browser.script("return document.querySelector('.mfx').explorer.live.losses"), losses)
    for parameter in parameters:
        close(kept(browser, nodes.index(parameter)), parameter.value)
    check_every_step(browser, *graph, rtol=1e-9)
    points = browser.find(".curve polyline").get_attribute("points").split()
    assert len(points) == 11
    heights = [float(point.split(",")[1]) for point in points]
    assert max(heights) - min(heights) > 50  # from the highest loss to the lowest, and not from 0
    numbers = "return [...document.querySelectorAll('.curve text')].map((t) => t.textContent)"
    high, low, zero, steps = browser.script(numbers)
    assert (zero, steps) == ("0", "10 steps")
    close([float(high), float(low)], [max(losses), float(low)], rtol=1e-3)
    assert browser.text(".message").startswith(f"Loss {losses[0]:.4g} → ")


def kept(browser: Any, node: int) -> Any:
    """The numbers of a parameter, as the page has them now."""
    numbers = f"document.querySelector('.mfx').explorer.live.arguments.get('node {node}')"
    return browser.script(f"return [...{numbers}]")


@pytest.mark.slow
def test_learning_rate_and_optimizer_are_the_users(explore: Any) -> None:
    graph = network(np.float32)
    browser = explore(graph, optimizer=mf.Adam(0.1))
    set_number(browser, "lr", 0, "0.02")
    train(browser, "1 step")
    train(browser, "10 steps")
    nodes = ancestors_in_order(graph.output)
    parameters = [node for node in nodes if isinstance(node, mf.Parameter)]
    optimizer = mf.Adam(0.02)
    for _ in range(11):
        _, gradients = mf.value_and_grad(graph.output, graph.feed, parameters)
        optimizer.update(parameters, gradients)
    for parameter in parameters:
        close(kept(browser, nodes.index(parameter)), parameter.value, rtol=1e-4)
    assert browser.text(".training h3") == "Train with Adam"


@pytest.mark.slow
def test_labels_stay_whole_and_are_refused_out_of_range(explore: Any) -> None:
    graph = network()
    browser = explore(graph)
    nodes = ancestors_in_order(graph.output)
    y = next(node for node in nodes if node.name == "y")
    before = read(browser)
    set_number(browser, f"node {nodes.index(y)}", 0, "7")
    assert "out of bounds" in browser.text(".message")
    assert read(browser)["position"] == before["position"]
    set_number(browser, f"node {nodes.index(y)}", 0, "1")
    browser.script("document.activeElement.blur()")
    labels = np.array([1, 1, 1, 0, 1])
    check_every_step(browser, graph.output, {**graph.feed, y: labels}, rtol=1e-9)


@pytest.mark.slow
def test_graph_that_cannot_be_recorded_steps_through_its_numbers_and_says_why(explore: Any) -> None:
    x = mf.Input("x")
    graph = Graph(Choosy(x) * 4, {x: -2.0})
    browser = explore(graph)
    check_every_step(browser, *graph)
    assert browser.text(".status") == "recorded"
    note = browser.text(".workbench .note")
    assert note.startswith("Not live. Choosy 'choosy'")
    assert "explorer_graphs.py" in note
    assert browser.find_all(".workbench input, .workbench button") == []


def test_graph_with_too_many_numbers_is_not_live_and_says_why(explore: Any) -> None:
    x = mf.Input("x")
    browser = explore(Graph(mf.Mean(x * 2.0), {x: np.zeros((600, 500))}))
    assert "300,000 numbers" in browser.text(".workbench .note")
