"""Of `nodes`: what one node does in the backward pass."""

from miniflow.pictures.canvas import Canvas


def messages() -> str:
    """The node x in f = x*y + x*z: its value goes to both consumers, both hand back a gradient,
    and x adds them up.
    """
    canvas = Canvas(
        720,
        264,
        "Forward, one value goes out; backward, the consumers' gradients come in and are added",
        "Left, the node x with value 3. Grey arrows lead from it to its consumers g and h. Dashed "
        "red arrows lead back: g hands back g.gradients[x] = 4, h hands back h.gradients[x] = -5. "
        "x adds them up: 4 plus -5 is -1. At g: the upstream gradient is 1, times the local "
        "derivative y = 4.",
    )
    canvas.circle((90, 130), 34, "card input")
    canvas.text((90, 127), "x", size=15)
    canvas.text((90, 145), "= 3", "value number")
    for y, name, upstream, local, grad in (
        (50, "g", "1", "∂g/∂x = y = 4", "4"),
        (210, "h", "1", "∂h/∂x = z = −5", "−5"),
    ):
        canvas.box((400, y - 26), 100, 52, "card operation")
        canvas.text((450, y + 5), f"{name}  Mul", size=14)
        sign = 1 if y > 130 else -1
        canvas.arrow((124, 130 + sign * 16), (400, y + sign * 12))
        canvas.arrow((400, y - sign * 12), (126, 130 + sign * 3), "lit", 2, "6 4")
        canvas.label((230, 134 + sign * 60), "value 3", "value", 52)
        canvas.label((286, 134 + sign * 33), f"{name}.gradients[x] = {grad}", "gradient", 140)
        canvas.arrow((640, y), (500, y), "lit", 2, "6 4")
        canvas.text((570, y - 9), f"upstream: {upstream}", "gradient")
        canvas.text(
            (450, y - sign * 44 + (4 if sign < 0 else 6)), f"{upstream} · {local}", "dim", size=12
        )
    canvas.text((90, 190), "4 + (−5)", "gradient", size=13)
    canvas.text((90, 208), "= −1", "gradient", size=13)
    canvas.text((660, 134), "f", size=15)
    canvas.line([(652, 50), (660, 50), (660, 116)], "edge")
    canvas.line([(652, 210), (660, 210), (660, 144)], "edge")
    return canvas.svg()


FIGURES = {"messages": messages}
