// Package kvds is ordered key-value stores in memory and on disk: a binding of the C library kvds.
//
// Keys, values and prefixes are any bytes. They are copied on their way in and out. Keys have the
// order of bytes.Compare.
//
// # Errors
//
// A plain "no" is a Status, such as NotFound, or false where that is all there is to say. A failure
// is an *Error with the library's text; errors.Is(err, kvds.Locked) asks for its Status.
//
// # Release
//
// A Distributor, Store, Cursor or Batch owns something of the library. Release gives it up; for
// what was forgotten the garbage collector does, which may be late. A method called after that
// answers Closed. A Release while other goroutines are inside a method takes effect when the last
// of them is done.
//
// # Goroutines
//
// Distributors and stores may be used by any goroutines at once, cursors and batches by one at a
// time.
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

// Version is the version of the library that is running, such as "0.1.0".
func Version() string { return C.GoString(C.kvds_version()) }

// Error is the name of the status, such as "KVDS_NOT_FOUND".
func (s Status) Error() string { return C.GoString(C.kvds_status_name(C.kvds_status(s))) }

// Error is a failure.
type Error struct {
	Status Status
	Text   string
}

// Error is the library's text.
func (e *Error) Error() string { return e.Text }

// Unwrap is the status, for errors.Is.
func (e *Error) Unwrap() error { return e.Status }

// checked makes a call, and an error of its status. The library keeps the text of a failure for the
// thread that made the call, and so the goroutine stays on that thread until it has the text.
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

// unless turns a plain "no" into false.
func unless(no Status, err error) (bool, error) {
	if err == error(no) {
		return false, nil
	}
	return err == nil, err
}

// handle owns a pointer of the library, which is given up once, and not while it is used.
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

// release answers how many references are left if it took effect at once, else 0.
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

// look asks for something that cannot fail.
func look[T, R any](h *handle[T], ask func(*T) R) (answer R) {
	if pointer, err := h.acquire(); err == nil {
		defer h.done()
		answer = ask(pointer)
	}
	return answer
}

// span is bytes that have a first one to point to, and their length. The pointer is made where the
// call is made, as unsafe.Pointer(&b[0]): only from that form does cgo see that it is one to bytes,
// and not check the whole of what they are part of, which may have pointers in it.
func span(b []byte) ([]byte, C.size_t) {
	if len(b) == 0 {
		return []byte{0}, 0
	}
	return b, C.size_t(len(b))
}

// text is a copy for C, to be freed with C.free, of what C reads up to its first NUL.
func text(given, what string) (*C.char, error) {
	if strings.Contains(given, "\x00") {
		return nil, &Error{InvalidArgument, fmt.Sprintf("the %s %q has a NUL in it", what, given)}
	}
	return C.CString(given), nil
}

// arena is memory of C for calls that take arrays of pointers, as C must not be given Go memory
// that points to Go memory.
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

func (a *arena) free() {
	for _, block := range a.blocks {
		C.free(block)
	}
}

// taken copies a value and gives it back.
func taken(value *C.kvds_value) []byte {
	defer C.kvds_value_release(value)
	return C.GoBytes(value.data, C.int(value.len))
}
