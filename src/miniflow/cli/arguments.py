"""Arguments that several commands take."""

from typing import Annotated

import typer

_METAVAR = "FILE|RUN|digits"
_HELP = (
    "A model file or run folder, or digits, which comes with miniflow.  "
    "[default: latest run, else digits]"
)

ModelArgument = Annotated[str | None, typer.Argument(metavar=_METAVAR, help=_HELP)]
ModelOption = Annotated[str | None, typer.Option(metavar=_METAVAR, help=_HELP)]
