"""`compile` returns what the interpreter does; and what it keeps, refuses and forgets."""

import threading

import numpy as np
import pytest
from conformance import CASES
from forked import in_a_child, needs_fork

import miniflow as mf
from compiler.networks import two_layers
from miniflow.errors import NodeError
from miniflow.optimizers import SGD, Adam, AdamW, RMSprop
from miniflow.schedules import CosineDecay, StepDecay

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-10}


def assert_close(seen, wanted, dtype=np.float64):
    assert np.shape(seen) == np.shape(wanted)
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0)))
    np.testing.assert_allclose(seen, wanted, rtol=0, atol=TOLERANCE[dtype] * scale)


@pytest.mark.parametrize("name", CASES)
def test_hand_written_nodes_compile_unchanged(name):
    dtype = np.float32  # in which a constant that widens what it meets would show
    output, feed, wrt, _ = CASES[name](dtype)
    value, gradients = mf.value_and_grad(output, feed, wrt)
    compiled, compiled_gradients = mf.compile(output, wrt=wrt, backend="numpy")(feed)
    assert type(compiled) is type(value)
    assert_close(compiled, value, dtype)
    for seen, wanted in zip(compiled_gradients, gradients, strict=True):
        assert_close(seen, wanted, dtype)
        assert getattr(seen, "dtype", None) == getattr(wanted, "dtype", None)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_compiled_equals_interpreted(backend, dtype):
    loss, logits, feed, parameters = two_layers(dtype)
    value, gradients = mf.value_and_grad(loss, feed, parameters)
    compiled, compiled_gradients = mf.compile(loss, wrt=parameters, backend=backend)(feed)
    assert type(compiled) is type(value)
    assert_close(compiled, value, dtype)
    for seen, wanted in zip(compiled_gradients, gradients, strict=True):
        assert seen.dtype == wanted.dtype
        assert_close(seen, wanted, dtype)
    assert_close(mf.compile(logits, backend=backend)(feed), mf.value(logits, feed), dtype)


OPTIMIZERS = {
    "SGD": lambda: SGD(0.1),
    "momentum": lambda: SGD(0.1, momentum=0.9),
    "Nesterov": lambda: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adam": lambda: Adam(0.01),
    "AdamW": lambda: AdamW(0.01),
    "RMSprop": lambda: RMSprop(0.01),
    "StepDecay": lambda: SGD(StepDecay(0.1, every=2)),
    "CosineDecay": lambda: Adam(CosineDecay(0.01, steps=4)),
}


@pytest.mark.breadth("backend")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_and_schedule_moves_the_parameters_as_interpreted(backend, name):
    compiled, interpreted = two_layers(np.float64), two_layers(np.float64)
    step = mf.compile(compiled.loss, optimizer=OPTIMIZERS[name](), backend=backend)
    optimizer = OPTIMIZERS[name]()
    for _ in range(4):
        seen = step(compiled.feed)
        wanted, gradients = mf.value_and_grad(
            interpreted.loss, interpreted.feed, interpreted.parameters
        )
        optimizer.update(interpreted.parameters, gradients)
        assert_close(seen, wanted)
    for a, b in zip(compiled.parameters, interpreted.parameters, strict=True):
        assert_close(a.value, b.value)


def test_python_numbers_come_back_as_python_numbers(backend):
    x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
    f = mf.compile(x * y + x * z, wrt=[x, y, z], backend=backend)
    value, gradients = f({x: 3, y: 4, z: -5})
    assert (value, gradients) == (-3, [-1.0, 3.0, 3.0])
    assert [type(value), *map(type, gradients)] == [int, float, float, float]


def test_changing_the_learning_rate_does_not_record_again(backend):
    loss, _, feed, parameters = two_layers()
    optimizer = SGD(0.0)
    step = mf.compile(loss, optimizer=optimizer, backend=backend)
    before = parameters[0].value.copy()
    step(feed)
    program = step.program
    assert (parameters[0].value == before).all()
    optimizer.lr = 0.5
    step(feed)
    assert step.program is program
    assert (parameters[0].value != before).any()


