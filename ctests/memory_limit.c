/*
 * The option `memory_limit_bytes`: no write exceeds it, no data is lost, and deletions free memory.
 */

#include "check.h"

enum { LIMIT = 64 << 10, VALUE_LEN = 1000 };

static kvds_distributor *limited(void)
{
    return distributor_with(NULL, "memory_limit_bytes", "64K");
}

/* The value of a numbered key, in one of two versions of the same length. */
static const char *value_of(size_t number, char version)
{
    static _Thread_local char value[VALUE_LEN];
    memset(value, version, sizeof value);
    memcpy(value, &number, sizeof number);
    return value;
}

static kvds_status set_number(kvds_store *store, size_t number, char version)
{
    const struct text key = text_of("%03zu", number);
    return kvds_set(store, key.data, key.len, value_of(number, version), VALUE_LEN);
}

static bool has_number(kvds_store *store, size_t number, char version)
{
    const struct text key = text_of("%03zu", number);
    return has(store, key.data, key.len, value_of(number, version), VALUE_LEN);
}

/* Sets numbered keys from 0 on until the limit is reached. Returns how many were set. */
static size_t fill(kvds_store *store, char version)
{
    size_t count = 0;
    kvds_status status;
    while ((status = set_number(store, count, version)) == KVDS_OK)
        count++;
    must_return(KVDS_NO_MEMORY, status);
    must(strstr(kvds_last_error(), "memory_limit_bytes") != NULL);
    return count;
}

static kvds_stats stats_of(kvds_store *store)
{
    kvds_stats stats;
    must_ok(kvds_store_stats(store, &stats, sizeof stats));
    return stats;
}

static void assert_has_numbers(kvds_store *store, size_t count, char version)
{
    for (size_t i = 0; i < count; i++)
        assert_true(has_number(store, i, version));
    assert_int_equal(stats_of(store).keys, count);
    assert_true(stats_of(store).memory_bytes <= LIMIT);
}

static void no_write_exceeds_the_limit(void **state)
{
    (void)state;
    kvds_distributor *distributor = limited();
    kvds_store *store = open_store(distributor, "store", KVDS_MEMORY);
    const size_t count = fill(store, 'a');
    assert_in_range(count, LIMIT / (VALUE_LEN + 200), LIMIT / VALUE_LEN);
    assert_has_numbers(store, count, 'a');

    /*
     * Writes beyond the limit change nothing. Writes that need no more memory than before succeed.
     */
    const char *value = value_of(0, 'b');
    const kvds_pair pairs[] = { { "000", 3, value, VALUE_LEN }, { "new", 3, value, VALUE_LEN } };
    kvds_batch *batch = kvds_batch_new();
    assert_ok(kvds_batch_set(batch, BYTES("000"), value, VALUE_LEN));
    assert_ok(kvds_batch_set(batch, BYTES("new"), value, VALUE_LEN));
    static const char bigger[2 * VALUE_LEN];
    assert_returns(KVDS_NO_MEMORY, kvds_set(store, BYTES("000"), bigger, sizeof bigger));
    assert_returns(KVDS_NO_MEMORY, kvds_set_batch(store, pairs, COUNT_OF(pairs)));
    assert_returns(KVDS_NO_MEMORY, kvds_write(store, batch));
    assert_returns(KVDS_NO_MEMORY, kvds_set_nx(store, BYTES("new"), value, VALUE_LEN));
    assert_returns(KVDS_NO_MEMORY, kvds_compare_and_swap(store, BYTES("000"), value_of(0, 'a'),
                                                         VALUE_LEN, bigger, sizeof bigger));
    assert_error_says("memory_limit_bytes");
    kvds_batch_free(batch);
    assert_returns(KVDS_NOT_FOUND, kvds_exists(store, BYTES("new")));
    assert_has_numbers(store, count, 'a');

    for (size_t i = 0; i < count; i++)
        assert_ok(set_number(store, i, 'b'));
    assert_has_numbers(store, count, 'b');
    kvds_store_release(store);
    kvds_distributor_release(distributor);
}

static void deleting_frees_memory(void **state)
{
    (void)state;
    kvds_distributor *distributor = limited();
    kvds_store *store = open_store(distributor, "store", KVDS_MEMORY);
    const size_t count = fill(store, 'a');
    for (size_t i = 0; i < count; i++) {
        const struct text key = text_of("%03zu", i);
        assert_ok(kvds_del(store, key.data, key.len));
        assert_returns(KVDS_NOT_FOUND, kvds_exists(store, key.data, key.len));
        assert_ok(set_number(store, i, 'b'));
        assert_returns(KVDS_NO_MEMORY, set_number(store, count, 'b'));
    }
    assert_has_numbers(store, count, 'b');

    assert_ok(kvds_delete_prefix(store, BYTES("00")));
    assert_int_equal(stats_of(store).keys, count - 10);
    assert_int_equal(fill(store, 'c'), count);
    assert_ok(kvds_delete_prefix(store, NULL, 0));
    assert_int_equal(stats_of(store).memory_bytes, 0);
    assert_int_equal(fill(store, 'd'), count);
    kvds_store_release(store);
    kvds_distributor_release(distributor);
}

