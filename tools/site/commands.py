"""The page of the commands, from what each says of itself: `miniflow train --help`, as a page."""

import re
from typing import Any

import typer

from miniflow.cli import app

EXIT_CODES = """\
The exit code is 0 where it is done, 1 where it could not be (a file, the data or a value is not
what was needed), 2 where the command line itself is wrong, and 130 after Ctrl-C. A mistake is one
sentence on the standard error, and never a traceback.
"""


def page_of_commands() -> str:
    """All commands, each with its arguments and options."""
    parts = ["# Commands\n", EXIT_CODES]
    for name, command in _walk("miniflow", typer.main.get_command(app)):
        usage = " ".join(
            [name, *(p.name.upper() for p in command.params if p.param_type_name == "argument")]
        )
        parts.append(
            f"## {name}\n\n```text\n{usage}{' [OPTIONS]' if _options(command) else ''}\n```\n"
        )
        parts.append(f"{_paragraphs(command.help)}\n")
        parts.append("\n".join(_line(p) for p in command.params if not _is_hidden(p)) + "\n")
    return "\n".join(parts)


def _walk(name: str, command: Any) -> list[tuple[str, Any]]:
    """A command and those below it; a group itself only where it does something."""
    below = getattr(command, "commands", {})
    found = [(name, command)] if not below or command.params or name == "miniflow" else []
    for word, one in sorted(below.items()):
        if not one.hidden:
            found += _walk(f"{name} {word}", one)
    return found


def _is_hidden(parameter: Any) -> bool:
    return bool(getattr(parameter, "hidden", False))


def _options(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "option" and not _is_hidden(p)]


def _line(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        written = f"`{parameter.name.upper()}`"
    else:
        words = [*parameter.opts, *parameter.secondary_opts]
        written = ", ".join(f"`{word}`" for word in words)
    said = " ".join((getattr(parameter, "help", None) or "").split())
    default = parameter.default
    shown = isinstance(default, (str, int, float)) and not isinstance(default, bool)
    if not said and not shown:
        return f"- {written}"
    return f"- {written}: {said}{f' Default: `{default}`.' if shown and str(default) else ''}"


def _paragraphs(text: str | None) -> str:
    """The help, with its examples as a block."""

    def block(found: re.Match[str]) -> str:
        lines = "\n".join(f"$ {line.strip()}" for line in found[1].strip().splitlines())
        return f"```console\n{lines}\n```\n"

    plain = (text or "").replace("\b\n", "").strip() + "\n"
    return re.sub(r"^Examples:\n((?:  .*\n)+)", block, plain, flags=re.M).strip()
