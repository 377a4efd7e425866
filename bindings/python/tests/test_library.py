"""The contents of the package, and how it finds the C library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kvds
from kvds import _library
from kvds._library import ffi

PACKAGE = Path(kvds.__file__).parent
CARRIED = PACKAGE / "libkvds.so.0"


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in ("KVDS_LIBRARY", "LD_LIBRARY_PATH")
    }
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def without(tmp_path: Path) -> Path:
    """A directory with a copy of the package without a library."""
    shutil.copytree(
        PACKAGE, tmp_path / "kvds", ignore=shutil.ignore_patterns("libkvds*", "__pycache__")
    )
    return tmp_path


def test_the_licenses_are_those_of_the_repository() -> None:
    here, root = Path(__file__).parents[1], Path(__file__).parents[3]
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        assert (here / name).read_bytes() == (root / name).read_bytes()


def test_the_wheel_carries_one() -> None:
    assert CARRIED.is_file()
    assert run("import kvds; print(kvds.library_version)").stdout.strip() == kvds.library_version


def test_the_environment_goes_first(tmp_path: Path) -> None:
    missing = run("import kvds", KVDS_LIBRARY=str(tmp_path / "libkvds.so"))
    assert "ImportError: kvds finds no C library: $KVDS_LIBRARY: " in missing.stderr
    assert str(tmp_path / "libkvds.so") in missing.stderr
    other = run("import kvds", KVDS_LIBRARY="libm.so.6")
    assert "ImportError: kvds finds no C library: $KVDS_LIBRARY: " in other.stderr


def test_a_package_that_carries_none_looks_elsewhere(without: Path) -> None:
    program = "import kvds; print(kvds.__file__)"
    found = run(program, PYTHONPATH=str(without), KVDS_LIBRARY=str(CARRIED))
    assert found.stdout.strip() == str(without / "kvds" / "__init__.py"), found.stderr
    found = run(program, PYTHONPATH=str(without), LD_LIBRARY_PATH=str(PACKAGE))
    assert found.stdout.strip() == str(without / "kvds" / "__init__.py"), found.stderr


def test_where_it_looked_is_said(without: Path) -> None:
    missing = run("import kvds", PYTHONPATH=str(without), KVDS_LIBRARY=str(without / "none"))
    assert str(without / "none") in missing.stderr


def test_an_older_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Older:
        KVDS_VERSION_MAJOR, KVDS_VERSION_MINOR = 0, 1

        def kvds_version(self) -> object:
            return ffi.new("char[]", b"0.0.7")

    class Ffi:
        string, error = staticmethod(ffi.string), ffi.error

        def dlopen(self, name: str) -> Older:
            return Older()

    monkeypatch.setattr(_library, "ffi", Ffi())
    with pytest.raises(ImportError, match=r"needs version 0\.1 or later.*is 0\.0\.7"):
        _library._load()
