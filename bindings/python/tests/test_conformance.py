"""The script that every language binding runs: bindings/conformance.json."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Optional, Union

import pytest

import kvds

Step = dict[str, Any]
SCRIPT = Path(__file__).parents[2] / "conformance.json"


def data(written: Union[str, list[Any]]) -> bytes:
    """Returns bytes of the script: a string, or a string and a number of repetitions."""
    if isinstance(written, str):
        return written.encode("latin-1")
    return data(written[0]) * int(written[1])


def pairs(written: list[list[Any]]) -> list[tuple[bytes, bytes]]:
    return [(data(key), data(value)) for key, value in written]


class No(Exception):
    """An expected negative result, which the package returns as a value."""

    def __init__(self, status: kvds.Status, answer: object = None) -> None:
        self.status = status
        self.answer = answer


def hours(ttl: Optional[float]) -> int:
    """Returns a time to live in whole hours, the unit of the script."""
    return -1 if ttl is None else round(ttl / 3600)


def yes(answer: bool, otherwise: kvds.Status) -> None:
    if not answer:
        raise No(otherwise)


class Runner:
    """Runs the steps. Each method returns the result to compare with that of the script."""

    def __init__(self, distributor: kvds.Distributor, backend: kvds.Backend) -> None:
        self.distributor = distributor
        self.backend = backend
        self.stores: dict[str, kvds.Store] = {}
        self.cursors: dict[str, kvds.Cursor] = {}
        self.section = ""

    def run(self, step: Step) -> None:
        status, answer = kvds.Status.OK, None
        try:
            answer = getattr(self, "delete" if step["op"] == "del" else step["op"])(step)
        except No as no:
            status, answer = no.status, no.answer
        except LookupError:
            status = kvds.Status.NOT_FOUND
        except kvds.Error as failure:
            status = kvds.Status(failure.status)
            assert failure.message
        assert f"KVDS_{status.name}" == step.get("status", "KVDS_OK")
        if answer is not None:
            expected = {
                "number": int,
                "value": data,
                "pairs": pairs,
                "pair": lambda pair: pairs([pair])[0],
            }
            name = next(name for name in ("number", "pairs", "pair", "value") if name in step)
            assert answer == expected[name](step[name])  # type: ignore[operator]

    def store(self, step: Step) -> kvds.Store:
        return self.stores[step["store"]]

    def keep(self, step: Step, store: kvds.Store) -> None:
        self.stores[step["as"]] = store

    # ------------------------------------------------------------- the operations

    def distributor_get_or_create(self, step: Step) -> None:
        self.keep(step, self.distributor.get_or_create(step["id"], self.backend))

    def distributor_get(self, step: Step) -> None:
        store = self.distributor.get(step["id"], self.backend)
        if store is None:
            raise No(kvds.Status.NOT_FOUND)
        self.keep(step, store)

    def distributor_store_count(self, step: Step) -> int:
        return self.distributor.store_count

    def distributor_shutdown(self, step: Step) -> None:
        self.distributor.shutdown()

    def store_id(self, step: Step) -> bytes:
        return self.store(step).id.encode()

    def store_backend(self, step: Step) -> None:
        assert self.store(step).backend is self.backend

    def store_tag(self, step: Step) -> int:
        return self.store(step).tag

    def store_ref_count(self, step: Step) -> int:
        return self.store(step).ref_count

    def store_retain(self, step: Step) -> None:
        self.keep(step, self.store(step).retain())

    def store_release(self, step: Step) -> int:
        return self.stores.pop(step["store"]).release()

    def store_snapshot(self, step: Step) -> None:
        self.keep(step, self.store(step).snapshot())

    def store_scope(self, step: Step) -> None:
        self.keep(step, self.store(step).scope(data(step["prefix"])))

    def store_view(self, step: Step) -> None:
        self.keep(step, self.store(step).view(**{step["rights"]: True}))

    def store_property(self, step: Step) -> None:
        yes(self.store(step).get_property(step["property"]) is not None, kvds.Status.NOT_FOUND)

    def is_open(self, step: Step) -> int:
        return self.store(step).is_open

    def close(self, step: Step) -> None:
        self.store(step).close()

    def sync(self, step: Step) -> None:
        self.store(step).sync()

    def compact(self, step: Step) -> None:
        self.store(step).compact()

    def refresh(self, step: Step) -> None:
        self.store(step).refresh()

    def get(self, step: Step) -> bytes:
        return self.store(step)[data(step["key"])]

    def exists(self, step: Step) -> None:
        yes(data(step["key"]) in self.store(step), kvds.Status.NOT_FOUND)

    def set(self, step: Step) -> None:
        self.store(step)[data(step["key"])] = data(step["value"])

    def set_ttl(self, step: Step) -> None:
        self.store(step).set(data(step["key"]), data(step["value"]), 3600 * step["hours"])

    def ttl(self, step: Step) -> int:
        return hours(self.store(step).ttl(data(step["key"])))

    def delete(self, step: Step) -> None:
        del self.store(step)[data(step["key"])]

    def set_nx(self, step: Step) -> None:
        yes(self.store(step).set_nx(data(step["key"]), data(step["value"])), kvds.Status.EXISTS)

    # The package does not tell an absent key from one with another value.

    def compare_and_swap(self, step: Step) -> None:
        key = data(step["key"])
        swapped = self.store(step).compare_and_swap(
            key, data(step["expected"]), data(step["value"])
        )
        yes(swapped, kvds.Status.MISMATCH if key in self.store(step) else kvds.Status.NOT_FOUND)

    def compare_and_delete(self, step: Step) -> None:
        key = data(step["key"])
        deleted = self.store(step).compare_and_delete(key, data(step["expected"]))
        yes(deleted, kvds.Status.MISMATCH if key in self.store(step) else kvds.Status.NOT_FOUND)

    def add(self, step: Step) -> bytes:
        return b"%d" % self.store(step).add(data(step["key"]), int(step["delta"]))

    def set_batch(self, step: Step) -> None:
        self.store(step).set_batch(pairs(step["pairs"]))

    def delete_batch(self, step: Step) -> None:
        self.store(step).delete_batch(map(data, step["keys"]))

    def delete_prefix(self, step: Step) -> None:
        self.store(step).delete_prefix(data(step["prefix"]))

    def multi_get(self, step: Step) -> list[tuple[bytes, bytes]]:
        keys = [data(key) for key in step["keys"]]
        values = self.store(step).get_many(keys)
        return [(key, value) for key, value in zip(keys, values) if value is not None]

    def write(self, step: Step) -> None:
        with self.store(step).batch() as batch:
            add: dict[str, Callable[..., None]] = {
                "set": batch.__setitem__,
                "del": batch.__delitem__,
                "expect": batch.expect,
                "expect_absent": batch.expect_absent,
            }
            for operation, *parts in step["batch"]:
                add[operation](*map(data, parts))

    def iterate(self, step: Step) -> list[tuple[bytes, bytes]]:
        items = self.store(step).scan(data(step["prefix"]))
        if "stop_after" not in step:
            return list(items)
        raise No(kvds.Status.STOPPED, list(islice(items, step["stop_after"])))

    def cursor_new(self, step: Step) -> None:
        bounds = {name: data(step[name]) for name in ("prefix", "start", "end") if name in step}
        self.cursors[step["as"]] = self.store(step).cursor(**bounds)

    def cursor_ttl(self, step: Step) -> int:
        return hours(self.cursors[step["cursor"]].ttl())

    def cursor_free(self, step: Step) -> None:
        self.cursors.pop(step["cursor"]).close()

    def move(self, step: Step, moved: bool) -> tuple[bytes, bytes]:
        yes(moved, kvds.Status.NOT_FOUND)
        return self.cursors[step["cursor"]].item

    def cursor_first(self, step: Step) -> tuple[bytes, bytes]:
        return self.move(step, self.cursors[step["cursor"]].first())

    def cursor_last(self, step: Step) -> tuple[bytes, bytes]:
        return self.move(step, self.cursors[step["cursor"]].last())

    def cursor_next(self, step: Step) -> tuple[bytes, bytes]:
        return self.move(step, self.cursors[step["cursor"]].next())

    def cursor_prev(self, step: Step) -> tuple[bytes, bytes]:
        return self.move(step, self.cursors[step["cursor"]].prev())

    def cursor_seek(self, step: Step) -> tuple[bytes, bytes]:
        return self.move(step, self.cursors[step["cursor"]].seek(data(step["key"])))


def steps() -> Iterator[tuple[str, Step]]:
    section = ""
    for number, step in enumerate(json.loads(SCRIPT.read_text("ascii"))["steps"], 1):
        if step["op"] == "section":
            section = step["name"]
        else:
            yield f"step {number}, {section}: {json.dumps(step)[:300]}", step


def run_every_step(distributor: kvds.Distributor, backend: kvds.Backend) -> None:
    runner = Runner(distributor, backend)
    for where, step in steps():
        try:
            runner.run(step)
        except Exception as cause:
            raise AssertionError(where) from cause
    assert not runner.stores and not runner.cursors


def test_every_step_has_the_expected_answer(tmp_path: Path, backend: kvds.Backend) -> None:
    run_every_step(kvds.Distributor(tmp_path), backend)


def test_every_step_has_the_expected_answer_on_a_cluster() -> None:
    url = os.environ.get("KVDS_TEST_CLUSTER")
    if not url:
        pytest.skip("KVDS_TEST_CLUSTER is not set")
    # A namespace of its own, as the script expects no store to exist.
    url = f"{url.rstrip('/')}/python-{uuid.uuid4()}"
    run_every_step(kvds.Distributor(cluster=url), kvds.Backend.CLUSTER)
    with kvds.Distributor(cluster=url) as distributor:
        assert distributor.destroy("users", "cluster") is True
        assert distributor.destroy("users", "cluster") is False
