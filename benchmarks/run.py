"""Race miniflow against its peers and the limit: `make bench`, or `python benchmarks/run.py`.

    python benchmarks/run.py                      all races, written to benchmarks/RESULTS.md
    python benchmarks/run.py mlp-128 tiny         some of them
    python benchmarks/run.py mlp-128 --quick      a short look; nothing is written
    python benchmarks/run.py mlp-128 --only jax   some of the contenders; nothing is written
    python benchmarks/run.py mlp-128 --one-thread all with one thread, on one core: own sections

The environment variable RACE names races, too (`make bench RACE=mlp-128`). The peers are installed
in `.venv-bench` the first time. A race takes two minutes or so, all of them about half an hour.
Leave the machine alone meanwhile: how much others used of it stands below each table.
"""

from __future__ import annotations

import environment

environment.enter()

import argparse  # noqa: E402  # from here on in the environment of the peers
import os  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402

import harness  # noqa: E402
import load  # noqa: E402
import races  # noqa: E402
import report  # noqa: E402
from contenders import can_pin  # noqa: E402
from mnist_files import read_mnist  # noqa: E402

ONE_THREAD = ", one thread"  # what the name of a section ends with
FILES = environment.ROOT / "src" / "miniflow" / "datasets" / "data"


def main() -> int:
    """Run the races asked for; 1 if one was refused."""
    options = parse()
    chosen = [race for name in options.races for race in races.find(name)] or list(races.RACES)
    say = report.warn
    say(load.sentence(load.cores_used_by_others()).replace("meanwhile", "just now"))
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        races.write(read_mnist(options.data), Path(folder))
        for race in chosen:
            race = races.shortened(race) if options.quick else race
            shown = replace(race, name=race.name + ONE_THREAD) if options.one_thread else race
            say(f"{shown.name}: {race.title}")
            terms = harness.Terms(
                options.rounds or race.rounds,
                options.seconds,
                options.quick,
                options.only,
                options.one_thread,
                say,
            )
            try:
                if race.kind == "cold":
                    entries, others = harness.run_cold(race, options.data, terms)
                else:
                    entries, others = harness.run(race, Path(folder), terms)
            except harness.DisagreementError as error:
                say(f"  {shown.name} is refused: {error}")
                refused = 1
                continue
            rows, notes = report.table(shown, entries)
            notes += filter(None, [load.sentence(others)])
            print(report.as_text(shown, rows, notes), flush=True)
            if not options.quick and not options.only:
                section = report.as_markdown(shown, rows, notes)
                order = [r.name + ending for r in races.RACES for ending in ("", ONE_THREAD)]
                report.write({shown.name: section}, order)
    return refused


def parse() -> argparse.Namespace:
    """The command line; RACE in the environment stands in for names on it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("races", nargs="*", help=f"of {', '.join(r.name for r in races.RACES)}")
    parser.add_argument(
        "--rounds", type=int, help="rounds a race (default: 15, fewer for long ones)"
    )
    parser.add_argument(
        "--seconds", type=float, default=90, help="the longest that rounds may take"
    )
    parser.add_argument("--quick", action="store_true", help="3 short rounds; writes nothing")
    parser.add_argument(
        "--only", default="", help="contenders with this in their names; writes nothing"
    )
    parser.add_argument(
        "--one-thread", action="store_true", help="each contender with one thread, on one core"
    )
    parser.add_argument("--data", type=Path, default=FILES, help="a folder of MNIST's four files")
    options = parser.parse_args()
    if options.one_thread and not can_pin():
        parser.error("--one-thread: this system does not let a process choose its core")
    options.races = options.races or os.environ.get("RACE", "").replace(",", " ").split()
    if unknown := [name for name in options.races if not races.find(name)]:
        parser.error(f"there is no race {', '.join(unknown)}; see --help")
    return options


if __name__ == "__main__":
    sys.exit(main())
