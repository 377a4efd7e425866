// Code generated from abi/api.json by cargo xtask declarations. DO NOT EDIT.

package kvds

// #include <kvds.h>
import "C"

// Status is the result of a call: 0 is success, a positive number an expected negative
// result, a negative number an error.
type Status int32

// The statuses.
const (
	// OK: Success.
	OK Status = C.KVDS_OK

	// NotFound: The key, store or file does not exist.
	NotFound Status = C.KVDS_NOT_FOUND

	// Exists: The key exists already.
	Exists Status = C.KVDS_EXISTS

	// Mismatch: A compared value differs.
	Mismatch Status = C.KVDS_MISMATCH

	// Stopped: The callback ended the iteration.
	Stopped Status = C.KVDS_STOPPED

	// Truncated: The buffer is too small.
	Truncated Status = C.KVDS_TRUNCATED

	// InvalidArgument: Invalid argument; `kvds_last_error()` says which one and what is allowed.
	InvalidArgument Status = C.KVDS_INVALID_ARGUMENT

	// Closed: The store or distributor was closed; or another process destroyed the cluster store.
	Closed Status = C.KVDS_CLOSED

	// Denied: The view, the option `read_only`, or the cluster does not permit the operation.
	Denied Status = C.KVDS_DENIED

	// Locked: Another process, or another distributor of this process, has the disk store open.
	Locked Status = C.KVDS_LOCKED

	// IO: The file system or the network returned an error.
	IO Status = C.KVDS_IO

	// NoSpace: The disk is full, or a quota or the limit on file sizes is reached.
	NoSpace Status = C.KVDS_NO_SPACE

	// Corruption: Stored data is corrupt (checksum mismatch, missing or truncated file).
	Corruption Status = C.KVDS_CORRUPTION

	// NoMemory: An allocation failed, or a configured memory limit is reached.
	NoMemory Status = C.KVDS_NO_MEMORY

	// Unsupported: This backend or this build does not support the operation.
	Unsupported Status = C.KVDS_UNSUPPORTED

	// Busy: Temporarily not possible: try again later.
	Busy Status = C.KVDS_BUSY

	// UnknownOutcome: A write to a cluster store may or may not have happened.
	UnknownOutcome Status = C.KVDS_UNKNOWN_OUTCOME

	// Forked: The handle was inherited through fork(): open the store again in this process.
	Forked Status = C.KVDS_FORKED

	// Internal: The library caught a bug of its own at its boundary.
	Internal Status = C.KVDS_INTERNAL

	// Expired: The snapshot, or that of the cursor, is gone: take a new one.
	Expired Status = C.KVDS_EXPIRED
)
