"""Distributors, which return stores by name, and observers of the stores' deaths."""

from __future__ import annotations

import atexit
import os
import weakref
from types import TracebackType
from typing import Any, Callable, NamedTuple, Optional, Union

from kvds._bytes import as_id, from_id, without_nul
from kvds._errors import check, error
from kvds._handle import Handle
from kvds._library import ffi, lib
from kvds._options import options_of
from kvds._status import Status
from kvds._store import BACKENDS, Backend, Store

_NUMBERS = {backend: number for number, backend in BACKENDS.items()}

# If a Python function raises when C calls it, cffi calls sys.unraisablehook.

#: Called when a store dies, with its tag, its id and its backend.
OnDeath = Callable[[int, str, Backend], object]


class LiveStore(NamedTuple):
    """A live store of a distributor."""

    id: str
    backend: Backend
    tag: int
    ref_count: int


class Distributor(Handle):
    """Returns stores by name: for each name one store, however many callers ask for it.

    `path` is the directory under which each disk store has its own, created together with the first
    disk store. Without it there are no disk stores. `options` are those of the C library, by the
    names that `kvds_options_set()` takes: `durability="sync"`, `block_cache_bytes="256M"`,
    `read_only=True`. Cluster stores need `cluster="etcd://host:2379/namespace"`.

    The end of a `with` block shuts it down and closes all its stores. If it is only collected, the
    stores that are still held keep working.
    """

    __slots__ = ()

    def __init__(
        self, path: Union[str, os.PathLike[str], None] = None, **options: Union[str, int]
    ) -> None:
        base = ffi.NULL if path is None else without_nul(os.fsencode(path))
        settings = options_of(options)
        out = ffi.new("kvds_distributor **")
        check(lib.kvds_distributor_open(base, settings, out))
        self._handle = ffi.gc(out[0], lib.kvds_distributor_release)

    def get_or_create(self, id: str, backend: Union[Backend, str] = Backend.DISK) -> Store:
        """Returns the live store `id`, or creates or opens it.

        Raises `NotFound` if the options forbid creating it, and `Locked` if another process or
        distributor has it open.
        """
        out = ffi.new("kvds_store **")
        function = lib.kvds_distributor_get_or_create
        status = self._check(function(self._handle, as_id(id), _number(backend), out))
        if status == Status.NOT_FOUND:
            raise error(status, f"there is no store {id!r}, and the options say not to make it")
        return Store._own(out[0])

    def memory(self, id: str) -> Store:
        """Returns or creates the memory store `id`. Its last reference owns its data."""
        return self.get_or_create(id, Backend.MEMORY)

    def disk(self, id: str) -> Store:
        """Returns, opens or creates the disk store `id`."""
        return self.get_or_create(id, Backend.DISK)

    def cluster(self, id: str) -> Store:
        """Returns, opens or creates the store `id` in the etcd cluster of the option `cluster`.

        Other processes may have it open.
        """
        return self.get_or_create(id, Backend.CLUSTER)

    def get(self, id: str, backend: Union[Backend, str] = Backend.DISK) -> Optional[Store]:
        """Returns the live store `id`, or None, even if its files exist."""
        out = ffi.new("kvds_store **")
        if self._check(lib.kvds_distributor_get(self._handle, as_id(id), _number(backend), out)):
            return None
        return Store._own(out[0])

    def evict(self, id: str, backend: Union[Backend, str] = Backend.DISK) -> bool:
        """Releases the reference of the option `keep_stores`. Returns whether there was one."""
        return (
            self._check(lib.kvds_distributor_evict(self._handle, as_id(id), _number(backend)))
            == Status.OK
        )

    def destroy(self, id: str, backend: Union[Backend, str] = Backend.DISK) -> bool:
        """Deletes the files of a disk store, or the keys of a cluster store.

        Returns whether there was one. Raises `Busy` while the store is live in this distributor.
        Other processes that have a cluster store open get `Closed` then.
        """
        return (
            self._check(lib.kvds_distributor_destroy(self._handle, as_id(id), _number(backend)))
            == Status.OK
        )

    def stores(self) -> list[LiveStore]:
        """Returns the live stores: memory, then disk, then cluster stores, each by name."""
        found: list[LiveStore] = []
        self._check(lib.kvds_distributor_for_each(self._handle, _collect, ffi.new_handle(found)))
        return found

    @property
    def store_count(self) -> int:
        """Returns the number of live stores."""
        return int(lib.kvds_distributor_store_count(self._held()))

    def observe(self, on_death: OnDeath) -> Observer:
        """Registers a callback for the deaths of stores: it gets the tag, the id and the backend.

        It runs on the thread that released the last reference, until the returned observer is
        closed, or the distributor and its stores are gone, or Python exits. The observer need not
        be kept. What the callback raises goes to `sys.unraisablehook`.
        """
        if not callable(on_death):
            raise TypeError(f"on_death must be callable, not {type(on_death).__name__}")
        return Observer(self._held(), on_death)

    def shutdown(self) -> None:
        """Closes every live store. Later calls that ask for a store raise `Closed`."""
        self._check(lib.kvds_distributor_shutdown(self._handle))

    def release(self) -> None:
        """Releases this reference after its running calls. Stores that are held keep working."""
        self._let_go()

    def __enter__(self) -> Distributor:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if self._handle:
            self.shutdown()
        self.release()

    def __repr__(self) -> str:
        if not self._handle:
            return "<kvds.Distributor, released>"
        return f"<kvds.Distributor, {self.store_count} live stores>"


