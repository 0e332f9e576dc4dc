"""Tables: rows of text files, with errors that say where."""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from sampan.base.errors import InvalidArgument, NotFound
from sampan.kube import quantity

MOST = 10**15
"""Amounts and numbers are no larger: what they add up to on thousands of machines can still be counted in 64 bits."""


class Row(NamedTuple):
    """`cells` by column; what a file does not have is empty."""

    where: str
    cells: dict[str, str]

    def text(self, column: str, default: str = "") -> str:
        return self.cells.get(column) or default

    def number(self, column: str, *, endless: bool = False) -> float:
        """Return a number that is not negative, and infinite only where it may be `endless`.

        Raises:
            InvalidArgument: it is none.
        """
        text = self.text(column)
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not 0 <= found <= (math.inf if endless else MOST):
            wanted = f"a number that is not negative is wanted, {'or inf' if endless else f'at most {MOST:.0e}'}"
            raise InvalidArgument(f"{self.where}: {column} is {text!r}: {wanted}")
        return found

    def parts(self, column: str, unit: int) -> int:
        """Return a number in parts of which `unit` are one, rounded up."""
        return self._counted(column, math.ceil(self.number(column) * unit))

    def whole(self, column: str, default: str = "", least: int = 0, most: int = MOST) -> int:
        """Return a whole number. Raises InvalidArgument where it is none, or is out of range."""
        text = self.text(column, default)
        try:
            found = int(text)
        except ValueError:
            raise InvalidArgument(f"{self.where}: {column} is {text!r}: a whole number is wanted") from None
        return self._counted(column, found, least, most)

    def amount(self, column: str, unit: int = 1) -> int:
        """Return a quantity such as 500m or 2Gi in parts of which `unit` are one, rounded up; 0 where it is empty."""
        text = self.text(column, "0")
        try:
            found = math.ceil(quantity.parse(text).amount * unit)
        except quantity.QuantityError as error:
            raise InvalidArgument(f"{self.where}: {column} is {text!r}: {error}") from None
        return self._counted(column, found)

    def _counted(self, column: str, found: int, least: int = 0, most: int = MOST) -> int:
        if not least <= found <= most:
            bound = f"at least {least}" if found < least else f"at most {most:,}"
            raise InvalidArgument(f"{self.where}: {column} is {self.text(column)}: {bound} is wanted")
        return found


def head(path: Path) -> list[str]:
    """Return the names of a CSV file's columns.

    Raises:
        NotFound, InvalidArgument
    """
    with opened(path) as file:
        return _head(path, csv.reader(file))


def rows(path: Path) -> Iterator[Row]:
    """Return the rows of a CSV file whose first line names its columns.

    Raises:
        NotFound, InvalidArgument
    """
    with opened(path) as file:
        reader = csv.reader(file)
        columns = _head(path, reader)
        for cells in reader:
            if not cells:
                continue
            where = f"{path}, line {reader.line_num}"
            if len(cells) != len(columns):
                raise InvalidArgument(f"{where}: there are {len(cells)} cells for {len(columns)} columns")
            yield Row(where, dict(zip(columns, map(str.strip, cells), strict=True)))


def _head(path: Path, lines: Iterator[list[str]]) -> list[str]:
    columns = [name.strip() for name in next(lines, [])]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgument(f"{path} has two columns {twice!r}: give each a name of its own in its first line")
    return columns


@contextmanager
def opened(path: Path) -> Iterator[IO[str]]:
    """Open a text file in UTF-8, with a byte order mark or without, unpacked where its name ends in .gz.

    Raises:
        NotFound, InvalidArgument: it is not there, or is no text.
    """
    try:
        how = gzip.open if path.suffix == ".gz" else open
        with how(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except FileNotFoundError:
        raise NotFound(f"{path} is not there: name a trace's file or folder") from None
    except IsADirectoryError:
        raise InvalidArgument(f"{path} is a folder: name a file in it") from None
    except (UnicodeDecodeError, csv.Error, OSError, EOFError, zlib.error) as error:
        raise InvalidArgument(f"{path} cannot be read as text: {error}") from None
