/* Maintenance and statistics: sync, compact, stats and properties. */

#include "check.h"
#include "views.h"

/* A store and its views. */
enum { ITSELF, ITS_SCOPE, ITS_SNAPSHOT, ITS_READ_VIEW, SCOPE_OF_SNAPSHOT, VIEWS };

static void create_views(kvds_store *store, kvds_store *views[VIEWS])
{
    views[ITSELF] = kvds_store_retain(store);
    views[ITS_SCOPE] = scope_of(store, BYTES("k"));
    views[ITS_SNAPSHOT] = snapshot_of(store);
    views[ITS_READ_VIEW] = view_of(store, READ);
    views[SCOPE_OF_SNAPSHOT] = scope_of(views[ITS_SNAPSHOT], BYTES("k"));
}

static void release_views(kvds_store *views[VIEWS])
{
    for (size_t i = 0; i < VIEWS; i++)
        kvds_store_release(views[i]);
}

static kvds_stats stats_of(kvds_store *store)
{
    kvds_stats stats;
    must_ok(kvds_store_stats(store, &stats, sizeof stats));
    return stats;
}

static void syncing_and_compacting_change_no_data(void **state)
{
    static kvds_status (*const calls[])(kvds_store *) = { kvds_sync, kvds_compact, kvds_refresh };
    struct fixture *f = *state;
    kvds_store *views[VIEWS], *writable = view_of(f->store, WRITE);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    create_views(f->store, views);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("other")));
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        for (size_t j = 0; j < VIEWS; j++)
            assert_ok(calls[i](views[j]));
        assert_ok(calls[i](writable));
        assert_true(has(f->store, BYTES("key"), BYTES("other")));
        assert_true(has(views[ITS_SNAPSHOT], BYTES("key"), BYTES("value")));
        assert_invalid(calls[i](NULL));
    }
    assert_ok(kvds_close(f->store));
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        for (size_t j = 0; j < VIEWS; j++)
            assert_returns(KVDS_CLOSED, calls[i](views[j]));
        assert_returns(KVDS_CLOSED, calls[i](writable));
    }
    kvds_store_release(writable);
    release_views(views);
}

static void compacting_frees_disk_space(void **state)
{
    struct fixture *f = *state;
    static char noise[1 << 20];
    uint32_t random = 1;
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (char)((random = random * 1664525 + 1013904223) >> 24);
    for (size_t i = 0; i < 4; i++)
        assert_ok(kvds_set(f->store, &i, sizeof i, noise, sizeof noise));
    assert_ok(kvds_compact(f->store));
    assert_true(stats_of(f->store).disk_bytes > 4 * sizeof noise);
    assert_ok(kvds_delete_prefix(f->store, NULL, 0));
    assert_ok(kvds_compact(f->store));
    /* Reopening deletes obsolete files. */
    release_store(f);
    f->store = open_again(f);
    assert_true(stats_of(f->store).disk_bytes < sizeof noise);
}

#define assert_counts(store, reads, hits, writes) \
    check_counts(store, reads, hits, writes, __FILE__, __LINE__)

static void check_counts(kvds_store *store, uint64_t reads, uint64_t hits, uint64_t writes,
                         const char *file, int line)
{
    const kvds_stats stats = stats_of(store);
    if (stats.reads != reads || stats.hits != hits || stats.writes != writes) {
        print_error("reads %ju, hits %ju, writes %ju\n", (uintmax_t)stats.reads,
                    (uintmax_t)stats.hits, (uintmax_t)stats.writes);
        _fail(file, line);
    }
}

