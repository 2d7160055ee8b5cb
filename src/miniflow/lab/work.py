"""What a part of a check gets: the learner's module, and ways to run it and find fault with it.

Each way either returns or raises `Failed`, with a `Finding` that says what was run, what came out
and which line of the learner's is to be looked at.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np

import miniflow as mf
from miniflow.errors import GradientError
from miniflow.graph.plans import ancestors_in_order
from miniflow.lab.answers import (
    is_left_open,
    is_two_numbers_for_one,
    same_answer,
    short_repr,
)
from miniflow.lab.comparing import TOLERANCE, agree, difference, numbers_in
from miniflow.lab.inputs import changed_input, values_fed
from miniflow.lab.leaving import unusable_gradients
from miniflow.lab.lines import line_of_code, line_of_name, line_that_sets_another_value
from miniflow.lab.results import Difference, Finding
from miniflow.lab.trouble import without_places
from miniflow.lab.whose import foreign_part


@dataclass(frozen=True)
class Mistake:
    """A mistake that a check can recognise, and the sentence that says what it is.

    Args:
        sentence: one sentence for the learner.
        value: what the mistake computes: an array, or a function of no arguments that gives it.
        when: or else a function that says whether what the learner computed shows this mistake.

    If `when` or a function for the `value` raises (shapes may not fit), it is not this mistake.
    """

    sentence: str
    value: Any = None
    when: Callable[[Any], Any] | None = None

    def made(self, actual: Any, expected: Any, tolerance: float) -> bool:
        """Whether `actual` is what this mistake computes, and not what is expected anyway."""
        if self.when is not None:
            return self.shown_by(actual)
        try:
            value = self.value() if callable(self.value) else self.value
        except Exception:
            return False
        return agree(actual, value, tolerance) and not agree(value, expected, tolerance)

    def shown_by(self, given: Any) -> bool:
        """Whether `when` holds for what a learner gave, which may be of any kind and shape."""
        try:
            return self.when is not None and bool(self.when(given))
        except Exception:
            return False


class Failed(Exception):  # noqa: N818 - nothing went wrong in the check
    """A part is not passed; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.sentence)
        self.finding = finding


