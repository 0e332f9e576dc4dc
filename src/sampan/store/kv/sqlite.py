"""SqliteStore: the log in one SQLite file (WAL, synchronous=FULL), with one writer thread and group commit.

The writer takes all batches that wait, commits them as one transaction with one sync, and wakes the loop once. A failed
sync or COMMIT is never tried again: the process ends, and the next start reads what is there. Only a full disk is an
answer: nothing of the group is kept. Values are packed (`cipher.py`): compressed, and encrypted where that is on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from sampan.base import crash
from sampan.base import log as logging
from sampan.base.clock import Clock
from sampan.base.errors import DataLoss, Exhausted, SampanError, Unavailable
from sampan.store.kv.cipher import Packer, Plain
from sampan.store.kv.local import LocalStore
from sampan.store.kv.log import Done, LeaseRow, Opened
from sampan.store.kv.row import SUB_BITS, Row

_FORMAT = 1
_PAGE_BYTES = 16 * 1024
_GROUP_ROWS = 512
_CHECKPOINT_PAGES = 1000
_COMPACT_SLICE = 500
_EXIT_CODE = 74  # sysexits.h EX_IOERR
_SCHEMA = f"""
BEGIN;
CREATE TABLE log (id INTEGER PRIMARY KEY, key TEXT NOT NULL, created INTEGER NOT NULL, version INTEGER NOT NULL,
                  lease INTEGER NOT NULL, previous INTEGER NOT NULL, value BLOB);
