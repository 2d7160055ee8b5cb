"""Small programs that several tests use."""

from __future__ import annotations

from miniflow.ir import Builder, Origin, Output, Program, ValueType


def two_layers(n: int = 4, d: int = 3, h: int = 5, k: int = 2) -> Program:
    """Linear, maximum, Linear, softmax cross-entropy; backward; one step of gradient descent."""
    b = Builder()
    X = b.input(ValueType("f32", (n, d)), name="X")
    y = b.input(ValueType("i64", (n,)), name="y")
    W1 = b.input(ValueType("f32", (d, h)), "parameter", "W1")
    b1 = b.input(ValueType("f32", (h,)), "parameter", "b1")
    W2 = b.input(ValueType("f32", (h, k)), "parameter", "W2")
    b2 = b.input(ValueType("f32", (k,)), "parameter", "b2")
    lr = b.input(ValueType("f64", (), "python"), "hyper", "lr")
    over_rows, over_columns = {"axis": (0,), "keepdims": False}, {"axis": (1,), "keepdims": True}

    o = Origin("Linear 'hidden'", "train.py:7", "forward", 4)
    hidden = b.add("add", (b.add("matmul", (X, W1), {}, o), b1), {}, o, "hidden")
    o = Origin("Relu", "train.py:8", "forward", 5)
    relu = b.add("maximum", (hidden, 0), {}, o, "Relu")
    o = Origin("Linear 'logits'", "train.py:9", "forward", 8)
    logits = b.add("add", (b.add("matmul", (relu, W2), {}, o), b2), {}, o, "logits")
    o = Origin("CrossEntropyWithSoftmax 'loss'", "train.py:10", "forward", 10)
    shifted = b.add("subtract", (logits, b.add("max", (logits,), over_columns, o)), {}, o)
    e = b.add("exp", (shifted,), {}, o)
    total = b.add("sum", (e,), over_columns, o)
    p = b.add("divide", (e, total), {}, o, "probabilities")
    rows = b.add("arange", (), {"start": 0, "stop": n, "step": 1, "dtype": "i64"}, o)
    picked = b.add("gather", (shifted, rows, y), {"axes": (0, 1)}, o)
    normaliser = b.add("log", (b.add("reshape", (total,), {"shape": (n,)}, o),), {}, o)
    likelihood = b.add("sum", (b.add("subtract", (picked, normaliser), {}, o),), over_rows, o)
    loss = b.add("negative", (b.add("divide", (likelihood, n), {}, o),), {}, o, "loss")

    o = Origin("CrossEntropyWithSoftmax 'loss'", "train.py:10", "backward", 10)
    picked = b.add("gather", (p, rows, y), {"axes": (0, 1)}, o)
    less = b.add("subtract", (picked, 1), {}, o)
    g = b.add("gather_update", (p, less, rows, y), {"axes": (0, 1)}, o)
    g = b.add("divide", (g, n), {}, o, "dlogits")
    o = Origin("Linear 'logits'", "train.py:9", "backward", 8)
    dW2 = b.add("matmul", (b.add("transpose", (relu,), {"axes": (1, 0)}, o), g), {}, o, "dW2")
    db2 = b.add("sum", (g,), over_rows, o, "db2")
    g = b.add("matmul", (g, b.add("transpose", (W2,), {"axes": (1, 0)}, o)), {}, o, "dRelu")
    o = Origin("Relu", "train.py:8", "backward", 5)
    g = b.add("multiply", (g, b.add("greater", (hidden, 0), {}, o)), {}, o, "dhidden")
    o = Origin("Linear 'hidden'", "train.py:7", "backward", 4)
    dW1 = b.add("matmul", (b.add("transpose", (X,), {"axes": (1, 0)}, o), g), {}, o, "dW1")
    db1 = b.add("sum", (g,), over_rows, o, "db1")

    o = Origin("SGD", "", "update")
    outputs = [Output(loss)]
    for parameter, gradient in ((W1, dW1), (b1, db1), (W2, dW2), (b2, db2)):
        step = b.add("multiply", (lr, gradient), {}, o)
        new = b.add("subtract", (parameter, step), {}, o, parameter.name)
        outputs.append(Output(new, "parameter", replaces=parameter))
    return b.program(outputs)
