"""Wrong and right solutions of `digits`, the wrong each with what the check must say of it.

Most fail before anything is trained; the plans of the last ones are short.
"""

from bank_kit import Right, Wrong

ONE = """
def one_layer():
    X, y = Input("X"), Input("y")
    W = Parameter(np.zeros((784, 10), np.float32), "W")
    b = Parameter(np.zeros(10, np.float32), "b")
    """
ACCURACY = """
def accuracy_on(network, data):
    logits = value(network.logits, {network.X: data.images})
    """
TRAIN = """
def train(network, digits, steps, learning_rate, batch_size, every=500):
    losses = []
    for step in range(1, steps + 1):
        images, labels = digits.train.next_batch(batch_size)
        feed = {network.X: images, network.y: labels}
        loss, gradients = value_and_grad(network.loss, feed, wrt=network.parameters)
        values = [parameter.value for parameter in network.parameters]
        """
REST = (
    "sgd_step(values, gradients, learning_rate)\n        losses.append(loss)\n    return losses\n"
)
TWO = """
def two_layers(hidden=100):
    X, y = Input("X"), Input("y")
    W1 = Parameter(random_weights(784, hidden), "W1")
    b1 = Parameter(np.zeros(hidden, np.float32), "b1")
    W2 = Parameter(random_weights(hidden, 10, seed=1), "W2")
    b2 = Parameter(np.zeros(10, np.float32), "b2")
    """
RETURN_TWO = """
    loss = CrossEntropyWithSoftmax(logits, y)
    return Network(X, y, logits, loss, [W1, b1, W2, b2])
"""

# Where the mistake is elsewhere, nothing need be trained in earnest.
SHORT = "ONE_LAYER = [(1, 0.1)]\n"