static void stats_count_what_is_done(void **state)
{
    struct fixture *f = *state;
    char buffer[8];
    size_t len;
    kvds_value value, values[3];
    kvds_status statuses[3];
    const kvds_bytes keys[] = { { "a", 1 }, { "b", 1 }, { "missing", 7 } };
    const kvds_pair pairs[] = { { "b", 1, "bb", 2 }, { "c", 1, "ccc", 3 }, { "d", 1, "d", 1 } };
    kvds_batch *batch = kvds_batch_new();
    kvds_store *views[VIEWS];

    assert_counts(f->store, 0, 0, 0);
    assert_returns(KVDS_NOT_FOUND, kvds_get(f->store, BYTES("a"), &value));
    assert_counts(f->store, 1, 0, 0);
    assert_ok(kvds_set(f->store, BYTES("a"), BYTES("value")));
    assert_ok(kvds_get(f->store, BYTES("a"), &value));
    kvds_value_release(&value);
    assert_counts(f->store, 2, 1, 1);
    assert_ok(kvds_get_into(f->store, BYTES("a"), buffer, sizeof buffer, &len));
    assert_returns(KVDS_TRUNCATED, kvds_get_into(f->store, BYTES("a"), NULL, 0, &len));
    assert_returns(KVDS_NOT_FOUND, kvds_get_into(f->store, BYTES("b"), NULL, 0, &len));
    assert_counts(f->store, 5, 3, 1);
    assert_ok(kvds_exists(f->store, BYTES("a")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("b")));
    assert_counts(f->store, 7, 4, 1);
    assert_ok(kvds_set_batch(f->store, pairs, COUNT_OF(pairs)));
    assert_counts(f->store, 7, 4, 4);
    assert_ok(kvds_multi_get(f->store, keys, COUNT_OF(keys), values, statuses));
    for (size_t i = 0; i < COUNT_OF(values); i++)
        kvds_value_release(&values[i]);
    assert_counts(f->store, 10, 6, 4);

    /* Failed writes do not count as writes, and checking a condition does not count as a read. */
    assert_returns(KVDS_EXISTS, kvds_set_nx(f->store, BYTES("a"), BYTES("other")));
    assert_returns(KVDS_NOT_FOUND, kvds_del(f->store, BYTES("missing")));
    assert_returns(KVDS_MISMATCH,
                   kvds_compare_and_swap(f->store, BYTES("a"), BYTES("b"), BYTES("c")));
    assert_invalid(kvds_set(f->store, NULL, 1, BYTES("value")));
    assert_ok(kvds_batch_set(batch, BYTES("e"), BYTES("e")));
    assert_ok(kvds_batch_del(batch, BYTES("d")));
    assert_ok(kvds_write(f->store, batch));
    assert_ok(kvds_batch_expect(batch, BYTES("a"), BYTES("other")));
    assert_returns(KVDS_MISMATCH, kvds_write(f->store, batch));
    kvds_batch_free(batch);
    assert_counts(f->store, 10, 6, 6);
    assert_ok(kvds_set_nx(f->store, BYTES("f"), BYTES("f")));
    assert_ok(kvds_del(f->store, BYTES("f")));
    assert_ok(kvds_delete_batch(f->store, keys + 1, 2));
    assert_counts(f->store, 10, 6, 10);

    /*
     * Now there are "a", "c" and "e". Views have the statistics of their store, and their reads
     * count.
     */
    create_views(f->store, views);
    assert_ok(kvds_exists(views[ITS_SNAPSHOT], BYTES("a")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(views[ITS_SCOPE], BYTES("a")));
    for (size_t i = 0; i < VIEWS; i++) {
        assert_counts(views[i], 12, 7, 10);
        const kvds_stats stats = stats_of(views[i]);
        assert_true(stats.memory_bytes > 0);
        assert_true((stats.disk_bytes > 0) == (f->backend == KVDS_DISK));
        if (f->backend == KVDS_MEMORY) {
            assert_int_equal(stats.keys, 3);
            assert_int_equal(stats.bytes, strlen("a"
                                                 "value"
                                                 "c"
                                                 "ccc"
                                                 "e"
                                                 "e"));
        }
    }
    release_views(views);
}

static void stats_fit_the_size_that_the_caller_passes(void **state)
{
    struct fixture *f = *state;
    enum { ROOM = sizeof(kvds_stats) + 32, UNTOUCHED = 0xAA };
    static const size_t sizes[] = { 8, 16, sizeof(kvds_stats), sizeof(kvds_stats) + 8,
                                    sizeof(kvds_stats) + 16 };
    static const size_t too_small[] = { 0, 1, 7 };
    _Alignas(kvds_stats) unsigned char room[ROOM], zeros[ROOM] = { 0 }, untouched[ROOM];
    memset(untouched, UNTOUCHED, sizeof untouched);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    const kvds_stats whole = stats_of(f->store);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const size_t known = sizes[i] < sizeof whole ? sizes[i] : sizeof whole;
        memset(room, UNTOUCHED, sizeof room);
        assert_ok(kvds_store_stats(f->store, (kvds_stats *)room, sizes[i]));
        assert_memory_equal(room, &whole, known);
        assert_memory_equal(room + known, zeros, sizes[i] - known);
        assert_memory_equal(room + sizes[i], untouched, ROOM - sizes[i]);
        assert_invalid(kvds_store_stats(NULL, (kvds_stats *)room, sizes[i]));
        assert_memory_equal(room, zeros, sizes[i]);
    }
    memset(room, UNTOUCHED, sizeof room);
    for (size_t i = 0; i < COUNT_OF(too_small); i++)
        assert_invalid(kvds_store_stats(f->store, (kvds_stats *)room, too_small[i]));
    assert_memory_equal(room, untouched, ROOM);
    assert_invalid(kvds_store_stats(f->store, NULL, sizeof whole));
    assert_ok(kvds_close(f->store));
    assert_returns(KVDS_CLOSED, kvds_store_stats(f->store, (kvds_stats *)room, sizeof whole));
    assert_memory_equal(room, zeros, sizeof whole);
}

