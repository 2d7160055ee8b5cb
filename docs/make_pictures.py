"""Makes the gallery: docs/pictures.md and the pictures in docs/pictures.

    python docs/make_pictures.py            # write them
    python docs/make_pictures.py --check    # compare, and say which differ (CI does)

Each section below is a text, code that ends by calling a drawing `picture`, and the name of a file.
The code is run as it stands on the page, so that the page cannot promise what is not so. Numbers
come from formulas with short fractions: pictures are the same on every machine.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

DOCS = Path(__file__).resolve().parent


class Section(NamedTuple):
    """A part of the page; `needs` is a module without which its picture is left as it is."""

    title: str
    text: str
    code: str
    picture: str = ""
    needs: str = "miniflow.pictures"


INTRODUCTION = """\
# Pictures of graphs

`draw` shows a graph in a notebook, in a terminal (`print`) or in a file: `.svg`, `.png` (with the
extra `png`), `.dot` for Graphviz, `.mmd` for Mermaid, `.txt`, and `.html`: the
[explorer](explorer.md), in which one steps through the graph. Pictures follow the reader's
preference for a light or a dark page, and the same graph always gives the same bytes.

Kinds of node differ in outline: inputs are round, parameters have their corners cut, constants are
dashed, operations are rectangles, outputs have a double line. After a pass, `=` is the value and
`∂` the gradient of the output with respect to it.

This page is made by `python docs/make_pictures.py`.
"""

SECTIONS = [
    Section(
        "A graph, run and not run",
        "Values and gradients are those of the last pass. What has not been run is said to be so.",
        """\
import numpy as np
import miniflow as mf
from miniflow.pictures import draw

x, y, z = mf.Input("x"), mf.Input("y"), mf.Input("z")
g = mf.Mul(x, y, name="g")
h = mf.Mul(x, z, name="h")
f = mf.Add(g, h, name="f")
picture = draw(f)
""",
        "not_run",
    ),
    Section(
        "",
        "",
        """\
mf.value_and_grad(f, {x: 3, y: 4, z: -5}, wrt=[x, y, z])
picture = draw(f)
""",
        "case_study",
    ),
    Section(
        "",
        "In a terminal the same picture is made of characters, or is a table if the terminal "
        "is too narrow for it.",
        """\
print(picture.text(width=80))
""",
    ),
    Section(
        "The chain rule",
        "`paths=(x, f)` lights every path from `x` to `f`, with the local derivative on each "
        "edge, and adds up the products. The derivatives are asked of the nodes' own "
        "`backward`.",
        """\
picture = draw(f, paths=(x, f))
""",
        "chain_rule",
    ),
    Section(
        "",
        "For arrays a derivative is a matrix. Where it is diagonal, its diagonal is shown; a "
        "product then means what the backward pass does.",
        """\
X = mf.Input("X")
A = mf.ReLU(X, name="A")
M = mf.Mul(A, X, name="M")
L = mf.Sum(M, name="L")
mf.value_and_grad(L, {X: np.array([[1.0, -2.0], [0.5, 3.0]])}, wrt=[X])
picture = draw(L, paths=(X, L))
""",
        "chain_rule_arrays",
    ),
    Section(
        "Large arrays",
        "Small arrays are shown in numbers. Larger ones by their shape, mean ± standard "
        "deviation, norm and a heat map: blue below zero, orange above.",
        """\
def waves(rows, columns):
    return (np.arange(rows * columns) * 37 % 128 - 64).reshape(rows, columns) / 64

X, labels = mf.Input("X"), mf.Input("labels")
W1, b1 = mf.Parameter(waves(20, 8), "W1"), mf.Parameter(np.zeros(8), "b1")
W2, b2 = mf.Parameter(waves(8, 3), "W2"), mf.Parameter(np.zeros(3), "b2")
hidden = mf.ReLU(mf.Linear(X, W1, b1, name="hidden"))
logits = mf.Linear(hidden, W2, b2, name="logits")
loss = mf.CrossEntropyWithSoftmax(logits, labels, name="loss")
mf.value_and_grad(loss, {X: waves(32, 20), labels: np.arange(32) % 3}, wrt=())
picture = draw(loss)
""",
        "network",
    ),
    Section(
        "Matrices opened into entries",
        "With `elements=True` every entry of a small matrix is a circle. Here are the two "
        "paths back from `Z` to the first entry of `X`; how many would there be if "
        "`Z` had three columns?",
        """\
