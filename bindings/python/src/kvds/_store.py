"""Stores: ordered mappings from bytes to bytes."""

from __future__ import annotations

import enum
import os
from collections.abc import (
    ItemsView,
    Iterable,
    Iterator,
    KeysView,
    Mapping,
    MappingView,
    MutableMapping,
    ValuesView,
)
from types import TracebackType
from typing import Any, Callable, NamedTuple, Optional, TypeVar, Union, cast, overload

from kvds._batch import Batch
from kvds._bytes import BytesLike, as_bytes, as_text, from_id, without_nul
from kvds._cursor import Cursor, read_item, read_key, read_value, walk
from kvds._errors import check, error
from kvds._handle import Handle
from kvds._library import ffi, lib
from kvds._options import options_of
from kvds._status import Status
from kvds._ttl import milliseconds, seconds_left
from kvds._watch import Watch

T = TypeVar("T")

#: Stands for an argument that was not given.
_NONE: Any = object()


class Backend(str, enum.Enum):
    """Where a store keeps its data."""

    MEMORY = "memory"
    DISK = "disk"
    CLUSTER = "cluster"


#: The backends by the numbers that the C library has for them.
BACKENDS = {
    lib.KVDS_MEMORY: Backend.MEMORY,
    lib.KVDS_DISK: Backend.DISK,
    lib.KVDS_CLUSTER: Backend.CLUSTER,
}


class Stats(NamedTuple):
    """Statistics of a store; of a view, those of its store."""

    #: How many keys there are; on disk an estimate.
    keys: int
    #: How many bytes its keys and values have; on disk an estimate.
    bytes: int
    #: How many keys were looked up since the store was opened.
    reads: int
    #: How many operations were written since the store was opened.
    writes: int
    #: How many of the keys that were looked up existed.
    hits: int
    #: How many bytes its files have; 0 in memory.
    disk_bytes: int
    #: How many bytes of memory it holds; on disk without the block cache.
    memory_bytes: int


