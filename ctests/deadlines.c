/*
 * The deletion of keys whose time is over: many of them, in stores that are closed, copied, read
 * beside the writer or full, and while threads write.
 */

#include "check.h"
#include "pairs.h"
#include "times.h"
#include "views.h"

/* Many keys, whose deadlines come in another order than the keys. */
static void many_keys_expire(void **state)
{
    struct fixture *f = *state;
    const size_t count = scaled(5000);
    for (size_t i = 0; i < count; i++) {
        const struct text key = text_of("%zu", i);
        assert_ok(kvds_set_ttl(f->store, key.data, key.len, key.data, key.len,
                               i % 10 == 0 ? LONG : 1 + i * 7919 % 500));
    }
    const size_t kept = (count + 9) / 10;
    for (size_t i = 0; i < count; i++) {
        const struct text key = text_of("%zu", i);
        if (i % 10 == 0)
            assert_true(has(f->store, key.data, key.len, key.data, key.len));
        else
            await_expiry(f->store, key.data, key.len);
    }
    kvds_cursor *cursor;
    size_t found = 0;
    assert_ok(kvds_cursor_new(f->store, NULL, &cursor));
    for (kvds_status status = kvds_cursor_first(cursor); status == KVDS_OK;
         status = kvds_cursor_next(cursor))
        found++;
    kvds_cursor_free(cursor);
    assert_int_equal(found, kept);
}

/* Release and close do not wait for keys that are due, and nothing touches the store afterwards. */
static void a_store_is_released_while_keys_are_due(void **state)
{
    struct fixture *f = *state;
    for (size_t round = 0; round < scaled(20); round++) {
        for (size_t i = 0; i < 300; i++) {
            const struct text key = text_of("%zu", i);
            assert_ok(kvds_set_ttl(f->store, key.data, key.len, BYTES("1"), 1 + round * 100));
        }
        if (round % 4 == 0)
            pause_briefly();
        if (round % 2 == 0)
            assert_ok(kvds_close(f->store));
        assert_int_equal(release_store(f), 0);
        f->store = open_again(f);
    }
    /* The expiry of another store is not disturbed. */
    assert_ok(kvds_set_ttl(f->store, BYTES("due"), BYTES("1"), SOON));
    await_expiry(f->store, BYTES("due"));
}

static void a_closed_disk_store_keeps_deadlines(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "plain=1 ended=2");
    assert_ok(kvds_set_ttl(f->store, BYTES("due"), BYTES("3"), SOON));
    assert_ok(kvds_set_ttl(f->store, BYTES("later"), BYTES("4"), LONG));
    assert_ok(kvds_expire(f->store, BYTES("ended"), LONG));
    assert_ok(kvds_expire(f->store, BYTES("ended"), 0));
    const int64_t before = time_left(f->store, BYTES("later"));
    assert_int_equal(release_store(f), 0);

    /* What is due is gone as soon as the store is open. */
    pause_briefly();
    f->store = open_again(f);
    assert_pairs("ended=2 later=4 plain=1", f->store);
    assert_never_expires(f->store, "plain");
    assert_never_expires(f->store, "ended");
    assert_true(time_left(f->store, BYTES("later")) > 0);
    assert_true(time_left(f->store, BYTES("later")) <= before);

    /* What becomes due later is deleted without another time to live being set. */
    assert_ok(kvds_expire(f->store, BYTES("later"), 3000));
    assert_int_equal(release_store(f), 0);
    f->store = open_again(f);
    await_expiry(f->store, BYTES("later"));
    assert_int_equal(release_store(f), 0);
    f->store = open_again(f);
    assert_pairs("ended=2 plain=1", f->store);

    /* Also when the files are flushed and compacted. */
    assert_ok(kvds_expire(f->store, BYTES("ended"), LONG));
    assert_ok(kvds_sync(f->store));
    assert_ok(kvds_compact(f->store));
    assert_int_equal(release_store(f), 0);
    f->store = open_again(f);
    assert_expires_in(LONG, f->store, "ended");
}

