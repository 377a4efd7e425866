package kvds_test

// The script that every binding runs: ../conformance.json, which README.md beside it describes.

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvds"
)

// data is bytes of the script: a string whose characters are bytes, or such a string and a
// number of repetitions.
type data []byte

func (d *data) UnmarshalJSON(text []byte) error {
	var characters string
	times := 1
	target := any(&characters)
	if text[0] == '[' {
		target = &[]any{&characters, &times}
	}
	if err := json.Unmarshal(text, target); err != nil {
		return err
	}
	*d = data{}
	for _, character := range strings.Repeat(characters, times) {
		*d = append(*d, byte(character))
	}
	return nil
}

type step struct {
	Op, Name, ID, Store, Cursor, As, Status, Property, Rights, Delta string
	Number                                                           *int64
	Hours                                                            time.Duration
	Key, Value, Prefix, Start, End, Expected                         data
	Keys                                                             []data
	Pair                                                             []data
	Pairs                                                            [][]data
	Batch                                                            []json.RawMessage
	StopAfter                                                        int `json:"stop_after"`
}

// answer is the result of a call. Only the members that it returns are set.
type answer struct {
	err    error
	no     string
	made   any
	number *int64
	value  []byte
	pairs  []kvds.Pair
}

var errEnough = errors.New("enough")

func (a answer) status() string {
	var status kvds.Status
	switch {
	case a.err == errEnough:
		return "KVDS_STOPPED"
	case errors.As(a.err, &status):
		return status.Error()
	case a.err != nil:
		return a.err.Error()
	case a.no != "":
		return a.no
	}
	return "KVDS_OK"
}

func number[N int | int64 | uint64](n N) *int64 {
	wide := int64(n)
	return &wide
}

// hours returns a time to live in whole hours, the unit of the script.
func hours(left time.Duration, err error) answer {
	if left == kvds.Forever {
		return answer{number: number(-1), err: err}
	}
	return answer{number: number(int64(math.Round(left.Hours()))), err: err}
}

func no(status string) func(bool, error) answer {
	return func(yes bool, err error) answer {
		if yes {
			status = ""
		}
		return answer{err: err, no: status}
	}
}

func slices(given []data) [][]byte {
	made := make([][]byte, len(given))
	for i, each := range given {
		made[i] = each
	}
	return made
}

func pairsOf(given [][]data) []kvds.Pair {
	var made []kvds.Pair
	for _, each := range given {
		made = append(made, kvds.Pair{Key: each[0], Value: each[1]})
	}
	return made
}

type run struct {
	*testing.T
	distributor *kvds.Distributor
	backend     kvds.Backend
	named       map[string]any
}

func TestConformance(t *testing.T) {
	file, err := os.ReadFile("../conformance.json")
	if err != nil {
		t.Fatal(err)
	}
	var script struct{ Steps []step }
	if err := json.Unmarshal(file, &script); err != nil {
		t.Fatal(err)
	}
	for _, backend := range []kvds.Backend{kvds.Memory, kvds.Disk, kvds.Cluster} {
		t.Run(backend.String(), func(t *testing.T) {
			var options kvds.Options
			if backend == kvds.Cluster {
				options = kvds.Options{"cluster": cluster(t)}
			}
			distributor, err := kvds.NewDistributor(t.TempDir(), options)
			if err != nil {
				t.Fatal(err)
			}
			defer distributor.Release()
			r := run{t, distributor, backend, map[string]any{}}
			section := ""
			for i, s := range script.Steps {
				if s.Op == "section" {
					section = s.Name
					continue
				}
				if problem := r.step(s); problem != "" {
					t.Fatalf("step %d (%s): %s: %s", i, section, s.Op, problem)
				}
			}
		})
	}
}

// cluster returns the URL of the cluster to test with, and of a namespace that is not in use. It
// skips the test if there is no cluster.
func cluster(t *testing.T) string {
	url := os.Getenv("KVDS_TEST_CLUSTER")
	if url == "" {
		t.Skip("KVDS_TEST_CLUSTER is not set")
	}
	namespace := make([]byte, 16)
	if _, err := rand.Read(namespace); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s/go-%x", strings.TrimRight(url, "/"), namespace)
}

