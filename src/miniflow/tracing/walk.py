"""How the recorder calls a node's methods: it tells the trace whose equations it is hearing, and
what a node's code does that cannot be recorded becomes an error with the line that did it.
"""

import os
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

import miniflow
from miniflow.errors import CompileError, GraphError
from miniflow.graph import Node, Parameter
from miniflow.graph.plans import Pass
from miniflow.interpreter.keeping import OURS
from miniflow.interpreter.passes import backward_pass
from miniflow.interpreter.results import node_failed, see_to_value
from miniflow.ir.dtypes import RECORDABLE, ProgramError, ValueType, type_of
from miniflow.ir.program import Operand, Origin
from miniflow.tracing.arrays import TracedArray, is_traced_array, operand_of, wrap
from miniflow.tracing.first_values import check_is_made
from miniflow.tracing.trace import OutsideStorage, Refused, Trace


class Walk:
    """Calls nodes' methods one after the other, and tells the trace whose equations it is
    hearing.
    """

    def __init__(self, trace: Trace, index: Mapping[Node, int]) -> None:
        self.trace = trace
        self.index = index  # the nodes in their order
        self._origins: dict[tuple[Node, str], Origin] = {}

    def inputs(self, fed: Mapping[Node, ValueType]) -> dict[Node, Any]:
        """The feed of the pass: tracers for what is fed and for the parameters, the inputs of the
        program.
        """
        feed = {}
        for node in self.index:
            if node in fed:
                feed[node] = self._input(node, fed[node], "fed", "that array was fed")
            elif isinstance(node, Parameter):
                locked = "a parameter changes only by an update"
                check_is_made(node)
                feed[node] = self._input(node, type_of(node.value), "parameter", locked)
        return feed

    def _input(self, node: Node, type_: ValueType, role: str, locked: str) -> Any:
        origin = self.origin_of(node, "forward")
        tracer = wrap(self.trace.builder.input(type_, role, name_of(node, "input"), origin))
        if is_traced_array(tracer):
            tracer.storage.locked = locked
        return tracer

    def origin_of(self, node: Node, phase: str) -> Origin:
        """What the equations of a node's pass are said to come from."""
        origin = self._origins.get((node, phase))
        if origin is None:
            origin = Origin(node.label, node.where, phase, self.index[node])
            self._origins[node, phase] = origin
        return origin

    def call_forward(self, node: Node, phase: str, method: Callable[[], Any]) -> None:
        """Call `forward` of a node, and give its value the node's name."""
        self.call(node, phase, method)
        if node._is_foreign:
            see_to_value(node)
        if node.value is not None and not node.gathers:  # that is what the pass sees to
            value = self.call(node, phase, partial(value_of, node))
            self.trace.builder.name(value, node.name)

    def gradients(self, wanted: Sequence[Node], this_pass: Pass) -> list[Operand]:
        """Go the way back; the gradients of the wanted nodes have their names."""
        gradients = []
        for node, gradient in zip(wanted, backward_pass(wanted, this_pass, self.call), strict=True):
            operand = self.call(node, "backward", partial(operand_of, gradient))
            self.trace.builder.name(operand, f"d{node.name}" if node.name else None)
            gradients.append(operand)
        return gradients

    def call(self, node: Node, phase: str, method: Callable[[], Any]) -> Any:
        self.trace.origin = self.origin_of(node, phase)
        try:
            return self.guard(f"{node}", phase, method)
        except GraphError:
            raise
        except CompileError as refusal:
            if node._is_foreign:
                raise
            # Our own nodes can be recorded, with what fits them: the interpreter says what does.
            raise GraphError(str(refusal)) from refusal
        except Exception as error:
            what = f"it raises {type(error).__name__}: {error}"
            # What the interpreter would say; if it says nothing, the cause is what must be told.
            raise node_failed(node, phase, error) from _refusal(f"{node}", phase, what, error)

    def guard(self, who: str, phase: str, method: Callable[[], Any]) -> Any:
        """Call it; a refusal is told as a CompileError, one that the code has caught as well.

        No variable holds an exception when this is left: with the frames that an exception holds,
        the graph would be in a cycle, and stay until the collector comes.
        """
        try:
            result = method()
            if self.trace.refused is not None:
                raise self.trace.refused
            return result
        except (GraphError, CompileError):
            raise
        except (Refused, ProgramError) as error:
            raise _refusal(who, phase, str(error), error) from None
        except Exception:
            if self.trace.refused is None:
                raise
            reason = str(self.trace.refused)
            raise _refusal(who, phase, reason, self.trace.refused) from None
        finally:
            self.trace.refused = None


def _refusal(who: str, phase: str, reason: str, error: Exception) -> CompileError:
    """The error for what cannot be recorded, with the line of the user's code that did it."""
    lines = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_LIBRARIES)
    ]
    at = ""
    if lines:
        last = lines[-1]
        code = f": {last.line}" if last.line else ""
        at = f" ({os.path.basename(last.filename)}:{last.lineno}{code})"
    stop = "" if reason.endswith((".", "!", "?")) else "."
    told = CompileError(
        f"{who}: {phase}{at} cannot be compiled: {reason}{stop} "
        "The interpreter (mf.value_and_grad) runs it as it is."
    )
    told.__cause__ = error if not isinstance(error, Refused) else None
    return told


_LIBRARIES = tuple(
    os.path.dirname(os.path.abspath(str(module.__file__))) + os.sep for module in (miniflow, np)
)


def name_of(node: Node, fallback: str) -> str:
    """What a program calls a node's input or value."""
    return node.name or (type(node).__name__ if fallback == "input" else fallback)


def value_of(node: Node) -> Operand:
    """The operand that holds a node's traced value."""
    return operand_of(node.value)


def show_arrays(nodes: Sequence[Node]) -> list[tuple[Node, str, Any]]:
    """Have the arrays that nodes keep as attributes seen as constants, which traced indices can
    pick from: `self.table[labels]`. Returns where they were: node, name, array.
    """
    shown = []
    for node in nodes:
        for name, value in node.__dict__.items():
            if type(value) is np.ndarray and value.dtype in RECORDABLE and name not in OURS:
                storage = OutsideStorage(value, "that array was made before this pass")
                node.__dict__[name] = TracedArray(storage)
                shown.append((node, name, value))
    return shown
