package kvds_test

// Tests what only Go has: errors, panics, goroutines, released objects, and the garbage
// collector.

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"kvds"
)

func open(t *testing.T) (*kvds.Distributor, *kvds.Store) {
	t.Helper()
	distributor, err := kvds.NewDistributor("", nil)
	if err != nil {
		t.Fatal(err)
	}
	store, err := distributor.GetOrCreate("store", kvds.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		store.Release()
		distributor.Release()
	})
	return distributor, store
}

func fails(t *testing.T, err error, status kvds.Status, text string) {
	t.Helper()
	var failure *kvds.Error
	if !errors.As(err, &failure) || !errors.Is(err, status) || !strings.Contains(err.Error(), text) {
		t.Errorf("this must be %v with %q: %v", status, text, err)
	}
}

func TestVersion(t *testing.T) {
	if !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(kvds.Version()) {
		t.Error(kvds.Version())
	}
}

func TestAStoreIsOpenedByItsPath(t *testing.T) {
	path := t.TempDir() + "/rm 2"
	_, err := kvds.OpenStore(path, kvds.Options{"create_if_missing": "0"})
	if !errors.Is(err, kvds.NotFound) {
		t.Error(err)
	}
	store, err := kvds.OpenStore(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if store.ID() != path || store.Backend() != kvds.Disk || store.Tag() != 0 {
		t.Error(store.ID(), store.Backend(), store.Tag())
	}
	_, err = kvds.OpenStore(path, nil)
	fails(t, err, kvds.Locked, "rm 2")
	store.Release()
	_, err = kvds.OpenStore("a\x00b", nil)
	fails(t, err, kvds.InvalidArgument, "NUL")
	_, err = kvds.OpenStore("", nil)
	fails(t, err, kvds.InvalidArgument, "path")
	_, err = kvds.OpenStore(path, kvds.Options{"durabilty": "sync"})
	fails(t, err, kvds.InvalidArgument, "durabilty")
}

func TestIdsOfMemoryStoresAreAnyBytes(t *testing.T) {
	distributor, _ := open(t)
	for _, id := range []string{"\xff", "caf\xe9", strings.Repeat("/", 65536)} {
		store, err := distributor.GetOrCreate(id, kvds.Memory)
		if err != nil {
			t.Fatal(err)
		}
		if store.ID() != id {
			t.Errorf("%q", store.ID())
		}
		store.Release()
	}
}

func TestBadArgumentsAreTold(t *testing.T) {
	distributor, store := open(t)
	_, err := distributor.GetOrCreate("a\x00b", kvds.Memory)
	fails(t, err, kvds.InvalidArgument, "NUL")
	_, err = distributor.GetOrCreate("a", kvds.Backend(7))
	fails(t, err, kvds.InvalidArgument, "7")
	_, err = distributor.GetOrCreate("a", kvds.Disk)
	fails(t, err, kvds.InvalidArgument, "path")
	_, err = kvds.NewDistributor("", kvds.Options{"durabilty": "sync"})
	fails(t, err, kvds.InvalidArgument, "durabilty")
	_, err = kvds.NewDistributor("a\x00b", nil)
	fails(t, err, kvds.InvalidArgument, "NUL")
	_, err = store.View(0)
	fails(t, err, kvds.InvalidArgument, "rights")
	options := kvds.Options{"memory_limit_bytes": "1K", "keep_stores": "true"}
	limited, err := kvds.NewDistributor("", options)
	if err != nil {
		t.Fatal(err)
	}
	defer limited.Release()
	small, err := limited.GetOrCreate("small", kvds.Memory)
	if err != nil {
		t.Fatal(err)
	}
	defer small.Release()
	fails(t, small.Set([]byte("key"), make([]byte, 1024)), kvds.NoMemory, "memory_limit_bytes")
}

func TestNilIsEmpty(t *testing.T) {
	_, store := open(t)
	if err := store.Set(nil, nil); err != nil {
		t.Fatal(err)
	}
	value, err := store.Get([]byte{})
	if err != nil || value == nil || len(value) != 0 {
		t.Error(value, err)
	}
	if values, err := store.GetMany(nil); len(values) != 0 || err != nil {
		t.Error(values, err)
	}
	for _, err := range []error{store.SetBatch(nil), store.DeleteBatch(nil), store.DeletePrefix(nil)} {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestBytesMayBePartsOfAnything(t *testing.T) {
	_, store := open(t)
	user := &struct {
		name  string
		id    [4]byte
		born  [4]byte
		other *int
	}{"ada", [4]byte{'i', 'd'}, [4]byte{'1', '8', '1', '5'}, new(int)}
	id, born := user.id[:], user.born[:]
	batch := kvds.NewBatch()
	defer batch.Release()
	cursor, err := store.Cursor(kvds.Range{Prefix: id})
	if err != nil {
		t.Fatal(err)
	}
	defer cursor.Release()
	scope, err := store.Scope(id)
	if err != nil {
		t.Fatal(err)
	}
	defer scope.Release()
	cursor.Seek(id)
	failures := []error{
		store.Set(id, born), store.CompareAndSwap(id, born, born),
		store.SetBatch([]kvds.Pair{{Key: id, Value: born}}),
		batch.Expect(id, born), batch.Delete(id), batch.ExpectAbsent(id), batch.Set(id, born),
		store.Iterate(id, func(key, value []byte) error { return store.Set(id, born) }), cursor.Err(),
	}
	value, err := store.Get(id)
	failures = append(failures, err)
	if string(value) != string(born) {
		t.Error(value)
	}
	for _, yes := range []func([]byte) (bool, error){store.Has, store.Delete} {
		there, err := yes(id)
		failures = append(failures, err)
		if !there {
			t.Error("the key is not there")
		}
	}
	_, err = store.SetNX(id, born)
	failures = append(failures, err, store.CompareAndDelete(id, born), store.DeletePrefix(id))
	if sum, err := store.Add(id, 1815); sum != 1815 || err != nil {
		t.Error(sum, err)
	}
	for i, err := range failures {
		if err != nil {
			t.Error(i, err)
		}
	}
}

func TestAZeroHandleIsNone(t *testing.T) {
	var store kvds.Store
	if _, err := store.Get(nil); err == nil {
		t.Error("there is no store to get from")
	}
	if store.Release() != 0 || store.Release() != 0 {
		t.Error("there is nothing to release")
	}
	new(kvds.Cursor).Release()
	new(kvds.Batch).Release()
	new(kvds.Distributor).Release()
}

func TestIterateReturnsWhatItsCallbackReturns(t *testing.T) {
	_, store := open(t)
	for _, key := range []string{"a", "b"} {
		if err := store.Set([]byte(key), []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	mine := errors.New("mine")
	shown := 0
	err := store.Iterate(nil, func(key, value []byte) error {
		shown++
		return fmt.Errorf("at %s: %w", key, mine)
	})
	if !errors.Is(err, mine) || shown != 1 {
		t.Error(err, shown)
	}
	// The callback may use the store, iterate it, and release it.
	err = store.Iterate(nil, func(key, value []byte) error {
		return store.Iterate(key, func(same, value []byte) error {
			store.Release()
			return nil
		})
	})
	fails(t, err, kvds.Closed, "this store was released")
}

func TestAPanicComesOutAsItWasAfterTheLibraryHasReturned(t *testing.T) {
	path := t.TempDir()
	for i := 0; i < 2; i++ {
		distributor, err := kvds.NewDistributor(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer distributor.Release()
		// An iteration that has not ended keeps the files, so the second distributor would get
		// Locked.
		store, err := distributor.GetOrCreate("store", kvds.Disk)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Set([]byte("key"), nil); err != nil {
			t.Fatal(err)
		}
		mine := errors.New("mine")
		func() {
			defer func() {
				if recover() != mine {
					t.Error("the panic is another one")
				}
			}()
			store.Iterate(nil, func(key, value []byte) error { panic(mine) })
			t.Error("there is no panic")
		}()
		store.Release()
	}
}

func TestEachGoroutineHasTheTextOfItsOwnFailure(t *testing.T) {
	distributor, store := open(t)
	var group sync.WaitGroup
	for i := 100; i < 108; i++ {
		group.Add(1)
		go func(backend kvds.Backend) {
			defer group.Done()
			for n := 0; n < 500; n++ {
				_, err := distributor.Get("a", backend)
				fails(t, err, kvds.InvalidArgument, fmt.Sprint(int(backend)))
				fails(t, store.Set(make([]byte, 65537), nil), kvds.InvalidArgument, "65536")
			}
		}(kvds.Backend(i))
	}
	group.Wait()
}

func TestWhatWasReleasedIsNotUsed(t *testing.T) {
	distributor, store := open(t)
	again, err := store.Retain()
	if err != nil {
		t.Fatal(err)
	}
	first, second := again.Release(), again.Release()
	if first != 1 || second != 0 || store.RefCount() != 1 {
		t.Error(first, second, store.RefCount())
	}
	_, err = again.Get(nil)
	fails(t, err, kvds.Closed, "this store was released")
	_, err = again.Retain()
	fails(t, err, kvds.Closed, "this store was released")
	if again.ID() != "" || again.IsOpen() {
		t.Error("a released store has no figures")
	}
	cursor, err := store.Cursor(kvds.Range{})
	if err != nil {
		t.Fatal(err)
	}
	cursor.Release()
	if cursor.First() || cursor.Key() != nil {
		t.Error("a released cursor stands nowhere")
	}
	fails(t, cursor.Err(), kvds.Closed, "this cursor was released")
	batch := kvds.NewBatch()
	batch.Release()
	_, err = store.Write(batch)
	fails(t, err, kvds.Closed, "this batch was released")
	distributor.Release()
	fails(t, distributor.Shutdown(), kvds.Closed, "this distributor was released")
}

func TestAReleaseWaitsForTheCallsOfOthers(t *testing.T) {
	distributor, store := open(t)
	if err := store.Set([]byte("key"), nil); err != nil {
		t.Fatal(err)
	}
	err := store.Iterate(nil, func(key, value []byte) error {
		released := make(chan struct{})
		go func() {
			store.Release()
			close(released)
		}()
		<-released
		if distributor.StoreCount() != 1 {
			t.Error("the store is gone while it is iterated")
		}
		return store.Set(key, nil)
	})
	fails(t, err, kvds.Closed, "this store was released")
	if distributor.StoreCount() != 0 {
		t.Error("the store is still there")
	}
}

func TestWhatIsForgottenIsReleasedByTheGarbageCollector(t *testing.T) {
	_, store := open(t)
	func() {
		for i := 0; i < 10; i++ {
			if _, err := store.Retain(); err != nil {
				t.Fatal(err)
			}
		}
	}()
	// Finalizers run some time after a collection; the test ends when they did.
	for store.RefCount() > 1 {
		runtime.GC()
		runtime.Gosched()
	}
}

func TestDestroy(t *testing.T) {
	distributor, err := kvds.NewDistributor(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer distributor.Release()
	store, err := distributor.GetOrCreate("s", kvds.Disk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := distributor.Destroy("s", kvds.Disk); !errors.Is(err, kvds.Busy) {
		t.Errorf("a live store is destroyed: %v", err)
	}
	store.Release()
	for _, there := range []bool{true, false} {
		if destroyed, err := distributor.Destroy("s", kvds.Disk); destroyed != there || err != nil {
			t.Errorf("Destroy returns %v, %v, and must return %v", destroyed, err, there)
		}
	}
	if _, err := distributor.Destroy("a\x00", kvds.Disk); !errors.Is(err, kvds.InvalidArgument) {
		t.Errorf("an id with a NUL: %v", err)
	}
}

// A build without cluster stores returns Unsupported.
func TestClusterNeedsItsOption(t *testing.T) {
	distributor, err := kvds.NewDistributor("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer distributor.Release()
	_, opening := distributor.GetOrCreate("s", kvds.Cluster)
	_, destroying := distributor.Destroy("s", kvds.Cluster)
	for _, err := range []error{opening, destroying} {
		if !errors.Is(err, kvds.InvalidArgument) && !errors.Is(err, kvds.Unsupported) {
			t.Errorf("a cluster store without a cluster: %v", err)
		}
	}
	options := kvds.Options{"cluster": "etcd://a,b:1/c", "cluster_user": "u", "cluster_password": "p",
		"cluster_ca": "ca", "cluster_cert": "cert", "cluster_key": "key", "cluster_timeout_ms": "100"}
	connected, err := kvds.NewDistributor("", options)
	if err != nil {
		t.Fatal(err)
	}
	connected.Release()
}
