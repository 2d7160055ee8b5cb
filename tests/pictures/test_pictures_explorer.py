"""The explorer's Python side: what is recorded, what is said where it cannot be, what is written.

What a page does with it is tested in a browser, in tests/browser.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conformance import CASES

import miniflow as mf
from miniflow.errors import GraphError, MiniflowError
from miniflow.graph.plans import ancestors_in_order
from miniflow.pictures.explorer import Explorer, explorer_fragment
from miniflow.pictures.explorer.code import code_of, highlighted
from miniflow.pictures.explorer.layouts import Grouped, states
from miniflow.pictures.explorer.numbers import MOST_WHOLE, as_data
from miniflow.pictures.explorer.page import module_text
from miniflow.pictures.explorer.program import Live, live_programs
from miniflow.pictures.explorer.recording import record_pass
from miniflow.pictures.groups import GroupKey

STATIC = Path(mf.__file__).parent / "pictures" / "static" / "explorer"


def case_study() -> tuple[mf.Node, dict[mf.Node, Any]]:
    x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
    return mf.Add(mf.Mul(x, y, name="g"), mf.Mul(x, z, name="h"), name="f"), {x: 3, y: 4, z: -5}


# --- Recording


def test_recorded_pass_has_every_number_of_the_interpreter() -> None:
    f, feed = case_study()
    mf.value_and_grad(f, feed, wrt=())
    recorded = record_pass(f, None)
    nodes = ancestors_in_order(f)
    assert recorded.values == [node.value for node in nodes]
    for (c, s), handed in recorded.handed.items():
        assert handed == nodes[c].gradients[nodes[s]]
    assert [float(gradient) for gradient in recorded.gradients] == [-1, 3, 1, 3, 1, 1]


def test_recording_leaves_no_trace_on_the_nodes() -> None:
    f, feed = case_study()
    mf.value_and_grad(f, feed, wrt=())
    nodes = ancestors_in_order(f)
    before = [(node.value, dict(node.gradients), dict(node.cache)) for node in nodes]
    Explorer(f, {nodes[0]: 7.0})
    assert [(node.value, dict(node.gradients), dict(node.cache)) for node in nodes] == before


def test_recording_changes_neither_parameters_nor_optimizer() -> None:
    W = mf.Parameter([1.0, 2.0], "W")
    optimizer = mf.Adam(0.1)
    explorer = Explorer(mf.MSE(W, [0.0, 0.0]), optimizer=optimizer)
    assert W.value.tolist() == [1.0, 2.0]
    assert optimizer.state == {}
    live = explorer.data["live"]
    kept = {key for key in live["arguments"] if key.startswith("state ")}
    assert kept == {key for key in live["step"]["inputs"] if key.startswith("state ")} != set()


def test_second_head_has_no_part_in_what_is_recorded() -> None:
    f, feed = case_study()
    other = mf.Mul(ancestors_in_order(f)[0], 100.0)
    mf.value(other, feed)
    assert float(record_pass(f, feed).gradients[0]) == -1


def test_input_without_a_value_is_named() -> None:
    f, feed = case_study()
    x = next(iter(feed))
    with pytest.raises(GraphError, match=r"Input 'y' .* and .*|Input 'y' \(.*\), Input 'z'"):
        Explorer(f, {x: 3.0})
    with pytest.raises(GraphError, match="replays a pass"):
        mf.draw(f).explorer()


def test_fed_upstream_gradient_of_an_output_is_the_one_of_the_pass() -> None:
    x = mf.Input("x")
    dummy = mf.DummyGrad(x * x)
    recorded = record_pass(dummy, {x: 3.0, dummy: 0.5})
    assert [float(gradient) for gradient in recorded.gradients] == [3.0, 0.5, 0.5]
    assert Explorer(dummy, {x: 3.0, dummy: 0.5}).data["whyNotLive"] == ""


def test_weight_of_zeros_does_not_pass_for_an_entry_by_entry_operation() -> None:
    X, W = mf.Input("X"), mf.Parameter(np.zeros((2, 2)), "W")
    recorded = record_pass(mf.MatMul(X, W), {X: np.ones((2, 2))})
    assert {local.kind for local in recorded.local.values()} == {"jacobian"}
    large = mf.Parameter(np.zeros((80, 80)), "W")
    recorded = record_pass(mf.MatMul(X, large), {X: np.ones((80, 80))})
    assert {local.kind for local in recorded.local.values()} == {"jacobian"}


def test_backward_that_spoils_what_forward_kept_is_recorded_as_it_was_run() -> None:
    class Once(mf.Node):
        def __init__(self, x: mf.Node) -> None:
            mf.Node.__init__(self, [x])

        def forward(self) -> None:
            self.cache["x"] = self.inbound_nodes[0].value
            self.value = self.cache["x"] ** 2

        def backward(self) -> None:
            self.gradients = {self.inbound_nodes[0]: 2 * self.cache.pop("x")}

    x = mf.Input("x")
    recorded = record_pass(Once(x), {x: 3.0})
    assert recorded.handed == {(1, 0): 6.0}
    assert recorded.local[1, 0] == ("number", 6.0)
    assert Explorer(Once(x), {x: 3.0}).data["whyNotLive"] == ""


def test_constants_have_no_gradient() -> None:
    x = mf.Input("x")
    recorded = record_pass(x * 2.0 + mf.Exp(mf.Constant(1.0)), {x: 3.0})
    names = [type(node).__name__ for node in recorded.order]
    having = [
        name for name, grad in zip(names, recorded.gradients, strict=True) if grad is not None
    ]
    assert having == ["Input", "Mul", "Add"]
    assert set(recorded.handed) == {(2, 0), (5, 2)}


# --- Live, or why not


def test_whole_numbers_may_be_changed_to_others_where_a_gradient_flows() -> None:
    f, feed = case_study()
    kinds = {key: a["dtype"] for key, a in Explorer(f, feed).data["live"]["arguments"].items()}
    assert set(kinds.values()) == {"f64"}
    logits, labels = mf.Input("logits"), mf.Input("labels")
    loss = mf.CrossEntropyWithSoftmax(logits, labels)
    data = Explorer(loss, {logits: np.eye(3), labels: np.arange(3)}).data
    assert data["live"]["arguments"]["node 1"]["dtype"] == "i64"


def test_what_cannot_be_trained_says_why() -> None:
    f, feed = case_study()
    assert "no Parameter" in Explorer(f, feed).data["live"]["whyNoStep"]
    W = mf.Parameter([1.0, 2.0], "W")
    assert "not one number" in Explorer(W * 2.0).data["live"]["whyNoStep"]


def test_a_step_goes_on_with_what_the_optimizer_remembers_of_what_is_not_frozen() -> None:
    x = mf.Input("x")
    W, U, V = (
        mf.Parameter(np.full(shape, 0.5), name)
        for shape, name in (((3, 3), "W"), ((3, 4), "U"), ((4, 3), "V"))
    )
    loss, optimizer = mf.Mean((x @ W @ U @ V - 1.0) ** 2), mf.Adam(0.01)
    feed = {x: np.ones((2, 3))}
    mf.fit(loss, feed, optimizer, epochs=2, progress="none")
    U.trainable = False
    live = live_programs(record_pass(loss, feed), optimizer)
    assert isinstance(live, Live)
    assert live.step is not None, live.why_no_step
    kept = {key: value for key, value in live.arguments.items() if key.startswith("state ")}
    assert kept.keys() >= {"state mean.0", "state mean.2", "state rms.2", "state step"}
    assert all(np.array_equal(optimizer.state[key[6:]], value) for key, value in kept.items())


def test_random_node_is_not_live_and_says_why() -> None:
    class Noisy(mf.Op):
        def compute(self, x: Any) -> Any:
            return x + np.random.default_rng().normal()

        def gradient(self, grad: Any, x: Any) -> Any:
            return (grad,)

    x = mf.Input("x")
    data = Explorer(Noisy(x), {x: 1.0}).data
    assert data["live"] is None
    assert "Noisy" in data["whyNotLive"]


def test_node_whose_program_disagrees_is_not_live() -> None:
    hidden = {"scale": 2.0}

    class Sneaky(mf.Op):
        def compute(self, x: Any) -> Any:
            hidden["scale"] = 3.0 if type(x) is float else 2.0
            return hidden["scale"] * x

        def gradient(self, grad: Any, x: Any) -> Any:
            return (hidden["scale"] * grad,)

    x = mf.Input("x")
    data = Explorer(Sneaky(x), {x: 1.0}).data
    assert data["live"] is None
    assert "Sneaky" in data["whyNotLive"]


@pytest.mark.parametrize("name", [*CASES][::3])
def test_raw_classes_of_the_labs_style_are_live(name: str) -> None:
    output, feed, _, _ = CASES[name](np.float64)
    data = Explorer(output, feed).data
    assert data["whyNotLive"] == ""
    assert {local["kind"] for local in data["recorded"]["local"].values()} <= {
        "number", "row", "elementwise", "jacobian",
    }  # fmt: skip


# --- Code


class Tidy(mf.Op):
    def compute(self, x: Any) -> Any:
        return x

    def gradient(self, grad: Any, x: Any) -> Any:
        return (grad,)


def test_code_of_a_tidy_node_is_compute_and_gradient() -> None:
    code = code_of(Tidy(mf.Input("x")))
    assert code is not None
    assert [part.title for part in code] == ["Tidy.compute", "Tidy.gradient"]
    assert code[0].where == f"{Path(__file__).name}:{Tidy.compute.__code__.co_firstlineno}"
    text = "\n".join("".join(text for _, text in line) for line in code[0].lines)
    assert text == "def compute(self, x: Any) -> Any:\n    return x"


def test_inputs_have_no_code_to_read() -> None:
    assert code_of(mf.Input("x")) is None
    assert code_of(mf.Parameter(1.0)) is None


@pytest.mark.parametrize(
    "source", ['x = """a\nb"""  # c', "if x:\n\treturn f'{y}' 'z'", "def f(:", "", "'''"]
)
def test_highlighting_loses_no_character(source: str) -> None:
    assert "\n".join("".join(t for _, t in line) for line in highlighted(source)) == source


# --- Numbers and layouts


def test_arrays_are_whole_up_to_a_limit_and_summarised_beyond() -> None:
    assert len(as_data(np.arange(MOST_WHOLE))["data"]) == MOST_WHOLE  # type: ignore[index]
    data = as_data(np.append(np.arange(MOST_WHOLE), np.nan))
    assert data is not None
    assert "data" not in data
    assert data["summary"]["odd"] == 1
    assert data["summary"]["mean"] == pytest.approx((MOST_WHOLE - 1) / 2)
    huge = as_data(np.full(MOST_WHOLE + 1, 1e308))
    assert huge is not None
    assert (huge["summary"]["mean"], huge["summary"]["norm"]) == (1e308, "Infinity")
    assert json.loads(json.dumps(as_data(-np.inf))) == {
        "shape": [], "dtype": "float64", "data": ["-Infinity"],
    }  # fmt: skip


def test_every_group_can_be_opened_and_closed_by_itself() -> None:
    keys = [GroupKey((f"g{i}",)) for i in range(20)]
    inner = GroupKey(("g0", "inner"))
    chains = {mf.Input(f"x{i}"): (key,) for i, key in enumerate(keys)}
    chains[mf.Input("y")] = (keys[0], inner)
    groups = Grouped(chains, dict.fromkeys((*keys, inner), ""), frozenset())
    found = states(groups)
    assert found[0] == frozenset()
    assert frozenset(keys) | {inner} in found
    for key in keys:
        assert frozenset({key}) in found
    assert frozenset({keys[0], inner}) in found
    assert frozenset({inner}) not in found  # it is in a closed group
    few = Grouped({x: c for x, c in chains.items() if c[0] in keys[1:4]}, {}, frozenset())
    assert len(states(few)) == 8


def test_large_graph_opens_with_its_groups_closed() -> None:
    node: mf.Node = mf.Input("x")
    for i in range(90):
        node = mf.ReLU(node * 1.5, name=f"block{i // 9}/relu{i}")
    first, *others = Explorer(node, {ancestors_in_order(node)[0]: 1.0}).data["layouts"]
    assert len(first["cards"]) <= 60
    assert any(len(layout["cards"]) == len(ancestors_in_order(node)) for layout in others)


# --- Files


def test_same_pass_gives_the_same_bytes() -> None:
    f, feed = case_study()
    mf.value_and_grad(f, feed, wrt=())
    assert Explorer(f).html() == Explorer(f).html()


def test_html_is_one_of_the_formats_of_a_drawing(tmp_path: Path) -> None:
    f, feed = case_study()
    mf.value_and_grad(f, feed, wrt=())
    mf.draw(f, title="The case study").save(tmp_path / "f.html")
    page = (tmp_path / "f.html").read_text(encoding="utf-8")
    assert "<title>The case study</title>" in page
    assert page.count("<script") == 2
    assert len(page) < 120_000


def test_drawing_of_several_outputs_or_of_a_program_cannot_be_explored(tmp_path: Path) -> None:
    f, feed = case_study()
    mf.value_and_grad(f, feed, wrt=())
    with pytest.raises(GraphError, match="2 outputs"):
        mf.draw(f, f.inbound_nodes[0]).save(tmp_path / "f.html")
    compiled = mf.compile(f)
    compiled(feed)
    with pytest.raises(GraphError, match="a program"):
        mf.draw(compiled.program).explorer()
    assert list(tmp_path.iterdir()) == []


def test_no_name_ends_a_script_or_starts_one() -> None:
    x = mf.Input("</script><script>alert(1)</script><!--")
    text = explorer_fragment(x * 2.0, {x: 1.0}, title="</script>\u2028")
    assert text.count("<script") == text.count("</script>") == 2
    assert "<!--" not in text
    assert "\u2028" not in text


def test_widget_without_anywidget_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    f, feed = case_study()
    with pytest.raises(MiniflowError, match='extra "widget"'):
        mf.draw(f).explorer(feed).widget()


def test_explorer_stands_in_a_frame_where_there_is_no_widget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("miniflow.pictures.drawing.find_spec", lambda name: None)
    f, feed = case_study()
    shown = mf.draw(f).explore(feed)._repr_html_()
    assert shown.startswith('<iframe title="The graph of f" srcdoc="&lt;!doctype html&gt;')
    assert "<script" not in shown


def test_widget_holds_the_module_the_style_and_the_data() -> None:
    pytest.importorskip("anywidget", reason="anywidget is not installed")
    f, feed = case_study()
    widget = mf.draw(f).explore(feed)
    assert json.loads(widget.data)["title"] == "The graph of f"
    assert "export default" in widget._esm
    assert ".mfx" in widget._css


# --- The module


def test_module_holds_every_source_file_once_after_those_that_it_imports() -> None:
    text = module_text()
    sources = {path.stem: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
    assert not re.search(r"^(import|export) ", text, re.M)
    placed = re.findall(r"^const \$(\w+) = ", text, re.M)
    assert sorted(placed) == sorted(sources)
    for name, source in sources.items():
        for other in re.findall(r'from "\./(\w+)\.js"', source):
            assert placed.index(other) < placed.index(name), f"{name} imports {other}"


def test_every_import_in_the_module_is_exported_where_it_comes_from() -> None:
    for path in STATIC.glob("*.js"):
        source = path.read_text(encoding="utf-8")
        imports = re.findall(r'^import \{([^}]*)\} from "\./(\w+)\.js";', source, re.M)
        for names, other in imports:
            text = (STATIC / f"{other}.js").read_text(encoding="utf-8")
            exported = re.findall(r"^export (?:function|class|const) (\w+)", text, re.M)
            wanted = {name.strip() for name in names.split(",") if name.strip()}
            assert wanted <= set(exported), path.name
            body = source.replace(f"import {{{names}}}", "")
            assert all(re.search(rf"\b{name}\b", body) for name in wanted), path.name


def test_graph_that_never_ran_says_how_its_page_is_fed(tmp_path: Path) -> None:
    x, y = mf.Input("x"), mf.Input("y")
    drawing = mf.draw(mf.Add(x, y))
    with pytest.raises(mf.MiniflowError, match="have no value yet") as raised:
        drawing.save(tmp_path / "graph.html")
    assert '.explorer({x: 3.0}).save("graph.html")' in str(raised.value)
    drawing.explorer({x: 3.0, y: 1.0}).save(tmp_path / "graph.html")
    assert (tmp_path / "graph.html").is_file()
