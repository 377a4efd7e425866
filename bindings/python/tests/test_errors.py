"""Statuses and exceptions."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import kvds
from kvds._errors import _CLASSES, error
from kvds._library import lib

HEADER = (Path(__file__).parents[3] / "include" / "kvds.h").read_text("utf-8")


def test_every_status_of_the_header_is_known() -> None:
    between = HEADER[HEADER.index("#define KVDS_OK ") : HEADER.index("#define KVDS_MEMORY ")]
    numbers = {name: int(number) for name, number in re.findall(r"^#define KVDS_(\w+) (-?\d+)$", between, re.MULTILINE)}
    assert numbers == {status.name: status.value for status in kvds.Status}
    assert {status for status in kvds.Status if status < 0} <= set(_CLASSES)


def test_every_function_of_the_header_is_there() -> None:
    names = set(re.findall(r"\b(kvds_\w+)\(", re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)))
    assert len(names) > 70
    for name in names:
        getattr(lib, name)


def test_every_failure_has_a_class_of_its_own() -> None:
    assert len(set(_CLASSES.values())) == len(_CLASSES)
    for status, kind in _CLASSES.items():
        raised = error(status, "text")
        assert type(raised) is kind and raised.status is kvds.Status(status) and str(raised) == "text"
        assert getattr(kvds, kind.__name__) is kind


def test_a_status_of_a_later_library_is_an_error() -> None:
    assert type(error(-99, "text")) is kvds.Error


def test_errors_can_be_pickled() -> None:
    copy = pickle.loads(pickle.dumps(error(kvds.Status.LOCKED, "text")))
    assert type(copy) is kvds.Locked and copy.status is kvds.Status.LOCKED and copy.message == "text"
