"""miniflow: differentiable graphs in plain NumPy. Build your own, watch it learn, compile it.

    import miniflow as mf                  # or, as in the lab: from miniflow import *

    x, y = mf.Input("x"), mf.Input("y")
    value, (dx, dy) = mf.value_and_grad(x * y + x, {x: 3.0, y: 4.0}, wrt=[x, y])

Importing it imports NumPy and nothing else that is installed; whatever needs more loads it when it
is used.
"""

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np  # `from miniflow import *` hands it on: the lab's cells rely on it

from miniflow.errors import CompileError, MiniflowError
from miniflow.graph import Constant, Input, Node, Op, Parameter, State
from miniflow.graph.deriving import derive_with
from miniflow.interpreter.accuracy import accuracy
from miniflow.interpreter.checking import check_gradients
from miniflow.interpreter.listing import inputs as inputs
from miniflow.interpreter.listing import parameters as parameters
from miniflow.interpreter.listing import states as states
from miniflow.interpreter.not_finite import find_not_finite
from miniflow.interpreter.passes import value, value_and_grad
from miniflow.nodes import *  # noqa: F403
from miniflow.nodes import __all__ as _node_names
from miniflow.nodes.scan import scan as scan

if TYPE_CHECKING:
    from miniflow import datasets as datasets
    from miniflow import distributed as distributed
    from miniflow import initializers as initializers
    from miniflow import layers as layers
    from miniflow import metrics as metrics
    from miniflow import optimizers as optimizers
    from miniflow import schedules as schedules
    from miniflow.backends.jax import JAX as JAX
    from miniflow.backends.thread_limit import set_threads as set_threads
    from miniflow.compiler import compile as compile
    from miniflow.datasets.augmentation import augmented as augmented
    from miniflow.digit_page import page as page
    from miniflow.estimator import MiniflowClassifier as MiniflowClassifier
    from miniflow.estimator import MiniflowRegressor as MiniflowRegressor
    from miniflow.exports import export as export
    from miniflow.exports import to_javascript as to_javascript
    from miniflow.layers.summaries import summary as summary
    from miniflow.models import Model as Model
    from miniflow.models import gradient as gradient
    from miniflow.models import graph_of as graph_of
    from miniflow.models import load as load
    from miniflow.models import load_weights as load_weights
    from miniflow.models import per_example_gradients as per_example_gradients
    from miniflow.models import save as save
    from miniflow.models import save_weights as save_weights
    from miniflow.models.generating import generate as generate
    from miniflow.optimizers import SGD as SGD
    from miniflow.optimizers import Adam as Adam
    from miniflow.optimizers import AdamW as AdamW
    from miniflow.optimizers import RMSprop as RMSprop
    from miniflow.pictures import draw as draw
    from miniflow.training import callbacks as callbacks
    from miniflow.training.callbacks import Callback as Callback
    from miniflow.training.callbacks import CSVLogger as CSVLogger
    from miniflow.training.callbacks import EarlyStopping as EarlyStopping
    from miniflow.training.callbacks import KeepBest as KeepBest
    from miniflow.training.callbacks import ModelCheckpoint as ModelCheckpoint
    from miniflow.training.callbacks import ReduceLROnPlateau as ReduceLROnPlateau
    from miniflow.training.callbacks import TensorBoard as TensorBoard
    from miniflow.training.callbacks import TerminateOnNaN as TerminateOnNaN
    from miniflow.training.evaluation import evaluate as evaluate
    from miniflow.training.fit import fit as fit
    from miniflow.training.history import History as History
    from miniflow.training.prediction import predict as predict

__version__ = "0.2.0"

# What `from miniflow import *` gives: the lab's names, and nothing that would hide a builtin.
__all__ = [
    "CompileError",
    "Constant",
    "Input",
    "MiniflowError",
    "Node",
    "Op",
    "Parameter",
    "State",
    "accuracy",
    "check_gradients",
    "find_not_finite",
    "np",
    "value",
    "value_and_grad",
]
__all__ += _node_names

