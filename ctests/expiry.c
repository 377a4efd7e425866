/*
 * Times to live: what sets, replaces, reports and ends them, in memory and on disk.
 */

#include "check.h"
#include "pairs.h"
#include "times.h"
#include "views.h"

#include <inttypes.h>

static void a_key_expires(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set_ttl(f->store, BYTES("set"), BYTES("1"), SOON));
    assert_ok(kvds_set_nx_ttl(f->store, BYTES("new"), BYTES("2"), SOON));
    set_pairs(f->store, "expire=3 set2=4 stays=5");
    assert_ok(kvds_expire(f->store, BYTES("expire"), SOON));
    assert_ok(kvds_set_ttl(f->store, BYTES("set2"), BYTES("6"), SOON));
    assert_ok(kvds_set_ttl(f->store, NULL, 0, NULL, 0, SOON));
    assert_ok(kvds_set_ttl(f->store, BYTES("later"), BYTES("7"), LONG));
    kvds_batch *batch = kvds_batch_new();
    assert_ok(kvds_batch_set_ttl(batch, BYTES("batch"), BYTES("8"), SOON));
    assert_ok(kvds_batch_set(batch, BYTES("batch2"), BYTES("9")));
    assert_ok(kvds_batch_expire(batch, BYTES("batch2"), SOON));
    assert_ok(kvds_write(f->store, batch));
    kvds_batch_free(batch);

    await_expiry(f->store, BYTES("set"));
    await_expiry(f->store, BYTES("new"));
    await_expiry(f->store, BYTES("expire"));
    await_expiry(f->store, BYTES("set2"));
    await_expiry(f->store, NULL, 0);
    await_expiry(f->store, BYTES("batch"));
    await_expiry(f->store, BYTES("batch2"));
    assert_pairs("later=7 stays=5", f->store);

    /* A key that has expired can be set again, and has no time to live then. */
    assert_ok(kvds_set_nx(f->store, BYTES("new"), BYTES("3")));
    assert_never_expires(f->store, "new");
    assert_returns(KVDS_NOT_FOUND, kvds_del(f->store, BYTES("set")));
    assert_returns(KVDS_NOT_FOUND, kvds_expire(f->store, BYTES("expire"), LONG));
}

/* The deadline counts from the call: a key is there for at least its time. */
static void a_key_lives_for_its_time(void **state)
{
    enum { TTL = 1500 };
    struct fixture *f = *state;
    const double begin = seconds();
    assert_ok(kvds_set_ttl(f->store, BYTES("key"), BYTES("value"), TTL));
    await_expiry(f->store, BYTES("key"));
    assert_true(seconds() - begin >= TTL / 1000.0);
}

static void times_are_reported(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "plain=1");
    assert_never_expires(f->store, "plain");
    assert_ok(kvds_set_ttl(f->store, BYTES("key"), BYTES("1"), LONG));
    assert_expires_in(LONG, f->store, "key");
    assert_true(time_left(f->store, BYTES("key")) > LONG - PATIENCE * 1000);

    /* The time that is left falls. */
    const int64_t first = time_left(f->store, BYTES("key"));
    int64_t second;
    const double end = seconds() + PATIENCE;
    while ((second = time_left(f->store, BYTES("key"))) == first) {
        assert_true(seconds() < end);
        pause_briefly();
    }
    assert_true(second < first);

    /* Later calls replace it, by more and by less. */
    assert_ok(kvds_expire(f->store, BYTES("key"), 2 * LONG));
    assert_true(time_left(f->store, BYTES("key")) > LONG);
    assert_expires_in(2 * LONG, f->store, "key");
    assert_ok(kvds_expire(f->store, BYTES("key"), LONG / 2));
    assert_expires_in(LONG / 2, f->store, "key");
    assert_ok(kvds_set_ttl(f->store, BYTES("key"), BYTES("2"), LONG));
    assert_true(time_left(f->store, BYTES("key")) > LONG / 2);
    assert_ok(kvds_expire(f->store, BYTES("plain"), LONG));
    assert_expires_in(LONG, f->store, "plain");
    assert_pairs("key=2 plain=1", f->store);

    /* A write that is refused changes no time. */
    assert_returns(KVDS_EXISTS, kvds_set_nx_ttl(f->store, BYTES("key"), BYTES("3"), LONG / 4));
    assert_true(time_left(f->store, BYTES("key")) > LONG / 2);
    assert_returns(KVDS_EXISTS, kvds_set_nx(f->store, BYTES("key"), BYTES("3")));
    assert_returns(KVDS_MISMATCH,
                   kvds_compare_and_swap(f->store, BYTES("key"), BYTES("3"), BYTES("4")));
    assert_true(time_left(f->store, BYTES("key")) > LONG / 2);
}

