"""Distributors: names, options, observers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kvds


def test_whoever_asks_for_a_name_gets_the_same_store(
    distributor: kvds.Distributor, backend: kvds.Backend
) -> None:
    assert distributor.get("users", backend) is None
    one = distributor.get_or_create("users", backend.value)
    two = distributor.get("users", backend)
    assert two is not None
    one[b"a"] = b"1"
    assert two[b"a"] == b"1"
    assert one.ref_count == two.ref_count == 2
    assert distributor.stores() == [kvds.LiveStore("users", backend, 0, 2)]
    assert distributor.store_count == 1


def test_memory_and_disk_have_names_of_their_own(distributor: kvds.Distributor) -> None:
    memory, disk = distributor.memory("ü/x"), distributor.disk("ü/x")
    assert (memory.id, memory.backend, memory.tag) == ("ü/x", kvds.Backend.MEMORY, 0)
    assert (disk.id, disk.backend, disk.tag) == ("ü/x", kvds.Backend.DISK, 1)
    assert [(store.id, store.backend.value) for store in distributor.stores()] == [
        ("ü/x", "memory"),
        ("ü/x", "disk"),
    ]


def test_bad_names(distributor: kvds.Distributor) -> None:
    with pytest.raises(kvds.InvalidArgument):
        distributor.memory("")
    with pytest.raises(kvds.InvalidArgument, match="NUL"):
        distributor.memory("a\0b")
    with pytest.raises(TypeError):
        distributor.memory(b"a")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tape"):
        distributor.get("a", "tape")
    with pytest.raises(kvds.InvalidArgument):
        kvds.Distributor().disk("a")


def test_ids_of_memory_stores_are_any_bytes(distributor: kvds.Distributor) -> None:
    for id in ("\udcff", "caf\udce9", "a" * 1000, "/" * 65536):
        with distributor.memory(id) as store:
            assert store.id == id
            assert distributor.stores() == [kvds.LiveStore(id, kvds.Backend.MEMORY, store.tag, 1)]
    with pytest.raises(kvds.InvalidArgument, match="UTF-8"):
        distributor.disk("\udcff")
    with pytest.raises(kvds.InvalidArgument, match="65536"):
        distributor.memory("a" * 65537)


def test_a_store_is_opened_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "rm 2"
    with pytest.raises(kvds.NotFound, match="rm 2"):
        kvds.Store.open(path, create_if_missing=False)
    with kvds.Store.open(path, durability="sync") as store:
        assert (store.id, store.tag, store.backend) == (str(path), 0, kvds.Backend.DISK)
        store[b"a"] = b"1"
        with pytest.raises(kvds.Locked):
            kvds.Store.open(str(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["rm 2"]
    with kvds.Store.open(path, read_only=True) as store:
        assert dict(store.items()) == {b"a": b"1"}
    for wrong in ("", "a\0b"):
        with pytest.raises(kvds.InvalidArgument):
            kvds.Store.open(wrong)
    with pytest.raises(kvds.InvalidArgument, match="color"):
        kvds.Store.open(path, color="red")


def test_paths_are_what_open_takes(tmp_path: Path) -> None:
    for path in (tmp_path / "one", str(tmp_path / "two")):
        with kvds.Distributor(path) as distributor:
            distributor.disk("s")[b"a"] = b"1"
        assert (Path(path) / "s").is_dir()
    with pytest.raises(kvds.InvalidArgument, match="NUL"):
        kvds.Distributor("a\0b")


def test_data_stays_on_disk(tmp_path: Path) -> None:
    with (
        kvds.Distributor(tmp_path, durability="sync") as distributor,
        distributor.disk("s") as store,
    ):
        store[b"a"] = b"1"
    with kvds.Distributor(tmp_path, read_only=True) as distributor:
        assert distributor.disk("s")[b"a"] == b"1"
        with pytest.raises(kvds.Denied):
            distributor.disk("s").clear()
        with pytest.raises(kvds.NotFound):
            distributor.disk("t")


def test_options(tmp_path: Path) -> None:
    with (
        kvds.Distributor(tmp_path, memory_limit_bytes=10_000) as distributor,
        distributor.memory("s") as store,
    ):
        with pytest.raises(kvds.NoMemory):
            store[b"a"] = b"x" * 10_000
        with pytest.raises(MemoryError):
            store[b"a"] = b"x" * 10_000
    wrong: list[dict[str, Any]] = [
        {"durability": "maybe"},
        {"color": "red"},
        {"block_cache_bytes": -1},
        {"keep_stores": None},
    ]
    for options in wrong:
        with pytest.raises(kvds.InvalidArgument):
            kvds.Distributor(tmp_path, **options)


def test_keep_stores_and_evict() -> None:
    with kvds.Distributor(keep_stores=True) as distributor:
        distributor.memory("s")[b"a"] = b"1"
        assert distributor.memory("s")[b"a"] == b"1"
        assert distributor.evict("s", "memory") is True
        assert distributor.evict("s", "memory") is False
        assert not distributor.memory("s")


def test_destroy(distributor: kvds.Distributor) -> None:
    assert distributor.destroy("s") is False
    with distributor.disk("s"):
        with pytest.raises(kvds.Busy):
            distributor.destroy("s")
    assert distributor.destroy("s", "disk") is True
    assert distributor.destroy("s", kvds.Backend.DISK) is False
    with distributor.memory("s"):
        with pytest.raises(kvds.Busy):
            distributor.destroy("s", "memory")
    assert distributor.destroy("s", "memory") is False


def test_cluster_stores_need_the_option_cluster(distributor: kvds.Distributor) -> None:
    # A build without cluster stores says so.
    for call in (
        lambda: distributor.cluster("s"),
        lambda: distributor.get("s", "cluster"),
        lambda: distributor.destroy("s", kvds.Backend.CLUSTER),
    ):
        with pytest.raises((kvds.InvalidArgument, kvds.Unsupported), match="cluster"):
            call()
    # Nothing is connected before the first store is opened.
    options = {
        "cluster_ca": "ca.pem",
        "cluster_cert": "cert.pem",
        "cluster_key": "key.pem",
        "cluster_user": "user",
        "cluster_password": "password",
    }
    kvds.Distributor(cluster="etcds://a,b:1/c", cluster_timeout_ms=100, **options).release()
    with pytest.raises(kvds.InvalidArgument, match="milliseconds from 100 to 600000"):
        kvds.Distributor(cluster_timeout_ms=99)


def test_another_distributor_is_kept_out(distributor: kvds.Distributor, tmp_path: Path) -> None:
    distributor_2 = kvds.Distributor(tmp_path / "data")
    held = distributor.disk("s")
    with pytest.raises(kvds.Locked) as locked:
        distributor_2.disk("s")
    assert locked.value.status is kvds.Status.LOCKED
    assert str(tmp_path) in str(locked.value)
    held.release()
    assert distributor_2.disk("s").is_open


def test_shutdown_closes_everything_for_everybody(
    distributor: kvds.Distributor, backend: kvds.Backend
) -> None:
    store = distributor.get_or_create("s", backend)
    distributor.shutdown()
    distributor.shutdown()
    for call in (lambda: store.get(b""), lambda: distributor.memory("t")):
        with pytest.raises(kvds.Closed):
            call()


def test_a_distributor_that_was_released(tmp_path: Path) -> None:
    distributor = kvds.Distributor(tmp_path)
    store = distributor.memory("s")
    distributor.release()
    distributor.release()
    calls: list[Callable[[], object]] = [
        lambda: distributor.memory("s"),
        lambda: distributor.get("s"),
        lambda: distributor.evict("s"),
        lambda: distributor.destroy("s"),
        lambda: distributor.stores(),
        lambda: distributor.store_count,
        lambda: distributor.observe(print),
        lambda: distributor.shutdown(),
    ]
    for call in calls:
        with pytest.raises(kvds.Closed, match="released"):
            call()
    assert repr(distributor) == "<kvds.Distributor, released>"
    store[b"a"] = b"stores keep working"


def test_observers_are_called_for_each_death(
    distributor: kvds.Distributor, backend: kvds.Backend
) -> None:
    deaths: list[tuple[int, str, kvds.Backend]] = []
    observer = distributor.observe(lambda *death: deaths.append(death))
    store = distributor.get_or_create("s", backend)
    view = store.snapshot()
    store.release()
    assert deaths == []
    view.release()
    assert deaths == [(0, "s", backend)]
    distributor.get_or_create("s", backend)
    assert deaths == [(0, "s", backend), (1, "s", backend)]
    observer.close()
    observer.close()
    distributor.get_or_create("s", backend)
    assert len(deaths) == 2


def test_an_observer_that_cannot_be_called_is_told_at_once(distributor: kvds.Distributor) -> None:
    with pytest.raises(TypeError, match="callable, not int"):
        distributor.observe(5)  # type: ignore[arg-type]


def test_an_observer_that_is_dropped_goes_on_and_ends_with_the_stores() -> None:
    class Witness:
        deaths = 0

        def __call__(self, *death: object) -> None:
            self.deaths += 1

    import gc
    import weakref

    witness = Witness()
    gone = weakref.ref(witness)
    distributor = kvds.Distributor()
    distributor.observe(witness)
    gc.collect()
    store = distributor.memory("s")
    distributor.release()
    store.release()
    assert witness.deaths == 1
    del witness
    gc.collect()
    assert gone() is None, "the callback is let go of with the distributor and its stores"


def test_an_observer_may_do_anything(distributor: kvds.Distributor, backend: kvds.Backend) -> None:
    reborn: list[kvds.Store] = []

    def again(tag: int, id: str, backend: kvds.Backend) -> None:
        observer.close()
        reborn.append(distributor.get_or_create(id, backend))

    observer = distributor.observe(again)
    distributor.get_or_create("s", backend)
    assert [store.tag for store in reborn] == [1]


def test_what_an_observer_raises_is_not_lost(
    distributor: kvds.Distributor, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)

    def fail(tag: int, id: str, backend: kvds.Backend) -> None:
        raise ZeroDivisionError(id)

    with distributor.observe(fail):
        distributor.memory("s").release()
    [arguments] = told
    assert arguments.exc_type is ZeroDivisionError
    assert str(arguments.exc_value) == "s"
    assert arguments.exc_traceback is not None
    assert "callback" in arguments.err_msg
