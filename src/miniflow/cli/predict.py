"""`miniflow predict`: which digit is in this picture?"""

import json
import sys
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import typer

from miniflow.cli.classifiers import load_classifier, pixels_of, probabilities_of
from miniflow.cli.runs import find_model
from miniflow.errors import DataError
from miniflow.models import Model

BAR = 40  # characters of a probability of one


@dataclass(frozen=True)
class Prediction:
    """What is known of a picture; `digit` and `probabilities` are None if it is empty or unread."""

    image: str
    digit: int | None = None
    probabilities: list[float] | None = None
    empty: bool = False
    error: str | None = None


def predict(
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Pictures of a digit.")],
    model: Annotated[
        str | None,
        typer.Option(metavar="FILE|RUN", help="A model file or run folder.  [default: latest run]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: a JSON list.")] = False,
) -> None:
    """Say which digit a picture shows, and how probable each digit is.

    \b
    Examples:
      miniflow predict three.png
      miniflow predict --model runs/mnist-mlp photos/*.jpg
      miniflow predict --json three.png

    A picture may be a PNG, JPEG, BMP, GIF, TIFF, WebP or PPM of any size, dark on light or light
    on dark. If one cannot be read, that is said, the others are still looked at, and the exit
    code is 1.
    """  # noqa: D301 (\b keeps the lines apart)
    path, _ = find_model(model)
    classifier = load_classifier(path)
    if pixels_of(classifier) != 28 * 28:
        raise DataError(
            f"{path}: is a model for {pixels_of(classifier)} pixels; pictures are made into "
            "28 × 28."
        )
    predictions = [predict_one(classifier, image) for image in images]
    if as_json:
        typer.echo(json.dumps([as_dict(p) for p in predictions], indent=2))
    else:
        show = bars if sys.stdout.isatty() else line
        for prediction in predictions:
            if prediction.error is not None:
                typer.echo(f"error: {prediction.error}", err=True)
            else:
                typer.echo(show(prediction))
    if any(prediction.error is not None for prediction in predictions):
        raise typer.Exit(1)


def predict_one(classifier: Model, image: str) -> Prediction:
    """What the model sees in one picture."""
    from miniflow.digit_images import read_digit

    try:
        seen = read_digit(image)
    except (DataError, OSError) as error:
        return Prediction(image, error=str(error))
    if seen.empty:
        return Prediction(image, empty=True)
    (probabilities,) = probabilities_of(classifier, seen.pixels.reshape(1, -1))
    return Prediction(image, int(np.argmax(probabilities)), [float(p) for p in probabilities])


def as_dict(prediction: Prediction) -> dict[str, object]:
    """A prediction for JSON: the error is left out where there is none."""
    found = {name: value for name, value in vars(prediction).items() if name != "error"}
    return found if prediction.error is None else found | {"error": prediction.error}


def line(prediction: Prediction) -> str:
    """A prediction in one line, for files and other programs."""
    if prediction.probabilities is None:
        return f"{prediction.image}: empty"
    each = " ".join(f"{digit}:{p:.4f}" for digit, p in enumerate(prediction.probabilities))
    return f"{prediction.image}: {prediction.digit}  {each}"


def bars(prediction: Prediction) -> str:
    """A prediction for a person: the digit, and a bar for each.

    >>> print(bars(Prediction("three.png", 1, [0.25, 0.75])))
    three.png: 1
      0  25.00 %  ██████████
      1  75.00 %  ██████████████████████████████
    <BLANKLINE>
    """
    if prediction.probabilities is None:
        return f"{prediction.image}: empty, nothing stands out from the background\n"
    lines = [f"{prediction.image}: {prediction.digit}"]
    for digit, p in enumerate(prediction.probabilities):
        lines.append(f"  {digit} {100 * p:6.2f} %  {bar(p)}".rstrip())
    return "\n".join([*lines, ""])


def bar(share: float) -> str:
    """A bar in eighths of a character.

    >>> bar(0.25), bar(0.01)
    ('██████████', '▍')
    """
    whole, eighths = divmod(round(share * BAR * 8), 8)
    return "█" * whole + " ▏▎▍▌▋▊▉"[eighths].strip()
