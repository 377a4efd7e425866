"""Adds the C declarations of the header, and the C library if there is one, to a wheel."""

from __future__ import annotations

import os
import re
import shutil
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from cffi import FFI
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def declarations(header: str) -> str:
    """Returns the header as cffi reads it: without preprocessor lines other than numbers."""
    header = re.sub(
        r"^#ifdef __cplusplus\n.*?^#endif.*?\n", "", header, flags=re.MULTILINE | re.DOTALL
    )
    # cffi does not accept numbers in parentheses.
    header = re.sub(r"^(#define \w+) \((-\d+)\)$", r"\1 \2", header, flags=re.MULTILINE)
    return re.sub(r"^#(?!define \w+ -?\d+$).*\n", "", header, flags=re.MULTILINE)


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling before it builds a wheel, and after."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        self.made = tempfile.mkdtemp()
        # An editable package is the source directory itself.
        package = Path(self.root, "src", "kvds") if version == "editable" else Path(self.made)

        ffi = FFI()
        ffi.set_source("kvds._abi", None)
        ffi.cdef(declarations(self.header().read_text("utf-8")))
        ffi.emit_python_code(str(package / "_abi.py"))
        if version != "editable":
            build_data["force_include"][str(package / "_abi.py")] = "kvds/_abi.py"

        library = self.library()
        if library is not None:
            if version == "editable":
                shutil.copy2(library, package / "libkvds.so.0")
            else:
                build_data["force_include"][str(library)] = "kvds/libkvds.so.0"
            # The wheel depends on the machine, and not on the version of Python.
            build_data["pure_python"] = False
            build_data["tag"] = "py3-none-" + re.sub(r"[-.]", "_", sysconfig.get_platform())

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self.target_name == "wheel":
            shutil.rmtree(self.made)

    def header(self) -> Path:
        """Returns the header: beside this file in a source package, else in the repository."""
        carried = Path(self.root, "include", "kvds.h")
        return carried if carried.exists() else Path(self.root, "..", "..", "include", "kvds.h")

    def library(self) -> Path | None:
        """Returns the library for the wheel: $KVDS_LIBRARY, or the one built in the repository."""
        chosen = os.environ.get("KVDS_LIBRARY")
        if chosen:
            if not Path(chosen).is_file():
                raise FileNotFoundError(f"$KVDS_LIBRARY is {chosen!r}, and there is no such file")
            return Path(chosen)
        built = Path(self.root, "..", "..", "target", "release", "libkvds.so")
        return built if built.exists() else None
