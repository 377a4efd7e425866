"""Statuses and exceptions."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import kvds
from kvds._errors import _CLASSES, error
from kvds._library import lib

API = json.loads((Path(__file__).parents[3] / "abi" / "api.json").read_text("utf-8"))
ITEMS = [item for section in API["sections"] for item in section["items"]]


def test_every_error_status_has_a_class() -> None:
    assert {status for status in kvds.Status if status < 0} <= set(_CLASSES)


def test_cffi_reads_every_constant_of_the_header() -> None:
    constants = {item["name"]: item["value"] for item in ITEMS if item["kind"] == "constant"}
    assert constants["KVDS_INTERNAL"] < 0
    assert constants == {name: getattr(lib, name, None) for name in constants}


def test_every_function_of_the_header_is_there() -> None:
    names = {item["name"] for item in ITEMS if item["kind"] == "function"}
    assert len(names) > 70
    for name in names:
        getattr(lib, name)


def test_every_error_has_a_class_of_its_own() -> None:
    assert len(set(_CLASSES.values())) == len(_CLASSES)
    for status, kind in _CLASSES.items():
        raised = error(status, "text")
        assert (
            type(raised) is kind and raised.status is kvds.Status(status) and str(raised) == "text"
        )
        assert getattr(kvds, kind.__name__) is kind


def test_a_status_of_a_later_library_is_an_error() -> None:
    assert type(error(-99, "text")) is kvds.Error


def test_errors_can_be_pickled() -> None:
    copy = pickle.loads(pickle.dumps(error(kvds.Status.LOCKED, "text")))
    assert (
        type(copy) is kvds.Locked and copy.status is kvds.Status.LOCKED and copy.message == "text"
    )
