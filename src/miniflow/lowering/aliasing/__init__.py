"""What may be written where it is read: decided here, and nowhere else.

A new value may be computed in the memory of an old one if nobody reads the old one later, and
nothing that comes later can fail (`rule`): a step that raises leaves all parameters as they were.
What is written and read in one go asks more. `groups` decides it for the groups of loop programs,
where an array is read row by row; `arrays` for NumPy's whole arrays, where it is an equation that
reads and writes.

Which memory is used again for something else, once a value is not needed any more, is another
question: `lowering.placing` and `lowering.memory` answer that.
"""

from miniflow.lowering.aliasing.arrays import (
    ArrayFacts,
    ArrayUpdates,
    StorageRule,
    find_dying_operand,
    join_parts,
    variables_read,
)
from miniflow.lowering.aliasing.groups import find_homes, find_safe_indexing, may_raise

__all__ = [
    "ArrayFacts",
    "ArrayUpdates",
    "StorageRule",
    "find_dying_operand",
    "find_homes",
    "find_safe_indexing",
    "join_parts",
    "may_raise",
    "variables_read",
]
