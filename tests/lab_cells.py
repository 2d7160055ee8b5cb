"""The text of the lab's cells, as they are printed, and of the last one with its TODOs done.

Only the line that imports TensorFlow's loader of MNIST is changed. `test_lab_cells.py` runs them.
"""

BY_HAND = """
# f(x, y, z) = x * y + (x * z)
# we can split these into subexpressions
# g(x, y) = x * y
# h(x, z) = x * z
# f(x, y, z) = g(x, y) + h(x, z)

# initial values
x = 3
y = 4
z = -5

g = x * y
h = x * z

f = g + h
"""

GRADIENT_BY_HAND = """
# The above in code
x = 3
y = 4
z = -5

dfdg = 1.0
dfdh = 1.0
dgdx = y
dgdy = x
dhdx = z
dhdz = x

dfdx = dfdg * dgdx + dfdh * dhdx
dfdy = dfdg * dgdy
dfdz = dfdh * dhdz

# the output of backpropagation is the gradient
# TODO: what's the gradient?
gradient = [dfdx, dfdy, dfdz]
print(gradient) # should be [-1, 3, 3]
"""

AUTORELOAD = """
%load_ext autoreload
%autoreload 2
from miniflow import *
"""

MUL = """
x, y, z = Input(), Input(), Input()

# TODO: implement Mul in
g = Mul(x, y)
h = Mul(x, z)

f = Add(g, h)
# DummyGrad is just here so we can pass a fake gradient backwards.
# It's just used for testing purposes.
dummy = DummyGrad(f)

# values for Input and DummyGrad nodes.
feed_dict = {x: 3, y: 4, z: -5, dummy: 0.5}

loss, grads = value_and_grad(dummy, feed_dict, (x, y, z))

# print(loss, grads)
assert loss == -3
assert grads == [-0.5, 1.5, 1.5]
"""

LINEAR = """
x_in, w_in, b_in = Input(), Input(), Input()

# TODO: implement Linear in
f = Linear(x_in, w_in, b_in)
dummy = DummyGrad(f)

x = np.array([[-1., -2.], [-1, -2]])
w = np.array([[2., -3], [2., -3]])
b = np.array([-3., -5])
dummy_grad = np.array([[1., 2.], [3, 4]])

feed_dict = {x_in: x, w_in: w, b_in: b, dummy: dummy_grad}
loss, grads = value_and_grad(dummy, feed_dict, (x_in, w_in, b_in))

# print(loss, grads)
assert np.allclose(loss, np.array([[-9.,  4.], [-9.,  4.]]))
assert np.allclose(grads[0], np.array([[-4.,  -4.], [-6.,  -6.]]))
assert np.allclose(grads[1], np.array([[-4.,  -6.], [-8., -12.]]))
assert np.allclose(grads[2], np.array([[4., 6.]]))
"""

SIGMOID = """
x_in = Input()

# TODO: implement Sigmoid in
f = Sigmoid(x_in)
dummy = DummyGrad(f)

x = np.array([-10., 0, 10])

feed_dict = {x_in: x, dummy: 0.5}
loss, grads = value_and_grad(dummy, feed_dict, [x_in])

# print(loss, grads)
assert np.allclose(loss, np.array([0., 0.5, 1.]), atol=1.e-4)
assert np.allclose(grads, np.array([0., 0.125, 0.]), atol=1.e-4)
"""

SUMS = """
import numpy as np
X = np.random.randn(3,5)

# lose the dimension we sum across
# sum across rows
print(np.sum(X, axis=0, keepdims=False).shape)
# sum across columns
print(np.sum(X, axis=1, keepdims=False).shape)

# keep the same number of dimensions
print(np.sum(X, axis=0, keepdims=True).shape)
print(np.sum(X, axis=1, keepdims=True).shape)
"""

FRUIT = """
# 60% apple, 10% banana, 25% pineapple ... (crazy or maybe quantum world)
Qx = np.array([0.6, 0.1, 0.30]) 
# 100% apple
Px = np.array([1., 0, 0])
log_Qx = np.log(Qx)
loss = -np.sum(Px * log_Qx)
print(loss) # only the value multiplied by 1 effects the loss!

# TODO: repeat this below
# we could simplify this to
-log_Qx[0] # 0 is the index where Px is 1

# Feel free to play around with Qx and Px to get a feel for the loss.
"""  # noqa: W291 - the cell's own blank

