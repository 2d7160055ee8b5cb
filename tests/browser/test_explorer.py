"""The explorer in a real browser: every number is the interpreter's, recorded or live."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explorer_graphs import (
    Choosy,
    Cube,
    Forgetful,
    Graph,
    case_study,
    deep,
    in_place,
    network,
    own_class,
)

import miniflow as mf
from miniflow.pictures.explorer import Explorer, explorer_fragment
from miniflow.pictures.local import local_derivative
from miniflow.pictures.reading import Reading
from miniflow.plans import ancestors_in_order

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


@pytest.fixture
def explore(browser: Any, tmp_path: Path) -> Callable[..., Any]:
    """Open the explorer of a graph in the browser."""

    def open_(graph: Graph, **how: Any) -> Any:
        mf.value_and_grad(graph.output, graph.feed)
        size = how.pop("size", browser.DESKTOP)
        page = tmp_path / "graph.html"
        Explorer(graph.output, graph.feed, **how).save(page)
        browser.open(page, size)
        return browser

    return open_


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Graph, Path, Any]:
    """A graph of two hundred nodes, its page, and the page's data."""
    graph = deep()
    mf.value_and_grad(graph.output, graph.feed)
    explorer = Explorer(graph.output, graph.feed)
    page = tmp_path_factory.mktemp("large") / "large.html"
    explorer.save(page)
    return graph, page, explorer.data


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
    mf.value_and_grad(output, feed)
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


# --- The recorded pass


@pytest.mark.parametrize("make", [case_study, own_class, in_place, network])
def test_every_number_on_the_way_is_the_interpreters(explore: Any, make: Any) -> None:
    graph = make()
    check_every_step(explore(graph), *graph)


def test_going_back_shows_each_step_as_it_was(explore: Any) -> None:
    browser = explore(case_study())
    forth = [read(browser)]
    while forth[-1]["position"] < forth[-1]["last"]:
        browser.keys(RIGHT)
        forth.append(read(browser))
    browser.keys(RIGHT)  # nothing comes after the end
    for before in reversed(forth):
        assert read(browser) == before
        browser.keys(LEFT)
    assert read(browser) == forth[0]


def test_one_sentence_and_one_formula_say_what_is_handed_back(explore: Any) -> None:
    browser = explore(case_study())
    browser.script("document.querySelector('.mfx').explorer.visit(0)")  # x: its value,
    browser.script("document.querySelector('.mfx').explorer.visit(0)")  # and then its gradient
    seen = read(browser)
    assert seen["sentence"] == (
        "g hands x the upstream gradient 1 times the local derivative 4, which is 4. That is share "
        "2 of 2. Shares are added up; the gradient of f with respect to x is complete: −1."
    )
    assert seen["formulas"] == [
        "∂f/∂x  ←  ∂f/∂g  ·  ∂g/∂x  =  1 · 4  =  4",
        "∂f/∂x  =  −5 + 4  =  −1",
    ]


def test_what_has_not_been_run_is_not_shown_as_a_number(explore: Any) -> None:
    browser = explore(case_study())
    browser.keys(RIGHT)
    cards = read(browser)["cards"]
    assert cards["n0"] == "x, value 3"
    assert all(text.endswith("not run yet") for key, text in cards.items() if key != "n0")


def test_users_own_code_is_shown_with_its_file_and_line(explore: Any) -> None:
    browser = explore(own_class())
    browser.keys(RIGHT, RIGHT)
    code = read(browser)["code"]
    line = Cube.forward.__code__.co_firstlineno
    assert "Cube.forward" in code
    assert f"explorer_graphs.py:{line}" in code
    assert "self.value = self.inbound_nodes[0].value ** 3  # </script> is only a remark" in code


