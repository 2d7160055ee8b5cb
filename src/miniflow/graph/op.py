"""Op: the tidy way to write a node, as two functions of the values of its inbound nodes."""

from typing import Any

import numpy as np

from miniflow.errors import GradientError, GraphError, OperandError, ShapeError
from miniflow.graph.half import NO_DTYPE, holds_half, narrow, widen
from miniflow.graph.inputs import Constant
from miniflow.graph.node import Node, see_to_shapes
from miniflow.graph.plans import passes_under_way
from miniflow.graph.typed import overridable
from miniflow.graph.values import describe, shape_of, sum_to_shape, zeros_like


class Op(Node):
    """The tidy way to write a node: `compute` and `gradient`, as functions of the inbound values.

    Args:
        inputs: nodes, numbers and arrays, of whatever shapes it takes.
        name: None by default.

    Raises:
        GraphError: an input is neither a node nor numbers.

    A subclass defines

    - `compute(self, *values)`, which returns the value, and
    - `gradient(self, grad, *values)`, which returns one gradient for each inbound node: an array,
      None (no gradient flows there: labels, indices), or, where it is costly, a function of no
      arguments that is called only if that gradient is needed. `grad` is the upstream gradient, in
      the shape of `self.value`. Without it, the gradient is derived from what `compute` does.

    and `Op` does the rest: it adds up the gradients of all consumers, sums a gradient back to the
    shape of its input where NumPy has broadcast it, and leaves out the inputs that need none.

    >>> import numpy as np, miniflow as mf
    >>> class Cube(mf.Op):
    ...     def compute(self, x):
    ...         return x**3
    ...     def gradient(self, grad, x):
    ...         return (grad * 3 * x**2,)
    >>> x = mf.Input("x")
    >>> mf.value_and_grad(Cube(x), {x: 2.0}, wrt=[x])
    (8.0, [12.0])
    """

    expects: str = ""  # what shapes fit, said when `compute` fails
    decides_dtype: int | None = None  # so many inbound nodes do; None: all
    widens_float16 = False  # whether `compute` and `gradient` get float32 for it: see `half`
    _saw_float16 = False  # whether there ever was one
    _unrounded: Any = None  # the value before it became a float16
    meaning: Any = None  # of a node that stands for an equation: see `graph.equations`
    _validates = False
    validates_shape_of = 0  # the inbound node of which `validate` looks at the shape alone

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._validates = cls.validate is not Op.validate

    def __init__(self, *inputs: Any, name: str | None = None) -> None:
        for given in inputs:
            if isinstance(given, (list, tuple)) and any(isinstance(x, Node) for x in given):
                kind = type(self).__name__
                raise GraphError(
                    f"{kind} was given a list of nodes: Op.__init__ takes its inbound nodes one "
                    "by one, Op.__init__(self, x, y)."
                )
        Node.__init__(self, [as_node(x, type(self).__name__) for x in inputs], name)

    @overridable
    def compute(self, *values: Any) -> Any:
        """The node's value from the values of its inbound nodes."""
        raise GraphError(
            f"{self} has no compute method: its class must define compute(self, *values)."
        )

    @overridable
    def gradient(self, grad: Any, *values: Any) -> Any:
        """One gradient for each inbound node, from the upstream gradient and the inbound values."""
        raise GraphError(f"{self} has no gradient method: define gradient(self, grad, *values).")

    @property
    def derives_gradient(self) -> bool:
        """Whether there is no `gradient` but this class's; asked each time, as one may be assigned
        to the class later.
        """
        cls = type(self)
        if cls.backward is not Op.backward:
            return cls.backward is Node.backward
        return cls.gradient is Op.gradient and "gradient" not in self.__dict__

    @overridable
    def validate(self, *values: Any) -> None:
        """Refuse inbound *values* that `compute` would get wrong (labels out of range); never
        compiled.
        """

    def forward(self) -> None:
        values = [node.value for node in self.inbound_nodes]
        if self.meaning is not None:
            self.value = self.meaning(*values)
            return
        if self._validates and not (passes_under_way and passes_under_way[-1].tracing):
            self.validate(*values)
        for value in values:  # `holds_half`, written out: every node asks it in every pass
            if type(value) is not float and getattr(value, "dtype", NO_DTYPE).char == "e":
                self._forward_in_float32(values)
                return
        self.value = self.compute(*values)

    def _forward_in_float32(self, values: list[Any]) -> None:
        self._saw_float16 = self.widens_float16
        if self.widens_float16:
            self._unrounded = self.compute(*widen(values))
            self.value = narrow(self._unrounded, values[: self.decides_dtype])
        else:
            self.value = self.compute(*values)

    @see_to_shapes
    def backward(self) -> None:
        if self.derives_gradient:
            self._derive_gradients("gradient method: define gradient(self, grad, *values).")
            return
        inbound = self.inbound_nodes
        values = [node.value for node in inbound]
        upstream = self.upstream_gradient()
        seen = (upstream, *values) if self._saw_float16 else ()
        decide = seen if self.decides_dtype is None else seen[: 1 + self.decides_dtype]
        is_half = self._saw_float16 and holds_half(seen)
        if is_half:
            upstream, *values = widen(seen)
            stored, self.value = self.value, self._unrounded
        grads = self.gradient(upstream, *values)
        if grads is None:
            raise GradientError(f"{self}: gradient() returned nothing; is there a `return`?")
        if type(grads) is not tuple and type(grads) is not list:
            grads = (grads,)
        if len(grads) != len(values):
            raise GradientError(
                f"{self}: gradient() returned {len(grads)} gradients for {len(values)} inbound "
                "nodes; it must return one for each, None where there is none."
            )
        needed = passes_under_way[-1].needed if passes_under_way else inbound
        gradients: dict[Node, Any] = {}
        for node, value, grad in zip(inbound, values, grads, strict=False):
            if node in needed:
                if callable(grad):
                    grad = grad()
                if grad is None:
                    grad = zeros_like(value)
                elif getattr(grad, "shape", ()) != getattr(value, "shape", ()):
                    grad = self._sum_to(grad, node)
                if is_half:
                    grad = narrow(grad, decide)
                if node in gradients:
                    grad = gradients[node] + grad
                elif gradients and isinstance(grad, np.ndarray) and _is_one_of(grad, gradients):
                    grad = grad.copy()  # for each input its own: it may be worked on in place
                gradients[node] = grad
        if is_half:
            self.value = stored
        self.gradients = gradients

    def _sum_to(self, grad: Any, source: Node) -> Any:
        if isinstance(grad, (list, tuple)):
            raise GradientError(
                f"{self}: gradient() returned {describe(grad)} as the gradient for {source}: it is "
                "a number or an array."
            )
        shape = shape_of(source.value)
        try:
            return sum_to_shape(grad, shape)
        except ShapeError:
            raise GradientError(
                f"{self}: gradient() returned a gradient of shape {shape_of(grad)} for an input of "
                f"shape {shape}: {source}."
            ) from None


def _is_one_of(grad: Any, gradients: dict[Node, Any]) -> bool:
    return any(grad is other for other in gradients.values())


def as_node(x: Any, consumer: str) -> Node:
    """An operand as a node: a node as it is, a number or an array as a `Constant`.

    A single bool is refused: it is what a comparison leaves that builds no node.
    """
    if isinstance(x, Node):
        return x
    if isinstance(x, (bool, np.bool)):
        raise OperandError(
            f"{consumer} was given {x} ({type(x).__name__}): a condition in a graph is a node, "
            f"x > 0 or mf.Equal(x, y); one that never changes is np.array({x})."
        )
    return Constant(x)
