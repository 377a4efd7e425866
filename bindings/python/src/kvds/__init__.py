"""Key-value stores in memory, on disk and in etcd, as mappings of bytes.

    import kvds

    with kvds.Distributor("data") as distributor, distributor.disk("born") as born:
        born[b"ada"] = b"1815"

This package calls the C library kvds. Its header `kvds.h` documents guarantees and options.
"""

from kvds._batch import Batch
from kvds._bytes import BytesLike
from kvds._cursor import Cursor
from kvds._damage import Damage, Loss, Salvaged, salvage, verify
from kvds._distributor import Distributor, LiveStore, Observer
from kvds._errors import (
    Busy,
    Closed,
    Corruption,
    Denied,
    Error,
    Expired,
    Forked,
    Internal,
    InvalidArgument,
    IoError,
    Locked,
    Mismatch,
    NoMemory,
    NoSpace,
    NotFound,
    UnknownOutcome,
    Unsupported,
)
from kvds._library import ffi as _ffi
from kvds._library import lib as _lib
from kvds._log import log_to
from kvds._status import Status
from kvds._store import Backend, Items, Keys, Stats, Store, Values
from kvds._watch import Change, ChangeKind, Watch

__all__ = [
    "Backend",
    "Batch",
    "Busy",
    "BytesLike",
    "Change",
    "ChangeKind",
    "Closed",
    "Corruption",
    "Cursor",
    "Damage",
    "Denied",
    "Distributor",
    "Error",
    "Expired",
    "Forked",
    "Internal",
    "InvalidArgument",
    "IoError",
    "Items",
    "Keys",
    "LiveStore",
    "Locked",
    "Loss",
    "Mismatch",
    "NoMemory",
    "NoSpace",
    "NotFound",
    "Observer",
    "Salvaged",
    "Stats",
    "Status",
    "Store",
    "UnknownOutcome",
    "Unsupported",
    "Values",
    "Watch",
    "library_version",
    "log_to",
    "salvage",
    "verify",
]

__version__ = "0.1.0"

#: The version of the C library that is running.
library_version: str = _ffi.string(_lib.kvds_version()).decode()

# The classes show this module as theirs, wherever they are defined.
for _name in __all__:
    if isinstance(globals()[_name], type):
        globals()[_name].__module__ = __name__
