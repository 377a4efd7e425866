"""Statuses, and the exceptions that failures become."""

from __future__ import annotations

import enum

from kvds._library import ffi, lib


class Status(enum.IntEnum):
    """What a call of the C library answers: 0 for yes, above 0 for a plain "no", below 0 for a failure."""

    OK = lib.KVDS_OK
    NOT_FOUND = lib.KVDS_NOT_FOUND
    EXISTS = lib.KVDS_EXISTS
    MISMATCH = lib.KVDS_MISMATCH
    STOPPED = lib.KVDS_STOPPED
    TRUNCATED = lib.KVDS_TRUNCATED
    INVALID_ARGUMENT = lib.KVDS_INVALID_ARGUMENT
    CLOSED = lib.KVDS_CLOSED
    DENIED = lib.KVDS_DENIED
    LOCKED = lib.KVDS_LOCKED
    IO = lib.KVDS_IO
    NO_SPACE = lib.KVDS_NO_SPACE
    CORRUPTION = lib.KVDS_CORRUPTION
    NO_MEMORY = lib.KVDS_NO_MEMORY
    UNSUPPORTED = lib.KVDS_UNSUPPORTED
    BUSY = lib.KVDS_BUSY
    UNKNOWN_OUTCOME = lib.KVDS_UNKNOWN_OUTCOME
    FORKED = lib.KVDS_FORKED
    INTERNAL = lib.KVDS_INTERNAL


class Error(Exception):
    """A call failed. `status` is what the C library answered, usually a `Status`, and `message` is what it says about it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return self.message


class NotFound(Error, LookupError):
    """The store is not there, and the options say not to make it."""


class Mismatch(Error):
    """An expectation of a batch does not hold; nothing was changed."""


class InvalidArgument(Error, ValueError):
    """The call is wrong. The message says which argument and what is allowed."""


class Closed(Error):
    """The store or distributor was closed, or this object of it was released."""


class Denied(Error):
    """This view does not allow the operation."""


class Locked(Error):
    """Another process, or another distributor of this one, has this disk store open."""


class IoError(Error):
    """The file system failed."""


class NoSpace(Error):
    """The disk is full or a quota is reached. Nothing acknowledged was lost."""


class Corruption(Error):
    """Stored bytes do not check out."""


class NoMemory(Error, MemoryError):
    """An allocation or a configured memory limit failed."""


class Unsupported(Error):
    """This backend or build cannot do it."""


class Busy(Error):
    """Try again later."""


class UnknownOutcome(Error):
    """A write to a remote engine may or may not have happened."""


class Forked(Error):
    """The object came through fork(): open the store anew in this process."""


class Internal(Error):
    """A bug of the library was caught at its boundary. The process and the store are intact; please report it."""


_CLASSES: dict[int, type[Error]] = {
    Status.NOT_FOUND: NotFound,
    Status.MISMATCH: Mismatch,
    Status.INVALID_ARGUMENT: InvalidArgument,
    Status.CLOSED: Closed,
    Status.DENIED: Denied,
    Status.LOCKED: Locked,
    Status.IO: IoError,
    Status.NO_SPACE: NoSpace,
    Status.CORRUPTION: Corruption,
    Status.NO_MEMORY: NoMemory,
    Status.UNSUPPORTED: Unsupported,
    Status.BUSY: Busy,
    Status.UNKNOWN_OUTCOME: UnknownOutcome,
    Status.FORKED: Forked,
    Status.INTERNAL: Internal,
}


def error(status: int, message: str) -> Error:
    """The exception for `status`. One that a later library answers and this package does not know is a plain `Error`."""
    known = status in _CLASSES
    return _CLASSES[status](Status(status), message) if known else Error(status, message)


def failure(status: int) -> Error:
    """The exception for the call that has just answered `status`, below 0, on this thread."""
    return error(status, ffi.string(lib.kvds_last_error()).decode("utf-8", "replace"))


def check(status: int) -> int:
    """`status`, unless it is a failure: that is raised."""
    if status < 0:
        raise failure(status)
    return status
