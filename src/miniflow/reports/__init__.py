"""What a training run leaves to be looked at: PNG files, drawn with Pillow alone, and one page.

`learning_curve` shows how loss and accuracy went, `confusion_matrix` which classes are taken for
which, `worst_mistakes` the very pictures that went wrong, and `attention_maps` where a network that
writes looks. Each is one module, and draws on the
canvas of `miniflow.pictures`; what they share, their sizes, colours and heading, is in `paper`. The
same input gives the same bytes. `report` puts them, and what else there is to be shown, into one
HTML file.
"""

from miniflow.reports.attention import attention_maps
from miniflow.reports.confusion import confusion_matrix
from miniflow.reports.curve import learning_curve
from miniflow.reports.mistakes import worst_mistakes
from miniflow.reports.report import Section, picture_section, write_report

__all__ = [
    "Section",
    "attention_maps",
    "confusion_matrix",
    "learning_curve",
    "picture_section",
    "worst_mistakes",
    "write_report",
]
