"""Create the virtual environment that the Makefile installs into, or say what is missing for it."""

import sys


def main(folder: str) -> int:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):
        print(
            "miniflow needs Python 3.11 or newer, and this is %s (%s).\n"
            "Name another one: make PYTHON=python3.12 ..." % (version, sys.executable)
        )
        return 1
    try:
        import ensurepip
        import venv
    except ImportError:
        print(
            "This Python (%s) comes without venv: install it with your system's package manager\n"
            "(on Debian and Ubuntu: sudo apt install python3-venv), then try again." % version
        )
        return 1
    print("Creating %s with Python %s (pip %s) ..." % (folder, version, ensurepip.version()))
    venv.create(folder, with_pip=True, clear=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
