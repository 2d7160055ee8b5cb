"""What a check says of a learner's file: numbers, shapes, lines, mistakes, whose code it is."""

import json
from pathlib import Path

import numpy as np
import pytest
from checked import check, exercise_of, first, run
from small_exercise import SOLUTION

from miniflow.lab.checking import Exercise, Mistake, Work
from miniflow.lab.findings import Report
from miniflow.lab.inside import check_with_needs


def test_solution_passes_every_part(tmp_path: Path) -> None:
    report = check(SOLUTION, tmp_path)
    assert report.passed
    assert (report.points, report.possible) == (6, 6)
    assert str(report).startswith("✓ mul.py  Mul")


def test_report_survives_json(tmp_path: Path) -> None:
    for text in (SOLUTION, SOLUTION.replace("x.value *", "x.value +"), "x = (", ""):
        report = check(text, tmp_path)
        assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_wrong_numbers_are_shown_with_the_line_and_the_mistake(tmp_path: Path) -> None:
    report = check(SOLUTION.replace("x.value * y.value", "x.value + y.value"), tmp_path, seed=77)
    finding = first(report)
    assert finding.sentence == "you added; Mul multiplies."
    assert finding.line is not None
    assert (finding.line.file, finding.line.number) == ("mul.py", 12)
    assert finding.line.text == "self.value = x.value + y.value"
    seen = finding.difference
    assert seen is not None
    assert (seen.expected_shape, seen.differing, seen.size) == ((2, 3), 6, 6)
    assert seen.entries[0].index == (0, 0)
    text = str(report)
    assert "You added; Mul multiplies." in text
    assert "value(Mul(x, y), {x: a, y: b})" in text
    assert "6 of 6 numbers differ" in text
    assert "77" not in text, "the seed is for who asks for it"
    assert [part.passed for part in report.parts] == [False, True, True]
    assert report.points == 4


def test_first_and_worst_index_are_named_with_both_numbers(tmp_path: Path) -> None:
    def part(work: Work) -> None:
        expected = np.zeros((2, 3))
        actual = expected.copy()
        actual[0, 1], actual[1, 2] = 1e-3, 5
        work.compare(actual, expected)

    seen = first(run(part, tmp_path)).difference
    assert seen is not None
    assert [(e.index, e.expected, e.actual) for e in seen.entries] == [
        ((0, 1), "0", "0.001"),
        ((1, 2), "0", "5"),
    ]


def test_nan_is_the_worst(tmp_path: Path) -> None:
    def part(work: Work) -> None:
        work.compare(np.array([0.0, 9.0, np.nan]), np.zeros(3))

    seen = first(run(part, tmp_path)).difference
    assert seen is not None
    assert seen.entries[-1].actual == "nan"


def test_wrong_shape_says_both_shapes_and_sees_a_transpose(tmp_path: Path) -> None:
    def part(work: Work) -> None:
        work.compare(np.ones((3, 2)), np.ones((2, 3)), what="gradient of W")

    finding = first(run(part, tmp_path))
    assert finding.kind == "shape"
    assert finding.sentence == (
        "the gradient of W has shape (3, 2), not (2, 3): it is the transpose."
    )


def test_mistake_may_have_another_shape_and_may_be_a_function(tmp_path: Path) -> None:
    def part(work: Work) -> None:
        work.compare(
            np.ones((4, 2)),
            np.full(2, 4.0),
            mistakes=[
                Mistake("not this one.", lambda: np.zeros(3)),
                Mistake("sum over the rows.", lambda: np.ones((4, 2))),
            ],
        )

    assert first(run(part, tmp_path)).sentence == "sum over the rows."


def test_mistake_that_gives_what_is_expected_is_no_mistake(tmp_path: Path) -> None:
    def part(work: Work) -> None:
        work.compare(3.0, 4.0, mistakes=[Mistake("never.", 4.0), Mistake("three.", 3.0)])
        raise AssertionError

    assert first(run(part, tmp_path)).sentence == "three."


@pytest.mark.parametrize("value", [None, "text", [1, [2]], object(), {}])
def test_anything_can_be_compared(tmp_path: Path, value: object) -> None:
    finding = first(run(lambda work: work.compare(value, 1.0), tmp_path))
    assert finding.kind == "numbers"
    assert "must be numbers" in finding.sentence


def test_gradient_line_is_the_one_of_the_input_in_question(tmp_path: Path) -> None:
    finding = first(check(SOLUTION.replace("+= x.value *", "= x.value *"), tmp_path))
    assert finding.line is not None
    assert finding.line.text == "self.gradients[y] = x.value * n.gradients[self]"
    assert finding.difference is not None
    assert finding.difference.what == "gradient of y"


# --- Exceptions


