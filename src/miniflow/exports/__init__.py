"""Exports: a model, or a whole training step, as one file that needs no miniflow.

    mf.export(model, "digits.onnx")                  # for onnxruntime, a phone, a server
    mf.export(step, "step.onnx")                     # state in; state and loss out
    mf.export(model, "digits.c")                     # for whatever has a compiler for C; steps, too
    mf.export(model, "digits.js")                    # a module, for a page or for Node

`export` says what is written by the file's ending; the programs are printed by `backends/`. What a
file says of itself is in `facts`, the JavaScript module in `module`.
"""

from miniflow.exports.formats import export
from miniflow.exports.module import to_javascript

__all__ = ["export", "to_javascript"]
