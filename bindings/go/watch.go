package kvds

// #include <kvds.h>
import "C"

import (
	"context"
	"runtime"
	"time"
	"unsafe"
)

// slice is how long a call of the library waits. Between two calls, Next notices that the context
// ended or that the watch was released.
const slice = 100 * time.Millisecond

// ChangeKind is what a write did to a key, or to a range of keys.
type ChangeKind int

const (
	// ChangeSet: the key was set, or its time to live was changed.
	ChangeSet ChangeKind = C.KVDS_CHANGE_SET
	// ChangeDelete: the key was deleted, or has expired. A batch may also delete a key that did
	// not exist.
	ChangeDelete ChangeKind = C.KVDS_CHANGE_DELETE
	// ChangeDeleteRange: all keys from Key up to End were deleted, by DeletePrefix. Disk stores
	// report each key instead if the prefix has few, and cluster stores always do.
	ChangeDeleteRange ChangeKind = C.KVDS_CHANGE_DELETE_RANGE
)

// String returns "set", "delete" or "delete range".
func (k ChangeKind) String() string {
	switch k {
	case ChangeSet:
		return "set"
	case ChangeDelete:
		return "delete"
	}
	return "delete range"
}

// Change is a change of a watched range.
type Change struct {
	Kind ChangeKind
	// Key is the key, or the first key of a deleted range.
	Key []byte
	// Value is the value of a key after ChangeSet.
	Value []byte
	// End is the end of a deleted range, exclusive; nil if it is the end of the watched range.
	End []byte
	// Sequence is the number of the write. Later writes have larger ones.
	Sequence uint64
	// Last is whether this is the last change of its write: a batch has several.
	Last bool
}

// Watch reports the writes to a range of keys since its creation, in their order:
//
//	for {
//		change, err := watch.Next(ctx)
//		if err != nil { ... }
//		use(change)
//	}
//
// To keep a copy of a range, create the watch, then read the range, and then apply the changes.
//
// It keeps no store alive. When the store is closed or its last reference is released, Next returns
// Closed, also in a goroutine that waits there.
type Watch struct{ handle[C.kvds_watch] }

// Watch returns a watch of a range of keys, from now on.
func (s *Store) Watch(keys Range) (*Watch, error) {
	return s.watched(keys, func(
		s *C.kvds_store, r *C.kvds_range, out **C.kvds_watch,
	) C.kvds_status {
		return C.kvds_watch_new(s, r, out)
	})
}

// WatchFrom returns a watch that continues after the write with the number sequence, that of a
// change whose Last was true. It returns Expired if the store no longer has that history: create a
// new watch and read the range again. A memory or disk store keeps its history only while it has a
// watch, so create the new watch before the old one is released.
func (s *Store) WatchFrom(keys Range, sequence uint64) (*Watch, error) {
	return s.watched(keys, func(
		s *C.kvds_store, r *C.kvds_range, out **C.kvds_watch,
	) C.kvds_status {
		return C.kvds_watch_from(s, r, C.uint64_t(sequence), out)
	})
}

func (s *Store) watched(
	keys Range, create func(*C.kvds_store, *C.kvds_range, **C.kvds_watch) C.kvds_status,
) (*Watch, error) {
	var memory arena
	defer memory.free()
	r := memory.keys(keys)
	var out *C.kvds_watch
	if err := s.call(func(s *C.kvds_store) C.kvds_status { return create(s, r, &out) }); err != nil {
		return nil, err
	}
	w := &Watch{handle[C.kvds_watch]{kind: "watch", pointer: out}}
	w.free = func(w *C.kvds_watch) int64 {
		C.kvds_watch_free(w)
		return 0
	}
	runtime.SetFinalizer(w, func(w *Watch) { w.Release() })
	return w, nil
}

// Release frees the watch, and ends a Next that waits in another goroutine. The second time it does
// nothing.
func (w *Watch) Release() { w.release() }

// Next waits for the next change, or for the end of the context, and returns the context's error
// then. It returns Expired once if changes were missed: read the range again, and continue with the
// watch.
func (w *Watch) Next(ctx context.Context) (change Change, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return Change{}, err
		}
		wait := slice
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < wait {
			wait = time.Until(deadline)
		}
		if wait < time.Millisecond {
			wait = time.Millisecond
		}
		err := w.call(func(w *C.kvds_watch) C.kvds_status {
			var next C.kvds_change
			status := C.kvds_watch_next(w, C.int64_t(wait/time.Millisecond), &next)
			if status == C.KVDS_OK {
				change = changeOf(&next)
			}
			return status
		})
		if err != error(NotFound) {
			return change, err
		}
	}
}

// Changes returns an iterator over the changes, for the loops of Go 1.23 and later:
//
//	for change, err := range watch.Changes(ctx) {
//		if err != nil { ... }
//		use(change)
//	}
//
// The loop ends after the first error of Next. Another one continues with the watch.
func (w *Watch) Changes(ctx context.Context) func(yield func(Change, error) bool) {
	return func(yield func(Change, error) bool) {
		for {
			change, err := w.Next(ctx)
			if !yield(change, err) || err != nil {
				return
			}
		}
	}
}

// changeOf returns a copy. The bytes belong to the watch until the next call.
func changeOf(next *C.kvds_change) Change {
	change := Change{
		Kind:     ChangeKind(next.kind),
		Key:      C.GoBytes(unsafe.Pointer(next.key), C.int(next.key_len)),
		Sequence: uint64(next.sequence),
		Last:     next.last != 0,
	}
	other := C.GoBytes(unsafe.Pointer(next.value), C.int(next.value_len))
	switch {
	case change.Kind == ChangeSet:
		change.Value = other
	case change.Kind == ChangeDeleteRange && len(other) > 0:
		change.End = other
	}
	return change
}