def test_exception_shows_the_learners_line_and_one_sentence(tmp_path: Path) -> None:
    report = check(SOLUTION.replace("y.value\n", "z.value\n"), tmp_path)
    finding = first(report)
    assert finding.sentence == "the name `z` is not known here: is it spelt right, or imported?"
    assert finding.line is not None
    assert finding.line.number == 12
    assert finding.ran == "value(Mul(x, y), {x: a, y: b})"
    assert "Traceback" not in str(report)


def test_stub_is_not_written_yet_rather_than_an_error(tmp_path: Path) -> None:
    stub = SOLUTION.replace(
        "self.value = x.value * y.value", 'raise NotImplementedError("`forward` is to be written.")'
    )
    finding = first(check(stub, tmp_path))
    assert (finding.kind, finding.sentence) == ("unsolved", "`forward` is to be written.")


def test_ellipsis_left_anywhere_is_not_written_yet(tmp_path: Path) -> None:
    finding = first(check(SOLUTION.replace("* y.value\n", "* ...\n"), tmp_path))
    assert finding.kind == "unsolved"


def test_refused_gradient_is_said_in_miniflows_words_without_the_checks_lines(
    tmp_path: Path,
) -> None:
    broken = SOLUTION.replace("self.gradients[y] += x", "other = x")
    broken = broken.replace("{n: 0 for n in self.inbound_nodes}", "{x: 0}")
    finding = first(check(broken, tmp_path))
    assert finding.sentence == (
        "Mul: backward() left no gradient for its input Input 'y' in self.gradients."
    )
    assert finding.line is not None
    assert finding.line.file == "mul.py"


@pytest.mark.parametrize(
    ("gradients", "says"),
    [
        ("[y.value, x.value]", "self.gradients is a list; it must be a dictionary"),
        ("__import__('numpy').zeros(2)", "self.gradients is a ndarray; it must be a dictionary"),
        ("None", "self.gradients is None; it must be a dictionary"),
        ("{'x': y.value, 'y': x.value}", "the keys of self.gradients are texts"),
        ("{x.value: y.value, y.value: x.value}", "the keys of self.gradients are numbers"),
        ("{(x, y): 1.0}", "the keys of self.gradients are of type tuple"),
    ],
)
def test_gradients_that_are_not_by_inbound_node_are_called_so_on_the_line_that_set_them(
    tmp_path: Path, gradients: str, says: str
) -> None:
    start, _, _ = SOLUTION.partition("        self.gradients = ")
    finding = first(check(f"{start}        self.gradients = {gradients}\n", tmp_path))
    assert finding.sentence.startswith(says)
    assert finding.line is not None
    assert finding.line.text == f"self.gradients = {gradients}"
    assert finding.ran == "value_and_grad(p + p * 2, {x: 3, y: 4}, [x, y])"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("self.value = x * y", "the value is a node; compute with values: x.value"),
        ("import numpy as np; self.value = np.exp(x)", "a node was given to NumPy"),
        ("del x; self.value = x.value * y.value", "a variable is used before it is set."),
        ("self.value = [1, 2] + x.value", "your code stopped with a"),
        ("self.value = {}[x]", "a dictionary has no entry for Input 'x'"),
        ("self.value = x.value[0] * 1; self.value += x.value", "what you add with += is larger"),
    ],
)
def test_node_in_the_place_of_its_value_is_recognised(tmp_path: Path, line: str, says: str) -> None:
    text = SOLUTION.replace("self.value = x.value * y.value", line)
    assert first(check(text, tmp_path)).sentence.startswith(says)


def test_name_that_only_the_constructor_knows_is_told_from_one_that_is_misspelt(
    tmp_path: Path,
) -> None:
    unpacked = "    def forward(self):\n        x, y = self.inbound_nodes\n"
    text = SOLUTION.replace(unpacked, "    def forward(self):\n")
    assert "`x` is known in __init__ only" in first(check(text, tmp_path)).sentence
    text = SOLUTION.replace("x.value * y.value", "x.value * yy.value")
    assert "the name `yy` is not known here" in first(check(text, tmp_path)).sentence


def test_wrong_answer_does_not_hide_the_numbers_of_wrong_code(tmp_path: Path) -> None:
    def asked(work: Work) -> None:
        work.answer("paths_from_x", 2)

    two = Exercise("two", title="Two", chapter=1, file="two.py", hints=("a", "b", "c"))
    two.part("the question", points=1)(asked)
    two.part("the code", points=1)(lambda work: work.compare(1.0, 2.0, ran="f()"))
    text = str(check("paths_from_x = 3", tmp_path, two))
    assert "your answer    3" in text
    assert "expected 2, yours 1" in text


def test_exception_that_is_not_the_first_finding_still_says_what_python_said(
    tmp_path: Path,
) -> None:
    text = SOLUTION.replace("paths_from_x = 2", "paths_from_x = 3")
    text = text.replace("x.value * y.value", "x.value + y.value")
    text = text.replace(
        "        self.gradients = {", "        int('mul')\n        self.gradients = {"
    )
    assert "stopped with a ValueError: invalid literal for int() with base 10: 'mul'" in " ".join(
        str(check(text, tmp_path)).replace("│", " ").split()
    )


