"""The reference: a page for each room and each family of nodes, and an index of all names.

Each entry is what the docstring says, with the signature and the source. Here is only decided which
names stand on which page.
"""

import functools
import importlib
import inspect
import re
from typing import Any, NamedTuple

from commands import page_of_commands
from fences import fenced
from public import PublicName, public_names

PAGES = {  # page → its title, what it is about, and the modules whose names stand on it
    "graph": ("Graphs", "What graphs are made of.", ["graph"]),
    "running": (
        "Running and checking",
        "The interpreter: values, gradients, and whether they are right.",
        ["interpreter"],
    ),
    "compiling": (
        "Compiling",
        "One program for forward, backward and update.",
        ["compiler", "backends"],
    ),
    "layers": ("Layers", "", ["layers"]),
    "training": ("Training", "Training as Keras has taught people to expect it.", ["training"]),
    "callbacks": ("Callbacks", "", ["training.callbacks"]),
    "optimizers": ("Optimizers", "", ["optimizers"]),
    "schedules": ("Schedules", "", ["schedules"]),
    "initializers": ("Initializers", "", ["initializers"]),
    "metrics": ("Metrics", "", ["metrics"]),
    "data": ("Data sets", "", ["datasets"]),
    "estimators": ("Estimators", "", ["estimator"]),
    "models": (
        "Models and gradients",
        "Model files, weights, and graphs made of recorded programs.",
        ["models"],
    ),
    "distributed": ("Several processes", "One training on many machines.", ["distributed"]),
    "shipping": ("Shipping", "Files that need no miniflow.", ["exports", "digit_page"]),
    "pictures": ("Pictures", "", ["pictures"]),
    "lab": ("The lab, in notebooks", "Checks and pages to play with, in a cell.", ["lab"]),
    "errors": ("Errors", "", ["errors", "options"]),
}
FAMILIES = {  # families of nodes: title and the modules below miniflow.nodes
    "arithmetic": ("Arithmetic", ["arithmetic", "magnitude", "trigonometry"]),
    "linear": ("Products of matrices", ["linear"]),
    "activations": ("Activations", ["activation"]),
    "losses": ("Losses and distances", ["loss", "distance"]),
    "reductions": ("Sums, means, maxima", ["reduction", "accumulation"]),
    "shapes": ("Shapes and parts", ["shape", "arranging"]),
    "conditions": ("Conditions", ["condition"]),
    "convolutions": (
        "Convolutions and pools",
        ["convolution", "other_convolutions", "pooling", "upsampling"],
    ),
    "normalization": ("Normalization and dropout", ["normalization", "batch_norm", "dropout"]),
    "attention": ("Attention", ["attention"]),
    "tables": ("Tables of vectors", ["embedding"]),
    "states": ("States", ["setting"]),
    "loops": ("Loops over time", ["scan"]),
    "gradients": ("What gradients do not pass", ["stopping"]),
    "equations": ("Equations of programs", ["equations"]),
}  # fmt: skip


class Reference(NamedTuple):
    """The pages, as path → text, and their navigation."""

    texts: dict[str, str]
    navigation: list[Any]


@functools.cache
def pages_of_reference() -> Reference:
    """All pages of the reference, and the index of names."""
    names = public_names()
    texts: dict[str, str] = {}
    places: dict[str, list[PublicName]] = {}
    for name in names:
        places.setdefault(_page_of(name), []).append(name)
    navigation: list[Any] = [{"All names": "reference/index.md"}]
    for page, (title, about, modules) in PAGES.items():
        path = f"reference/{page}.md"
        if found := places.pop(path, []):
            texts[path] = _page(title, about or _about(modules[0]), found)
            navigation.append({title: path})
    families: list[Any] = []
    titles = {f"reference/nodes/{family}.md": title for family, (title, _) in FAMILIES.items()}
    for path in [*titles, *sorted(set(places) - set(titles))]:
        if found := places.pop(path, []):
            title = (
                titles.get(path)
                or path.split("/")[-1].removesuffix(".md").replace("_", " ").capitalize()
            )
            texts[path] = _page(title, _about_family(found), found)
            families.append({title: path})
    texts["reference/commands.md"] = page_of_commands()
    navigation.append({"Commands": "reference/commands.md"})
    texts["reference/nodes/index.md"] = _index_of_nodes(families, texts, names)
    navigation.insert(3, {"Nodes": ["reference/nodes/index.md", *families]})
    texts["reference/index.md"] = _index(names)
    return Reference(texts, navigation)


