package kvds

// #include <kvds.h>
import "C"

import (
	"runtime"
	"unsafe"
)

// Batch is a list of operations, and of expectations about the data before them, that Store.Write
// applies in one atomic step. It may be written again.
type Batch struct{ handle[C.kvds_batch] }

// NewBatch creates an empty batch.
func NewBatch() *Batch {
	b := &Batch{handle[C.kvds_batch]{kind: "batch", pointer: C.kvds_batch_new()}}
	b.free = func(b *C.kvds_batch) int64 {
		C.kvds_batch_free(b)
		return 0
	}
	runtime.SetFinalizer(b, func(b *Batch) { b.Release() })
	return b
}

// Release frees the batch. The second time it does nothing.
func (b *Batch) Release() { b.release() }

// Set adds an operation that sets key to value.
func (b *Batch) Set(key, value []byte) error {
	k, kLen := span(key)
	v, vLen := span(value)
	return b.call(func(b *C.kvds_batch) C.kvds_status {
		return C.kvds_batch_set(b, unsafe.Pointer(&k[0]), kLen, unsafe.Pointer(&v[0]), vLen)
	})
}

// Delete adds an operation that deletes key, which need not exist.
func (b *Batch) Delete(key []byte) error {
	k, kLen := span(key)
	return b.call(func(b *C.kvds_batch) C.kvds_status {
		return C.kvds_batch_del(b, unsafe.Pointer(&k[0]), kLen)
	})
}

// Expect adds the expectation that the value of key is value before the batch.
func (b *Batch) Expect(key, value []byte) error {
	k, kLen := span(key)
	v, vLen := span(value)
	return b.call(func(b *C.kvds_batch) C.kvds_status {
		return C.kvds_batch_expect(b, unsafe.Pointer(&k[0]), kLen, unsafe.Pointer(&v[0]), vLen)
	})
}

// ExpectAbsent adds the expectation that key does not exist before the batch.
func (b *Batch) ExpectAbsent(key []byte) error {
	k, kLen := span(key)
	return b.call(func(b *C.kvds_batch) C.kvds_status {
		return C.kvds_batch_expect_absent(b, unsafe.Pointer(&k[0]), kLen)
	})
}