/* A cursor keeps the files open, and the new store uses them: its keys expire too. */
static void keys_expire_in_a_store_that_was_opened_beside_a_cursor(void **state)
{
    struct fixture *f = *state;
    kvds_cursor *cursor;
    assert_ok(kvds_set_ttl(f->store, BYTES("first"), BYTES("1"), LONG));
    assert_ok(kvds_cursor_new(f->store, NULL, &cursor));
    assert_int_equal(release_store(f), 0);
    f->store = open_again(f);
    assert_expires_in(LONG, f->store, "first");
    assert_ok(kvds_expire(f->store, BYTES("first"), SOON));
    assert_ok(kvds_set_ttl(f->store, BYTES("second"), BYTES("2"), SOON));
    await_expiry(f->store, BYTES("first"));
    await_expiry(f->store, BYTES("second"));
    assert_string_equal(pairs_forward(cursor).text, "first=1");
    kvds_cursor_free(cursor);
}

#ifndef KVDS_TEST_NO_DISK

/* A copy has the deadlines of what it copies, whatever kind of store that is. */
static void a_copy_has_deadlines(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "aplain=1");
    assert_ok(kvds_set_ttl(f->store, BYTES("alater"), BYTES("2"), LONG));
    kvds_store *const sources[] = { kvds_store_retain(f->store), scope_of(f->store, BYTES("a")),
                                    view_of(f->store, READ), snapshot_of(f->store) };
    char copies[PATH_MAX], path[PATH_MAX];
    path_of(copies, f->base, "copies");
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        const struct text name = text_of("copy-%zu", i);
        assert_ok(kvds_checkpoint(sources[i], path_of(path, copies, name.data)));
        kvds_store_release(sources[i]);
    }
    assert_ok(kvds_expire(f->store, BYTES("alater"), 0));
    kvds_distributor *distributor = kvds_distributor_new(copies);
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        const struct text name = text_of("copy-%zu", i);
        kvds_store *copy = open_store(distributor, name.data, KVDS_DISK);
        const char *later = i == 1 ? "later" : "alater", *plain = i == 1 ? "plain" : "aplain";
        const int64_t left = time_left(copy, later, strlen(later));
        assert_in_range(left, 1, LONG);
        assert_true(time_left(copy, plain, strlen(plain)) == -1);
        assert_ok(kvds_expire(copy, later, strlen(later), SOON));
        await_expiry(copy, later, strlen(later));
        kvds_store_release(copy);
    }
    kvds_distributor_release(distributor);
    assert_pairs("alater=2 aplain=1", f->store);
}

/* A copy of a snapshot shows what the snapshot shows, until it is opened: then it deletes. */
static void a_copy_of_expired_keys_deletes_them(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set_ttl(f->store, BYTES("due"), BYTES("1"), SOON));
    set_pairs(f->store, "plain=2");
    kvds_store *snapshot = snapshot_of(f->store);
    await_expiry(f->store, BYTES("due"));
    assert_pairs("due=1 plain=2", snapshot);
    assert_ok(kvds_checkpoint(snapshot, PATH(f->base, "copy")));
    kvds_store_release(snapshot);
    kvds_store *copy = open_store(f->distributor, "copy", KVDS_DISK);
    await_expiry(copy, BYTES("due"));
    assert_pairs("plain=2", copy);
    kvds_store_release(copy);
}

#endif

