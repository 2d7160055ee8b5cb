"""What holds for every layout: on 300 random graphs, in both directions, with labels and groups."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from drawn_graphs import random_boxes

from miniflow.pictures.layout import Box, Group, Layout, Link, Place, curve, lay_out

GRAPHS = 300
SLACK = 0.02  # coordinates are rounded to hundredths


def apart(a: Place, b: Place) -> bool:
    return (
        a.x + a.width <= b.x + SLACK
        or b.x + b.width <= a.x + SLACK
        or a.y + a.height <= b.y + SLACK
        or b.y + b.height <= a.y + SLACK
    )


def within(inner: Place, outer: Place) -> bool:
    return (
        inner.x >= outer.x - SLACK
        and inner.y >= outer.y - SLACK
        and inner.x + inner.width <= outer.x + outer.width + SLACK
        and inner.y + inner.height <= outer.y + outer.height + SLACK
    )


def along_the_way(layout: Layout, index: int) -> np.ndarray:
    """Points on the drawn line of a link, close together."""
    t = np.linspace(0, 1, 9)[:, None]
    points = []
    for piece in curve(layout.routes[index].points, layout.direction):
        p = np.array(piece)
        if len(p) == 2:
            points.append(p[0] * (1 - t) + p[1] * t)
        else:
            s = 1 - t
            points.append(s**3 * p[0] + 3 * s * s * t * p[1] + 3 * s * t * t * p[2] + t**3 * p[3])
    return np.concatenate(points)


def check(boxes: list[Box], links: list[Link], groups: list[Group], layout: Layout) -> None:
    axis = 1 if layout.direction == "down" else 0
    frame = Place(0, 0, layout.width, layout.height)
    places = [layout.places[box.key] for box in boxes]
    labels = [route.label for route in layout.routes if route.label is not None]
    assert len(labels) == sum(link.label is not None for link in links)
    for place in [*places, *labels, *layout.frames.values()]:
        assert within(place, frame)
    for a, b in combinations([*places, *labels], 2):
        assert apart(a, b), "boxes or labels overlap"
    parents = {group.key: group.parent for group in groups}
    for box in boxes:
        around = set()
        group = box.group
        while group is not None:
            around.add(group)
            group = parents[group]
        for key, place in layout.frames.items():
            if key in around:
                assert within(layout.places[box.key], place)
            else:
                assert apart(layout.places[box.key], place), "a foreign box in a frame"
    low = np.array([[p.x, p.y] for p in places])
    high = low + np.array([[p.width, p.height] for p in places])
    for index, link in enumerate(links):
        way = along_the_way(layout, index)
        steps = np.diff(way[:, axis])
        assert (steps >= -SLACK).all(), "a line runs backwards"
        source, target = layout.places[link.source], layout.places[link.target]
        assert abs(way[0, axis] - (source[axis] + source[axis + 2])) < SLACK
        assert abs(way[-1, axis] - target[axis]) < SLACK
        assert target[1 - axis] <= way[-1, 1 - axis] <= target[1 - axis] + target[3 - axis]
        assert (way >= -SLACK).all()
        assert (way <= [layout.width + SLACK, layout.height + SLACK]).all()
        inside = (way[:, None] > low + 0.1) & (way[:, None] < high - 0.1)
        assert not inside.all(axis=2).any(), "a line crosses a box"


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["right", "down"])
def test_what_holds_for_every_layout_holds_for_random_graphs(direction: str) -> None:
    for seed in range(0 if direction == "right" else 1, GRAPHS, 2):
        boxes, links, groups = random_boxes(seed)
        layout = lay_out(boxes, links, groups, direction=direction)
        try:
            check(boxes, links, groups, layout)
        except AssertionError as error:
            raise AssertionError(f"graph {seed}: {error}") from error


def test_the_same_graph_is_laid_out_the_same_way() -> None:
    for seed in (3, 4, 12):
        assert lay_out(*random_boxes(seed)) == lay_out(*random_boxes(seed))


def test_a_diamond_has_no_crossing_and_is_symmetric() -> None:
    links = [Link(*ends) for ends in ("xg", "yg", "xh", "zh", "gf", "hf")]
    layout = lay_out([Box(key, 60, 40) for key in "xyzghf"], links)
    middle = {key: place.middle[1] for key, place in layout.places.items()}
    assert middle["x"] == middle["f"] == (middle["g"] + middle["h"]) / 2
    assert (middle["y"] < middle["x"]) == (middle["g"] < middle["h"])


def test_the_main_path_of_residual_blocks_is_straight() -> None:
    boxes, links = [Box("x", 50, 40)], []
    last: object = "x"
    for i in range(8):
        boxes += [Box((kind, i), 80, 40) for kind in ("W", "linear", "relu", "add")]
        links += [Link(last, ("linear", i)), Link(("W", i), ("linear", i))]
        links += [Link(("linear", i), ("relu", i)), Link(("relu", i), ("add", i))]
        links.append(Link(last, ("add", i)))
        last = ("add", i)
    layout = lay_out(boxes, links)
    assert len({layout.places["linear", i].middle[1] for i in range(8)}) == 1
    assert len({layout.places["add", i].middle[1] for i in range(8)}) == 1


def test_a_weight_stands_beside_its_reader_and_a_shared_one_at_the_start() -> None:
    chain = [Box(i, 40, 40) for i in range(6)]
    links = [Link(a.key, b.key) for a, b in pairwise(chain)]
    weights = [Box("own", 40, 40), Box("shared", 40, 40)]
    links += [Link("own", 4), Link("shared", 1), Link("shared", 4)]
    layout = lay_out(chain + weights, links)
    assert layout.places["own"].x == layout.places[3].x
    assert layout.places["shared"].x == layout.places[0].x


def test_what_is_read_late_stays_near_what_it_is_made_of() -> None:
    chain = [Box(i, 40, 40) for i in range(6)]
    links = [Link(a.key, b.key) for a, b in pairwise(chain)]
    side = [Link(1, "side"), Link("side", 5)]  # a short line in and a long one out
    layout = lay_out([*chain, Box("side", 40, 40)], links + side)
    assert layout.places["side"].x == layout.places[2].x


def test_lines_from_one_box_share_their_way() -> None:
    chain = [Box(i, 40, 40) for i in range(5)]
    links = [Link(a.key, b.key) for a, b in pairwise(chain)]
    layout = lay_out([Box("W", 40, 40), *chain], [*links, Link("W", 2), Link("W", 4)])
    first, second = layout.routes[-2].points, layout.routes[-1].points
    assert first[0] == second[0]
    heights = {round(y, 1) for _, y in second[1:-2]}
    assert len(heights) <= 2  # it goes straight past the first reader


def test_a_box_that_reads_another_twice_gets_two_arrowheads() -> None:
    layout = lay_out([Box("x", 40, 40), Box("square", 60, 40)], [Link("x", "square")] * 2)
    ends = [route.points[-1] for route in layout.routes]
    assert ends[0] != ends[1]


@pytest.mark.parametrize(
    ("boxes", "links", "groups", "message"),
    [
        ([Box("a", 1, 1)], [Link("a", "b")], [], "the box 'b', which does not exist"),
        ([Box("a", 1, 1, "g")], [], [], "the group 'g', which does not exist"),
        ([Box("a", 1, 1), Box("a", 1, 1)], [], [], "the same key"),
        ([Box("a", 1, 1), Box("b", 1, 1)], [Link("a", "b"), Link("b", "a")], [], "circle: 2 of 2"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(
    boxes: list[Box], links: list[Link], groups: list[Group], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        lay_out(boxes, links, groups)


def test_nothing_and_a_single_box_are_laid_out_too() -> None:
    assert lay_out([], []).width == 0
    assert lay_out([Box("a", 30, 20)], []).places == {"a": Place(0, 0, 30, 20)}


def test_a_group_and_a_box_may_have_the_same_key() -> None:
    boxes = [Box("a", 30, 20, "a"), Box("b", 30, 20)]
    layout = lay_out(boxes, [Link("a", "b")], [Group("a")])
    assert within(layout.places["a"], layout.frames["a"])


def test_a_deep_graph_needs_no_recursion() -> None:
    boxes = [Box(i, 10, 10) for i in range(3000)]
    layout = lay_out(boxes, [Link(i, i + 1) for i in range(2999)])
    assert len({place.y for place in layout.places.values()}) == 1
