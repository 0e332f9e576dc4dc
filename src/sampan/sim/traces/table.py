"""Tables: rows of text files, with errors that say where."""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from sampan.base.errors import InvalidArgument, NotFound
from sampan.kube import quantity


class Row(NamedTuple):
    """`cells` by column; what a file does not have is empty."""

    where: str
    cells: dict[str, str]

    def text(self, column: str, default: str = "") -> str:
        return self.cells.get(column) or default

    def number(self, column: str, default: str = "") -> float:
        """Return a number that is not negative.

        Raises:
            InvalidArgument: it is none.
        """
        text = self.text(column, default)
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not found >= 0:
            raise InvalidArgument(f"{self.where}: {column} is {text!r}: a number that is not negative is wanted")
        return found

    def whole(self, column: str, default: str = "", least: int | None = 0) -> int:
        """Return a whole number. Raises InvalidArgument where it is none, or is below the least."""
        text = self.text(column, default)
        try:
            found = int(text)
        except ValueError:
            raise InvalidArgument(f"{self.where}: {column} is {text!r}: a whole number is wanted") from None
        if least is not None and found < least:
            raise InvalidArgument(f"{self.where}: {column} is {text}: at least {least} is wanted")
        return found

    def amount(self, column: str, unit: int = 1) -> int:
        """Return a quantity such as 500m or 2Gi in parts of which `unit` are one, rounded up; 0 where it is empty."""
        text = self.text(column, "0")
        try:
            found = math.ceil(quantity.parse(text).amount * unit)
        except quantity.QuantityError as error:
            raise InvalidArgument(f"{self.where}: {column} is {text!r}: {error}") from None
        if found < 0:
            raise InvalidArgument(f"{self.where}: {column} is {text}: at least 0 is wanted")
        return found


def head(path: Path) -> list[str]:
    """Return the names of a CSV file's columns."""
    with opened(path) as file:
        return next(csv.reader(file), [])


def rows(path: Path) -> Iterator[Row]:
    """Return the rows of a CSV file whose first line names its columns.

    Raises:
        NotFound, InvalidArgument
    """
    with opened(path) as file:
        reader = csv.reader(file)
        columns = next(reader, [])
        for cells in reader:
            if not cells:
                continue
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(columns):
                raise InvalidArgument(f"{where}: there are {len(cells)} cells for {len(columns)} columns")
            yield Row(where, dict(zip(columns, cells, strict=True)))


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """Open a text file, unpacked where its name ends in .gz.

    Raises:
        NotFound, InvalidArgument: it is not there, or is no text.
    """
    try:
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(newline="") as file:
            yield file
    except FileNotFoundError:
        raise NotFound(f"{path} is not there: name a trace's file or folder") from None
    except (UnicodeDecodeError, csv.Error, OSError, EOFError) as error:
        raise InvalidArgument(f"{path} cannot be read as text: {error}") from None
