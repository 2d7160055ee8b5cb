"""What can be chosen about the estimators, and whether it fits.

The parameters are scikit-learn's own, those of `sklearn.neural_network.MLPClassifier`, and a few of
ours: first arrays from elsewhere, arrays that stay as they are, groups that another solver moves.
Arrays are named as in the graph and in a model file: "W1" and "b1" are those of the first layer.
"""

from __future__ import annotations

import copy
import numbers
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator  # type: ignore[import-untyped]

from miniflow.estimator.first_arrays import initial_arrays_names
from miniflow.estimator.learning import ACTIVATIONS
from miniflow.estimator.solvers import RATES, SOLVERS, Settings, SolverGroup
from miniflow.graph.checks import is_listed
from miniflow.graph.values import describe
from miniflow.options import OptionError, number, whole

OF_A_GROUP: Final = (
    *("solver", "learning_rate_init", "momentum", "nesterovs_momentum", "beta_1", "beta_2"),
    "epsilon",
)
"""What a group may say otherwise than the estimator."""


class PerceptronOptions(BaseEstimator):  # type: ignore[misc]
    """The parameters of the estimators, and their checks."""

    frozen: Any = ()
    groups: Any = None

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: str = "constant",
        learning_rate_init: Any = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        init: Any = "scikit-learn",
        frozen: Any = (),
        groups: Any = None,
        backend: str = "auto",
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.init = init
        self.frozen = frozen
        self.groups = groups
        self.backend = backend

    def _hidden_sizes(self) -> list[int]:
        owner, given = type(self).__name__, self.hidden_layer_sizes
        sizes = [given] if isinstance(given, numbers.Integral) else given
        if not isinstance(sizes, (Sequence, np.ndarray)) or isinstance(sizes, str):
            raise OptionError(
                f"{owner}: hidden_layer_sizes is a number or several, as (100,), not "
                f"{describe(given)}."
            )
        return [whole(owner, "an entry of hidden_layer_sizes", size, least=1) for size in sizes]

    def _check_parameters(self) -> None:
        owner = type(self).__name__
        self._hidden_sizes()
        for name, known in (("activation", tuple(ACTIVATIONS)), ("solver", SOLVERS)):
            if getattr(self, name) not in known:
                hint = " (lbfgs is scikit-learn's)" * (getattr(self, name) == "lbfgs")
                raise OptionError(
                    f"{owner}: {name} is one of {', '.join(known)}, not "
                    f"{getattr(self, name)!r}{hint}."
                )
        if self.batch_size != "auto":
            whole(owner, "batch_size", self.batch_size, least=1)
        for name in ("max_iter", "n_iter_no_change"):
            whole(owner, name, getattr(self, name), least=1)
        number(owner, "alpha", self.alpha)
        if self.tol != -np.inf:  # never content
            number(owner, "tol", self.tol)
        if (
            self.early_stopping
            and not number(owner, "validation_fraction", self.validation_fraction, below=1.0) > 0
        ):
            raise OptionError(f"{owner}: validation_fraction is above 0 and below 1.")
        if self.learning_rate not in RATES:
            raise OptionError(
                f"{owner}: learning_rate is one of {', '.join(RATES)}, not {self.learning_rate!r}; "
                "the rate itself is learning_rate_init."
            )
        number(owner, "power_t", self.power_t)
        inits = initial_arrays_names()
        if not callable(self.init) and self.init not in inits:
            raise OptionError(
                f"{owner}: init is one of {', '.join(inits)}, or a function of (shape, rng, "
                f"dtype), not {describe(self.init)}."
            )
        self._frozen_names()
        for group in self.solver_groups():
            lr = copy.deepcopy(group.settings.lr)  # a schedule is the user's object
            group.settings._replace(lr=lr).optimizer()

    def _names(self) -> list[str]:
        """What the arrays are called, in order."""
        layers = range(1, len(self._hidden_sizes()) + 2)
        return [f"{letter}{layer}" for layer in layers for letter in "Wb"]

    def _frozen_names(self) -> tuple[str, ...]:
        """The arrays that stay as they are.

        Raises OptionError: there is none of that name, or all of them are.
        """
        names = self._checked_names("frozen", self.frozen)
        if len(set(names)) == len(self._names()):
            raise OptionError(
                f"{type(self).__name__}: frozen has all arrays, and nothing is left to be trained."
            )
        return tuple(dict.fromkeys(names))

    def solver_groups(self) -> list[SolverGroup]:
        """What moves which arrays: the groups, and for those in none the estimator's own solver.

        Raises OptionError: a group is no pair of options and names; an array is in two, or frozen.
        """
        owner, frozen = type(self).__name__, self._frozen_names()
        free = {name: 0 for name in self._names() if name not in frozen}  # and its group
        if self.groups is None:
            return [SolverGroup(self._settings({}), tuple(free))]
        if not is_listed(self.groups) or isinstance(self.groups, str):
            raise OptionError(f"{owner}: groups {_WRITE}, not {describe(self.groups)}.")
        found = []
        for place, group in enumerate(self.groups, 1):
            if not is_listed(group) or len(group) != 2 or not isinstance(group[0], Mapping):
                raise OptionError(f"{owner}: groups {_WRITE}; number {place} is {describe(group)}.")
            options, names = group[0], self._checked_names(f"group {place}", group[1])
            for name in options:
                if name not in OF_A_GROUP:
                    raise OptionError(
                        f"{owner}: group {place} has {name!r}; a group has {', '.join(OF_A_GROUP)}."
                    )
            for name in names:
                if name in frozen:
                    raise OptionError(f"{owner}: {name} is frozen, and in group {place}.")
                if free[name]:
                    raise OptionError(
                        f"{owner}: {name} is in two groups, {free[name]} and {place}."
                    )
                free[name] = place
            if names:
                found.append(SolverGroup(self._settings(options), tuple(names)))
        if rest := tuple(name for name, place in free.items() if not place):
            found.append(SolverGroup(self._settings({}), rest))
        return found

    def _checked_names(self, what: str, given: Any) -> list[str]:
        owner, known = type(self).__name__, self._names()
        if not is_listed(given) or isinstance(given, str):
            raise OptionError(f"{owner}: {what} names arrays, ['W1', 'b1'], not {describe(given)}.")
        for name in given:
            if not isinstance(name, str) or name not in known:
                raise OptionError(
                    f"{owner}: {what} has {describe(name)}; the arrays are {', '.join(known)}."
                )
        return list(given)

    def _settings(self, options: Mapping[str, Any]) -> Settings:
        """The solver's, with what a group says otherwise."""
        own = {name: getattr(self, name) for name in OF_A_GROUP} | dict(options)
        solver, lr, momentum, nesterov, beta_1, beta_2, epsilon = (own[k] for k in OF_A_GROUP)
        if solver not in SOLVERS:
            raise OptionError(
                f"{type(self).__name__}: solver is one of {', '.join(SOLVERS)}, not {solver!r}."
            )
        if solver == "sgd" and self.learning_rate != "constant" and callable(lr):
            raise OptionError(
                f"{type(self).__name__}: learning_rate={self.learning_rate!r} begins at a number, "
                "and learning_rate_init is a schedule: one of them decides."
            )
        nesterov = bool(nesterov and isinstance(momentum, (int, float)) and momentum > 0)
        return Settings(solver, lr, momentum, nesterov, beta_1, beta_2, epsilon)


_WRITE = "is a list of pairs of options and names, [({'learning_rate_init': 0.01}, ['W1', 'b1'])]"
