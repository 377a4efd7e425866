"""Iterations, cursors, and the views of keys, values and items."""

from __future__ import annotations

import pytest

import kvds

KEYS = [b"", b"a", b"a\0", b"ab", b"b", b"b\xff", b"c", b"\xff", b"\xff\xff"]


@pytest.fixture
def full(store: kvds.Store) -> kvds.Store:
    store.update({key: b"=" + key for key in KEYS})
    return store


def test_keys_values_and_items_are_in_order(full: kvds.Store) -> None:
    assert list(full) == list(full.keys()) == KEYS
    assert list(full.values()) == [b"=" + key for key in KEYS]
    assert list(full.items()) == list(full.scan()) == [(key, b"=" + key) for key in KEYS]
    assert list(reversed(full)) == list(reversed(full.keys())) == KEYS[::-1]
    assert list(reversed(full.values())) == [b"=" + key for key in KEYS[::-1]]
    assert (
        list(reversed(full.items()))
        == list(full.scan(reverse=True))
        == [(key, b"=" + key) for key in KEYS[::-1]]
    )


def test_views_with_a_prefix(full: kvds.Store) -> None:
    assert list(full.keys(b"a")) == [b"a", b"a\0", b"ab"]
    assert list(full.values(b"b")) == [b"=b", b"=b\xff"]
    assert list(full.items(b"\xff")) == [(b"\xff", b"=\xff"), (b"\xff\xff", b"=\xff\xff")]
    assert len(full.keys(b"a")) == len(full.values(b"a")) == len(full.items(b"a")) == 3
    assert b"ab" in full.keys(b"a") and b"b" not in full.keys(b"a") and b"ac" not in full.keys(b"a")
    assert b"=b" in full.values(b"b") and b"=a" not in full.values(b"b")
    assert (
        (b"b", b"=b") in full.items(b"b")
        and (b"b", b"") not in full.items()
        and (b"a", b"=a") not in full.items(b"b")
    )
    assert full.keys(b"a") & {b"a", b"b"} == {b"a"}


def test_ranges(full: kvds.Store) -> None:
    bounds = [None, b"", b"a", b"a\0", b"aa", b"b", b"z", b"\xff\xff\xff"]
    for start in bounds:
        for end in bounds:
            for prefix in (b"", b"a", b"b"):
                expected = [
                    key
                    for key in KEYS
                    if key.startswith(prefix)
                    and (start is None or key >= start)
                    and (end is None or key < end)
                ]
                for reverse in (False, True):
                    found = [key for key, _ in full.scan(prefix, start, end, reverse)]
                    assert found == expected[:: -1 if reverse else 1], (prefix, start, end, reverse)


def test_an_iteration_shows_the_moment_it_began(full: kvds.Store) -> None:
    iteration, scan = iter(full), full.scan()
    full.clear()
    assert list(iteration) == KEYS
    assert [key for key, _ in scan] == KEYS
    assert list(full) == []


def test_the_store_may_be_changed_in_the_loop(full: kvds.Store) -> None:
    for key in full:
        del full[key]
        full[b"z" + key] = b""
    assert list(full) == sorted(b"z" + key for key in KEYS)


def test_a_cursor_walks(full: kvds.Store) -> None:
    with full.cursor(start=b"a", end=b"c") as cursor:
        assert not cursor.valid
        assert not cursor.next()
        assert (
            cursor.first()
            and cursor.key == b"a"
            and cursor.value == b"=a"
            and cursor.item == (b"a", b"=a")
        )
        assert cursor.next() and cursor.key == b"a\0"
        assert cursor.seek(b"aa") and cursor.key == b"ab"
        assert cursor.prev() and cursor.key == b"a\0"
        assert cursor.last() and cursor.key == b"b\xff" and cursor.valid
        full.clear()
        assert cursor.prev() and cursor.item == (b"b", b"=b")
        with pytest.raises(kvds.InvalidArgument):
            cursor.seek(b"k" * 65537)
        assert cursor.key == b"b", "a move that fails leaves the cursor where it is"
        assert not cursor.seek(b"c")
        for part in ("key", "value", "item"):
            with pytest.raises(LookupError, match="no entry"):
                getattr(cursor, part)
    for move in (cursor.first, cursor.last, cursor.next, cursor.prev, lambda: cursor.seek(b"")):
        with pytest.raises(kvds.Closed):
            move()
    with pytest.raises(kvds.Closed):
        cursor.key
    assert not cursor.valid
    cursor.close()


def test_a_scan_that_is_left_lets_go_of_the_files(distributor: kvds.Distributor) -> None:
    store = distributor.disk("test")
    store.update({b"a": b"", b"b": b""})
    scan = store.scan()
    assert next(scan) == (b"a", b"")
    store.release()
    with pytest.raises(kvds.Busy):
        distributor.destroy("test")
    del scan
    assert distributor.destroy("test")
