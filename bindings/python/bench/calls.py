"""Measures a call through ctypes, through cffi, and through the package.

docs/decisions/0007-python-calls.md has the figures.

usage: python bench/calls.py    (with the package installed)
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from pathlib import Path

import kvds
from kvds._library import ffi, lib

KEY, VALUE = b"key-00000042", b"v" * 100
PAIRS = 10_000
ROUNDS, CALLS = 40, 10_000

store = kvds.Distributor().memory("bench")
store.set_batch((b"key-%08d" % n, VALUE) for n in range(PAIRS))


class Value(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("len", ctypes.c_size_t), ("owner", ctypes.c_void_p)]


c = ctypes.CDLL(
    os.environ.get("KVDS_LIBRARY") or str(Path(kvds.__file__).with_name("libkvds.so.0"))
)
c_bytes = [ctypes.c_char_p, ctypes.c_size_t]
c.kvds_exists.argtypes = [ctypes.c_void_p, *c_bytes]
c.kvds_set.argtypes = [ctypes.c_void_p, *c_bytes, *c_bytes]
c.kvds_get.argtypes = [ctypes.c_void_p, *c_bytes, ctypes.POINTER(Value)]
c.kvds_value_release.argtypes = [ctypes.POINTER(Value)]
c.kvds_value_release.restype = None
pointer = store._handle
address = ctypes.c_void_p(int(ffi.cast("uintptr_t", pointer)))


def ctypes_exists() -> None:
    c.kvds_exists(address, KEY, len(KEY))


def cffi_exists() -> None:
    lib.kvds_exists(pointer, KEY, len(KEY))


def package_exists() -> None:
    KEY in store


def ctypes_set() -> None:
    c.kvds_set(address, KEY, len(KEY), VALUE, len(VALUE))


def cffi_set() -> None:
    lib.kvds_set(pointer, KEY, len(KEY), VALUE, len(VALUE))


def package_set() -> None:
    store[KEY] = VALUE


def ctypes_get() -> bytes:
    value = Value()
    out = ctypes.byref(value)
    c.kvds_get(address, KEY, len(KEY), out)
    copy = ctypes.string_at(value.data, value.len)
    c.kvds_value_release(out)
    return copy


def cffi_get() -> bytes:
    value = ffi.new("kvds_value *")
    lib.kvds_get(pointer, KEY, len(KEY), value)
    copy = bytes(ffi.buffer(value.data, value.len))
    lib.kvds_value_release(value)
    return copy


def package_get() -> bytes:
    return store[KEY]


def package_scan() -> None:
    for _ in store.scan():
        pass


def nanoseconds(function: Callable[[], object], calls: int) -> float:
    begin = time.perf_counter_ns()
    for _ in range(calls):
        function()
    return (time.perf_counter_ns() - begin) / calls


def main() -> None:
    functions = [ctypes_exists, cffi_exists, package_exists, ctypes_set, cffi_set, package_set]
    functions += [ctypes_get, cffi_get, package_get]  # type: ignore[list-item]
    # In turns, as the speed of the machine varies. The best of each, as interference only slows
    # down.
    best = {
        function: min(column)
        for function, column in zip(
            functions,
            zip(*([nanoseconds(function, CALLS) for function in functions] for _ in range(ROUNDS))),
        )
    }
    for function, time_taken in best.items():
        print(f"{function.__name__:15} {time_taken:6.0f} ns")
    scan = min(nanoseconds(package_scan, 1) for _ in range(ROUNDS)) / PAIRS
    print(f"{'package_scan':15} {scan:6.0f} ns a pair")


if __name__ == "__main__":
    main()
