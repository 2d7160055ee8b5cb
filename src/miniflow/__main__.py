"""`python -m miniflow` is the command `miniflow`."""

from miniflow.cli import main

if __name__ == "__main__":
    main()
