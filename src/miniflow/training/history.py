"""What a training leaves to be looked at: one row an epoch."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, overload

from miniflow.files.atomic import write_text
from miniflow.options import OptionError, file_path


class Epoch(NamedTuple):
    """One row.

    epoch: counted from 1.
    loss: the mean over the epoch's examples, each seen with the parameters of its moment.
    accuracy: the same for the share of examples recognised; None if that cannot be told.
    validation_loss, validation_accuracy: after the epoch; None without validation data.
    seconds: how long the epoch took, validation included.
    learning_rate: that of the epoch's last update.
    metrics: of several losses each by its name, and its accuracy ("a_accuracy"), and those that
        were asked for, name → value: "auc" over the epoch's examples, each seen
        with the parameters of its moment, "validation_auc" after the epoch. They are attributes
        of the row, too: `row.validation_auc`.
    """

    epoch: int
    loss: float
    accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float
    learning_rate: float
    metrics: dict[str, float] = {}  # noqa: RUF012 - nobody writes to it

    def __getattr__(self, name: str) -> float:
        if not name.startswith("_") and name in self.metrics:
            return self.metrics[name]
        there = ", ".join(self.columns())
        raise AttributeError(f"the history has no column {name!r}; it has {there}")

    def columns(self) -> dict[str, float | None]:
        """All columns by name, with those of the metrics at the end."""
        fields: dict[str, Any] = self._asdict()
        metrics: dict[str, Any] = fields.pop("metrics")
        return {**fields, **metrics}


COLUMNS = Epoch._fields[:-1]


class History(Sequence[Epoch]):
    """The epochs of a training, in order: a read-only sequence of `Epoch`s. A column is there by
    its name: `history["loss"]`.

    Args:
        rows: `Epoch`s; none by default.

    Attributes:
        backend: what ran the steps; "" if there was none.
        reason: why it was that backend, in a few words.

    >>> history = History([Epoch(1, 0.5, 0.9, None, None, 1.25, 0.1)])
    >>> len(history), history[-1].loss
    (1, 0.5)
    >>> print(history.csv(), end="")
    epoch,loss,accuracy,validation_loss,validation_accuracy,seconds,learning_rate
    1,0.5,0.9,,,1.25,0.1
    """

    def __init__(self, rows: Iterable[Epoch] = ()) -> None:
        self.rows = list(rows)
        self.backend = self.reason = ""

    @overload
    def __getitem__(self, index: int) -> Epoch: ...
    @overload
    def __getitem__(self, index: slice) -> list[Epoch]: ...
    @overload
    def __getitem__(self, index: str) -> list[float | None]: ...
    def __getitem__(self, index: int | slice | str) -> Epoch | list[Epoch] | list[float | None]:
        if not isinstance(index, str):
            return self.rows[index]
        if index not in (columns := self.columns()):
            raise OptionError(
                f"The history has no column {index!r}; there are {', '.join(columns)}."
            )
        return [row.columns().get(index) for row in self.rows]

    def columns(self) -> list[str]:
        """The names of the columns, in order."""
        return list(dict.fromkeys([*COLUMNS, *(n for row in self.rows for n in row.metrics)]))

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<History of {len(self)} epochs{f': {self.rows[-1]}' if self.rows else ''}>"

    def why_backend(self) -> str:
        """What ran the steps, and why that and nothing faster, in one line.

        >>> import miniflow as mf
        >>> W = mf.Parameter([2.0], "W")
        >>> data = {mf.Input("x"): [[0.0]]}
        >>> loss = mf.MSE(W, [0.0]) + 0.0 * mf.Sum(*data)
        >>> mf.fit(loss, data, mf.SGD(0.1), backend="numpy", progress="none").why_backend()
        'numpy: it was asked for by name'
        """
        return f"{self.backend}: {self.reason}" if self.backend else "there was no step"

    def csv(self) -> str:
        """A table with a header and a line for each epoch; what is None is left empty. Metrics come
        last.
        """
        names = self.columns()
        lines = [",".join(names)]
        for row in self.rows:
            fields = (row.columns().get(name) for name in names)
            lines.append(",".join("" if field is None else repr(field) for field in fields))
        return "".join(line + "\n" for line in lines)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write `csv()` to a file, in one step. Raises OSError if it cannot be written."""
        write_text(file_path("to_csv", path), self.csv())