// step runs a step, and reports how its result differs.
func (r run) step(s step) string {
	got := r.call(s)
	var failure *kvds.Error
	wanted := s.Status
	if wanted == "" {
		wanted = "KVDS_OK"
	}
	switch {
	case got.status() != wanted:
		return fmt.Sprintf("the status is %s (%v), and must be %s", got.status(), got.err, wanted)
	case errors.As(got.err, &failure) && failure.Text == "":
		return "a failure has a text"
	case s.Number != nil && (got.number == nil || *got.number != *s.Number):
		return fmt.Sprintf("the number is %v, and must be %d", got.number, *s.Number)
	case s.Pair != nil && !reflect.DeepEqual(got.pairs, pairsOf([][]data{s.Pair})):
		return fmt.Sprintf("the pair is %q, and must be %q", got.pairs, s.Pair)
	}
	if s.As != "" {
		r.named[s.As] = got.made
	}
	switch s.Op {
	case "set", "set_ttl", "set_nx", "compare_and_swap", "set_batch":
		// The value and the pairs are arguments.
		return ""
	}
	if s.Value != nil && (got.value == nil || string(got.value) != string(s.Value)) {
		return fmt.Sprintf("the value is %.100q, and must be %.100q", got.value, s.Value)
	}
	if s.Pairs != nil && !reflect.DeepEqual(got.pairs, pairsOf(s.Pairs)) {
		return fmt.Sprintf("the pairs are %q, and must be %q", got.pairs, s.Pairs)
	}
	return ""
}

// call makes the call of a step.
func (r run) call(s step) answer {
	if strings.HasPrefix(s.Op, "distributor_") {
		return r.distributorCall(s)
	}
	if strings.HasPrefix(s.Op, "cursor_") && s.Op != "cursor_new" {
		return r.cursorCall(s, r.named[s.Cursor].(*kvds.Cursor))
	}
	store := r.named[s.Store].(*kvds.Store)
	switch s.Op {
	case "store_id":
		return answer{value: []byte(store.ID())}
	case "store_backend":
		if store.Backend() != r.backend {
			return answer{err: fmt.Errorf("the backend is %v", store.Backend())}
		}
		return answer{}
	case "store_tag":
		return answer{number: number(store.Tag())}
	case "store_ref_count":
		return answer{number: number(store.RefCount())}
	case "store_retain":
		return opened(store.Retain())
	case "store_release":
		return answer{number: number(store.Release())}
	case "store_view":
		rights := map[string]kvds.Rights{"read": kvds.Read, "write": kvds.Write}
		return opened(store.View(rights[s.Rights]))
	case "store_scope":
		return opened(store.Scope(s.Prefix))
	case "store_snapshot":
		return opened(store.Snapshot())
	case "store_property":
		_, err := store.Property(s.Property)
		return answer{err: err}
	case "is_open":
		if store.IsOpen() {
			return answer{number: number(1)}
		}
		return answer{number: number(0)}
	case "close":
		return answer{err: store.Close()}
	case "sync":
		return answer{err: store.Sync()}
	case "compact":
		return answer{err: store.Compact()}
	case "refresh":
		return answer{err: store.Refresh()}
	case "get":
		value, err := store.Get(s.Key)
		return answer{value: value, err: err}
	case "exists":
		return no("KVDS_NOT_FOUND")(store.Has(s.Key))
	case "multi_get":
		values, err := store.GetMany(slices(s.Keys))
		got := answer{err: err}
		for i, value := range values {
			if value != nil {
				got.pairs = append(got.pairs, kvds.Pair{Key: s.Keys[i], Value: value})
			}
		}
		return got
	case "iterate":
		var got answer
		got.err = store.Iterate(s.Prefix, func(key, value []byte) error {
			got.pairs = append(got.pairs, kvds.Pair{Key: key, Value: value})
			if len(got.pairs) == s.StopAfter {
				return errEnough
			}
			return nil
		})
		return got
	case "set":
		return answer{err: store.Set(s.Key, s.Value)}
	case "set_ttl":
		return answer{err: store.SetTTL(s.Key, s.Value, s.Hours*time.Hour)}
	case "ttl":
		return hours(store.TTL(s.Key))
	case "del":
		return no("KVDS_NOT_FOUND")(store.Delete(s.Key))
	case "set_nx":
		return no("KVDS_EXISTS")(store.SetNX(s.Key, s.Value))
	case "compare_and_swap":
		return answer{err: store.CompareAndSwap(s.Key, s.Expected, s.Value)}
	case "compare_and_delete":
		return answer{err: store.CompareAndDelete(s.Key, s.Expected)}
	case "add":
		delta, err := strconv.ParseInt(s.Delta, 10, 64)
		if err != nil {
			return answer{err: err}
		}
		sum, err := store.Add(s.Key, delta)
		return answer{value: []byte(strconv.FormatInt(sum, 10)), err: err}
	case "set_batch":
		return answer{err: store.SetBatch(pairsOf(s.Pairs))}
	case "delete_batch":
		return answer{err: store.DeleteBatch(slices(s.Keys))}
	case "delete_prefix":
		return answer{err: store.DeletePrefix(s.Prefix)}
	case "write":
		batch, err := batchOf(s.Batch)
		if err != nil {
			return answer{err: err}
		}
		defer batch.Release()
		return no("KVDS_MISMATCH")(store.Write(batch))
	case "cursor_new":
		cursor, err := store.Cursor(kvds.Range{Prefix: s.Prefix, Start: s.Start, End: s.End})
		return answer{made: cursor, err: err}
	}
	return answer{err: errors.New("no such operation is known")}
}