def _page_of(name: PublicName) -> str:
    if name.path == "miniflow.scan" or name.is_node:
        module = name.home.removeprefix("miniflow.nodes.").split(".")[0]
        for family, (_, modules) in FAMILIES.items():
            if module in modules:
                return f"reference/nodes/{family}.md"
        return f"reference/nodes/{module}.md"
    home = name.home.removeprefix("miniflow.")
    if name.path.startswith("miniflow.datasets."):
        home = "datasets"
    best = max(
        (
            module
            for _, _, modules in PAGES.values()
            for module in modules
            if f"{home}.".startswith(f"{module}.")
        ),
        key=len,
        default="",
    )
    for page, (_, _, modules) in PAGES.items():
        if best in modules:
            return f"reference/{page}.md"
    raise LookupError(f"{name.path} (of {name.home}) has no page: name its room in PAGES.")


def _page(title: str, about: str, names: list[PublicName]) -> str:
    entries = "\n\n".join(_entry(name) for name in names)
    return f"# {title}\n\n{about}\n\n{entries}\n"


def _entry(name: PublicName) -> str:
    lines = [f"::: {name.path}", "    options:", f"      heading: {name.written}"]
    lines.append(f"      toc_label: {name.path.rpartition('.')[2]}")
    if name.is_node or not _has_public_methods(name.object):
        lines.append("      members: false")
    else:
        lines.append("      inherited_members: false")
    return "\n".join(lines)


def _has_public_methods(thing: Any) -> bool:
    return isinstance(thing, type) and any(
        not key.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
        for key, value in vars(thing).items()
    )


def _about(module: str) -> str:
    """What the module says of itself, without the paragraph for its maintainers."""
    doc = inspect.getdoc(importlib.import_module(f"miniflow.{module}")) or ""
    kept = [part for part in doc.split("\n\n") if not part.startswith(("Here:", "Here is"))]
    return fenced("\n\n".join(kept))


def _about_family(names: list[PublicName]) -> str:
    modules = dict.fromkeys(name.home for name in names)
    return "\n\n".join(
        (inspect.getdoc(importlib.import_module(module)) or "").split("\n\n")[0]
        for module in modules
    )


def summary(name: PublicName) -> str:
    """The first sentence of a docstring, on one line."""
    return re.sub(r"\s+", " ", (inspect.getdoc(name.object) or "").split("\n\n")[0])


def _link(name: PublicName) -> str:
    return f"[`{name.written}`][{name.path}]"


def _index_of_nodes(families: list[Any], texts: dict[str, str], names: list[PublicName]) -> str:
    parts = [
        "# Nodes by family\n",
        "Every built-in node takes its inbound nodes first and its options by keyword, `name=` "
        "among them; one that it has not is a `CallError`, which says how the node is called. In "
        "place of a node stand numbers and arrays, too. Each entry gives the formula, the shapes, "
        "the gradient, an example, and the source: `compute` and `gradient`, side by side.\n",
    ]
    for family in families:
        ((title, path),) = family.items()
        inside = [name for name in names if _page_of(name) == path]
        parts.append(f"## [{title}]({path.removeprefix('reference/nodes/')})\n")
        parts += [f"- {_link(name)}: {summary(name)}" for name in inside]
        parts.append("")
    return "\n".join(parts)


def _index(names: list[PublicName]) -> str:
    parts = [
        "# All names\n",
        "Everything public, by the alphabet. [Nodes by family](nodes/index.md) has the nodes with "
        "what they compute; the search, above, finds words in every page.\n",
        '<div class="names" markdown>\n',
    ]
    parts += [
        f"- {_link(name)}"
        for name in sorted(
            names, key=lambda name: (name.path.rpartition(".")[2].lower(), name.path)
        )
    ]
    return "\n".join([*parts, "\n</div>\n"])