def test_code_that_was_never_in_a_file_is_said_to_be_unavailable(explore: Any) -> None:
    given: dict[str, Any] = {"mf": mf}
    exec(
        "class Twice(mf.Op):\n"
        "    def compute(self, x): return 2 * x\n"
        "    def gradient(self, grad, x): return (2 * grad,)\n",
        given,
    )
    x = mf.Input("x")
    browser = explore(Graph(given["Twice"](x), {x: 1.5}))
    browser.keys(RIGHT, RIGHT)
    seen = read(browser)
    assert "Twice.compute" in seen["code"]
    assert "source is not available" in seen["code"]
    check_every_step(browser, given["Twice"](x), {x: 1.5})


def test_large_arrays_are_summarised_and_small_ones_are_whole(explore: Any) -> None:
    rng = np.random.default_rng(3)
    x = mf.Input("x")
    data = rng.normal(2.0, 3.0, size=(40, 30))
    browser = explore(Graph(mf.Mean(mf.Exp(x * 0.1), name="m"), {x: data}))
    browser.keys(RIGHT)
    shown = browser.text(".panel .quantity .summary")
    mean, sd, norm = (f"{v:.3g}" for v in (data.mean(), data.std(), np.linalg.norm(data)))
    assert shown == f"{mean} ± {sd}, ‖·‖ {norm}"
    assert browser.find_all(".panel .quantity img.heat")
    browser.keys(END)
    assert browser.text(".panel .quantity .number") == read(browser)["cards"]["n4"].split()[2][:-1]


def test_values_that_are_not_finite_are_shown_as_what_they_are(explore: Any) -> None:
    x = mf.Input("x")
    with np.errstate(all="ignore"):
        browser = explore(Graph(mf.Log(x), {x: np.array([0.0, -1.0, 1.0])}))
    browser.keys(RIGHT, RIGHT)
    cells = [cell.text for cell in browser.find_all(".panel section td")]
    assert cells == ["−∞", "NaN", "0"]


def test_backward_that_forgets_the_chain_rule_is_told(explore: Any) -> None:
    x = mf.Input("x")
    browser = explore(Graph(Forgetful(x) * 5, {x: 2.0}))
    browser.keys(END, LEFT)
    warning = read(browser)["warning"]
    assert "Something is wrong with Forgetful's backward" in warning
    assert "is 60, and it left 12 for x" in warning


# --- Live


def test_edited_weight_gives_the_interpreters_numbers(explore: Any) -> None:
    graph = network()
    browser = explore(graph)
    W1 = next(node for node in ancestors_in_order(graph.output) if node.name == "W1")
    key = f"node {ancestors_in_order(graph.output).index(W1)}"
    set_number(browser, key, 5, "0.625")
    W1.value[1, 2] = 0.625
    browser.script("document.activeElement.blur()")
    check_every_step(browser, *graph, rtol=1e-9)


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
    assert browser.text(".message").startswith(f"Loss {losses[0]:.4g} → ")


def kept(browser: Any, node: int) -> Any:
    """The numbers of a parameter, as the page has them now."""
    numbers = f"document.querySelector('.mfx').explorer.live.arguments.get('node {node}')"
    return browser.script(f"return [...{numbers}]")


def train(browser: Any, label: str) -> None:
    buttons = browser.find_all(".training .buttons button")
    names = [b.get_attribute("aria-label") or b.text for b in buttons]
    buttons[names.index(label)].click()
    wait_until(browser, "!document.querySelector('.mfx').explorer.workbench.busy")


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


# --- Keys, fingers, sizes


def test_everything_can_be_done_with_the_keyboard(browser: Any, large: Any) -> None:
    browser.open(large[1])
    reached: list[str] = []
    for _ in range(60):
        browser.keys(TAB)
        reached.append(
            browser.script(
                "const e = document.activeElement; "
                "return e.getAttribute('aria-label') ?? e.textContent"
            )
        )
    for name in ("one step on", "one step back", "play", "to the start", "to the end", "step"):
        assert name in reached, reached
    assert any(name.startswith("Open the group block7,") for name in reached)
    assert any(name.startswith("the graph") for name in reached)
    browser.script("document.querySelector('[aria-label=\"one step on\"]').focus()")
    browser.keys(ENTER, " ")
    assert read(browser)["position"] == 2
    browser.keys(HOME)
    assert read(browser)["position"] == 0
    browser.script("document.querySelector('.controls input').focus()")
    browser.keys(RIGHT, RIGHT, RIGHT)
    assert read(browser)["position"] == 3
    told = browser.find(".controls input").get_attribute("aria-valuetext")
    assert told == f"3 of {read(browser)['last']}, {read(browser)['heading']}"
    browser.script("document.activeElement.blur()")
    browser.keys(" ")  # plays at once, and is stopped
    browser.keys(" ")
    assert read(browser)["position"] == 4
    assert browser.find(".sentence").get_attribute("aria-live") == "polite"


