"""The compiler: `compile` makes one program of a graph for each combination of shapes."""

from miniflow.compiler.compiled import Compiled
from miniflow.compiler.compiling import compile

__all__ = ["Compiled", "compile"]
