"""The exceptions that errors are raised as."""

from __future__ import annotations

from kvds._library import ffi, lib
from kvds._status import Status


class Error(Exception):
    """A call failed. `status` is usually a `Status`; `message` is the library's error text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return self.message


class NotFound(Error, LookupError):
    """The store does not exist, and the options forbid creating it."""


class Mismatch(Error):
    """An expectation of a batch does not hold. Nothing was changed."""


class InvalidArgument(Error, ValueError):
    """Invalid argument. The message says which one and what is allowed."""


class Closed(Error):
    """The store or distributor was closed, or this reference to it was released.

    Or another process destroyed the cluster store.
    """


class Denied(Error):
    """The view, the option `read_only`, or the cluster does not permit the operation."""


class Locked(Error):
    """Another process, or another distributor of this process, has the disk store open."""


class IoError(Error):
    """The file system or the network returned an error."""


class NoSpace(Error):
    """The disk is full, or a quota is reached. No acknowledged write is lost."""


class Corruption(Error):
    """Stored data is corrupt (checksum mismatch, missing or truncated file)."""


class NoMemory(Error, MemoryError):
    """An allocation failed, or a configured memory limit is reached."""


class Unsupported(Error):
    """This backend or this build does not support the operation.

    Or a write is larger than the cluster accepts: the message says how much that is.
    """


class Busy(Error):
    """Temporarily not possible: try again later. After a write, nothing was changed."""


class UnknownOutcome(Error):
    """A write to a cluster store may or may not have happened.

    The time limit (`cluster_timeout_ms`) ended before the cluster said which.
    """


class Forked(Error):
    """The handle was inherited through fork(): open the store again in this process."""


class Internal(Error):
    """The library caught a bug of its own. The store is intact; please report it."""


class Expired(Error):
    """The snapshot, or that of the cursor, is gone: the cluster was compacted. Take a new one.

    Or a watch has missed changes: read its range again, and continue with the watch.
    """


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
    Status.EXPIRED: Expired,
}


def error(status: int, message: str) -> Error:
    """Returns the exception for `status`: a plain `Error` for one of a later library."""
    known = status in _CLASSES
    return _CLASSES[status](Status(status), message) if known else Error(status, message)


def failure(status: int) -> Error:
    """Returns the exception for the error that a call on this thread has just returned."""
    return error(status, ffi.string(lib.kvds_last_error()).decode("utf-8", "replace"))


def check(status: int) -> int:
    """Raises errors. Returns other statuses."""
    if status < 0:
        raise failure(status)
    return status
