"""Conditional writes, counters, batches."""

from __future__ import annotations

import pytest

import kvds


def test_set_nx(store: kvds.Store) -> None:
    assert store.set_nx(b"lock", b"one") is True
    assert store.set_nx(b"lock", b"two") is False
    assert store[b"lock"] == b"one"


def test_compare_and_swap_and_delete(store: kvds.Store) -> None:
    assert store.compare_and_swap(b"a", b"", b"1") is False
    assert store.compare_and_delete(b"a", b"") is False
    store[b"a"] = b"0"
    assert store.compare_and_swap(b"a", b"1", b"2") is False
    assert store.compare_and_swap(b"a", b"0", b"1") is True
    assert store.compare_and_delete(b"a", b"0") is False
    assert store[b"a"] == b"1"
    assert store.compare_and_delete(b"a", b"1") is True
    assert b"a" not in store


def test_add(store: kvds.Store) -> None:
    assert store.add(b"n") == 1
    assert store.add(b"n", -3) == -2
    assert store.add(b"max", 2**63 - 1) == 2**63 - 1
    with pytest.raises(kvds.InvalidArgument):
        store.add(b"max")
    with pytest.raises(OverflowError):
        store.add(b"n", 2**63)
    with pytest.raises(TypeError):
        store.add(b"n", 0.5)  # type: ignore[arg-type]
    assert store[b"n"] == b"-2"


def test_a_batch_is_applied_at_the_end_of_its_block(store: kvds.Store) -> None:
    store[b"old"] = b""
    with store.batch() as batch:
        batch[b"a"] = b"1"
        batch[b"a"] = b"2"
        del batch[b"old"]
        del batch[b"nothing"]
        assert len(batch) == 4
        assert b"a" not in store
    assert store == {b"a": b"2"}


def test_a_block_that_fails_applies_nothing(store: kvds.Store) -> None:
    with pytest.raises(ZeroDivisionError), store.batch() as batch:
        batch[b"a"] = b"1"
        1 // 0
    assert not store


def test_expectations(store: kvds.Store) -> None:
    store[b"ada"] = b"10"
    with store.batch() as batch:
        batch.expect(b"ada", b"10")
        batch.expect_absent(b"alan")
        batch[b"ada"] = b"7"
        batch[b"alan"] = b"3"
    with pytest.raises(kvds.Mismatch) as mismatch, store.batch() as batch:
        batch.expect_absent(b"alan")
        batch.clear()
        batch.expect(b"ada", b"10")
        batch[b"ada"] = b"0"
    assert mismatch.value.status is kvds.Status.MISMATCH
    assert store == {b"ada": b"7", b"alan": b"3"}


def test_a_batch_can_be_written_again(store: kvds.Store) -> None:
    batch = store.batch()
    assert batch, "an empty batch is a batch"
    batch[b"a"] = b"1"
    batch.write()
    store.clear()
    batch.write()
    assert store == {b"a": b"1"}


def test_many_keys(store: kvds.Store) -> None:
    store.set_batch({b"a": b"1", b"b": b"", b"c": b"3"})
    assert store.get_many([b"c", b"x", b"b", b"c"]) == [b"3", None, b"", b"3"]
    assert store.get_many([]) == []
    store.delete_batch(key for key in (b"a", b"x"))
    store.delete_prefix(b"b")
    assert store == {b"c": b"3"}