def test_one_program_for_each_shape_and_dtype_and_a_reason_for_each_new_one(backend):
    x = mf.Input("x")
    f = mf.compile(x * 2.0, backend=backend)
    f({x: np.zeros(3)})
    first = f.program
    f({x: np.zeros(4)})
    assert f.why_retraced() == "Input 'x' was f64[3] and became f64[4]."
    f({x: np.zeros(4, np.float32)})
    assert f.why_retraced() == "Input 'x' was f64[4] and became f32[4]."
    f({x: 3})
    assert f.why_retraced() == "Input 'x' was f32[4] and became int."
    f({x: np.ones(3)})
    assert f.program is first


def test_the_learners_graph_is_left_as_it_was():
    loss, logits, feed, parameters = two_layers()
    mf.value_and_grad(loss, feed, parameters)
    values = {node: node.value for node in (loss, logits)}
    gradients = dict(logits.gradients)
    mf.compile(loss, wrt=parameters, backend="numpy")(feed)
    assert all(node.value is value for node, value in values.items())
    assert all(logits.gradients[node] is grad for node, grad in gradients.items())


def test_results_belong_to_the_caller(backend):
    _, logits, feed, parameters = two_layers()
    f = mf.compile(logits, wrt=parameters, backend=backend)
    value, gradients = f(feed)
    kept = [value.copy(), *(g.copy() for g in gradients)]
    value[...] = 0
    gradients[0][...] = 0
    again, more = f(feed)
    for seen, wanted in zip([again, *more], kept, strict=True):
        assert (seen == wanted).all()
        assert not any(np.may_share_memory(seen, p.value) for p in parameters)
        assert not any(np.may_share_memory(seen, other) for other in [value, *gradients])


def test_a_value_that_is_an_input_is_handed_out_as_a_copy(backend):
    x, W = mf.Input("x"), mf.Parameter(np.ones(3), "W")
    array = np.zeros(3)
    assert not np.may_share_memory(mf.compile(x, backend=backend)({x: array}), array)
    assert not np.may_share_memory(mf.compile(W, backend=backend)({}), W.value)


def test_feeds_of_any_stride_order_and_alignment(backend):
    loss, _, feed, parameters = two_layers(np.float64)
    X, y = feed
    f = mf.compile(loss, wrt=parameters, backend=backend)
    wanted, _ = f(feed)
    wide = np.zeros((12, 14))
    wide[::2, ::2] = feed[X]
    raw = np.zeros(feed[X].nbytes + 1, np.uint8)
    odd = raw[1:].view(np.float64).reshape(feed[X].shape)
    odd[...] = feed[X]
    frozen = feed[X].copy()
    frozen.flags.writeable = False
    swapped = feed[X].astype(feed[X].dtype.newbyteorder())
    for fed in (np.asfortranarray(feed[X]), wide[::2, ::2], odd, frozen, swapped, feed[X].tolist()):
        value, _ = f({X: fed, y: feed[y]})
        assert_close(value, wanted)


def test_a_feed_that_is_a_parameters_own_array_is_read_before_it_changes(backend):
    def run(fed):
        x, W = mf.Input("x"), mf.Parameter(np.arange(6.0).reshape(2, 3), "W")
        step = mf.compile(mf.Sum((W * 2 - x) ** 2), optimizer=SGD(0.1), backend=backend)
        for _ in range(3):
            step({x: fed(W.value)})
        return W.value

    assert_close(run(lambda array: array), run(np.copy))
    assert_close(run(lambda array: array[:1]), run(lambda array: array[:1].copy()))


def test_a_parameter_that_gets_another_array_is_followed(backend):
    x, W = mf.Input("x"), mf.Parameter(np.ones(3), "W")
    f = mf.compile(x * W, backend=backend)
    assert f({x: 2.0}).tolist() == [2, 2, 2]
    W.value = np.full(3, 5.0)
    assert f({x: 2.0}).tolist() == [10, 10, 10]
    W.value = np.full((2, 1), 5.0)
    assert f({x: 2.0}).tolist() == [[10], [10]]


