"""Docstrings as pages show them: an example becomes a block of code, and is not taken for quotes.

In a docstring an example stands as the tests run it, `>>> ...` with what is printed below, up to
the next empty line. Markdown reads `>>>` as three quotations in one another.
Arguments that are explained together (`x, y: any shapes`) are listed one by one.
"""

import re

EXAMPLE = re.compile(r"^(?P<indent> *)>>> .*\n?(?:(?P=indent)\S.*\n?|(?P=indent) +\S.*\n?)*", re.M)


TOGETHER = re.compile(
    r"^(?P<indent> +)(?P<names>\w+(?:, \w+)+): (?P<text>.*\n(?:(?P=indent) +\S.*\n?)*)", re.M
)


def fenced(docstring: str) -> str:
    r"""The same docstring, with its examples in fences and its arguments one by one.

    >>> print(fenced("A sum.\n\n>>> 1 + 1\n2\n"))
    A sum.
    <BLANKLINE>
    ```pycon
    >>> 1 + 1
    2
    ```
    <BLANKLINE>
    """

    def fence(found: re.Match[str]) -> str:
        indent = found["indent"]
        lines = [
            re.sub(r"\s*# (?:noqa|doctest):?.*$", "", line)
            for line in found[0].rstrip("\n").split("\n")
        ]
        return f"{indent}```pycon\n" + "\n".join(lines) + f"\n{indent}```\n"

    def apart(found: re.Match[str]) -> str:
        text = found["text"].rstrip("\n")
        return "".join(f"{found['indent']}{name}: {text}\n" for name in found["names"].split(", "))

    return EXAMPLE.sub(fence, TOGETHER.sub(apart, docstring))