class Observer(Handle):
    """An observer of the deaths of a distributor's stores: see `Distributor.observe`."""

    __slots__ = ("_number",)

    def __init__(self, distributor: Any, on_death: OnDeath) -> None:
        told = _Told(distributor, on_death)
        user_data = ffi.new_handle(told)
        number = ffi.new("uint64_t *")
        _told[user_data] = told
        check(lib.kvds_distributor_observe(distributor, _on_death, user_data, _forget, number))
        told.number = self._number = number[0]
        self._handle = distributor  # C refers to it, so it must stay alive.

    def close(self) -> None:
        """Removes the observer. When this returns, no call of it is running or will come.

        Inside a callback of kvds, it does not wait for running calls. The second time it does
        nothing.
        """
        distributor = self._let_go()
        if distributor:
            check(lib.kvds_distributor_unobserve(distributor, self._number))

    def __enter__(self) -> Observer:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        value: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()


class _Told:
    """The user data of an observer."""

    __slots__ = ("distributor", "number", "on_death")

    def __init__(self, distributor: Any, on_death: OnDeath) -> None:
        self.distributor = weakref.ref(distributor)
        self.on_death = on_death
        self.number: Optional[int] = None


#: Observers that the C library refers to, by their pointers.
_told: dict[Any, _Told] = {}


@ffi.callback("kvds_death")  # type: ignore[untyped-decorator, unused-ignore]
def _on_death(user_data: Any, tag: int, id: Any, backend: int) -> None:
    ffi.from_handle(user_data).on_death(tag, from_id(ffi.string(id)), BACKENDS[backend])


@ffi.callback("kvds_user_data_free")  # type: ignore[untyped-decorator, unused-ignore]
def _forget(user_data: Any) -> None:
    _told.pop(user_data, None)


@ffi.callback("kvds_store_visit")  # type: ignore[untyped-decorator, unused-ignore]
def _collect(user_data: Any, id: Any, backend: int, tag: int, ref_count: int) -> int:
    found: list[LiveStore] = ffi.from_handle(user_data)
    found.append(LiveStore(from_id(ffi.string(id)), BACKENDS[backend], tag, ref_count))
    return 1


@atexit.register
def _end() -> None:
    """Removes all observers: a thread on which C calls Python after its end never returns."""
    for told in list(_told.values()):
        distributor = told.distributor()
        if distributor is not None and told.number is not None:
            lib.kvds_distributor_unobserve(distributor, told.number)


def _number(backend: Union[Backend, str]) -> int:
    return int(_NUMBERS[Backend(backend)])