def test_feeding_too_little_too_much_or_the_wrong_thing_is_told_as_by_the_interpreter(backend):
    loss, logits, feed, parameters = two_layers()
    X, y = feed
    step = mf.compile(loss, optimizer=SGD(0.1), backend=backend)
    other = mf.Input("other")
    step(feed | {other: 3})
    with pytest.raises(mf.MiniflowError, match="needs a value for Input 'y'"):
        step({X: feed[X]})
    with pytest.raises(mf.MiniflowError, match="is computed from its inbound nodes"):
        step(feed | {logits: 1})
    with pytest.raises(mf.MiniflowError, match="only be one of the two"):
        step(feed | {parameters[0]: parameters[0].value})
    before = [p.value.copy() for p in parameters]
    for labels in (feed[y] + 3, feed[y] - 3):
        with pytest.raises(mf.MiniflowError, match="has labels from"):
            step(feed | {y: labels})
    for p, kept in zip(parameters, before, strict=True):
        assert (p.value == kept).all()


def test_a_loss_that_is_not_finite_updates_nothing_and_names_the_node(backend):
    x, W = mf.Input("x"), mf.Parameter(np.array([2.0, 3.0]), "W")
    loss = mf.Sum(mf.Log(W * x, name="log"), name="loss")
    step = mf.compile(loss, optimizer=SGD(0.1), backend=backend)
    step({x: 1.0})
    before = W.value.copy()
    for fed in (0.0, np.nan):
        with pytest.raises(
            mf.MiniflowError, match=r"nothing was updated. The value (of|fed to) "
        ) as error:
            step({x: fed})
        assert "Log 'log'" in str(error.value) or "Input 'x'" in str(error.value)
        assert (W.value == before).all()


def test_a_source_that_makes_its_own_value_is_asked_at_each_call(backend):
    class Ticks(mf.Node):
        def __init__(self):
            mf.Node.__init__(self, [])
            self.count = 0

        def forward(self):
            self.count += 1
            self.value = np.full(2, float(self.count))

        def backward(self):
            self.gradients = {self: sum(n.gradients[self] for n in self.outbound_nodes)}

    f = mf.compile(Ticks() * 2.0, backend=backend)
    assert [f({})[0] for _ in range(3)] == [2.0, 4.0, 6.0]


def test_looking_before_the_first_call_says_that_it_must_be_called():
    x = mf.Input("x")
    with pytest.raises(mf.CompileError, match="Call it once first"):
        _ = mf.compile(x * 2).program


def test_the_source_names_the_nodes(backend):
    loss, _, feed, _ = two_layers()
    step = mf.compile(loss, optimizer=SGD(0.1), backend=backend)
    step(feed)
    for label in ("Linear 'hidden'", "Linear 'logits'", "CrossEntropyWithSoftmax 'loss'"):
        assert label in step.source


def test_cost_counts_the_matrix_products():
    loss, _, feed, parameters = two_layers(rows=6, sizes=(7, 5, 3))
    f = mf.compile(loss, wrt=parameters)
    f(feed)
    products = 2 * 6 * (7 * 5) * 2 + 2 * 6 * (5 * 3) * 3  # the data need no gradient
    cost = f.cost()
    assert products <= cost.total.flops <= products + 6 * (5 + 3) * 60
    assert cost.total.bytes > 0
    assert "Linear 'hidden'" in cost.by_node()


def test_threads_share_a_compiled_step(backend):
    x = mf.Input("x")
    f = mf.compile(mf.Sum(mf.Tanh(x) * 2.0), wrt=[x], backend=backend)
    wanted = {n: mf.value(mf.Sum(mf.Tanh(x) * 2.0), {x: np.full(50, n)}) for n in range(8)}
    failures = []

    def work(n):
        for _ in range(40):
            value, (dx,) = f({x: np.full(50, float(n))})
            if not np.isclose(value, wanted[n]) or not np.allclose(dx, 2 - 2 * np.tanh(n) ** 2):
                failures.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@needs_fork