X, W, b = mf.Input("X"), mf.Input("W"), mf.Input("b")
Z = mf.Linear(X, W, b, name="Z")
dummy = mf.DummyGrad(Z)
feed = {
    X: np.array([[-1.0, -2.0], [-1.0, -2.0]]),
    W: np.array([[2.0, -3.0], [2.0, -3.0]]),
    b: np.array([-3.0, -5.0]),
    dummy: np.array([[1.0, 2.0], [3.0, 4.0]]),
}
mf.value_and_grad(dummy, feed, wrt=[X, W, b])
picture = draw(dummy, elements=True, paths=((X, 0, 0), Z))
""",
        "linear_entries",
    ),
    Section(
        "",
        "And the loss of one example: every logit has a part in every probability, but only "
        "the label's probability carries the loss back.",
        """\
x, y = mf.Input("x"), mf.Input("y")
loss = mf.CrossEntropyWithSoftmax(x, y, name="L")
mf.value_and_grad(loss, {x: np.array([[0.5, 1.0, 1.5]]), y: np.array([1])}, wrt=[x])
picture = draw(loss, elements=True, paths=((x, 0, 0), loss))
""",
        "softmax_entries",
    ),
    Section(
        "Groups",
        'Names with slashes make groups. `groups="open"` draws them as frames, "closed" as '
        "one card each; by default a graph is closed as far as it takes to get along with "
        "sixty cards, at most thirty of them in a row.",
        """\
def weights(*shape, name):
    return mf.Parameter(np.zeros(shape), name)

def block(x, at):
    q, k, v = (
        mf.MatMul(x, weights(8, 8, name=f"{at}/attention/W{c}"), name=f"{at}/attention/{c}")
        for c in "qkv"
    )
    scores = mf.MatMul(q, mf.Transpose(k), name=f"{at}/attention/scores")
    mixed = mf.MatMul(mf.Softmax(scores), v, name=f"{at}/attention/mixed")
    x = mf.Add(x, mixed, name=f"{at}/sum 1")
    up = mf.MatMul(x, weights(8, 32, name=f"{at}/mlp/W1"), name=f"{at}/mlp/up")
    down = mf.MatMul(mf.GELU(up), weights(32, 8, name=f"{at}/mlp/W2"), name=f"{at}/mlp/down")
    return mf.Add(x, down, name=f"{at}/sum 2")

one = block(mf.Input("x"), "block")
picture = draw(one, values=False)
""",
        "block",
    ),
    Section(
        "",
        "",
        """\
many = mf.Input("x")
for i in range(1, 6):
    many = block(many, f"block{i}")
many = mf.Linear(many, weights(8, 3, name="W"), weights(3, name="b"), name="logits")
picture = draw(many, values=False, groups="closed")
""",
        "blocks",
    ),
    Section(
        "Shared weights",
        "A value with many readers is one line with branches: here a recurrent network, unrolled.",
        """\
W, U, b = weights(4, 4, name="W"), weights(4, 4, name="U"), weights(4, name="b")
h = mf.Input("h0")
for i in range(1, 5):
    h = mf.Tanh(mf.Add(mf.Linear(mf.Input(f"x{i}"), W, b), mf.MatMul(h, U)), name=f"h{i}")
picture = draw(h, values=False)
""",
        "recurrent",
    ),
    Section(
        "Several outputs, and downwards",
        "",
        """\
h = mf.Input("h")
heads = mf.Sum(h * 2.0, name="head 1"), mf.Mean(mf.Exp(h), name="head 2")
picture = draw(*heads, direction="down")
""",
        "two_heads",
    ),
    Section(
        "Gradients as nodes",
        "A gradient as a node (`mf.gradient`) is shown with the graph that was made for it, once "
        "it has been computed: here x³, differentiated three times. "
        "[Derivatives](derivatives.md) says how.",
        """\
