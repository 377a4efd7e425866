"""Damaged stores: what is damaged, and what can still be read."""

from __future__ import annotations

import enum
import os
from typing import Any, Callable, NamedTuple, Optional, Union, overload

from kvds._bytes import without_nul
from kvds._errors import check, error
from kvds._library import ffi, lib
from kvds._options import options_of
from kvds._status import Status

_Path = Union[str, os.PathLike[str]]


class Loss(str, enum.Enum):
    """What a damage takes away."""

    #: Nothing: what is damaged can be derived from the rest.
    NONE = "none"
    #: Pairs are lost, or may be.
    PAIRS = "pairs"
    #: Times to live are lost, or may be. The pairs are not.
    TTLS = "ttls"


_LOSSES = {
    lib.KVDS_LOSS_NONE: Loss.NONE,
    lib.KVDS_LOSS_PAIRS: Loss.PAIRS,
    lib.KVDS_LOSS_TTLS: Loss.TTLS,
}


class Damage(NamedTuple):
    """A damage of one file of a store."""

    #: The damaged file, or the store's directory if no single file is damaged.
    file: str
    #: A sentence that says what is damaged, and where in the file.
    problem: str
    loss: Loss
    #: The loss affects no key before this one; None if that is not known.
    first: Optional[bytes]
    #: The loss affects no key after this one; None if that is not known.
    last: Optional[bytes]


class Salvaged(NamedTuple):
    """What `salvage` has saved."""

    #: How many pairs were copied.
    pairs: int
    #: How many keys were left out because only a value was found that may be an older one. Keys of
    #: which nothing was found are not counted.
    lost: int
    #: How many copied pairs may have had a time to live that cannot be read.
    ttls_lost: int
    #: What is damaged in the old store.
    damages: list[Damage]


#: Called with a damage, or None for progress, and how many bytes are done and how many there are.
#: It returns False to stop.
OnDamage = Callable[[Optional[Damage], int, int], object]


def verify(
    path: _Path, callback: Optional[OnDamage] = None, **options: Union[str, int]
) -> list[Damage]:
    """Reads all files of the disk store in the directory `path`, and verifies every checksum.

    Returns all damages; an empty list means that there is none. The store may be open, also in
    another process. It is not changed. Raises `NotFound` if there is no store.

    `callback(damage, bytes_done, bytes_total)` is called for each damage, and with None for
    progress, at least once for each MiB. The bytes are an estimate of the work. If it returns
    False, the call ends and returns the damages found so far. An exception also ends the call, and
    is raised again.
    """
    report = _Report(callback)
    status = lib.kvds_verify(_c_path(path), options_of(options), _on_damage, report.handle)
    report.end(path, Status.OK if status == Status.CORRUPTION and report.damages else status)
    return report.damages


@overload
def salvage(
    path: _Path, target: _Path, callback: None = None, **options: Union[str, int]
) -> Salvaged: ...
@overload
def salvage(
    path: _Path, target: _Path, callback: OnDamage, **options: Union[str, int]
) -> Optional[Salvaged]: ...
def salvage(
    path: _Path,
    target: _Path,
    callback: Optional[OnDamage] = None,
    **options: Union[str, int],
) -> Optional[Salvaged]:
    """Copies what can be read of the damaged store in `path` into a new store in `target`.

    No copied pair is older than the last state of the damaged store; `kvds.h` documents two
    exceptions, which are reported as damages. The damaged store must not be open, and is not
    changed. `target` must not exist. Raises `NotFound` if there is no store, and `Corruption` if
    too little is left.

    The callback is that of `verify`. Returns None if it stopped the call: then there is no new
    store.
    """
    report = _Report(callback)
    saved = ffi.new("kvds_salvaged *")
    settings = options_of(options)
    paths = _c_path(path), _c_path(target)
    status = lib.kvds_salvage(*paths, settings, _on_damage, report.handle, saved)
    if report.end(path, status) == Status.STOPPED:
        return None
    return Salvaged(saved.pairs, saved.lost, saved.ttls_lost, report.damages)


class _Report:
    """The user data of the C callback. `handle` is its pointer."""

    def __init__(self, callback: Optional[OnDamage]) -> None:
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable, not {type(callback).__name__}")
        self.callback = callback
        self.damages: list[Damage] = []
        self.raised: Optional[BaseException] = None
        self.handle = ffi.new_handle(self)

    def add(self, damage: Any, bytes_done: int, bytes_total: int) -> bool:
        """Calls the callback. Returns whether to continue."""
        found = None
        if damage:
            found = Damage(
                os.fsdecode(ffi.string(damage.file)),
                ffi.string(damage.problem).decode("utf-8", "replace"),
                _LOSSES[damage.loss],
                _bound(damage.first, damage.first_len),
                _bound(damage.last, damage.last_len),
            )
            self.damages.append(found)
        return self.callback is None or self.callback(found, bytes_done, bytes_total) is not False

    def end(self, path: _Path, status: int) -> int:
        """Raises what the callback has raised, and errors of the call."""
        if self.raised is not None:
            raise self.raised
        if status == Status.NOT_FOUND:
            raise error(status, f"there is no store in {os.fspath(path)!r}")
        return check(status)


def _keep(kind: Any, raised: BaseException, traceback: Any) -> None:
    """Keeps what a C callback has raised, and ends the call: it is raised after the call."""
    report: _Report = ffi.from_handle(traceback.tb_frame.f_locals["user_data"])
    report.raised = raised


# It also runs without a callback of the program, so that Ctrl-C ends a long call.
@ffi.callback("kvds_damage_visit", onerror=_keep)  # type: ignore[untyped-decorator, unused-ignore]
def _on_damage(user_data: Any, damage: Any, bytes_done: int, bytes_total: int) -> int:
    report: _Report = ffi.from_handle(user_data)
    return int(report.add(damage, bytes_done, bytes_total))


def _bound(key: Any, length: int) -> Optional[bytes]:
    return ffi.buffer(key, length)[:] if key else None


def _c_path(path: _Path) -> bytes:
    return without_nul(os.fsencode(path))
