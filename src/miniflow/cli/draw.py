"""`miniflow draw`: the picture of a model's program."""

from typing import Annotated

import typer

from miniflow.cli.arguments import ModelArgument
from miniflow.cli.runs import find_model
from miniflow.cli.saying import say


def draw(
    model: ModelArgument = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Where to: .svg, .png, .dot, .mmd or .txt.  [default: here]",
        ),
    ] = None,
) -> None:
    """Draw the program of a model, as text or as a picture.

    \b
    Examples:
      miniflow draw
      miniflow draw runs/mnist-mlp -o network.svg
      miniflow draw model.safetensors -o model.dot
    """  # noqa: D301 (\b keeps the lines apart)
    from miniflow.models import load
    from miniflow.pictures import draw as picture_of

    path, _ = find_model(model)
    picture = picture_of(load(path).program, title=path.stem)
    if out is None:
        say(picture)
    else:
        picture.save(out)
        say(f"Saved {out}")
