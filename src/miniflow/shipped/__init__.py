"""The model that comes with miniflow: a convolutional network that reads handwritten digits.

    mf.load(DIGITS_FILE)     in Python
    miniflow page digits     on the command line, where it is called DIGITS

It is what `make page-model` trains, and nothing else: a model file like any other, which says in
its notes how it was trained. README.md in this folder says how good it is.
"""

import os

DIGITS = "digits"
DIGITS_FILE = os.path.join(os.path.dirname(__file__), f"{DIGITS}.safetensors")