static void a_reader_shows_times_beside_the_writer(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "plain=1");
    assert_ok(kvds_set_ttl(f->store, BYTES("later"), BYTES("2"), LONG));
    kvds_distributor *distributor = distributor_with(f->base, "read_only", "1");
    kvds_store *reader = open_store(distributor, "store", KVDS_DISK);
    assert_never_expires(reader, "plain");
    assert_expires_in(LONG, reader, "later");
    assert_returns(KVDS_DENIED, kvds_set_ttl(reader, BYTES("a"), BYTES("1"), LONG));
    assert_returns(KVDS_DENIED, kvds_set_nx_ttl(reader, BYTES("a"), BYTES("1"), LONG));
    assert_returns(KVDS_DENIED, kvds_expire(reader, BYTES("later"), 0));
    assert_ok(kvds_checkpoint(reader, PATH(f->base, "copy")));
    kvds_store *copy = open_store(f->distributor, "copy", KVDS_DISK);
    assert_never_expires(copy, "plain");
    assert_expires_in(LONG, copy, "later");
    kvds_store_release(copy);

    /* It shows an expired key until the writer has deleted it. */
    assert_ok(kvds_set_ttl(f->store, BYTES("due"), BYTES("3"), 1));
    assert_ok(kvds_expire(f->store, BYTES("later"), SOON));
    await_expiry(f->store, BYTES("due"));
    await_expiry(f->store, BYTES("later"));
    assert_expires_in(LONG, reader, "later");
    assert_pairs("later=2 plain=1", reader);
    assert_ok(kvds_refresh(reader));
    assert_pairs("plain=1", reader);
    assert_int_equal(kvds_store_release(reader), 0);

    /* Without a writer no key is deleted. */
    assert_ok(kvds_set_ttl(f->store, BYTES("due"), BYTES("3"), SOON));
    assert_int_equal(release_store(f), 0);
    pause_briefly();
    reader = open_store(distributor, "store", KVDS_DISK);
    if (kvds_exists(reader, BYTES("due")) == KVDS_OK)
        assert_true(time_left(reader, BYTES("due")) == 0);
    assert_int_equal(kvds_store_release(reader), 0);
    kvds_distributor_release(distributor);
    f->store = open_again(f);
    assert_pairs("plain=1", f->store);
}

/* Sets keys, with a time to live or without, until the limit is reached. Returns how many. */
static size_t fill(kvds_store *store, uint64_t ttl)
{
    for (size_t count = 0;; count++) {
        const struct text key = text_of("%05zu", count);
        const kvds_status status = ttl ? kvds_set_ttl(store, key.data, key.len, BYTES("value"), ttl)
                                       : kvds_set(store, key.data, key.len, BYTES("value"));
        if (status == KVDS_OK)
            continue;
        must_return(KVDS_NO_MEMORY, status);
        must(strstr(kvds_last_error(), "memory_limit_bytes") != NULL);
        return count;
    }
}

static void deadlines_count_in_the_memory_limit(void **state)
{
    enum { LIMIT = 64 << 10 };
    struct fixture *f = *state;
    kvds_distributor *distributor = distributor_with(f->base, "memory_limit_bytes", "64K");
    kvds_store *store = open_store(distributor, "store", KVDS_MEMORY);
    const size_t plain = fill(store, 0);
    assert_true(stats_of(store).memory_bytes <= LIMIT);
    /* No room for a deadline, and nothing was changed. */
    assert_returns(KVDS_NO_MEMORY, kvds_expire(store, BYTES("00000"), LONG));
    assert_error_says("memory_limit_bytes");
    assert_returns(KVDS_NO_MEMORY, kvds_set_ttl(store, BYTES("00000"), BYTES("other"), LONG));
    assert_never_expires(store, "00000");
    assert_true(has(store, BYTES("00000"), BYTES("value")));
    assert_ok(kvds_expire(store, BYTES("00000"), 0));

    assert_ok(kvds_delete_prefix(store, NULL, 0));
    const size_t expiring = fill(store, LONG);
    assert_true(expiring < plain && expiring > plain / 4);
    assert_true(stats_of(store).memory_bytes <= LIMIT);
    /* A full store can end times, and then there is room. */
    for (size_t i = 0; i < expiring; i++) {
        const struct text key = text_of("%05zu", i);
        assert_ok(kvds_expire(store, key.data, key.len, 0));
    }
    assert_int_equal(fill(store, 0), plain);
    for (size_t i = 0; i < plain; i++) {
        const struct text key = text_of("%05zu", i);
        assert_ok(kvds_del(store, key.data, key.len));
    }
    assert_int_equal(stats_of(store).memory_bytes, 0);

    /* The memory of what expires is free, deadlines included. */
    assert_int_equal(fill(store, LONG), expiring);
    for (size_t i = 0; i < expiring; i++) {
        const struct text key = text_of("%05zu", i);
        assert_ok(kvds_expire(store, key.data, key.len, 0));
        assert_ok(kvds_expire(store, key.data, key.len, SOON));
    }
    for (size_t i = 0; i < expiring; i++) {
        const struct text key = text_of("%05zu", i);
        await_expiry(store, key.data, key.len);
    }
    const double end = seconds() + PATIENCE;
    while (stats_of(store).memory_bytes != 0) {
        assert_true(seconds() < end);
        pause_briefly();
    }
    assert_int_equal(fill(store, 0), plain);
    kvds_store_release(store);
    kvds_distributor_release(distributor);
}