static void check_property(kvds_store *store, const char *name, uint64_t number)
{
    kvds_value value;
    const struct text expected = text_of("%ju", (uintmax_t)number);
    assert_ok(kvds_store_property(store, name, &value));
    assert_int_equal(value.len, expected.len);
    assert_memory_equal(value.data, expected.data, expected.len);
    kvds_value_release(&value);
}

static void properties_are_statistics_by_name(void **state)
{
    struct fixture *f = *state;
    static const char *const unknown[] = { "", "kvds.", "kvds.color", "keys", "rocksdb.color" };
    kvds_value value = { &value, 99, &value };
    kvds_store *views[VIEWS];
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_ok(kvds_exists(f->store, BYTES("key")));
    create_views(f->store, views);
    for (size_t i = 0; i < VIEWS; i++) {
        const kvds_stats stats = stats_of(views[i]);
        check_property(views[i], "kvds.keys", stats.keys);
        check_property(views[i], "kvds.bytes", stats.bytes);
        check_property(views[i], "kvds.reads", 1);
        check_property(views[i], "kvds.writes", 1);
        check_property(views[i], "kvds.hits", 1);
        check_property(views[i], "kvds.disk_bytes", stats.disk_bytes);
        check_property(views[i], "kvds.memory_bytes", stats.memory_bytes);
        for (size_t j = 0; j < COUNT_OF(unknown); j++) {
            assert_returns(KVDS_NOT_FOUND, kvds_store_property(views[i], unknown[j], &value));
            assert_null(value.data);
        }
        assert_returns(f->backend == KVDS_DISK ? KVDS_OK : KVDS_NOT_FOUND,
                       kvds_store_property(views[i], "rocksdb.stats", &value));
        assert_true((value.len > 0) == (f->backend == KVDS_DISK));
        kvds_value_release(&value);
    }
    release_views(views);
    assert_invalid(kvds_store_property(NULL, "kvds.keys", &value));
    assert_invalid(kvds_store_property(f->store, NULL, &value));
    assert_invalid(kvds_store_property(f->store, "\xFF", &value));
    assert_invalid(kvds_store_property(f->store, "kvds.keys", NULL));
    assert_ok(kvds_close(f->store));
    assert_returns(KVDS_CLOSED, kvds_store_property(f->store, "kvds.keys", &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(syncing_and_compacting_change_no_data),
        ON_DISK(compacting_frees_disk_space),
        ON_BOTH(stats_count_what_is_done),
        ON_BOTH(stats_fit_the_size_that_the_caller_passes),
        ON_BOTH(properties_are_statistics_by_name),
    };
    return RUN("maintenance", tests);
}
