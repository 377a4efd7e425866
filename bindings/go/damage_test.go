package kvds_test

// Tests damaged stores.

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"kvds"
)

const keyCount = 2000

func keyOf(i int) []byte { return []byte(fmt.Sprintf("key%04d", i)) }

// wholeStore returns the path of a closed disk store, and that of its table file. The first key
// expires.
func wholeStore(t *testing.T) (path, table string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "store")
	store, err := kvds.OpenStore(path, nil)
	must(t, err)
	defer store.Release()
	for i := 0; i < keyCount; i++ {
		must(t, store.Set(keyOf(i), append([]byte("value of "), keyOf(i)...)))
	}
	must(t, store.SetTTL(keyOf(0), []byte("value of key0000"), time.Hour), store.Compact())
	found, err := kvds.Verify(path, nil, nil)
	if err != nil || len(found) != 0 {
		t.Fatal(found, err)
	}
	var largest int64
	tables, err := filepath.Glob(filepath.Join(path, "*.sst"))
	must(t, err)
	for _, each := range tables {
		about, err := os.Stat(each)
		must(t, err)
		if about.Size() > largest {
			largest, table = about.Size(), each
		}
	}
	return path, table
}

// damagedStore is wholeStore with a changed byte in the table file.
func damagedStore(t *testing.T) (path, table string) {
	t.Helper()
	path, table = wholeStore(t)
	content, err := os.ReadFile(table)
	must(t, err)
	content[len(content)/2] ^= 1
	must(t, os.WriteFile(table, content, 0o644))
	return path, table
}

func TestAWholeStoreHasNoDamage(t *testing.T) {
	path, _ := wholeStore(t)
	calls := 0
	visit := func(damage *kvds.Damage, done, total uint64) error {
		calls++
		if damage != nil || done > total {
			t.Error(damage, done, total)
		}
		return nil
	}
	found, err := kvds.Verify(path, kvds.Options{"max_open_files": "100"}, visit)
	if err != nil || len(found) != 0 || calls == 0 {
		t.Error(found, err, calls)
	}
}

func TestWhatCanBeReadIsSaved(t *testing.T) {
	path, table := damagedStore(t)
	var seen []kvds.Damage
	found, err := kvds.Verify(path, nil, func(damage *kvds.Damage, _, _ uint64) error {
		if damage != nil {
			seen = append(seen, *damage)
		}
		return nil
	})
	if err != nil || len(found) != 1 || !reflect.DeepEqual(seen, found) {
		t.Fatal(found, seen, err)
	}
	damage := found[0]
	first, last := string(damage.First), string(damage.Last)
	if damage.File != table || damage.Problem == "" || damage.Loss != kvds.LossPairs || first >= last {
		t.Errorf("%+v", damage)
	}

	target := filepath.Join(t.TempDir(), "above", "target")
	saved, err := kvds.Salvage(path, target, nil, nil)
	if err != nil || !reflect.DeepEqual(saved.Damages, found) || saved.TTLsLost != 0 {
		t.Fatal(saved, err)
	}
	if saved.Pairs == 0 || saved.Pairs >= keyCount {
		t.Error(saved.Pairs)
	}
	store, err := kvds.OpenStore(target, nil)
	must(t, err)
	defer store.Release()
	var count uint64
	for i := 0; i < keyCount; i++ {
		key := string(keyOf(i))
		value, err := store.Get([]byte(key))
		switch {
		case err == nil && string(value) == "value of "+key:
			count++
		case err != error(kvds.NotFound) || key < first || key > last:
			t.Error(key, value, err)
		}
	}
	if count != saved.Pairs {
		t.Error(count, saved.Pairs)
	}
	left(t, store, "key0000", 0, time.Hour)
	left(t, store, string(keyOf(keyCount-1)), kvds.Forever-1, kvds.Forever)
	_, err = kvds.Salvage(target, filepath.Join(t.TempDir(), "new"), nil, nil)
	fails(t, err, kvds.Locked, target)
}

func TestAnErrorOfTheCallbackEndsTheCall(t *testing.T) {
	path, _ := damagedStore(t)
	target := filepath.Join(t.TempDir(), "target")
	calls := 0
	stop := func(*kvds.Damage, uint64, uint64) error {
		calls++
		return errEnough
	}
	found, err := kvds.Verify(path, nil, stop)
	if err != errEnough || len(found) != 0 {
		t.Error(found, err)
	}
	saved, err := kvds.Salvage(path, target, nil, stop)
	if err != errEnough || saved.Pairs != 0 || calls != 2 {
		t.Error(saved, err, calls)
	}
	found, err = kvds.Verify(path, nil, func(damage *kvds.Damage, _, _ uint64) error {
		if damage != nil {
			return errEnough
		}
		return nil
	})
	if err != errEnough || len(found) != 1 {
		t.Error(found, err)
	}
	if _, err := os.Stat(target); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestAPanicOfTheCallbackPassesThrough(t *testing.T) {
	path, _ := damagedStore(t)
	target := filepath.Join(t.TempDir(), "target")
	fail := func(*kvds.Damage, uint64, uint64) error { panic("mine") }
	for _, call := range []func(){
		func() { _, _ = kvds.Verify(path, nil, fail) },
		func() { _, _ = kvds.Salvage(path, target, nil, fail) },
	} {
		func() {
			defer func() {
				if problem := recover(); problem != "mine" {
					t.Error(problem)
				}
			}()
			call()
		}()
	}
	_, err := kvds.Salvage(path, target, nil, nil)
	must(t, err)
}

func TestWrongCallsForDamageAreErrors(t *testing.T) {
	path, _ := wholeStore(t)
	target := filepath.Join(t.TempDir(), "target")
	_, err := kvds.Verify(target, nil, nil)
	_, salvaging := kvds.Salvage(target, target, nil, nil)
	if err != error(kvds.NotFound) || salvaging != error(kvds.NotFound) {
		t.Error(err, salvaging)
	}
	_, err = kvds.Salvage(path, path, nil, nil)
	fails(t, err, kvds.InvalidArgument, "exists")
	_, err = kvds.Salvage(path, "a\x00b", nil, nil)
	fails(t, err, kvds.InvalidArgument, "NUL")
	_, err = kvds.Verify(path, kvds.Options{"durabilty": "sync"}, nil)
	fails(t, err, kvds.InvalidArgument, "durabilty")
}
