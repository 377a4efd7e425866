"""Finds the C library and loads it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kvds._abi import ffi

__all__ = ["ffi", "lib"]

_NAME = "libkvds.so.0"


def _load() -> Any:
    """Loads the library of $KVDS_LIBRARY, else the one in the wheel, else the system's."""
    chosen = os.environ.get("KVDS_LIBRARY")
    carried = Path(__file__).with_name(_NAME)
    if chosen:
        where, name = "$KVDS_LIBRARY", chosen
    elif carried.exists():
        where, name = "the library in the package", str(carried)
    else:
        where, name = f"$KVDS_LIBRARY is not set, there is no {carried}, and of the system", _NAME
    try:
        library = ffi.dlopen(name)
        running = ffi.string(library.kvds_version()).decode()
    except (OSError, ffi.error) as cause:
        raise ImportError(f"kvds finds no C library: {where}: {cause}") from None
    needed = (library.KVDS_VERSION_MAJOR, library.KVDS_VERSION_MINOR)
    major, minor = (int(number) for number in running.split(".")[:2])
    if major != needed[0] or minor < needed[1]:
        text = ".".join(map(str, needed))
        raise ImportError(
            f"kvds needs version {text} or later of its C library: {where}: {name} is {running}"
        )
    return library


lib: Any = _load()