func (r run) distributorCall(s step) answer {
	switch s.Op {
	case "distributor_store_count":
		return answer{number: number(r.distributor.StoreCount())}
	case "distributor_get":
		return opened(r.distributor.Get(s.ID, r.backend))
	case "distributor_get_or_create":
		return opened(r.distributor.GetOrCreate(s.ID, r.backend))
	case "distributor_shutdown":
		return answer{err: r.distributor.Shutdown()}
	}
	return answer{err: errors.New("no such operation is known")}
}

func (r run) cursorCall(s step, cursor *kvds.Cursor) answer {
	var there bool
	switch s.Op {
	case "cursor_free":
		cursor.Release()
		return answer{}
	case "cursor_ttl":
		return hours(cursor.TTL())
	case "cursor_first":
		there = cursor.First()
	case "cursor_last":
		there = cursor.Last()
	case "cursor_next":
		there = cursor.Next()
	case "cursor_prev":
		there = cursor.Prev()
	case "cursor_seek":
		there = cursor.Seek(s.Key)
	default:
		return answer{err: errors.New("no such operation is known")}
	}
	if !there {
		if cursor.Key() != nil || cursor.Value() != nil {
			return answer{err: errors.New("the cursor stands on a key")}
		}
		return no("KVDS_NOT_FOUND")(false, cursor.Err())
	}
	return answer{pairs: []kvds.Pair{{Key: cursor.Key(), Value: cursor.Value()}}}
}

func opened(store *kvds.Store, err error) answer { return answer{made: store, err: err} }

func batchOf(operations []json.RawMessage) (*kvds.Batch, error) {
	batch := kvds.NewBatch()
	for _, each := range operations {
		var parts []data
		err := json.Unmarshal(each, &parts)
		if err != nil {
			return nil, err
		}
		switch string(parts[0]) {
		case "set":
			err = batch.Set(parts[1], parts[2])
		case "del":
			err = batch.Delete(parts[1])
		case "expect":
			err = batch.Expect(parts[1], parts[2])
		case "expect_absent":
			err = batch.ExpectAbsent(parts[1])
		default:
			err = fmt.Errorf("no such operation is known: %s", parts[0])
		}
		if err != nil {
			return nil, err
		}
	}
	return batch, nil
}