CROSS_ENTROPY = """
x_in = Input()
y_in = Input()

# TODO: implement CrossEntropyWithSoftmax in
# No DummyGrad this time! Guaranteed to be last node in our graph.
f = CrossEntropyWithSoftmax(x_in, y_in)

# values to feed input nodes
x = np.array([[0.5, 1., 1.5]])
# in this example we have a choice 3 classes (x has 3 columns)
# so our label can one of 0,1,2. It's 1 in this case.
y = np.array([1])

feed_dict = {x_in: x, y_in: y}
loss, grads = value_and_grad(f, feed_dict, wrt=[x_in])

# print(loss, grads)

# Look at the expected value of softmax(x) and the expected value of the gradient with
# respect to x
assert np.allclose(f._softmax(x), [[0.1863, 0.3072,  0.5064]], atol=1.e-4)
assert np.allclose(loss, 1.1802, atol=1.e-4)
assert np.allclose(grads, np.array([[0.1863, -0.6928,  0.5064]]), atol=1.e-4)
"""

# The lab: from tensorflow.examples.tutorials.mnist import input_data
LOAD = """
# load MNIST
from miniflow.datasets import input_data
mnist = input_data.read_data_sets("MNIST_data/", one_hot=False)
"""

BATCH = """
# getting input and label data
X_batch, y_batch = mnist.train.next_batch(128)
print(X_batch.shape, y_batch.shape)
"""

SPLITS = """
X_val = mnist.validation.images
y_val = mnist.validation.labels.astype(np.int8)
X_test = mnist.test.images
y_test = mnist.test.labels.astype(np.int8)
"""

ARCHITECTURE = """
# TODO: initialize weights

# TODO: define architecture, you can use the architecture in the miniflow graph shown earlier
"""

LOOP = """
# TODO: set step size and batch size
step_size = ...
batch_size = ...

for i in range(10000):
    X_batch, y_batch = mnist.train.next_batch(batch_size)
    y_batch = y_batch.astype(np.int8)
    # TODO: get the loss and grad
    loss, grad = value_and_grad(...)
    if i % 1000 == 0:
        print("Iteration {}".format(i))
        print("Loss = {}".format(loss))
        # TODO: get the accuracy of the validation dataset
        # similar to value_and_grad except there's no wrt list
        acc = accuracy(...)
        print("Validation Accuracy = {}".format(acc))
    # TODO: SGD updates with gradient
    # SGD code goes here ...
# TODO: get the accuracy of the testing dataset
acc = accuracy(...)

print("Testing Accuracy = {}".format(acc))
"""

# The TODOs, done
WEIGHTS = """
W = np.zeros((784, 10))
b = np.zeros(10)

X_in, y_in, W_in, b_in = Input(), Input(), Input(), Input()
f = CrossEntropyWithSoftmax(Linear(X_in, W_in, b_in), y_in)
wrt = [W_in, b_in]
"""

FILLED_IN = [
    ("step_size = ...", "step_size = 0.5"),
    ("batch_size = ...", "batch_size = 128"),
    ("range(10000)", "range(250)"),
    (
        "value_and_grad(...)",
        "value_and_grad(f, {X_in: X_batch, y_in: y_batch, W_in: W, b_in: b}, wrt)",
    ),
    ("accuracy(...)", "accuracy(f, {X_in: X_val, y_in: y_val, W_in: W, b_in: b})"),
    (
        "    # SGD code goes here ...",
        "    dW, db = grad\n    W[:] -= step_size * dW\n    b[:] -= step_size * db",
    ),
    ("accuracy(...)", "accuracy(f, {X_in: X_test, y_in: y_test, W_in: W, b_in: b})"),
]


def filled_in(cell: str) -> str:
    for todo, done in FILLED_IN:
        assert todo in cell
        cell = cell.replace(todo, done, 1)
    assert "(...)" not in cell
    return cell
