"""The examples run, in a small setting, and find what they say that they find."""

import runpy
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"

# script: what it is given here, what its result has to be, and at most how large
SMALL = {
    "tabular.py": ({"count": 1000, "epochs": 12}, 0.35),  # of the error of the mean
    "autoencoder.py": ({"count": 1500, "epochs": 3}, 0.08),  # squared error a pixel
    "siamese.py": ({"count": 2000, "epochs": 3}, -0.7),  # pairs told apart
    "text.py": ({"every": 10, "epochs": 2, "made": 2}, 2.6),  # loss a letter
    "time_series.py": ({"days": 40, "epochs": 5}, 0.95),  # of the error of the last hour
    "own_node.py": ({"count": 300, "epochs": 20}, -0.9),  # points told apart
    "photo_to_digit.py": ({}, [2]),
    "differential_equation.py": ({"steps": 500, "places": 32}, 0.1),  # radians
}


def test_each_example_is_told_in_the_list_and_run_here() -> None:
    scripts = {path.name for path in EXAMPLES.glob("*.py")}
    listed = (EXAMPLES / "README.md").read_text("utf-8")
    assert scripts == set(SMALL)
    assert all(f"[{name}]({name})" in listed for name in scripts)


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted(SMALL))
def test_the_example_finds_what_it_looks_for(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    settings, bound = SMALL[script]
    main: Any = runpy.run_path(str(EXAMPLES / script))["main"]
    found = main(**settings)
    if isinstance(bound, list):
        assert found == bound
    else:  # of what is to be large, the negative number is to be small
        assert (-found if bound < 0 else found) < bound


@pytest.mark.parametrize("script", sorted(SMALL))
def test_the_example_says_what_it_is_and_is_run_by_its_name(script: str) -> None:
    text = (EXAMPLES / script).read_text("utf-8")
    assert text.startswith('"""')
    assert f"    python examples/{script}" in text
    assert 'if __name__ == "__main__":' in text
