"""Which parameters an optimizer moves: all, those that are named, or groups with an optimizer each.

    optimizer=mf.Adam()                                             all, but for the frozen ones
    optimizer=mf.Adam(), parameters=[W, b]                          these
    optimizer=[(mf.AdamW(1e-3), [W]), (mf.SGD(0.1), [b])]           these, in two groups

A frozen parameter is one whose `trainable` is False: no gradient is computed for it, and nothing
moves it. It keeps its place in the list that an optimizer is handed, with None for its gradient, so
that what is remembered of the others stays theirs when it is frozen or thawed between two steps.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from miniflow.errors import GraphError
from miniflow.graph import Node, Parameter
from miniflow.graph.checks import is_listed
from miniflow.graph.values import describe
from miniflow.options import OptionError

_WRITE = "write optimizer=[(mf.AdamW(1e-3), [W, V]), (mf.SGD(0.1), [b])]"


class ParameterGroups:
    """Several optimizers in the place of one, each for parameters of its own.

    Attributes:
        optimizers: one for each group. members: its parameters.

    >>> import miniflow as mf
    >>> W, b = mf.Parameter(1.0, "W"), mf.Parameter(1.0, "b")
    >>> groups = ParameterGroups([mf.SGD(0.1), mf.SGD(0.5, momentum=0.9)], [[W], [b]])
    >>> groups.update([W, b], [1.0, 1.0])
    >>> float(W.value), float(b.value), groups.state
    (0.9, 0.5, {'1.velocity.0': array(1.)})
    """

    def __init__(self, optimizers: Sequence[Any], members: Sequence[Sequence[Parameter]]) -> None:
        self.optimizers, self.members = list(optimizers), [list(group) for group in members]

    @property
    def state(self) -> dict[str, Any]:
        """What all of them remember: the number of the group, a dot and the name → array."""
        parts = parts_of(self)
        return {prefix + key: array for prefix, o in parts for key, array in o.state.items()}

    @property
    def lr(self) -> tuple[Any, ...]:
        """The learning rates of the groups."""
        return tuple(optimizer.lr for optimizer in self.optimizers)

    @lr.setter
    def lr(self, lr: Any) -> None:
        raise OptionError(
            "Each group has a learning rate of its own: set that of one of `optimizers`."
        )

    def latest_lr(self) -> float:
        """That of the first group."""
        return float(self.optimizers[0].latest_lr())

    def prepare(self, parameters: Sequence[Parameter]) -> None:
        """Have all arrays there."""
        for optimizer, members in zip(self.optimizers, self.members, strict=True):
            prepare(optimizer, members)

    def update(self, parameters: Sequence[Parameter], gradients: Sequence[Any]) -> None:
        """Have each optimizer move its own; None stands for a gradient that there is not."""
        found = dict(zip(parameters, gradients, strict=True))
        for optimizer, members in zip(self.optimizers, self.members, strict=True):
            move(optimizer, members, [found.get(parameter) for parameter in members])

    update.skips_frozen = True  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        groups = zip(self.optimizers, self.members, strict=True)
        return f"[{', '.join(f'({o!r}, {[p.name for p in members]})' for o, members in groups)}]"


def parts_of(optimizer: Any) -> list[tuple[str, Any]]:
    """The optimizers of which one is made, mostly itself, and what the names of their arrays and of
    their learning rates begin with.
    """
    if isinstance(optimizer, ParameterGroups):
        return [(f"{i}.", part) for i, part in enumerate(optimizer.optimizers)]
    return [] if optimizer is None else [("", optimizer)]


def trainable(parameters: Sequence[Parameter]) -> list[Parameter]:
    """Those that are not frozen."""
    return [parameter for parameter in parameters if parameter.trainable]


def with_none_for_frozen(parameters: Sequence[Parameter], gradients: Sequence[Any]) -> list[Any]:
    """A gradient for each parameter, of those for each that is not frozen."""
    left: Iterator[Any] = iter(gradients)
    return [next(left) if parameter.trainable else None for parameter in parameters]


def move(optimizer: Any, parameters: Sequence[Parameter], gradients: Sequence[Any]) -> None:
    """Call `update` of an optimizer: of one of somebody's own without those that are frozen."""
    if getattr(type(optimizer).update, "skips_frozen", False):
        optimizer.update(parameters, gradients)
        return
    pairs = [(p, g) for p, g in zip(parameters, gradients, strict=True) if p.trainable]
    if pairs:
        optimizer.update([p for p, _ in pairs], [g for _, g in pairs])


def prepare(optimizer: Any, parameters: Sequence[Parameter]) -> None:
    """Call `prepare` of an optimizer, if it has one, with what its `update` is going to get."""
    if hasattr(optimizer, "prepare"):
        skips = getattr(type(optimizer).update, "skips_frozen", False)
        optimizer.prepare(parameters if skips else trainable(parameters))


