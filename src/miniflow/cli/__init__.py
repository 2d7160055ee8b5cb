"""The command `miniflow`: one module a command, and here what they share.

A user's mistake ends in one sentence on stderr and an exit code, never in a traceback; whatever
does end in one is a defect of miniflow. The exit codes:

    0    done
    1    it could not be done: a file, the data or a value is not what was needed
    2    the command line itself is wrong
    130  interrupted by Ctrl-C
"""

import os
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from miniflow import __version__
from miniflow.cli.arguments import Command
from miniflow.cli.draw import draw
from miniflow.cli.evaluate import evaluate
from miniflow.cli.export import export
from miniflow.cli.generate import generate
from miniflow.cli.info import info
from miniflow.cli.lab import lab
from miniflow.cli.page import page
from miniflow.cli.predict import predict
from miniflow.cli.saying import say
from miniflow.cli.train import train
from miniflow.distributed.joining import abandon
from miniflow.errors import MiniflowError, shown

FAILED, INTERRUPTED = 1, 130
MOST_LETTERS = 2000  # of a line of a message, which may quote what was given


class Commands(TyperGroup):
    """The group of commands; turns what they raise into a sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:  # `miniflow ... | head`: nobody is listening any more
            _leave_output()
            raise typer.Exit(FAILED) from None
        except KeyboardInterrupt:
            abandon()
            raise typer.Exit(INTERRUPTED) from None
        except OSError as error:
            name = f"{error.filename}: " if error.filename is not None else ""
            _fail(f"{name}{error.strerror or error}.")
        except MemoryError:
            _fail("There is not enough memory for this.")
        except MiniflowError as error:
            _fail(str(error))


def _leave_output() -> None:
    """Let what is still to be written go nowhere: where it should go, it cannot."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str) -> None:
    lines = (shown(line, MOST_LETTERS) for line in message.split("\n"))
    say("error: " + "\n".join(lines), err=True)
    abandon()
    raise typer.Exit(FAILED) from None


app = typer.Typer(
    cls=Commands,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.",
)
for command in (train, evaluate, predict, generate, info, draw, page, export):
    app.command(cls=Command)(command)
app.add_typer(lab)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"miniflow {__version__}")
        raise typer.Exit


@app.callback()
def _miniflow(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Train networks that recognise digits, and use them; or build your own, in the lab.

    \b
    Examples:
      miniflow train
      miniflow predict three.png
      miniflow evaluate
      miniflow lab start
    """  # noqa: D301 (\b keeps the lines apart)


def main() -> None:
    """Run the command; the process ends with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that has not all letters
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning  # type: ignore[assignment]
    try:
        app(prog_name="miniflow")
    except OSError as error:  # help that cannot be written: `miniflow --help > /dev/full`
        _leave_output()
        if not isinstance(error, BrokenPipeError):
            say(f"error: standard output: {error.strerror or error}.", err=True)
        sys.exit(FAILED)


def _show_warning(message: Warning | str, *rest: Any) -> None:
    say(f"warning: {message}", err=True)
