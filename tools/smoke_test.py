"""Build what is released, install it where nothing else is, and see that it works.

A wheel and a source distribution are built into build/dist. The wheel is installed into an empty
environment, with what it needs and nothing more, and used from an empty folder: trained, saved,
drawn, exported, the lab, the command. Then the source distribution is installed in its place.

    python tools/smoke_test.py
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "build" / "dist"
LARGEST = 16_000_000  # bytes of the wheel

USE_IT = """
import sys
import numpy as np
import miniflow as mf
assert "rich" not in sys.modules and "PIL" not in sys.modules

X, y = mf.Input("X"), mf.Input("y")
W, b = mf.Parameter(np.zeros((784, 10), "f4"), "W"), mf.Parameter(np.zeros(10, "f4"), "b")
loss = mf.CrossEntropyWithSoftmax(mf.Linear(X, W, b, name="logits"), y)
digits = mf.datasets.mnist()
data = mf.datasets.Dataset(digits.train.images[:5000], digits.train.labels[:5000])
history = mf.fit(loss, data, mf.SGD(0.5), epochs=5, rng=0, progress="none", backend="numpy")
right = mf.accuracy(loss, {X: digits.test.images, y: digits.test.labels})
assert right > 0.8, right
mf.save(loss, "model.safetensors")
model = mf.load("model.safetensors", backend="numpy")
assert (model.predict(digits.test.images[:1000]) == digits.test.labels[:1000]).mean() > 0.8
mf.export(model, "model.onnx")
mf.export(model, "model.js")
mf.draw(loss).save("loss.svg")
mf.draw(loss).save("loss.html")
assert len(mf.datasets.names().train) > 20_000
print(mf.__version__, f"{right:.3f}")
"""


def run(*words: str | Path, folder: Path = ROOT) -> str:
    """What a command prints; if it fails, everything that it said."""
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    ended = subprocess.run(
        list(map(str, words)), cwd=folder, env=clean, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def main() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    (wheel,), (source,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    for path in (wheel, source):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    if wheel.stat().st_size > LARGEST:
        sys.exit(f"{wheel.name} is larger than {LARGEST:,} bytes.")

    with tempfile.TemporaryDirectory() as name:
        empty = Path(name) / "work"
        empty.mkdir()
        venv.create(Path(name) / "env", with_pip=True)
        scripts = Path(name) / "env" / ("Scripts" if os.name == "nt" else "bin")
        python, miniflow = scripts / "python", scripts / "miniflow"
        install = (python, "-m", "pip", "install", "--quiet", "--no-compile")
        run(*install, wheel)
        print("wheel:", run(python, "-c", USE_IT, folder=empty).strip())
        run(miniflow, "page", "digits", "-o", "digits.html", folder=empty)
        run(miniflow, "lab", "start", folder=empty)
        grades = run(miniflow, "lab", "list", folder=empty / "miniflow-lab")
        if "mul" not in grades:
            sys.exit(f"miniflow lab list says:\n{grades}")
        run(*install, "--force-reinstall", "--no-deps", source)
        print("source distribution:", run(miniflow, "--version", folder=empty).strip())


if __name__ == "__main__":
    main()
