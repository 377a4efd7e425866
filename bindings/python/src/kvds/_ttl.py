"""Times to live, as the C library takes them."""

from __future__ import annotations

import math
from typing import Any, Optional

from kvds._errors import InvalidArgument
from kvds._library import lib
from kvds._status import Status


def milliseconds(ttl: float) -> int:
    """Returns the milliseconds of a time to live in seconds, rounded up.

    Raises for 0, because the C library takes it for no time to live.
    """
    if not 0 < ttl <= lib.KVDS_MAX_TTL_MS / 1000:
        raise InvalidArgument(
            Status.INVALID_ARGUMENT,
            f"a time to live is more than 0 seconds and at most 100 years, not {ttl!r}",
        )
    return math.ceil(ttl * 1000)


def seconds_left(left_ms: Any) -> Optional[float]:
    """Returns the seconds that the C library has stored, or None for a key that never expires."""
    left = int(left_ms[0])
    return None if left < 0 else left / 1000
