"""Arguments that several commands take, and what none of them may be."""

import math
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

_METAVAR = "FILE|RUN|digits"
_HELP = (
    "A model file or run folder, or digits, which comes with miniflow.  "
    "[default: latest run, else digits]"
)

ModelArgument = Annotated[str | None, typer.Argument(metavar=_METAVAR, help=_HELP)]
ModelOption = Annotated[str | None, typer.Option(metavar=_METAVAR, help=_HELP)]

MAY_BE_EMPTY = ("prompt",)


class Command(TyperCommand):
    """A command that refuses an empty word: `--out "$FOLDER"`, say, where nobody has set FOLDER,
    which would be the folder that one is in.
    """

    def invoke(self, ctx: Any) -> Any:
        parameters: Any = self.params
        for parameter in parameters:
            given = ctx.params.get(parameter.name)
            words = given if isinstance(given, (list, tuple)) else [given]
            if "" in words and parameter.name not in MAY_BE_EMPTY:
                raise typer.BadParameter("it is empty.", ctx=ctx, param=parameter)
        return super().invoke(ctx)


def finite(x: float | None) -> float | None:
    """A number, unless it is infinite or none: what an option's `callback` may be."""
    if x is not None and not math.isfinite(x):
        raise typer.BadParameter(f"{x} is no finite number.")
    return x