/* A program that reads the time left and sets it again must not be refused. */
static void the_time_left_is_never_more_than_what_was_set(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < scaled(1000); i++) {
        assert_ok(kvds_set_ttl(f->store, BYTES("key"), BYTES("1"), KVDS_MAX_TTL_MS));
        const int64_t left = time_left(f->store, BYTES("key"));
        assert_true(left > KVDS_MAX_TTL_MS - PATIENCE * 1000);
        assert_true(left <= KVDS_MAX_TTL_MS);
        assert_ok(kvds_expire(f->store, BYTES("key"), (uint64_t)left));
    }
}

/* Each way to end the time of a key that would expire soon. */
static void a_time_is_ended(void **state)
{
    struct fixture *f = *state;
    static const char *const keys[] = { "set",   "set_batch", "expire",      "swap",
                                        "write", "write_0",   "del_set_nx",  "add",
                                        "range", "longer",    "batch_longer" };
    /* Far in the future first, so that none expires before its time is ended. */
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_ok(kvds_set_ttl(f->store, keys[i], strlen(keys[i]), BYTES("1"), LONG));
    const kvds_pair pair = { BYTES("set_batch"), BYTES("2") };
    int64_t sum;
    assert_ok(kvds_set(f->store, BYTES("set"), BYTES("2")));
    assert_ok(kvds_set_batch(f->store, &pair, 1));
    assert_ok(kvds_expire(f->store, BYTES("expire"), 0));
    assert_ok(kvds_compare_and_swap(f->store, BYTES("swap"), BYTES("1"), BYTES("2")));
    assert_ok(kvds_del(f->store, BYTES("del_set_nx")));
    assert_ok(kvds_set_nx(f->store, BYTES("del_set_nx"), BYTES("2")));
    assert_ok(kvds_add(f->store, BYTES("add"), 1, &sum));
    assert_ok(kvds_delete_prefix(f->store, BYTES("range")));
    assert_ok(kvds_set(f->store, BYTES("range"), BYTES("2")));
    kvds_batch *batch = kvds_batch_new();
    assert_ok(kvds_batch_set(batch, BYTES("write"), BYTES("2")));
    assert_ok(kvds_batch_expire(batch, BYTES("write_0"), 0));
    assert_ok(kvds_batch_expire(batch, BYTES("batch_longer"), 2 * LONG));
    assert_ok(kvds_write(f->store, batch));
    kvds_batch_free(batch);
    assert_ok(kvds_expire(f->store, BYTES("longer"), 2 * LONG));
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const int64_t left = time_left(f->store, keys[i], strlen(keys[i]));
        if (strstr(keys[i], "longer"))
            assert_true(left > LONG);
        else
            assert_true(left == -1);
    }
    assert_ok(kvds_expire(f->store, BYTES("set"), 0));
    assert_never_expires(f->store, "set");
    assert_returns(KVDS_NOT_FOUND, kvds_expire(f->store, BYTES("absent"), 0));

    /* An old deadline deletes nothing. The key that is set last has the latest one. */
    static const char large[(1 << 20) + 1];
    for (int i = 0; i < 10; i++) {
        assert_ok(kvds_set_ttl(f->store, BYTES("again"), BYTES("1"), SOON));
        assert_ok(kvds_set(f->store, BYTES("again"), BYTES("2")));
        assert_ok(kvds_set_ttl(f->store, BYTES("prefix"), BYTES("1"), SOON));
        /* A disk store deletes a prefix with so large a value as a range, and not key by key. */
        assert_ok(kvds_set(f->store, BYTES("prefix large"), large, sizeof large));
        assert_ok(kvds_delete_prefix(f->store, BYTES("prefix")));
        assert_ok(kvds_set(f->store, BYTES("prefix"), BYTES("2")));
    }
    assert_ok(kvds_set_ttl(f->store, BYTES("due"), BYTES("1"), SOON));
    await_expiry(f->store, BYTES("due"));
    assert_true(has(f->store, BYTES("again"), BYTES("2")));
    assert_never_expires(f->store, "again");
    assert_true(has(f->store, BYTES("prefix"), BYTES("2")));
    assert_never_expires(f->store, "prefix");
}