def test_a_compiled_step_works_after_a_fork(backend):
    loss, _, feed, parameters = two_layers(np.float64, rows=64, sizes=(64, 64, 10))
    f = mf.compile(loss, wrt=parameters, backend=backend)
    value, _ = f(feed)
    f._lock.acquire()  # as if another thread held it
    is_the_same = in_a_child(lambda: abs(f(feed)[0] - value) < 1e-12)
    f._lock.release()
    assert is_the_same


def test_other_heads_on_the_same_inputs_change_nothing(backend):
    x = mf.Input("x")
    head = x * x
    f = mf.compile(head, wrt=[x], backend=backend)
    others = [x * 3.0, head + 1.0]
    assert f({x: 3.0}) == (9.0, [6.0])
    del others


@pytest.mark.slow
def test_a_long_chain_compiles_without_recursion():
    x = mf.Input("x")
    a = x
    for _ in range(3000):
        a = a + 1.0
    assert mf.compile(a, wrt=[x], backend="numpy")({x: 0.0}) == (3000.0, [1.0])


def test_what_is_no_node_and_no_optimizer_is_told_as_such():
    x, W = mf.Input("x"), mf.Parameter([1.0, 2.0], "W")
    loss = mf.MSE(W, [0.0, 0.0])
    with pytest.raises(mf.MiniflowError, match=r"The output is a node, and 3 \(int\) was given"):
        mf.compile(3)
    for wrt in (3, x, [3], ["x"]):
        with pytest.raises(mf.MiniflowError, match="list of nodes"):
            mf.compile(x * 2.0, wrt=wrt)
    for optimizer in (SGD, "sgd", 0.1):
        with pytest.raises(mf.MiniflowError, match=r"the optimizer is one such as SGD\(0\.1\)"):
            mf.compile(loss, optimizer=optimizer)


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is double here")
def test_numbers_that_programs_do_not_have_are_refused_with_their_node():
    x, W = mf.Input("x"), mf.Parameter(np.ones(2, np.longdouble), "W")
    with pytest.raises(mf.CompileError, match=r"Input 'x' \(.*\) cannot be compiled: dtype float"):
        mf.compile(x * 2.0)({x: np.ones(2, np.longdouble)})
    with pytest.raises(mf.CompileError, match=r"Parameter 'W' \(.*\) cannot be compiled: dtype fl"):
        mf.compile(W * 2.0)({})


class PowerOfTwo(mf.Node):
    """Has no `backward`, and needs none where only its value is asked for."""

    def __init__(self, x):
        mf.Node.__init__(self, [x])

    def forward(self):
        self.value = 2 ** self.inbound_nodes[0].value


def test_an_error_of_numpys_at_a_later_call_is_explained(backend):
    x = mf.Input("x")
    f = mf.compile(PowerOfTwo(x), backend=backend)
    assert f({x: np.array([1, 3])}).tolist() == [2, 8]
    with pytest.raises(NodeError, match=r"PowerOfTwo .* negative integer powers"):
        f({x: np.array([1, -3])})


def test_a_refusal_gives_its_reason_for_a_node_without_backward():
    x = mf.Input("x")
    with pytest.raises(mf.CompileError, match=r"PowerOfTwo .* the type depends on the sign"):
        mf.compile(PowerOfTwo(x))({x: 3})


def test_a_source_may_make_a_list(backend):
    class Pair(mf.Node):
        def __init__(self):
            mf.Node.__init__(self, [])

        def forward(self):
            self.value = [1.0, 2.0]

    x = mf.Input("x")
    assert mf.compile(Pair() * x, backend=backend)({x: 2.0}).tolist() == [2.0, 4.0]