/*
 * A full store can replace the time of a key, which takes no more memory than before: the owner of
 * a lock must be able to renew it.
 */
static void a_full_store_renews_times(void **state)
{
    struct fixture *f = *state;
    kvds_distributor *distributor = distributor_with(f->base, "memory_limit_bytes", "64K");
    kvds_store *store = open_store(distributor, "store", KVDS_MEMORY);
    fill(store, LONG);
    const uint64_t before = stats_of(store).memory_bytes;
    kvds_batch *renewal = kvds_batch_new();
    assert_ok(kvds_batch_expect(renewal, BYTES("00001"), BYTES("value")));
    assert_ok(kvds_batch_expire(renewal, BYTES("00001"), 2 * LONG));
    assert_ok(kvds_set_ttl(store, BYTES("00000"), BYTES("other"), 2 * LONG));
    assert_ok(kvds_expire(store, BYTES("00000"), 2 * LONG));
    assert_ok(kvds_write(store, renewal));
    assert_true(time_left(store, BYTES("00001")) > LONG);
    assert_int_equal(stats_of(store).memory_bytes, before);
    kvds_batch_free(renewal);
    kvds_store_release(store);
    kvds_distributor_release(distributor);
}

/* Writers that renew, end and replace times, while keys expire under them. */
static void *write_times(void *store)
{
    static atomic_size_t threads;
    unsigned random = (unsigned)atomic_fetch_add(&threads, 1) + 1;
    for (size_t i = 0; i < scaled(5000); i++) {
        random = random * 1103515245 + 12345;
        const struct text key = text_of("%u", random >> 16 & 31);
        const uint64_t ttl = 1 + (random >> 21 & 63);
        kvds_status status = KVDS_OK;
        switch (random >> 27 & 7) {
        case 0:
        case 1: status = kvds_set_ttl(store, key.data, key.len, key.data, key.len, ttl); break;
        case 2: status = kvds_set_nx_ttl(store, key.data, key.len, key.data, key.len, ttl); break;
        case 3: status = kvds_expire(store, key.data, key.len, ttl); break;
        case 4: status = kvds_expire(store, key.data, key.len, 0); break;
        case 5: status = kvds_set(store, key.data, key.len, key.data, key.len); break;
        case 6: status = kvds_del(store, key.data, key.len); break;
        default: {
            int64_t left;
            status = kvds_ttl(store, key.data, key.len, &left);
            must(status != KVDS_OK || (left >= -1 && left <= 64));
        }
        }
        must(status == KVDS_OK || status == KVDS_NOT_FOUND || status == KVDS_EXISTS);
    }
    return NULL;
}

static void threads_set_times_while_keys_expire(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        threads[i] = start(write_times, f->store);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        join(threads[i]);
    /* Keys with a time expire, and others stay. */
    for (size_t i = 0; i < 32; i++) {
        const struct text key = text_of("%zu", i);
        int64_t left = -1;
        const kvds_status status = kvds_ttl(f->store, key.data, key.len, &left);
        if (status == KVDS_OK && left >= 0)
            await_expiry(f->store, key.data, key.len);
        else if (status == KVDS_OK)
            assert_true(has(f->store, key.data, key.len, key.data, key.len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(many_keys_expire),
        ON_BOTH(a_store_is_released_while_keys_are_due),
        ON_DISK(a_closed_disk_store_keeps_deadlines),
        ON_DISK(keys_expire_in_a_store_that_was_opened_beside_a_cursor),
#ifndef KVDS_TEST_NO_DISK
        ON_BOTH(a_copy_has_deadlines),
        ON_BOTH(a_copy_of_expired_keys_deletes_them),
#endif
        ON_DISK(a_reader_shows_times_beside_the_writer),
        ON_MEMORY(deadlines_count_in_the_memory_limit),
        ON_MEMORY(a_full_store_renews_times),
        ON_BOTH(threads_set_times_while_keys_expire),
    };
    return RUN("deadlines", tests);
}
