package kvds

/*
#include <stdlib.h>
#include <kvds.h>
*/
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Backend is where a store keeps its data.
type Backend int32

const (
	// Memory is the memory of the process. The data is lost with the store's last reference.
	Memory Backend = C.KVDS_MEMORY
	// Disk is a directory under the distributor's base path.
	Disk Backend = C.KVDS_DISK
	// Cluster is an etcd cluster, which the option "cluster" names. Any number of processes may
	// have a store open.
	Cluster Backend = C.KVDS_CLUSTER
)

// String returns "memory", "disk" or "cluster".
func (b Backend) String() string {
	switch b {
	case Memory:
		return "memory"
	case Disk:
		return "disk"
	case Cluster:
		return "cluster"
	}
	return fmt.Sprintf("Backend(%d)", int32(b))
}

// Options are the options of kvds_options_set, such as {"durability": "sync", "block_cache_bytes":
// "64M"} or {"cluster": "etcd://host:2379/namespace"}.
type Options map[string]string

// Distributor returns stores by name.
type Distributor struct{ handle[C.kvds_distributor] }

// NewDistributor creates a distributor whose disk stores are under the directory path; an empty
// path is for no disk stores. Options may be nil.
func NewDistributor(path string, options Options) (*Distributor, error) {
	settings, err := optionsOf(options)
	if err != nil {
		return nil, err
	}
	defer C.kvds_options_free(settings)
	base, err := text(path, "path")
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(base))
	var out *C.kvds_distributor
	if err := checked(func() C.kvds_status {
		return C.kvds_distributor_open(base, settings, &out)
	}); err != nil {
		return nil, err
	}
	d := &Distributor{handle[C.kvds_distributor]{kind: "distributor", pointer: out}}
	d.free = func(d *C.kvds_distributor) int64 {
		return int64(C.kvds_distributor_release(d))
	}
	runtime.SetFinalizer(d, func(d *Distributor) { d.Release() })
	return d, nil
}

// optionsOf returns options of the library, to be freed.
func optionsOf(options Options) (*C.kvds_options, error) {
	settings := C.kvds_options_new()
	for name, value := range options {
		if err := set(settings, name, value); err != nil {
			C.kvds_options_free(settings)
			return nil, err
		}
	}
	return settings, nil
}

// OpenStore opens the disk store in exactly the directory path, without a distributor. It returns
// NotFound if the options forbid creating it. Options may be nil.
func OpenStore(path string, options Options) (*Store, error) {
	settings, err := optionsOf(options)
	if err != nil {
		return nil, err
	}
	defer C.kvds_options_free(settings)
	place, err := text(path, "path")
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(place))
	var out *C.kvds_store
	if err := checked(func() C.kvds_status {
		return C.kvds_store_open(place, settings, &out)
	}); err != nil {
		return nil, err
	}
	return newStore(out), nil
}

func set(settings *C.kvds_options, name, value string) error {
	n, err := text(name, "option")
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(n))
	v, err := text(value, "value of the option "+name)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(v))
	return checked(func() C.kvds_status { return C.kvds_options_set(settings, n, v) })
}

// Release releases the distributor. Stores keep working. The second time it does nothing.
func (d *Distributor) Release() { d.release() }

// GetOrCreate returns the live store id, or creates or opens it. Each call returns a Store of its
// own, to be released. It returns NotFound if the options forbid creating the store.
func (d *Distributor) GetOrCreate(id string, backend Backend) (*Store, error) {
	return d.named(id, func(d *C.kvds_distributor, id *C.char, out **C.kvds_store) C.kvds_status {
		return C.kvds_distributor_get_or_create(d, id, C.kvds_backend(backend), out)
	})
}

// Get returns the live store id, or NotFound, even if its files exist.
func (d *Distributor) Get(id string, backend Backend) (*Store, error) {
	return d.named(id, func(d *C.kvds_distributor, id *C.char, out **C.kvds_store) C.kvds_status {
		return C.kvds_distributor_get(d, id, C.kvds_backend(backend), out)
	})
}

func (d *Distributor) named(
	id string, open func(*C.kvds_distributor, *C.char, **C.kvds_store) C.kvds_status,
) (*Store, error) {
	name, err := text(id, "id")
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(name))
	return opened(&d.handle, func(d *C.kvds_distributor, out **C.kvds_store) C.kvds_status {
		return open(d, name, out)
	})
}

// Destroy deletes the files of a disk store, or the keys of a cluster store, that is not live in
// this distributor. It returns false if there is none.
func (d *Distributor) Destroy(id string, backend Backend) (bool, error) {
	name, err := text(id, "id")
	if err != nil {
		return false, err
	}
	defer C.free(unsafe.Pointer(name))
	return unless(NotFound, d.call(func(d *C.kvds_distributor) C.kvds_status {
		return C.kvds_distributor_destroy(d, name, C.kvds_backend(backend))
	}))
}

// Shutdown closes every live store. Later calls that ask for a store return Closed.
func (d *Distributor) Shutdown() error {
	return d.call(func(d *C.kvds_distributor) C.kvds_status {
		return C.kvds_distributor_shutdown(d)
	})
}

// StoreCount returns the number of live stores.
func (d *Distributor) StoreCount() int {
	return look(&d.handle, func(d *C.kvds_distributor) int {
		return int(C.kvds_distributor_store_count(d))
	})
}
