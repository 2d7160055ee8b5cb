"""From a feed to the arguments of a program: a function written for that program, since it runs at
every call.

What a general loop would ask at every call (which inputs there are, of what type, which of them are
updated) is known once the program is. So `Binding` writes it out, line by line:

    def arguments(feed):
        if type(feed) is not dict or len(feed) != 2:
            return None
        try:
            a0 = feed[node_0]  # Input 'X'
        except KeyError:
            return None
        if type(a0) is not ndarray or a0.dtype != dtype_0 or a0.shape != (128, 784):
            return None
        ...
        return [a0, a1, a2, a3, float(a4)]

It gives None wherever anything is not as it was: another shape, dtype or type in the feed, another
array of a parameter or of the optimizer's state, another setting of the optimizer. Then the caller
looks for the program that fits (`compiler`), and lets its binding `follow` what has changed.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from miniflow.errors import CompileError
from miniflow.graph import Node, Parameter
from miniflow.interpreter.selection import parts_of
from miniflow.ir.dtypes import DTYPES, ValueType, type_of
from miniflow.ir.program import Program
from miniflow.residence import bind, look_at_all, residents
from miniflow.tracing.settings import can_change, fingerprint, settings_of
from miniflow.tracing.update import has_number_for_rate, rates_of, states_of

ARRAY_IN_ORDER = 0x0001 | 0x0100  # NumPy's flags C_CONTIGUOUS and ALIGNED
_PYTHON_TYPES = {"bool": bool, "i64": int, "f64": float}


class Check(NamedTuple):
    """A function that refuses values which would go wrong, and its arguments: nodes that are fed,
    functions of the feed, or anything else as it is.
    """

    validate: Callable[..., None]
    values: tuple[Any, ...]


class Binding:
    """The arguments of one program.

    Attributes:
        arguments: a function of the feed; None where anything differs from what it knows. Raises
            what the checks raise.
        source: its code.
    """

    def __init__(
        self,
        program: Program,
        order: Sequence[Node],
        fed_count: int,
        optimizer: Any,
        parameters: Sequence[Parameter],
        checks: Sequence[Check],
        on_devices: bool = False,
    ) -> None:
        self._optimizer = optimizer
        self._on_devices = on_devices
        self._parts = [part for _, part in parts_of(optimizer)]
        self._settings = [list(settings_of(part)) for part in self._parts]
        self._rates, self._states = rates_of(optimizer), states_of(optimizer)
        self._scope: dict[str, Any] = {
            "ndarray": np.ndarray,
            "copy_if_shared": copy_if_shared,
            "residents": residents,
            "look_at_all": look_at_all,
        }
        self._arrays: list[tuple[int, ValueType, Callable[[], Any]]] = []  # and where to look
        self._open: set[int] = set()  # places of arrays that anybody can look at unseen
        self._moved: list[Parameter] = []  # the parameters that the program writes to
        self._fed: dict[Node, str] = {}
        self._lines: list[str] = []
        replaced = {output.replaces for output in program.outputs}
        self._updated = [i for i, e in enumerate(program.inputs) if e.variable in replaced]
        self._write(f"if type(feed) is not dict or len(feed) != {fed_count}:", "    return None")
        self._expect_settings()
        self._expect_trainable(parameters)
        for place, entry in enumerate(program.inputs):
            node = order[entry.origin.index] if entry.origin else None
            if entry.role == "fed":
                self._take_from_feed(place, entry.variable.type, node)
            elif entry.role == "parameter":
                self._expect_parameter(place, entry.variable.type, node)
            elif entry.role == "state":
                self._expect_state(place, entry.variable.type, str(entry.variable.name))
            else:
                self._take_learning_rate(place, self._rates[str(entry.variable.name)])
        for check in checks:
            values = ", ".join(map(self._value, check.values))
            self._write(f"{self._bind('validate', check.validate)}({values})")
        if self._arrays and not on_devices:
            kept = ", ".join(f"a{place}" for place, *_ in self._arrays)
            self._write("if residents:", f"    look_at_all(({kept},))")
        places = range(len(program.inputs))
        self._write(f"return [{', '.join(f'a{place}' for place in places)}]")
        self.source = "\n".join(["def arguments(feed):", *self._lines]) + "\n"
        self._scope |= {"updated": [], "updated_ids": set()}
        exec(compile(self.source, "<arguments of a program>", "exec"), self._scope)
        # Taken out of its own scope, the function is in no cycle, and freed as soon as the program.
        self.arguments: Callable[[Any], list[Any] | None] = self._scope.pop("arguments")
        self.follow()

    def with_run(self, run: Callable[[list[Any]], list[Any]], pick: str) -> Callable[[Any], Any]:
        """Return a function of the feed that takes the arguments and runs the program with them, in
        one; of what it gives, `found`, it returns what `pick` says. None where `arguments` is None,
        and where the program fails.
        """
        *lines, last = self._lines
        lines += [
            "    try:",
            f"        found = run({last.removeprefix('    return ')})",
            "    except (ArithmeticError, IndexError, ValueError):",
            "        return None",  # it is run again, and what went wrong explained
            f"    return {pick}",
        ]
        scope = self._scope
        scope["run"] = run
        text = "\n".join(["def call(feed):", *lines]) + "\n"
        exec(compile(text, "<call of a program>", "exec"), scope)
        found: Callable[[Any], Any] = scope.pop("call")
        return found

    def updated_arrays(self) -> list[Any]:
        """The arrays that the program writes to, as `follow` last found them."""
        found: list[Any] = self._scope["updated"]
        return found

    def follow(self) -> None:
        """Expect the arrays and the settings that there are now.

        Raises CompileError if an array is of another type than the program's input, GraphError if a
        parameter cannot be written to.
        """
        scope = self._scope
        for parameter in self._moved:
            parameter.check_writable()
        for place, type_, look in self._arrays:
            array = look()
            seen = type_of(array) if isinstance(array, np.ndarray) else type(array).__name__
            if seen != type_:
                raise CompileError(
                    f"An array of {type(self._optimizer).__name__}.state or of a parameter was "
                    f"{type_} and is {seen} now: compile it again."
                )
            scope[f"kept_{place}"] = array
        updated = [scope[f"kept_{place}"] for place in self._updated]
        scope["updated"][:] = updated
        scope["updated_ids"].clear()
        scope["updated_ids"].update(map(id, updated))
        if self._on_devices:
            updates = set(self._updated)
            bind(
                self,
                {
                    id(scope[f"kept_{place}"]): 1 + (place in updates) - (place in self._open)
                    for place, *_ in self._arrays
                },
            )
        for place, (part, names) in enumerate(zip(self._parts, self._settings, strict=True)):
            settings = settings_of(part)
            for number, name in enumerate(names):
                value = settings[name]
                scope[f"setting_{place}_{number}"] = value
                if can_change(value):
                    scope[f"contents_{place}_{number}"] = fingerprint(value)
            scope[f"attributes_{place}"] = len(vars(part))
            scope[f"schedule_{place}"] = part.lr
            if can_change(part.lr):
                scope[f"contents_{place}"] = fingerprint(part.lr)

    # One kind of input each.

    def _expect_settings(self) -> None:
        """What of the optimizer is written into the program must be the same object, with the same
        in it; and no more.
        """
        for place, (part, names) in enumerate(zip(self._parts, self._settings, strict=True)):
            own, kept = self._bind("settings", vars(part)), settings_of(part)
            self._write(f"if len({own}) != attributes_{place}:", "    return None")
            if names:
                self._write(f"now = {own}.get")
            for number, name in enumerate(names):
                expected = f"setting_{place}_{number}"
                self._write(f"if now({name!r}) is not {expected}:", "    return None")
                if can_change(kept[name]):
                    self._expect_contents(expected, f"contents_{place}_{number}")
            if not has_number_for_rate(part):
                expected = f"schedule_{place}"
                self._write(f"if {self._bind('optimizer', part)}.lr is not {expected}:")
                self._write("    return None")
                if can_change(part.lr):
                    self._expect_contents(expected, f"contents_{place}")

    def _expect_contents(self, word: str, kept: str) -> None:
        compared = f"{self._bind('fingerprint', fingerprint)}({word})"
        self._write(f"if {compared} != {kept}:", "    return None")

    def _expect_trainable(self, parameters: Sequence[Parameter]) -> None:
        """The same parameters must be frozen."""
        for parameter in parameters:
            changed = "not " * parameter.trainable + f"{self._bind('node', parameter)}._trainable"
            self._write(f"if {changed}:", "    return None")

    def _take_from_feed(self, place: int, type_: ValueType, node: Any) -> None:
        name = self._fed[node] = f"a{place}"
        self._write(
            "try:",
            f"    {name} = feed[{self._bind('node', node)}]  # {node.label!a}",
            "except KeyError:",
            "    return None",
        )
        if type_.kind != "array":
            is_python = type_.kind == "python"
            kind: type = _PYTHON_TYPES[type_.dtype] if is_python else DTYPES[type_.dtype].type
            self._write(f"if type({name}) is not {self._bind('type', kind)}:", "    return None")
            self._note_type(type_, node)
            return
        dtype = self._bind("dtype", DTYPES[type_.dtype])
        differs = f"{name}.dtype != {dtype} or {name}.shape != {type_.shape}"
        self._write(f"if type({name}) is not ndarray or {differs}:", "    return None")
        self._note_type(type_, node)
        in_order = f"{name}.flags.num & {ARRAY_IN_ORDER} != {ARRAY_IN_ORDER}"
        if not self._updated:
            self._write(f"if {in_order}:", f"    {name} = {name}.copy()")
            return
        # What looks at nobody else's memory can only be an updated array as a whole.
        shares = f"({name}.base is not None or id({name}) in updated_ids)"
        self._write(f"if {in_order} or {shares}:", f"    {name} = copy_if_shared({name}, updated)")

    def _note_type(self, type_: ValueType, node: Any) -> None:
        """Say what was last fed: a model file needs to know."""
        self._write(f"{self._bind('node', node)}._fed_type = {self._bind('fed_type', type_)}")

    def _expect_parameter(self, place: int, type_: ValueType, node: Any) -> None:
        self._write(f"a{place} = {self._bind('node', node)}._array  # {node.label!a}")
        self._expect(place, type_, lambda: node._array)
        if place in self._updated:
            self._moved.append(node)
            self._write(f"if not a{place}.flags.writeable:", "    return None")

    def _expect_state(self, place: int, type_: ValueType, key: str) -> None:
        part, name = self._states[key]
        if not isinstance(getattr(type(part), "state", None), property):
            self._open.add(place)
        if "state" not in vars(part):
            self._write(f"a{place} = {self._bind('optimizer', part)}.state.get({name!r})")
            self._expect(place, type_, lambda: part.state.get(name))
            return
        own = self._bind("own", vars(part))
        self._write(f"a{place} = {own}['state'].get({name!r})")
        self._expect(place, type_, lambda: vars(part)["state"].get(name))

    def _expect(self, place: int, type_: ValueType, look: Callable[[], Any]) -> None:
        self._write(f"if a{place} is not kept_{place}:", "    return None")
        self._arrays.append((place, type_, look))

    def _take_learning_rate(self, place: int, part: Any) -> None:
        self._write(
            f"a{place} = {self._bind('optimizer', part)}.lr",
            f"if type(a{place}) is not float:",
            f"    if not isinstance(a{place}, (int, float)):",
            "        return None",
            f"    a{place} = float(a{place})",
        )

    # Text.

    def _value(self, value: Any) -> str:
        if isinstance(value, Node):
            return self._fed.get(value) or f"feed[{self._bind('node', value)}]"
        return self._bind("value", value) + "(feed)" * callable(value)

    def _bind(self, hint: str, value: Any) -> str:
        """Let lines refer to `value`, and return the name for it."""
        number = 0
        while self._scope.setdefault(f"{hint}_{number}", value) is not value:
            number += 1
        return f"{hint}_{number}"

    def _write(self, *lines: str) -> None:
        self._lines += [f"    {line}" for line in lines]


def copy_if_shared(array: Any, updated: Sequence[Any]) -> Any:
    """The array, or a copy of it in C order if it is not, or if it may share memory with others."""
    in_order = array.flags.num & ARRAY_IN_ORDER == ARRAY_IN_ORDER
    if in_order and not any(np.may_share_memory(array, other) for other in updated):
        return array
    return np.array(array, order="C")
