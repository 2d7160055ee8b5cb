"""Training: `fit`, and all that a training needs beside the graph."""

from miniflow.training.fit import fit
from miniflow.training.training import Training

__all__ = ["Training", "fit"]
