"""Several processes, on one machine or many, that train one model together, through JAX.

    mf.distributed.initialize("node-a:9900", hosts=4, host=2)

Each process runs the same program, has its own devices, and computes its own rows of each batch.
`places` says which process this is; `meeting` is how they find each other, and notice when one is
gone; `joining` makes JAX's devices those of all of them; `estimating` says what many devices would
bring. One process alone is a meeting of one, and pays for nothing.
"""

from miniflow.distributed.estimating import Estimate, estimate
from miniflow.distributed.joining import initialize, leave
from miniflow.distributed.meeting import is_first, process_count, process_index

__all__ = [
    "Estimate",
    "estimate",
    "initialize",
    "is_first",
    "leave",
    "process_count",
    "process_index",
]
