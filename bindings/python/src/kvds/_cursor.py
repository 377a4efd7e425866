"""Cursors: positions in a range of keys."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional, TypeVar

from kvds._bytes import BytesLike, as_bytes
from kvds._errors import Status
from kvds._handle import Handle
from kvds._library import ffi, lib

if TYPE_CHECKING:
    from kvds._store import Store

T = TypeVar("T")


class Cursor(Handle):
    """A movable position in a range of keys, over one moment: it sees no write made after it was made.

    It stands on no entry yet: move it first. Each move answers whether it stands on an entry then. It needs its store no
    more, and keeps the files of a disk store open until it is closed or dropped. Any thread may use it; threads that
    do so at the same time wait for each other.
    """

    __slots__ = ("_bytes", "_lock")

    def __init__(
        self,
        store: Store,
        prefix: BytesLike = b"",
        start: Optional[BytesLike] = None,
        end: Optional[BytesLike] = None,
    ) -> None:
        prefix = as_bytes(prefix)
        start = b"" if start is None else as_bytes(start)
        if end is None:
            end = b""
        else:
            end = as_bytes(end)
            if not end:
                # No key is less than the empty one. To the C library an empty end is none, so it gets another empty range.
                start = end = b"\0"
        bounds = ffi.new("kvds_range *")
        bounds.prefix, bounds.prefix_len = ffi.from_buffer(prefix), len(prefix)
        bounds.start, bounds.start_len = ffi.from_buffer(start), len(start)
        bounds.end, bounds.end_len = ffi.from_buffer(end), len(end)
        out = ffi.new("kvds_cursor **")
        store._check(lib.kvds_cursor_new(store._handle, bounds, out))
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
        """Moves to the first entry whose key is `key` or greater, within the range."""
        key = as_bytes(key)
        return self._move(lib.kvds_cursor_seek, key, len(key))

    def next(self) -> bool:
        """Moves one entry on. From no entry it stays on none."""
        return self._move(lib.kvds_cursor_next)

    def prev(self) -> bool:
        """Moves one entry back. From no entry it stays on none."""
        return self._move(lib.kvds_cursor_prev)

    @property
    def valid(self) -> bool:
        """Whether it stands on an entry."""
        with self._lock:
            return bool(lib.kvds_cursor_valid(self._handle))

    @property
    def key(self) -> bytes:
        """The key that it stands on. `LookupError` if it stands on none."""
        with self._lock:
            return self._key()

    @property
    def value(self) -> bytes:
        """The value of the key that it stands on. `LookupError` if it stands on none."""
        with self._lock:
            return self._value()

    @property
    def item(self) -> tuple[bytes, bytes]:
        """The key that it stands on, and its value. `LookupError` if it stands on none."""
        with self._lock:
            return self._item()

    def close(self) -> None:
        """Frees the cursor. The second time nothing is done."""
        with self._lock:
            self._let_go()

    def __enter__(self) -> Cursor:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], traceback: Optional[TracebackType]
    ) -> None:
        self.close()

    # The lock is held around what follows, as a cursor is for one thread at a time, and its bytes are valid until it moves.

    def _key(self) -> bytes:
        return self._read(lib.kvds_cursor_key)

    def _value(self) -> bytes:
        return self._read(lib.kvds_cursor_value)

    def _item(self) -> tuple[bytes, bytes]:
        return self._key(), self._value()

    def _read(self, part: Callable[[Any, Any], int]) -> bytes:
        found = self._bytes
        if self._check(part(self._handle, found)):
            raise LookupError("the cursor stands on no entry")
        return bytes(ffi.buffer(found.data, found.len))

    def _move(self, move: Callable[..., int], *to: object) -> bool:
        with self._lock:
            return self._check(move(self._handle, *to)) == Status.OK


def walk(cursor: Cursor, reverse: bool, read: Callable[[Cursor], T]) -> Iterator[T]:
    """What `read` finds at each entry that the cursor goes over. The cursor is the iterator's own, which ends with it."""
    first, step = (cursor.last, cursor.prev) if reverse else (cursor.first, cursor.next)
    with cursor:
        there = first()
        while there:
            yield read(cursor)
            there = step()
