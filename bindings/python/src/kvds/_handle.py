"""What all objects have in common that stand for one of the C library's."""

from __future__ import annotations

from typing import Any, NoReturn

from kvds._errors import Error, error, failure
from kvds._library import ffi
from kvds._status import Status


class Handle:
    """An object that owns one of the C library's.

    `_handle` is a pointer that gives the C object back when nothing refers to it any more. A call that is running on another
    thread refers to it: so releasing never pulls an object from under a call. After the release the pointer is NULL, which
    every C function refuses.
    """

    __slots__ = ("__weakref__", "_handle")

    _handle: Any

    def _let_go(self) -> Any:
        """Gives up the pointer, which is returned for a last look."""
        handle, self._handle = self._handle, ffi.NULL
        return handle

    def _held(self) -> Any:
        """The pointer, for the C functions that answer no status."""
        if not self._handle:
            raise self._failure(Status.INVALID_ARGUMENT)
        return self._handle

    def _check(self, status: int) -> int:
        """The status that a call on this object answered, unless it is a failure: that is raised."""
        if status < 0:
            raise self._failure(status)
        return status

    def _failure(self, status: int) -> Error:
        if self._handle:
            return failure(status)
        return error(Status.CLOSED, f"this {type(self).__name__} object was released")

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} object cannot be copied or pickled")
