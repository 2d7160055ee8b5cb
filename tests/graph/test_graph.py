"""Nodes and edges: what a node has, who its consumers are, in what order a pass visits them."""

import numpy as np
import pytest
from conformance.elementwise import Mul, Square

import miniflow as mf
from miniflow.errors import GraphError
from miniflow.graph.plans import Plan, ancestors_in_order, plan_for

# --- What a node has


def test_node_before_its_first_pass_has_no_value_no_gradients_and_an_empty_cache() -> None:
    x = mf.Input("x")
    for node in (x, x * x, Mul(x, x)):
        assert node.value is None
        assert node.gradients == {}
        assert node.cache == {}


def test_inbound_nodes_are_in_the_order_of_the_arguments() -> None:
    x, y = mf.Input(), mf.Input()
    assert mf.Sub(x, y).inbound_nodes == [x, y]
    assert Mul(y, x).inbound_nodes == [y, x]


def test_label_is_the_class_and_the_name_in_quotes() -> None:
    x = mf.Input("pixels")
    assert x.label == "Input 'pixels'"
    assert mf.Sigmoid(x).label == "Sigmoid"
    assert repr(mf.Sigmoid(x, name="gate")) == "<Sigmoid 'gate'>"


def test_where_is_the_line_of_the_users_code_that_built_the_node() -> None:
    x = mf.Input()
    line = test_where_is_the_line_of_the_users_code_that_built_the_node.__code__.co_firstlineno
    g = (
        x * x  # the operator's own line, in an expression of several
    )
    assert x.where == f"test_graph.py:{line + 1}"
    assert g.where == f"test_graph.py:{line + 4}"
    assert Square(x).where == f"test_graph.py:{line + 8}"  # through the class's own __init__
    assert str(mf.Input("x")).startswith("Input 'x' (test_graph.py:")


def test_where_of_a_constant_in_an_expression_is_the_line_of_the_expression() -> None:
    two = (mf.Input() * 2).inbound_nodes[1]
    assert isinstance(two, mf.Constant)
    assert two.where.startswith("test_graph.py:")


def test_where_is_known_for_code_that_has_no_file() -> None:
    namespace: dict = {}
    exec(compile("import miniflow as mf\nx = mf.Input()", "<cell 3>", "exec"), namespace)
    assert namespace["x"].where == "<cell 3>:2"


def test_nodes_are_equal_only_to_themselves_and_serve_as_keys() -> None:
    x, y = mf.Input("a"), mf.Input("a")
    assert x != y
    assert {x: 1, y: 2} == {y: 2, x: 1}


# --- Operators

OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
OTHERS = [
    2,
    2.5,
    np.float32(1.5),
    np.int64(3),
    np.array(2.0),
    np.array([1.0, 2.0, 3.0]),
    np.array([[1.0], [2.0]]),
]


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize("other", OTHERS, ids=repr)
def test_operators_take_numbers_and_arrays_on_either_side(operation, other) -> None:
    x, a = mf.Input(), np.array([1.5, 2.5, 3.5])
    for node, expected in (
        (operation(x, other), operation(a, other)),
        (operation(other, x), operation(other, a)),
    ):
        assert isinstance(node, mf.Node)
        value = mf.value(node, {x: a})
        assert np.array_equal(value, expected)
        assert value.dtype == expected.dtype


def test_operators_between_nodes_negation_and_matrix_product() -> None:
    x, y = mf.Input(), mf.Input()
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])
    for node, expected in (
        (x + y, a + b),
        (x - y, a - b),
        (x * y, a * b),
        (x / y, a / b),
        (x**y, a**b),
        (x @ y, a @ b),
        (x @ b, a @ b),
        (a @ y, a @ b),
        (-x, -a),
        (x[0], a[0]),
        (x[:, 1:], a[:, 1:]),
    ):
        assert np.array_equal(mf.value(node, {x: a, y: b}), expected)


def test_augmented_assignment_builds_a_new_node() -> None:
    x = mf.Input()
    total = x
    total += 1
    assert total is not x
    assert mf.value(total, {x: 2}) == 3


def test_node_is_no_sequence_to_loop_over() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        iter(mf.Input())  # type: ignore[call-overload]


# --- Consumers


def test_at_rest_outbound_nodes_are_all_consumers_in_the_order_they_were_built() -> None:
    x = mf.Input()
    first, second = x * 2, Mul(x, x)
    assert x.outbound_nodes == [first, second]
    assert second.outbound_nodes == []


def test_at_rest_outbound_nodes_is_a_fresh_list() -> None:
    x = mf.Input()
    head = x * 2
    x.outbound_nodes.clear()
    assert x.outbound_nodes == [head]


def test_node_that_uses_an_input_twice_is_one_consumer() -> None:
    x = mf.Input()
    square = mf.Mul(x, x)
    assert x.outbound_nodes == [square]


def test_consumer_that_nobody_holds_is_gone() -> None:
    x = mf.Input()
    kept = x + 1
    for _ in range(1000):
        x * 2
    assert x.outbound_nodes == [kept]
    assert len(x._consumers) < 100


