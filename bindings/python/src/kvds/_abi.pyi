# _abi.py is made from include/kvds.h when the package is built: see hatch_build.py.
from typing import Any

ffi: Any
