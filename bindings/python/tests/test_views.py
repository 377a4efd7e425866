"""Snapshots, scopes, views with fewer rights; maintenance and statistics."""

from __future__ import annotations

from pathlib import Path

import pytest

import kvds


def test_a_snapshot_stays(store: kvds.Store) -> None:
    store[b"a"] = b"1"
    with store.snapshot() as before:
        store[b"a"] = b"2"
        assert before == {b"a": b"1"}
        for write in (
            lambda: before.clear(),
            lambda: before.add(b"n"),
            lambda: before.update({b"a": b""}),
        ):
            with pytest.raises(kvds.Denied):
                write()


def test_a_scope_is_a_store(store: kvds.Store) -> None:
    store[b"other"] = b""
    users = store.scope(b"user/")
    users.update({b"ada": b"1815", b"alan": b"1912"})
    assert list(users.keys(b"al")) == [b"alan"]
    assert list(users.scope(b"a").items()) == [(b"da", b"1815"), (b"lan", b"1912")]
    users.clear()
    assert store == {b"other": b""}


def test_rights(store: kvds.Store) -> None:
    store[b"a"] = b"1"
    reader, writer = store.view(read=True), store.view(write=True)
    assert reader[b"a"] == b"1"
    with pytest.raises(kvds.Denied):
        reader[b"a"] = b"2"
    writer[b"a"] = b"2"
    for read in (lambda: writer[b"a"], lambda: list(writer), lambda: writer.snapshot()):
        with pytest.raises(kvds.Denied):
            read()
    assert store.view(read=True, write=True)[b"a"] == b"2"
    with pytest.raises(kvds.InvalidArgument):
        store.view()


def test_views_keep_the_store_and_hear_of_its_end(
    distributor: kvds.Distributor, backend: kvds.Backend
) -> None:
    store = distributor.get_or_create("test", backend)
    store[b"a"] = b"1"
    scope = store.scope(b"")
    assert store.ref_count == 2
    assert store.release() == 1
    assert scope[b"a"] == b"1"
    assert (scope.id, scope.tag, scope.backend) == ("test", 0, backend)
    same = distributor.get("test", backend)
    assert same is not None
    same.close()
    assert not scope.is_open
    with pytest.raises(kvds.Closed):
        scope[b"a"]


def test_care(store: kvds.Store, distributor: kvds.Distributor, tmp_path: Path) -> None:
    store.update({b"%05d" % n: b"x" * 100 for n in range(1000)})
    store.sync()
    store.compact()
    store.refresh()
    store.checkpoint(tmp_path / "data" / "copy")
    assert distributor.disk("copy") == store
    with pytest.raises(kvds.InvalidArgument):
        store.checkpoint(tmp_path / "data" / "copy")
    with pytest.raises(kvds.InvalidArgument, match="NUL"):
        store.checkpoint("a\0b")


def test_figures(store: kvds.Store) -> None:
    store.update({b"a": b"12", b"b": b""})
    store.get(b"a")
    store.get(b"x")
    stats = store.stats()
    assert (stats.reads, stats.writes, stats.hits) == (2, 2, 1)
    assert stats.keys == 2 and stats.bytes > 0
    assert (stats.disk_bytes > 0) == (store.backend is kvds.Backend.DISK)
    assert store.get_property("kvds.writes") == "2"
    assert store.get_property("kvds.nothing") is None
    assert (store.get_property("rocksdb.stats") is None) == (store.backend is kvds.Backend.MEMORY)
