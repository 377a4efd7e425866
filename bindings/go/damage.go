package kvds

/*
#include <stdlib.h>
#include <kvds.h>

int kvdsDamage(void *user_data, kvds_damage *damage, uint64_t done, uint64_t total);
*/
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// Loss is what a damage takes away.
type Loss int

const (
	// LossNone: nothing. What is damaged can be derived from the rest.
	LossNone Loss = C.KVDS_LOSS_NONE
	// LossPairs: pairs are lost, or may be.
	LossPairs Loss = C.KVDS_LOSS_PAIRS
	// LossTTLs: times to live are lost, or may be. The pairs are not.
	LossTTLs Loss = C.KVDS_LOSS_TTLS
)

// String returns "none", "pairs" or "ttls".
func (l Loss) String() string {
	switch l {
	case LossPairs:
		return "pairs"
	case LossTTLs:
		return "ttls"
	}
	return "none"
}

// Damage is a damage of one file of a store.
type Damage struct {
	// File is the damaged file, or the store's directory if no single file is damaged.
	File string
	// Problem is a sentence that says what is damaged, and where in the file.
	Problem string
	Loss    Loss
	// First: the loss affects no key before it. Nil if that is not known.
	First []byte
	// Last: the loss affects no key after it. Nil if that is not known.
	Last []byte
}

// Salvaged is what Salvage has saved.
type Salvaged struct {
	// Pairs is how many pairs were copied.
	Pairs uint64
	// Lost is how many keys were left out because only a value was found that may be an older one.
	// Keys of which nothing was found are not counted.
	Lost uint64
	// TTLsLost is how many copied pairs may have had a time to live that cannot be read.
	TTLsLost uint64
	// Damages is what is damaged in the old store.
	Damages []Damage
}

// VisitDamage is called for each damage, and with nil for progress, at least once for each MiB. The
// bytes are an estimate of the work. An error ends the call, which returns it. A panic passes
// through. Do not call runtime.Goexit in it.
type VisitDamage func(damage *Damage, bytesDone, bytesTotal uint64) error

// Verify reads all files of the disk store in the directory path, and verifies every checksum. It
// returns all damages, and NotFound if there is no store. Damages are no error of Verify.
//
// The store may be open, also in another process. It is not changed. Options and visit may be nil.
// If visit ends the call, Verify also returns the damages found so far.
func Verify(path string, options Options, visit VisitDamage) ([]Damage, error) {
	r := &report{visit: visit}
	err := r.run(options, []string{path}, func(
		settings *C.kvds_options, paths []*C.char, visit C.kvds_damage_visit, h unsafe.Pointer,
	) C.kvds_status {
		status := C.kvds_verify(paths[0], settings, visit, h)
		if status == C.KVDS_CORRUPTION && len(r.damages) > 0 {
			return C.KVDS_OK
		}
		return status
	})
	return r.damages, err
}

// Salvage copies what can be read of the damaged store in the directory path into a new store in
// the directory target, which must not exist. It returns NotFound if there is no store, and
// Corruption if too little is left. After an error there is no new store.
//
// No copied pair is older than the last state of the damaged store; kvds.h documents two
// exceptions, which are reported as damages. The damaged store must not be open, and is not
// changed. Options and visit may be nil.
func Salvage(path, target string, options Options, visit VisitDamage) (Salvaged, error) {
	r := &report{visit: visit}
	var saved C.kvds_salvaged
	err := r.run(options, []string{path, target}, func(
		settings *C.kvds_options, paths []*C.char, visit C.kvds_damage_visit, h unsafe.Pointer,
	) C.kvds_status {
		return C.kvds_salvage(paths[0], paths[1], settings, visit, h, &saved)
	})
	return Salvaged{
		uint64(saved.pairs), uint64(saved.lost), uint64(saved.ttls_lost), r.damages,
	}, err
}

// report is the user data of the library's callback. It collects the damages.
type report struct {
	caught
	visit   VisitDamage
	damages []Damage
}

// run makes a call with options and paths of C, the callback for the library, and its user data.
func (r *report) run(
	options Options, paths []string,
	call func(*C.kvds_options, []*C.char, C.kvds_damage_visit, unsafe.Pointer) C.kvds_status,
) error {
	settings, err := optionsOf(options)
	if err != nil {
		return err
	}
	defer C.kvds_options_free(settings)
	places := make([]*C.char, len(paths))
	for i, path := range paths {
		if places[i], err = text(path, "path"); err != nil {
			return err
		}
		defer C.free(unsafe.Pointer(places[i]))
	}
	h := cgo.NewHandle(r)
	defer h.Delete()
	return r.raise(checked(func() C.kvds_status {
		return call(settings, places, C.kvds_damage_visit(C.kvdsDamage), unsafe.Pointer(&h))
	}))
}

// kvdsDamage is the callback for the library.
//
//export kvdsDamage
func kvdsDamage(userData unsafe.Pointer, damage *C.kvds_damage, done, total C.uint64_t) C.int {
	r := (*(*cgo.Handle)(userData)).Value().(*report)
	return r.call(func() error {
		var found *Damage
		if damage != nil {
			found = &Damage{
				C.GoString(damage.file), C.GoString(damage.problem), Loss(damage.loss),
				bound(damage.first, damage.first_len), bound(damage.last, damage.last_len),
			}
			r.damages = append(r.damages, *found)
		}
		if r.visit == nil {
			return nil
		}
		return r.visit(found, uint64(done), uint64(total))
	})
}

// bound returns a copy of a key, or nil for NULL.
func bound(key unsafe.Pointer, length C.size_t) []byte {
	if key == nil {
		return nil
	}
	return C.GoBytes(key, C.int(length))
}
