"""The explorer in a real browser, the recorded pass: every number is the interpreter's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from explorer_graphs import Cube, Forgetful, Graph, case_study, in_place, network, own_class
from exploring import END, LEFT, RIGHT, check_every_step, read

import miniflow as mf


@pytest.mark.breadth("make")
@pytest.mark.parametrize("make", [case_study, own_class, in_place, network])
def test_every_number_on_the_way_is_the_interpreters(explore: Any, make: Any) -> None:
    graph = make()
    check_every_step(explore(graph), *graph)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