class Store(Handle, MutableMapping[bytes, bytes]):
    """A counted reference to a store, or to a view of one: an ordered mapping of bytes to bytes.

    A `Distributor` creates stores, and so do `snapshot`, `scope`, `view` and `retain` of another
    store. Any thread may call anything at any time, and each call is atomic unless it says
    otherwise. Keys and values may also be bytearray or memoryview.

    `release`, the end of a `with` block, or the garbage collector releases the reference. After
    that every call raises `Closed`; running calls finish. The release of the last reference closes
    the store; `close` closes it for every holder.
    """

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("a store is made by a Distributor, by Store.open, or from another store")

    @classmethod
    def open(cls, path: Union[str, os.PathLike[str]], **options: Union[str, int]) -> Store:
        """Opens the disk store in exactly the directory `path`, without a distributor.

        The options are those of a `Distributor`. Raises `NotFound` if the options forbid creating
        it, and `Locked` if it is open elsewhere.
        """
        out = ffi.new("kvds_store **")
        status = check(
            lib.kvds_store_open(without_nul(os.fsencode(path)), options_of(options), out)
        )
        if status == Status.NOT_FOUND:
            raise error(
                status,
                f"there is no store in {os.fspath(path)!r}, and the options say not to make it",
            )
        return Store._own(out[0])

    @classmethod
    def _own(cls, reference: Any) -> Store:
        """Returns the store that owns a C reference."""
        store = cls.__new__(cls)
        store._handle = ffi.gc(reference, lib.kvds_store_release)
        return store

    # ---------------------------------------------------------------- one key

    def __getitem__(self, key: BytesLike) -> bytes:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    @overload
    def get(self, key: BytesLike, default: None = None) -> Optional[bytes]: ...
    @overload
    def get(self, key: BytesLike, default: T) -> Union[bytes, T]: ...
    def get(self, key: BytesLike, default: Optional[T] = None) -> Union[bytes, T, None]:
        """Returns the value of `key`, or `default` if it does not exist."""
        key = as_bytes(key)
        out = ffi.new("kvds_value *")
        if self._check(lib.kvds_get(self._handle, key, len(key), out)):
            return default
        try:
            value: bytes = ffi.buffer(out.data, out.len)[:]
            return value
        finally:
            lib.kvds_value_release(out)

    def __setitem__(self, key: BytesLike, value: BytesLike) -> None:
        key, value = as_bytes(key), as_bytes(value)
        self._check(lib.kvds_set(self._handle, key, len(key), value, len(value)))

    def __delitem__(self, key: BytesLike) -> None:
        key = as_bytes(key)
        if self._check(lib.kvds_del(self._handle, key, len(key))):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        key = as_bytes(key)  # type: ignore[arg-type]
        return self._check(lib.kvds_exists(self._handle, key, len(key))) == Status.OK

    def set(self, key: BytesLike, value: BytesLike, ttl: Optional[float] = None) -> None:
        """Sets `key` to `value`, for `ttl` seconds: then it is deleted. Without it, forever."""
        self._timed(lib.kvds_set, lib.kvds_set_ttl, key, value, ttl)

    def set_nx(self, key: BytesLike, value: BytesLike, ttl: Optional[float] = None) -> bool:
        """Sets `key` to `value` if it does not exist. Returns whether it did so.

        With `ttl` it is a lock that frees itself after so many seconds.
        """
        return self._timed(lib.kvds_set_nx, lib.kvds_set_nx_ttl, key, value, ttl) == Status.OK

    def expire(self, key: BytesLike, ttl: Optional[float]) -> bool:
        """Lets `key` expire `ttl` seconds from now, or never (None). Returns whether it exists."""
        key = as_bytes(key)
        left = 0 if ttl is None else milliseconds(ttl)
        return self._check(lib.kvds_expire(self._handle, key, len(key), left)) == Status.OK

    def ttl(self, key: BytesLike) -> Optional[float]:
        """Returns how many seconds `key` has left, or None if it never expires.

        It is 0 if the key is about to be deleted. Raises `KeyError` if the key does not exist.
        """
        key = as_bytes(key)
        out = ffi.new("int64_t *")
        if self._check(lib.kvds_ttl(self._handle, key, len(key), out)):
            raise KeyError(key)
        return seconds_left(out)

    def compare_and_swap(self, key: BytesLike, expected: BytesLike, value: BytesLike) -> bool:
        """Sets `key` to `value` if its value is `expected`. Returns whether it did so."""
        key, expected, value = as_bytes(key), as_bytes(expected), as_bytes(value)
        status = lib.kvds_compare_and_swap(
            self._handle, key, len(key), expected, len(expected), value, len(value)
        )
        return self._check(status) == Status.OK

    def compare_and_delete(self, key: BytesLike, expected: BytesLike) -> bool:
        """Deletes `key` if its value is `expected`. Returns whether it did so."""
        key, expected = as_bytes(key), as_bytes(expected)
        return (
            self._check(
                lib.kvds_compare_and_delete(self._handle, key, len(key), expected, len(expected))
            )
            == Status.OK
        )

    def add(self, key: BytesLike, delta: int = 1) -> int:
        """Adds `delta` to the decimal number under `key`, 0 by default. Returns the sum."""
        key = as_bytes(key)
        out = ffi.new("int64_t *")
        self._check(lib.kvds_add(self._handle, key, len(key), delta, out))
        return int(out[0])

    @overload
    def pop(self, key: BytesLike) -> bytes: ...
    @overload
    def pop(self, key: BytesLike, default: T) -> Union[bytes, T]: ...
    def pop(self, key: BytesLike, default: Any = _NONE) -> Any:
        """Deletes `key` and returns its value, or `default`. Of concurrent calls, one gets it."""
        key = as_bytes(key)
        while True:
            value = self.get(key)
            if value is None:
                if default is _NONE:
                    raise KeyError(key)
                return default
            if self.compare_and_delete(key, value):
                return value

    def popitem(self) -> tuple[bytes, bytes]:
        """Deletes the first pair and returns it. Concurrent calls get different pairs."""
        while True:
            with self.cursor() as cursor:
                if not cursor.first():
                    raise KeyError("popitem: the store is empty")
                key, value = cursor.item
            if self.compare_and_delete(key, value):
                return key, value

    def setdefault(self, key: BytesLike, default: BytesLike = b"") -> bytes:
        """Returns the value of `key`, after setting it to `default` if it does not exist."""
        default = as_bytes(default)
        while not self.set_nx(key, default):
            value = self.get(key)
            if value is not None:
                return value
        return default

    # -------------------------------------------------------------- many keys

    def get_many(self, keys: Iterable[BytesLike]) -> list[Optional[bytes]]:
        """Returns the values of `keys`, from one snapshot, with None where none exists."""
        wanted = [as_bytes(key) for key in keys]
        count = len(wanted)
        array, values, statuses = (
            ffi.new("kvds_bytes[]", count),
            ffi.new("kvds_value[]", count),
            ffi.new("int32_t[]", count),
        )
        for slot, key in zip(array, wanted):
            slot.data, slot.len = ffi.from_buffer(key), len(key)
        self._check(lib.kvds_multi_get(self._handle, array, count, values, statuses))
        try:
            pairs = zip(values, statuses)
            return [
                None if status else ffi.buffer(value.data, value.len)[:] for value, status in pairs
            ]
        finally:
            for index in range(count):
                lib.kvds_value_release(values + index)

    def batch(self) -> Batch:
        """Creates an empty batch for this store."""
        return Batch(self)

    def set_batch(
        self, pairs: Union[Mapping[bytes, bytes], Iterable[tuple[BytesLike, BytesLike]]]
    ) -> None:
        """Sets all `pairs` in one atomic step. If a key comes twice, the last one wins."""
        with self.batch() as batch:
            for key, value in pairs.items() if isinstance(pairs, Mapping) else pairs:
                batch[key] = value

    def update(self, other: Any = (), /, **named: bytes) -> None:
        """Sets all pairs of `other`, a mapping or pairs, in one atomic step."""
        if named:
            raise TypeError("keys are bytes, so they can't be given by name")
        if not isinstance(other, Mapping) and hasattr(other, "keys"):
            other = [(key, other[key]) for key in other.keys()]
        self.set_batch(other)

    def delete_batch(self, keys: Iterable[BytesLike]) -> None:
        """Deletes all `keys`, which need not exist, in one atomic step."""
        with self.batch() as batch:
            for key in keys:
                del batch[key]

    def delete_prefix(self, prefix: BytesLike) -> None:
        """Deletes every key that begins with `prefix`, in one atomic step."""
        prefix = as_bytes(prefix)
        self._check(lib.kvds_delete_prefix(self._handle, prefix, len(prefix)))

    def clear(self) -> None:
        """Deletes every key, in one atomic step."""
        self.delete_prefix(b"")

    # -------------------------------------------------------------- iterating

    def scan(
        self,
        prefix: BytesLike = b"",
        start: Optional[BytesLike] = None,
        end: Optional[BytesLike] = None,
        reverse: bool = False,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Iterates the pairs of a range in order, as of now.

        The keys begin with `prefix`, are not less than `start`, and are less than `end`.
        """
        return walk(self.cursor(prefix, start, end), reverse, read_item)

    def cursor(
        self,
        prefix: BytesLike = b"",
        start: Optional[BytesLike] = None,
        end: Optional[BytesLike] = None,
    ) -> Cursor:
        """Returns a cursor over a range, as of now.

        The keys begin with `prefix`, are not less than `start`, and are less than `end`.
        """
        return Cursor(self, prefix, start, end)

    def watch(
        self,
        prefix: BytesLike = b"",
        start: Optional[BytesLike] = None,
        end: Optional[BytesLike] = None,
        *,
        after: Optional[int] = None,
    ) -> Watch:
        """Returns a watch: an iterator that waits for the writes to a range, from now on.

        The keys begin with `prefix`, are not less than `start`, and are less than `end`. To
        continue after an earlier watch, `after` is the `sequence` of a change whose `last` is true.
        `Expired` is raised if the history since then is gone. A memory or disk store keeps it only
        while the store has a watch: create the new one before the old one is closed.

        To keep a copy of a range, create the watch, then read the range, and then apply the changes
        to the copy.
        """
        return Watch(self, prefix, start, end, after)

    def __iter__(self) -> Iterator[bytes]:
        """Iterates the keys in order, as of now."""
        return iter(self.keys())

    def __reversed__(self) -> Iterator[bytes]:
        return reversed(self.keys())

    def keys(self, prefix: BytesLike = b"") -> Keys:
        """Returns a view of the keys that begin with `prefix`, in order."""
        return Keys(self, prefix)

    def values(self, prefix: BytesLike = b"") -> Values:
        """Returns a view of the values of the keys that begin with `prefix`, in key order."""
        return Values(self, prefix)

    def items(self, prefix: BytesLike = b"") -> Items:
        """Returns a view of the pairs whose keys begin with `prefix`, in key order."""
        return Items(self, prefix)

    def __len__(self) -> int:
        """Counts the keys one by one; `stats().keys` is a cheap estimate."""
        return len(self.keys())

    def __bool__(self) -> bool:
        """Returns whether there is a key. It is cheap, unlike `len`."""
        with self.cursor() as cursor:
            return cursor.first()

    # ------------------------------------------------------------------ views

    def snapshot(self) -> Store:
        """Returns a read-only view that no later write changes. The data is not copied."""
        return self._derived(lib.kvds_store_snapshot)

    def scope(self, prefix: BytesLike) -> Store:
        """Returns a view of the keys that begin with `prefix`. Its keys are without the prefix."""
        prefix = as_bytes(prefix)
        return self._derived(lib.kvds_store_scope, prefix, len(prefix))

    def view(self, *, read: bool = False, write: bool = False) -> Store:
        """Returns a view with only these rights. Other operations raise `Denied`."""
        rights = (lib.KVDS_VIEW_READ if read else 0) | (lib.KVDS_VIEW_WRITE if write else 0)
        return self._derived(lib.kvds_store_view, rights)

    def retain(self) -> Store:
        """Returns one more reference to this store (or view), as an object of its own."""
        handle = self._held()
        return self._own(lib.kvds_store_retain(handle))

    # ----------------------------------------------------------- maintenance

    def sync(self) -> None:
        """Makes every acknowledged write survive a power failure, whatever `durability` says."""
        self._check(lib.kvds_sync(self._handle))

    def compact(self) -> None:
        """Reclaims the disk space of overwritten and deleted entries at once. It can take long."""
        self._check(lib.kvds_compact(self._handle))

    def refresh(self) -> None:
        """Shows what another process has written to a store opened with `read_only`."""
        self._check(lib.kvds_refresh(self._handle))

    def checkpoint(self, path: Union[str, os.PathLike[str]]) -> None:
        """Copies the store (or view) to a new disk store in the directory `path`."""
        self._check(lib.kvds_checkpoint(self._handle, without_nul(os.fsencode(path))))

    def stats(self) -> Stats:
        """Returns the statistics of the store."""
        out = ffi.new("kvds_stats *")
        self._check(lib.kvds_store_stats(self._handle, out, ffi.sizeof("kvds_stats")))
        return Stats(*(getattr(out, name) for name in Stats._fields))

    def get_property(self, name: str) -> Optional[str]:
        """Returns the property `name`, such as "kvds.keys" or "rocksdb.stats", or None."""
        out = ffi.new("kvds_value *")
        if self._check(lib.kvds_store_property(self._handle, as_text(name), out)):
            return None
        try:
            return str(ffi.buffer(out.data, out.len)[:], "utf-8", "replace")
        finally:
            lib.kvds_value_release(out)

    # --------------------------------------------------------- identity, end

    @property
    def id(self) -> str:
        """The id that the store was asked for by."""
        handle = self._held()  # The text is valid as long as the reference.
        return from_id(ffi.string(lib.kvds_store_id(handle)))

    @property
    def tag(self) -> int:
        """The store's tag: unique in its distributor, counting from 0 in order of creation."""
        return int(lib.kvds_store_tag(self._held()))

    @property
    def backend(self) -> Backend:
        """The backend that the store was asked for with."""
        return BACKENDS[lib.kvds_store_backend(self._held())]

    @property
    def ref_count(self) -> int:
        """The number of references to the store or to this view; 0 after the release."""
        return int(lib.kvds_store_ref_count(self._handle))

    @property
    def is_open(self) -> bool:
        """Whether the store can be used through this object."""
        return bool(lib.kvds_is_open(self._handle))

    def close(self) -> None:
        """Closes the store (or this view) for every holder, after its running calls.

        Raises `Closed` the second time.
        """
        self._check(lib.kvds_close(self._handle))

    def release(self) -> int:
        """Releases this reference after its running calls. Returns how many are left."""
        return max(0, int(lib.kvds_store_ref_count(self._let_go())) - 1)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.release()

    def __repr__(self) -> str:
        if not self._handle:
            return "<kvds.Store, released>"
        return f"<kvds.Store {self.id!r}, {self.backend.value}{'' if self.is_open else ', closed'}>"

    def _timed(
        self,
        plain: Callable[..., int],
        timed: Callable[..., int],
        key: BytesLike,
        value: BytesLike,
        ttl: Optional[float],
    ) -> int:
        """Sets a key with one of two C functions: with a time to live, or without."""
        key, value = as_bytes(key), as_bytes(value)
        if ttl is None:
            return self._check(plain(self._handle, key, len(key), value, len(value)))
        left = milliseconds(ttl)
        return self._check(timed(self._handle, key, len(key), value, len(value), left))

    def _derived(self, function: Callable[..., int], *arguments: object) -> Store:
        out = ffi.new("kvds_store **")
        self._check(function(self._handle, *arguments, out))
        return self._own(out[0])


class _Part(MappingView):
    """The base of views of keys, values and items: a prefix, and a snapshot per iteration."""

    __slots__ = ("_prefix",)

    _mapping: Store

    def __init__(self, store: Store, prefix: BytesLike) -> None:
        super().__init__(store)
        self._prefix = as_bytes(prefix)

    def _walk(self, reverse: bool, read: Callable[[Any, Any], T]) -> Iterator[T]:
        return walk(self._mapping.cursor(self._prefix), reverse, read)

    def __len__(self) -> int:
        return sum(self._walk(False, lambda cursor, found: 1))


class Keys(_Part, KeysView[bytes]):
    """The keys of a store that begin with a prefix."""

    __slots__ = ()

    def __contains__(self, key: object) -> bool:
        if not as_bytes(key).startswith(self._prefix):  # type: ignore[arg-type]
            return False
        return key in self._mapping

    def __iter__(self) -> Iterator[bytes]:
        return self._walk(False, read_key)

    def __reversed__(self) -> Iterator[bytes]:
        return self._walk(True, read_key)


class Values(_Part, ValuesView[bytes]):
    """The values of the keys of a store that begin with a prefix."""

    __slots__ = ()

    def __contains__(self, value: object) -> bool:
        return any(value == each for each in self)

    def __iter__(self) -> Iterator[bytes]:
        return self._walk(False, read_value)

    def __reversed__(self) -> Iterator[bytes]:
        return self._walk(True, read_value)


class Items(_Part, ItemsView[bytes, bytes]):
    """The pairs of a store whose keys begin with a prefix."""

    __slots__ = ()

    def __contains__(self, item: object) -> bool:
        key, value = cast("tuple[BytesLike, object]", item)
        return as_bytes(key).startswith(self._prefix) and self._mapping.get(key) == value

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self._walk(False, read_item)

    def __reversed__(self) -> Iterator[tuple[bytes, bytes]]:
        return self._walk(True, read_item)