/* The operations of a batch take effect in their order. */
static void a_batch_sets_times(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "a=1 b=1 c=1 d=1 e=1");
    assert_ok(kvds_expire(f->store, BYTES("d"), LONG));
    kvds_batch *batch = kvds_batch_new();
    assert_ok(kvds_batch_expire(batch, BYTES("a"), LONG));
    assert_ok(kvds_batch_set(batch, BYTES("a"), BYTES("2")));
    assert_ok(kvds_batch_set(batch, BYTES("b"), BYTES("2")));
    assert_ok(kvds_batch_expire(batch, BYTES("b"), LONG));
    assert_ok(kvds_batch_del(batch, BYTES("c")));
    assert_ok(kvds_batch_expire(batch, BYTES("c"), LONG));
    assert_ok(kvds_batch_set_ttl(batch, BYTES("d"), BYTES("2"), 2 * LONG));
    assert_ok(kvds_batch_expire(batch, BYTES("d"), 0));
    assert_ok(kvds_batch_expire(batch, BYTES("e"), LONG));
    assert_ok(kvds_batch_del(batch, BYTES("e")));
    assert_ok(kvds_batch_set(batch, BYTES("e"), BYTES("2")));
    assert_ok(kvds_batch_expire(batch, BYTES("absent"), LONG));
    assert_ok(kvds_batch_set_ttl(batch, BYTES("new"), BYTES("2"), LONG));
    assert_int_equal(kvds_batch_count(batch), 13);
    /* The times count from each write. */
    for (int times = 0; times < 2; times++) {
        assert_ok(kvds_write(f->store, batch));
        assert_pairs("a=2 b=2 d=2 e=2 new=2", f->store);
        assert_never_expires(f->store, "a");
        assert_expires_in(LONG, f->store, "b");
        assert_never_expires(f->store, "d");
        assert_never_expires(f->store, "e");
        assert_expires_in(LONG, f->store, "new");
        assert_ok(kvds_expire(f->store, BYTES("b"), LONG / 2));
    }
    kvds_batch_free(batch);
}

/* A lock that frees itself, and that its owner alone renews. */
static void only_the_owner_renews_a_lock(void **state)
{
    struct fixture *f = *state;
    kvds_batch *mine = kvds_batch_new(), *other = kvds_batch_new();
    assert_ok(kvds_batch_expect(mine, BYTES("lock"), BYTES("mine")));
    assert_ok(kvds_batch_expire(mine, BYTES("lock"), 2 * LONG));
    assert_ok(kvds_batch_expect(other, BYTES("lock"), BYTES("other")));
    assert_ok(kvds_batch_expire(other, BYTES("lock"), 4 * LONG));

    assert_ok(kvds_set_nx_ttl(f->store, BYTES("lock"), BYTES("mine"), LONG));
    assert_returns(KVDS_EXISTS, kvds_set_nx_ttl(f->store, BYTES("lock"), BYTES("other"), LONG));
    assert_returns(KVDS_MISMATCH, kvds_write(f->store, other));
    assert_expires_in(LONG, f->store, "lock");
    assert_ok(kvds_write(f->store, mine));
    assert_true(time_left(f->store, BYTES("lock")) > LONG);

    /* The lock of an owner that is gone is free again, and the owner learns that it has lost it. */
    assert_ok(kvds_expire(f->store, BYTES("lock"), SOON));
    await_expiry(f->store, BYTES("lock"));
    assert_returns(KVDS_MISMATCH, kvds_write(f->store, mine));
    assert_ok(kvds_set_nx_ttl(f->store, BYTES("lock"), BYTES("other"), LONG));
    assert_returns(KVDS_MISMATCH, kvds_write(f->store, mine));
    assert_returns(KVDS_MISMATCH, kvds_compare_and_delete(f->store, BYTES("lock"), BYTES("mine")));
    assert_ok(kvds_write(f->store, other));
    assert_true(time_left(f->store, BYTES("lock")) > 2 * LONG);
    kvds_batch_free(mine);
    kvds_batch_free(other);
}

