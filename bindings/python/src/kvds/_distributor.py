"""Distributors, who hand out stores by name, and observers of the stores' deaths."""

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

# What Python functions raise that C calls, cffi hands to sys.unraisablehook.

#: Is told of a store's death: its tag, its id and its backend.
OnDeath = Callable[[int, str, Backend], object]


class LiveStore(NamedTuple):
    """What a distributor says of a live store."""

    id: str
    backend: Backend
    tag: int
    ref_count: int


class Distributor(Handle):
    """Hands out stores by name: whoever asks for a name gets the same store.

    `path` is the directory under which disk stores have theirs; it is made when the first disk store is. Without it there are
    memory stores only. `options` are those of the C library, by the names of its setters behind `kvds_options_set_`:
    `durability="sync"`, `block_cache_bytes="256M"`, `read_only=True`.

    At the end of a `with` block it is shut down: all its stores are closed. A distributor that is only dropped leaves the
    stores that are still held alone.
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
        """The live store called `id`, opened or made if there is none.

        `NotFound` if it is not there and the options say not to make it, `Locked` if another process or distributor has it
        open.
        """
        out = ffi.new("kvds_store **")
        function = lib.kvds_distributor_get_or_create
        status = self._check(function(self._handle, as_id(id), _number(backend), out))
        if status == Status.NOT_FOUND:
            raise error(status, f"there is no store {id!r}, and the options say not to make it")
        return Store._own(out[0])

    def memory(self, id: str) -> Store:
        """The memory store called `id`, made if there is none. Its data goes with its last reference."""
        return self.get_or_create(id, Backend.MEMORY)

    def disk(self, id: str) -> Store:
        """The disk store called `id`, opened or made if there is none."""
        return self.get_or_create(id, Backend.DISK)

    def get(self, id: str, backend: Union[Backend, str] = Backend.DISK) -> Optional[Store]:
        """The live store called `id`, if there is one. None if not, also when its files are on disk."""
        out = ffi.new("kvds_store **")
        if self._check(lib.kvds_distributor_get(self._handle, as_id(id), _number(backend), out)):
            return None
        return Store._own(out[0])

    def evict(self, id: str, backend: Union[Backend, str] = Backend.DISK) -> bool:
        """Gives up the reference that the distributor holds by the option `keep_stores`. Whether it held one."""
        return (
            self._check(lib.kvds_distributor_evict(self._handle, as_id(id), _number(backend)))
            == Status.OK
        )

    def destroy(self, id: str) -> bool:
        """Removes the files of the disk store called `id`, for good. Whether there were any. `Busy` while it is live."""
        return self._check(lib.kvds_distributor_destroy_store(self._handle, as_id(id))) == Status.OK

    def stores(self) -> list[LiveStore]:
        """The live stores: memory stores first, then by the name of their directory."""
        found: list[LiveStore] = []
        self._check(lib.kvds_distributor_for_each(self._handle, _collect, ffi.new_handle(found)))
        return found

    @property
    def store_count(self) -> int:
        """How many live stores there are."""
        return int(lib.kvds_distributor_store_count(self._held()))

    def observe(self, on_death: OnDeath) -> Observer:
        """Has `on_death` called with a store's tag, id and backend when it dies, on the thread that released it last.

        It is called until the observer that this gives is closed, or the distributor and its stores are gone, or Python
        ends; the observer may be dropped. What it raises goes to `sys.unraisablehook`.
        """
        if not callable(on_death):
            raise TypeError(f"on_death must be callable, not {type(on_death).__name__}")
        return Observer(self._held(), on_death)

    def shutdown(self) -> None:
        """Closes every live store, for every holder. Who asks for a store from then on gets `Closed`."""
        self._check(lib.kvds_distributor_shutdown(self._handle))

    def release(self) -> None:
        """Gives up this reference, when the calls that run on it have ended. Stores that are still held go on."""
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
    """Who is told of the deaths of a distributor's stores, until it is closed. Made by `Distributor.observe`."""

    __slots__ = ("_number",)

    def __init__(self, distributor: Any, on_death: OnDeath) -> None:
        told = _Told(distributor, on_death)
        user_data = ffi.new_handle(told)
        number = ffi.new("uint64_t *")
        _told[user_data] = told
        check(lib.kvds_distributor_observe(distributor, _on_death, user_data, _forget, number))
        told.number = self._number = number[0]
        self._handle = distributor  # Which must live to be told.

    def close(self) -> None:
        """Takes the observer away. When this returns, no call of it is running or will come.

        Only inside a callback of kvds, calls that are still running are not waited for. The second time nothing is done.
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
    """What the C library holds of an observer."""

    __slots__ = ("distributor", "number", "on_death")

    def __init__(self, distributor: Any, on_death: OnDeath) -> None:
        self.distributor = weakref.ref(distributor)
        self.on_death = on_death
        self.number: Optional[int] = None


#: What the C library holds, by the pointers that it has.
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
    """Takes all observers away: a thread that C calls Python on after Python has ended does not come back."""
    for told in list(_told.values()):
        distributor = told.distributor()
        if distributor is not None and told.number is not None:
            lib.kvds_distributor_unobserve(distributor, told.number)


def _number(backend: Union[Backend, str]) -> int:
    return int(_NUMBERS[Backend(backend)])
