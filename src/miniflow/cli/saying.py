"""How commands say something: names of files, data and classes are whatever people call them."""

import typer

from miniflow.errors import printable


def say(text: object, err: bool = False) -> None:
    """Print lines of text, in which no name can command the terminal or fail to be written."""
    typer.echo("\n".join(map(printable, str(text).split("\n"))), err=err)
