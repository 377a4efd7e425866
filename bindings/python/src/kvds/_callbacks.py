"""What calls from C into Python have in common."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Optional


def unraisable(kind: type[BaseException], value: BaseException, traceback: Optional[TracebackType]) -> None:
    """Tells sys.unraisablehook of an exception in a callback, as C has nowhere to raise it."""
    arguments: Any = sys.UnraisableHookArgs  # A struct sequence; the stubs know it as a protocol.
    sys.unraisablehook(arguments((kind, value, traceback, "Exception ignored in a callback from kvds", None)))