def test_groups_open_and_close_where_the_layout_says(browser: Any, large: Any) -> None:
    _, page, data = large
    browser.open(page)
    closed = data["layouts"][0]
    assert set(read(browser)["cards"]) == {card[0] for card in closed["cards"]}
    group = browser.script(
        "const g = [...document.querySelectorAll('.card[tabindex]')]"
        ".find((c) => c.getAttribute('aria-label').startsWith('Open the group block7,'));"
        "g.focus(); return Number(g.dataset.key.slice(1))"
    )
    browser.keys(ENTER)
    wanted = sorted([*closed["open"], group])
    opened = next(layout for layout in data["layouts"] if layout["open"] == wanted)
    for key, x, y, *_ in opened["cards"]:
        card = browser.find(f'.card[data-key="{key}"]')
        assert card.get_attribute("transform") == f"translate({x:g} {y:g})"
    assert browser.script("return document.activeElement.getAttribute('aria-expanded')") == "true"
    browser.keys(" ")
    assert set(read(browser)["cards"]) == {card[0] for card in closed["cards"]}


def test_finger_taps_a_node_and_swipes_through_the_steps(explore: Any) -> None:
    browser = explore(case_study(), size=(390, 844))
    middle = (
        "const r = document.querySelector(arguments[0]).getBoundingClientRect(); "
        "return [r.left + r.width / 2, r.top + Math.min(10, r.height / 2)]"
    )
    browser.touch(tuple(browser.script(middle, ".card[data-key=n2]")))
    wait_until(browser, "document.querySelector('.mfx').explorer.position === 3")
    assert read(browser)["heading"] == "Forward · g"
    x, y = browser.script(middle, ".sentence")
    browser.touch((x + 80, y), (x, y), (x - 80, y))
    assert read(browser)["position"] == 4
    browser.touch((x - 80, y), (x, y), (x + 80, y))
    assert read(browser)["position"] == 3
    browser.touch((x, y), (x + 20, y + 60), (x + 30, y + 120))  # that scrolls
    assert read(browser)["position"] == 3


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (1440, 900)], ids=["phone", "desktop"])
def test_page_fits_its_window_and_is_silent(
    browser: Any, tmp_path: Path, size: tuple[int, int], dark: bool
) -> None:
    graph = network()
    page = tmp_path / "network.html"
    mf.value_and_grad(graph.output, graph.feed)
    mf.draw(graph.output).save(page)
    browser.open(page, size, dark)
    browser.keys(*[RIGHT] * 13)
    width = "return [document.documentElement.scrollWidth, innerWidth]"
    scroll, inner = browser.script(width)
    assert scroll <= inner == size[0]
    paper = browser.script(
        "return getComputedStyle(document.querySelector('.mfx')).backgroundColor"
    )
    assert paper == ("rgb(17, 22, 29)" if dark else "rgb(255, 255, 255)")
    assert browser.errors() == []