static void stores_share_the_limit(void **state)
{
    (void)state;
    kvds_distributor *distributor = limited(), *other_distributor = limited();
    kvds_store *first = open_store(distributor, "first", KVDS_MEMORY);
    kvds_store *second = open_store(distributor, "second", KVDS_MEMORY);
    kvds_store *other = open_store(other_distributor, "first", KVDS_MEMORY);
    const size_t count = fill(first, 'a');
    assert_returns(KVDS_NO_MEMORY, set_number(second, 0, 'a'));
    assert_int_equal(fill(other, 'a'), count);

    /* A destroyed store frees its memory, also while one of its values is held. */
    kvds_value value;
    assert_ok(kvds_get(first, BYTES("000"), &value));
    assert_int_equal(kvds_store_release(first), 0);
    assert_int_equal(fill(second, 'b'), count);
    assert_memory_equal(value.data, value_of(0, 'a'), VALUE_LEN);
    kvds_value_release(&value);

    /* So does a closed store. */
    assert_ok(kvds_close(second));
    first = open_store(distributor, "first", KVDS_MEMORY);
    assert_int_equal(fill(first, 'c'), count);
    kvds_store_release(first);
    kvds_store_release(second);
    kvds_store_release(other);
    kvds_distributor_release(distributor);
    kvds_distributor_release(other_distributor);
}

static void versions_kept_for_a_snapshot_count(void **state)
{
    (void)state;
    kvds_distributor *distributor = limited();
    kvds_store *store = open_store(distributor, "store", KVDS_MEMORY), *snapshot;
    const size_t count = fill(store, 'a'), kept = count - 10;
    for (size_t i = kept; i < count; i++) {
        const struct text key = text_of("%03zu", i);
        assert_ok(kvds_del(store, key.data, key.len));
    }
    const uint64_t before = stats_of(store).memory_bytes;
    assert_ok(kvds_store_snapshot(store, &snapshot));

    /* There was room for ten more keys, and each overwritten key now counts twice. */
    size_t overwritten = 0;
    while (overwritten < kept && set_number(store, overwritten, 'b') == KVDS_OK)
        overwritten++;
    assert_in_range(overwritten, 9, 11);
    assert_returns(KVDS_NO_MEMORY, set_number(store, overwritten, 'b'));
    assert_error_says("memory_limit_bytes");
    assert_true(has_number(store, overwritten, 'a'));
    /* Versions newer than the snapshot are not kept. */
    assert_ok(set_number(store, 0, 'c'));
    assert_true(stats_of(store).memory_bytes <= LIMIT);
    for (size_t i = 0; i < kept; i++)
        assert_true(has_number(snapshot, i, 'a'));

    assert_int_equal(kvds_store_release(snapshot), 0);
    assert_int_equal(stats_of(store).memory_bytes, before);
    for (size_t i = 0; i < kept; i++)
        assert_ok(set_number(store, i, 'd'));
    assert_has_numbers(store, kept, 'd');

    /*
     * Deleting works also when a snapshot keeps everything. The memory is freed with the snapshot.
     */
    assert_int_equal(fill(store, 'e'), count);
    assert_ok(kvds_store_snapshot(store, &snapshot));
    for (size_t i = 0; i < count; i++) {
        const struct text key = text_of("%03zu", i);
        assert_ok(kvds_del(store, key.data, key.len));
        assert_returns(KVDS_NO_MEMORY, set_number(store, count, 'e'));
    }
    assert_true(has_number(snapshot, 0, 'e'));
    assert_int_equal(kvds_store_release(snapshot), 0);
    assert_int_equal(stats_of(store).memory_bytes, 0);
    assert_int_equal(fill(store, 'f'), count);
    kvds_store_release(store);
    kvds_distributor_release(distributor);
}

/* Threads that together need more than the limit must not exceed it. */
static void *fill_own_part(void *store)
{
    static atomic_size_t next;
    const size_t part = atomic_fetch_add(&next, 1);
    for (size_t i = 0; i < 100; i++) {
        const struct text key = text_of("%zu/%zu", part, i);
        const kvds_status status = kvds_set(store, key.data, key.len, value_of(0, 'a'), VALUE_LEN);
        must(status == KVDS_OK || status == KVDS_NO_MEMORY);
    }
    return NULL;
}

static void threads_share_the_limit(void **state)
{
    (void)state;
    kvds_distributor *distributor = limited();
    kvds_store *store = open_store(distributor, "store", KVDS_MEMORY);
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        threads[i] = start(fill_own_part, store);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        join(threads[i]);
    assert_true(stats_of(store).memory_bytes <= LIMIT);
    const uint64_t keys = stats_of(store).keys;
    assert_in_range(keys, LIMIT / (VALUE_LEN + 200), LIMIT / VALUE_LEN);
    kvds_store_release(store);
    kvds_distributor_release(distributor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MEMORY(no_write_exceeds_the_limit), ON_MEMORY(deleting_frees_memory),
        ON_MEMORY(stores_share_the_limit),     ON_MEMORY(versions_kept_for_a_snapshot_count),
        ON_MEMORY(threads_share_the_limit),
    };
    return RUN("memory_limit", tests);
}
