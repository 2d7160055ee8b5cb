"""`compile`: a graph becomes one program, forward, backward and update, that a backend runs.

step = mf.compile(loss, optimizer=mf.SGD(0.1))
for xb, yb in digits.train.batches(128):
value = step({X: xb, y: yb})
"""

from collections.abc import Sequence
from typing import Any

from miniflow.backends import check_name
from miniflow.compiler.compiled import Compiled
from miniflow.graph import Node, Parameter


def compile(
    node: Node | Sequence[Node],
    wrt: Sequence[Node] = (),
    optimizer: Any = None,
    backend: str = "auto",
    *,
    parameters: Sequence[Parameter] | None = None,
) -> Compiled:
    """Compile the graph that leads to `node`, as it is now, into one program.

    Args:
        node: the output; with an optimizer, a loss (one number). Or a list of outputs, whose values
            are returned in a list; gradients are those of their sum.
        wrt: the nodes whose gradients come back; none by default. Beside an optimizer, it does not
            say what is trained: `parameters` does.
        optimizer: what updates the parameters, at each call; None by default. Groups of parameters
            with an optimizer each are a list: `[(mf.AdamW(1e-3), [W, V]), (mf.SGD(0.1), [b])]`;
            every `Parameter` that is not frozen is in one of them, and a bound such as
            `global_clipnorm` is one for its group.
        backend: "numpy", "native" (needs llvmlite), "jax" (GPUs, TPUs and many of them, through
            JAX; `mf.JAX(...)` for its options), "reference" (slow, for comparison), or "auto",
            which takes native where llvmlite is installed, the program computes arrays and does not
            have too many different equations, a rule of the program alone. `.why_backend()` says
            what it came to.
        parameters: what the optimizer updates, a list; by default every `Parameter` that the node
            depends on, but for those that are frozen, `W.trainable = False`. No gradient is
            computed for any other. To freeze or to thaw one later on makes another program.

    Returns:
        A `Compiled`: called with a `feed_dict` it returns what `value_and_grad` would. What is
        neither fed nor a parameter (the attributes of nodes, Constants, global variables) is
        fixed when the graph is recorded, at the first call with these shapes and dtypes. It keeps
        the 16 programs that were used last.

    Raises:
        GraphError: `node` is not a node.
        GradientError: `wrt` is not a list of nodes that `node` depends on.
        GraphError, OptionError: a parameter to be trained is frozen, in two groups or in none, or
            `node` does not depend on it.
        CompileError: there is no such backend, or `optimizer` is not an optimizer. At the first
            call: a node does what cannot be recorded; the interpreter still runs it.
        NotFiniteError: at a call, with an optimizer: the value, a gradient or what the optimizer
            makes of them is NaN or infinite. Nothing is updated, and the node is named.

    >>> import miniflow as mf
    >>> x, y = mf.Input("x"), mf.Input("y")
    >>> f = mf.compile(x * y + x, wrt=[x, y])
    >>> f({x: 3.0, y: 4.0})
    (15.0, [5.0, 3.0])
    >>> W = mf.Parameter([1.0, 2.0], "W")
    >>> step = mf.compile(mf.MSE(W, [0.0, 0.0]), optimizer=mf.SGD(lr=0.5))
    >>> float(step({})), W.value
    (2.5, array([0.5, 1. ]))
    """
    check_name(backend)
    return Compiled(node, wrt, optimizer, backend, parameters=parameters)