def test_page_asks_for_nothing_but_itself(explore: Any, tmp_path: Path) -> None:
    browser = explore(network())
    train(browser, "10 steps")
    browser.keys(END)
    asked = browser.script("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert [name for name in asked if not name.startswith("data:")] == []
    text = (tmp_path / "graph.html").read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


# --- Names are only names


def test_names_and_titles_are_only_names(browser: Any, tmp_path: Path) -> None:
    x = mf.Input("<script>alert(1)</script>")
    evil = mf.Mul(x, mf.Parameter(2.0, "\u2028'\"`${1}<img src=x onerror=alert(2)>"))
    evil.name = "</script><!--<script>"
    page = tmp_path / "evil.html"
    mf.value_and_grad(evil, {x: 1.5})
    mf.draw(evil, title="</title><script>alert(3)</script>&amp;").save(page)
    browser.open(page)
    assert browser.driver.title == "</title><script>alert(3)</script>&amp;"
    assert browser.text("h2") == "</title><script>alert(3)</script>&amp;"
    check_every_step(browser, evil, {x: 1.5})
    assert browser.script("return document.images.length") == 0
    assert browser.script("return document.scripts.length") == 2
    browser.keys(HOME, RIGHT)
    assert read(browser)["heading"] == "Forward · <script>alert(1)</script>"


# --- Two hundred nodes


def test_two_hundred_nodes_stay_light(browser: Any, large: Any) -> None:
    graph, page, _ = large
    assert len(ancestors_in_order(graph.output)) == 200
    browser.open(page)
    assert len(browser.find_all(".card")) <= 60  # it opens with its groups closed
    count = "return document.querySelectorAll('.mfx *').length"
    browser.script(
        "const e = document.querySelector('.mfx').explorer;"
        "e.stage.open = new Set(e.graph.groups.keys()); e.stage.draw(); e.show();"
        "window.first = document.querySelector('.card')"
    )
    assert len(browser.find_all(".card")) == 200
    before = browser.script(count)
    assert before < 200 * 25
    check_some_steps(browser, graph)
    same = "return document.querySelector('.card') === window.first"
    assert browser.script(same), "a step redraws nothing, it only writes on what is there"
    assert browser.script(count) < before + 400


def check_some_steps(browser: Any, graph: Graph) -> None:
    nodes = ancestors_in_order(graph.output)
    for i in range(0, 200, 17):
        browser.script(f"document.querySelector('.mfx').explorer.go({i + 1})")
        close(read(browser)["quantities"][-1][1], nodes[i].value, 1e-12)
        lit = browser.find_all(".card.now")
        assert [card.get_attribute("data-key") for card in lit] == [f"n{i}"]


# --- The other two uses


def test_several_explorers_stand_on_one_page(browser: Any, tmp_path: Path) -> None:
    parts = []
    for graph in (case_study(), case_study(), network()):
        parts.append(explorer_fragment(*graph))
    page = tmp_path / "report.html"
    page.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>report</title>"
        f"<body><h1>Report</h1>{''.join(parts)}",
        encoding="utf-8",
    )
    browser.open(page)
    titles = [title.text for title in browser.find_all(".mfx h2")]
    assert titles == ["The graph of f", "The graph of f", "The graph of loss"]
    browser.script("document.querySelectorAll('.mfx')[1].querySelector('.scroller').focus()")
    browser.keys(RIGHT, RIGHT)
    positions = "return [...document.querySelectorAll('.mfx')].map((e) => e.explorer.position)"
    assert browser.script(positions) == [0, 2, 0]


def test_widgets_module_renders_into_a_notebooks_cell(browser: Any, tmp_path: Path) -> None:
    pytest.importorskip("anywidget", reason="anywidget is not installed")
    graph = own_class()
    mf.value_and_grad(graph.output, graph.feed)
    widget = mf.draw(graph.output).explore()
    page = tmp_path / "cell.html"
    (tmp_path / "cell.js").write_text(widget._esm, encoding="utf-8")
    module = widget._esm.replace("export default", "const widget =").replace("</", "<\\/")
    page.write_text(
        "<!doctype html><html lang=en><meta charset=utf-8><title>cell</title>"
        f"<style>{widget._css}</style><body><div id=cell></div>"
        f"<script id=data type=application/json>{widget.data}</script>"
        f"<script type=module>{module}\n"
        "const model = { get: () => document.getElementById('data').textContent };"
        "widget.render({ model, el: document.getElementById('cell') });</script>",
        encoding="utf-8",
    )
    browser.open(page)
    browser.script("document.querySelector('.scroller').focus()")
    check_every_step(browser, *graph)
