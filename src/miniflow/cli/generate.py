"""`miniflow generate`: lines that a trained network writes."""

from __future__ import annotations

from typing import Annotated

import typer

from miniflow.cli.runs import WRITERS, find_model
from miniflow.cli.saying import say
from miniflow.models import load
from miniflow.models.generating import generate as lines_of
from miniflow.options import OptionError


def generate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FILE",
            help="A run folder or a model file of --model gpt or --model char-rnn.",
        ),
    ],
    prompt: Annotated[
        str, typer.Option(metavar="TEXT", help="What each line begins with.", show_default=False)
    ] = "",
    n: Annotated[int, typer.Option("-n", "--lines", metavar="N", help="How many lines.")] = 10,
    temperature: Annotated[
        float,
        typer.Option(
            metavar="T", help="Near 0 the likeliest letters alone, above 1 more unlikely ones."
        ),
    ] = 1.0,
    top_k: Annotated[
        int | None,
        typer.Option(
            "--top-k", metavar="K", help="Of the K likeliest letters alone.  [default: all]"
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Same seed, same lines.  [default: others each time]"
        ),
    ] = None,
) -> None:
    """Have a network write lines, one a line of the output, and nothing else.

    \b
    Examples:
      miniflow generate runs/names-gpt
      miniflow generate runs/names-gpt --prompt mar -n 20
      miniflow generate runs/names-gpt --temperature 0.7 --top-k 5 --seed 1
    """  # noqa: D301 (\b keeps the lines apart)
    if n < 1:
        raise OptionError(f"-n is how many lines are written, 1 or more, not {n}.")
    path, run = find_model(model)
    loaded = load(path)
    if "writer" not in loaded.notes:
        kind = (
            f"a run of --model {run.read_options().model}" if run is not None else "no such model"
        )
        raise OptionError(
            f"{model} is {kind}; only {' and '.join(WRITERS)} write: miniflow train --model gpt."
        )
    for line in lines_of(loaded, prompt, n, temperature, top_k, seed):
        say(line)
