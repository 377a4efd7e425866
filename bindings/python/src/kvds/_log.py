"""The log of the C library, for the logging module."""

from __future__ import annotations

import atexit
import logging
from typing import Any, Optional

from kvds._errors import check
from kvds._library import ffi, lib

# From the most important to the least, as the C library counts them.
_LEVELS = {
    lib.KVDS_LOG_ERROR: logging.ERROR,
    lib.KVDS_LOG_WARN: logging.WARNING,
    lib.KVDS_LOG_INFO: logging.INFO,
    lib.KVDS_LOG_DEBUG: logging.DEBUG,
}

_logger: Optional[logging.Logger] = None


@ffi.callback("kvds_log")  # type: ignore[untyped-decorator, unused-ignore]
def _on_line(user_data: Any, level: int, text: Any) -> None:
    logger = _logger
    if logger is not None:
        logger.log(_LEVELS[level], "%s", ffi.string(text).decode("utf-8", "replace"))


def log_to(logger: Optional[logging.Logger], level: int = logging.INFO) -> None:
    """Sends the library's log messages, those of RocksDB included, to `logger`; None ends it.

    The library does not format messages below `level`, one of the logging module's. A process has
    one logger: this one replaces the one before. Calls come from a thread of the library, and delay
    nothing.
    """
    global _logger
    if logger is None:
        check(lib.kvds_set_log_callback(lib.KVDS_LOG_ERROR, ffi.NULL, ffi.NULL))
        _logger = None
        return
    # The least important level that is enabled. Errors always are.
    wanted = max(number for number, name in _LEVELS.items() if name >= min(level, logging.ERROR))
    _logger = logger
    check(lib.kvds_set_log_callback(wanted, _on_line, ffi.NULL))


# A thread on which C calls Python after its end never returns.
atexit.register(log_to, None)
