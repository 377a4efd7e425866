"""Conversions of bytes and text between Python and C."""

from __future__ import annotations

from typing import Union

from kvds._errors import InvalidArgument
from kvds._status import Status

BytesLike = Union[bytes, bytearray, memoryview]


def as_bytes(data: BytesLike) -> bytes:
    """Returns `data` as bytes that cannot change while the C library reads them."""
    if type(data) is bytes:
        return data
    if isinstance(data, str):
        raise TypeError("keys and values are bytes, not str: encode the text")
    try:
        return memoryview(data).tobytes()
    except TypeError:
        raise TypeError(f"keys and values are bytes, not {type(data).__name__}") from None


def as_text(text: str) -> bytes:
    """Returns `text` as a C string."""
    if not isinstance(text, str):
        raise TypeError(f"a name is a str, not {type(text).__name__}")
    return without_nul(text.encode())


def as_id(id: str) -> bytes:
    """Returns `id` as a C string.

    Ids of memory stores may be any bytes; a str represents them as `os.fsdecode` does.
    """
    if not isinstance(id, str):
        raise TypeError(f"an id is a str, not {type(id).__name__}")
    return without_nul(id.encode("utf-8", "surrogateescape"))


def from_id(id: bytes) -> str:
    """Returns the id of a C string."""
    return id.decode("utf-8", "surrogateescape")


def without_nul(text: bytes) -> bytes:
    """Returns `text`; raises if it has a NUL, at which C would end it."""
    if b"\0" in text:
        raise InvalidArgument(
            Status.INVALID_ARGUMENT, f"{text!r} has a NUL in it, where text for C ends"
        )
    return text
