"""What makes a site of the repository: which pages there are, their order, and links between them.

The pages of `docs/` are written for whoever reads the repository; links lead from file to file, and
blocks are marked for the tests (`text output`). Here they become pages of the site:

- README.md, CHANGELOG.md, CONTRIBUTING.md and what else they link to in the repository become pages
  beside those of `docs/`, and links are turned accordingly;
- the reference is made from what miniflow exports, a page for each room and each family of nodes:
  a new node is in it by being in `__all__`;
- `SECTIONS` says the order of the pages; a page that it does not name stands last in the guides.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "src"), str(Path(__file__).resolve().parent)]

from reference import pages_of_reference  # noqa: E402 (it needs the path)

SECTIONS: dict[str, list[str]] = {
    "Home": ["index.md"],
    "Tutorials": ["tutorial.md", "own_nodes.md", "lab.md", "explorer.md", "digit_page.md"],
    "Guides": [
        "coming_from.md",
        "data.md",
        "layers.md",
        "own_layers.md",
        "training.md",
        "saving.md",
        "fine_tuning.md",
        "class_weights.md",
        "several.md",
        "sequences.md",
        "gpt.md",
        "callbacks.md",
        "scikit-learn.md",
        "derivatives.md",
        "numbers.md",
        "errors.md",
        "pictures.md",
        "threads.md",
        "distributed.md",
        "shipping.md",
        "javascript.md",
        "examples.md",
        "examples_in_c.md",
    ],
    "How it works": ["architecture.md", "compiler.md", "reliability.md", "benchmarks.md"],
    "Teaching": ["teaching.md", "lab-map.md"],
    "Project": ["changelog.md", "contributing.md", "releasing.md"],
}
REST = "Guides"

# Files of the repository that are pages of the site: where they stand there.
ELSEWHERE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/RESULTS.md": "benchmarks.md",
    "examples/README.md": "examples.md",
    "src/miniflow/lab/handout/README.md": "lab.md",
    "examples/c/README.md": "examples_in_c.md",
    "src/miniflow/shipped/README.md": "shipped.md",
    "src/miniflow/datasets/data/README.md": "mnist.md",
}
PLAY = "src/miniflow/lab/handout/play"
UNLISTED = {"shipped.md", "mnist.md"}
ONLINE = "https://unpkg.com/iframe-worker/shim"  # what the theme would load there
LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")
TO_FILE = re.compile(r"(?<!!)\[([^\]]+)\]\(((?!https?:|mailto:|#)[^)\s#]+)(?:#[^)\s]*)?\)")
FENCE = re.compile(r"^( *)```(text output|text error)$", re.M)
NOT_RUN = re.compile(r"^( *)```(\w+)\n *# not run: (.*)\n", re.M)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Say the navigation: what `SECTIONS` names and exists, the other pages, the reference."""
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/**/*.md")}
    pages |= set(ELSEWHERE.values())
    named = {page for section in SECTIONS.values() for page in section}
    nav: list[Any] = []
    for title, listed in SECTIONS.items():
        found = [page for page in listed if page in pages]
        if title == REST:
            found += sorted(pages - named - UNLISTED)
        nav.append({title: found[0] if found == ["index.md"] else found})
    nav.insert(-2, {"Reference": pages_of_reference().navigation})
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that do not stand in `docs/`."""
    for source, target in ELSEWHERE.items():
        text = (ROOT / source).read_text("utf-8")
        if source == "examples/README.md":
            text = _with_scripts(text)
        if target == "lab.md":
            text = _of_the_lab(text)
        files.append(File.generated(config, target, content=_relinked(text, source, target)))
    for page in (ROOT / PLAY).glob("*.html"):
        files.append(File.generated(config, f"play/{page.name}", content=page.read_text("utf-8")))
    for target, text in pages_of_reference().texts.items():
        files.append(File.generated(config, target, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the marks for the tests into what a reader is told."""
    source = page.file.src_uri
    if page.file.generated_by is None:
        markdown = _relinked(markdown, f"docs/{source}", source)
    marks = {"text output": "text .prints", "text error": "text .raises"}
    markdown = FENCE.sub(
        lambda m: f'{m[1]}``` {{ .{marks[m[2]]} title="{marks[m[2]].rpartition(".")[2]}" }}',
        markdown,
    )
    return NOT_RUN.sub(
        lambda m: f'{m[1]}```{m[2]} title="{m[3].replace(chr(34), chr(39))}"\n', markdown
    )


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Take the script that a page opened from disk needs from beside it, and not from a network."""
    here = os.path.relpath("worker_from_disk.js", os.path.dirname(page.file.dest_uri) or ".")
    return output.replace(ONLINE, here)


def on_post_template(output_content: str, template_name: str, **_: Any) -> str:
    """The same for what is no page: the one that says that nothing was found."""
    return output_content.replace(ONLINE, "worker_from_disk.js")


def _with_scripts(text: str) -> str:
    """The list of the examples, with each script below it, to which the list leads."""
    names = re.findall(r"\]\((\w+\.py)\)", text)
    for name in names:
        text = text.replace(f"({name})", f"(#{name.replace('.', '')})")
        text += f"\n## {name}\n\n```python\n{(ROOT / 'examples' / name).read_text('utf-8')}```\n"
    return text


def _of_the_lab(text: str) -> str:
    """The learner's README without links to files that are in the learner's folder alone."""
    text = re.sub(r"\[([^\]]*)\]\(\w+\.(?:ipynb|py)\)", r"\1", text)
    text = re.sub(r"`(play/\w+\.html)`", r"[\1](\1)", text)
    root = "../../../.."
    return (
        f"{text}\n## How to get it\n\n[The first page]({root}/README.md#where-to-start) has the "
        f"lines to copy; [Teaching with the lab]({root}/docs/teaching.md) is for teachers.\n"
    )


def _relinked(text: str, source: str, target: str) -> str:
    """A page's text with links that fit where it stands on the site."""

    def turn(found: re.Match[str]) -> str:
        before, link, after = found.groups()
        if re.match(r"[a-z]+:", link):
            return found[0]
        path = os.path.normpath(os.path.join(os.path.dirname(source), link))
        if path in ELSEWHERE:
            page = ELSEWHERE[path]
        elif re.fullmatch(r"examples/\w+\.py", path):
            page, after = "examples.md", f"#{path[9:].replace('.', '')})"
        elif path.startswith(f"{PLAY}/"):
            page = f"play/{os.path.basename(path)}"
        elif path.startswith("docs/"):
            page = path.removeprefix("docs/")
        else:
            return found[0]  # mkdocs tells it
        return before + os.path.relpath(page, os.path.dirname(target) or ".") + after

    def keep_words(found: re.Match[str]) -> str:
        """Of a link to a file that is no page, a source file say, what it is called."""
        path = os.path.normpath(os.path.join(os.path.dirname(source), found[2]))
        is_page = path in ELSEWHERE or path.startswith(("docs/", f"{PLAY}/"))
        is_page = is_page or re.fullmatch(r"examples/\w+\.py", path) is not None
        return found[1] if not is_page and (ROOT / path).exists() else found[0]

    parts = re.split(r"(^ *```.*?^ *```$)", text, flags=re.M | re.S)
    return "".join(
        part if k % 2 else LINK.sub(turn, TO_FILE.sub(keep_words, part))
        for k, part in enumerate(parts)
    )
