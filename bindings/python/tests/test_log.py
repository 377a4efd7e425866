"""The library's log messages in the logging module."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import kvds


class Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[logging.LogRecord] = []
        self.some = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record)
        self.some.set()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    logger = logging.getLogger("test.kvds")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(collector)
    yield collector
    kvds.log_to(None)
    logger.removeHandler(collector)


def test_what_goes_on_is_logged(collector: Collector, tmp_path: Path) -> None:
    kvds.log_to(logging.getLogger("test.kvds"), logging.DEBUG)
    with kvds.Distributor(tmp_path) as distributor, distributor.disk("s"):
        assert collector.some.wait(60)
    kvds.log_to(None)
    before = len(collector.lines)
    with kvds.Distributor(tmp_path) as distributor, distributor.disk("s"):
        pass
    assert len(collector.lines) == before
    assert {record.levelno for record in collector.lines} <= {
        logging.DEBUG,
        logging.INFO,
        logging.WARNING,
        logging.ERROR,
    }
    assert all(record.getMessage() for record in collector.lines)


def test_what_is_not_asked_for_is_not_logged(collector: Collector, tmp_path: Path) -> None:
    kvds.log_to(logging.getLogger("test.kvds"), logging.CRITICAL)
    with kvds.Distributor(tmp_path) as distributor, distributor.disk("s") as store:
        store.compact()
    kvds.log_to(None)
    assert [record for record in collector.lines if record.levelno < logging.ERROR] == []