class Spy(mf.Node):
    """Notes what its own and its input's outbound_nodes show during both passes."""

    def __init__(self, x: mf.Node) -> None:
        mf.Node.__init__(self, [x])

    def forward(self) -> None:
        self.seen_forward = list(self.inbound_nodes[0].outbound_nodes)
        self.value = self.inbound_nodes[0].value

    def backward(self) -> None:
        x = self.inbound_nodes[0]
        self.seen_backward = list(x.outbound_nodes)
        self.own_consumers = list(self.outbound_nodes)
        self.gradients = {x: sum(n.gradients[self] for n in self.outbound_nodes)}


def test_during_a_pass_only_consumers_that_lead_to_its_output_show() -> None:
    x = mf.Input()
    other_head = x * 5
    spy = Spy(x)
    after_the_output, output = spy * 3, spy * 2 + x
    mf.value_and_grad(output, {x: 1.0}, [x])
    in_the_pass = [spy, output]
    assert spy.seen_forward == in_the_pass
    assert spy.seen_backward == in_the_pass
    assert spy.own_consumers == [output.inbound_nodes[0]]
    assert x.outbound_nodes == [other_head, spy, output]  # at rest again
    assert after_the_output in spy.outbound_nodes


def test_a_pass_that_fails_leaves_outbound_nodes_at_rest() -> None:
    x = mf.Input()
    other_head, output = x * 2, mf.Reshape(x, (7,))
    with pytest.raises(GraphError):
        mf.value(output, {x: np.ones(3)})
    assert x.outbound_nodes == [other_head, output]


# --- Order


def test_order_has_every_ancestor_once_each_after_its_inbound_nodes() -> None:
    x, y = mf.Input("x"), mf.Input("y")
    g = x * y
    output = mf.Add(g, mf.Mul(g, x))
    unrelated = y * 2
    order = ancestors_in_order(output)
    assert len(order) == len(set(order)) == 5
    assert order[-1] is output
    assert unrelated not in order
    for node in order:
        assert all(order.index(source) < order.index(node) for source in node.inbound_nodes)


def test_order_is_cached_until_the_graph_changes() -> None:
    x, y = mf.Input(), mf.Input()
    output = mf.Mul(mf.Add(x, y), y)
    plan = plan_for(output)
    x * 2  # another consumer does not change what leads to the output
    assert plan_for(output) is plan


def test_rewiring_inbound_nodes_is_noticed() -> None:
    x, y, z = mf.Input(), mf.Input(), mf.Input()
    inner = mf.Add(x, y)
    output = mf.Mul(inner, y)
    feed = {x: 2.0, y: 3.0, z: 10.0}
    assert mf.value_and_grad(output, feed, [x, y]) == (15.0, [3.0, 8.0])
    inner.inbound_nodes[0] = z  # changed in place
    assert mf.value_and_grad(output, feed, [z, y]) == (39.0, [3.0, 16.0])
    output.inbound_nodes = [z, z]  # replaced
    assert mf.value_and_grad(output, feed, [z]) == (100.0, [20.0])
    with pytest.raises(GraphError, match="does not depend"):
        mf.value_and_grad(output, feed, [y])


def test_plan_of_a_thousand_passes_is_made_once() -> None:
    x = mf.Input()
    output = x * x
    mf.value_and_grad(output, {x: 2.0}, [x])
    plan = output._plan
    assert isinstance(plan, Plan)
    for _ in range(1000):
        mf.value_and_grad(output, {x: 2.0}, [x])
    assert output._plan is plan
    assert len(plan.backward) == 1


def test_cycle_is_refused_with_the_node_that_closes_it() -> None:
    x = mf.Input("x")
    a = mf.Add(x, x, name="a")
    a.inbound_nodes[1] = mf.Neg(a)
    with pytest.raises(GraphError, match=r"^The graph has a cycle: Add 'a' .* its own value.$"):
        mf.value(a, {x: 1.0})


def test_inbound_nodes_may_be_any_iterable_of_nodes() -> None:
    class Total(mf.Node):
        def __init__(self, inputs) -> None:
            super().__init__(n for n in inputs)

        def forward(self) -> None:
            self.value = sum(n.value for n in self.inbound_nodes)

    x, y = mf.Input(), mf.Input()
    assert mf.value(Total((x, y)), {x: 1, y: 2}) == 3


# --- Input, Constant, Parameter


def test_input_keeps_what_was_fed_and_its_gradient() -> None:
    x = mf.Input()
    mf.value_and_grad(x * 3.0, {x: 2.0}, [x])
    assert x.value == 2.0
    assert x.gradients == {x: 3.0}


def test_gradients_of_nodes_stay_to_be_looked_at() -> None:
    x, y = mf.Input(), mf.Input()
    g = x * y
    f = g + x
    mf.value_and_grad(f, {x: 2.0, y: 3.0}, wrt=())
    assert f.gradients == {g: 1.0, x: 1.0}
    assert g.gradients == {x: 3.0, y: 2.0}
    assert x.gradients == {x: 4.0}


