"""The compiler: `compile` makes one program of a graph for each combination of shapes."""

from miniflow.compiler.compiled import Compiled, compile

__all__ = ["Compiled", "compile"]