CREATE INDEX log_key ON log (key, id);
CREATE TABLE lease (id INTEGER PRIMARY KEY, ttl_s INTEGER NOT NULL);
CREATE TABLE mark (name TEXT PRIMARY KEY, revision INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {_FORMAT};
COMMIT;
"""
_HEADS = "SELECT l.id, l.key, l.created, l.version, l.lease, l.previous, l.value IS NULL FROM log l"
_NEWEST = f"{_HEADS} JOIN (SELECT max(id) AS id FROM log GROUP BY key) n ON n.id = l.id"  # noqa: S608
_DEAD = (
    "SELECT id FROM log l WHERE id > ? AND id < ? AND (value IS NULL OR "
    "EXISTS (SELECT 1 FROM log n WHERE n.key = l.key AND n.id > l.id AND n.id < ?)) ORDER BY id LIMIT ?"
)

_logger = logging.get("store.kv")


class _Batch(NamedTuple):
    epoch: int
    rows: Sequence[Row]
    leases: Sequence[LeaseRow]
    done: Done
    compact: int = 0  # drop what only reads before this revision need


class SqliteLog:
    """Make it and call it on the loop; the writer has a thread of its own."""

    def __init__(self, path: str | os.PathLike[str], *, synchronous: str, packer: Packer, cache_bytes: int) -> None:
        self._path = os.path.abspath(path)
        self._packer = packer
        self._synchronous = synchronous
        self._queue: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._gathered: list[_Batch | None] = []
        self._failed_epoch = -1
        self._writer = self._open_file()
        self._reader = self._open_reader()
        self._lock = threading.Lock()
        self._cache = _Cache(cache_bytes)
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="kv-writer", daemon=True)
        self._thread.start()

    def open(self) -> Opened:
        live: list[Row] = []
        deleted: list[Row] = []
        for number, key, created, version, lease, previous, gone in self._reader.execute(_NEWEST):
            row = Row(number, key, created, version, lease, previous, None if gone else b"")
            (deleted if gone else live).append(row)
        leases = [LeaseRow(*row) for row in self._reader.execute("SELECT id, ttl_s FROM lease")]
        marks = dict(self._reader.execute("SELECT name, revision FROM mark").fetchall())
        newest = self._reader.execute("SELECT max(id) FROM log").fetchone()[0] or 0
        revision = max(newest >> SUB_BITS, marks.get("revision", 0))
        return Opened(live, deleted, leases, revision, marks.get("compacted", 0))

    # --- reads --------------------------------------------------------------------------------------------------------

    def values(self, ids: Sequence[int]) -> list[bytes]:
        found = {number: value for number in ids if (value := self._cache.get(number)) is not None}
        missing = [number for number in ids if number not in found]
        if len(missing) == 1:
            rows = self._reader.execute("SELECT id, key, value FROM log WHERE id = ?", missing).fetchall()
        elif missing:
            marks = ",".join("?" * len(missing))
            rows = self._reader.execute(f"SELECT id, key, value FROM log WHERE id IN ({marks})", missing).fetchall()  # noqa: S608
        else:
            rows = []
        for number, key, packed in rows:
            found[number] = self._packer.unpack(key, packed)
            if len(missing) == 1:  # what is read in bulk is not read again soon
                self._cache.put(number, found[number])
        try:
            return [found[number] for number in ids]
        except KeyError as error:
            raise DataLoss(f"row {error} of {self._path} is missing") from error

    def find(self, key: str, bound: int) -> Row | None:
        row = self._reader.execute(
            f"{_HEADS} WHERE l.key = ? AND l.id < ? ORDER BY l.id DESC LIMIT 1", (key, bound)
        ).fetchone()
        return _row(row, None if row[6] else b"") if row else None

    async def since(self, first: int, bound: int, prefix: str, limit: int) -> list[tuple[Row, bytes | None]]:
        return await asyncio.to_thread(self._since, first, bound, prefix, limit)

    def _since(self, first: int, bound: int, prefix: str, limit: int) -> list[tuple[Row, bytes | None]]:
        with self._lock, contextlib.closing(self._open_reader()) as reader:
            rows = reader.execute(
                "SELECT l.id, l.key, l.created, l.version, l.lease, l.previous, l.value, p.value "
                "FROM log l LEFT JOIN log p ON p.id = l.previous "
                "WHERE l.id >= ? AND l.id < ? AND substr(l.key, 1, ?) = ? ORDER BY l.id LIMIT ?",
                (first, bound, len(prefix), prefix, limit),
            ).fetchall()
        unpack = self._packer.unpack
        return [
            (
                _row(row, unpack(row[1], row[6]) if row[6] is not None else None),
                unpack(row[1], row[7]) if row[7] is not None else None,
            )
            for row in rows
        ]

    # --- writes -------------------------------------------------------------------------------------------------------

    def append(self, epoch: int, rows: Sequence[Row], leases: Sequence[LeaseRow], done: Done) -> None:
        for row in rows:
            if row.value is not None:
                self._cache.put(row.id, row.value)
        self._send(_Batch(epoch, rows, leases, done))

    def _send(self, batch: _Batch | None) -> None:
        """Give a batch to the writer, with all others of this turn of the loop: a writer that is woken takes the interpreter."""
        self._gathered.append(batch)
        if len(self._gathered) == 1:
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        for batch in gathered:
            self._queue.put(batch)

    async def compact(self, revision: int) -> None:
        future: asyncio.Future[None] = self._loop.create_future()

        def done(error: SampanError | None) -> None:
            if not future.done():
                future.set_exception(error) if error else future.set_result(None)

        self._send(_Batch(0, (), (), done, compact=revision))
        await future

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._send(None)
            await asyncio.to_thread(self._thread.join)
            self._reader.close()

    def _run(self) -> None:
        try:
            while (batch := self._queue.get()) is not None:
                if batch.compact:
                    self._compact(batch)
                    continue
                group, after = self._group(batch)
                self._commit(group)
                if after is None:
                    continue
                if after is _END:
                    break
                self._compact(after)
            self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self._writer.close()
        except BaseException as error:
            _die(error)

    def _group(self, first: _Batch) -> tuple[list[_Batch], _Batch | None]:
        """Return batches that wait and go together, and what came after them that does not."""
        group, size = [first], len(first.rows)
        while size < _GROUP_ROWS:
            try:
                batch = self._queue.get_nowait()
            except queue.Empty:
                break
            if batch is None:
                return group, _END
            if batch.compact:
                return group, batch
            group.append(batch)
            size += len(batch.rows)
        return group, None

    def _commit(self, group: list[_Batch]) -> None:
        fit = [batch for batch in group if batch.epoch > self._failed_epoch]
        error: SampanError | None = None
        if fit:
            error = self._try(fit)
            if error is not None:
                self._failed_epoch = max(batch.epoch for batch in fit)
        refused = Exhausted(f"a write before this one failed for want of space on the disk of {self._path}: try again")
        answers = [(batch.done, error if batch in fit else refused) for batch in group]
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(_tell, answers)

    def _try(self, group: list[_Batch]) -> SampanError | None:
        pack = self._packer.pack
        rows = [
            (*row[:6], pack(row.key, row.value) if row.value is not None else None)
            for batch in group
            for row in batch.rows
        ]
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            for batch in group:
                for lease in batch.leases:
                    if lease.ttl_s:
                        self._writer.execute("INSERT OR REPLACE INTO lease VALUES (?, ?)", lease)
                    else:
                        self._writer.execute("DELETE FROM lease WHERE id = ?", (lease.id,))
            crash.point("kv.commit.before")
            self._writer.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
                _die(error)
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            return Exhausted(f"no space left on the disk of {self._path}: free some and try again")
        crash.point("kv.commit.after")
        return None

    def _compact(self, batch: _Batch) -> None:
        """Drop rows that newer ones replaced, a slice at a time so that writes that wait get their turn."""
        error: SampanError | None = None
        bound = (batch.compact + 1) << SUB_BITS
        try:
            newest = (self._writer.execute("SELECT max(id) FROM log").fetchone()[0] or 0) >> SUB_BITS
            self._mark("compacted", batch.compact)
            self._mark(
                "revision", max(newest, batch.compact)
            )  # a deletion that is dropped may have been the newest row
            after = 0
            while ids := [row[0] for row in self._writer.execute(_DEAD, (after, bound, bound, _COMPACT_SLICE))]:
                self._writer.execute("BEGIN IMMEDIATE")
                self._writer.executemany("DELETE FROM log WHERE id = ?", [(number,) for number in ids])
                self._writer.execute("COMMIT")
                after = ids[-1]
                if not self._queue.empty() and not self._serve_waiting():
                    break
        except sqlite3.OperationalError as failure:
            if getattr(failure, "sqlite_errorcode", None) != sqlite3.SQLITE_FULL:
                _die(failure)
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            error = Exhausted(f"no space left on the disk of {self._path}: history stays as it is")
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(batch.done, error)

    def _serve_waiting(self) -> bool:
        """Commit what waits while a compaction goes on; returns False at the end mark, which is put back."""
        batch = self._queue.get()
        if batch is None:
            self._queue.put(None)
            return False
        if batch.compact:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(batch.done, None)
            return True
        group, after = self._group(batch)
        self._commit(group)
        if after is not None:
            self._queue.put(None if after is _END else after)
        return after is None

    def _mark(self, name: str, revision: int) -> None:
        self._writer.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (name, revision))

    # --- opening ------------------------------------------------------------------------------------------------------

    def _open_file(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
            os.chmod(self._path, 0o600)
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            connection.execute("PRAGMA cache_size = -8192")
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > _FORMAT:
                raise DataLoss(f"{self._path} has format {found} of a newer Sampan (this one knows {_FORMAT}): upgrade")
            if found < _FORMAT:
                connection.executescript(_SCHEMA)
                _sync_directory(os.path.dirname(self._path))
        except sqlite3.Error as error:
            raise _cannot_open(self._path, error) from error
        return connection

    def _open_reader(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{self._path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, timeout=5
        )
        connection.execute("PRAGMA cache_size = -8192")
        return connection


_END = _Batch(0, (), (), lambda _: None)


class _Cache:
    """Values by row, the least recently used one first to go, bounded in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._values: OrderedDict[int, bytes] = OrderedDict()

    def get(self, number: int) -> bytes | None:
        value = self._values.get(number)
        if value is not None:
            self._values.move_to_end(number)
        return value

    def put(self, number: int, value: bytes) -> None:
        if number in self._values:
            return
        self._values[number] = value
        self._bytes += len(value)
        while self._bytes > self._limit_bytes:
            _, gone = self._values.popitem(last=False)
            self._bytes -= len(gone)


class SqliteStore(LocalStore):
    """A `Store` in the file `path`. Make it on a running event loop.

    Raises:
        DataLoss: the file is damaged, or was written by a newer Sampan.
        Unavailable: it cannot be opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        clock: Clock,
        *,
        synchronous: str = "FULL",
        packer: Packer | None = None,
        history_s: float = 300.0,
        cache_bytes: int = 64 << 20,
    ) -> None:
        """`synchronous`: OFF for what may be lost with the machine, such as events."""
        log = SqliteLog(path, synchronous=synchronous, packer=packer or Plain(), cache_bytes=cache_bytes)
        super().__init__(log, clock, history_s=history_s)


def _row(columns: Sequence[Any], value: bytes | None) -> Row:
    number, key, created, version, lease, previous = columns[:6]
    return Row(number, key, created, version, lease, previous, value)


def _tell(answers: list[tuple[Done, SampanError | None]]) -> None:
    for done, error in answers:
        done(error)


def _cannot_open(path: str, error: sqlite3.Error) -> SampanError:
    if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DataLoss(f"the store {path} is damaged ({error}): restore it, or move it away to start empty")
    return Unavailable(f"cannot open the store {path}: {error}; check that the directory exists and is writable")


def _sync_directory(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _die(error: BaseException) -> NoReturn:
    """End the process: after a failed write or sync nobody knows what is on the disk; the next start reads it."""
    _logger.critical("the store failed, the control process ends; its next start reads what is there: %s",
                     error, exc_info=error)  # fmt: skip
    os._exit(_EXIT_CODE)
