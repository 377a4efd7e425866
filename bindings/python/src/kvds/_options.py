"""Options, as distributors and stores take them."""

from __future__ import annotations

from typing import Any, Union

from kvds._bytes import as_text
from kvds._errors import check
from kvds._library import ffi, lib


def options_of(options: dict[str, Union[str, int]]) -> Any:
    """Yields options of C with these settings."""
    settings = ffi.gc(lib.kvds_options_new(), lib.kvds_options_free)
    for name, value in options.items():
        text = str(int(value)) if isinstance(value, bool) else str(value)
        check(lib.kvds_options_set(settings, as_text(name), as_text(text)))
    return settings
