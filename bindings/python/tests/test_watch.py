"""Watches."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Optional

import pytest

import kvds
from kvds import Change, ChangeKind

#: A timeout that no correct run reaches.
LONG = 120

SET, DELETE, DELETE_RANGE = ChangeKind.SET, ChangeKind.DELETE, ChangeKind.DELETE_RANGE


def pending(watch: kvds.Watch) -> list[Change]:
    """Returns the changes that there are."""
    return [change for change in iter(lambda: watch.next(0), None) if change]


def told(watch: kvds.Watch) -> list[tuple[ChangeKind, bytes, Optional[bytes], bool]]:
    """Returns the kind, the key, the value, and `last` of the changes that there are."""
    return [(each.kind, each.key, each.value, each.last) for each in pending(watch)]


def one(watch: kvds.Watch) -> Change:
    """Returns the next change, and fails instead of waiting forever."""
    change = watch.next(LONG)
    assert change is not None
    return change


def replay(copy: dict[bytes, bytes], changes: list[Change]) -> None:
    """Applies changes to a copy of the range."""
    for change in changes:
        if change.value is not None:
            copy[change.key] = change.value
        elif change.kind is DELETE:
            copy.pop(change.key, None)
        else:
            for key in list(copy):
                if change.key <= key and (change.end is None or key < change.end):
                    del copy[key]


def test_every_write_is_seen_once_and_in_order(store: kvds.Store) -> None:
    store[b"before"] = b""
    with store.watch() as watch:
        store[b"a"] = b"1"
        store[b"empty"] = b""
        del store[b"a"]
        assert told(watch) == [
            (SET, b"a", b"1", True),
            (SET, b"empty", b"", True),
            (DELETE, b"a", None, True),
        ]
        assert watch.next(0) is None


def test_a_deleted_prefix_is_seen_as_a_range(distributor: kvds.Distributor) -> None:
    store = distributor.memory("s")
    with store.watch() as watch:
        store[b"a"] = b"1"
        store.delete_prefix(b"b")
        store.clear()
        changes = pending(watch)
    numbers = [change.sequence for change in changes]
    assert 0 < numbers[0] < numbers[1] < numbers[2]
    assert changes == [
        Change(SET, b"a", b"1", None, numbers[0], True),
        Change(DELETE_RANGE, b"b", None, b"c", numbers[1], True),
        Change(DELETE_RANGE, b"", None, None, numbers[2], True),
    ]
    assert changes[0].kind == "set"


def test_a_copy_follows_a_store(store: kvds.Store) -> None:
    store.update({b"%03d" % n: b"old" for n in range(1000)})
    with store.watch() as watch:
        copy = dict(store.items())
        store.delete_prefix(b"00")
        store[b"000"] = b"new"
        store.delete_prefix(b"5")
        replay(copy, pending(watch))
        assert copy == dict(store.items()) and len(copy) == 891
        store.clear()
        replay(copy, pending(watch))
    assert copy == {}


def test_the_last_change_of_a_batch_says_so(store: kvds.Store) -> None:
    with store.watch() as watch:
        with store.batch() as batch:
            batch[b"a"] = b"1"
            batch.set(b"b", b"2", ttl=3600)
            del batch[b"c"]
        changes = [one(watch) for _ in range(3)]
        assert [(each.key, each.last) for each in changes] == [
            (b"a", False),
            (b"b", False),
            (b"c", True),
        ]
        assert len({each.sequence for each in changes}) == 1
        store.expire(b"b", None)
        assert told(watch) == [(SET, b"b", b"2", True)]


def test_an_expired_key_is_seen_as_deleted(store: kvds.Store) -> None:
    with store.watch() as watch:
        store.set(b"a", b"1", ttl=0.05)
        assert one(watch).kind is SET
        assert one(watch)[:2] == (DELETE, b"a")


def test_a_watch_has_a_range(store: kvds.Store) -> None:
    ranges = [store.watch(b"b"), store.watch(start=b"b", end=b"d"), store.watch(end=b"")]
    scope = store.scope(b"b")
    scoped = scope.watch()
    for key in (b"a", b"b", b"bb", b"c", b"d"):
        store[key] = b""
    assert [[change.key for change in pending(watch)] for watch in (*ranges, scoped)] == [
        [b"b", b"bb"],
        [b"b", b"bb", b"c"],
        [],
        [b"", b"b"],
    ]
    store.clear()
    if store.backend is kvds.Backend.MEMORY:
        ends = [[(each.key, each.end) for each in pending(watch)] for watch in (*ranges, scoped)]
        assert ends == [[(b"b", b"c")], [(b"b", b"d")], [], [(b"", None)]]
    for wrong in ("text", 7):
        with pytest.raises(TypeError, match="keys and values are bytes"):
            store.watch(wrong)  # type: ignore[arg-type]


def test_a_watch_continues_after_an_earlier_one(store: kvds.Store) -> None:
    with store.watch() as first:
        store[b"a"] = b"1"
        store[b"b"] = b"2"
        seen = one(first)
        with store.watch(after=seen.sequence) as second:
            assert told(second) == told(first) == [(SET, b"b", b"2", True)]
    with pytest.raises(kvds.Expired), store.watch(after=seen.sequence):
        pass
    with store.watch(), pytest.raises(kvds.Expired):
        store.watch(after=seen.sequence)


def test_missed_changes_are_an_error_once(tmp_path: Path, backend: kvds.Backend) -> None:
    with kvds.Distributor(tmp_path / "data", watch_buffer_bytes=4096) as distributor:
        with distributor.get_or_create("s", backend) as store, store.watch() as watch:
            for n in range(100):
                store[b"%d" % n] = b"x" * 100
            with pytest.raises(kvds.Expired) as expired:
                one(watch)
            assert expired.value.status is kvds.Status.EXPIRED
            assert watch.next(0) is None
            store[b"a"] = b"1"
            assert one(watch).key == b"a"


def test_a_wait_ends_at_a_change_or_at_its_timeout(store: kvds.Store) -> None:
    with store.watch() as watch:
        began = time.monotonic()
        assert watch.next(0.25) is None
        assert time.monotonic() - began >= 0.25
        writer = threading.Timer(0.3, store.__setitem__, (b"a", b"1"))
        writer.start()
        assert one(watch).key == b"a"
        writer.join(LONG)


def test_the_end_of_the_store_ends_its_watches(
    distributor: kvds.Distributor, backend: kvds.Backend
) -> None:
    store = distributor.get_or_create("s", backend)
    with store.watch() as watch:
        closer = threading.Timer(0.05, store.close)
        closer.start()
        with pytest.raises(kvds.Closed, match="the store was closed"):
            one(watch)
        closer.join(LONG)
    with distributor.get_or_create("other", backend).watch() as orphan:
        gc.collect()
        with pytest.raises(kvds.Closed):
            one(orphan)


def test_a_closed_watch_ends_the_loops_over_it(store: kvds.Store) -> None:
    watch = store.watch()
    store[b"a"] = b"1"
    seen = []
    closer = threading.Timer(0.05, watch.close)
    closer.start()
    for change in watch:
        seen.append(change.key)
    assert seen == [b"a"]
    closer.join(LONG)
    watch.close()
    assert list(watch) == []
    with pytest.raises(kvds.Closed, match="this Watch object was released"):
        watch.next(0)
    with pytest.raises(kvds.Closed, match="this Watch object was released"):
        watch.fileno()


def test_closing_while_others_take_changes(store: kvds.Store) -> None:
    for _ in range(20):
        watch = store.watch()
        failures: list[BaseException] = []

        def take(watch: kvds.Watch = watch) -> None:
            try:
                for change in watch:
                    assert change.value == change.key * 1000
            except BaseException as cause:
                failures.append(cause)

        threads = [threading.Thread(target=take, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(100):
            store[b"%d" % n] = b"%d" % n * 1000
        watch.close()
        for thread in threads:
            thread.join(LONG)
            assert not thread.is_alive()
        assert failures == []


def test_what_cannot_be_watched(store: kvds.Store) -> None:
    with pytest.raises(kvds.Unsupported):
        store.snapshot().watch()
    with pytest.raises(kvds.Denied):
        store.view(write=True).watch()


def test_the_descriptor_is_readable_when_there_is_a_change(store: kvds.Store) -> None:
    with store.watch() as watch:
        assert select.select([watch], [], [], 0)[0] == []
        store[b"a"] = b"1"
        assert select.select([watch], [], [], LONG)[0] == [watch]
        assert told(watch) == [(SET, b"a", b"1", True)]
        assert select.select([watch], [], [], 0)[0] == []
        assert watch.fileno() == watch.fileno()
        store.close()
        assert select.select([watch], [], [], LONG)[0] == [watch]
        with pytest.raises(kvds.Closed):
            watch.next(0)


def test_asyncio_can_wait_for_changes(store: kvds.Store) -> None:
    async def watch_three() -> list[bytes]:
        keys: list[bytes] = []
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def take() -> None:
            keys.extend(change.key for change in pending(watch))
            if len(keys) == 3:
                done.set()

        with store.watch() as watch:
            loop.add_reader(watch.fileno(), take)
            for n in range(3):
                store[b"%d" % n] = b""
                await asyncio.sleep(0)
            await asyncio.wait_for(done.wait(), LONG)
            loop.remove_reader(watch.fileno())
        return keys

    assert asyncio.run(watch_three()) == [b"0", b"1", b"2"]


def test_a_signal_interrupts_a_wait() -> None:
    program = """
import kvds, os, signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
with kvds.Distributor().memory("s") as store, store.watch() as watch:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        for change in watch: pass
    except KeyboardInterrupt:
        print("interrupted")
"""
    command = [sys.executable, "-X", "dev", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, env=os.environ)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)
