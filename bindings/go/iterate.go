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

// iteration is the user data of the library's callback.
type iteration struct {
	visit    func(key, value []byte) error
	err      error
	panicked any
}

// Iterate calls visit for every pair whose key begins with prefix, in order, from one snapshot. An
// error of visit ends the iteration, and Iterate returns it. A panic of visit passes through. Do
// not call runtime.Goexit in it.
func (s *Store) Iterate(prefix []byte, visit func(key, value []byte) error) error {
	it := &iteration{visit: visit}
	h := cgo.NewHandle(it)
	defer h.Delete()
	p, pLen := span(prefix)
	err := s.call(func(s *C.kvds_store) C.kvds_status {
		visit := C.kvds_visit(C.kvdsVisit)
		return C.kvds_iterate(s, unsafe.Pointer(&p[0]), pLen, visit, unsafe.Pointer(&h))
	})
	if it.panicked != nil {
		panic(it.panicked)
	}
	if it.err != nil {
		return it.err
	}
	return err
}

// kvdsVisit is the callback for the library. A panic must not unwind C frames: it is caught, and
// raised again when the library has returned.
//
//export kvdsVisit
func kvdsVisit(
	userData, key unsafe.Pointer, keyLen C.size_t, value unsafe.Pointer, valueLen C.size_t,
) (goOn C.int) {
	it := (*(*cgo.Handle)(userData)).Value().(*iteration)
	defer func() {
		if it.panicked = recover(); it.panicked != nil {
			goOn = 0
		}
	}()
	it.err = it.visit(C.GoBytes(key, C.int(keyLen)), C.GoBytes(value, C.int(valueLen)))
	if it.err != nil {
		return 0
	}
	return 1
}
