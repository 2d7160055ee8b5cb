"""A training that several devices or processes share: what all of them have to agree on."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from miniflow.backends import find, names
from miniflow.distributed.meeting import meeting
from miniflow.options import OptionError

if TYPE_CHECKING:
    from miniflow.training.fit import Training


def check_divides(backend: str, batch_size: int, examples: int | None) -> None:
    """See that each batch, the last of an epoch, too, can be divided over the devices.

    Raises OptionError, before anything is trained, if one cannot.

    >>> check_divides("numpy", 100, 1050)
    """
    if backend not in names("devices"):
        return
    count = find(backend).devices()
    last = (examples or 0) % batch_size
    for rows, which in ((batch_size, "a batch"), (last, "the last batch of an epoch")):
        if rows % count:
            advice = f"a batch_size of which {count} is a divisor"
            if which != "a batch":
                advice = f"{examples // count * count:,} examples"  # type: ignore[operator]
            raise OptionError(
                f"fit: {which} has {rows:,} rows, which cannot be divided evenly over {count} "
                f"devices: take {advice}, or fewer devices."
            )


def seed_for_all(rng: Any) -> Any:
    """What `rng` stands for, the same in each process: where nothing is said, a seed that process 0
    draws.
    """
    together = meeting()
    if together is None or rng is not None:
        return rng
    return together.share(int(np.random.SeedSequence().entropy) % 2**63)  # type: ignore[arg-type]


def check_all_begin_alike(training: Training) -> None:
    """See that each process begins with the same parameters, in the same epoch, with the same
    random numbers.

    Raises MeetingError if they do not.
    """
    together = meeting()
    if together is None:
        return
    state = json.dumps(training.rng.bit_generator.state, default=str)
    digest = hashlib.sha256(f"{training.epoch} {training.batch_size} {state}".encode())
    arrays = [parameter.value for parameter in training.parameters]
    for array in [*arrays, *training.optimizer.state.values()]:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    together.check_same("the parameters, or the random numbers, of the training", digest.hexdigest())
