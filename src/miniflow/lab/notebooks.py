"""A chapter as a Jupyter notebook, nbformat 4.5, with nbgrader's metadata (schema version 3).

The same cells give the same bytes: ids come from the source, and nothing is dated. The learner's
classes are in their files; the notebook imports them, and autoreload sees to it that an edit counts
at once.
"""

import json
from typing import Any

from miniflow.lab.source import Cell

SETUP = """%load_ext autoreload
%autoreload 2

from miniflow.lab import check"""


def notebook(cells: list[Cell], stem: str) -> str:
    """The notebook's JSON; the ids of its cells begin with `stem`."""
    wanted = [cell for cell in cells if cell.for_notebook]
    first_code = next((i for i, cell in enumerate(wanted) if not cell.markdown), len(wanted))
    made = [as_cell(cell, f"{stem}-{i:02}") for i, cell in enumerate(wanted, start=1)]
    file = next((f"{cell.check}.py" for cell in cells if cell.check), "")
    for cell, source in zip(made, wanted, strict=True):
        if source.markdown and source.for_file and source.text.startswith("#"):
            cell["source"] = lines(with_place(source.text, file))
    made.insert(first_code, code_cell(SETUP, f"{stem}-setup"))
    document = {
        "cells": made,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def with_place(text: str, file: str) -> str:
    """The text of an exercise, with a line on where its questions and its code are to be written:
    what stands here in the notebook are only other people's questions.
    """
    heading, _, rest = text.partition("\n")
    return f"{heading}\n\nThe questions and the code are in [{file}]({file}): write there.\n{rest}"


def as_cell(cell: Cell, id: str) -> dict[str, Any]:
    if cell.markdown:
        return {"cell_type": "markdown", "id": id, "metadata": {}, "source": lines(cell.text)}
    if cell.check is not None:
        id = f"check-{cell.check}"
        return code_cell(f'check("{cell.check}").grade()', id, nbgrader(id, cell.points))
    return code_cell(cell.text, id)


def code_cell(text: str, id: str, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": id,
        "metadata": metadata or {},
        "outputs": [],
        "source": lines(text),
    }


def nbgrader(grade_id: str, points: int) -> dict[str, Any]:
    """The metadata that make a cell one that nbgrader grades, and that learners cannot edit."""
    kind = {"grade": True, "locked": True, "solution": False, "task": False}
    return {"nbgrader": {"grade_id": grade_id, "points": points, "schema_version": 3} | kind}


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
