"""find_not_finite names the node, or the edge of the backward pass, where a NaN began."""

import re

import numpy as np
import pytest

import miniflow as mf
from miniflow.errors import GraphError


def told(sentence: str | None) -> str | None:
    return sentence and re.sub(r"\(\w+\.py:\d+\)", "(...)", sentence)


def test_finite_pass_has_nothing_to_report() -> None:
    x = mf.Input("x")
    assert mf.find_not_finite(mf.Log(x), {x: 1.0}, [x]) is None


def test_fed_nan_is_told_with_its_index() -> None:
    x = mf.Input("x")
    fed = np.array([[1.0, 2.0], [3.0, np.nan]])
    assert told(mf.find_not_finite(x * 2.0, {x: fed})) == (
        "The value fed to Input 'x' (...) is the first that is not finite: "
        "nan at index (1, 1) of shape (2, 2)."
    )


def test_parameter_that_turned_nan_is_told() -> None:
    W = mf.Parameter([1.0, np.inf], "W")
    assert told(mf.find_not_finite(W * 2.0)) == (
        "The value of Parameter 'W' (...) is the first that is not finite: "
        "inf at index (1,) of shape (2,)."
    )


def test_first_node_whose_value_is_not_finite_is_told() -> None:
    x = mf.Input("x")
    g = mf.Exp(x * 1000.0, name="powers")
    assert told(mf.find_not_finite(g - g, {x: 1.0})) == (
        "The value of Exp 'powers' (...) is the first that is not finite: inf."
    )


def test_first_edge_whose_gradient_is_not_finite_is_told() -> None:
    x = mf.Input("x")
    root = mf.Sqrt(x, name="root")
    assert told(mf.find_not_finite(root * 2.0, {x: np.array([1.0, 0.0])}, [x])) == (
        "The gradient that Sqrt 'root' (...) hands back to Input 'x' is the first that is not "
        "finite: inf at index (1,) of shape (2,)."
    )


def test_replay_leaves_parameters_their_own_array() -> None:
    W = mf.Parameter([1.0], "W")
    mf.find_not_finite(W * 2.0, {W: np.array([np.nan])})
    assert np.array_equal(W.value, [1.0])


def test_replay_refuses_what_a_pass_refuses() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    with pytest.raises(GraphError, match="does not depend on"):
        mf.find_not_finite(x * 2.0, {x: 1.0}, [y])


# --- A branch that was not taken

x = mf.Input("x")
BRANCHES = {
    "a value that is none": (mf.Where(x >= 0, x, mf.Sqrt(-x, name="root")), [1.0, -4.0, 4.0]),
    "a slope of 0 times infinity": (
        mf.Where(x > 0, mf.Sqrt(x, name="root"), 0.0),
        [0.0, 1.0, 4.0],
    ),
    "behind another node": (
        mf.Where(x > 0, 2.0 * mf.Sqrt(x, name="root") + 1.0, 0.0),
        [-1.0, 1.0, 4.0],
    ),
}


@pytest.mark.parametrize("case", BRANCHES)
def test_a_where_that_did_not_choose_what_is_nan_is_told_with_the_way_out(case: str) -> None:
    node, fed = BRANCHES[case]
    sentence = mf.find_not_finite(mf.Sum(node), {x: np.array(fed)}, [x])
    assert sentence is not None
    assert re.search(
        r"The gradient that Sqrt 'root' .* hands back to .* nan at index \(\d,\) .* "
        r"Where \(test_\w+\.py:\d+\) may not have chosen it, .* "
        r"choose what goes in as well, Sqrt\(mf\.Where\(condition, x, 1\.0\)\)\.",
        sentence,
    )


def test_what_was_not_chosen_is_no_more_than_mentioned_where_all_gradients_are_finite() -> None:
    node = mf.Sum(mf.Where(x > 0, mf.Log(x, name="log"), 0.0))
    sentence = mf.find_not_finite(node, {x: np.array([-1.0, 1.0])}, [x])
    assert sentence is not None
    assert sentence.startswith("The value of Log 'log'")
    assert sentence.endswith("did not choose it.")


def test_what_is_not_finite_elsewhere_comes_first() -> None:
    dead = mf.Sum(mf.Where(x > 0, mf.Log(x), 0.0))
    node = dead + mf.Sum(mf.Exp(x * 1e4, name="powers"))
    sentence = mf.find_not_finite(node, {x: np.array([-1.0, 1.0])}, [x])
    assert sentence is not None
    assert sentence.startswith("The value of Exp 'powers'")
    assert "choose" not in sentence
