"""The explorer's page in a real browser: keys, fingers, sizes, large graphs, several at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from explorer_graphs import Graph, case_study, deep, network, own_class
from exploring import END, ENTER, HOME, RIGHT, TAB, check_every_step, close, read, train, wait_until

import miniflow as mf
from miniflow.graph.plans import ancestors_in_order
from miniflow.pictures.explorer import Explorer, explorer_fragment


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Graph, Path, Any]:
    """A graph of two hundred nodes, its page, and the page's data."""
    graph = deep()
    mf.value_and_grad(graph.output, graph.feed, wrt=())
    explorer = Explorer(graph.output, graph.feed)
    page = tmp_path_factory.mktemp("large") / "large.html"
    explorer.save(page)
    return graph, page, explorer.data


# --- Keys, fingers, sizes


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.breadth("size", "dark")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (1440, 900)], ids=["phone", "desktop"])
def test_page_fits_its_window_and_is_silent(
    browser: Any, tmp_path: Path, size: tuple[int, int], dark: bool
) -> None:
    graph = network()
    page = tmp_path / "network.html"
    mf.value_and_grad(graph.output, graph.feed, wrt=())
    mf.draw(graph.output).save(page)
    browser.open(page, size, dark)
    scroller = "const s = document.querySelector('.scroller');"
    parts = browser.script(
        f"{scroller} return [s.scrollWidth, s.clientWidth, s.scrollHeight, s.clientHeight]"
    )
    assert parts[0] <= parts[1]  # the whole graph is in sight at first
    assert parts[2] <= parts[3]
    hints = "return ['.keys', '.touch'].map((c) => document.querySelector(c).checkVisibility())"
    assert sum(browser.script(hints)) == 1  # of keys, or of fingers
    browser.keys(*[RIGHT] * 13)
    width = "return [document.documentElement.scrollWidth, innerWidth]"
    scroll, inner = browser.script(width)
    assert scroll <= inner == size[0]
    paper = browser.script(
        "return getComputedStyle(document.querySelector('.mfx')).backgroundColor"
    )
    assert paper == ("rgb(17, 22, 29)" if dark else "rgb(255, 255, 255)")
    assert browser.errors() == []


@pytest.mark.slow
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
    mf.value_and_grad(evil, {x: 1.5}, wrt=())
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_widgets_module_renders_into_a_notebooks_cell(browser: Any, tmp_path: Path) -> None:
    pytest.importorskip("anywidget", reason="anywidget is not installed")
    graph = own_class()
    mf.value_and_grad(graph.output, graph.feed, wrt=())
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
