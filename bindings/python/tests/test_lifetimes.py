"""Release, garbage collection, close, threads, forks, and exit. Nothing may crash."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

import kvds

#: A timeout that no correct run reaches.
LONG = 120


def together(*functions: Callable[[], object]) -> list[threading.Thread]:
    """Starts a daemon thread for each function, so that a test can fail if one hangs."""
    threads = [threading.Thread(target=function, daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    return threads


def ended(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()


def test_a_released_store_answers_closed(store: kvds.Store) -> None:
    view, batch = store.snapshot(), store.batch()
    keys = store.keys()
    assert view.release() == 0
    assert store.release() == 0
    assert store.release() == 0
    calls: list[Callable[[], object]] = [
        lambda: store[b""],
        lambda: store.__setitem__(b"", b""),
        lambda: store.__delitem__(b""),
        lambda: b"" in store,
        lambda: store.set(b"", b"", ttl=1),
        lambda: store.set_nx(b"", b""),
        lambda: store.expire(b"", 1),
        lambda: store.ttl(b""),
        lambda: store.compare_and_swap(b"", b"", b""),
        lambda: store.compare_and_delete(b"", b""),
        lambda: store.add(b""),
        lambda: store.pop(b""),
        lambda: store.popitem(),
        lambda: store.setdefault(b"", b""),
        lambda: store.get_many([b""]),
        lambda: store.set_batch({b"": b""}),
        lambda: store.delete_batch([b""]),
        lambda: store.clear(),
        lambda: store.scan(),
        lambda: store.cursor(),
        lambda: store.watch(),
        lambda: list(store),
        lambda: list(keys),
        lambda: len(store),
        lambda: bool(store),
        lambda: store.snapshot(),
        lambda: store.scope(b""),
        lambda: store.view(read=True),
        lambda: store.retain(),
        lambda: store.sync(),
        lambda: store.compact(),
        lambda: store.refresh(),
        lambda: store.checkpoint("/nowhere"),
        lambda: store.stats(),
        lambda: store.get_property("kvds.keys"),
        lambda: store.id,
        lambda: store.tag,
        lambda: store.backend,
        lambda: store.close(),
        lambda: batch.write(),
        lambda: view[b""],
    ]
    for call in calls:
        with pytest.raises(kvds.Closed, match="this Store object was released"):
            call()
    assert store.ref_count == 0 and not store.is_open


def test_a_closed_store_is_closed_for_every_holder(store: kvds.Store) -> None:
    other, cursor = store.retain(), store.cursor()
    store[b"a"] = b"1"
    store.close()
    with pytest.raises(kvds.Closed):
        other[b"a"]
    with pytest.raises(kvds.Closed):
        store.close()
    assert not cursor.first()
    assert other.release() == 1


def test_dropped_objects_are_given_back(
    distributor: kvds.Distributor, backend: kvds.Backend
) -> None:
    store = distributor.get_or_create("s", backend)
    snapshot = store.snapshot()
    again = store.retain()
    assert store.ref_count == 3
    del snapshot, again
    gc.collect()
    assert store.ref_count == 1
    del store
    gc.collect()
    assert distributor.store_count == 0


def test_cycles_are_collected(distributor: kvds.Distributor) -> None:
    class Holder:
        def __init__(self) -> None:
            self.me = self
            self.store = distributor.memory("s")
            self.scan = self.store.scan()
            self.observer = distributor.observe(lambda *death: self)

    Holder().observer.close()
    gc.collect()
    assert distributor.store_count == 0


def test_nothing_can_be_copied_or_pickled(store: kvds.Store, distributor: kvds.Distributor) -> None:
    owners = (store, distributor, distributor.observe(print))
    for thing in (*owners, store.cursor(), store.batch(), store.watch()):
        for way in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled"):
                way(thing)


def test_everything_may_be_dropped_in_any_order(tmp_path: Path) -> None:
    for order in permutations(range(4)):
        distributor = kvds.Distributor(tmp_path)
        store = distributor.disk("s")
        store[b"a"] = b"1"
        things: list[Any] = [distributor, store, store.snapshot(), store.scan()]
        del distributor, store
        for index in order:
            things[index] = None
        del things


def test_a_release_waits_for_the_calls_that_run(store: kvds.Store) -> None:
    again = store.retain()
    running = again._handle  # The object that a call on another thread refers to.
    assert again.release() == 1
    assert store.ref_count == 2
    del running
    assert store.ref_count == 1


def test_releasing_while_others_read(distributor: kvds.Distributor, backend: kvds.Backend) -> None:
    kept = distributor.get_or_create("s", backend)
    kept.update({b"%d" % n: b"x" * 10_000 for n in range(20)})
    for _ in range(50):
        store = kept.scope(b"")  # The only reference: it would be freed too early.
        started = threading.Barrier(4)
        failures: list[BaseException] = []

        def read(store: kvds.Store = store) -> None:
            started.wait(LONG)
            try:
                while True:
                    assert store.get(b"7") == b"x" * 10_000
                    assert len(list(store.items())) == 20
            except kvds.Closed:
                pass
            except BaseException as cause:
                failures.append(cause)

        threads = together(read, read, read)
        started.wait(LONG)
        store.release()
        ended(threads)
        assert failures == []
    assert kept.ref_count == 1


def test_a_cursor_that_many_threads_use_and_one_closes(store: kvds.Store) -> None:
    store.update({b"%03d" % n: b"%03d" % n for n in range(200)})
    cursor = store.cursor()
    cursor.first()
    failures: list[BaseException] = []

    def walk() -> None:
        try:
            while True:
                if not cursor.next():
                    cursor.first()
                key, value = cursor.item
                assert key == value
        except (kvds.Closed, LookupError):
            pass
        except BaseException as cause:
            failures.append(cause)

    threads = together(walk, walk, walk)
    cursor.close()
    ended(threads)
    assert failures == []


def test_a_call_that_waits_lets_other_threads_run(distributor: kvds.Distributor) -> None:
    # close() waits in C until the observer's call has ended, which this thread controls. If the
    # wait held the GIL, this would deadlock.
    told, go_on, closing = threading.Event(), threading.Event(), threading.Event()

    def on_death(*death: object) -> None:
        told.set()
        assert go_on.wait(LONG)

    observer = distributor.observe(on_death)

    def close() -> None:
        closing.set()
        observer.close()

    dies = together(distributor.memory("s").release)
    assert told.wait(LONG)
    closes = together(close)
    assert closing.wait(LONG)
    for _ in range(20):
        time.sleep(0.001)
        assert closes[0].is_alive()
    go_on.set()
    ended(closes + dies)


def test_other_threads_run_during_every_kind_of_call(store: kvds.Store) -> None:
    # Threads do not switch on a timer here, so this one runs only if calls of the other release the
    # GIL.
    store.update({b"%03d" % n: b"x" * 1000 for n in range(100)})
    calls: list[Callable[[], object]] = [
        lambda: store.get(b"007"),
        lambda: store.__setitem__(b"007", b"x" * 1000),
        lambda: store.get_many([b"%03d" % n for n in range(100)]),
        lambda: list(store.scan()),
        lambda: store.compact(),
    ]
    interval = sys.getswitchinterval()
    for call in calls:
        seen, started = threading.Event(), threading.Event()
        in_time: list[bool] = []

        def again(call: Callable[[], object] = call) -> None:
            end = time.monotonic() + LONG
            started.set()
            while not seen.is_set() and time.monotonic() < end:
                call()
            in_time.append(seen.is_set())

        sys.setswitchinterval(10 * LONG)
        try:
            threads = together(again)
            started.wait()
            seen.set()
            ended(threads)
        finally:
            sys.setswitchinterval(interval)
        assert in_time == [True]


def test_counting_with_many_threads(store: kvds.Store) -> None:
    def count() -> None:
        for _ in range(200):
            store.add(b"sum")
            while True:
                old = store.setdefault(b"swapped", b"0")
                if store.compare_and_swap(b"swapped", old, b"%d" % (int(old) + 1)):
                    break

    ended(together(count, count, count, count))
    assert store[b"sum"] == store[b"swapped"] == b"800"


def test_each_popped_item_goes_to_one(store: kvds.Store) -> None:
    store.update({b"%04d" % n: b"" for n in range(400)})
    popped: list[bytes] = []

    def pop() -> None:
        try:
            while True:
                popped.append(store.popitem()[0])
        except KeyError:
            pass

    ended(together(pop, pop, pop, pop))
    assert sorted(popped) == [b"%04d" % n for n in range(400)]


def run(program: str, directory: Path) -> str:
    """Returns what a new Python process prints. It must succeed, and print no errors."""
    command = [sys.executable, "-X", "dev", "-c", "import kvds, os, sys, threading\n" + program]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_python_may_end_with_everything_open(tmp_path: Path) -> None:
    run(
        """
