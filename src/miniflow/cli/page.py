"""`miniflow page`: a page on which one draws a digit and sees what the network makes of it."""

from pathlib import Path
from typing import Annotated

import typer

from miniflow.cli.arguments import ModelArgument
from miniflow.cli.runs import find_model
from miniflow.cli.saying import say
from miniflow.shipped import DIGITS_FILE


def page(
    model: ModelArgument = None,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="Where to.")
    ] = "digits.html",
) -> None:
    """Write a page on which one draws a digit and sees what a network makes of it.

    \b
    Examples:
      miniflow page
      miniflow page digits
      miniflow page runs/mnist-mlp -o digits.html
      miniflow page model.safetensors -o mine.html

    The page is one file: open it from disk, or send it to a phone; it needs no network. It takes
    any model of 28 × 28 pixels, your own nodes included, and shows its answer, its hidden layers,
    and which pixels speak for the answer and which against it.

    Where nothing has been trained yet, the page is of the model that comes with miniflow, a
    convolutional network; the name digits means that one, unless you have a model of that name.
    """  # noqa: D301 (\b keeps the lines apart)
    from miniflow.digit_page import page as write_page

    path, run = find_model(model)
    name = path.stem if run is None else run.folder.resolve().name
    is_shipped = path == Path(DIGITS_FILE)
    write_page(path, out, title="Draw a digit" if is_shipped else f"Draw a digit · {name}")
    say(f"Saved {out}")
