"""miniflow: differentiable graphs in plain NumPy. Build your own, watch it learn, compile it.

    import miniflow as mf                  # or, as in the lab: from miniflow import *

    x, y = mf.Input("x"), mf.Input("y")
    value, (dx, dy) = mf.value_and_grad(x * y + x, {x: 3.0, y: 4.0}, wrt=[x, y])

Importing it imports NumPy and nothing else that is installed; whatever needs more loads it when it
is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np  # `from miniflow import *` hands it on: the lab's cells rely on it

from miniflow.autodiff import accuracy, value, value_and_grad
from miniflow.checking import check_gradients, find_not_finite
from miniflow.errors import CompileError, MiniflowError
from miniflow.graph import Constant, Input, Node, Op, Parameter
from miniflow.nodes import *  # noqa: F403
from miniflow.nodes import __all__ as _node_names

if TYPE_CHECKING:
    from miniflow import callbacks as callbacks
    from miniflow import datasets as datasets
    from miniflow import initializers as initializers
    from miniflow import layers as layers
    from miniflow import optimizers as optimizers
    from miniflow import schedules as schedules
    from miniflow.augmentation import augmented as augmented
    from miniflow.callbacks import Callback as Callback
    from miniflow.callbacks import CSVLogger as CSVLogger
    from miniflow.callbacks import EarlyStopping as EarlyStopping
    from miniflow.callbacks import ModelCheckpoint as ModelCheckpoint
    from miniflow.callbacks import ReduceLROnPlateau as ReduceLROnPlateau
    from miniflow.callbacks import TerminateOnNaN as TerminateOnNaN
    from miniflow.compiler import compile as compile
    from miniflow.digit_page import page as page
    from miniflow.estimator import MiniflowClassifier as MiniflowClassifier
    from miniflow.estimator import MiniflowRegressor as MiniflowRegressor
    from miniflow.evaluation import evaluate as evaluate
    from miniflow.history import History as History
    from miniflow.models import Model as Model
    from miniflow.models import load as load
    from miniflow.models import save as save
    from miniflow.optimizers import SGD as SGD
    from miniflow.optimizers import Adam as Adam
    from miniflow.optimizers import AdamW as AdamW
    from miniflow.optimizers import RMSprop as RMSprop
    from miniflow.pictures import draw as draw
    from miniflow.summaries import summary as summary
    from miniflow.training import fit as fit

__version__ = "0.1.0"

# What `from miniflow import *` gives: the lab's names, and nothing that would hide a builtin.
__all__ = [
    "CompileError",
    "Constant",
    "Input",
    "MiniflowError",
    "Node",
    "Op",
    "Parameter",
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
    "load": "models",
    "Model": "models",
    "draw": "pictures",
    "page": "digit_page",
    "SGD": "optimizers",
    "Adam": "optimizers",
    "AdamW": "optimizers",
    "RMSprop": "optimizers",
    "fit": "training",
    "evaluate": "evaluation",
    "summary": "summaries",
    "augmented": "augmentation",
    "History": "history",
    "EarlyStopping": "callbacks",
    "ReduceLROnPlateau": "callbacks",
    "ModelCheckpoint": "callbacks",
    "CSVLogger": "callbacks",
    "TerminateOnNaN": "callbacks",
    "Callback": "callbacks",
    "MiniflowClassifier": "estimator",
    "MiniflowRegressor": "estimator",
}
_ROOMS = ("callbacks", "datasets", "initializers", "layers", "optimizers", "schedules")


def __getattr__(name: str) -> Any:
    if name in _LATER:
        found = getattr(import_module(f"miniflow.{_LATER[name]}"), name)
    elif name in _ROOMS:
        found = import_module(f"miniflow.{name}")
    else:
        raise AttributeError(f"module 'miniflow' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_ROOMS})
