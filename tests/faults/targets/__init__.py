"""What is fuzzed: a `Target` makes an input from a seed, and uses it as a person would.

`prepare` writes the input into the target's folder and `use` reads it there; only `use` is watched.
It may raise `MiniflowError` or `OSError`; anything else is a defect, and so is what a target's own
look at the result finds wrong (an AssertionError).

Files with a checksum (models, checkpoints, PNG, zip, gzip) are changed in two ways: as they are,
which the checksum finds out, and inside, with a new checksum, so that what lies behind it is
reached.

One file a kind of input; `target` has what they share. The order in which they stand here is part
of what the number of an input means.
"""

import warnings

import miniflow as mf
from miniflow.datasets import Dataset, Splits, digits
from miniflow.errors import MiniflowError
from targets.command import Command
from targets.models import Checkpoints, Models
from targets.pictures import Pictures
from targets.tables import Idx, Npz
from targets.target import Target

TARGETS: list[type[Target]] = [Models, Checkpoints, Idx, Npz, Pictures, Command]
DECLARED = (MiniflowError, OSError)


def make_quick() -> None:
    """What takes long and is not what is looked at: of MNIST, a few images are enough; a run's
    pictures, which take longer to draw than such a run, are empty files.
    """
    from miniflow import reports

    whole = mf.datasets.mnist()
    few = Splits(*(Dataset(d.images[:200], d.labels[:200], image_shape=(28, 28)) for d in whole))
    digits._load_embedded = lambda: few  # type: ignore[assignment]

    for name, place in (("learning_curve", 1), ("confusion_matrix", 2), ("worst_mistakes", 3)):
        setattr(
            reports,
            name,
            lambda *given, place=place, **options: given[place].write_bytes(b""),
        )
    warnings.simplefilter("error")
