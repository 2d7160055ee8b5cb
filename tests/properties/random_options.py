"""Options that fit the value a node is put on, and whether it may stand there; for the graphs that
`random_graphs` draws.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import miniflow as mf

Options = dict[str, Any]


def apart(x: Any) -> bool:
    """Nowhere near 0, except at 0 itself (where it is a kink for both, or for neither)."""
    return bool(np.all(np.abs(x) > 1e-3))


def untied(x: Any, axis: Any = None, **_: Any) -> bool:
    values = np.sort(np.ravel(x) if axis is None else x, axis=-1 if axis is None else axis)
    return bool(np.all(np.abs(np.diff(values, axis=-1 if axis is None else axis)) > 1e-3))


def no_options(*values: Any) -> st.SearchStrategy[Options]:
    return st.just({})


def one_axis(x: Any) -> st.SearchStrategy[Options]:
    rank = np.ndim(x)
    return st.fixed_dictionaries({"axis": st.integers(-rank, rank - 1)}) if rank else st.nothing()


def axes(x: Any) -> st.SearchStrategy[Options]:
    rank = np.ndim(x)
    some = hnp.valid_tuple_axes(rank, min_size=1) if rank else st.none()
    one = st.integers(-rank, rank - 1) if rank else st.none()
    return st.fixed_dictionaries({"axis": st.none() | one | some, "keepdims": st.booleans()})


def shapes(x: Any) -> st.SearchStrategy[Options]:
    size = int(np.size(x))
    columns = [n for n in (1, 2, 3) if size and size % n == 0]
    fitting = [(size,), (-1,), (1, size, 1), *((-1, n) for n in columns)]
    return st.fixed_dictionaries({"shape": st.sampled_from(fitting)})


def orders(x: Any) -> st.SearchStrategy[Options]:
    return st.fixed_dictionaries(
        {"axes": st.none() | st.permutations(range(np.ndim(x))).map(tuple)}
    )


def indices(x: Any) -> st.SearchStrategy[Options]:
    shape = np.shape(x)
    if not shape:
        return st.nothing()
    index: Any = hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)
    if all(shape):
        index |= hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=2))
        index |= st.lists(st.integers(-shape[0], shape[0] - 1), min_size=1, max_size=4)
    index |= hnp.arrays(bool, shape[:1])
    return index.map(lambda i: {"index": i})


def joined(x: Any, y: Any) -> st.SearchStrategy[Options]:
    rank = np.ndim(x)
    return st.fixed_dictionaries({"axis": st.integers(-rank, rank - 1)}) if rank else st.nothing()


def of_logits(x: Any) -> st.SearchStrategy[Options]:
    if np.ndim(x) != 2 or 0 in np.shape(x):
        return st.nothing()
    n, k = np.shape(x)
    weights = st.none() | st.just(np.arange(1.0, k + 1))
    return st.fixed_dictionaries(
        {
            "labels": hnp.arrays(np.int64, n, elements=st.integers(0, k - 1)),
            "label_smoothing": st.sampled_from([0.0, 0.1]),
            "class_weights": weights,
        }
    )


def of_rows(x: Any) -> st.SearchStrategy[Options]:
    if np.ndim(x) == 0 or np.shape(x)[0] == 0:
        return st.nothing()
    rows = st.integers(0, np.shape(x)[0] - 1)
    shape = hnp.array_shapes(min_dims=0, max_dims=2, max_side=3)
    return st.fixed_dictionaries({"indices": hnp.arrays(np.int64, shape, elements=rows)})


def probabilities(x: Any) -> st.SearchStrategy[Options]:
    values = st.sampled_from([0.0, 0.25, 1.0])
    return st.fixed_dictionaries({"y": hnp.arrays(np.float64, np.shape(x), elements=values)})


def weights(x: Any) -> st.SearchStrategy[Options]:
    if np.ndim(x) < 2:
        return st.nothing()
    n = np.shape(x)[-1]
    return st.integers(0, 3).map(
        lambda p: {"W": np.arange(n * p).reshape(n, p) / 8 - 0.4, "b": np.arange(p) / 4}
    )


def on_images(build: Callable[..., mf.Node]) -> Callable[..., mf.Node]:
    """A matrix is a grey image; three axes are one image with channels."""
    return lambda x, shape, **options: build(mf.Reshape(x, shape), **options)


def image_shape(x: Any) -> tuple[int, ...]:
    shape = np.shape(x)
    return (1, *shape, 1) if len(shape) == 2 else (1, *shape)


def is_image(x: Any) -> bool:
    return np.ndim(x) in (2, 3) and min(np.shape(x)) > 0


def kernels(x: Any) -> st.SearchStrategy[Options]:
    if not is_image(x):
        return st.nothing()
    shape, size = image_shape(x), st.integers(1, 2)

    def options(size: tuple[int, int, int]) -> Options:
        whole = (*size[:2], shape[3], size[2])
        W = (np.arange(np.prod(whole)).reshape(whole) % 5 - 1.8) / 4
        return {"W": W, "b": np.arange(size[2]) / 8}

    return st.builds(
        lambda size, stride, padding: options(size)
        | {"shape": shape, "stride": stride, "padding": padding},
        st.tuples(size, size, size), size, st.sampled_from(["valid", "same", 1]),
    )  # fmt: skip


def pools(x: Any) -> st.SearchStrategy[Options]:
    if not is_image(x):
        return st.nothing()
    size = st.integers(1, 2)
    return st.builds(
        lambda size, stride, padding: {
            "shape": image_shape(x), "size": size, "stride": stride, "padding": padding or size - 1
        },
        size, st.none() | size, st.sampled_from(["valid", "same", None]),
    )  # fmt: skip


def seeds(x: Any) -> st.SearchStrategy[Options]:
    whole = st.integers(0, 5) | st.just(-1)
    return st.builds(lambda seed, rate: {"seed": seed, "rate": rate}, whole, st.floats(0.1, 0.8))


def gains(x: Any) -> st.SearchStrategy[Options]:
    if np.ndim(x) == 0 or np.shape(x)[-1] < 2:
        return st.nothing()
    n = np.shape(x)[-1]
    return st.just({"gain": 1 + np.arange(n) / 8, "shift": np.arange(n) / 4})


def gain_alone(x: Any) -> st.SearchStrategy[Options]:
    return gains(x).map(lambda options: {"gain": options["gain"]})


def looked_at(x: Any) -> st.SearchStrategy[Options]:
    """Attention of a sequence to itself; of the mask, each query sees itself at least."""
    if np.ndim(x) < 2 or 0 in np.shape(x):
        return st.nothing()
    n = np.shape(x)[-2]
    masks = hnp.arrays(bool, (n, n)).map(lambda seen: seen | np.eye(n, dtype=bool))
    return st.fixed_dictionaries({"mask": st.none() | masks, "causal": st.booleans()})


def kept(x: Any) -> st.SearchStrategy[Options]:
    """The first value of a state that is set to x."""
    dtype = np.asarray(x).dtype
    return st.just({"first": np.zeros(np.shape(x), dtype)}) if dtype.kind == "f" else st.nothing()


def channels(x: Any) -> st.SearchStrategy[Options]:
    """A normalisation over all axes but the last, in training and not."""
    if np.ndim(x) < 2 or 0 in np.shape(x):
        return st.nothing()
    n = np.shape(x)[-1]
    vectors = {"gain": 1 + np.arange(n) / 8, "shift": np.arange(n) / 4}
    return st.sampled_from([3, -1]).map(lambda seed: {**vectors, "seed": seed})


def spread_in_channels(x: Any) -> bool:
    """Whether no channel is nearly of one number, whose variance is nothing but rounding."""
    axes_but_last = tuple(range(np.ndim(x) - 1))
    return np.ndim(x) > 1 and bool(np.all(np.var(x, axis=axes_but_last) > 0.05))


def spread_out(x: Any) -> bool:
    """Whether no row is nearly of one number, whose variance is nothing but rounding."""
    return np.ndim(x) > 0 and bool(np.all(np.var(x, axis=-1) > 0.05))


def exponents(x: Any) -> st.SearchStrategy[Options]:
    return st.sampled_from([2, 3, -1, 2.0, 0]).map(lambda y: {"y": y})


def decided(*values: Any) -> bool:
    """Whether no step of a difference makes another of them 0, or no longer 0."""
    return all(np.asarray(x).dtype.kind != "f" or apart(x) for x in values)


def unequal(x: Any, y: Any) -> bool:
    """Whether no step of a difference turns round which is greater, or makes them equal."""
    wholes = {np.asarray(x).dtype.kind, np.asarray(y).dtype.kind} <= set("biu")
    try:
        return wholes or apart(np.subtract(x, y, dtype=np.float64))
    except ValueError:  # of shapes: the node will say so
        return True


def is_whole(value: Any) -> bool:
    """Whether it is made of integers, or of booleans, which count as such."""
    return np.asarray(value).dtype.kind in "iub"


def off_the_bounds(x: Any) -> bool:
    """Whether no step of a difference leads over a bound of the `Clip`."""
    return is_whole(x) or apart(np.abs(x) - 1.03)


def not_short(x: Any) -> bool:
    """Whether no vector along the last axis is nearly 0, where it has no angle."""
    return np.ndim(x) > 0 and bool(np.all(np.linalg.norm(x, axis=-1) > 0.05))


def stacked(x: Any, y: Any) -> st.SearchStrategy[Options]:
    rank = np.ndim(x)
    return st.fixed_dictionaries({"axis": st.integers(-rank - 1, rank)})


def parts(x: Any) -> st.SearchStrategy[Options]:
    rank = np.ndim(x)
    number = st.integers(0, 1)
    both = {"axis": st.integers(-rank, rank - 1), "number": number}
    return st.fixed_dictionaries(both) if rank else st.nothing()


def parts_of(x: mf.Node, axis: int) -> tuple[Any, int]:
    """Two parts of an axis of three, or of two: what does not fit is left out."""
    return (1, 2) if axis % 2 else 2, axis


def borders(x: Any) -> st.SearchStrategy[Options]:
    widths = st.sampled_from([1, (0, 2), *([[(1, 0)] * np.ndim(x)] if np.ndim(x) else [])])
    value = st.sampled_from([0, 0.5, -1])
    options = st.builds(lambda width, value: {"width": width, "value": value}, widths, value)
    return options if np.ndim(x) else st.nothing()


def flipped(x: Any) -> st.SearchStrategy[Options]:
    return axes(x).map(lambda o: {"axis": o["axis"]}) if np.ndim(x) else st.nothing()


def rolled(x: Any) -> st.SearchStrategy[Options]:
    shift = st.integers(-4, 4)
    options = st.builds(lambda shift, o: {"shift": shift, "axis": o["axis"]}, shift, flipped(x))
    return options if np.ndim(x) else st.nothing()


def of_the_rows_of_a_matrix(x: Any) -> st.SearchStrategy[Options]:
    return of_rows(x).map(lambda o: {"x": o["indices"]}) if np.ndim(x) == 2 else st.nothing()


def sequence_kernels(x: Any) -> st.SearchStrategy[Options]:
    if np.ndim(x) != 3 or 0 in np.shape(x):
        return st.nothing()
    size = st.integers(1, 2)

    def options(length: int, outputs: int) -> Options:
        shape = (length, np.shape(x)[2], outputs)
        return {"W": (np.arange(np.prod(shape)).reshape(shape) % 5 - 1.8) / 4}

    return st.builds(
        lambda length, outputs, stride, padding: options(length, outputs)
        | {"stride": stride, "padding": padding},
        size, size, size, st.sampled_from(["valid", "same", 1]),
    )  # fmt: skip


def depthwise_kernels(x: Any) -> st.SearchStrategy[Options]:
    return kernels(x).map(lambda o: o | {"b": None})


def transposed_kernels(x: Any) -> st.SearchStrategy[Options]:
    return kernels(x).map(lambda o: o | {"W": np.swapaxes(o["W"], 2, 3)})


def shaped(x: Any) -> st.SearchStrategy[Options]:
    return st.just({"shape": image_shape(x)})
