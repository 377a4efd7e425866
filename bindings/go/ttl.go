package kvds

// #include <kvds.h>
import "C"

import (
	"fmt"
	"math"
	"time"
	"unsafe"
)

// Forever is the time to live of a key that never expires: TTL returns it, and Expire takes it.
const Forever time.Duration = math.MaxInt64

// SetTTL sets key to value for a time, which is rounded up to milliseconds. The key is deleted at
// most a tenth of that time and 2 seconds later. A Set ends the time.
func (s *Store) SetTTL(key, value []byte, ttl time.Duration) error {
	ms, err := milliseconds(ttl)
	if err != nil {
		return err
	}
	k, kLen := span(key)
	v, vLen := span(value)
	return s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_set_ttl(s, unsafe.Pointer(&k[0]), kLen, unsafe.Pointer(&v[0]), vLen, ms)
	})
}

// SetNXTTL sets key to value for a time if it does not exist, and returns whether it did so: a lock
// that frees itself. Its owner renews it with a batch: Expect its own value, and Expire.
func (s *Store) SetNXTTL(key, value []byte, ttl time.Duration) (bool, error) {
	ms, err := milliseconds(ttl)
	if err != nil {
		return false, err
	}
	k, kLen := span(key)
	v, vLen := span(value)
	return unless(Exists, s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_set_nx_ttl(s, unsafe.Pointer(&k[0]), kLen, unsafe.Pointer(&v[0]), vLen, ms)
	}))
}

// Expire replaces the time that key has left, and returns whether the key exists. With Forever, the
// key never expires.
func (s *Store) Expire(key []byte, ttl time.Duration) (bool, error) {
	ms, err := remaining(ttl)
	if err != nil {
		return false, err
	}
	k, kLen := span(key)
	return unless(NotFound, s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_expire(s, unsafe.Pointer(&k[0]), kLen, ms)
	}))
}

// TTL returns the time that key has left, Forever if it never expires, or NotFound.
func (s *Store) TTL(key []byte) (time.Duration, error) {
	k, kLen := span(key)
	var left C.int64_t
	err := s.call(func(s *C.kvds_store) C.kvds_status {
		return C.kvds_ttl(s, unsafe.Pointer(&k[0]), kLen, &left)
	})
	return duration(left), err
}

// TTL returns the time that the current entry has left, Forever if it never expires, or NotFound if
// there is none.
func (c *Cursor) TTL() (time.Duration, error) {
	var left C.int64_t
	err := c.call(func(c *C.kvds_cursor) C.kvds_status { return C.kvds_cursor_ttl(c, &left) })
	return duration(left), err
}

// SetTTL adds an operation that sets key to value for a time, counted from each Store.Write.
func (b *Batch) SetTTL(key, value []byte, ttl time.Duration) error {
	ms, err := milliseconds(ttl)
	if err != nil {
		return err
	}
	k, kLen := span(key)
	v, vLen := span(value)
	return b.call(func(b *C.kvds_batch) C.kvds_status {
		return C.kvds_batch_set_ttl(b, unsafe.Pointer(&k[0]), kLen, unsafe.Pointer(&v[0]), vLen, ms)
	})
}

// Expire adds an operation that replaces the time that key has left, counted from each Store.Write.
// It does nothing to a key that does not exist.
func (b *Batch) Expire(key []byte, ttl time.Duration) error {
	ms, err := remaining(ttl)
	if err != nil {
		return err
	}
	k, kLen := span(key)
	return b.call(func(b *C.kvds_batch) C.kvds_status {
		return C.kvds_batch_expire(b, unsafe.Pointer(&k[0]), kLen, ms)
	})
}

// milliseconds returns a time to live for the library. It rounds up and refuses 0, because the
// library takes 0 for no limit.
func milliseconds(ttl time.Duration) (C.uint64_t, error) {
	if ttl <= 0 {
		return 0, &Error{InvalidArgument, fmt.Sprintf("a time to live must be positive, not %v", ttl)}
	}
	return C.uint64_t((ttl-1)/time.Millisecond + 1), nil
}

// remaining is milliseconds, or 0 for Forever.
func remaining(ttl time.Duration) (C.uint64_t, error) {
	if ttl == Forever {
		return 0, nil
	}
	return milliseconds(ttl)
}

// duration returns the milliseconds that the library has stored.
func duration(left C.int64_t) time.Duration {
	if left < 0 {
		return Forever
	}
	return time.Duration(left) * time.Millisecond
}
