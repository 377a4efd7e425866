package kvds

/*
#include <stdlib.h>
#include <kvds.h>
*/
import "C"

import (
	"runtime"
	"unsafe"
)

// Store is one counted reference to a store, or to a view of one. The release of the last one
// closes the store.
type Store struct{ handle[C.kvds_store] }

// Pair is a key and its value.
type Pair struct{ Key, Value []byte }

// Rights are what a view permits: Read, Write, or both (or-ed).
type Rights int

const (
	// Read permits operations that change nothing.
	Read Rights = C.KVDS_VIEW_READ
	// Write permits operations that change something. Conditional writes reveal whether a key
	// exists.
	Write Rights = C.KVDS_VIEW_WRITE
)

func newStore(pointer *C.kvds_store) *Store {
	s := &Store{handle[C.kvds_store]{kind: "store", pointer: pointer}}
	s.free = func(s *C.kvds_store) int64 {
		return int64(C.kvds_store_release(s))
	}
	runtime.SetFinalizer(s, func(s *Store) { s.Release() })
	return s
}

// opened returns the store that a call on a handle opens.
func opened[T any](h *handle[T], open func(*T, **C.kvds_store) C.kvds_status) (*Store, error) {
	var out *C.kvds_store
	if err := h.call(func(pointer *T) C.kvds_status { return open(pointer, &out) }); err != nil {
		return nil, err
	}
	return newStore(out), nil
}

// Release releases the reference and returns how many are left. The second time it does nothing.
func (s *Store) Release() int64 { return s.release() }

// Retain returns one more reference, to be released on its own.
func (s *Store) Retain() (*Store, error) {
	return opened(&s.handle, func(s *C.kvds_store, out **C.kvds_store) C.kvds_status {
		*out = C.kvds_store_retain(s)
		return C.KVDS_OK
	})
}

// RefCount returns the number of references; 0 after Release.
func (s *Store) RefCount() int64 {
	return look(&s.handle, func(s *C.kvds_store) int64 { return int64(C.kvds_store_ref_count(s)) })
}

// ID returns the id that the store was asked for by; empty after Release.
func (s *Store) ID() string {
	return look(&s.handle, func(s *C.kvds_store) string { return C.GoString(C.kvds_store_id(s)) })
}

// Backend returns the backend that the store was asked for with.
func (s *Store) Backend() Backend {
	return look(&s.handle, func(s *C.kvds_store) Backend {
		return Backend(C.kvds_store_backend(s))
	})
}

// Tag returns the number of the store, unique in its distributor.
func (s *Store) Tag() uint64 {
	return look(&s.handle, func(s *C.kvds_store) uint64 { return uint64(C.kvds_store_tag(s)) })
}

// IsOpen returns whether the store can be used: neither released nor closed.
func (s *Store) IsOpen() bool {
	return look(&s.handle, func(s *C.kvds_store) bool { return C.kvds_is_open(s) == 1 })
}

// Close closes the store for every holder. References must still be released.
func (s *Store) Close() error {
	return s.call(func(s *C.kvds_store) C.kvds_status { return C.kvds_close(s) })
}

// Get returns the value of key, or NotFound.
func (s *Store) Get(key []byte) ([]byte, error) {
	k, kLen := span(key)
	var value C.kvds_value
	err := s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_get(s, unsafe.Pointer(&k[0]), kLen, &value)
	})
	if err != nil {
		return nil, err
	}
	return taken(&value), nil
}

// Has returns whether key exists.
func (s *Store) Has(key []byte) (bool, error) {
	k, kLen := span(key)
	return unless(NotFound, s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_exists(s, unsafe.Pointer(&k[0]), kLen)
	}))
}

// GetMany returns the values of several keys, from one snapshot, with nil for keys that do not
// exist.
func (s *Store) GetMany(keys [][]byte) ([][]byte, error) {
	var memory arena
	defer memory.free()
	spans := memory.spans(keys)
	values := (*C.kvds_value)(memory.alloc(uintptr(len(keys)) * unsafe.Sizeof(C.kvds_value{})))
	statuses := (*C.kvds_status)(memory.alloc(uintptr(len(keys)) * unsafe.Sizeof(C.kvds_status(0))))
	err := s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_multi_get(s, spans, C.size_t(len(keys)), values, statuses)
	})
	if err != nil {
		return nil, err
	}
	found := make([][]byte, len(keys))
	for i, status := range unsafe.Slice(statuses, len(keys)) {
		if status == C.KVDS_OK {
			found[i] = taken(&unsafe.Slice(values, len(keys))[i])
		}
	}
	return found, nil
}

// Set sets key to value.
func (s *Store) Set(key, value []byte) error {
	k, kLen := span(key)
	v, vLen := span(value)
	return s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_set(s, unsafe.Pointer(&k[0]), kLen, unsafe.Pointer(&v[0]), vLen)
	})
}

// Delete deletes key, and returns whether it existed.
func (s *Store) Delete(key []byte) (bool, error) {
	k, kLen := span(key)
	return unless(NotFound, s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_del(s, unsafe.Pointer(&k[0]), kLen)
	}))
}

