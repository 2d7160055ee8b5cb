"""Pages from templates: text files with `{{name}}` where a part goes."""

import re
from importlib.resources import files


def static(package: str, name: str) -> str:
    """The text of a file in the folder `static` of a package."""
    return files(package).joinpath("static", name).read_text(encoding="utf-8")


def fill_template(template: str, **parts: str) -> str:
    """Put each part where the template names it, as it is: escape what is not HTML before.

    >>> fill_template("<h1>{{title}}</h1>", title="1 &lt; {{2}}")
    '<h1>1 &lt; {{2}}</h1>'
    """
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)