# Loaded when first asked for: the graph and the interpreter are there at once.
_LATER = {
    "compile": "compiler",
    "save": "models",
    "gradient": "models",
    "generate": "models.generating",
    "graph_of": "models",
    "per_example_gradients": "models",
    "load": "models",
    "save_weights": "models",
    "load_weights": "models",
    "Model": "models",
    "export": "exports",
    "to_javascript": "exports",
    "draw": "pictures",
    "page": "digit_page",
    "SGD": "optimizers",
    "Adam": "optimizers",
    "AdamW": "optimizers",
    "RMSprop": "optimizers",
    "set_threads": "backends.thread_limit",
    "JAX": "backends.jax",
    "fit": "training.fit",
    "evaluate": "training.evaluation",
    "predict": "training.prediction",
    "summary": "layers.summaries",
    "augmented": "datasets.augmentation",
    "History": "training.history",
    "EarlyStopping": "training.callbacks",
    "KeepBest": "training.callbacks",
    "ReduceLROnPlateau": "training.callbacks",
    "ModelCheckpoint": "training.callbacks",
    "CSVLogger": "training.callbacks",
    "TensorBoard": "training.callbacks",
    "TerminateOnNaN": "training.callbacks",
    "Callback": "training.callbacks",
    "MiniflowClassifier": "estimator",
    "MiniflowRegressor": "estimator",
}
_ROOMS = {
    "callbacks": "training.callbacks",
    "datasets": "datasets",
    "distributed": "distributed",
    "initializers": "initializers",
    "layers": "layers",
    "metrics": "metrics",
    "optimizers": "optimizers",
    "schedules": "schedules",
}

# By these names version 0.1.0 had rooms that notebooks and scripts import.
_FORMER_NAMES = {
    "miniflow.augmentation": "miniflow.datasets.augmentation",
    "miniflow.callbacks": "miniflow.training.callbacks",
    "miniflow.evaluation": "miniflow.training.evaluation",
    "miniflow.history": "miniflow.training.history",
    "miniflow.networks": "miniflow.layers.networks",
    "miniflow.plans": "miniflow.graph.plans",
    "miniflow.summaries": "miniflow.layers.summaries",
    "miniflow.threads": "miniflow.compiler.threads",
}


class _FormerName:
    """Finds a room by the name that it had; to whoever imports it, it is the same module."""

    node_class = Node

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(name, cls()) if name in _FORMER_NAMES else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """The usual module, which is not what stays."""

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = import_module(_FORMER_NAMES[module.__name__])


def _take_over() -> None:
    """Find the rooms in place of who found them before; warn if its nodes are of other classes."""
    for finder in list(sys.meta_path):
        if (getattr(finder, "__module__", ""), getattr(finder, "__name__", "")) == (
            __name__,
            _FormerName.__name__,
        ):
            sys.meta_path.remove(finder)
            if getattr(finder, "node_class", None) is not Node:
                warnings.warn(
                    "miniflow was removed from sys.modules and is imported a second time. Nodes, "
                    "optimizers and compiled steps that were made before belong to the first one, "
                    "and do not go together with those that are made now: build the graph anew, "
                    "or restart Python. Model files and pickles that were written are read.",
                    UserWarning,
                    stacklevel=3,
                )
    sys.meta_path.append(_FormerName)


_take_over()


derive_with(lambda: import_module("miniflow.models.deriving").derive_gradients)


def __getattr__(name: str) -> Any:
    if name in _LATER:
        found = getattr(import_module(f"miniflow.{_LATER[name]}"), name)
    elif name in _ROOMS:
        found = import_module(f"miniflow.{_ROOMS[name]}")
    else:
        raise AttributeError(f"module 'miniflow' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    own = (name for name in globals() if name.startswith("__") and name != "__all__")
    return sorted({*own, *__all__, "inputs", "parameters", "scan", "states", *_LATER, *_ROOMS})