import logging
kvds.log_to(logging.getLogger("quiet"), logging.DEBUG)
d = kvds.Distributor("data")
d.observe(lambda *death: None)
s = d.disk("s"); s[b"a"] = b"1"
m = d.memory("m"); scan = m.scan(); cursor = s.cursor(); view = s.snapshot(); batch = s.batch()
sys.kept = [d, s, m, scan, cursor, view, batch]
cycle = [s]; cycle.append(cycle)
""",
        tmp_path,
    )
    with kvds.Distributor(tmp_path / "data") as distributor:
        assert distributor.disk("s") == {b"a": b"1"}


def test_python_may_end_while_threads_use_stores(tmp_path: Path) -> None:
    for _ in range(5):
        run(
            """
d = kvds.Distributor("data")
d.observe(lambda *death: None)
s = d.disk("s")
going = threading.Semaphore(0)
def use():
    going.release()
    while True:
        s[b"a"] = s.get(b"a", b"") [:1000] + b"1"
        list(s.scan())
        d.memory("m").release()
for _ in range(3):
    threading.Thread(target=use, daemon=True).start()
    going.acquire()
""",
            tmp_path,
        )


def test_python_may_end_while_an_observer_is_told(tmp_path: Path) -> None:
    said = run(
        """
import time
told = threading.Event()
def on_death(*death):
    told.set()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        time.sleep(0.0001)
    print("told")