/* Snapshots and cursors do not see the deletion. */
static void a_snapshot_keeps_an_expired_key(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set_ttl(f->store, BYTES("due"), BYTES("1"), SOON));
    assert_ok(kvds_set_ttl(f->store, BYTES("later"), BYTES("2"), LONG));
    set_pairs(f->store, "plain=3");
    kvds_store *snapshot = snapshot_of(f->store);
    kvds_cursor *cursor;
    assert_ok(kvds_cursor_new(f->store, NULL, &cursor));
    await_expiry(f->store, BYTES("due"));
    assert_pairs("later=2 plain=3", f->store);
    assert_pairs("due=1 later=2 plain=3", snapshot);
    assert_string_equal(pairs_forward(cursor).text, "due=1 later=2 plain=3");
    assert_true(time_left(snapshot, BYTES("due")) == 0);
    assert_expires_in(LONG, snapshot, "later");
    assert_never_expires(snapshot, "plain");
    assert_returns(KVDS_DENIED, kvds_expire(snapshot, BYTES("later"), LONG));
    assert_returns(KVDS_DENIED, kvds_set_ttl(snapshot, BYTES("later"), BYTES("3"), LONG));
    kvds_cursor_free(cursor);
    kvds_store_release(snapshot);
}

/* Not even `kvds_expire()`, which leaves the value as it is, changes the times of a snapshot. */
static void a_snapshot_keeps_times(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set_ttl(f->store, BYTES("set"), BYTES("1"), LONG));
    assert_ok(kvds_set_ttl(f->store, BYTES("expire"), BYTES("1"), LONG));
    assert_ok(kvds_set_ttl(f->store, BYTES("end"), BYTES("1"), LONG));
    set_pairs(f->store, "plain=1");
    kvds_store *snapshot = snapshot_of(f->store);
    assert_ok(kvds_set_ttl(f->store, BYTES("set"), BYTES("2"), 2 * LONG));
    assert_ok(kvds_expire(f->store, BYTES("expire"), 2 * LONG));
    assert_ok(kvds_expire(f->store, BYTES("end"), 0));
    assert_ok(kvds_expire(f->store, BYTES("plain"), LONG));
    assert_expires_in(LONG, snapshot, "set");
    assert_expires_in(LONG, snapshot, "expire");
    assert_expires_in(LONG, snapshot, "end");
    assert_never_expires(snapshot, "plain");
    kvds_store_release(snapshot);
}

/* Checks the time of the entry that a cursor is on: at most `ttl`; 0 for one that never expires. */
static void assert_entry_expires(kvds_cursor *cursor, int64_t ttl)
{
    int64_t left = 99;
    assert_ok(kvds_cursor_ttl(cursor, &left));
    if (ttl > 0)
        assert_in_range(left, 1, (uint64_t)ttl);
    else
        assert_true(left == -1);
}

/* A cursor reports the times of its snapshot, also of one before the first time of the store. */
static void a_cursor_reports_times(void **state)
{
    struct fixture *f = *state;
    kvds_store *scope = scope_of(f->store, BYTES("b"));
    kvds_cursor *before, *after, *scoped;
    set_pairs(f->store, "a=1 b1=2 c=3");
    assert_ok(kvds_cursor_new(f->store, NULL, &before));
    assert_ok(kvds_expire(f->store, BYTES("b1"), LONG));
    assert_ok(kvds_cursor_new(f->store, NULL, &after));
    assert_ok(kvds_cursor_new(scope, NULL, &scoped));
    assert_ok(kvds_expire(f->store, BYTES("a"), LONG));
    assert_ok(kvds_set_ttl(f->store, BYTES("b1"), BYTES("9"), 2 * LONG));
    assert_ok(kvds_del(f->store, BYTES("c")));

    static const int64_t times[] = { -1, LONG, -1 };
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        assert_ok(i == 0 ? kvds_cursor_first(before) : kvds_cursor_next(before));
        assert_ok(i == 0 ? kvds_cursor_first(after) : kvds_cursor_next(after));
        assert_entry_expires(before, -1);
        assert_entry_expires(after, times[i]);
    }
    assert_ok(kvds_cursor_last(scoped));
    assert_entry_expires(scoped, LONG);

    /* A cursor continues after its store is closed. */
    assert_ok(kvds_close(f->store));
    assert_entry_expires(scoped, LONG);
    assert_ok(kvds_cursor_prev(after));
    assert_entry_expires(after, LONG);
    kvds_cursor_free(before);
    kvds_cursor_free(after);
    kvds_cursor_free(scoped);
    kvds_store_release(scope);
}

