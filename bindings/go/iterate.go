package kvds

/*
#include <kvds.h>

int kvdsVisit(void *user_data, void *key, size_t key_len, void *value, size_t value_len);
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// caught is what has ended a callback of the library. A panic must not unwind C frames: it is
// caught, and raised again when the library has returned.
type caught struct {
	err      error
	panicked any
}

// call calls visit, and returns what the library continues with: 0 ends its call.
func (c *caught) call(visit func() error) (goOn C.int) {
	defer func() {
		if c.panicked = recover(); c.panicked != nil {
			goOn = 0
		}
	}()
	if c.err = visit(); c.err != nil {
		return 0
	}
	return 1
}

// raise panics again, or returns the callback's error, or else that of the library's call.
func (c *caught) raise(err error) error {
	if c.panicked != nil {
		panic(c.panicked)
	}
	if c.err != nil {
		return c.err
	}
	return err
}

// iteration is the user data of the library's callback.
type iteration struct {
	caught
	visit func(key, value []byte) error
}

// Iterate calls visit for every pair whose key begins with prefix, in order, from one snapshot. An
// error of visit ends the iteration, and Iterate returns it. A panic of visit passes through. Do
// not call runtime.Goexit in it.
func (s *Store) Iterate(prefix []byte, visit func(key, value []byte) error) error {
	it := &iteration{visit: visit}
	h := cgo.NewHandle(it)
	defer h.Delete()
	p, pLen := span(prefix)
	return it.raise(s.call(func(s *C.kvds_store) C.kvds_status {
		visit := C.kvds_visit(C.kvdsVisit)
		return C.kvds_iterate(s, unsafe.Pointer(&p[0]), pLen, visit, unsafe.Pointer(&h))
	}))
}

// kvdsVisit is the callback for the library.
//
//export kvdsVisit
func kvdsVisit(
	userData, key unsafe.Pointer, keyLen C.size_t, value unsafe.Pointer, valueLen C.size_t,
) C.int {
	it := (*(*cgo.Handle)(userData)).Value().(*iteration)
	return it.call(func() error {
		return it.visit(C.GoBytes(key, C.int(keyLen)), C.GoBytes(value, C.int(valueLen)))
	})
}
