package kvds_test

// Tests times to live, on memory and disk.

import (
	"errors"
	"math"
	"testing"
	"time"

	"kvds"
)

// patience is a limit that no slow machine reaches.
const patience = time.Minute

// onEach runs a test on a memory store and on a disk store.
func onEach(
	t *testing.T, options kvds.Options, test func(*testing.T, *kvds.Distributor, *kvds.Store),
) {
	for _, backend := range []kvds.Backend{kvds.Memory, kvds.Disk} {
		t.Run(backend.String(), func(t *testing.T) {
			distributor, err := kvds.NewDistributor(t.TempDir(), options)
			if err != nil {
				t.Fatal(err)
			}
			defer distributor.Release()
			store, err := distributor.GetOrCreate("store", backend)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Release()
			test(t, distributor, store)
		})
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for i, err := range errs {
		if err != nil {
			t.Fatal(i, err)
		}
	}
}

func yes(t *testing.T, yes bool, err error) {
	t.Helper()
	if !yes || err != nil {
		t.Fatal(yes, err)
	}
}

// left tests that a key has more than low and at most high left.
func left(t *testing.T, store *kvds.Store, key string, low, high time.Duration) {
	t.Helper()
	left, err := store.TTL([]byte(key))
	if err != nil || left <= low || left > high {
		t.Fatal(key, left, err)
	}
}

func gone(t *testing.T, store *kvds.Store, key string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		there, err := store.Has([]byte(key))
		if err != nil || time.Now().After(end) {
			t.Fatal(key, there, err)
		}
		if !there {
			return
		}
	}
}

func TestAKeyIsGoneAfterItsTime(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		must(t, store.SetTTL([]byte("short"), nil, time.Nanosecond))
		must(t, store.SetTTL([]byte("long"), []byte("value"), time.Hour))
		gone(t, store, "short")
		value, err := store.Get([]byte("long"))
		yes(t, string(value) == "value", err)
		left(t, store, "long", 0, time.Hour)
		_, err = store.TTL([]byte("short"))
		yes(t, errors.Is(err, kvds.NotFound), nil)
	})
}

func TestATimeIsRenewedAndEnds(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		key := []byte("key")
		must(t, store.SetTTL(key, nil, time.Hour))
		for _, ttl := range []time.Duration{2 * time.Hour, kvds.Forever} {
			there, err := store.Expire(key, ttl)
			yes(t, there, err)
			left(t, store, "key", time.Hour, ttl)
		}
		left(t, store, "key", kvds.Forever-1, kvds.Forever)
		must(t, store.SetTTL(key, nil, time.Hour), store.Set(key, nil))
		left(t, store, "key", kvds.Forever-1, kvds.Forever)
		there, err := store.Expire([]byte("none"), time.Hour)
		yes(t, !there, err)
	})
}

func TestALockFreesItself(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		lock := []byte("lock")
		locked, err := store.SetNXTTL(lock, []byte("one"), time.Hour)
		yes(t, locked, err)
		locked, err = store.SetNXTTL(lock, []byte("two"), time.Nanosecond)
		yes(t, !locked, err)
		renewal := kvds.NewBatch()
		defer renewal.Release()
		must(t, renewal.Expect(lock, []byte("one")), renewal.Expire(lock, 2*time.Hour))
		renewed, err := store.Write(renewal)
		yes(t, renewed, err)
		left(t, store, "lock", time.Hour, 2*time.Hour)
		_, err = store.Expire(lock, time.Nanosecond)
		must(t, err)
		gone(t, store, "lock")
		locked, err = store.SetNXTTL(lock, []byte("two"), time.Hour)
		yes(t, locked, err)
		renewed, err = store.Write(renewal)
		yes(t, !renewed, err)
	})
}

func TestABatchSetsTimes(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		must(t, store.Set([]byte("forever"), nil), store.Set([]byte("old"), nil))
		batch := kvds.NewBatch()
		defer batch.Release()
		must(t,
			batch.SetTTL([]byte("short"), nil, time.Nanosecond),
			batch.SetTTL([]byte("kept"), nil, time.Nanosecond),
			batch.Expire([]byte("kept"), kvds.Forever),
			batch.Expire([]byte("old"), time.Nanosecond),
			batch.Expire([]byte("none"), time.Nanosecond))
		written, err := store.Write(batch)
		yes(t, written, err)
		gone(t, store, "short")
		gone(t, store, "old")
		left(t, store, "kept", kvds.Forever-1, kvds.Forever)
		left(t, store, "forever", kvds.Forever-1, kvds.Forever)
	})
}

func TestAWrongTimeIsAnError(t *testing.T) {
	_, store := open(t)
	batch := kvds.NewBatch()
	defer batch.Release()
	tooLong := 36525*24*time.Hour + time.Nanosecond
	for _, wrong := range []time.Duration{0, -1, math.MinInt64, tooLong} {
		_, locking := store.SetNXTTL(nil, nil, wrong)
		_, renewing := store.Expire(nil, wrong)
		for _, err := range []error{
			store.SetTTL(nil, nil, wrong), locking, renewing,
			batch.SetTTL(nil, nil, wrong), batch.Expire(nil, wrong),
		} {
			fails(t, err, kvds.InvalidArgument, "time to live")
		}
	}
	fails(t, store.SetTTL(nil, nil, kvds.Forever), kvds.InvalidArgument, "time to live")
	must(t, store.SetTTL(nil, nil, tooLong-time.Nanosecond))
}
