// Package kvds is a binding of the C library kvds: ordered key-value stores in memory, on disk and
// in etcd.
//
// Keys, values and prefixes are any bytes. Arguments and results are copied. Keys have the order of
// bytes.Compare.
//
// # Errors
//
// An expected negative result is a Status, such as NotFound, or false. A call that fails returns an
// *Error with the library's text; errors.Is(err, kvds.Locked) tests its Status.
//
// # Release
//
// A Distributor, Store, Cursor, Watch or Batch owns memory of the library. Release frees it; the
// garbage collector does so later. After that its methods return Closed. While other goroutines are
// inside a method, the last of them to return frees it.
//
// # Goroutines
//
// Any goroutine may use a distributor or a store at any time, and one at a time a cursor, a watch
// or a batch.
package kvds

/*
#cgo LDFLAGS: -lkvds
#include <stdlib.h>
#include <kvds.h>
*/
import "C"

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"
)

// Version returns the version of the library that is running, such as "0.1.0".
func Version() string { return C.GoString(C.kvds_version()) }

// Error returns the name of the status, such as "KVDS_NOT_FOUND".
func (s Status) Error() string { return C.GoString(C.kvds_status_name(C.kvds_status(s))) }

// Error is the error of a call that failed.
type Error struct {
	Status Status
	Text   string
}

// Error returns the library's error text.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the status, for errors.Is.
func (e *Error) Unwrap() error { return e.Status }

// checked makes a call and returns its error. The library keeps the error text per thread, so the
// goroutine stays on its thread until it has the text.
func checked(call func() C.kvds_status) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	status := call()
	switch {
	case status < 0:
		return &Error{Status(status), C.GoString(C.kvds_last_error())}
	case status > 0:
		return Status(status)
	}
	return nil
}

// unless turns an expected negative result into false.
func unless(no Status, err error) (bool, error) {
	if err == error(no) {
		return false, nil
	}
	return err == nil, err
}

// handle owns a pointer of the library. It frees the pointer once, and not while a call uses it.
type handle[T any] struct {
	kind     string
	free     func(*T) int64
	mutex    sync.Mutex
	pointer  *T
	users    int
	released bool
}

func (h *handle[T]) acquire() (*T, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	if h.released {
		return nil, &Error{Closed, fmt.Sprintf("this %s was released", h.kind)}
	}
	h.users++
	return h.pointer, nil
}

func (h *handle[T]) done() {
	h.mutex.Lock()
	h.users--
	last := h.released && h.users == 0
	h.mutex.Unlock()
	if last && h.pointer != nil {
		h.free(h.pointer)
	}
}

// release returns how many references are left, or 0 if a running call will free the pointer.
func (h *handle[T]) release() int64 {
	h.mutex.Lock()
	first := !h.released
	h.released = true
	idle := h.users == 0
	h.mutex.Unlock()
	if first && idle && h.pointer != nil {
		return h.free(h.pointer)
	}
	return 0
}

// call makes a call on the pointer.
func (h *handle[T]) call(call func(*T) C.kvds_status) error {
	pointer, err := h.acquire()
	if err != nil {
		return err
	}
	defer h.done()
	return checked(func() C.kvds_status { return call(pointer) })
}

// look calls a function that cannot fail.
func look[T, R any](h *handle[T], ask func(*T) R) (answer R) {
	if pointer, err := h.acquire(); err == nil {
		defer h.done()
		answer = ask(pointer)
	}
	return answer
}

// span returns bytes that have a first one to point to, and their length. The caller writes
// unsafe.Pointer(&b[0]) in the call itself: only from that form does cgo see a pointer to bytes,
// and not check all of the object that they are part of, which may contain pointers.
func span(b []byte) ([]byte, C.size_t) {
	if len(b) == 0 {
		return []byte{0}, 0
	}
	return b, C.size_t(len(b))
}

// text returns a copy for C, to be freed with C.free. A NUL would end it.
func text(given, what string) (*C.char, error) {
	if strings.Contains(given, "\x00") {
		return nil, &Error{InvalidArgument, fmt.Sprintf("the %s %q has a NUL in it", what, given)}
	}
	return C.CString(given), nil
}

// arena is C memory for calls that take arrays of pointers. Go memory that C gets must not point to
// Go memory.
type arena struct{ blocks []unsafe.Pointer }

func (a *arena) alloc(size uintptr) unsafe.Pointer {
	block := C.calloc(1, C.size_t(size)+1)
	a.blocks = append(a.blocks, block)
	return block
}

func (a *arena) bytes(b []byte) (unsafe.Pointer, C.size_t) {
	block := C.CBytes(b)
	a.blocks = append(a.blocks, block)
	return block, C.size_t(len(b))
}

func (a *arena) spans(keys [][]byte) *C.kvds_bytes {
	array := (*C.kvds_bytes)(a.alloc(uintptr(len(keys)) * unsafe.Sizeof(C.kvds_bytes{})))
	for i, each := range unsafe.Slice(array, len(keys)) {
		each.data, each.len = a.bytes(keys[i])
		unsafe.Slice(array, len(keys))[i] = each
	}
	return array
}

func (a *arena) keys(keys Range) *C.kvds_range {
	r := (*C.kvds_range)(a.alloc(unsafe.Sizeof(C.kvds_range{})))
	r.prefix, r.prefix_len = a.bytes(keys.Prefix)
	r.start, r.start_len = a.bytes(keys.Start)
	r.end, r.end_len = a.bytes(keys.End)
	return r
}

func (a *arena) free() {
	for _, block := range a.blocks {
		C.free(block)
	}
}

// taken returns a copy of a value, and releases the value.
func taken(value *C.kvds_value) []byte {
	defer C.kvds_value_release(value)
	return C.GoBytes(value.data, C.int(value.len))
}
