"""The pictures that a training run leaves behind: PNG files, drawn with Pillow alone.

`learning_curve` shows how loss and accuracy went, `confusion_matrix` which classes are taken for
which, and `worst_mistakes` the very pictures that went wrong. Each is one room; what they share,
the page, its type, its colours and its ticks, is in `drawing`. The same input gives the same bytes.
"""

from miniflow.reports.confusion import confusion_matrix
from miniflow.reports.curve import learning_curve
from miniflow.reports.mistakes import worst_mistakes

__all__ = ["confusion_matrix", "learning_curve", "worst_mistakes"]