def test_condition_of_a_mistake_may_meet_anything(tmp_path: Path) -> None:
    mistake = Mistake("never.", when=lambda given: given.no_such_thing[0] > 1)
    assert not mistake.made(None, 1.0, 1e-6)
    report = run(lambda work: work.compare("text", 1.0, mistakes=[mistake]), tmp_path)
    assert first(report).kind == "numbers"


def test_value_of_a_mistake_need_not_exist_for_every_shape(tmp_path: Path) -> None:
    mistake = Mistake("never.", lambda: np.ones((4, 2)) / np.ones(4))
    report = run(lambda work: work.compare(2.0, 1.0, mistakes=[mistake]), tmp_path)
    assert first(report).kind == "numbers"


def test_error_of_the_check_itself_is_a_defect_and_shows_no_traceback(tmp_path: Path) -> None:
    report = run(lambda work: 1 / 0, tmp_path)
    assert first(report).kind == "defect"
    assert "Traceback" not in str(report)


def test_mistake_is_shown_in_full_before_what_is_not_written_yet(tmp_path: Path) -> None:
    text = SOLUTION.replace("x.value * y.value", 'exec("raise NotImplementedError")')
    report = check(text.replace("paths_from_x = 2", "paths_from_x = 3"), tmp_path)
    assert first(report).sentence == "that is the number of nodes."


# --- Answers


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("2", True),
        ("2.0", True),
        ("' 2 '", True),
        ("True", False),
        ("__import__('numpy').zeros(2)", False),
        ("'two'", False),
        ("[2]", False),
        ("3", False),
        ("...", False),
        ("object()", False),
    ],
)
def test_answer_is_compared_as_a_teacher_would(tmp_path: Path, given: str, right: bool) -> None:
    report = run(lambda work: work.answer("one", 2), tmp_path, f"one = {given}\n")
    assert report.passed == right


def test_wrong_answer_never_shows_the_right_one(tmp_path: Path) -> None:
    report = run(lambda work: work.answer("one", 98765), tmp_path, "one = 4\n")
    assert "98765" not in str(report)
    assert "one = 4" in str(report)


def test_number_in_quotation_marks_is_a_number(tmp_path: Path) -> None:
    assert check(SOLUTION.replace("paths_from_x = 2", 'paths_from_x = "2.0"'), tmp_path).passed


def test_texts_agree_whatever_their_case_and_spaces(tmp_path: Path) -> None:
    text = 'one = " The  loss "\n'
    assert run(lambda work: work.answer("one", "the loss"), tmp_path, text).passed


def test_list_with_an_open_place_has_no_answer_yet(tmp_path: Path) -> None:
    report = run(lambda work: work.answer("one", [1, 2]), tmp_path, "one = [1, ...]\n")
    assert first(report).is_open


# --- Damage, warnings


def test_array_changed_in_place_is_found(tmp_path: Path) -> None:
    def part(work: Work) -> None:
        x = np.ones(3)
        with work.untouched(X=x, ran="f(X)"):
            work.get("f")(x)

    assert run(part, tmp_path, "def f(x): return x + 1\n").passed
    finding = first(run(part, tmp_path, "def f(x): x += 1\n"))
    assert finding.sentence.startswith("your code changed X in place")
    assert finding.ran == "f(X)"


def test_warning_of_numpy_is_found_where_it_matters(tmp_path: Path) -> None:
    def part(work: Work) -> None:
        f = work.get("f")
        f(1e4)
        with work.no_warnings("overflow: shift by the maximum."):
            f(1e4)

    finding = first(run(part, tmp_path, "import numpy as np\ndef f(x): return np.exp(x)\n"))
    assert finding.sentence == "overflow: shift by the maximum."
    assert "overflow encountered in exp" in str(finding.detail)


# --- Exercises that build on others


def test_exercise_that_is_needed_first_is_named(tmp_path: Path) -> None:
    def part(work: Work) -> None:
        work.fail("it does not learn.")

    wanted = exercise_of(part, needs=("networks",))
    (tmp_path / "one.py").write_text("one = 1\n", encoding="utf-8")
    (tmp_path / "networks.py").write_text("raise NotImplementedError\n", encoding="utf-8")
    report = check_with_needs(wanted, tmp_path, 1)
    assert report.needed_first == ("networks",)
    assert "First: miniflow lab check networks" in str(report)


def test_seed_gives_each_part_the_same_numbers_again(tmp_path: Path) -> None:
    wrong = SOLUTION.replace("x.value * y.value", "x.value - y.value")
    assert check(wrong, tmp_path, seed=5) == check(wrong, tmp_path, seed=5)
    assert check(wrong, tmp_path, seed=5) != check(wrong, tmp_path, seed=6)