/* Each function on views: by their rights, and without the prefix of a scope. */
static void times_work_through_views(void **state)
{
    struct fixture *f = *state;
    kvds_store *scope = scope_of(f->store, BYTES("a")), *full = view_of(scope, BOTH);
    kvds_store *reader = view_of(f->store, READ), *writer = view_of(f->store, WRITE);
    kvds_batch *batch = kvds_batch_new();
    int64_t left = 99;
    set_pairs(f->store, "key=other");
    assert_ok(kvds_set_ttl(scope, BYTES("key"), BYTES("1"), LONG));
    assert_returns(KVDS_EXISTS, kvds_set_nx_ttl(full, BYTES("key"), BYTES("2"), LONG));
    assert_ok(kvds_set_nx_ttl(full, NULL, 0, BYTES("2"), LONG));
    assert_ok(kvds_batch_set_ttl(batch, BYTES("due"), BYTES("3"), SOON));
    assert_ok(kvds_batch_expire(batch, BYTES("key"), 2 * LONG));
    assert_ok(kvds_write(full, batch));
    assert_true(time_left(f->store, BYTES("akey")) > LONG);
    assert_true(time_left(scope, BYTES("key")) > LONG);
    assert_expires_in(LONG, f->store, "a");
    assert_never_expires(f->store, "key");
    await_expiry(scope, BYTES("due"));
    assert_pairs("a=2 akey=1 key=other", f->store);
    assert_pairs("=2 key=1", full);
    assert_ok(kvds_expire(full, BYTES("key"), 0));
    assert_never_expires(f->store, "akey");
    assert_returns(KVDS_NOT_FOUND, kvds_ttl(scope, BYTES("akey"), &left));

    assert_expires_in(LONG, reader, "a");
    assert_returns(KVDS_DENIED, kvds_set_ttl(reader, BYTES("a"), BYTES("3"), LONG));
    assert_returns(KVDS_DENIED, kvds_set_nx_ttl(reader, BYTES("new"), BYTES("3"), LONG));
    assert_returns(KVDS_DENIED, kvds_expire(reader, BYTES("a"), 0));
    assert_returns(KVDS_DENIED, kvds_write(reader, batch));
    assert_ok(kvds_set_ttl(writer, BYTES("b"), BYTES("3"), LONG));
    assert_ok(kvds_set_nx_ttl(writer, BYTES("c"), BYTES("3"), LONG));
    assert_ok(kvds_expire(writer, BYTES("b"), 2 * LONG));
    assert_returns(KVDS_NOT_FOUND, kvds_expire(writer, BYTES("absent"), LONG));
    assert_returns(KVDS_DENIED, kvds_ttl(writer, BYTES("b"), &left));
    assert_true(time_left(f->store, BYTES("b")) > LONG);
    kvds_batch_free(batch);

    kvds_store *const views[] = { scope, full, reader, writer };
    assert_ok(kvds_close(f->store));
    for (size_t i = 0; i < COUNT_OF(views); i++) {
        assert_returns(KVDS_CLOSED, kvds_set_ttl(views[i], BYTES("key"), BYTES("1"), LONG));
        assert_returns(KVDS_CLOSED, kvds_set_nx_ttl(views[i], BYTES("key"), BYTES("1"), LONG));
        assert_returns(KVDS_CLOSED, kvds_expire(views[i], BYTES("key"), LONG));
        assert_returns(KVDS_CLOSED, kvds_ttl(views[i], BYTES("key"), &left));
        kvds_store_release(views[i]);
    }
}

