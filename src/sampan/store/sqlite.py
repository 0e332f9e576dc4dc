"""SqliteRecordStore: the engine's records in one SQLite file (WAL, synchronous=FULL, group commit).

One thread owns the connection. Calls wait in its queue; it takes all that wait, commits them as one transaction with
one sync, and wakes each event loop once. A commit of one small record is one fdatasync (0.2 ms on a common disk).

A full disk: the log has its blocks from the start and the database keeps free pages inside, so records that exist can
still change and go without a byte from the disk. A `Reserve` beside it goes to the rest of the daemon. New records are
refused with `Exhausted` until there is room again. Any other failure ends the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple, NoReturn

from sampan.base import crash, log
from sampan.base.errors import DataLoss, Exhausted, SampanError, Unavailable
from sampan.store.port import Write
from sampan.store.reserve import Reserve

_FORMAT = 1
_PAGE_BYTES = 16 * 1024
_LOG_BYTES = 4 * 1024 * 1024
_CHECKPOINT_IDLE_PAGES = 64
_CHECKPOINT_FORCED_PAGES = 192  # below _LOG_BYTES: a usual log stays within its blocks
_FREE_PAGES = 224  # made inside the database when there are fewer than _FREE_PAGES_LOW; they fit into the log
_FREE_PAGES_LOW = 128
_FREE_PAGES_LEAST = 64  # below it they are made without waiting for an idle moment
_IDLE_S = 0.05
_GROUP_WRITES = 512
_EXIT_CODE = 74  # sysexits.h EX_IOERR

_UNFIT = (sqlite3.ProgrammingError, sqlite3.InterfaceError, ValueError, TypeError)
"""What SQLite's binding raises for a key or value that it cannot store: the caller's fault, not the disk's."""

_logger = log.get("store")


class _Batch(NamedTuple):
    """Writes that belong together, and whom to tell: `done` runs in the writer thread, or on `loop` when it is set."""

    writes: tuple[Write, ...]
    done: Callable[[Exception | None], None]
    loop: asyncio.AbstractEventLoop | None