d = kvds.Distributor()
d.observe(on_death)
threading.Thread(target=d.memory("s").release, daemon=True).start()
told.wait()
""",
        tmp_path,
    )
    assert said == "told\n"


def test_a_child_made_by_fork(tmp_path: Path) -> None:
    # Newer Pythons warn of forks with threads, which RocksDB has.
    program = """
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
d = kvds.Distributor("data")
disk, memory = d.disk("s"), d.memory("s")
disk[b"a"] = memory[b"a"] = b"1"
child = os.fork()
if child == 0:
    try:
        disk[b"a"]
    except kvds.Forked as forked:
        assert forked.status is kvds.Status.FORKED
        memory[b"a"] = b"the child's"
        del disk
        kvds.Distributor("other").disk("s")[b"a"] = b"2"
        os._exit(0)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(disk[b"a"], memory[b"a"])
"""
    assert run(program, tmp_path) == "b'1' b'1'\n"
    assert os.path.isdir(tmp_path / "other" / "s")


def test_forked_workers_write_much(tmp_path: Path) -> None:
    # Each worker once hung at the first flush of its store.
    program = """
import multiprocessing
import warnings; warnings.simplefilter("ignore", DeprecationWarning)
def work(name):
    store = kvds.Distributor("data").disk(name)
    for i in range(24):
        store[str(i).encode()] = bytes(1 << 20)
    store.compact()
    return sum(1 for _ in store)
parents = kvds.Distributor("data").disk("parent's")
parents[b"a"] = b"1"
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(work, ["one", "two", "three"]))
"""
    assert run(program, tmp_path) == "[24, 24, 24]\n"
