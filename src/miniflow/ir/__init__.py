"""The array IR: a `Program` is a list of single-assignment equations over a small set of
primitives.

Read in this order:

- `dtypes`: the type of a value (dtype, shape, and whether it is an array or a number);
- `program`: the immutable records, `Variable`, `Literal`, `Equation`, `Program`;
- `rules`: the parts from which types are inferred, all asked of NumPy itself;
- `primitive`, `primitives`: the table, and the record of which it is made; each entry holds a
  primitive's type rule, its NumPy meaning and its cost;
- `indexing`: the table's entries that read and write parts of arrays;
- `loop`: its one loop, `scan`, whose body is a program;
- `build`: `Builder`, which writes programs and infers every type on the way;
- `check`, `evaluate`, `cost`, `text`: verify a program, run it, estimate it, print it;
- `store`: a program as JSON, and back, as model files hold it.
"""

from miniflow.ir.build import Builder
from miniflow.ir.check import check
from miniflow.ir.cost import Cost, ProgramCost, cost, equation_cost, peak_memory
from miniflow.ir.dtypes import DTYPES, ProgramError, Value, ValueType, dtype_name, type_of
from miniflow.ir.evaluate import evaluate
from miniflow.ir.indexing import brackets, slice_index
from miniflow.ir.primitive import Primitive
from miniflow.ir.primitives import PRIMITIVES, infer
from miniflow.ir.program import (
    Constant,
    Equation,
    Input,
    Literal,
    Operand,
    Origin,
    Output,
    Params,
    Program,
    Variable,
    count_uses,
    handed_out,
    is_number,
    number_to_check,
)
from miniflow.ir.text import Namer, equation_lines, identifier

__all__ = [
    "DTYPES",
    "PRIMITIVES",
    "Builder",
    "Constant",
    "Cost",
    "Equation",
    "Input",
    "Literal",
    "Namer",
    "Operand",
    "Origin",
    "Output",
    "Params",
    "Primitive",
    "Program",
    "ProgramCost",
    "ProgramError",
    "Value",
    "ValueType",
    "Variable",
    "brackets",
    "check",
    "cost",
    "count_uses",
    "dtype_name",
    "equation_cost",
    "equation_lines",
    "evaluate",
    "handed_out",
    "identifier",
    "infer",
    "is_number",
    "number_to_check",
    "peak_memory",
    "slice_index",
    "type_of",
]
