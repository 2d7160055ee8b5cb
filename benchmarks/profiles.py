"""Where the time of native's step goes in a race, as `step.profile` tells it.

    python benchmarks/profiles.py [RACE ...]          writes benchmarks/PROFILES.md

Parts are timed one by one. What several threads do at once, or beside something else, stands there
as if one did it after the other, so the sum is more than the step takes in its race.
"""

from __future__ import annotations

import environment

environment.enter()

import importlib  # noqa: E402  # from here on in the environment of the peers
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

sys.path.insert(0, str(environment.ROOT / "src"))

import races  # noqa: E402
from contenders import CONTENDERS  # noqa: E402
from mnist_files import read_mnist  # noqa: E402

DEFAULT = ("mlp-32", "mlp-128", "mlp-1024", "deep")
FILES = environment.ROOT / "src" / "miniflow" / "datasets" / "data"
TARGET = environment.ROOT / "benchmarks" / "PROFILES.md"
HEAD = f"# Where a step spends its time\n\n{__doc__.split('    python')[0].strip()}"


def main() -> None:
    """Profile the races that are named."""
    sections = [HEAD, __doc__.split("\n\n")[-1].strip()]
    with tempfile.TemporaryDirectory() as folder:
        races.write(read_mnist(FILES), Path(folder))
        data = races.read(Path(folder))
    names = sys.argv[1:] or DEFAULT
    if unknown := [name for name in names if not races.find(name)]:
        sys.exit(f"there is no race {', '.join(unknown)}")
    for race in (race for name in names for race in races.find(name)):
        text = profile(race, data)
        print(f"{race.name}\n{text}\n", flush=True)
        sections.append(f"## {race.name}\n\n{race.title}.\n\n```text\n{text}\n```")
    TARGET.write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def profile(race: races.Race, data: races.Data) -> str:
    """The profile of native's step, after some steps of the race."""
    native = next(c for c in CONTENDERS if c.name == "miniflow, native" and race.kind in c.races)
    runner = importlib.import_module(f"contenders.{native.module}").build("native", race, data)
    if not hasattr(runner, "profile"):
        sys.exit(f"{race.name} has no profile yet: see its contender, {native.module}")
    work = races.work(race, len(data.images))
    runner.run(work[: race.chunk])
    return str(runner.profile(work[0]))


if __name__ == "__main__":
    main()
