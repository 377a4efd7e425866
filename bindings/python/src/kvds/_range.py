"""Ranges of keys, as the C library takes them."""

from __future__ import annotations

from typing import Any, Callable, Optional, TypeVar

from kvds._bytes import BytesLike, as_bytes
from kvds._library import ffi

T = TypeVar("T")


def with_range(
    prefix: BytesLike,
    start: Optional[BytesLike],
    end: Optional[BytesLike],
    use: Callable[[Any], T],
) -> T:
    """Calls `use` with the range of C, which refers to bytes that live until then."""
    prefix = as_bytes(prefix)
    start = b"" if start is None else as_bytes(start)
    if end is None:
        end = b""
    else:
        end = as_bytes(end)
        if not end:
            # No key is less than the empty one, but the C library takes an empty end for none:
            # it gets another empty range.
            start = end = b"\0"
    bounds = ffi.new("kvds_range *")
    bounds.prefix, bounds.prefix_len = ffi.from_buffer(prefix), len(prefix)
    bounds.start, bounds.start_len = ffi.from_buffer(start), len(start)
    bounds.end, bounds.end_len = ffi.from_buffer(end), len(end)
    return use(bounds)