WRONG = [
    # The questions
    Wrong("b forgotten", says="b has 10 more", code=SHORT + "numbers_in_one_layer = 7840"),
    Wrong(
        "a bias for each pixel",
        says="not for each pixel",
        code=SHORT + "numbers_in_one_layer = 8624",
    ),
    Wrong(
        "a count for a share",
        says="accuracy is a share, of four images",
        code=SHORT + "accuracy_of_four = 3",
    ),
    Wrong(
        "-3 taken for the largest of its row",
        says="is -1, at index 0",
        code=SHORT + "accuracy_of_four = 1.0",
    ),
    Wrong(
        "zeros thought harmless",
        says="same value, same gradient, same step",
        code=SHORT + "different_columns = 100",
    ),
    # The networks
    Wrong(
        "miniflow's own Linear",
        says="miniflow's own, not yours",
        code="import miniflow\n"
        + ONE
        + """
    logits = miniflow.Linear(X, W, b)
    return Network(X, y, logits, CrossEntropyWithSoftmax(logits, y), [W, b])
""",
    ),
    Wrong(
        "miniflow's own loss",
        says="miniflow's own, not yours",
        code="import miniflow\n"
        + ONE
        + """
    logits = Linear(X, W, b)
    return Network(X, y, logits, miniflow.CrossEntropyWithSoftmax(logits, y), [W, b])
""",
    ),
    Wrong(
        "b not in parameters",
        says="it would never be trained",
        code=ONE
        + """
    logits = Linear(X, W, b)
    return Network(X, y, logits, CrossEntropyWithSoftmax(logits, y), [W])
""",
    ),
    Wrong(
        "a sigmoid on the logits",
        says="layer is a Linear and a CrossEntropy",
        code=ONE
        + """
    logits = Sigmoid(Linear(X, W, b))
    return Network(X, y, logits, CrossEntropyWithSoftmax(logits, y), [W, b])
""",
    ),
    Wrong("nothing returned", says="must return a Network", code=ONE + "Linear(X, W, b)"),
    Wrong(
        "weights as inputs",
        says="weights must be Parameters",
        code=ONE
        + """
    W, b = Input("W"), Input("b")
    W.value, b.value = np.zeros((784, 10)), np.zeros(10)
    W.forward = b.forward = lambda: None
    logits = Linear(X, W, b)
    return Network(X, y, logits, CrossEntropyWithSoftmax(logits, y), [])
""",
    ),
    Wrong(
        "ten outputs too many",
        says="must give logits of shape (5, 10)",
        code=ONE
        + """
    W, b = Parameter(np.zeros((784, 20)), "W"), Parameter(np.zeros(20), "b")
    logits = Linear(X, W, b)
    return Network(X, y, logits, CrossEntropyWithSoftmax(logits, y), [W, b])
""",
    ),
    # The accuracy
    Wrong(
        "in percent",
        says="this is in percent",
        code=SHORT + ACCURACY + "return 100 * np.mean(logits.argmax(axis=1) == data.labels)",
    ),
    Wrong(
        "a count",
        says="divide it by the number of images",
        code=SHORT + ACCURACY + "return np.sum(logits.argmax(axis=1) == data.labels)",
    ),
    Wrong(
        "the share that is wrong",
        says="the share that is wrong",
        code=SHORT + ACCURACY + "return np.mean(logits.argmax(axis=1) != data.labels)",
    ),
    Wrong(
        "the largest of all",
        says="is argmax(axis=1)",
        code=SHORT + ACCURACY + "return np.mean(logits.argmax() == data.labels)",
    ),
    Wrong(
        "right and wrong, one by one",
        says="take its mean",
        code=SHORT + ACCURACY + "return logits.argmax(axis=1) == data.labels",
    ),
    Wrong(
        "a number made up",
        says="accuracy is not what it should be",
        code=SHORT + ACCURACY + "return 0.98",
    ),
    # The loop
    Wrong(
        "no step",
        says="weights have not moved",
        code=TRAIN + "losses.append(loss)\n    return losses",
    ),
    Wrong(
        "return inside the loop",
        says="is `return` inside the loop",
        code=TRAIN + "sgd_step(values, gradients, learning_rate)\n        return [loss]",
    ),
    Wrong(
        "always the same batch",
        says="batch was taken for all three steps",
        code="""
def train(network, digits, steps, learning_rate, batch_size, every=500):
    images, labels = digits.train.next_batch(batch_size)
    losses = []
    for step in range(steps):
        feed = {network.X: images, network.y: labels}
        loss, gradients = value_and_grad(network.loss, feed, wrt=network.parameters)
        sgd_step([p.value for p in network.parameters], gradients, learning_rate)
        losses.append(loss)
    return losses
""",
    ),
    Wrong(
        "trained on the test images",
        says="looked at once, at the end",
        code=TRAIN.replace("digits.train", "digits.test")
        + "sgd_step(values, gradients, learning_rate)\n        losses.append(loss)\n"
        + "    return losses",
    ),
    Wrong(
        "trained on the validation images",
        says="those are for choosing",
        code=TRAIN.replace("digits.train", "digits.validation")
        + "sgd_step(values, gradients, learning_rate)\n        losses.append(loss)\n"
        + "    return losses",
    ),
    Wrong(
        "learning rate hard-coded",
        says="not of the size learning_rate",
        code=TRAIN + "sgd_step(values, gradients, 0.002)\n"
        "        losses.append(loss)\n    return losses",
    ),
    Wrong(
        "one step too many",
        says="or not as many as were asked for",
        code=TRAIN.replace("steps + 1", "steps + 2")
        + "sgd_step(values, gradients, learning_rate)\n"
        "        losses.append(loss)\n    return losses",
    ),
    Wrong(
        "uphill",
        says="the weights moved the wrong way",
        code=TRAIN + "sgd_step(values, gradients, -learning_rate)\n"
        "        losses.append(loss)\n    return losses",
    ),
    Wrong(
        "losses not returned",
        says="must return the loss of each step",
        code=TRAIN + "sgd_step(values, gradients, learning_rate)",
    ),
    # Two layers
    Wrong(
        "nothing bends",
        says="bends between the two Linears",
        code=TWO
        + "logits = Linear(Linear(X, W1, b1), W2, b2)"
        + RETURN_TWO
        + "ONE_LAYER = TWO_LAYERS = [(10, 0.1)]\n",
    ),
    Wrong(
        "two layers are one",
        says="are two Linears, with a Sigmoid between",
        code="two_layers = one_layer\nONE_LAYER = [(10, 0.1)]\n",
    ),
    Wrong(
        "all weights zero",
        says="start with random_weights",
        code=TWO + "W1.value[...] = 0\n    W2.value[...] = 0\n"
        "    logits = Linear(Sigmoid(Linear(X, W1, b1)), W2, b2)"
        + RETURN_TWO
        + "ONE_LAYER = [(10, 0.1)]\n",
    ),
    Wrong(
        "miniflow's own Sigmoid",
        says="miniflow's own, not yours",
        code="import miniflow\n"
        + TWO
        + "logits = Linear(miniflow.Sigmoid(Linear(X, W1, b1)), W2, b2)"
        + RETURN_TWO
        + "ONE_LAYER = [(10, 0.1)]\n",
    ),
    # The plans
    Wrong("too few steps", says="layer reads", code="ONE_LAYER = [(10, 0.01)]"),
    Wrong(
        "steps far too large",
        says="the steps are too large",
        code="ONE_LAYER = [(100, 200.0)]",
    ),
    Wrong(
        "more than there is time for",
        says="the check has time for",
        code="ONE_LAYER = [(100_000, 0.5)]",
    ),
    Wrong("no plan", says="ONE_LAYER are not chosen yet", code="ONE_LAYER = [(..., ...)]"),
    Wrong(
        "two layers, hardly trained",
        says="and more than 97 % is wanted",
        code="ONE_LAYER, TWO_LAYERS = [(400, 0.5)], [(200, 1.0)]",
    ),
    # Right once, or by accident
    Wrong(
        "the first images, always",
        says="the same batch was taken for all three steps",
        code=SHORT
        + TRAIN.replace(
            "digits.train.next_batch(batch_size)",
            "digits.train.images[:batch_size], digits.train.labels[:batch_size]",
        )
        + REST,
    ),
    Wrong(
        "labels of other images",
        says="images and labels do not belong together",
        code=SHORT
        + TRAIN.replace(
            "images, labels = digits.train.next_batch(batch_size)",
            "images, _ = digits.train.next_batch(batch_size)\n"
            "        _, labels = digits.train.next_batch(batch_size)",
        )
        + REST,
    ),
    Wrong(
        "a batch size of one's own",
        says="a step saw 16 images; batch_size says 8",
        code=SHORT + TRAIN.replace("next_batch(batch_size)", "next_batch(2 * batch_size)") + REST,
    ),
    Wrong(
        "hidden not used",
        says="`hidden` is not used",
        code=SHORT
        + TWO.replace("hidden)", "100)").replace("(hidden,", "(100,")
        + "logits = Linear(Sigmoid(Linear(X, W1, b1)), W2, b2)"
        + RETURN_TWO,
    ),
    Wrong(
        "two Sigmoids",
        says="2 times Sigmoid between the two Linears",
        code=SHORT
        + TWO
        + "logits = Linear(Sigmoid(Sigmoid(Linear(X, W1, b1))), W2, b2)"
        + RETURN_TWO,
    ),
    # Nothing is said that is not so
    Wrong(
        "an accuracy of nothing",
        says="the accuracy is not what it should be",
        never="wrong axis",
        code=SHORT + ACCURACY + "return 0.0 * len(logits)",
    ),
    Wrong(
        "half of the learning rate",
        says="the steps are not of the size learning_rate",
        never="other images",
        code=SHORT + TRAIN + REST.replace("learning_rate)", "learning_rate / 2)"),
    ),
]

RIGHT = [
    Right(
        "batches of one's own, drawn",
        code=TRAIN.replace(
            "images, labels = digits.train.next_batch(batch_size)",
            "rows = np.random.default_rng(step).integers(0, len(digits.train.labels), batch_size)\n"
            "        images, labels = digits.train.images[rows], digits.train.labels[rows]",
        )
        + REST,
    ),
    Right(
        "batches of one's own, one after the other",
        code=TRAIN.replace(
            "images, labels = digits.train.next_batch(batch_size)",
            "start = (step - 1) * batch_size % len(digits.train.labels)\n"
            "        images = digits.train.images[start : start + batch_size]\n"
            "        labels = digits.train.labels[start : start + batch_size]",
        )
        + REST,
    ),
    Right(
        "losses as an array",
        code=TRAIN + REST.replace("return losses", "return np.array(losses)"),
    ),
    Right(
        "hits counted in a loop",
        code=ACCURACY
        + "hits = [row.argmax() == label for row, label in zip(logits, data.labels)]\n"
        + "    return sum(hits) / len(hits)\n",
    ),
]