x = mf.Input("x")
cube = x**3
cube.name = "x³"
(first,) = mf.gradient(cube, [x])
(second,) = mf.gradient(first, [x])
(third,) = mf.gradient(second, [x])
_ = mf.value(first + second + third, {x: 2.0}), mf.value(cube, {x: 2.0})
picture = draw(cube, first, second, third)
""",
        "derivatives",
    ),
    Section(
        "A head of attention",
        "Each letter looks at those before it: [a network that writes](gpt.md) is made of such "
        "heads.",
        """\
letters = mf.Input("letters")
x = mf.Embedding(letters, mf.Parameter(waves(3, 4), "rows"), name="x")
Q, K, V = (mf.Parameter(waves(4, 2) * (i + 1) / 2, name) for i, name in enumerate("QKV"))
q, k, v = mf.MatMul(x, Q, name="q"), mf.MatMul(x, K, name="k"), mf.MatMul(x, V, name="v")
head = mf.ScaledDotProductAttention(q, k, v, causal=True, name="head")
mf.value(head, {letters: np.array([1, 0, 2])})
picture = draw(head)
""",
        "attention",
    ),
    Section(
        "",
        "And a block of a transformer, with two heads: what attention finds is added to what was "
        "there, and so is what two full connections make of that.",
        """\
X = mf.Input("X", shape=(3, 4))
block = mf.layers.TransformerBlock(2, causal=True, bias=False, activation="relu", rng=0)
picture = draw(block(X), groups="open")
""",
        "transformer_block",
    ),
    Section(
        "A compiled program",
        "What the compiler made of a graph: the forward pass, the backward pass and the "
        "update, with the cost of each node. Loops and buffers are those of the backend that "
        "runs it, which the last line names: equations that it computes together are a loop, and "
        "its parts bear the loop's number; beside a line stands the buffer that keeps its "
        "result. (The NumPy backend calls a function for each equation: it has no loops, and "
        'more buffers. `draw(step, backend="numpy")` shows what it would do.) What a later pass '
        "reads of an earlier one is a line between frames, red if it is a gradient.",
        """\
X, y = mf.Input("X"), mf.Input("y")
W, b = mf.Parameter(np.zeros((784, 10)), "W"), mf.Parameter(np.zeros(10), "b")
logits = mf.Linear(X, W, b, name="logits")
loss = mf.CrossEntropyWithSoftmax(logits, y, name="loss")
step = mf.compile(loss, optimizer=mf.SGD(0.1))
step({X: np.zeros((128, 784)), y: np.zeros(128, dtype=int)})
picture = draw(step)
""",
        "program",
        needs="llvmlite",  # with it, the native backend runs it
    ),
]


def make() -> dict[Path, str]:
    """What every file of the gallery should hold, but for pictures that cannot be made here."""
    page = [INTRODUCTION]
    files: dict[Path, str] = {}
    namespace: dict[str, Any] = {}
    for section in SECTIONS:
        if section.title:
            page.append(f"## {section.title}\n")
        if section.text:
            page.append(fill(section.text, 100) + "\n")
        page.append(f"```python\n{section.code}```\n")
        if section.picture:
            about = section.title  # without its module a picture cannot tell its own title
            if _importable(section.needs):
                exec(section.code, namespace)
                picture = namespace["picture"]
                about = picture.figure.title
                files[DOCS / "pictures" / f"{section.picture}.svg"] = picture.svg()
            page.append(f"![{about}](pictures/{section.picture}.svg)\n")
        else:
            page.append(f"```text output\n{namespace['picture'].text(width=80)}\n```\n")
    files[DOCS / "pictures.md"] = "\n".join(page)
    return files


def _importable(module: str) -> bool:
    try:
        import_module(module)
    except ImportError:
        return False
    return True


def main() -> int:
    """Write the files, or with --check say which are not as they should be."""
    files = make()
    if "--check" not in sys.argv[1:]:
        for path, text in files.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        print(f"{len(files)} files written")
        return 0
    stale = [
        path
        for path, text in files.items()
        if not path.is_file() or path.read_bytes() != text.encode("utf-8")
    ]
    for path in stale:
        print(f"{path.relative_to(DOCS.parent)} is not what docs/make_pictures.py makes")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
