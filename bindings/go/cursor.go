package kvds

// #include <kvds.h>
import "C"

import (
	"runtime"
	"unsafe"
)

// Range is the keys that begin with Prefix, are not less than Start, and are less than End. An
// empty bound is none.
type Range struct{ Prefix, Start, End []byte }

// Cursor is a position in a range of keys, as of its creation:
//
//	for there := cursor.First(); there; there = cursor.Next() {
//		use(cursor.Key(), cursor.Value())
//	}
//	if err := cursor.Err(); err != nil { ... }
//
// It does not need its store.
type Cursor struct {
	handle[C.kvds_cursor]
	err error
}

// Cursor returns a cursor over a range of keys. It is on no entry yet.
func (s *Store) Cursor(keys Range) (*Cursor, error) {
	var memory arena
	defer memory.free()
	r := memory.keys(keys)
	var out *C.kvds_cursor
	if err := s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_cursor_new(s, r, &out)
	}); err != nil {
		return nil, err
	}
	c := &Cursor{handle: handle[C.kvds_cursor]{kind: "cursor", pointer: out}}
	c.free = func(c *C.kvds_cursor) int64 {
		C.kvds_cursor_free(c)
		return 0
	}
	runtime.SetFinalizer(c, func(c *Cursor) { c.Release() })
	return c, nil
}

// Release frees the cursor. The second time it does nothing.
func (c *Cursor) Release() { c.release() }

// First moves to the first entry, and returns whether there is one, as all moves do.
func (c *Cursor) First() bool {
	return c.move(func(c *C.kvds_cursor) C.kvds_status { return C.kvds_cursor_first(c) })
}

// Last moves to the last entry.
func (c *Cursor) Last() bool {
	return c.move(func(c *C.kvds_cursor) C.kvds_status { return C.kvds_cursor_last(c) })
}

// Seek moves to the first entry whose key is key or greater.
func (c *Cursor) Seek(key []byte) bool {
	k, kLen := span(key)
	return c.move(func(c *C.kvds_cursor) C.kvds_status {
		return C.kvds_cursor_seek(c, unsafe.Pointer(&k[0]), kLen)
	})
}

// Next moves to the next entry.
func (c *Cursor) Next() bool {
	return c.move(func(c *C.kvds_cursor) C.kvds_status { return C.kvds_cursor_next(c) })
}

// Prev moves to the previous entry.
func (c *Cursor) Prev() bool {
	return c.move(func(c *C.kvds_cursor) C.kvds_status { return C.kvds_cursor_prev(c) })
}

// Err returns the error of the last move.
func (c *Cursor) Err() error { return c.err }

// Key returns the key of the current entry, or nil.
func (c *Cursor) Key() []byte {
	return c.shown(func(c *C.kvds_cursor, out *C.kvds_bytes) C.kvds_status {
		return C.kvds_cursor_key(c, out)
	})
}

// Value returns the value of the current entry, or nil.
func (c *Cursor) Value() []byte {
	return c.shown(func(c *C.kvds_cursor, out *C.kvds_bytes) C.kvds_status {
		return C.kvds_cursor_value(c, out)
	})
}

func (c *Cursor) move(move func(*C.kvds_cursor) C.kvds_status) bool {
	var there bool
	there, c.err = unless(NotFound, c.call(move))
	return there
}

func (c *Cursor) shown(part func(*C.kvds_cursor, *C.kvds_bytes) C.kvds_status) []byte {
	return look(&c.handle, func(c *C.kvds_cursor) []byte {
		var out C.kvds_bytes
		if part(c, &out) != C.KVDS_OK {
			return nil
		}
		return C.GoBytes(out.data, C.int(out.len))
	})
}