class Work:
    """What a part of a check gets: the learner's module, and the ways to find fault with it.

    Attributes:
        module: the learner's module.
        folder: the folder of all their files.
        rng: a generator of its own for each part, from the seed that is shown when it fails.
        now: what is being run, and whose line to show.
        ran_when_raised: what it was when an exception came.
    """

    def __init__(self, module: ModuleType, folder: Path, rng: np.random.Generator) -> None:
        self.module = module
        self.folder = folder
        self.rng = rng
        self.ran_when_raised: tuple[str | None, Any] | None = None
        self.now: tuple[str | None, Any] = (None, None)

    @property
    def file(self) -> str:
        """The name of the learner's file."""
        return Path(self.module.__file__ or "").name

    # --- The learner's objects

    def get(self, name: str, base: type | None = None) -> Any:
        """The class or function called `name`, which must be the learner's own.

        Args:
            name: its name in the learner's file.
            base: what a class must be a subclass of (`mf.Node`); None for a function.
        """
        path = Path(self.module.__file__ or "")
        if name not in vars(self.module):
            self.fail(f"{self.file} does not define `{name}`.", kind="missing")
        found = vars(self.module)[name]
        line = line_of_name(path, name)
        if found is ... or found is None:
            self.fail(f"`{name}` is not written yet.", at=line, kind="unsolved")
        if base is not None and not (isinstance(found, type) and issubclass(found, base)):
            self.fail(f"`{name}` must be a class: class {name}({base.__name__}): ...", at=line)
        if base is None and not callable(found):
            self.fail(f"`{name}` must be a function: def {name}(...): ...", at=line)
        self.require_own(found, base, at=line)
        return found

    def require_own(self, thing: Any, base: type | None = None, *, at: Any = None) -> None:
        """Fail unless a class (with all it inherits, up to `base`) or function is the learner's.

        A node may be given in place of its class.
        """
        foreign = foreign_part(thing, self.folder, base)
        if foreign is not None:
            name = getattr(thing, "__name__", type(thing).__name__)
            self.fail(
                f"{foreign}, not yours: the exercise is to write it yourself.",
                at=at or line_of_name(Path(self.module.__file__ or ""), name),
                kind="provenance",
            )

    def require_own_nodes(
        self, output: Any, library: Iterable[type] = (), *, ran: str | None = None
    ) -> None:
        """Fail unless every node that leads to `output` is of a learner's class.

        Inputs, parameters and constants may be the library's, and so may the classes of `library`.
        """
        if not isinstance(output, mf.Node):
            self.fail(f"this must be a node; it is {short_repr(output)}.", ran=ran)
        for node in ancestors_in_order(output):
            if type(node) not in (mf.Input, mf.Parameter, mf.Constant, *library):
                self.require_own(node)

    # --- Ways to fail

    def fail(
        self,
        sentence: str,
        *,
        ran: str | None = None,
        at: Any = None,
        kind: str = "other",
        detail: str | None = None,
        difference: Difference | None = None,
    ) -> NoReturn:
        """End this part: it is not passed, and `sentence` says why."""
        line = line_of_code(self.now[1] if at is None else at)
        detail = None if detail is None else without_places(detail, self.folder)
        raise Failed(Finding(kind, sentence, ran or self.now[0], line, difference, detail))

    def require(
        self, condition: Any, sentence: str, *, ran: str | None = None, at: Any = None
    ) -> None:
        """Fail with `sentence` unless `condition` holds."""
        if not condition:
            self.fail(sentence, ran=ran, at=at)

    def compare(
        self,
        actual: Any,
        expected: Any,
        *,
        ran: str | None = None,
        at: Any = None,
        mistakes: Sequence[Mistake] = (),
        tolerance: float | None = None,
        what: str = "value",
    ) -> None:
        """Fail unless `actual` is `expected`, with both numbers at the first and the worst index.

        Args:
            actual: what the learner's code computed.
            expected: a number or an array.
            ran: what was run, as the learner could type it.
            at: whose line to show: a function, a class, or `(Mul.backward, 1)`: where `backward`
                sets the gradient of the inbound node number 1.
            mistakes: the first one that computes what the learner computed gives the sentence.
            tolerance: numbers agree within `tolerance · (1 + |expected|)`; 1e-6 by default.
            what: what the numbers are: "gradient of x".
        """
        tolerance = TOLERANCE if tolerance is None else tolerance
        if agree(actual, expected, tolerance):
            return
        if is_left_open(actual):
            self.fail("there is still a `...` to be replaced.", ran=ran, at=at, kind="unsolved")
        if isinstance(actual, mf.Node):
            sentence = f"the {what} is a node; compute with values: x.value, where x is a node."
            self.fail(sentence, ran=ran, at=at, kind="numbers")
        found = next((m.sentence for m in mistakes if m.made(actual, expected, tolerance)), None)
        if actual is None or numbers_in(actual) is None:
            sentence = found or f"the {what} is {short_repr(actual)}, and must be numbers."
            self.fail(sentence, ran=ran, at=at, kind="numbers")
        seen = difference(actual, expected, tolerance, what)
        if seen.actual_shape != seen.expected_shape:
            sentence = found or wrong_shape(seen)
            self.fail(sentence, ran=ran, at=at, kind="shape", difference=seen)
        sentence = found or f"the {what} is not what it should be."
        self.fail(sentence, ran=ran, at=at, kind="numbers", difference=seen)

    def answer(
        self,
        name: str,
        expected: Any = None,
        *,
        mistakes: Sequence[Mistake] = (),
        tolerance: float | None = None,
        accepts: Callable[[Any], Any] | None = None,
    ) -> None:
        """Fail unless the learner's variable `name` is the answer to its question.

        Numbers and arrays agree within the tolerance, in quotation marks or not; texts agree
        whatever their case and spaces. The expected answer is never shown.

        Args:
            name: the variable in the learner's file.
            expected: the answer; or else give `accepts`, which says whether an answer is right. (An
                answer at which it raises is wrong.)
            mistakes: answers that deserve a sentence of their own.
            tolerance: 1e-6 by default.
            accepts: a function of the answer.
        """
        line = line_of_name(Path(self.module.__file__ or ""), name)
        if name not in vars(self.module):
            self.fail(
                f"{self.file} has lost its question: it does not set `{name}`.", kind="answer"
            )
        given = vars(self.module)[name]
        if given is None or is_left_open(given):
            self.fail(f"`{name}` has no answer yet.", at=line, kind="answer")
        tolerance = TOLERANCE if tolerance is None else tolerance
        try:
            right = accepts(given) if accepts else same_answer(given, expected, tolerance)
        except Exception:
            right = False
        if right:
            return
        if numbers_in(expected) is not None and is_two_numbers_for_one(given, expected):
            self.fail(
                f"that is two numbers; Python's decimal sign is a point: {given[0]}.{given[1]}.",
                at=line,
                kind="answer",
                detail=short_repr(given),
            )
        for mistake in mistakes:
            if mistake.when is not None and not mistake.shown_by(given):
                continue
            if mistake.when is None and not same_answer(given, mistake.value, tolerance):
                continue
            self.fail(mistake.sentence, at=line, kind="answer", detail=short_repr(given))
        self.fail("that is not it.", at=line, kind="answer", detail=short_repr(given))

    # --- Ways to run the learner's nodes

    def gradients(
        self,
        node: Any,
        feed: Mapping[Any, Any],
        wrt: Sequence[Any],
        *,
        ran: str | None = None,
        at: Any = None,
        mistakes: Sequence[Mistake] = (),
    ) -> tuple[Any, list[Any]]:
        """`value_and_grad(node, feed, wrt)`; what is wrong with `self.gradients` becomes a finding.

        Args:
            node: the output.
            feed: what is fed.
            wrt: the nodes to differentiate with respect to.
            ran: what was run, as the learner could type it.
            at: whose line to show.
            mistakes: ask these (by their `when`, which gets the error) if miniflow refuses a
                gradient: its shape is wrong, or it is missing. `node.gradients` still has what the
                learner left there.
        """
        with self.running(ran, at):
            fed = values_fed(feed)
            try:
                result: tuple[Any, list[Any]] = mf.value_and_grad(node, feed, wrt)
            except Exception as error:
                self.require_inputs_kept(feed, fed)
                if isinstance(error, GradientError):
                    for mistake in mistakes:
                        if mistake.shown_by(error):
                            self.fail(mistake.sentence, kind="shape", detail=str(error))
                unusable = unusable_gradients(node, self.folder)
                if unusable is not None:
                    self.fail(unusable[0], at=unusable[1])
                raise
            self.require_inputs_kept(feed, fed)
            unusable = unusable_gradients(node, self.folder)
            if unusable is not None:
                self.fail(unusable[0], at=unusable[1])
            return result

    def value(
        self, node: Any, feed: Mapping[Any, Any], *, ran: str | None = None, at: Any = None
    ) -> Any:
        """`value(node, feed)`; what the learner's code raises is shown with `ran`."""
        with self.running(ran, at):
            fed = values_fed(feed)
            value = mf.value(node, feed)
            self.require_inputs_kept(feed, fed)
            return value

    def require_inputs_kept(self, feed: Mapping[Any, Any], fed: Mapping[Any, Any]) -> None:
        """Fail if an input has not the value any more that was `fed`."""
        changed = changed_input(feed, fed)
        if changed is not None:
            at = self.now[1][0] if isinstance(self.now[1], tuple) else self.now[1]
            line = line_that_sets_another_value(at)
            self.fail(changed.sentence, at=line, difference=changed.difference)

    def describe(self, ran: str, at: Any = None) -> None:
        """From here on, failures and exceptions say that `ran` is run, and show `at`, where nothing
        else is given.
        """
        self.now = ran, at

    @contextmanager
    def running(self, ran: str | None, at: Any = None) -> Iterator[None]:
        """`describe`, but only within this."""
        before = self.now
        self.now = ran or before[0], at or before[1]
        try:
            yield
        except BaseException:
            self.ran_when_raised = self.ran_when_raised or self.now
            raise
        finally:
            self.now = before

    @contextmanager
    def untouched(self, *, ran: str | None = None, at: Any = None, **arrays: Any) -> Iterator[None]:
        """Fail if any of these arrays is changed within: `with work.untouched(X=x, W=w): ...`."""
        before = {name: np.array(array) for name, array in arrays.items()}
        with self.running(ran, at):
            yield
        for name, array in arrays.items():
            if not np.array_equal(before[name], array, equal_nan=before[name].dtype.kind == "f"):
                self.fail(
                    f"your code changed {name} in place; work on a copy, or write the result into "
                    "a new array.",
                    ran=ran,
                    at=at,
                    difference=difference(array, before[name], 0.0, name),
                )

    @contextmanager
    def no_warnings(
        self, sentence: str, *, ran: str | None = None, at: Any = None
    ) -> Iterator[None]:
        """Fail with `sentence` if NumPy warns within (overflow, division by zero, log of zero)."""
        with self.running(ran, at), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        seen = [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]
        if seen:
            self.fail(sentence, ran=ran, at=at, detail=f"NumPy warned: {seen[0]}")


def wrong_shape(seen: Difference) -> str:
    transposed = seen.actual_shape == seen.expected_shape[::-1] and len(seen.actual_shape) > 1
    hint = ": it is the transpose" if transposed else ""
    return f"the {seen.what} has shape {seen.actual_shape}, not {seen.expected_shape}{hint}."
