"""Wrong and right solutions of `chain_rule`, the wrong each with what the check must say of it."""

from bank_kit import Right, Wrong

GRADIENT = "def gradient_of_f(x, y, z):\n    "
COPIES = "def slope_of_copies(y, z, n):\n    "
LOOP = COPIES + "grad = 1.0\n    for _ in range(n):\n        "

WRONG = [
    Wrong("a factor forgotten", says="f3 multiplies by w3 = 1.5", code="dL_df1 = -4"),
    Wrong("added along a path", says="multiplied, not added", code="dL_df1 = -4 + 1 + 1.5 + 1"),
    Wrong("one factor too few", says="one more factor, df1/dw1", code="dL_dw1 = -6"),
    Wrong("a forgotten factor, deeper", says="missing or wrong", code="dL_dw1 = -12"),
    Wrong(
        "half a gradient by hand",
        says="the path through g was counted",
        code="gradient = [4, 3, 3]",
    ),
    Wrong(
        "the edges leaving x", says="node e does not lead to f", code="paths_from_x_beside_e = 3"
    ),
    Wrong("edges for paths", says="two edges make one path", code="paths_from_x = 4"),
    Wrong("both paths given to y", says="g uses y: one path", code="paths_from_y = 2"),
    Wrong("zeros", says="each input has an effect on f", code=GRADIENT + "return [0, 0, 0]"),
    Wrong("one path", says="the path through g was counted", code=GRADIENT + "return [y, x, x]"),
    Wrong(
        "overwritten, not accumulated",
        says="was the first overwritten",
        code=GRADIENT + "dfdx = y\n    dfdx = z\n    return [dfdx, x, x]",
    ),
    Wrong(
        "paths multiplied",
        says="you multiplied the two paths",
        code=GRADIENT + "return [y*z, x, x]",
    ),
    Wrong("paths subtracted", says="they add up", code=GRADIENT + "return [y - z, x, x]"),
    Wrong("paths averaged", says="not their sum", code=GRADIENT + "return [(y + z) / 2, x, x]"),
    Wrong(
        "gradient of the wrong factor",
        says="is y, the other factor",
        code=GRADIENT + "return [x + x, y, z]",
    ),
    Wrong("order reversed", says="order is x, y, z", code=GRADIENT + "return [x, x, y + z]"),
    Wrong("two paths for y", says="one path each", code=GRADIENT + "return [y + z, x + x, x + x]"),
    Wrong(
        "values for derivatives",
        says="the derivatives are asked",
        code=GRADIENT + "return [x * y, x * z, x * y + x * z]",
    ),
    Wrong("addition alone", says="the products are missing", code=GRADIENT + "return [1, 1, 1]"),
    Wrong(
        "the example's gradient",
        says="the gradient of the example whatever is asked",
        code=GRADIENT + "return [-1, 3, 3]",
    ),
    Wrong(
        "not returned",
        says="is returned: end with `return`",
        code=GRADIENT + "gradient = [y + z, x, x]",
    ),
    Wrong("copies: zero", says="set to zero", code=LOOP + "grad = 0\n    return grad"),
    Wrong(
        "copies: what came from behind is dropped",
        says="one copy was counted",
        code=LOOP + "grad = y + z\n    return grad",
    ),
    Wrong(
        "copies: added up",
        says="you added the copies up",
        code=COPIES + "return sum(y + z for _ in range(n))",
    ),
    Wrong(
        "copies: g alone", says="all the g's was counted", code=LOOP + "grad *= y\n    return grad"
    ),
    Wrong(
        "copies: overwritten",
        says="was g's part overwritten",
        code=LOOP + "new = grad * y; new = grad * z; grad = new\n    return grad",
    ),
    Wrong(
        "copies: paths multiplied",
        says="you multiplied them",
        code=LOOP + "grad = grad * y * z\n    return grad",
    ),
    Wrong(
        "copies: grad changed too early",
        says="changed between its two uses",
        code=LOOP + "grad = grad * y; grad += grad * z\n    return grad",
    ),
    Wrong("copies: number of paths", says="the number of paths", code=COPIES + "return 2.0 ** n"),
    Wrong(
        "copies: two paths of many",
        says="of the many paths were counted",
        code=COPIES + "return y ** n + z ** n",
    ),
    Wrong(
        "one wrong edge",
        says="one edge is wrong, dgdx",
        code=GRADIENT + "dgdx = x\n    return [dgdx + z, x, x]",
    ),
    Wrong(
        "another wrong edge", says="one edge is wrong, dhdz", code=GRADIENT + "return [y + z, x, z]"
    ),
    Wrong("the inputs by hand", says="x, y and z themselves", code="gradient = [3, 4, -5]"),
    Wrong(
        "the gradient kept in the sum",
        says="grad += grad * y + grad * z ",
        code=LOOP + "grad += grad * y + grad * z\n    return grad",
    ),
    Wrong("the inputs returned", says="x, y and z themselves", code=GRADIENT + "return [x, y, z]"),
    Wrong(
        "a gradient with a 1",
        says="one edge is wrong, dgdy",
        code=GRADIENT + "return [y + z, 1.0, x]",
    ),
]

RIGHT = [
    Right("the closed form", code=COPIES + "return (y + z) ** n"),
    Right("a tuple", code=GRADIENT + "return y + z, x, x"),
    Right(
        "an array",
        code="import numpy as np\n\n\n" + GRADIENT.lstrip() + "return np.array([y + z, x, x])",
    ),
    Right(
        "a recursion",
        code=COPIES + "return 1.0 if n == 0 else (y + z) * slope_of_copies(y, z, n - 1)",
    ),
    Right("a text", code='gradient = "[-1, 3, 3]"'),
]
