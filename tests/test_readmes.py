"""Each large room has a page: what is in it, in which order to read, what it must not know. What an
afternoon is enough for is as long as the first page of the architecture says.
"""

import importlib.util
import re
from pathlib import Path

import pytest

import miniflow

SOURCE = Path(miniflow.__file__).parent
LARGE = 5  # modules, those of sub-folders among them; a room of more has a page
ROOMS = sorted(
    room.name
    for room in SOURCE.iterdir()
    if room.is_dir() and len(list(room.rglob("*.py"))) > LARGE
)


def test_there_are_large_rooms() -> None:
    assert {"graph", "ir", "backends", "lab"} <= set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_large_room_has_a_page_of_five_to_fifteen_lines(room: str) -> None:
    text = (SOURCE / room / "README.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    assert lines[0].startswith(f"# {room}: ")
    assert 5 <= len(lines) <= 15
    assert max(map(len, lines)) <= 122
    assert "Read in this order" in text
    assert re.search(r"\b(must not|may not|may (import|know) it)\b", text)


@pytest.mark.parametrize("room", ROOMS)
def test_page_of_a_room_names_files_that_are_there(room: str) -> None:
    text = (SOURCE / room / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`([\w/]+(?:\.py|/))`", text)
    assert named
    for name in named:
        assert (SOURCE / room / name).exists() or (SOURCE / name).exists(), name


def test_what_is_read_in_an_afternoon_is_some_2000_lines() -> None:
    root = Path(__file__).parent.parent
    spec = importlib.util.spec_from_file_location("size", root / "benchmarks" / "size.py")
    assert spec is not None
    assert spec.loader is not None
    size = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(size)
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    (part,) = re.findall(r"An afternoon is enough.*?some 2,000 lines.*?fortnight", page, re.DOTALL)
    files = re.findall(r"`(\w+/\w+\.py)`", part)
    assert len(files) > 10
    assert 1800 <= sum(size.measure(SOURCE / file).code for file in files) <= 2300
