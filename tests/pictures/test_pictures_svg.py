"""The SVG: snapshots, valid and safe XML, text that fits, themes, and what can be read without
seeing it.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from drawn_graphs import SNAPSHOTS, case_study, network, random_graph, residual

import miniflow as mf
from miniflow.pictures import draw
from miniflow.pictures.cards import LONGEST_TITLE, arrange, width_of
from miniflow.pictures.compose import compose
from miniflow.pictures.metrics import shorten
from miniflow.pictures.stacks import overlap
from miniflow.pictures.style import _DARK, _LIGHT

FOLDER = Path(__file__).parent / "snapshots"
SVG = "{http://www.w3.org/2000/svg}"


def compare(name: str, found: str) -> None:
    """Compare with the file of that name; MINIFLOW_UPDATE_SNAPSHOTS=1 writes it instead."""
    path = FOLDER / name
    if os.environ.get("MINIFLOW_UPDATE_SNAPSHOTS"):
        path.write_text(found, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == found, f"look at it, then update {name}"


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_picture_is_the_one_that_was_looked_at(name: str) -> None:
    svg = SNAPSHOTS[name]().svg()
    svg = re.sub(r"<style>.*?</style>", "<style/>", svg, flags=re.S)  # the same in all of them
    svg = re.sub(r"data:image/png;base64,[\w+/=]+", "data:", svg)
    compare(f"{name}.svg", svg)


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_text_is_the_one_that_was_looked_at(name: str) -> None:
    compare(f"{name}.txt", SNAPSHOTS[name]().text(width=100) + "\n")


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_same_graph_gives_the_same_bytes(name: str) -> None:
    assert SNAPSHOTS[name]().svg() == SNAPSHOTS[name]().svg()


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_no_text_leaves_its_card_and_no_card_or_label_its_picture(name: str) -> None:
    composition = compose(SNAPSHOTS[name]().figure)
    width, height = composition.graph
    for card in composition.figure.cards:
        arranged = composition.arranged[card.key]
        for mark in arranged.marks:
            reach = width_of(mark.text, mark.style)
            start = mark.x - {"start": 0, "middle": reach / 2, "end": reach}[mark.anchor]
            assert start >= 0
            assert start + reach <= arranged.width
            assert 0 < mark.y < arranged.height
        place = composition.places[card.key]
        assert place.x >= 0
        assert place.y >= 0
        assert place.x + place.width <= width + 0.02
        assert place.y + place.height <= height + 0.02
    labels = [way.label for way in composition.ways if way.label]
    for index, label in enumerate(labels):
        assert not any(overlap(label, other) for other in labels[:index])
        assert label.x + label.width <= width + 0.02
    for mark in composition.figure.notes:
        assert sum(width_of(span.text, "number") for span in mark) <= composition.width


HOSTILE = [
    '<script>alert("x")</script>',
    "a & b",
    "]]>",
    "'\"><g>",
    "\x00\n\u202e",
    "名前",
    "—" * 60,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_cannot_break_the_picture(name: str) -> None:
    x, W = mf.Input(name), mf.Parameter(np.zeros((2, 2)), f"group/{name}")
    f = mf.MatMul(x, W, name=f"group/{name}!")
    drawing = draw(mf.Sum(f, name=name), title=name)
    for theme in ("auto", "light", "dark"):
        root = ET.fromstring(drawing.svg(theme))
        assert not list(root.iter(f"{SVG}script"))
    assert all(len(line) <= 100 for line in drawing.text(100).split("\n"))
    assert "\x00" not in drawing.text(100)
    mf.value_and_grad(f, {x: np.ones((2, 2))}, wrt=())
    ET.fromstring(draw(f, paths=(x, f)).svg())
    ET.fromstring(draw(f, elements=True).svg())


def test_300_random_graphs_with_such_names_are_valid_and_show_each_name() -> None:
    for seed in range(300):
        drawing = draw(*random_graph(seed, HOSTILE), groups=("auto", "open", "closed")[seed % 3])
        root = ET.fromstring(drawing.svg())
        drawn = {element.tag for element in root.iter()}
        assert not drawn & {f"{SVG}script", f"{SVG}b"}, f"graph {seed}"
        shown = {element.text for element in root.iter(f"{SVG}text")}
        for card in drawing.figure.cards:
            assert shorten(card.title, LONGEST_TITLE) in shown, f"graph {seed}"


def test_the_name_is_shown_as_it_is() -> None:
    root = ET.fromstring(draw(mf.Neg(mf.Input("<b>&amp;"))).svg())
    assert "<b>&amp;" in [element.text for element in root.iter(f"{SVG}text")]


def test_a_screen_reader_is_told_what_the_picture_shows() -> None:
    f, _ = case_study()
    root = ET.fromstring(draw(f).svg())
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img"
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == "The graph of f"
    assert "g = Mul(x, y)" in (description.text or "")


def test_two_pictures_on_one_page_share_no_identifiers() -> None:
    f, nodes = case_study()
    found = [re.findall(r' id="([^"]+)"', draw(node).svg()) for node in (f, nodes["g"])]
    assert set(found[0]).isdisjoint(found[1])


def test_every_rule_of_the_style_sheet_keeps_to_the_picture() -> None:
    style = re.search(r"<style>(.*?)</style>", draw(mf.Input("x")).svg(), re.S)
    assert style is not None
    lines = [line for line in style[1].strip().splitlines() if line not in ("}", "")]
    assert all(line.startswith((".miniflow-auto ", "@media")) for line in lines)


def test_themes_are_day_night_or_both() -> None:
    drawing = draw(mf.Input("x"))
    assert "@media" in drawing.svg()
    assert _LIGHT["paper"] in drawing.svg("light")
    assert "@media" not in drawing.svg("light")
    assert _DARK["paper"] in drawing.svg("dark")
    assert _LIGHT["paper"] not in drawing.svg("dark")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colours", [_LIGHT, _DARK], ids=["day", "night"])
def test_text_stands_out_from_whatever_is_behind_it(colours: dict[str, str]) -> None:
    for ink in ("ink", "dim", "value", "gradient"):
        for ground in ("paper", "frame", "operation", "input", "parameter", "output"):
            a, b = luminance(colours[ink]), luminance(colours[ground])
            contrast = (max(a, b) + 0.05) / (min(a, b) + 0.05)
            assert contrast >= 4.5, f"{ink} on {ground}: {contrast:.2f}"


@pytest.mark.parametrize("colours", [_LIGHT, _DARK], ids=["day", "night"])
def test_lines_and_outlines_stand_out_from_what_they_are_drawn_on(colours: dict[str, str]) -> None:
    kinds = ("operation", "input", "parameter", "output")
    for line in ("line", "gradient", *(f"{kind}-line" for kind in kinds)):
        for ground in ("paper", "frame"):
            a, b = luminance(colours[line]), luminance(colours[ground])
            contrast = (max(a, b) + 0.05) / (min(a, b) + 0.05)
            assert contrast >= 3, f"{line} on {ground}: {contrast:.2f}"


def test_kinds_of_node_differ_in_outline() -> None:
    x, c = mf.Input("x"), mf.Constant(np.ones(3), "c")
    f = mf.Sum(mf.Mul(mf.Add(x, mf.Parameter(np.ones(3), "W")), c))
    outlines = {}
    for card in draw(f, groups="none").figure.cards:
        drawn = draw(f).svg()
        group = next(g for g in drawn.split("<g ") if f">{card.title}</text>" in g)
        shape = re.search(r'<(rect|path) class="card [^"]*"[^>]*?(rx="[\d.]+"|d="M)', group)
        assert shape is not None
        outlines[card.kind] = (shape[2], "dashed" in group, group.count("<rect"))
    assert len(set(outlines.values())) == len(outlines) == 5


def test_what_several_lines_have_in_common_is_drawn_once() -> None:
    svg = draw(residual(3, names=False), values=False, groups="none").svg()
    paths = re.findall(r'class="edge" d="([^"]+)"', svg)
    pieces = [piece for path in paths for piece in re.findall(r"[MCL][^MCL]+", path)]
    curves = [piece for piece in pieces if piece[0] == "C"]
    assert len(curves) == len(set(curves))


def test_values_can_be_left_out() -> None:
    figure = draw(network(), values=False).figure
    assert not any(card.value or card.gradient for card in figure.cards)
    assert figure.caption == ""
    assert all(not arrange(card).images for card in figure.cards)
