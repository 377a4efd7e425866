"""Cursors: positions in a range of keys."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from kvds._bytes import BytesLike, as_bytes
from kvds._handle import Handle
from kvds._library import ffi, lib
from kvds._range import with_range
from kvds._status import Status
from kvds._ttl import seconds_left

if TYPE_CHECKING:
    from kvds._store import Store

T = TypeVar("T")


class Cursor(Handle):
    """A position in a range of keys, as of its creation: it sees no later write.

    It is on no entry yet: move it first. Each move returns whether it is then on an entry. It does
    not need its store, and keeps the files of a disk store open until it is closed or collected.
    Any thread may use it; concurrent calls wait for each other.
    """

    __slots__ = ("_bytes", "_lock")

    def __init__(
        self,
        store: Store,
        prefix: BytesLike = b"",
        start: Optional[BytesLike] = None,
        end: Optional[BytesLike] = None,
    ) -> None:
        out = ffi.new("kvds_cursor **")
        create = lib.kvds_cursor_new
        status = with_range(prefix, start, end, lambda bounds: create(store._handle, bounds, out))
        store._check(status)
        self._handle = ffi.gc(out[0], lib.kvds_cursor_free)
        self._bytes = ffi.new("kvds_bytes *")
        self._lock = threading.Lock()

    def first(self) -> bool:
        """Moves to the first entry of the range."""
        return self._move(lib.kvds_cursor_first)

    def last(self) -> bool:
        """Moves to the last entry of the range."""
        return self._move(lib.kvds_cursor_last)

    def seek(self, key: BytesLike) -> bool:
        """Moves to the first entry of the range whose key is `key` or greater."""
        key = as_bytes(key)
        return self._move(lib.kvds_cursor_seek, key, len(key))

    def next(self) -> bool:
        """Moves to the next entry. No effect if the cursor is on no entry."""
        return self._move(lib.kvds_cursor_next)

    def prev(self) -> bool:
        """Moves to the previous entry. No effect if the cursor is on no entry."""
        return self._move(lib.kvds_cursor_prev)

    @property
    def valid(self) -> bool:
        """Whether the cursor is on an entry."""
        with self._lock:
            return bool(lib.kvds_cursor_valid(self._handle))

    @property
    def key(self) -> bytes:
        """The key of the current entry. Raises `LookupError` if there is none."""
        return self._read(read_key)

    @property
    def value(self) -> bytes:
        """The value of the current entry. Raises `LookupError` if there is none."""
        return self._read(read_value)

    @property
    def item(self) -> tuple[bytes, bytes]:
        """The key and the value of the current entry. Raises `LookupError` if there is none."""
        return self._read(read_item)

    def ttl(self) -> Optional[float]:
        """Returns how many seconds the current entry has left, or None if it never expires.

        It is 0 if the entry has expired. Raises `LookupError` if there is none.
        """
        out = ffi.new("int64_t *")
        with self._lock:
            if self._check(lib.kvds_cursor_ttl(self._handle, out)):
                raise LookupError("the cursor stands on no entry")
        return seconds_left(out)

    def close(self) -> None:
        """Frees the cursor. The second time it does nothing."""
        with self._lock:
            self._let_go()

    def __enter__(self) -> Cursor:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def _read(self, read: Callable[[Any, Any], T]) -> T:
        with self._lock:
            return read(self._held(), self._bytes)

    def _move(self, move: Callable[..., int], *to: object) -> bool:
        with self._lock:
            return self._check(move(self._handle, *to)) == Status.OK


# These read the current entry through a struct. The bytes are valid until the cursor moves, so no
# other thread may use it.


def read_key(cursor: Any, found: Any) -> bytes:
    """Returns the key of the C cursor's entry."""
    if lib.kvds_cursor_key(cursor, found):
        raise LookupError("the cursor stands on no entry")
    key: bytes = ffi.buffer(found.data, found.len)[:]
    return key


def read_value(cursor: Any, found: Any) -> bytes:
    """Returns the value of the C cursor's entry."""
    if lib.kvds_cursor_value(cursor, found):
        raise LookupError("the cursor stands on no entry")
    value: bytes = ffi.buffer(found.data, found.len)[:]
    return value


def read_item(cursor: Any, found: Any) -> tuple[bytes, bytes]:
    """Returns the key and the value of the C cursor's entry."""
    return read_key(cursor, found), read_value(cursor, found)


def walk(cursor: Cursor, reverse: bool, read: Callable[[Any, Any], T]) -> Iterator[T]:
    """Yields what `read` returns for each entry. The iterator owns the cursor, and frees it."""
    first, step = lib.kvds_cursor_first, lib.kvds_cursor_next
    if reverse:
        first, step = lib.kvds_cursor_last, lib.kvds_cursor_prev
    with cursor:
        # No other thread has this cursor, so it goes without the lock.
        handle, found = cursor._handle, cursor._bytes
        status = first(handle)
        while not status:
            yield read(handle, found)
            status = step(handle)
        cursor._check(status)
