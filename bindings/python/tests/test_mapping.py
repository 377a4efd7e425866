"""A store is a mutable mapping of bytes."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

import pytest

import kvds


def test_it_is_a_mutable_mapping(store: kvds.Store) -> None:
    assert isinstance(store, MutableMapping)


def test_get_set_and_delete(store: kvds.Store) -> None:
    with pytest.raises(KeyError):
        store[b"ada"]
    with pytest.raises(KeyError):
        del store[b"ada"]
    assert store.get(b"ada") is None
    assert store.get(b"ada", 7) == 7
    assert b"ada" not in store
    store[b"ada"] = b"1815"
    assert store[b"ada"] == b"1815"
    assert store.get(b"ada", b"nothing") == b"1815"
    assert b"ada" in store
    del store[b"ada"]
    assert b"ada" not in store


def test_any_bytes_are_keys_and_values(store: kvds.Store) -> None:
    pairs = {
        b"": b"",
        b"\0": b"\0\0",
        bytes(range(256)): bytes(range(255, -1, -1)),
        b"\xff" * 65536: b"x" * (1 << 20),
    }
    store.update(pairs)
    assert dict(store.items()) == pairs
    assert all(store[key] == value for key, value in pairs.items())


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_whatever_is_like_bytes_is_taken(store: kvds.Store, kind: Any) -> None:
    store[kind(b"key")] = kind(b"value")
    assert store[kind(b"key")] == b"value"
    assert kind(b"key") in store
    assert store.get_many([kind(b"key")]) == [b"value"]
    assert list(store.scan(kind(b"k"), kind(b"ke"), kind(b"kez"))) == [(b"key", b"value")]
    assert type(next(iter(store))) is bytes
    assert memoryview(b"k.e.y.")[::2] in store


@pytest.mark.parametrize("wrong", ["text", 7, None, [98]])
def test_whatever_is_not_is_refused(store: kvds.Store, wrong: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store[wrong],
        lambda: store.get(wrong),
        lambda: wrong in store,
        lambda: store.__setitem__(wrong, b""),
        lambda: store.__setitem__(b"", wrong),
        lambda: store.__delitem__(wrong),
        lambda: store.set_nx(b"", wrong),
        lambda: store.compare_and_swap(b"", wrong, b""),
        lambda: store.get_many([wrong]),
        lambda: store.update([(wrong, b"")]),
        lambda: store.delete_batch([wrong]),
        lambda: store.scope(wrong),
        lambda: store.scan(wrong),
        lambda: store.keys(wrong),
        lambda: store.batch().expect(b"", wrong),
        lambda: store.cursor().seek(wrong),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="keys and values are bytes, not "):
            call()
    assert not store


def test_a_batch_of_bytes_alone_is_no_iterable_of_keys(store: kvds.Store) -> None:
    with pytest.raises(TypeError, match="not int"):
        store.get_many(b"ada")  # type: ignore[arg-type]


def test_update_takes_what_a_dict_takes_and_is_atomic(store: kvds.Store) -> None:
    class Keyed:
        def keys(self) -> list[bytes]:
            return [b"c"]

        def __getitem__(self, key: bytes) -> bytes:
            return b"3"

    store.update({b"a": b"1"})
    store.update([(b"b", b"1"), (b"b", b"2")])
    store.update(Keyed())
    store.update()
    assert dict(store.items()) == {b"a": b"1", b"b": b"2", b"c": b"3"}
    with pytest.raises(kvds.InvalidArgument):
        store.update([(b"d", b""), (b"k" * 65537, b"")])
    with pytest.raises(ZeroDivisionError):
        store.update((b"d", b"%d" % (1 // n)) for n in (1, 0))
    with pytest.raises(TypeError, match="by name"):
        store.update(d=b"")
    assert b"d" not in store


def test_pop(store: kvds.Store) -> None:
    store[b"a"] = b"1"
    assert store.pop(b"a") == b"1"
    assert store.pop(b"a", None) is None
    with pytest.raises(KeyError):
        store.pop(b"a")


def test_popitem_takes_the_first_key(store: kvds.Store) -> None:
    store.update({b"b": b"2", b"a": b"1"})
    assert store.popitem() == (b"a", b"1")
    assert store.popitem() == (b"b", b"2")
    with pytest.raises(KeyError):
        store.popitem()


def test_setdefault(store: kvds.Store) -> None:
    assert store.setdefault(b"a", b"1") == b"1"
    assert store.setdefault(b"a", b"2") == b"1"


def test_length_truth_and_clear(store: kvds.Store) -> None:
    assert not store and len(store) == 0
    store.set_batch((b"%04d" % n, b"") for n in range(1000))
    assert store and len(store) == 1000
    store.clear()
    assert not store and len(store) == 0


def test_equality_is_that_of_mappings(store: kvds.Store) -> None:
    store[b"a"] = b"1"
    assert store == {b"a": b"1"}
    assert store != {b"a": b"2"}


def test_repr_names_the_store(store: kvds.Store) -> None:
    assert repr(store) == f"<kvds.Store 'test', {store.backend.value}>"
    store.close()
    assert repr(store) == f"<kvds.Store 'test', {store.backend.value}, closed>"
    store.release()
    assert repr(store) == "<kvds.Store, released>"


def test_a_store_cannot_be_made_of_nothing() -> None:
    with pytest.raises(TypeError, match="Distributor"):
        kvds.Store()