def test_constant_needs_no_feed_and_a_feed_stands_in_for_one_pass_only() -> None:
    c = mf.Constant(2.0)
    f = c * 10.0
    assert mf.value(f) == 20.0
    assert mf.value(f, {c: 3.0}) == 30.0
    assert mf.value(f) == 20.0
    assert c.value == 2.0


def test_parameter_copies_its_first_value_and_makes_integers_floating() -> None:
    mine = np.array([1, 2])
    W = mf.Parameter(mine)
    mine[0] = 100
    assert np.array_equal(W.value, [1.0, 2.0])
    assert W.value.dtype == np.float64
    assert mf.Parameter(np.zeros(2, np.float32)).value.dtype == np.float32
    assert isinstance(mf.Parameter(3).value, np.ndarray)


def test_parameter_is_updated_in_place_and_keeps_its_array() -> None:
    W = mf.Parameter([1.0, 2.0])
    array = W.value
    W.value -= 0.5
    W.value[:] *= 2
    assert W.value is array
    assert np.array_equal(mf.value(W + 0.0), [1.0, 3.0])


def test_assigning_a_parameters_value_replaces_the_array_by_a_copy() -> None:
    W = mf.Parameter([1.0, 2.0])
    mine = np.array([5.0, 6.0, 7.0])
    W.value = mine
    mine[0] = 0.0
    assert np.array_equal(mf.value(W + 0.0), [5.0, 6.0, 7.0])


def test_fed_parameter_gives_way_for_that_pass_only_even_if_the_pass_fails() -> None:
    W, x = mf.Parameter([1.0, 2.0], "W"), mf.Input("x")
    f = mf.Sum(W * x)
    value, _ = mf.value_and_grad(f, {W: np.array([10.0, 20.0]), x: 1.0}, [W])
    assert value == 30.0
    assert np.array_equal(W.value, [1.0, 2.0])
    with pytest.raises(GraphError):
        mf.value(f, {W: np.array([10.0, 20.0]), x: np.ones(3)})
    assert np.array_equal(W.value, [1.0, 2.0])


# --- Op


class Scaled(mf.Op):
    """x · factor, for watching what Op asks for."""

    asked: list[str]

    def compute(self, x, factor):
        return x * factor

    def gradient(self, grad, x, factor):
        def of(name, value):
            self.asked.append(name)
            return value

        return lambda: of("x", grad * factor), lambda: of("factor", grad * x)


def test_op_takes_numbers_and_arrays_as_constants() -> None:
    x = mf.Input()
    scaled = Scaled(x, 3)
    assert isinstance(scaled.inbound_nodes[1], mf.Constant)
    assert mf.value(scaled, {x: 2}) == 6


def test_op_calls_only_the_gradient_functions_that_are_needed() -> None:
    x, factor = mf.Input(), mf.Input()
    scaled = Scaled(x, factor)
    for wrt, asked in (([x], ["x"]), ([factor], ["factor"]), ([], ["x", "factor"])):
        scaled.asked = []
        mf.value_and_grad(scaled, {x: 2.0, factor: 3.0}, wrt)
        assert scaled.asked == asked


def test_op_sums_gradients_back_to_the_shape_before_broadcasting() -> None:
    x, factor = mf.Input(), mf.Input()
    scaled = Scaled(x, factor)
    scaled.asked = []
    feed = {x: np.ones((2, 1, 3)), factor: np.full((4, 1), 2.0)}
    _, [dx, dfactor] = mf.value_and_grad(scaled, feed, [x, factor])
    assert np.array_equal(dx, np.full((2, 1, 3), 8.0))
    assert np.array_equal(dfactor, np.full((4, 1), 6.0))


def test_op_that_returns_a_single_gradient_need_not_wrap_it() -> None:
    class Double(mf.Op):
        def compute(self, x):
            return 2 * x

        def gradient(self, grad, x):
            return 2 * grad

    x = mf.Input()
    assert mf.value_and_grad(Double(x), {x: 3.0}, [x]) == (6.0, [2.0])


def test_op_gradient_none_means_zeros_where_they_are_asked_for() -> None:
    table, indices = mf.Input(), mf.Input()
    feed = {table: np.ones((3, 2)), indices: np.array([0, 2])}
    _, [d] = mf.value_and_grad(mf.Gather(table, indices), feed, [indices])
    assert np.array_equal(d, np.zeros(2))


def test_redefining_a_class_leaves_built_nodes_and_new_ones_working_together() -> None:
    source = """
class Twice(mf.Op):
    def compute(self, x):
        return 2 * x
    def gradient(self, grad, x):
        return (2 * grad,)
"""
    namespace = {"mf": mf}
    x = mf.Input()
    exec(source, namespace)
    old = namespace["Twice"](x)
    exec(source, namespace)
    new = namespace["Twice"](old)
    assert type(old) is not type(new)
    assert mf.value_and_grad(new, {x: 1.0}, [x]) == (4.0, [4.0])
