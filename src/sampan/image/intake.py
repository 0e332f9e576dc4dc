"""A layer on its way in: its bytes become a blob while a second thread makes a tree of them."""

from __future__ import annotations

import threading

from sampan.base.errors import Cancelled
from sampan.host.pipe import Pipe, Task
from sampan.image.blobs import BlobStore
from sampan.image.install import Bounds
from sampan.image.layers import LayerStore, StagedLayer


class LayerIntake:
    """Write all bytes, then `finish`; `tree` waits for the tree. Until it is installed, `abort` undoes everything.

    `abort` may come from another thread than a `write` that is going on.
    """

    def __init__(self, blobs: BlobStore, layers: LayerStore, bounds: Bounds, *, unpack: bool = True) -> None:
        self.writer = blobs.writer()
        self.staged: StagedLayer | None = None
        self._aborted = False
        self._writing = threading.Lock()
        self._pipe = Pipe()
        self._task: Task | None = None
        if unpack:
            staged = self.staged = layers.stage()
            self._task = Task(lambda: staged.fill(self._pipe, bounds.layer, bounds.tree), self._pipe)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes in; waits when unpacking is behind."""
        with self._writing:
            if self._aborted:
                raise Cancelled("the transfer of this layer was given up")
            self.writer.write(chunk)
            if self._task is None:
                return
            try:
                self._pipe.send(chunk)
            except Cancelled:
                pass  # the tree failed; `tree` tells why, if the layer is wanted

    def finish(self) -> None:
        """Say that no more bytes come."""
        self._pipe.finish()

    def wait(self) -> None:
        """Wait for the tree's end, whatever it is; `tree` then tells."""
        if self._task is not None:
            try:
                self._task.join()
            except Exception:
                return

    def tree(self) -> StagedLayer | None:
        """Return the finished tree, None when none was asked for; raises why it could not be made."""
        if self._task is not None:
            self._task.join()
        return self.staged

    def abort(self) -> None:
        """Stop, and delete what was not installed. May be repeated."""
        self._aborted = True
        self._pipe.finish(Cancelled("the transfer of this layer was given up"))
        self._pipe.abandon()
        with self._writing:
            self.wait()
            self.writer.discard()
            if self.staged is not None:
                self.staged.discard()