static void invalid_times_are_errors(void **state)
{
    static const uint64_t too_long[] = { (uint64_t)KVDS_MAX_TTL_MS + 1, INT64_MAX,
                                         (uint64_t)INT64_MAX + 1, UINT64_MAX };
    struct fixture *f = *state;
    kvds_store *s = f->store;
    kvds_batch *batch = kvds_batch_new();
    set_pairs(s, "key=value");
    assert_invalid(kvds_set_ttl(s, BYTES("a"), BYTES("1"), 0));
    assert_error_says("kvds_set_ttl");
    assert_error_says("ttl_ms");
    assert_invalid(kvds_set_nx_ttl(s, BYTES("a"), BYTES("1"), 0));
    assert_error_says("kvds_set_nx_ttl");
    assert_error_says("ttl_ms");
    assert_invalid(kvds_batch_set_ttl(batch, BYTES("a"), BYTES("1"), 0));
    assert_error_says("kvds_batch_set_ttl");
    assert_error_says("ttl_ms");
    for (size_t i = 0; i < COUNT_OF(too_long); i++) {
        const uint64_t ttl = too_long[i];
        const struct text number = text_of("%" PRIu64, ttl);
        assert_invalid(kvds_set_ttl(s, BYTES("a"), BYTES("1"), ttl));
        assert_error_says("3155760000000");
        assert_error_says(number.data);
        assert_invalid(kvds_set_nx_ttl(s, BYTES("a"), BYTES("1"), ttl));
        assert_error_says("3155760000000");
        assert_invalid(kvds_expire(s, BYTES("key"), ttl));
        assert_error_says("kvds_expire");
        assert_error_says("3155760000000");
        assert_invalid(kvds_batch_set_ttl(batch, BYTES("a"), BYTES("1"), ttl));
        assert_error_says("3155760000000");
        assert_invalid(kvds_batch_expire(batch, BYTES("key"), ttl));
        assert_error_says("kvds_batch_expire");
        assert_error_says("3155760000000");
    }
    assert_int_equal(kvds_batch_count(batch), 0);
    assert_pairs("key=value", s);
    assert_never_expires(s, "key");

    assert_ok(kvds_batch_set_ttl(batch, BYTES("key"), BYTES("value"), KVDS_MAX_TTL_MS));
    assert_ok(kvds_batch_expire(batch, BYTES("key"), KVDS_MAX_TTL_MS));
    assert_ok(kvds_write(s, batch));
    assert_ok(kvds_set_ttl(s, BYTES("key"), BYTES("value"), KVDS_MAX_TTL_MS));
    assert_ok(kvds_expire(s, BYTES("key"), KVDS_MAX_TTL_MS));
    assert_true(time_left(s, BYTES("key")) > KVDS_MAX_TTL_MS - PATIENCE * 1000);
    kvds_batch_free(batch);
}

static void other_invalid_arguments_are_errors(void **state)
{
    static const char zeros[KVDS_MAX_KEY_LEN + 1];
    static const size_t too_long = (size_t)KVDS_MAX_VALUE_LEN + 1;
    struct fixture *f = *state;
    kvds_store *s = f->store;
    kvds_batch *batch = kvds_batch_new();
    int64_t left;
    set_pairs(s, "key=value");
    assert_invalid(kvds_set_ttl(NULL, BYTES("key"), BYTES("1"), LONG));
    assert_error_says("kvds_store");
    assert_invalid(kvds_set_ttl(s, NULL, 1, BYTES("1"), LONG));
    assert_error_says("key");
    assert_invalid(kvds_set_ttl(s, BYTES("key"), NULL, 1, LONG));
    assert_error_says("value");
    assert_invalid(kvds_set_ttl(s, zeros, sizeof zeros, BYTES("1"), LONG));
    assert_error_says("65536");
    assert_invalid(kvds_set_ttl(s, BYTES("key"), zeros, too_long, LONG));
    assert_error_says("1073741824");
    assert_invalid(kvds_set_nx_ttl(NULL, BYTES("key"), BYTES("1"), LONG));
    assert_invalid(kvds_set_nx_ttl(s, NULL, 1, BYTES("1"), LONG));
    assert_invalid(kvds_set_nx_ttl(s, BYTES("new"), NULL, 1, LONG));
    assert_invalid(kvds_set_nx_ttl(s, zeros, sizeof zeros, BYTES("1"), LONG));
    assert_invalid(kvds_set_nx_ttl(s, BYTES("new"), zeros, too_long, LONG));
    assert_invalid(kvds_expire(NULL, BYTES("key"), LONG));
    assert_invalid(kvds_expire(s, NULL, 1, LONG));
    assert_invalid(kvds_expire(s, zeros, sizeof zeros, LONG));
    assert_invalid(kvds_batch_set_ttl(NULL, BYTES("key"), BYTES("1"), LONG));
    assert_error_says("kvds_batch");
    assert_invalid(kvds_batch_set_ttl(batch, NULL, 1, BYTES("1"), LONG));
    assert_invalid(kvds_batch_set_ttl(batch, BYTES("key"), NULL, 1, LONG));
    assert_invalid(kvds_batch_set_ttl(batch, zeros, sizeof zeros, BYTES("1"), LONG));
    assert_invalid(kvds_batch_set_ttl(batch, BYTES("key"), zeros, too_long, LONG));
    assert_invalid(kvds_batch_expire(NULL, BYTES("key"), LONG));
    assert_error_says("kvds_batch");
    assert_invalid(kvds_batch_expire(batch, NULL, 1, LONG));
    assert_invalid(kvds_batch_expire(batch, zeros, sizeof zeros, LONG));
    assert_int_equal(kvds_batch_count(batch), 0);
    assert_invalid(kvds_ttl(s, BYTES("key"), NULL));
    assert_error_says("left_ms");
    assert_invalid(kvds_ttl(NULL, BYTES("key"), &left));
    assert_invalid(kvds_ttl(s, NULL, 1, &left));
    assert_invalid(kvds_ttl(s, zeros, sizeof zeros, &left));
    assert_error_says("65536");
    assert_pairs("key=value", s);
    assert_never_expires(s, "key");
    kvds_batch_free(batch);
}