class SqliteRecordStore:
    """A RecordStore in the file `path`; its directory must exist.

    Raises:
        DataLoss: the file is not a database, is damaged, or was written by a newer Sampan.
        Exhausted: the disk is full and the reserve did not help.
        Unavailable: the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, reserve_bytes: int = _LOG_BYTES) -> None:
        self._path = os.path.abspath(path)
        if not os.path.isdir(os.path.dirname(self._path)):
            raise Unavailable(f"cannot open the database {path}: its directory does not exist; create it")
        self._queue: queue.SimpleQueue[_Batch | None] = queue.SimpleQueue()
        self._closed = False
        self._door = threading.Lock()  # nothing is accepted after the end mark
        self._dirty_pages = _CHECKPOINT_IDLE_PAGES  # so that the first idle moment makes the free pages
        self._reserve = Reserve(self._path + ".reserve", reserve_bytes)
        self._connection = self._open_with_room()
        self._thread = threading.Thread(target=self._run, name="sampan-store", daemon=True)
        self._thread.start()

    # --- the port, called from any thread or loop

    def load(self, kind: str) -> dict[str, bytes]:
        with contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True)) as reader:
            rows = reader.execute("SELECT key, value FROM record WHERE kind = ? ORDER BY key", (kind,))
            return dict(rows.fetchall())

    def commit(self, *writes: Write) -> asyncio.Future[None]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._accept(_Batch(writes, lambda error: _settle(future, error), loop))
        return future

    def commit_blocking(self, *writes: Write) -> None:
        answer: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._accept(_Batch(writes, answer.put, None))
        error = answer.get()
        if error is not None:
            raise error

    def close(self) -> None:
        with self._door:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _accept(self, batch: _Batch) -> None:
        with self._door:
            if self._closed:
                raise Unavailable("the record store is closed: the daemon is stopping")
            self._queue.put(batch)

    # --- opening

    def _open_with_room(self) -> sqlite3.Connection:
        """Open the database; on a full disk let the reserve go first and try again."""
        try:
            return self._open()
        except sqlite3.Error as error:
            if not (_is_full(error) and self._reserve.release()):
                raise _cannot_open(self._path, error) from error
        try:
            return self._open()
        except sqlite3.Error as error:
            raise _cannot_open(self._path, error) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=5)
        try:
            os.chmod(self._path, 0o600)
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA cache_size = -4096")
            connection.execute("PRAGMA secure_delete = OFF")  # freed pages need not be written
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
            self._migrate(connection)
            self._fill_log()
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found > _FORMAT:
            raise DataLoss(f"{self._path} has format {found} of a newer Sampan (this one knows {_FORMAT}): upgrade")
        if found < _FORMAT:
            connection.executescript(
                "BEGIN; CREATE TABLE record (kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, "
                "PRIMARY KEY (kind, key)) WITHOUT ROWID; "
                f"CREATE TABLE ballast (data BLOB NOT NULL); PRAGMA user_version = {_FORMAT}; COMMIT"
            )
            _sync_directory(os.path.dirname(self._path))

    def _fill_log(self) -> None:
        """Give the write-ahead log its blocks. SQLite reads it up to the first frame that is not valid, so zeros end it."""
        with contextlib.suppress(OSError), open(self._path + "-wal", "r+b") as wal:  # no room: as good as before
            size = wal.seek(0, os.SEEK_END)
            wal.write(bytes(max(0, _LOG_BYTES - size)))

    # --- the writer thread

    def _run(self) -> None:
        try:
            while self._turn():
                pass
            self._fold()
            self._connection.close()
        except BaseException as error:
            _die(error)

    def _turn(self) -> bool:
        """Wait for batches and commit what waits; returns False at the end."""
        try:
            batch = self._queue.get(timeout=_IDLE_S if self._dirty_pages >= _CHECKPOINT_IDLE_PAGES else None)
        except queue.Empty:
            self._checkpoint(_FREE_PAGES_LOW)
            return True
        group: list[_Batch] = []
        size = 0
        while batch is not None:
            group.append(batch)
            size += len(batch.writes)
            if size >= _GROUP_WRITES or self._queue.empty():
                break
            batch = self._queue.get_nowait()
        _tell(self._commit_group(group))
        if self._dirty_pages >= _CHECKPOINT_FORCED_PAGES:
            self._checkpoint(_FREE_PAGES_LEAST)
        return batch is not None

    def _commit_group(self, group: list[_Batch]) -> list[tuple[_Batch, Exception | None]]:
        """Commit all as one; when that fails, each for itself."""
        if self._reserve.held and self._try_commit(group) is None:
            return [(batch, None) for batch in group]
        return [(batch, self._commit_alone(batch)) for batch in group]

    def _commit_alone(self, batch: _Batch) -> Exception | None:
        """Commit one batch while something is wrong. What only changes or deletes may use up the reserve."""
        try:
            adds = self._adds(batch)
        except _UNFIT as unfit:
            return unfit
        if adds and not self._reserve.remake():
            return Exhausted(
                f"no space left on the disk of {self._path}: remove containers, images or volumes (rm and prune work)"
            )
        error = self._try_commit([batch])
        if isinstance(error, sqlite3.OperationalError) and not adds and self._reserve.release():
            _logger.warning("the disk of %s is full: the reserve is released, new objects are refused", self._path)
            error = self._try_commit([batch])
        if isinstance(error, sqlite3.OperationalError):
            return Exhausted(f"no space left on the disk of {self._path}: free some and try again")
        return error

    def _adds(self, batch: _Batch) -> bool:
        """Whether the batch has a record that does not exist yet."""
        return any(
            self._connection.execute("SELECT 1 FROM record WHERE kind = ? AND key = ?", write[:2]).fetchone() is None
            for write in batch.writes
            if write.value is not None
        )

    def _try_commit(self, group: list[_Batch]) -> Exception | None:
        """Commit in one transaction; on a full disk or an unfit value nothing is kept and the error is returned."""
        writes = [write for batch in group for write in batch.writes]
        if not writes:
            return None
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._apply(writes)
            crash.point("store.commit.before")
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if not _is_full(error):
                _die(error)
            self._roll_back()
            return error
        except _UNFIT as error:
            self._roll_back()
            return error
        crash.point("store.commit.after")
        self._dirty_pages += sum(2 + len(write.value or b"") // _PAGE_BYTES for write in writes)
        return None

    def _apply(self, writes: Iterable[Write]) -> None:
        for kind, key, value in writes:
            if value is None:
                self._connection.execute("DELETE FROM record WHERE kind = ? AND key = ?", (kind, key))
            else:
                self._connection.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?)", (kind, key, value))

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite rolls some failures back by itself
            self._connection.execute("ROLLBACK")

    def _checkpoint(self, free_pages: int) -> None:
        """Move the log into the database, and see to it that at least `free_pages` are in there."""
        self._dirty_pages = 0
        self._fold()
        if self._reserve.held and self._connection.execute("PRAGMA freelist_count").fetchone()[0] < free_pages:
            self._grow()

    def _fold(self) -> None:
        """Move the log into the database. On a full disk that may take the reserve."""
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.OperationalError as error:
            if not _is_full(error):
                raise
            if self._reserve.release():
                self._fold()

    def _grow(self) -> None:
        """Fill the database's free list; the pages are on disk before anything relies on them."""
        try:
            self._connection.execute("INSERT INTO ballast VALUES (zeroblob(?))", (_FREE_PAGES * _PAGE_BYTES,))
            self._fold()
            self._connection.execute("DELETE FROM ballast")
        except sqlite3.OperationalError as error:
            if not _is_full(error):
                raise
            self._reserve.release()


def _tell(results: list[tuple[_Batch, Exception | None]]) -> None:
    """Answer every caller, waking each loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Batch, Exception | None]]] = defaultdict(list)
    for batch, error in results:
        if batch.loop is None:
            batch.done(error)
        else:
            by_loop[batch.loop].append((batch, error))
    for loop, answers in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(_tell_all, answers)


def _tell_all(answers: list[tuple[_Batch, Exception | None]]) -> None:
    for batch, error in answers:
        batch.done(error)


def _settle(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():  # the caller was cancelled
        if error is not None:
            _logger.error("a commit failed after its caller had gone: %s", error)
    elif error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


def _is_full(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _cannot_open(path: str, error: sqlite3.Error) -> SampanError:
    if _is_full(error):
        return Exhausted(
            f"cannot open the database {path}: no space left on its disk; free some (8 MiB) and start again"
        )
    if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DataLoss(f"the database {path} is damaged ({error}): restore it, or move it away to start empty")
    return Unavailable(f"cannot open the database {path}: {error}; check that the directory exists and is writable")


def _sync_directory(path: str) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _die(error: BaseException) -> NoReturn:
    """End the process: after a failed write or sync nobody knows what is on the disk; the next start reads it."""
    _logger.critical("the record store failed, the daemon ends; containers go on and the next start adopts them: %s",
                     error, exc_info=error)  # fmt: skip
    os._exit(_EXIT_CODE)
