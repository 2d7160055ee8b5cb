"""Every option of every node, layer, optimizer, schedule and initialiser, given what it is not: it
does what is right, or says in one sentence whose option it is, what fits and what was given.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import miniflow as mf
from miniflow import initializers, layers, nodes, optimizers, schedules
from miniflow.errors import MiniflowError
from miniflow.graph.values import describe

x, y, seed = mf.Input("x"), mf.Input("y"), mf.Seed()
MATRIX = {x: np.array([[1.0, 2.0], [3.0, 4.0]])}
IMAGES = {x: np.arange(32.0).reshape(2, 4, 4, 1)}
LABELLED = {**MATRIX, y: np.array([0, 1])}
ONE = np.ones(2)
SEQUENCES = {x: np.arange(16.0).reshape(2, 4, 2)}
KERNEL_OF_A_SEQUENCE = np.ones((2, 2, 3))

WHOLE = [np.int64(1), np.uint8(1)]
NUMBERS = [0.5, np.float32(0.5), np.float64(0.5)]
WRONG = [
    *(None, 1.5, "a", "", b"a", 1j, float("nan"), float("inf"), True, np.bool_(True), -1, -1.5),
    *(
        *WHOLE,
        *NUMBERS,
        [1],
        [1.5],
        [],
        (0, 0),
        (1, 2, 3),
        {},
        {"a": 1},
        {0.5: 1},
        object(),
        mf.SGD,
    ),
    *(x, [x], np.array([1, 1]), np.array(2), np.array([0.5]), np.array([True]), np.ma.array([1])),
]


def used(build: Callable[[Any], mf.Node], feed: Any) -> Callable[[Any], Any]:
    """A node that is built with an option, and run forward and backward."""
    return lambda given: mf.value_and_grad(mf.Sum(build(given)), feed, ())


Case = tuple[Callable[[Any], Any], list[Any]]  # what is done with the option, and what must do


def node_cases() -> Iterator[tuple[str, Case]]:
    for cls in (mf.Sum, mf.Mean, mf.Max, mf.Prod):
        name = cls.__name__
        axis = used(lambda v, c=cls: c(x, axis=v), MATRIX)
        yield f"{name}.axis", (axis, [None, -1, *WHOLE, [1], (0, 1), (), [-2, 1]])
        yield f"{name}, axis without its name", (used(lambda v, c=cls: c(x, v), MATRIX), [*WHOLE])
        flag = used(lambda v, c=cls: c(x, keepdims=v), MATRIX)
        yield f"{name}.keepdims", (flag, [True, np.bool_(True)])
    for cls in (mf.Softmax, mf.LogSoftmax):
        axis = used(lambda v, c=cls: c(x, axis=v), MATRIX)
        yield f"{cls.__name__}.axis", (axis, [-1, *WHOLE])
    numbers = [*NUMBERS, *WHOLE]
    slope = used(lambda v: mf.LeakyReLU(x, slope=v), MATRIX)
    yield "LeakyReLU.slope", (slope, [0, -1.5, *numbers])
    epsilon = used(lambda v: mf.LayerNorm(x, ONE, ONE, epsilon=v), MATRIX)
    yield "LayerNorm.epsilon", (epsilon, numbers)
    for name, right in (("momentum", [0, 1, *NUMBERS]), ("epsilon", numbers)):
        made = used(
            lambda v, o=name: mf.BatchNorm(x, ONE, ONE, mf.State(ONE), mf.State(ONE), -1, **{o: v}),
            MATRIX,
        )
        yield f"BatchNorm.{name}", (made, right)
    epsilon = used(lambda v: mf.RMSNorm(x, epsilon=v), MATRIX)
    yield "RMSNorm.epsilon", (epsilon, numbers)
    scale = used(lambda v: mf.ScaledDotProductAttention(x, x, x, scale=v), MATRIX)
    yield "ScaledDotProductAttention.scale", (scale, [None, 0, -1.5, *numbers])
    causal = used(lambda v: mf.ScaledDotProductAttention(x, x, x, causal=v), MATRIX)
    yield "ScaledDotProductAttention.causal", (causal, [True, np.bool_(True)])
    mask = used(lambda v: mf.ScaledDotProductAttention(x, x, x, mask=v), MATRIX)
    seen = [None, np.array([[True], [False]]), np.ones((1, 2), int)]
    yield "ScaledDotProductAttention.mask", (mask, seen)
    dropping = {**MATRIX, seed: 1}
    yield "Dropout.rate", (used(lambda v: mf.Dropout(x, seed, v), dropping), [0, *NUMBERS])
    stream = used(lambda v: mf.Dropout(x, seed, stream=v), dropping)
    yield "Dropout.stream", (stream, [None, 0, *WHOLE])
    shape = used(lambda v: mf.Reshape(x, v), MATRIX)
    yield "Reshape.shape", (shape, [-1, np.int64(4), (4,), [2, -1], np.array([2, 2]), (1, 4, 1)])
    axes = used(lambda v: mf.Transpose(x, v), MATRIX)
    yield "Transpose.axes", (axes, [None, (1, 0), [0, 1], (-1, -2), np.array([1, 0])])
    yield "Concat.axis", (used(lambda v: mf.Concat(x, x, axis=v), MATRIX), [0, -1, *WHOLE])
    index = used(lambda v: x[v], MATRIX)
    yield "GetItem.index", (index, [None, ..., -1, *WHOLE, [1], np.array([1, 1]), (0, 0), [], ()])
    yield "a slice's start", (used(lambda v: x[v:], MATRIX), [None, -1, *WHOLE])
    yield "a slice's step", (used(lambda v: x[::v], MATRIX), [None, -1, *WHOLE])
    for cls in (mf.MaxPool, mf.AveragePool):
        name, pairs = cls.__name__, [2, *WHOLE, (1, 2), [2, 1], np.array([2, 1])]
        yield f"{name}.size", (used(lambda v, c=cls: c(x, v), IMAGES), pairs)
        yield f"{name}.stride", (used(lambda v, c=cls: c(x, stride=v), IMAGES), [None, *pairs])
        border = used(lambda v, c=cls: c(x, padding=v), IMAGES)
        yield f"{name}.padding", (border, ["same", "valid", 0, *WHOLE, (0, 1)])
    kernel = np.ones((2, 2, 1, 3))
    for name in ("stride", "dilation"):
        option = used(lambda v, n=name: mf.Conv2D(x, kernel, **{n: v}), IMAGES)
        yield f"Conv2D.{name}", (option, [1, *WHOLE, (1, 2), np.array([2, 1])])
    border = used(lambda v: mf.Conv2D(x, kernel, padding=v), IMAGES)
    yield "Conv2D.padding", (border, ["same", "valid", 0, *WHOLE, (0, 2)])
    yield "Conv2D.groups", (used(lambda v: mf.Conv2D(x, kernel, groups=v), IMAGES), WHOLE)

    for name, option in (("stride", [1, *WHOLE]), ("dilation", [1, *WHOLE]), ("groups", WHOLE)):
        sequence = used(lambda v, n=name: mf.Conv1D(x, KERNEL_OF_A_SEQUENCE, **{n: v}), SEQUENCES)
        yield f"Conv1D.{name}", (sequence, option)
    border = used(lambda v: mf.Conv1D(x, KERNEL_OF_A_SEQUENCE, padding=v), SEQUENCES)
    yield "Conv1D.padding", (border, ["same", "valid", 0, *WHOLE])
    for cls, of in ((mf.DepthwiseConv2D, kernel), (mf.ConvTranspose2D, np.ones((2, 2, 3, 1)))):
        for name in ("stride", "dilation"):
            option = used(lambda v, c=cls, k=of, n=name: c(x, k, **{n: v}), IMAGES)
            yield f"{cls.__name__}.{name}", (option, [1, *WHOLE, (1, 2), np.array([2, 1])])
        border = used(lambda v, c=cls, k=of: c(x, k, padding=v), IMAGES)
        yield f"{cls.__name__}.padding", (border, ["same", "valid", 0, *WHOLE, (0, 1)])
    yield "Upsample.size", (used(lambda v: mf.Upsample(x, v), IMAGES), [2, *WHOLE, (1, 2)])
    for name in ("low", "high"):
        bound = used(lambda v, n=name: mf.Clip(x, **{n: v}), MATRIX)
        yield f"Clip.{name}", (bound, [None, -1.5, *numbers])
    yield "ELU.alpha", (used(lambda v: mf.ELU(x, alpha=v), MATRIX), [0, *numbers])
    yield "Huber.delta", (used(lambda v: mf.Huber(x, x, delta=v), MATRIX), numbers)
    for name in ("CumSum", "Stack", "CosineSimilarity"):
        inputs = (x,) if name == "CumSum" else (x, x)
        axis = used(lambda v, n=name, i=inputs: getattr(mf, n)(*i, axis=v), MATRIX)
        yield f"{name}.axis", (axis, [0, -1, *WHOLE])
    yield "Split.axis", (used(lambda v: mf.Split(x, 2, axis=v), MATRIX), [0, -1, *WHOLE])
    parts = used(lambda v: mf.Split(x, v), MATRIX)
    yield "Split.parts", (parts, [*WHOLE, 2, (1, 1), [0, 2], np.array([1, 1])])
    width = used(lambda v: mf.Pad(x, v), MATRIX)
    yield "Pad.width", (width, [0, *WHOLE, (1, 2), ((1, 0), (0, 2)), np.array([[1, 0], [0, 2]])])
    value = used(lambda v: mf.Pad(x, 1, value=v), MATRIX)
    yield "Pad.value", (value, [0, -1.5, float("-inf"), *numbers])
    yield "Flip.axis", (used(lambda v: mf.Flip(x, v), MATRIX), [None, -1, *WHOLE, (0, 1)])
    yield "Roll.axis", (used(lambda v: mf.Roll(x, 1, v), MATRIX), [None, -1, *WHOLE, (0, 1)])
    shift = used(lambda v: mf.Roll(x, v), MATRIX)
    yield "Roll.shift", (shift, [0, -1, *WHOLE])

    def loss(name: str) -> Callable[[Any], Any]:
        return used(lambda v: mf.CrossEntropyWithSoftmax(x, y, **{name: v}), LABELLED)

    yield from equation_cases()
    yield "CrossEntropy.label_smoothing", (loss("label_smoothing"), [0, 0.0, *NUMBERS])
    weights = [None, [1, 2], (0.5, 0), np.float32([1, 3]), {}, {1: 2}, {np.int64(0): 0.5}]
    yield "CrossEntropy.class_weights", (loss("class_weights"), weights)
    yield "CrossEntropy.ignore", (loss("ignore"), [None, -1, np.int64(-100)])
    for cls in (mf.Input, mf.Seed):
        yield f"{cls.__name__}.name", (lambda v, c=cls: c(name=v), [None, "a", ""])
    yield "Input.shape", (lambda v: mf.Input(shape=v), [None, (4,), [4], ()])
    yield "Input.dtype", (lambda v: mf.Input(shape=(4,), dtype=v), [None, "f4", np.int64])
    for cls in (mf.ReLU, mf.Add, mf.Parameter, mf.Constant, mf.Flatten, mf.Not):
        yield f"{cls.__name__}.name", (lambda v, c=cls: c(MATRIX[x], name=v), [None, "a"])


def equation_cases() -> Iterator[tuple[str, Case]]:
    for cls in (nodes.Min, nodes.AllTrue, nodes.AnyTrue):
        axis = used(lambda v, c=cls: c(x, axis=v), MATRIX)
        yield f"{cls.__name__}.axis", (axis, [None, -1, *WHOLE, (0, 1)])
        flag = used(lambda v, c=cls: c(x, keepdims=v), MATRIX)
        yield f"{cls.__name__}.keepdims", (flag, [True, np.bool_(True)])
    for cls in (nodes.ArgMax, nodes.ArgMin):
        axis = used(lambda v, c=cls: c(x, axis=v), MATRIX)
        yield f"{cls.__name__}.axis", (axis, [None, -1, *WHOLE])
    dtypes = [np.float32, "f4", float, np.dtype("int8"), bool]
    yield "Cast.dtype", (used(lambda v: nodes.Cast(x, v), MATRIX), dtypes)
    yield "Full.dtype", (used(lambda v: nodes.Full(1.0, (2,), v), {}), dtypes)
    yield "Full.shape", (used(lambda v: nodes.Full(1.0, v, "f4"), {}), [(), (2,), [0, 3]])
    shapes = used(lambda v: nodes.BroadcastTo(x, v), MATRIX)
    yield "BroadcastTo.shape", (shapes, [(2, 2), [3, 2, 2], np.array([1, 2, 2])])
    for i, bound in enumerate(("start", "stop", "step")):
        numbers = used(
            lambda v, i=i: nodes.Arange(*[0, 4, 1][:i], v, *[0, 4, 1][i + 1 :], "f4"), {}
        )
        yield f"Arange.{bound}", (numbers, [-1, *WHOLE])
    yield "Arange.dtype", (used(lambda v: nodes.Arange(0, 2, 1, v), {}), dtypes)
    axes = used(lambda v: nodes.Windows(x, v, (1,)), MATRIX)
    yield "Windows.axes", (axes, [(0,), [1], np.array([1])])
    window = used(lambda v: nodes.Windows(x, (0, 1), v), MATRIX)
    yield "Windows.window", (window, [(1, 2), np.array([2, 1])])
    rows = np.array([1, 0])
    for name, values in (("GatherAlong", ()), ("Scatter", (1.0,)), ("ScatterAdd", (1.0,))):
        axes = used(lambda v, n=name, i=values: getattr(nodes, n)(x, *i, rows, axes=v), MATRIX)
        yield f"{name}.axes", (axes, [(0,), [1], np.array([1])])
    for cls in (nodes.SliceUpdate, nodes.SliceAdd):
        index = used(lambda v, c=cls: c(x, 1.0, v), MATRIX)
        yield f"{cls.__name__}.index", (index, [0, slice(1), (1, slice(None)), ..., *WHOLE])


def optimizer_cases() -> Iterator[tuple[str, Case]]:
    def moved(cls: Any, name: str) -> Callable[[Any], Any]:
        others = {"momentum": 0.9} if name == "nesterov" else {}
        w = mf.Parameter([1.0])
        return lambda v: cls(**{**others, name: v}).update([w], [np.ones(1)])

    shares = {"momentum", "beta_1", "beta_2", "rho"}
    for cls in (mf.SGD, mf.Adam, mf.AdamW, mf.RMSprop):
        for name in inspect.signature(cls).parameters.keys() - {"clipping"}:
            right = [*NUMBERS] if name in shares else [*NUMBERS, *WHOLE]
            right = [True, np.bool_(True)] if name == "nesterov" else right
            yield f"{cls.__name__}.{name}", (moved(cls, name), right)
        for name in ("clipnorm", "global_clipnorm", "clipvalue"):
            yield f"{cls.__name__}.{name}", (moved(cls, name), [None, *NUMBERS, *WHOLE])


SCHEDULES: dict[str, dict[str, Any]] = {
    "StepDecay": {"lr": 0.1, "every": 2},
    "ExponentialDecay": {"lr": 0.1, "steps": 5},
    "CosineDecay": {"lr": 0.1, "steps": 5},
    "OneCycle": {"lr": 0.1, "steps": 5},
    "PiecewiseConstant": {"boundaries": [2], "values": [0.1, 0.2]},
}
EMBEDDING = layers.Embedding(20, 3)
EMBEDDING(layers.Input((4,), dtype=np.int64))
LAYERS: dict[str, dict[str, Any]] = {
    "Dense": {"units": 3},
    "Conv2D": {"filters": 2, "size": 2},
    "Conv1D": {"filters": 2, "size": 2},
    "DepthwiseConv2D": {"size": 2},
    "ConvTranspose2D": {"filters": 2, "size": 2},
    "Embedding": {"count": 20, "units": 3},
    "MaxPool": {},
    "AveragePool": {},
    "GlobalAveragePool": {},
    "Upsample": {},
    "Reshape": {"shape": (2, 8)},
    "Dropout": {"rate": 0.5, "seed": seed},
    "Activation": {"activation": "relu"},
    "LayerNorm": {},
    "BatchNorm": {"seed": seed},
    "Flatten": {},
    "RNN": {"units": 3},
    "GRU": {"units": 3},
    "LSTM": {"units": 3},
    "RMSNorm": {},
    "MultiHeadAttention": {"heads": 1},
    "TransformerBlock": {"heads": 1},
    "TiedDense": {"embedding": EMBEDDING},
    "GPT": {"letters": "abc", "context": 4, "units": 4, "heads": 1, "depth": 1},
    "CharRNN": {"letters": "abc", "units": 4},
    "Sequential": {"layers": []},
}
SHAPES_OF_INPUTS = {"Conv1D": (5, 2), "Upsample": (4, 4, 1)}
SHAPES_OF_INPUTS |= dict.fromkeys(("RNN", "GRU", "LSTM"), (5, 2))
SHAPES_OF_INPUTS |= dict.fromkeys(("MultiHeadAttention", "TransformerBlock"), (4, 2))
SHAPES_OF_INPUTS |= {"TiedDense": (4, 3), "GPT": (1,), "CharRNN": (4,)}
OF_WHOLE_NUMBERS = ("Embedding", "GPT", "CharRNN")
SIZES = {
    "multiplier",
    "count",
    "units",
    "depth",
    "heads",
    "expansion",
    "context",
    "filters",
    "size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "every",
    "steps",
}


def other_cases() -> Iterator[tuple[str, Case]]:
    for name, others in SCHEDULES.items():
        cls: Any = getattr(schedules, name)
        for option in inspect.signature(cls).parameters:
            right = WHOLE if option in SIZES else []
            yield (
                f"{name}.{option}",
                (lambda v, c=cls, k=others, o=option: c(**{**k, o: v})(3), right),
            )
    for name, others in LAYERS.items():
        cls = getattr(layers, name)
        image = SHAPES_OF_INPUTS.get(name, (4, 4, 1) if "Conv" in name or "Pool" in name else (16,))
        X = layers.Input(image, dtype=np.int64 if name in OF_WHOLE_NUMBERS else np.float32)
        for option in inspect.signature(cls).parameters:
            right = WHOLE if option in SIZES else []
            yield (
                f"layers.{name}.{option}",
                (lambda v, c=cls, k=others, o=option, X=X: c(**{**k, o: v})(X), right),
            )
    for option, right in (("shape", [(4,), [4]]), ("dtype", ["f4", np.int64]), ("name", [None])):
        yield (
            f"layers.Input.{option}",
            (lambda v, o=option: layers.Input(**{"shape": (4,), o: v}), right),
        )
    for name in initializers.__all__:
        make: Any = getattr(initializers, name)
        for option, right in (("shape", [(2, 3), [4]]), ("rng", WHOLE), ("dtype", ["f4"])):
            yield (
                f"initializers.{name}.{option}",
                (lambda v, m=make, o=option: m(**{"shape": (2, 3), "rng": 0, o: v}), right),
            )


CASES = dict([*node_cases(), *optimizer_cases(), *other_cases()])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", sorted(CASES))
def test_an_option_of_the_wrong_type_is_told_in_one_sentence(case: str) -> None:
    use, _ = CASES[case]
    for given in WRONG:
        try:
            with np.errstate(all="ignore"):
                use(given)
        except MiniflowError as error:
            message = str(error)
            assert message.endswith("."), message
            assert "failed with" not in message, message
        except Exception as error:
            pytest.fail(f"{case} of {describe(given)}: {type(error).__name__}: {error}")


@pytest.mark.parametrize("case", sorted(CASES))
def test_what_an_option_takes_it_takes_from_numpy_too(case: str) -> None:
    use, right = CASES[case]
    for given in right:
        use(given)


def test_every_option_of_every_node_is_in_the_table() -> None:
    told = {case.split(".")[0].split(",")[0] for case in CASES}
    without = {
        "name",
        "x",
        "y",
        "X",
        "W",
        "b",
        "z",
        "gain",
        "shift",
        "table",
        "indices",
        "condition",
    }
    without |= {"state", "value", "then", "mean", "variance"}
    without |= {"seed", "inputs", "operands", "prediction", "target", "more", "index"}
    without |= {"a", "b", "c", "alpha", "beta", "indices"}
    for name in (*nodes.__all__, *nodes.equations.__all__):
        options = inspect.signature(getattr(nodes, name)).parameters.keys() - without
        assert not options or name.removesuffix("WithSoftmax") in told, (name, options)
    for name in layers.__all__:
        assert name == "Layer" or f"layers.{name}" in {case.rsplit(".", 1)[0] for case in CASES}
    for name in optimizers.__all__:
        assert name in (*told, "Clipping", "Optimizer")
