"""Watches: the writes to a range of keys, in their order."""

from __future__ import annotations

import enum
import math
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

from kvds._bytes import BytesLike
from kvds._errors import Closed, failure
from kvds._handle import Handle
from kvds._library import ffi, lib
from kvds._range import with_range
from kvds._status import Status

if TYPE_CHECKING:
    from kvds._store import Store

#: How long a call of C waits, in seconds. Between two, Python handles signals such as Ctrl-C, and
#: notices that the watch was closed.
_SLICE = 0.1


class ChangeKind(str, enum.Enum):
    """What a write did to a key, or to a range of keys."""

    SET = "set"
    DELETE = "delete"
    DELETE_RANGE = "delete_range"


_KINDS = {
    lib.KVDS_CHANGE_SET: ChangeKind.SET,
    lib.KVDS_CHANGE_DELETE: ChangeKind.DELETE,
    lib.KVDS_CHANGE_DELETE_RANGE: ChangeKind.DELETE_RANGE,
}


class Change(NamedTuple):
    """A change of a watched range."""

    kind: ChangeKind
    #: The key, or the first key of a deleted range.
    key: bytes
    #: The value of a key that was set, or whose time to live was changed; else None.
    value: Optional[bytes]
    #: The end of a deleted range, exclusive. None if it extends to the end of the watched range.
    end: Optional[bytes]
    #: The number of the write. Later writes have larger ones.
    sequence: int
    #: Whether this is the last change of its write: a batch has several.
    last: bool


class Watch(Handle, Iterator[Change]):
    """The writes to a range of keys since its creation, in their order.

        with store.watch(prefix=b"user/") as watch:
            for change in watch:
                print(change.kind, change.key)

    The loop waits for changes, and ends when another thread closes the watch. It raises `Closed`
    when the store is closed or its last reference is released: a watch keeps no store alive. It
    raises `Expired` if changes were missed: read the range again, and continue with the watch.

    Any thread may use it; concurrent calls wait for each other.
    """

    __slots__ = ("_change", "_lock")

    def __init__(
        self,
        store: Store,
        prefix: BytesLike = b"",
        start: Optional[BytesLike] = None,
        end: Optional[BytesLike] = None,
        after: Optional[int] = None,
    ) -> None:
        out = ffi.new("kvds_watch **")

        def create(bounds: Any) -> int:
            if after is None:
                return int(lib.kvds_watch_new(store._handle, bounds, out))
            return int(lib.kvds_watch_from(store._handle, bounds, after, out))

        store._check(with_range(prefix, start, end, create))
        self._handle = ffi.gc(out[0], lib.kvds_watch_free)
        self._change = ffi.new("kvds_change *")
        self._lock = threading.Lock()

    def next(self, timeout: Optional[float] = None) -> Optional[Change]:
        """Returns the next change, or None if there is none within `timeout` seconds.

        With the timeout 0 it does not wait, and with None it waits without a limit.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            left = max(0, end - time.monotonic())
            change = self._next(min(left, _SLICE))
            if change is not None or left == 0:
                return change

    def __next__(self) -> Change:
        while True:
            try:
                change = self.next()
            except Closed:
                if self._handle:
                    raise
                raise StopIteration from None
            if change is not None:
                return change

    def fileno(self) -> int:
        """Returns a descriptor for `selectors` and the `add_reader` of asyncio.

        It is readable while there may be a change: then call `next(0)` until it returns None. It
        belongs to the watch, so do not read or close it.
        """
        with self._lock:
            descriptor = int(lib.kvds_watch_fd(self._held()))
        if descriptor < 0:
            raise failure(Status.IO)
        return descriptor

    def close(self) -> None:
        """Frees the watch, and ends the loops over it. The second time it does nothing."""
        # Without the lock, so that a thread that waits for a change does not delay it.
        self._let_go()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def _next(self, timeout: float) -> Optional[Change]:
        with self._lock:
            # The change belongs to the watch, which another thread may close in the meantime.
            handle, found = self._handle, self._change
            if self._check(lib.kvds_watch_next(handle, math.ceil(timeout * 1000), found)):
                return None
            kind = _KINDS[found.kind]
            value: bytes = ffi.buffer(found.value, found.value_len)[:]
            return Change(
                kind,
                ffi.buffer(found.key, found.key_len)[:],
                value if kind is ChangeKind.SET else None,
                (value or None) if kind is ChangeKind.DELETE_RANGE else None,
                found.sequence,
                bool(found.last),
            )
