"""Keys that expire."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

import kvds

#: A time that no test reaches.
LONG = 3600.0


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for what happens 2 seconds late at most, with time for a slow machine."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_about(ttl: object, expected: float) -> bool:
    """Returns whether `ttl` is a time that was `expected` at most a minute ago."""
    return isinstance(ttl, float) and expected - 60 < ttl <= expected


def test_a_key_is_there_for_its_time_and_then_gone(store: kvds.Store) -> None:
    began = time.monotonic()
    store.set(b"a", b"1", ttl=0.2)
    store.set(b"kept", b"2")
    assert store.get(b"a") == b"1" or time.monotonic() - began >= 0.2
    wait_until(lambda: b"a" not in store)
    assert time.monotonic() - began >= 0.2
    assert store == {b"kept": b"2"}
    with pytest.raises(KeyError):
        store.ttl(b"a")
    assert store.expire(b"a", LONG) is False


def test_the_time_left(store: kvds.Store) -> None:
    store.set(b"a", b"1", ttl=LONG)
    assert is_about(store.ttl(b"a"), LONG)
    store[b"a"] = b"2"
    assert store.ttl(b"a") is None, "a set without a time to live ends it"
    store.set(b"a", b"3", LONG)
    store.set(b"a", b"4")
    assert store.ttl(b"a") is None
    with pytest.raises(KeyError):
        store.ttl(b"none")


def test_renewing_and_ending_a_time_to_live(store: kvds.Store) -> None:
    store.set(b"a", b"1", ttl=0.5)
    assert store.expire(b"a", LONG) is True
    assert is_about(store.ttl(b"a"), LONG)
    assert store.expire(b"a", None) is True
    assert store.ttl(b"a") is None
    assert store.expire(b"none", LONG) is False
    assert store == {b"a": b"1"}


def test_a_lock_that_frees_itself(store: kvds.Store) -> None:
    assert store.set_nx(b"lock", b"one", ttl=0.2) is True
    assert store.set_nx(b"other", b"", LONG) is True
    assert store.set_nx(b"other", b"", 1) is False
    assert is_about(store.ttl(b"other"), LONG), "nothing was changed"
    wait_until(lambda: store.set_nx(b"lock", b"two", ttl=LONG))
    assert store[b"lock"] == b"two"
    with store.batch() as renewal:
        renewal.expect(b"lock", b"two")
        renewal.expire(b"lock", 2 * LONG)
    assert is_about(store.ttl(b"lock"), 2 * LONG)


def test_times_to_live_in_a_batch(store: kvds.Store) -> None:
    store.set(b"ends", b"", ttl=LONG)
    with store.batch() as batch:
        batch.set(b"short", b"1", ttl=0.2)
        batch.set(b"long", b"2", LONG)
        batch.set(b"kept", b"3")
        batch.expire(b"ends", None)
        batch.expire(b"none", 1)
        assert len(batch) == 5
    assert is_about(store.ttl(b"long"), LONG)
    assert store.ttl(b"kept") is None and store.ttl(b"ends") is None
    wait_until(lambda: b"short" not in store)
    assert list(store) == [b"ends", b"kept", b"long"]


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), 101 * 366 * 86400])
def test_a_time_to_live_is_positive_and_at_most_100_years(store: kvds.Store, wrong: float) -> None:
    batch = store.batch()
    store[b"a"] = b"1"
    calls: list[Callable[[], object]] = [
        lambda: store.set(b"a", b"", wrong),
        lambda: store.set_nx(b"b", b"", wrong),
        lambda: store.expire(b"a", wrong),
        lambda: batch.set(b"a", b"", wrong),
        lambda: batch.expire(b"a", wrong),
    ]
    for call in calls:
        with pytest.raises(kvds.InvalidArgument, match="at most 100 years, not"):
            call()
    assert store == {b"a": b"1"} and len(batch) == 0
    store.set(b"a", b"1", 100 * 365.25 * 86400)
    store.set(b"a", b"1", 1e-9)
