"""From a photo to a digit: the model that comes with miniflow, a picture, and an answer.

Give it photographs of handwritten digits. Without any, it draws one itself, on paper with a shadow.
What the network sees, 28 × 28 pixels, is shown as text beside the answer.

    python examples/photo_to_digit.py my_photo.jpg
"""

import sys

import numpy as np
from PIL import Image, ImageDraw

import miniflow as mf
from miniflow.digit_images import read_digit
from miniflow.shipped import DIGITS_FILE


def draw_a_two(path):
    """A two in ink, on paper that is darker to one side."""
    light = np.linspace(235, 150, 320)[np.newaxis, :] * np.ones((240, 1))
    picture = Image.fromarray(light.astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    pen.line(
        [(130, 90), (150, 65), (180, 65), (195, 90), (180, 120), (130, 175), (200, 175)],
        fill=40,
        width=9,
    )
    picture.save(path)
    return path


def main(*paths):
    model = mf.load(DIGITS_FILE)
    answers = []
    for path in paths or [draw_a_two("two.png")]:
        read = read_digit(path)
        if read.trouble:
            print(f"{path}: {read.trouble}")
            continue
        logits = model(read.pixels.reshape(1, 784))[0].astype(float)
        probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        digit = int(probabilities.argmax())
        for row in read.pixels.reshape(28, 28)[::2]:
            print("".join(" .:+#@"[min(5, int(6 * x))] for x in row))
        print(f"{path}: {digit}, with a probability of {probabilities[digit]:.1%}")
        answers.append(digit)
    return answers


if __name__ == "__main__":
    main(*sys.argv[1:])
