"""Shared by the tests: a distributor with a directory of its own, and a store in it.

The tests that take them run on memory and on disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kvds


@pytest.fixture
def distributor(tmp_path: Path) -> Iterator[kvds.Distributor]:
    with kvds.Distributor(tmp_path / "data") as distributor:
        yield distributor


LOCAL = [kvds.Backend.MEMORY, kvds.Backend.DISK]


@pytest.fixture(params=LOCAL, ids=lambda backend: str(backend.value))
def backend(request: pytest.FixtureRequest) -> kvds.Backend:
    chosen: kvds.Backend = request.param
    return chosen


@pytest.fixture
def store(distributor: kvds.Distributor, backend: kvds.Backend) -> Iterator[kvds.Store]:
    with distributor.get_or_create("test", backend) as store:
        yield store
