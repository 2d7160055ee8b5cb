"""A state is set: what is computed in one pass is there in the next."""

from typing import Any

from miniflow.errors import GraphError
from miniflow.graph import Op, State


class SetState(Op):
    """Gives a `State` a new value, which it has when the pass has ended.

        forward:  value        backward:  the gradient G for the value, none for the state

    Args:
        state: a `State`.
        value: what it is set to, in the state's shape; whole numbers may become floating ones, and
            not the other way round.
        then: a node whose value this one passes on in place of `value`, and G back to: so a state
            is set on the way, by something that leads nowhere else. None by default.
        name: None by default.

    It does so in every pass over an output that it leads to: see `State`. What reads the state
    itself has the value from before; what reads this node has the new one.

    Raises GraphError if `state` is none; what `State` says, in a pass.

    >>> import numpy as np, miniflow as mf
    >>> x, mean = mf.Input("x"), mf.State(np.zeros(2), "mean")
    >>> centred = mf.SetState(mean, 0.5 * mean + 0.5 * mf.Mean(x, axis=0), then=x - mean)
    >>> mf.value(centred, {x: np.array([[1.0, 2.0], [3.0, 4.0]])})
    array([[1., 2.],
           [3., 4.]])
    >>> mean.value
    array([1. , 1.5])
    """

    def __init__(
        self, state: State, value: Any, then: Any = None, *, name: str | None = None
    ) -> None:
        if not isinstance(state, State):
            raise GraphError(
                f"SetState sets a State, mf.State(np.zeros(3), 'mean'), and was given {state!r}."
            )
        Op.__init__(self, state, value, *(() if then is None else (then,)), name=name)

    def compute(self, state: Any, value: Any, *then: Any) -> Any:
        kept = self.inbound_nodes[0]
        assert isinstance(kept, State), "it was one"
        kept.set(value, self)
        return then[0] if then else value

    def gradient(self, grad: Any, state: Any, *values: Any) -> Any:
        return (None, *(None for _ in values[:-1]), grad)