/* Like every output, the time is 0 unless the call succeeds. */
static void a_time_that_is_not_found_is_0(void **state)
{
    struct fixture *f = *state;
    int64_t left = 99;
    assert_returns(KVDS_NOT_FOUND, kvds_ttl(f->store, BYTES("absent"), &left));
    assert_int_equal(left, 0);
    left = 99;
    assert_invalid(kvds_ttl(f->store, NULL, 1, &left));
    assert_int_equal(left, 0);
    left = 99;
    assert_invalid(kvds_ttl(NULL, BYTES("key"), &left));
    assert_int_equal(left, 0);
}

struct in_callback {
    kvds_store *store;
    kvds_batch *batch;
    size_t calls;
};

static int call_everything(void *user_data, const void *key, size_t key_len, const void *value,
                           size_t value_len)
{
    struct in_callback *in = user_data;
    kvds_store *s = in->store;
    (void)value, (void)value_len;
    must_ok(kvds_set_ttl(s, BYTES("set"), key, key_len, LONG));
    must(time_left(s, BYTES("set")) > 0);
    must_return(in->calls ? KVDS_EXISTS : KVDS_OK,
                kvds_set_nx_ttl(s, BYTES("new"), key, key_len, LONG));
    must_ok(kvds_expire(s, key, key_len, SOON));
    must_ok(kvds_expire(s, BYTES("set"), 0));
    must_ok(kvds_batch_set_ttl(in->batch, BYTES("batch"), key, key_len, LONG));
    must_ok(kvds_batch_expire(in->batch, BYTES("new"), LONG));
    must_ok(kvds_write(s, in->batch));
    /* The iteration does not keep the key that it shows from being deleted. */
    await_expiry(s, key, key_len);
    in->calls++;
    return 1;
}

static void everything_works_inside_a_callback(void **state)
{
    struct fixture *f = *state;
    struct in_callback in = { f->store, kvds_batch_new(), 0 };
    set_pairs(f->store, "a=1 b=2");
    assert_ok(kvds_iterate(f->store, NULL, 0, call_everything, &in));
    assert_int_equal(in.calls, 2);
    assert_pairs("batch=b new=a set=b", f->store);
    kvds_batch_free(in.batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_key_expires),
        ON_BOTH(a_key_lives_for_its_time),
        ON_BOTH(times_are_reported),
        ON_BOTH(the_time_left_is_never_more_than_what_was_set),
        ON_BOTH(a_time_is_ended),
        ON_BOTH(a_batch_sets_times),
        ON_BOTH(only_the_owner_renews_a_lock),
        ON_BOTH(a_snapshot_keeps_an_expired_key),
        ON_BOTH(a_snapshot_keeps_times),
        ON_BOTH(a_cursor_reports_times),
        ON_BOTH(times_work_through_views),
        ON_BOTH(invalid_times_are_errors),
        ON_BOTH(other_invalid_arguments_are_errors),
        ON_BOTH(a_time_that_is_not_found_is_0),
        ON_BOTH(everything_works_inside_a_callback),
    };
    return RUN("expiry", tests);
}
