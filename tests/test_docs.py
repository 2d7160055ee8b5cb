"""Every code block in README.md and docs/, and every example in a docstring, is executed.

How a page is read:

- ```` ```python ```` blocks run in order, in one namespace a page, in an empty folder. Errors name
  their lines as `lab.py:3`, counted from the top of each block.
- A ```` ```text output ```` fence after such a block is what the block prints; a
  ```` ```text error ```` fence is the error with which the block ends: its class and its message.
  In both, and in consoles, `...` stands for anything.
- In ```` ```console ```` blocks, lines that begin with `$ miniflow` are run, and the lines after
  each are what it prints (if there are none, its output is not looked at).
- A block that is not to be run says so to the reader, with a reason, in its first line:
  `# not run: it needs a GPU`.
- Fences that are data (`text`, `json`, `mermaid`, ...) are left alone. Other fences are mistakes.
"""

import contextlib
import doctest
import importlib
import io
import itertools
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import miniflow

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.is_file()
]
# These start threads when they are imported, and other tests fork.
WITH_JAX = {
    f"miniflow.backends.jax.{name}"
    for name in ("devices", "epochs", "executable", "functions", "kept_code", "series")
}
MODULES = sorted(
    {"miniflow"}
    | {
        module.name
        for module in pkgutil.walk_packages(miniflow.__path__, "miniflow.")
        if not module.name.endswith("__main__")  # importing it runs the command
        and module.name not in WITH_JAX
    }
)

THAT_TAKE_SECONDS = {"README.md", "callbacks.md", "compiler.md", "data.md", "digit_page.md"}
THAT_TAKE_SECONDS |= {"derivatives.md", "javascript.md", "layers.md", "teaching.md", "training.md"}
THAT_TAKE_SECONDS |= {"class_weights.md", "coming_from.md", "fine_tuning.md", "own_layers.md"}
THAT_TAKE_SECONDS |= {"gpt.md", "sequences.md", "shipping.md"}
NEEDS = {  # what an optional extra brings: page or module → package
    "scikit-learn.md": "sklearn",
    "miniflow.estimator": "sklearn",
}

WITH_EXAMPLES = {
    f"miniflow.datasets.{name}" for name in ("batches", "digits", "idx", "input_data", "npz")
}

CODE = {"python", "console"}
DATA = {"text", "text output", "text error", "json", "toml", "yaml", "html", "mermaid", "bibtex"}
NOT_RUN = re.compile(r"# not run: \S.*")
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.M | re.S
)


class Block(NamedTuple):
    """One fence of a page."""

    info: str
    text: str
    line: int

    @property
    def reason_not_to_run(self) -> str | None:
        first = self.text.split("\n", 1)[0]
        return first if NOT_RUN.fullmatch(first) else None


def blocks_of(page: str) -> list[Block]:
    return [
        Block(
            found["info"].strip(),
            re.sub(rf"^{found['indent']}", "", found["text"], flags=re.M),
            page.count("\n", 0, found.start()) + 1,
        )
        for found in FENCE.finditer(page)
    ]


def matches(expected: str, seen: str) -> bool:
    """Whether `seen` is `expected`, in which `...` stands for anything."""
    return doctest.OutputChecker().check_output(expected, seen, doctest.ELLIPSIS)


def run_python(block: Block, following: Block | None, namespace: dict[str, Any], page: str) -> None:
    printed = io.StringIO()
    error = None
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(block.text, "lab.py", "exec"), namespace)
        except Exception as raised:
            error = raised
    seen = {"text output": printed.getvalue()}
    if error is not None:
        seen["text error"] = f"{type(error).__name__}: {error}\n"
    expects = following.info if following else ""
    if error is not None and expects != "text error":
        raise AssertionError(f"{page}:{block.line} failed with {seen['text error']}") from error
    if following and expects in ("text output", "text error"):
        if expects not in seen:
            raise AssertionError(f"{page}:{block.line} raised no error")
        if not matches(following.text, seen[expects]):
            raise AssertionError(f"{page}:{following.line} should be:\n{seen[expects]}")


