"""The base of all objects that own an object of the C library."""

from __future__ import annotations

from typing import Any, NoReturn

from kvds._errors import Error, error, failure
from kvds._library import ffi
from kvds._status import Status


class Handle:
    """An object that owns an object of the C library.

    `_handle` is a pointer that frees the C object when nothing refers to it any more. A running
    call refers to it, so a release never frees an object that a call uses. After the release the
    pointer is NULL, which every C function refuses.
    """

    __slots__ = ("__weakref__", "_handle")

    _handle: Any

    def _let_go(self) -> Any:
        """Takes the pointer out of the object, and returns it."""
        handle, self._handle = self._handle, ffi.NULL
        return handle

    def _held(self) -> Any:
        """Returns the pointer, for C functions that return no status."""
        if not self._handle:
            raise self._failure(Status.INVALID_ARGUMENT)
        return self._handle

    def _check(self, status: int) -> int:
        """Raises the error of a call on this object. Returns other statuses."""
        if status < 0:
            raise self._failure(status)
        return status

    def _failure(self, status: int) -> Error:
        if self._handle:
            return failure(status)
        return error(Status.CLOSED, f"this {type(self).__name__} object was released")

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} object cannot be copied or pickled")