class Selection:
    """The parameters that are trained, and their optimizer.

    Attributes:
        parameters: all that may be moved, frozen ones among them; in the order of the graph, or as
            they were named.
        optimizer: what moves them: the one that was given, or a `ParameterGroups`.

    Args:
        owner: whose options these are, for messages.
        output: what is trained. order: the nodes that lead to it, and itself.
        optimizer: one, or a list of groups (optimizer, list of parameters).
        parameters: None for all.

    Raises GraphError: there is no Parameter, or one is frozen and named, in two groups or in none,
    or not in the graph; OptionError: what was given is no list of them.
    """

    def __init__(
        self,
        owner: str,
        output: Node,
        order: Sequence[Node],
        optimizer: Any,
        parameters: Any = None,
    ) -> None:
        self._owner, self._output = owner, output
        inside = [n for n in order if isinstance(n, Parameter) and n.is_trained]
        self._is_named = parameters is not None
        if is_listed(optimizer):
            if self._is_named:
                raise OptionError(
                    f"{owner}: the groups say which parameters are trained: leave parameters= out."
                )
            optimizer = _groups_of(owner, optimizer)
        if not inside:
            raise GraphError(f"{output} depends on no Parameter: there is nothing to train.")
        if isinstance(optimizer, ParameterGroups):
            self._is_named = True
            for members in optimizer.members:
                self._check_members(members, inside)
            self._check_groups(optimizer.members, inside)
            parameters = [p for members in optimizer.members for p in members]
        elif self._is_named:
            parameters = _list_of(owner, "parameters", parameters)
            self._check_members(parameters, inside)
            if twice := [p for i, p in enumerate(parameters) if p in parameters[:i]]:
                raise GraphError(f"{owner}: parameters has {twice[0]} twice.")
        self.parameters: list[Parameter] = inside if parameters is None else parameters
        self.optimizer = optimizer
        self._first: list[Parameter] | None = None  # that were trained at first
        self.find_trained()

    def find_trained(self) -> list[Parameter]:
        """Those that are moved, as things are.

        Raises GraphError if there are none, one that was named is frozen by now, or an optimizer of
        somebody's own, which knows parameters by their places only, would be handed others than at
        first.
        """
        found = trainable(self.parameters)
        if self._is_named and len(found) < len(self.parameters):
            self._refuse_frozen(next(p for p in self.parameters if not p.trainable))
        if not found:
            raise GraphError(
                f"{self._owner}: no Parameter that {self._output} depends on is trainable: there "
                "is nothing to train. Set W.trainable = True of one."
            )
        if self._first is None:
            self._first = found
        elif self._first != found:
            for _, part in parts_of(self.optimizer):
                if not getattr(type(part).update, "skips_frozen", False):
                    raise GraphError(
                        f"{self._owner}: other parameters are trainable than at first, and "
                        f"{type(part).__name__}.update knows them by their places: begin anew, "
                        "with another optimizer."
                    )
        return found

    def _check_members(self, members: Sequence[Parameter], inside: Sequence[Parameter]) -> None:
        for parameter in members:
            if parameter not in inside:
                raise GraphError(
                    f"{self._owner}: {self._output} does not depend on {parameter}, which is to be "
                    "trained."
                )
            if not parameter.trainable:
                self._refuse_frozen(parameter)

    def _refuse_frozen(self, parameter: Parameter) -> None:
        raise GraphError(
            f"{self._owner}: {parameter} is to be trained, and its trainable is False: set it to "
            "True, or leave the parameter out."
        )

    def _check_groups(
        self, groups: Sequence[Sequence[Parameter]], inside: Sequence[Parameter]
    ) -> None:
        place: dict[Parameter, int] = {}
        for number, members in enumerate(groups, 1):
            for parameter in members:
                if (other := place.setdefault(parameter, number)) != number:
                    raise GraphError(
                        f"{self._owner}: {parameter} is in two groups, {other} and {number}."
                    )
            if len(set(members)) < len(members):
                twice = next(p for i, p in enumerate(members) if p in members[:i])
                raise GraphError(f"{self._owner}: group {number} has {twice} twice.")
        if left := [str(p) for p in trainable(inside) if p not in place]:
            them = "it" if len(left) == 1 else "them"
            raise GraphError(
                f"{self._owner}: {' and '.join(left)} {'is' if len(left) == 1 else 'are'} in no "
                f"group: add {them} to one, or freeze {them}, W.trainable = False."
            )


def _groups_of(owner: str, given: Any) -> ParameterGroups:
    """A list of groups, checked as far as that goes without a graph."""
    groups = list(given)
    if len(groups) == 2 and not is_listed(groups[0]) and is_listed(groups[1]):
        raise OptionError(f"{owner}: the groups are a list of pairs: {_WRITE}.")
    if not groups:
        raise OptionError(f"{owner}: the list of groups is empty: {_WRITE}.")
    optimizers, members = list[Any](), list[list[Parameter]]()
    for number, group in enumerate(groups, 1):
        if not is_listed(group) or len(list(group)) != 2:
            raise OptionError(
                f"{owner}: group {number} is a pair (optimizer, parameters), not "
                f"{describe(group)}: {_WRITE}."
            )
        optimizer, parameters = group
        if isinstance(optimizer, type) or not all(
            hasattr(optimizer, name) for name in ("lr", "state", "update")
        ):
            raise OptionError(
                f"{owner}: the optimizer of group {number} is one such as SGD(0.1), not "
                f"{describe(optimizer)}."
            )
        if any(optimizer is other for other in optimizers):
            raise OptionError(
                f"{owner}: two groups have the same optimizer, which keeps arrays for one list of "
                "parameters: give each its own."
            )
        optimizers.append(optimizer)
        members.append(_list_of(owner, f"group {number}", parameters))
    return ParameterGroups(optimizers, members)


def _list_of(owner: str, what: str, given: Any) -> list[Parameter]:
    """A list of parameters; of a dictionary, as layers keep, its values."""
    if isinstance(given, Mapping):
        given = given.values()
    if isinstance(given, Node) or not is_listed(given):
        raise OptionError(
            f"{owner}: the parameters of {what} are a list of them, [W, b], not {describe(given)}."
            if what != "parameters"
            else f"{owner}: parameters is a list of them, [W, b], not {describe(given)}."
        )
    found = list(given)
    for parameter in found:
        if not isinstance(parameter, Parameter):
            raise OptionError(f"{owner}: {what} has {describe(parameter)}, which is no Parameter.")
    if not found:
        raise OptionError(f"{owner}: {what} has no parameter in it: there is nothing to train.")
    return found