def run_console(block: Block, page: str) -> None:
    for command, expected in commands_of(block.text):
        words = shlex.split(command)
        if words[0] != "miniflow":
            raise AssertionError(
                f"{page}:{block.line}: only miniflow's own commands are run; "
                f"give {command!r} a block that begins with '# not run: ' and a reason."
            )
        ended = subprocess.run(
            [sys.executable, "-m", *words],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "100"},
        )
        output = ended.stdout + ended.stderr
        as_told = matches(expected, output) if expected else ended.returncode == 0
        if not as_told:
            raise AssertionError(f"{page}:{block.line}: {command} printed:\n{output}")


def commands_of(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, _, expected = part.replace("\\\n", " ").partition("\n")
        yield command, expected


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(
            page, id=page.name, marks=[pytest.mark.slow] if page.name in THAT_TAKE_SECONDS else []
        )
        for page in PAGES
    ],
)
def test_every_code_block_of_the_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(NEEDS.get(page.name, "miniflow"), reason="the extra is not installed")
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    blocks = blocks_of(page.read_text(encoding="utf-8"))
    for block, following in itertools.zip_longest(blocks, blocks[1:]):
        assert block.info in CODE | DATA, f"{page.name}:{block.line}: a fence of {block.info!r}"
        if block.info in CODE and not block.reason_not_to_run:
            if block.info == "python":
                run_python(block, following, namespace, page.name)
            else:
                run_console(block, page.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fences_of_the_page_are_closed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r"^ *```", text, re.M)) == 2 * len(blocks_of(text))


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = NEEDS.get(".".join(name.split(".")[:2]), "miniflow")
    pytest.importorskip(package, reason="the extra is not installed")
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(verbose=False)
    told: list[str] = []
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(example, out=told.append)
    assert runner.failures == 0, "".join(told)
    assert runner.tries > 0 or name not in WITH_EXAMPLES


# --- The reading itself


def test_blocks_are_found_with_their_lines_and_without_their_indentation() -> None:
    page = "# T\n\n```python\nx = 1\n```\n\n- item:\n\n  ```text output\n  1\n  ```\n"
    assert blocks_of(page) == [
        Block("python", "x = 1\n", 3),
        Block("text output", "1\n", 9),
    ]


def test_block_that_fails_fails_the_page() -> None:
    with pytest.raises(AssertionError, match=r"p\.md:1 failed with ZeroDivisionError: div"):
        run_python(Block("python", "1 / 0\n", 1), None, {}, "p.md")


def test_output_and_error_that_differ_fail_the_page() -> None:
    prints = Block("python", "print(1)\n", 1)
    run_python(prints, Block("text output", "1\n", 4), {}, "p.md")
    with pytest.raises(AssertionError, match=r"p\.md:4 should be:\n1\n"):
        run_python(prints, Block("text output", "2\n", 4), {}, "p.md")
    fails = Block("python", "raise ValueError('no')\n", 1)
    run_python(fails, Block("text error", "ValueError: ...o\n", 4), {}, "p.md")
    with pytest.raises(AssertionError, match=r"p\.md:4 should be:\nValueError: no\n"):
        run_python(fails, Block("text error", "ValueError: yes\n", 4), {}, "p.md")
    with pytest.raises(AssertionError, match=r"p\.md:1 raised no error"):
        run_python(prints, Block("text error", "ValueError: no\n", 4), {}, "p.md")


def test_reason_not_to_run_must_be_given() -> None:
    assert Block("console", "# not run: it needs make\n$ make\n", 1).reason_not_to_run
    assert not Block("console", "# not run:\n$ make\n", 1).reason_not_to_run
    with pytest.raises(AssertionError, match="begins with '# not run: ' and a reason"):
        run_console(Block("console", "$ make digits\n", 1), "p.md")


def test_console_block_is_split_into_commands_and_what_they_print() -> None:
    text = "$ miniflow train \\\n    --epochs 1\n...\ntest accuracy: ...\n$ miniflow info\n"
    assert list(commands_of(text)) == [
        ("miniflow train      --epochs 1", "...\ntest accuracy: ...\n"),
        ("miniflow info", ""),
    ]
