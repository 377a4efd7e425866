package kvds_test

// Tests watches, on memory and disk.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kvds"
)

func watch(t *testing.T, store *kvds.Store, keys kvds.Range) *kvds.Watch {
	t.Helper()
	watch, err := store.Watch(keys)
	must(t, err)
	t.Cleanup(watch.Release)
	return watch
}

// next waits for the next change.
func next(t *testing.T, watch *kvds.Watch) kvds.Change {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	change, err := watch.Next(ctx)
	must(t, err)
	return change
}

// shown returns a change as text, without the number of its write.
func shown(change kvds.Change) string {
	text := fmt.Sprintf("%v %s", change.Kind, change.Key)
	switch {
	case change.Value != nil:
		text += fmt.Sprintf("=%s", change.Value)
	case change.End != nil:
		text += fmt.Sprintf("..%s", change.End)
	}
	if change.Last {
		text += "."
	}
	return text
}

// shows tests the next changes of a watch, and that there are no more.
func shows(t *testing.T, watch *kvds.Watch, wanted ...string) {
	t.Helper()
	for _, wanted := range wanted {
		if got := shown(next(t, watch)); got != wanted {
			t.Errorf("the change is %q, and must be %q", got, wanted)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if change, err := watch.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(shown(change), err)
	}
}

func write(t *testing.T, store *kvds.Store, fill func(*kvds.Batch) []error) {
	t.Helper()
	batch := kvds.NewBatch()
	defer batch.Release()
	must(t, fill(batch)...)
	written, err := store.Write(batch)
	yes(t, written, err)
}

func TestAWatchReportsWrites(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		must(t, store.Set([]byte("old"), nil))
		all := watch(t, store, kvds.Range{})
		must(t, store.Set([]byte("a"), []byte("1")), store.Set(nil, nil))
		_, err := store.Delete([]byte("a"))
		must(t, err)
		shows(t, all, "set a=1.", "set =.", "delete a.")
		write(t, store, func(batch *kvds.Batch) []error {
			return []error{batch.Set([]byte("c"), []byte("2")), batch.Delete([]byte("d"))}
		})
		first, second := next(t, all), next(t, all)
		yes(t, shown(first) == "set c=2" && shown(second) == "delete d.", nil)
		yes(t, first.Sequence == second.Sequence, nil)
		_, err = store.Expire([]byte("c"), time.Nanosecond)
		must(t, err)
		for _, wanted := range []string{"set c=2.", "delete c."} {
			got := next(t, all)
			yes(t, shown(got) == wanted && got.Sequence > second.Sequence, nil)
			second = got
		}
	})
}

func TestAWatchHasARange(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		keys := kvds.Range{Prefix: []byte("b"), Start: []byte("ba"), End: []byte("bc")}
		part := watch(t, store, keys)
		scope, err := store.Scope([]byte("b"))
		must(t, err)
		defer scope.Release()
		scoped := watch(t, scope, kvds.Range{})
		for _, key := range []string{"a", "b", "bb", "bc", "c"} {
			must(t, store.Set([]byte(key), nil))
		}
		write(t, store, func(batch *kvds.Batch) []error {
			return []error{batch.Set([]byte("ba"), nil), batch.Set([]byte("c"), nil)}
		})
		shows(t, part, "set bb=.", "set ba=.")
		shows(t, scoped, "set =.", "set b=.", "set c=.", "set a=.")
	})
}

func TestADeletedPrefixIsARange(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		// Disk stores delete the keys of a smaller prefix one by one.
		var many []kvds.Pair
		for i := 0; i < 1100; i++ {
			many = append(many, kvds.Pair{Key: []byte(fmt.Sprintf("b%04d", i))})
		}
		for prefix, wanted := range map[string][]string{
			"b": {"delete range b..c.", "delete range b1..b2."},
			"":  {"delete range .", "delete range b1..b2."},
		} {
			must(t, store.SetBatch(many))
			all := watch(t, store, kvds.Range{})
			part := watch(t, store, kvds.Range{Prefix: []byte("b1")})
			must(t, store.DeletePrefix([]byte(prefix)))
			shows(t, all, wanted[0])
			shows(t, part, wanted[1])
		}
	})
}

func TestNextEndsWithItsContext(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		all := watch(t, store, kvds.Range{})
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := all.Next(ctx)
		yes(t, errors.Is(err, context.Canceled), nil)
		// The watch can be used afterwards.
		go store.Set([]byte("a"), nil)
		shows(t, all, "set a=.")
	})
}

func TestAnIteratorEndsWithAnError(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		all := watch(t, store, kvds.Range{})
		must(t, store.Set([]byte("a"), nil), store.Set([]byte("b"), nil))
		ctx, cancel := context.WithCancel(context.Background())
		var keys []string
		all.Changes(ctx)(func(change kvds.Change, err error) bool {
			keys = append(keys, string(change.Key))
			return false
		})
		all.Changes(ctx)(func(change kvds.Change, err error) bool {
			keys = append(keys, string(change.Key), fmt.Sprint(err))
			cancel()
			return true
		})
		yes(t, strings.Join(keys, " ") == "a b <nil>  context canceled", nil)
	})
}

func TestAWatchContinuesAfterAnotherOne(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		first := watch(t, store, kvds.Range{})
		for _, key := range []string{"a", "b", "c"} {
			must(t, store.Set([]byte(key), nil))
		}
		sequence := next(t, first).Sequence
		second, err := store.WatchFrom(kvds.Range{}, sequence)
		must(t, err)
		first.Release()
		shows(t, second, "set b=.", "set c=.")
		second.Release()
		_, err = store.WatchFrom(kvds.Range{}, sequence)
		fails(t, err, kvds.Expired, "")
	})
}

func TestASlowWatchExpires(t *testing.T) {
	options := kvds.Options{"watch_buffer_bytes": "4096"}
	onEach(t, options, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		all := watch(t, store, kvds.Range{})
		must(t, store.Set([]byte("first"), nil))
		sequence := next(t, all).Sequence
		for i := 0; i < 100; i++ {
			must(t, store.Set([]byte("key"), make([]byte, 100)))
		}
		_, err := all.Next(context.Background())
		fails(t, err, kvds.Expired, "")
		must(t, store.Set([]byte("later"), nil))
		shows(t, all, "set later=.")
		_, err = store.WatchFrom(kvds.Range{}, sequence)
		fails(t, err, kvds.Expired, "")
	})
}

func TestAWatchEndsWithItsStore(t *testing.T) {
	ends := map[string]func(*kvds.Store, *kvds.Watch){
		"closed":   func(store *kvds.Store, _ *kvds.Watch) { store.Close() },
		"released": func(store *kvds.Store, _ *kvds.Watch) { store.Release() },
		"watch":    func(_ *kvds.Store, watch *kvds.Watch) { watch.Release() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
				all := watch(t, store, kvds.Range{})
				ended := make(chan error)
				go func() {
					_, err := all.Next(context.Background())
					ended <- err
				}()
				end(store, all)
				fails(t, <-ended, kvds.Closed, "")
				_, err := all.Next(context.Background())
				fails(t, err, kvds.Closed, "")
			})
		})
	}
}

func TestASnapshotCannotBeWatched(t *testing.T) {
	onEach(t, nil, func(t *testing.T, _ *kvds.Distributor, store *kvds.Store) {
		snapshot, err := store.Snapshot()
		must(t, err)
		defer snapshot.Release()
		_, err = snapshot.Watch(kvds.Range{})
		fails(t, err, kvds.Unsupported, "")
		new(kvds.Watch).Release()
	})
}
