"""Damaged stores."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import pytest

import kvds

KEYS = [b"key%04d" % number for number in range(2000)]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A closed disk store with a table file. Its first key expires."""
    path = tmp_path / "store"
    with kvds.Store.open(path) as store:
        store.update({key: b"value of " + key for key in KEYS})
        store.expire(KEYS[0], 3600)
        store.compact()
    return path


@pytest.fixture
def damaged(whole: Path) -> Path:
    """The same store with a changed byte in the table file."""
    content = bytearray(table_of(whole).read_bytes())
    content[len(content) // 2] ^= 1
    table_of(whole).write_bytes(content)
    return whole


def table_of(store: Path) -> Path:
    return max(store.glob("*.sst"), key=lambda file: file.stat().st_size)


def test_a_whole_store_has_no_damage(whole: Path) -> None:
    calls: list[tuple[Optional[kvds.Damage], int, int]] = []
    assert kvds.verify(whole, lambda *call: calls.append(call)) == []
    assert calls and all(damage is None and 0 <= done <= total for damage, done, total in calls)
    with kvds.Store.open(whole):
        assert kvds.verify(str(whole), max_open_files=100) == []


def test_what_can_be_read_is_saved(damaged: Path, tmp_path: Path) -> None:
    seen: list[kvds.Damage] = []

    def keep(damage: Optional[kvds.Damage], done: int, total: int) -> None:
        seen.extend([damage] if damage else [])

    found = kvds.verify(damaged, keep)
    (damage,) = found
    assert seen == found
    assert damage.file == str(table_of(damaged)) and damage.problem
    assert damage.loss is kvds.Loss.PAIRS
    first, last = damage.first, damage.last
    assert first is not None and last is not None and first < last

    target = tmp_path / "above" / "target"
    saved = kvds.salvage(damaged, target)
    assert saved.damages == found
    assert saved.lost >= 0 and saved.ttls_lost == 0
    with kvds.Store.open(target) as store:
        assert 0 < len(store) == saved.pairs < len(KEYS)
        assert all(store[key] == b"value of " + key for key in store)
        assert all(first <= key <= last for key in KEYS if key not in store)
        assert store.ttl(KEYS[0]) is not None and store.ttl(KEYS[-1]) is None


def test_the_callback_stops_both(damaged: Path, tmp_path: Path) -> None:
    calls = []

    def stop(*call: object) -> bool:
        calls.append(call)
        return False

    assert kvds.verify(damaged, stop) == []
    assert kvds.salvage(damaged, tmp_path / "target", stop) is None
    assert len(calls) == 2
    assert not (tmp_path / "target").exists()
    until_damage = kvds.verify(damaged, lambda damage, done, total: damage is None)
    assert len(until_damage) == 1


@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyboardInterrupt])
def test_an_exception_of_the_callback_is_raised_after_the_call(
    damaged: Path, tmp_path: Path, kind: type[BaseException]
) -> None:
    calls = []

    def fail(*call: object) -> None:
        calls.append(call)
        raise kind

    with pytest.raises(kind):
        kvds.verify(damaged, fail)
    with pytest.raises(kind):
        kvds.salvage(damaged, tmp_path / "target", fail)
    assert len(calls) == 2
    assert not (tmp_path / "target").exists()


def test_wrong_calls_raise(whole: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with pytest.raises(kvds.NotFound, match="no store in '.*absent'"):
        kvds.verify(tmp_path / "absent")
    with pytest.raises(kvds.NotFound, match="no store in '.*absent'"):
        kvds.salvage(tmp_path / "absent", target)
    with pytest.raises(kvds.InvalidArgument, match="exists"):
        kvds.salvage(whole, whole)
    with pytest.raises(kvds.InvalidArgument, match="durabilty"):
        kvds.verify(whole, durabilty="sync")
    with pytest.raises(kvds.InvalidArgument, match="NUL"):
        kvds.verify("a\0b")
    with pytest.raises(TypeError, match="callable"):
        kvds.verify(whole, 1)  # type: ignore[arg-type]
    with kvds.Store.open(whole), pytest.raises(kvds.Locked):
        kvds.salvage(whole, target)
    assert not target.exists()
