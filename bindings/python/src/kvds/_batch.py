"""Batches: writes, and expectations about the data before them, in one atomic step."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, Optional

from kvds._bytes import BytesLike, as_bytes
from kvds._errors import error
from kvds._handle import Handle
from kvds._library import ffi, lib
from kvds._status import Status
from kvds._ttl import milliseconds

if TYPE_CHECKING:
    from kvds._store import Store


class Batch(Handle):
    """Operations, and expectations about the data before them, applied in one atomic step.

    The end of a `with` block applies it, if the block raises no exception:

        with store.batch() as batch:
            batch.expect(b"ada", b"10")
            batch[b"ada"] = b"7"
            batch[b"alan"] = b"3"
            del batch[b"note"]

    `batch[key] = value` and `batch.set(key, value)` are the same, but for the time to live. If a
    key has several operations, the last one wins. Keys and values are copied at once.
    """

    __slots__ = ("_lock", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._handle = ffi.gc(lib.kvds_batch_new(), lib.kvds_batch_free)
        self._lock = threading.Lock()

    def __setitem__(self, key: BytesLike, value: BytesLike) -> None:
        """Adds an operation that sets `key` to `value`."""
        self._add(lib.kvds_batch_set, (key, value))

    def set(self, key: BytesLike, value: BytesLike, ttl: Optional[float] = None) -> None:
        """Adds an operation that sets `key` to `value`, for `ttl` seconds from each write on."""
        if ttl is None:
            self[key] = value
        else:
            self._add(lib.kvds_batch_set_ttl, (key, value), milliseconds(ttl))

    def expire(self, key: BytesLike, ttl: Optional[float]) -> None:
        """Adds an operation that lets `key` expire `ttl` seconds after each write; None: never.

        It does nothing to a key that does not exist.
        """
        self._add(lib.kvds_batch_expire, (key,), 0 if ttl is None else milliseconds(ttl))

    def __delitem__(self, key: BytesLike) -> None:
        """Adds an operation that deletes `key`, which need not exist."""
        self._add(lib.kvds_batch_del, (key,))

    def expect(self, key: BytesLike, value: BytesLike) -> None:
        """Adds the expectation that the value of `key` is `value` before the batch."""
        self._add(lib.kvds_batch_expect, (key, value))

    def expect_absent(self, key: BytesLike) -> None:
        """Adds the expectation that `key` does not exist before the batch."""
        self._add(lib.kvds_batch_expect_absent, (key,))

    def clear(self) -> None:
        """Empties the batch."""
        with self._lock:
            lib.kvds_batch_clear(self._handle)

    def write(self) -> None:
        """Applies the batch, which stays unchanged.

        Raises `Mismatch`, and changes nothing, if an expectation does not hold.
        """
        with self._lock:
            status = self._store._check(lib.kvds_write(self._store._handle, self._handle))
        if status == Status.MISMATCH:
            raise error(status, "an expectation of the batch does not hold; nothing was changed")

    def __len__(self) -> int:
        """Returns the number of operations, without expectations."""
        with self._lock:
            return int(lib.kvds_batch_count(self._handle))

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> Batch:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if kind is None:
            self.write()

    def _add(
        self, function: Callable[..., int], parts: Iterable[BytesLike], *numbers: int
    ) -> None:
        arguments: list[Any] = []
        for part in map(as_bytes, parts):
            arguments += part, len(part)
        with self._lock:
            self._check(function(self._handle, *arguments, *numbers))