// SetNX sets key if it does not exist, and returns whether it did so.
func (s *Store) SetNX(key, value []byte) (bool, error) {
	k, kLen := span(key)
	v, vLen := span(value)
	return unless(Exists, s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_set_nx(s, unsafe.Pointer(&k[0]), kLen, unsafe.Pointer(&v[0]), vLen)
	}))
}

// CompareAndSwap sets key if its value is expected. It returns Mismatch if the key has another
// value, and NotFound if it does not exist.
func (s *Store) CompareAndSwap(key, expected, value []byte) error {
	k, kLen := span(key)
	e, eLen := span(expected)
	v, vLen := span(value)
	return s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_compare_and_swap(s, unsafe.Pointer(&k[0]), kLen,
			unsafe.Pointer(&e[0]), eLen, unsafe.Pointer(&v[0]), vLen)
	})
}

// CompareAndDelete deletes key if its value is expected, and returns the same as CompareAndSwap.
func (s *Store) CompareAndDelete(key, expected []byte) error {
	k, kLen := span(key)
	e, eLen := span(expected)
	return s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_compare_and_delete(s, unsafe.Pointer(&k[0]), kLen, unsafe.Pointer(&e[0]), eLen)
	})
}

// Add adds delta to the decimal number under key, 0 if the key does not exist, and returns the sum.
func (s *Store) Add(key []byte, delta int64) (int64, error) {
	k, kLen := span(key)
	var sum C.int64_t
	err := s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_add(s, unsafe.Pointer(&k[0]), kLen, C.int64_t(delta), &sum)
	})
	return int64(sum), err
}

// SetBatch sets all pairs, or none.
func (s *Store) SetBatch(pairs []Pair) error {
	var memory arena
	defer memory.free()
	array := (*C.kvds_pair)(memory.alloc(uintptr(len(pairs)) * unsafe.Sizeof(C.kvds_pair{})))
	slots := unsafe.Slice(array, len(pairs))
	for i, pair := range pairs {
		slots[i].key, slots[i].key_len = memory.bytes(pair.Key)
		slots[i].value, slots[i].value_len = memory.bytes(pair.Value)
	}
	return s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_set_batch(s, array, C.size_t(len(pairs)))
	})
}

// DeleteBatch deletes all keys, or none. Keys that do not exist are skipped.
func (s *Store) DeleteBatch(keys [][]byte) error {
	var memory arena
	defer memory.free()
	spans := memory.spans(keys)
	return s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_delete_batch(s, spans, C.size_t(len(keys)))
	})
}

// DeletePrefix deletes every key that begins with prefix, in one atomic step.
func (s *Store) DeletePrefix(prefix []byte) error {
	p, pLen := span(prefix)
	return s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_delete_prefix(s, unsafe.Pointer(&p[0]), pLen)
	})
}

// Write applies a batch in one atomic step. It returns false, and changes nothing, if an
// expectation does not hold.
func (s *Store) Write(batch *Batch) (bool, error) {
	pointer, err := batch.acquire()
	if err != nil {
		return false, err
	}
	defer batch.done()
	return unless(Mismatch, s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_write(s, pointer)
	}))
}

// View returns a view that permits only rights. Other operations return Denied.
func (s *Store) View(rights Rights) (*Store, error) {
	return opened(&s.handle, func(s *C.kvds_store, out **C.kvds_store) C.kvds_status {
		return C.kvds_store_view(s, C.int(rights), out)
	})
}

// Scope returns a view of the keys that begin with prefix. Its keys are without the prefix.
func (s *Store) Scope(prefix []byte) (*Store, error) {
	p, pLen := span(prefix)
	return opened(&s.handle, func(s *C.kvds_store, out **C.kvds_store) C.kvds_status {
		return C.kvds_store_scope(s, unsafe.Pointer(&p[0]), pLen, out)
	})
}

// Snapshot returns a read-only view of the store that no later write changes.
func (s *Store) Snapshot() (*Store, error) {
	return opened(&s.handle, func(s *C.kvds_store, out **C.kvds_store) C.kvds_status {
		return C.kvds_store_snapshot(s, out)
	})
}

// Sync makes every acknowledged write survive a power failure.
func (s *Store) Sync() error {
	return s.call(func(s *C.kvds_store) C.kvds_status { return C.kvds_sync(s) })
}

// Compact reclaims the disk space of overwritten and deleted entries. It can take long.
func (s *Store) Compact() error {
	return s.call(func(s *C.kvds_store) C.kvds_status { return C.kvds_compact(s) })
}

// Refresh shows what another process has written to a store that was opened with the option
// read_only.
func (s *Store) Refresh() error {
	return s.call(func(s *C.kvds_store) C.kvds_status { return C.kvds_refresh(s) })
}

// Property returns a property, such as "kvds.keys", as text, or NotFound.
func (s *Store) Property(name string) (string, error) {
	n, err := text(name, "name")
	if err != nil {
		return "", err
	}
	defer C.free(unsafe.Pointer(n))
	var value C.kvds_value
	if err := s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_store_property(s, n, &value)
	}); err != nil {
		return "", err
	}
	return string(taken(&value)), nil
}
