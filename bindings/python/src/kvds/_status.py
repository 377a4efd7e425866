# Generated from abi/api.json by `cargo xtask declarations`. Do not edit.
"""Statuses."""

from __future__ import annotations

import enum

from kvds._library import lib


class Status(enum.IntEnum):
    """The result of a call of the C library: 0 is success, a positive number an expected
    negative result, a negative number an error."""

    OK = lib.KVDS_OK
    """Success."""

    NOT_FOUND = lib.KVDS_NOT_FOUND
    """The key, store or file does not exist."""

    EXISTS = lib.KVDS_EXISTS
    """The key exists already."""

    MISMATCH = lib.KVDS_MISMATCH
    """A compared value differs."""

    STOPPED = lib.KVDS_STOPPED
    """The callback ended the iteration."""

    TRUNCATED = lib.KVDS_TRUNCATED
    """The buffer is too small."""

    INVALID_ARGUMENT = lib.KVDS_INVALID_ARGUMENT
    """Invalid argument; `kvds_last_error()` says which one and what is allowed."""

    CLOSED = lib.KVDS_CLOSED
    """The store or distributor was closed; or another process destroyed the cluster store."""

    DENIED = lib.KVDS_DENIED
    """The view, the option `read_only`, or the cluster does not permit the operation."""

    LOCKED = lib.KVDS_LOCKED
    """Another process, or another distributor of this process, has the disk store open."""

    IO = lib.KVDS_IO
    """The file system or the network returned an error."""

    NO_SPACE = lib.KVDS_NO_SPACE
    """The disk is full, or a quota or the limit on file sizes is reached."""

    CORRUPTION = lib.KVDS_CORRUPTION
    """Stored data is corrupt (checksum mismatch, missing or truncated file)."""

    NO_MEMORY = lib.KVDS_NO_MEMORY
    """An allocation failed, or a configured memory limit is reached."""

    UNSUPPORTED = lib.KVDS_UNSUPPORTED
    """This backend or this build does not support the operation."""

    BUSY = lib.KVDS_BUSY
    """Temporarily not possible: try again later."""

    UNKNOWN_OUTCOME = lib.KVDS_UNKNOWN_OUTCOME
    """A write to a cluster store may or may not have happened."""

    FORKED = lib.KVDS_FORKED
    """The handle was inherited through fork(): open the store again in this process."""

    INTERNAL = lib.KVDS_INTERNAL
    """The library caught a bug of its own at its boundary."""

    EXPIRED = lib.KVDS_EXPIRED
    """The snapshot, or that of the cursor, is gone: take a new one."""
