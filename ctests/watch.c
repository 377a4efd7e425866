/* Watches: what they return, in which order, and how they end, in memory and on disk. */

#include "check.h"
#include "pairs.h"
#include "views.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <time.h>

enum {
    FOREVER = -1,
    /* A time that is not over during any test. */
    LONG = 3600 * 1000,
};

static kvds_watch *watch_of(const kvds_store *store, const kvds_range *range)
{
    kvds_watch *watch;
    must_ok(kvds_watch_new(store, range, &watch));
    return watch;
}

static kvds_watch *watch_from(const kvds_store *store, uint64_t sequence)
{
    kvds_watch *watch;
    must_ok(kvds_watch_from(store, NULL, sequence, &watch));
    return watch;
}

/*
 * Changes as text: "+a=1" is set, "-a" is deleted, "-a..b" is a range, and "-a.." a range without
 * an end. A "|" follows the last change of each write.
 */
static void append_change(struct pairs *changes, const kvds_change *change)
{
    static const char *const signs[] = { "+", "-", "-" };
    must(change->kind >= KVDS_CHANGE_SET && change->kind <= KVDS_CHANGE_DELETE_RANGE);
    must(change->key != NULL);
    must(change->last == 0 || change->last == 1);
    must(changes->len + 8 < sizeof changes->text);
    changes->len += (size_t)sprintf(changes->text + changes->len, "%s", signs[change->kind]);
    append_bytes(changes, change->key, change->key_len);
    if (change->kind == KVDS_CHANGE_SET)
        changes->len += (size_t)sprintf(changes->text + changes->len, "=");
    if (change->kind == KVDS_CHANGE_DELETE_RANGE)
        changes->len += (size_t)sprintf(changes->text + changes->len, "..");
    if (change->kind == KVDS_CHANGE_DELETE)
        must(change->value_len == 0);
    append_bytes(changes, change->value, change->value_len);
    changes->len += (size_t)sprintf(changes->text + changes->len, change->last ? "|" : " ");
}

/*
 * Takes all changes that there are, and checks their numbers. The number of the last write is put
 * into `sequence`.
 */
static struct pairs changes_with_number(kvds_watch *watch, uint64_t *sequence)
{
    struct pairs changes = { .len = 0 };
    kvds_change change;
    kvds_status status;
    uint64_t number = 0;
    bool is_first = true;
    while ((status = kvds_watch_next(watch, 0, &change)) == KVDS_OK) {
        must(is_first ? change.sequence > number : change.sequence == number);
        number = change.sequence;
        is_first = change.last == 1;
        append_change(&changes, &change);
    }
    must_return(KVDS_NOT_FOUND, status);
    must(is_first);
    if (sequence)
        *sequence = number;
    return changes;
}

#define assert_changes(expected, watch) \
    assert_string_equal(changes_with_number(watch, NULL).text, expected)

/* Waits for one change. */
static struct pairs await_change(kvds_watch *watch)
{
    struct pairs changes = { .len = 0 };
    kvds_change change;
    must_ok(kvds_watch_next(watch, FOREVER, &change));
    append_change(&changes, &change);
    return changes;
}

/*
 * Sets keys to a value so large that a disk store deletes their prefixes as ranges, and not key by
 * key.
 */
static void set_large(kvds_store *store, const char *keys)
{
    static const char large[(1 << 20) + 1];
    while (*keys) {
        struct text key, value;
        read_pair(&keys, &key, &value);
        must_ok(kvds_set(store, key.data, key.len, large, sizeof large));
    }
}

static void every_write_is_returned_once_and_in_order(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "before=1");
    set_large(f->store, "tZ %FFZ Z");
    kvds_watch *watch = watch_of(f->store, NULL);
    assert_changes("", watch);

    int64_t sum;
    const kvds_pair pairs[] = { { BYTES("b"), BYTES("1") },
                                { BYTES("c"), BYTES("2") },
                                { BYTES("b"), BYTES("3") } };
    const kvds_bytes keys[] = { { BYTES("b") }, { BYTES("c") } };
    assert_ok(kvds_set(f->store, BYTES("a"), BYTES("1")));
    assert_ok(kvds_set(f->store, BYTES("a"), BYTES("1")));
    assert_ok(kvds_set(f->store, NULL, 0, NULL, 0));
    assert_ok(kvds_set_nx(f->store, BYTES("n"), BYTES("\0")));
    assert_ok(kvds_compare_and_swap(f->store, BYTES("a"), BYTES("1"), BYTES("2")));
    assert_ok(kvds_add(f->store, BYTES("a"), 40, &sum));
    assert_ok(kvds_del(f->store, BYTES("n")));
    assert_ok(kvds_compare_and_delete(f->store, BYTES("before"), BYTES("1")));
    assert_changes("+a=1|+a=1|+=|+n=%00|+a=2|+a=42|-n|-before|", watch);

    assert_ok(kvds_set_batch(f->store, pairs, COUNT_OF(pairs)));
    assert_ok(kvds_delete_batch(f->store, keys, COUNT_OF(keys)));
    const struct pairs batches = changes_with_number(watch, NULL);
    assert_true(strcmp(batches.text, "+b=1 +c=2 +b=3|-b -c|") == 0 ||
                strcmp(batches.text, "+c=2 +b=3|-b -c|") == 0);

    assert_ok(kvds_set_ttl(f->store, BYTES("t"), BYTES("1"), LONG));
    assert_ok(kvds_set_nx_ttl(f->store, BYTES("u"), BYTES("2"), LONG));
    assert_ok(kvds_expire(f->store, BYTES("t"), 0));
    assert_ok(kvds_expire(f->store, BYTES("u"), LONG));
    assert_changes("+t=1|+u=2|+t=1|+u=2|", watch);

    assert_ok(kvds_delete_prefix(f->store, BYTES("t")));
    assert_ok(kvds_delete_prefix(f->store, BYTES("\xFF")));
    assert_ok(kvds_delete_prefix(f->store, NULL, 0));
    assert_changes("-t..u|-%FF..|-..|", watch);
    assert_changes("", watch);
    kvds_watch_free(watch);
}

static void writes_that_change_nothing_are_not_returned(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "a=1");
    kvds_store *reader = view_of(f->store, READ);
    kvds_batch *batch = kvds_batch_new();
    kvds_watch *watch = watch_of(f->store, NULL);
    assert_returns(KVDS_NOT_FOUND, kvds_del(f->store, BYTES("b")));
    assert_returns(KVDS_EXISTS, kvds_set_nx(f->store, BYTES("a"), BYTES("2")));
    assert_returns(KVDS_EXISTS, kvds_set_nx_ttl(f->store, BYTES("a"), BYTES("2"), LONG));
    assert_returns(KVDS_NOT_FOUND, kvds_expire(f->store, BYTES("b"), LONG));
    assert_returns(KVDS_MISMATCH,
                   kvds_compare_and_swap(f->store, BYTES("a"), BYTES("2"), BYTES("3")));
    assert_returns(KVDS_MISMATCH, kvds_compare_and_delete(f->store, BYTES("a"), BYTES("2")));
    assert_returns(KVDS_DENIED, kvds_set(reader, BYTES("a"), BYTES("2")));
    assert_invalid(kvds_set(f->store, NULL, 1, BYTES("2")));
    assert_ok(kvds_set_batch(f->store, NULL, 0));
    assert_ok(kvds_delete_batch(f->store, NULL, 0));
    assert_ok(kvds_write(f->store, batch));
    assert_ok(kvds_batch_expire(batch, BYTES("b"), LONG));
    assert_ok(kvds_write(f->store, batch));
    assert_ok(kvds_batch_set(batch, BYTES("c"), BYTES("1")));
    assert_ok(kvds_batch_expect_absent(batch, BYTES("a")));
    assert_returns(KVDS_MISMATCH, kvds_write(f->store, batch));
    assert_changes("", watch);
    kvds_batch_free(batch);
    kvds_store_release(reader);
    kvds_watch_free(watch);
}

/* A batch is returned as a whole, and leaves what a copy has to have. */
static void a_batch_is_returned_as_a_whole(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "a=1 b=1 d=1");
    kvds_watch *watch = watch_of(f->store, NULL);
    static const kvds_range only_b = { BYTES("b"), NULL, 0, NULL, 0 };
    kvds_watch *part = watch_of(f->store, &only_b);
    kvds_batch *batch = kvds_batch_new();
    assert_ok(kvds_batch_set(batch, BYTES("a"), BYTES("2")));
    assert_ok(kvds_batch_set_ttl(batch, BYTES("b"), BYTES("2"), LONG));
    assert_ok(kvds_batch_expire(batch, BYTES("absent"), LONG));
    assert_ok(kvds_batch_del(batch, BYTES("d")));
    assert_ok(kvds_write(f->store, batch));
    assert_changes("+a=2 +b=2 -d|", watch);
    assert_changes("+b=2|", part);

    /* An operation that changes a time returns the value that the batch gives the key before. */
    kvds_batch_clear(batch);
    assert_ok(kvds_batch_set(batch, BYTES("a"), BYTES("3")));
    assert_ok(kvds_batch_expire(batch, BYTES("a"), LONG));
    assert_ok(kvds_write(f->store, batch));
    assert_changes("+a=3 +a=3|", watch);
    kvds_batch_clear(batch);
    assert_ok(kvds_batch_del(batch, BYTES("a")));
    assert_ok(kvds_batch_expire(batch, BYTES("a"), LONG));
    assert_ok(kvds_write(f->store, batch));
    assert_changes("-a|", watch);

    /* The changes of a batch that are outside of the range do not count for `last`. */
    kvds_batch_clear(batch);
    assert_ok(kvds_batch_set(batch, BYTES("b1"), BYTES("1")));
    assert_ok(kvds_batch_set(batch, BYTES("c"), BYTES("1")));
    assert_ok(kvds_batch_set(batch, BYTES("b2"), BYTES("1")));
    assert_ok(kvds_batch_set(batch, BYTES("e"), BYTES("1")));
    assert_ok(kvds_write(f->store, batch));
    assert_changes("+b1=1 +b2=1|", part);
    assert_changes("+b1=1 +c=1 +b2=1 +e=1|", watch);
    kvds_batch_free(batch);
    kvds_watch_free(watch);
    kvds_watch_free(part);
}

static void a_watch_returns_its_range(void **state)
{
    static const struct {
        kvds_range range;
        const char *changes;
    } cases[] = {
        { { NULL, 0, NULL, 0, NULL, 0 }, "+=0|+a=1|+ab=2|+b=3|+%FF=4|-ab|-a..b|-%FF..|-..|" },
        { { BYTES("a"), NULL, 0, NULL, 0 }, "+a=1|+ab=2|-ab|-a..b|-a..b|" },
        { { BYTES("ab"), NULL, 0, NULL, 0 }, "+ab=2|-ab|-ab..ac|-ab..ac|" },
        { { BYTES("\xFF"), NULL, 0, NULL, 0 }, "+%FF=4|-%FF..|-%FF..|" },
        { { NULL, 0, BYTES("ab"), NULL, 0 }, "+ab=2|+b=3|+%FF=4|-ab|-ab..b|-%FF..|-ab..|" },
        { { NULL, 0, NULL, 0, BYTES("ab") }, "+=0|+a=1|-a..ab|-..ab|" },
        { { NULL, 0, BYTES("ab"), BYTES("b") }, "+ab=2|-ab|-ab..b|-ab..b|" },
        { { NULL, 0, BYTES("aa"), BYTES("c") }, "+ab=2|+b=3|-ab|-aa..b|-aa..c|" },
        { { NULL, 0, BYTES("b"), BYTES("c") }, "+b=3|-b..c|" },
        { { BYTES("a"), BYTES("ab"), NULL, 0 }, "+ab=2|-ab|-ab..b|-ab..b|" },
        { { NULL, 0, NULL, 0, BYTES("\0") }, "+=0|-..%00|" },
    };
    struct fixture *f = *state;
    kvds_watch *watches[COUNT_OF(cases)];
    set_large(f->store, "aZ %FFZ Z");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        /* The range is copied. */
        kvds_range range = cases[i].range;
        watches[i] = watch_of(f->store, &range);
        memset(&range, 0xAA, sizeof range);
    }
    set_pairs(f->store, "=0 a=1 ab=2 b=3 %FF=4");
    assert_ok(kvds_del(f->store, BYTES("ab")));
    assert_ok(kvds_delete_prefix(f->store, BYTES("a")));
    assert_ok(kvds_delete_prefix(f->store, BYTES("\xFF")));
    assert_ok(kvds_delete_prefix(f->store, NULL, 0));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_changes(cases[i].changes, watches[i]);
        kvds_watch_free(watches[i]);
    }
}

/* A range without keys has no changes, not even deleted ranges. */
static void an_empty_range_has_no_changes(void **state)
{
    static const kvds_range ranges[] = {
        { NULL, 0, BYTES("b"), BYTES("b") },
        { NULL, 0, BYTES("c"), BYTES("a") },
        { BYTES("a"), BYTES("b"), NULL, 0 },
        { BYTES("b"), NULL, 0, BYTES("a") },
    };
    struct fixture *f = *state;
    kvds_watch *watches[COUNT_OF(ranges)];
    for (size_t i = 0; i < COUNT_OF(ranges); i++)
        watches[i] = watch_of(f->store, &ranges[i]);
    set_pairs(f->store, "a=1 b=2 c=3");
    assert_ok(kvds_del(f->store, BYTES("b")));
    assert_ok(kvds_delete_prefix(f->store, BYTES("b")));
    assert_ok(kvds_delete_prefix(f->store, NULL, 0));
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        assert_changes("", watches[i]);
        kvds_watch_free(watches[i]);
    }
}

static void an_expired_key_is_returned_as_deleted(void **state)
{
    struct fixture *f = *state;
    kvds_watch *watch = watch_of(f->store, NULL);
    assert_ok(kvds_set_ttl(f->store, BYTES("a"), BYTES("1"), 1));
    assert_string_equal(await_change(watch).text, "+a=1|");
    assert_string_equal(await_change(watch).text, "-a|");
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("a")));

    /* A deletion that is hidden by a deleted range is returned once. */
    kvds_watch_free(watch);
    set_large(f->store, "aZ");
    watch = watch_of(f->store, NULL);
    assert_ok(kvds_set_ttl(f->store, BYTES("a"), BYTES("1"), 1));
    assert_ok(kvds_delete_prefix(f->store, BYTES("a")));
    assert_ok(kvds_set_ttl(f->store, BYTES("b"), BYTES("2"), 1));
    struct pairs changes = { .len = 0 };
    kvds_change change;
    do {
        assert_ok(kvds_watch_next(watch, FOREVER, &change));
        append_change(&changes, &change);
    } while (change.kind != KVDS_CHANGE_DELETE || memcmp(change.key, "b", 1) != 0);
    /* It may expire before the range is deleted. */
    if (strcmp(changes.text, "+a=1|-a|-a..b|+b=2|-b|") != 0)
        assert_string_equal(changes.text, "+a=1|-a..b|+b=2|-b|");
    kvds_watch_free(watch);
}

/* Not even if the range has few keys or none. */
/* Disk stores list what a prefix of few keys deletes. */
static void a_deleted_prefix_is_a_range_or_its_keys(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "a=1 ab=2 b=3");
    kvds_watch *watch = watch_of(f->store, NULL);
    assert_ok(kvds_delete_prefix(f->store, BYTES("a")));
    assert_ok(kvds_delete_prefix(f->store, BYTES("c")));
    assert_changes(f->backend == KVDS_MEMORY ? "-a..b|-c..d|" : "-a -ab|", watch);
    kvds_watch_free(watch);
}

/* The first changes are missed. The watch says so once and continues. */
static void a_watch_that_missed_changes_continues(void **state)
{
    enum { BUFFER = 4096 };
    static char value[1000], big[2 * BUFFER];
    struct fixture *f = *state;
    kvds_change change;
    release_store(f);
    release_distributor(f);
    f->distributor = distributor_with(f->base, "watch_buffer_bytes", "4096");
    f->store = open_again(f);
    kvds_watch *watch = watch_of(f->store, NULL), *second = watch_of(f->store, NULL);
    for (size_t i = 0; i < 20; i++) {
        const struct text key = text_of("%02zu", i);
        assert_ok(kvds_set(f->store, key.data, key.len, value, sizeof value));
        if (i < 2)
            assert_ok(kvds_watch_next(second, 0, &change));
    }
    for (int times = 0; times < 2; times++) {
        change.key = &change;
        assert_returns(KVDS_EXPIRED, kvds_watch_next(times ? second : watch, FOREVER, &change));
        assert_null(change.key);
        assert_error_says("kvds_watch_next");
    }
    assert_changes("", watch);
    assert_changes("", second);
    set_pairs(f->store, "a=1");
    assert_changes("+a=1|", watch);
    assert_changes("+a=1|", second);

    /* A write that is larger than the buffer. */
    assert_ok(kvds_set(f->store, BYTES("big"), big, sizeof big));
    set_pairs(f->store, "b=2");
    assert_returns(KVDS_EXPIRED, kvds_watch_next(watch, 0, &change));
    assert_changes("", watch);
    set_pairs(f->store, "c=3");
    assert_changes("+c=3|", watch);

    /* Changes outside of the range are not missed. */
    static const kvds_range range = { BYTES("r"), NULL, 0, NULL, 0 };
    kvds_watch *other = watch_of(f->store, &range);
    set_pairs(f->store, "r=0");
    assert_changes("+r=0|", other);
    for (size_t i = 0; i < 20; i++)
        assert_ok(kvds_set(f->store, BYTES("a"), value, sizeof value));
    set_pairs(f->store, "r=1");
    assert_changes("+r=1|", other);

    /* A batch that the watch has begun to return is returned to its end. */
    kvds_watch *slow = watch_of(f->store, NULL);
    kvds_batch *batch = kvds_batch_new();
    for (size_t i = 0; i < 3; i++) {
        const struct text key = text_of("%zu", i);
        assert_ok(kvds_batch_set(batch, key.data, key.len, value, 1));
    }
    assert_ok(kvds_write(f->store, batch));
    assert_ok(kvds_watch_next(slow, 0, &change));
    assert_int_equal(change.last, 0);
    for (size_t i = 0; i < 20; i++)
        assert_ok(kvds_set(f->store, BYTES("a"), value, sizeof value));
    assert_ok(kvds_watch_next(slow, 0, &change));
    assert_int_equal(change.last, 0);
    assert_ok(kvds_watch_next(slow, 0, &change));
    assert_int_equal(change.last, 1);
    assert_memory_equal(change.key, "2", 1);
    assert_returns(KVDS_EXPIRED, kvds_watch_next(slow, 0, &change));
    assert_changes("", slow);
    kvds_batch_free(batch);
    kvds_watch_free(watch);
    kvds_watch_free(second);
    kvds_watch_free(other);
    kvds_watch_free(slow);
}

static void a_watch_continues_after_an_earlier_one(void **state)
{
    struct fixture *f = *state;
    kvds_watch *first = watch_of(f->store, NULL), *refused;
    kvds_batch *batch = kvds_batch_new();
    uint64_t before, sequence;
    assert_ok(kvds_batch_set(batch, BYTES("b"), BYTES("2")));
    assert_ok(kvds_batch_del(batch, BYTES("a")));
    set_pairs(f->store, "a=1");
    assert_string_equal(changes_with_number(first, &before).text, "+a=1|");
    assert_ok(kvds_write(f->store, batch));
    assert_string_equal(changes_with_number(first, &sequence).text, "+b=2 -a|");

    /* Up to the latest change, and before. */
    kvds_watch *latest = watch_from(f->store, sequence), *earlier = watch_from(f->store, before);
    set_pairs(f->store, "c=3");
    assert_changes("+c=3|", latest);
    assert_changes("+b=2 -a|+c=3|", earlier);
    assert_changes("+c=3|", first);

    /* Another range, which is that of the new watch alone. */
    static const kvds_range range = { BYTES("b"), NULL, 0, NULL, 0 };
    kvds_watch *part;
    assert_ok(kvds_watch_from(f->store, &range, before, &part));
    set_pairs(f->store, "b=4 d=5");
    assert_changes("+b=2|+b=4|", part);

    /* A number that no write has had yet. */
    refused = first;
    assert_returns(KVDS_EXPIRED, kvds_watch_from(f->store, NULL, UINT64_MAX, &refused));
    assert_null(refused);
    assert_error_says("kvds_watch_from");
    assert_returns(KVDS_EXPIRED, kvds_watch_from(f->store, NULL, sequence + 1000, &refused));
    assert_returns(KVDS_EXPIRED, kvds_watch_from(f->store, NULL, 0, &refused));

    /* The new watch keeps the history. */
    kvds_watch_free(first);
    kvds_watch_free(latest);
    kvds_watch_free(part);
    first = watch_from(f->store, sequence);
    assert_changes("+c=3|+b=4|+d=5|", first);
    kvds_watch_free(first);
    kvds_watch_free(earlier);

    /* Without a watch there is no history. */
    refused = first;
    assert_returns(KVDS_EXPIRED, kvds_watch_from(f->store, NULL, sequence, &refused));
    assert_null(refused);
    set_pairs(f->store, "e=6");
    first = watch_of(f->store, NULL);
    assert_returns(KVDS_EXPIRED, kvds_watch_from(f->store, NULL, sequence, &refused));
    kvds_watch_free(first);

    /* Neither in the store that is opened next. */
    assert_int_equal(release_store(f), 0);
    f->store = open_again(f);
    first = watch_of(f->store, NULL);
    assert_returns(KVDS_EXPIRED, kvds_watch_from(f->store, NULL, sequence, &refused));
    uint64_t later;
    set_pairs(f->store, "f=7");
    assert_string_equal(changes_with_number(first, &later).text, "+f=7|");
    assert_true(later > sequence);
    kvds_watch_free(first);
    kvds_batch_free(batch);
}

static void a_history_beyond_the_buffer_is_gone(void **state)
{
    static char value[1000];
    struct fixture *f = *state;
    release_store(f);
    release_distributor(f);
    f->distributor = distributor_with(f->base, "watch_buffer_bytes", "4K");
    f->store = open_again(f);
    kvds_watch *watch = watch_of(f->store, NULL), *refused;
    kvds_change first, change;
    set_pairs(f->store, "a=1");
    assert_ok(kvds_watch_next(watch, 0, &first));
    for (size_t i = 0; i < 20; i++) {
        assert_ok(kvds_set(f->store, BYTES("b"), value, sizeof value));
        assert_ok(kvds_watch_next(watch, 0, &change));
    }
    assert_returns(KVDS_EXPIRED, kvds_watch_from(f->store, NULL, first.sequence, &refused));
    assert_null(refused);
    kvds_watch *again = watch_from(f->store, change.sequence);
    set_pairs(f->store, "c=1");
    assert_changes("+c=1|", again);
    kvds_watch_free(watch);
    kvds_watch_free(again);
}

/* Whether a descriptor is readable within a time in milliseconds; -1 for no limit. */
static bool is_readable(int descriptor, int timeout)
{
    struct pollfd polled = { .fd = descriptor, .events = POLLIN };
    int ready;
    while ((ready = poll(&polled, 1, timeout)) < 0)
        must(errno == EINTR);
    must(ready == 0 || polled.revents == POLLIN);
    return ready == 1;
}

static void *set_later(void *store)
{
    const struct timespec time = { 0, 50 * 1000 * 1000 };
    nanosleep(&time, NULL);
    must_ok(kvds_set(store, BYTES("later"), BYTES("1")));
    return NULL;
}

static void a_descriptor_is_readable_while_there_is_a_change(void **state)
{
    static const kvds_range range = { BYTES("r"), NULL, 0, NULL, 0 };
    struct fixture *f = *state;
    kvds_watch *watch = watch_of(f->store, NULL), *part = watch_of(f->store, &range);
    const int all = kvds_watch_fd(watch), ranged = kvds_watch_fd(part);
    assert_true(all > 2 && ranged > 2 && all != ranged);
    assert_int_equal(kvds_watch_fd(watch), all);
    assert_false(is_readable(all, 0));

    kvds_batch *batch = kvds_batch_new();
    assert_ok(kvds_batch_set(batch, BYTES("a"), BYTES("1")));
    assert_ok(kvds_batch_set(batch, BYTES("b"), BYTES("2")));
    kvds_change change;
    for (int times = 0; times < 3; times++) {
        assert_ok(kvds_write(f->store, batch));
        assert_ok(kvds_del(f->store, BYTES("a")));
        for (int i = 0; i < 3; i++) {
            assert_true(is_readable(all, 0));
            assert_ok(kvds_watch_next(watch, 0, &change));
        }
        assert_returns(KVDS_NOT_FOUND, kvds_watch_next(watch, 0, &change));
        assert_false(is_readable(all, 0));
        assert_false(is_readable(ranged, 0));
        assert_changes("", part);
    }
    set_pairs(f->store, "r=1");
    assert_true(is_readable(ranged, 0));
    assert_changes("+r=1|", part);
    assert_false(is_readable(ranged, 0));
    assert_changes("+r=1|", watch);

    /* One more millisecond than none also ends with an empty descriptor. */
    set_pairs(f->store, "a=1");
    assert_ok(kvds_watch_next(watch, FOREVER, &change));
    assert_returns(KVDS_NOT_FOUND, kvds_watch_next(watch, 1, &change));
    assert_false(is_readable(all, 0));

    /* poll() waits for a write of another thread. */
    pthread_t writer = start(set_later, f->store);
    assert_true(is_readable(all, -1));
    assert_changes("+later=1|", watch);
    join(writer);

    /* A descriptor that is asked for when there are changes already, also inside of a batch. */
    kvds_watch *late = watch_of(f->store, NULL);
    set_pairs(f->store, "a=1");
    assert_true(is_readable(kvds_watch_fd(late), 0));
    assert_changes("+a=1|", late);
    assert_false(is_readable(kvds_watch_fd(late), 0));
    kvds_watch_free(late);
    late = watch_of(f->store, NULL);
    assert_ok(kvds_write(f->store, batch));
    assert_ok(kvds_watch_next(late, 0, &change));
    assert_true(is_readable(kvds_watch_fd(late), 0));
    assert_changes("+b=2|", late);
    assert_false(is_readable(kvds_watch_fd(late), 0));
    kvds_watch_free(late);
    kvds_batch_free(batch);

    /* The end of the store is a change. */
    assert_true(is_readable(all, 0));
    assert_changes("+a=1|+a=1 +b=2|", watch);
    assert_false(is_readable(all, 0));
    assert_ok(kvds_close(f->store));
    assert_true(is_readable(all, 0));
    assert_returns(KVDS_CLOSED, kvds_watch_next(watch, 0, &change));
    assert_true(is_readable(all, 0));
    kvds_watch_free(watch);
    kvds_watch_free(part);
}

/* A watch that has missed changes is ready too, or an event loop would wait forever. */
static void a_descriptor_is_readable_after_missed_changes(void **state)
{
    static char value[1000];
    struct fixture *f = *state;
    kvds_change change;
    release_store(f);
    release_distributor(f);
    f->distributor = distributor_with(f->base, "watch_buffer_bytes", "4096");
    f->store = open_again(f);
    kvds_watch *watch = watch_of(f->store, NULL);
    const int descriptor = kvds_watch_fd(watch);
    for (size_t i = 0; i < 20; i++)
        assert_ok(kvds_set(f->store, BYTES("a"), value, sizeof value));
    assert_true(is_readable(descriptor, 0));
    assert_returns(KVDS_EXPIRED, kvds_watch_next(watch, 0, &change));
    assert_returns(KVDS_NOT_FOUND, kvds_watch_next(watch, 0, &change));
    assert_false(is_readable(descriptor, 0));
    set_pairs(f->store, "a=1");
    assert_true(is_readable(descriptor, 0));
    assert_changes("+a=1|", watch);
    kvds_watch_free(watch);
}

/*
 * The descriptor is none of the standard streams, is closed by exec(), and is not needed for
 * anything else.
 */
static void a_descriptor_disturbs_no_program(void **state)
{
    struct fixture *f = *state;
    kvds_watch *watch = watch_of(f->store, NULL), *without = watch_of(f->store, NULL);
    const int input = dup(STDIN_FILENO);
    close(STDIN_FILENO);
    const int descriptor = kvds_watch_fd(watch);
    if (input >= 0)
        must(dup2(input, STDIN_FILENO) == STDIN_FILENO && close(input) == 0);
    assert_true(descriptor > STDERR_FILENO);
    assert_int_equal(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);

    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = { 0, limit.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    const int refused = kvds_watch_fd(without);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(refused, -1);
    assert_error_says("kvds_watch_fd");
    set_pairs(f->store, "a=1");
    assert_changes("+a=1|", without);
    assert_true(kvds_watch_fd(without) > STDERR_FILENO);
    kvds_watch_free(watch);
    kvds_watch_free(without);
    assert_int_equal(fcntl(descriptor, F_GETFD), -1);
}

static double seconds(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void a_watch_waits_for_its_timeout(void **state)
{
    struct fixture *f = *state;
    kvds_watch *watch = watch_of(f->store, NULL);
    kvds_change change = { 99, 99, 99, &change, 99, &change, 99 };
    const double begin = seconds();
    assert_returns(KVDS_NOT_FOUND, kvds_watch_next(watch, 200, &change));
    assert_true(seconds() - begin >= 0.2);
    assert_true(change.key == NULL && change.key_len == 0 && change.value == NULL &&
                change.value_len == 0 && change.sequence == 0 && change.last == 0);

    /* A write of another thread ends the wait, also one that would never end. */
    static const int64_t timeouts[] = { LONG, FOREVER, INT64_MAX, INT64_MAX / 1000, UINT32_MAX };
    for (size_t i = 0; i < COUNT_OF(timeouts); i++) {
        pthread_t writer = start(set_later, f->store);
        assert_ok(kvds_watch_next(watch, timeouts[i], &change));
        assert_memory_equal(change.key, "later", 5);
        join(writer);
        assert_changes("", watch);
    }
    kvds_watch_free(watch);
}

/* A thread that waits, and is released by the end of the store. */
struct waiter {
    kvds_watch *watch;
    sem_t starts;
    kvds_status status;
};

static void *wait_for_the_end(void *argument)
{
    struct waiter *waiter = argument;
    kvds_change change;
    post(&waiter->starts);
    while ((waiter->status = kvds_watch_next(waiter->watch, FOREVER, &change)) == KVDS_OK)
        continue;
    must_return(KVDS_CLOSED, kvds_watch_next(waiter->watch, FOREVER, &change));
    must(change.key == NULL);
    return NULL;
}

static void end_of_a_store(struct fixture *f, void (*end)(struct fixture *))
{
    struct waiter waiters[3];
    pthread_t threads[COUNT_OF(waiters)];
    kvds_change change;
    kvds_watch *idle = watch_of(f->store, NULL);
    for (size_t i = 0; i < COUNT_OF(waiters); i++) {
        waiters[i].watch = watch_of(f->store, NULL);
        make_semaphore(&waiters[i].starts);
        threads[i] = start(wait_for_the_end, &waiters[i]);
        await(&waiters[i].starts);
    }
    set_pairs(f->store, "a=1");
    end(f);
    for (size_t i = 0; i < COUNT_OF(waiters); i++) {
        join(threads[i]);
        assert_returns(KVDS_CLOSED, waiters[i].status);
        sem_destroy(&waiters[i].starts);
    }
    kvds_status status;
    while ((status = kvds_watch_next(idle, 0, &change)) == KVDS_OK)
        continue;
    assert_returns(KVDS_CLOSED, status);
    assert_error_says("closed");

    /* A store of the same name is another one. */
    release_store(f);
    f->store = open_again(f);
    set_pairs(f->store, "b=2");
    for (size_t i = 0; i < COUNT_OF(waiters); i++) {
        assert_returns(KVDS_CLOSED, kvds_watch_next(waiters[i].watch, 0, &change));
        kvds_watch_free(waiters[i].watch);
    }
    assert_returns(KVDS_CLOSED, kvds_watch_next(idle, 0, &change));
    kvds_watch_free(idle);
}

static void by_close(struct fixture *f) { assert_ok(kvds_close(f->store)); }

static void by_release(struct fixture *f) { assert_int_equal(release_store(f), 0); }

static void by_shutdown(struct fixture *f)
{
    assert_ok(kvds_distributor_shutdown(f->distributor));
    release_store(f);
    release_distributor(f);
    f->distributor = kvds_distributor_new(f->base);
}

static int close_inside(void *user_data, const void *key, size_t key_len, const void *value,
                        size_t value_len)
{
    (void)key, (void)key_len, (void)value, (void)value_len;
    must_ok(kvds_close(user_data));
    return 0;
}

static void by_close_in_a_callback(struct fixture *f)
{
    assert_returns(KVDS_STOPPED, kvds_iterate(f->store, NULL, 0, close_inside, f->store));
}

static void the_end_of_a_store_wakes_its_watches(void **state)
{
    struct fixture *f = *state;
    end_of_a_store(f, by_close);
    end_of_a_store(f, by_release);
    end_of_a_store(f, by_shutdown);
    end_of_a_store(f, by_close_in_a_callback);
}

/* A cursor keeps the files of a disk store open, and a store that is opened then uses them. */
static void a_cursor_keeps_no_watch_open(void **state)
{
    struct fixture *f = *state;
    kvds_cursor *cursor;
    kvds_change change;
    set_pairs(f->store, "a=1");
    kvds_watch *first = watch_of(f->store, NULL);
    assert_ok(kvds_cursor_new(f->store, NULL, &cursor));
    assert_int_equal(release_store(f), 0);
    assert_returns(KVDS_CLOSED, kvds_watch_next(first, FOREVER, &change));
    f->store = open_again(f);
    kvds_watch *second = watch_of(f->store, NULL);
    set_pairs(f->store, "b=2");
    assert_returns(KVDS_CLOSED, kvds_watch_next(first, 0, &change));
    assert_changes("+b=2|", second);
    kvds_cursor_free(cursor);
    set_pairs(f->store, "c=3");
    assert_changes("+c=3|", second);
    kvds_watch_free(first);
    kvds_watch_free(second);
}

static void a_watch_keeps_no_store_alive(void **state)
{
    struct fixture *f = *state;
    kvds_change change;
    kvds_watch *watch = watch_of(f->store, NULL);
    assert_int_equal(kvds_store_ref_count(f->store), 1);
    assert_int_equal(release_store(f), 0);
    assert_int_equal(kvds_distributor_store_count(f->distributor), 0);
    if (f->backend == KVDS_DISK)
        assert_ok(kvds_distributor_destroy_store(f->distributor, "store"));
    release_distributor(f);
    assert_returns(KVDS_CLOSED, kvds_watch_next(watch, FOREVER, &change));
    kvds_watch_free(watch);

    /* A watch that no call has used. */
    f->distributor = kvds_distributor_new(f->base);
    f->store = open_again(f);
    watch = watch_of(f->store, NULL);
    assert_true(kvds_watch_fd(watch) > 2);
    assert_int_equal(release_store(f), 0);
    kvds_watch_free(watch);
}

static void a_watch_of_a_view_returns_what_it_shows(void **state)
{
    struct fixture *f = *state;
    kvds_store *scope = scope_of(f->store, BYTES("a")), *reader = view_of(f->store, READ);
    kvds_store *inner = scope_of(scope, BYTES("b")), *all = scope_of(f->store, NULL, 0);
    kvds_store *high = scope_of(f->store, BYTES("\xFF"));
    static const kvds_range range = { NULL, 0, BYTES("b"), BYTES("c") };
    set_large(f->store, "abZ aZ Z");
    kvds_watch *watches[] = { watch_of(scope, NULL),    watch_of(scope, &range),
                              watch_of(inner, NULL),    watch_of(reader, NULL),
                              watch_of(reader, &range), watch_of(all, NULL),
                              watch_of(high, NULL) };
    static const char *const changes[] = {
        "+=1|+b=2|-b..c|-b|-..|+=7|-..|",
        "+b=2|-b..c|-b|-b..c|-b..c|",
        "+=2|-..|-|-..|-..|",
        "+a=1|+ab=2|+b=3|-ab..ac|-ab|-a..b|+%FF%FF=5|+a=7|-..|",
        "+b=3|-b..c|",
        "+a=1|+ab=2|+b=3|-ab..ac|-ab|-a..b|+%FF%FF=5|+a=7|-..|",
        "+%FF=5|-..|",
    };
    set_pairs(f->store, "a=1 ab=2 b=3");
    assert_ok(kvds_delete_prefix(scope, BYTES("b")));
    const kvds_bytes key = { BYTES("b") };
    assert_ok(kvds_delete_batch(scope, &key, 1));
    assert_ok(kvds_delete_prefix(f->store, BYTES("a")));
    assert_ok(kvds_set(high, BYTES("\xFF"), BYTES("5")));
    assert_ok(kvds_set(scope, NULL, 0, BYTES("7")));
    assert_ok(kvds_delete_prefix(f->store, NULL, 0));
    for (size_t i = 0; i < COUNT_OF(watches); i++) {
        assert_changes(changes[i], watches[i]);
        kvds_watch_free(watches[i]);
    }

    /* A view continues after a watch of the store, as the numbers are those of the store. */
    kvds_watch *whole = watch_of(f->store, NULL), *part;
    uint64_t sequence;
    set_pairs(f->store, "ab=1");
    changes_with_number(whole, &sequence);
    set_pairs(f->store, "ab=2 b=3");
    assert_ok(kvds_watch_from(scope, NULL, sequence, &part));
    assert_true(kvds_watch_fd(part) > 2);
    assert_changes("+b=2|", part);
    kvds_watch_free(whole);
    kvds_watch_free(part);

    /* The base store outlives the program's reference to it, and closes with its last view. */
    kvds_watch *last = watch_of(scope, NULL);
    kvds_change change;
    release_store(f);
    kvds_store_release(inner);
    kvds_store_release(all);
    kvds_store_release(high);
    kvds_store_release(reader);
    assert_ok(kvds_set(scope, BYTES("b"), BYTES("8")));
    assert_changes("+b=8|", last);
    kvds_store_release(scope);
    assert_returns(KVDS_CLOSED, kvds_watch_next(last, FOREVER, &change));
    kvds_watch_free(last);
}

/* A view is a store like any other: its watches end with it. */
static void a_watch_outlives_the_view_that_it_was_made_of(void **state)
{
    struct fixture *f = *state;
    kvds_change change;
    kvds_store *closed = scope_of(f->store, BYTES("a")), *released = view_of(f->store, READ);
    kvds_watch *base = watch_of(f->store, NULL);
    kvds_watch *of_closed = watch_of(closed, NULL), *of_released = watch_of(released, NULL);
    assert_ok(kvds_close(closed));
    kvds_store_release(released);
    set_pairs(f->store, "a=1");
    assert_changes("+=1|", of_closed);
    assert_changes("+a=1|", of_released);
    assert_changes("+a=1|", base);
    assert_ok(kvds_close(f->store));
    assert_returns(KVDS_CLOSED, kvds_watch_next(of_closed, 0, &change));
    assert_returns(KVDS_CLOSED, kvds_watch_next(of_released, 0, &change));
    kvds_watch_free(of_closed);
    kvds_watch_free(of_released);
    kvds_watch_free(base);
    kvds_store_release(closed);
}

static void some_stores_cannot_be_watched(void **state)
{
    struct fixture *f = *state;
    kvds_store *writer = view_of(f->store, WRITE), *snapshot = snapshot_of(f->store);
    kvds_store *in_snapshot = scope_of(snapshot, BYTES("a")), *in_writer = scope_of(writer, "a", 1);
    const struct {
        kvds_store *store;
        kvds_status status;
    } cases[] = {
        { writer, KVDS_DENIED },
        { in_writer, KVDS_DENIED },
        { snapshot, KVDS_UNSUPPORTED },
        { in_snapshot, KVDS_UNSUPPORTED },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        kvds_watch *watch = (kvds_watch *)f->store;
        assert_returns(cases[i].status, kvds_watch_new(cases[i].store, NULL, &watch));
        assert_null(watch);
        assert_error_says("kvds_watch_new");
        watch = (kvds_watch *)f->store;
        assert_returns(cases[i].status, kvds_watch_from(cases[i].store, NULL, 0, &watch));
        assert_null(watch);
    }
    assert_ok(kvds_close(f->store));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        kvds_watch *watch = (kvds_watch *)f->store;
        assert_returns(KVDS_CLOSED, kvds_watch_new(cases[i].store, NULL, &watch));
        assert_null(watch);
        kvds_store_release(cases[i].store);
    }
    kvds_watch *watch = (kvds_watch *)f->store;
    assert_returns(KVDS_CLOSED, kvds_watch_new(f->store, NULL, &watch));
    assert_returns(KVDS_CLOSED, kvds_watch_from(f->store, NULL, 0, &watch));
    assert_null(watch);
}

static void a_store_for_reading_only_cannot_be_watched(void **state)
{
    struct fixture *f = *state;
    kvds_distributor *distributor = distributor_with(f->base, "read_only", "1");
    kvds_store *reader = open_store(distributor, "store", KVDS_DISK);
    kvds_watch *watch = (kvds_watch *)reader;
    assert_returns(KVDS_UNSUPPORTED, kvds_watch_new(reader, NULL, &watch));
    assert_null(watch);
    assert_returns(KVDS_UNSUPPORTED, kvds_watch_from(reader, NULL, 0, &watch));
    assert_error_says("reading only");
    kvds_store_release(reader);
    kvds_distributor_release(distributor);
}

static void invalid_calls_of_watches_are_errors(void **state)
{
    static const char zeros[KVDS_MAX_KEY_LEN + 1];
    static const kvds_range wrong[] = {
        { NULL, 1, NULL, 0, NULL, 0 },
        { NULL, 0, NULL, 1, NULL, 0 },
        { NULL, 0, NULL, 0, NULL, 1 },
        { zeros, sizeof zeros, NULL, 0, NULL, 0 },
        { NULL, 0, zeros, sizeof zeros, NULL, 0 },
        { NULL, 0, NULL, 0, zeros, sizeof zeros },
    };
    static const char *const names[] = { "prefix", "start", "end" };
    struct fixture *f = *state;
    kvds_watch *watch = (kvds_watch *)f->store;
    kvds_change change = { 99, 99, 99, &change, 99, &change, 99 };
    assert_invalid(kvds_watch_new(NULL, NULL, &watch));
    assert_error_says("kvds_store");
    assert_null(watch);
    assert_invalid(kvds_watch_new(f->store, NULL, NULL));
    assert_error_says("out");
    watch = (kvds_watch *)f->store;
    assert_invalid(kvds_watch_from(NULL, NULL, 0, &watch));
    assert_null(watch);
    assert_invalid(kvds_watch_from(f->store, NULL, 0, NULL));
    assert_error_says("out");
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        watch = (kvds_watch *)f->store;
        assert_invalid(kvds_watch_new(f->store, &wrong[i], &watch));
        assert_error_says(names[i % COUNT_OF(names)]);
        assert_null(watch);
        assert_invalid(kvds_watch_from(f->store, &wrong[i], 0, &watch));
    }
    assert_invalid(kvds_watch_next(NULL, 0, &change));
    assert_error_says("kvds_watch");
    assert_true(change.key == NULL && change.value == NULL && change.key_len == 0);
    assert_int_equal(kvds_watch_fd(NULL), -1);
    assert_error_says("kvds_watch_fd");
    kvds_watch_free(NULL);

    watch = watch_of(f->store, NULL);
    set_pairs(f->store, "a=1");
    assert_invalid(kvds_watch_next(watch, 0, NULL));
    assert_error_says("change");
    assert_changes("+a=1|", watch);
    kvds_watch_free(watch);
}

struct in_callback {
    kvds_store *store;
    kvds_watch *outside;
    size_t calls;
};

static int call_everything(void *user_data, const void *key, size_t key_len, const void *value,
                           size_t value_len)
{
    struct in_callback *in = user_data;
    kvds_change change;
    (void)value, (void)value_len;
    kvds_watch *watch = watch_of(in->store, NULL);
    must(!is_readable(kvds_watch_fd(watch), 0));
    must_ok(kvds_set(in->store, key, key_len, BYTES("2")));
    must(is_readable(kvds_watch_fd(watch), 0));
    must_ok(kvds_watch_next(watch, FOREVER, &change));
    must(change.key_len == key_len && memcmp(change.key, key, key_len) == 0);
    kvds_watch_free(watch_from(in->store, change.sequence));
    must_return(KVDS_NOT_FOUND, kvds_watch_next(watch, 1, &change));
    kvds_watch_free(watch);
    must_ok(kvds_watch_next(in->outside, FOREVER, &change));

    /* A write of another thread reaches a wait inside of the callback. */
    pthread_t writer = start(set_later, in->store);
    must_ok(kvds_watch_next(in->outside, FOREVER, &change));
    join(writer);
    in->calls++;
    return 1;
}

static void everything_works_inside_a_callback(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "a=1 b=1");
    struct in_callback in = { f->store, watch_of(f->store, NULL), 0 };
    assert_ok(kvds_iterate(f->store, NULL, 0, call_everything, &in));
    assert_int_equal(in.calls, 2);
    assert_changes("", in.outside);
    kvds_watch_free(in.outside);
}

/* Writers with every kind of write, and a thread that keeps a copy by the changes of a watch. */
enum { WRITERS = 4, KEYS = 40 };

struct copy {
    char values[KEYS][16];
    size_t lens[KEYS];
    bool is_there[KEYS];
};

/* The index of a key: "k00" to "k39". */
static size_t index_of(const void *key, size_t key_len)
{
    const char *text = key;
    must(key_len == 3 && text[0] == 'k');
    return (size_t)(text[1] - '0') * 10 + (size_t)(text[2] - '0');
}

static void put(struct copy *copy, const void *key, size_t key_len, const void *value,
                size_t value_len)
{
    const size_t index = index_of(key, key_len);
    must(value_len <= sizeof copy->values[0]);
    memcpy(copy->values[index], value, value_len);
    copy->lens[index] = value_len;
    copy->is_there[index] = true;
}

static int put_pair(void *user_data, const void *key, size_t key_len, const void *value,
                    size_t value_len)
{
    put(user_data, key, key_len, value, value_len);
    return 1;
}

static int compare(const void *one, size_t one_len, const void *other, size_t other_len)
{
    const int order = memcmp(one, other, one_len < other_len ? one_len : other_len);
    return order ? order : (one_len > other_len) - (one_len < other_len);
}

static void apply(struct copy *copy, const kvds_change *change)
{
    switch (change->kind) {
    case KVDS_CHANGE_SET:
        put(copy, change->key, change->key_len, change->value, change->value_len);
        break;
    case KVDS_CHANGE_DELETE: copy->is_there[index_of(change->key, change->key_len)] = false; break;
    default:
        for (size_t i = 0; i < KEYS; i++) {
            const struct text key = text_of("k%02zu", i);
            if (compare(key.data, key.len, change->key, change->key_len) >= 0 &&
                (change->value_len == 0 ||
                 compare(key.data, key.len, change->value, change->value_len) < 0))
                copy->is_there[i] = false;
        }
    }
}

static void assert_copies(const struct copy *copy, kvds_store *store)
{
    for (size_t i = 0; i < KEYS; i++) {
        const struct text key = text_of("k%02zu", i);
        if (copy->is_there[i])
            assert_true(has(store, key.data, key.len, copy->values[i], copy->lens[i]));
        else
            assert_returns(KVDS_NOT_FOUND, kvds_exists(store, key.data, key.len));
    }
}

struct writer {
    kvds_store *store;
    unsigned random;
};

static unsigned draw(struct writer *me, unsigned count)
{
    me->random = me->random * 1103515245 + 12345;
    return (me->random >> 16) % count;
}

static struct text draw_key(struct writer *me) { return text_of("k%02u", draw(me, KEYS)); }

static void *write_everything(void *argument)
{
    struct writer *me = argument;
    kvds_batch *batch = kvds_batch_new();
    for (size_t i = 0; i < scaled(5000); i++) {
        const struct text key = draw_key(me), value = text_of("%u", draw(me, 10000));
        kvds_store *s = me->store;
        kvds_status status = KVDS_OK;
        switch (draw(me, 12)) {
        case 0: status = kvds_del(s, key.data, key.len); break;
        case 1: status = kvds_set_nx(s, key.data, key.len, value.data, value.len); break;
        case 2: status = kvds_set_ttl(s, key.data, key.len, value.data, value.len, 1); break;
        case 3: status = kvds_expire(s, key.data, key.len, draw(me, 2) ? 1 : 0); break;
        case 4: status = kvds_add(s, key.data, key.len, 1, NULL); break;
        case 5: status = kvds_delete_prefix(s, key.data, key.len - draw(me, 20) / 19); break;
        case 6:
        case 7:
            kvds_batch_clear(batch);
            for (unsigned count = draw(me, 6); count > 0; count--) {
                const struct text one = draw_key(me);
                switch (draw(me, 4)) {
                case 0: must_ok(kvds_batch_del(batch, one.data, one.len)); break;
                case 1: must_ok(kvds_batch_expire(batch, one.data, one.len, LONG)); break;
                case 2:
                    must_ok(kvds_batch_set_ttl(batch, one.data, one.len, value.data, value.len, 1));
                    break;
                default: must_ok(kvds_batch_set(batch, one.data, one.len, value.data, value.len));
                }
            }
            status = kvds_write(s, batch);
            break;
        default: status = kvds_set(s, key.data, key.len, value.data, value.len);
        }
        must(status >= 0);
    }
    kvds_batch_free(batch);
    return NULL;
}

struct follower {
    kvds_store *store;
    kvds_watch *watch;
    struct copy copy;
};

/* Follows the changes until the key "end" is set, and resumes from time to time. */
static void *follow(void *argument)
{
    struct follower *me = argument;
    kvds_change change;
    uint64_t sequence = 0;
    bool is_first = true;
    must_ok(kvds_iterate(me->store, BYTES("k"), put_pair, &me->copy));
    for (size_t writes = 1;;) {
        must_ok(kvds_watch_next(me->watch, FOREVER, &change));
        must(is_first ? change.sequence > sequence : change.sequence == sequence);
        sequence = change.sequence;
        is_first = change.last == 1;
        if (change.key_len == 3 && memcmp(change.key, "end", 3) == 0)
            return NULL;
        apply(&me->copy, &change);
        if (change.last && writes++ % 1000 == 0) {
            kvds_watch *next = watch_from(me->store, sequence);
            kvds_watch_free(me->watch);
            me->watch = next;
        }
    }
}

static bool has_due_key(kvds_store *store)
{
    for (size_t i = 0; i < KEYS; i++) {
        const struct text key = text_of("k%02zu", i);
        int64_t left;
        const kvds_status status = kvds_ttl(store, key.data, key.len, &left);
        if (status == KVDS_OK && left >= 0 && left < LONG / 2)
            return true;
    }
    return false;
}

/* The copy begins while the writers write, and is complete when they have ended. */
static void a_watch_keeps_a_copy_while_threads_write(void **state)
{
    struct fixture *f = *state;
    release_store(f);
    release_distributor(f);
    f->distributor = distributor_with(f->base, "watch_buffer_bytes", "1G");
    f->store = open_again(f);
    static struct follower followers[2];
    memset(followers, 0, sizeof followers);
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS], following[COUNT_OF(followers)];
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ f->store, (unsigned)i + 1 };
        threads[i] = start(write_everything, &writers[i]);
    }
    for (size_t i = 0; i < COUNT_OF(followers); i++) {
        followers[i].store = f->store;
        followers[i].watch = watch_of(f->store, NULL);
        following[i] = start(follow, &followers[i]);
    }
    for (size_t i = 0; i < WRITERS; i++)
        join(threads[i]);
    /* What expires is returned before "end". */
    const struct timespec time = { 0, 20 * 1000 * 1000 };
    while (has_due_key(f->store))
        nanosleep(&time, NULL);
    set_pairs(f->store, "end=1");
    for (size_t i = 0; i < COUNT_OF(followers); i++) {
        join(following[i]);
        assert_copies(&followers[i].copy, f->store);
        kvds_watch_free(followers[i].watch);
    }
}

/* A watch that no thread reads keeps no more than the buffer, and delays no write. */
static void a_slow_watch_does_not_hold_up_writers(void **state)
{
    static char value[10000];
    struct fixture *f = *state;
    kvds_change change;
    release_store(f);
    release_distributor(f);
    f->distributor = distributor_with(f->base, "watch_buffer_bytes", "64K");
    f->store = open_again(f);
    kvds_watch *slow = watch_of(f->store, NULL), *never = watch_of(f->store, NULL);
    const size_t count = scaled(2000);
    for (size_t i = 0; i < 20 + count; i++) {
        const struct text key = text_of("%zu", i % 100);
        assert_ok(kvds_set(f->store, key.data, key.len, value, sizeof value));
    }
    assert_returns(KVDS_EXPIRED, kvds_watch_next(slow, 0, &change));
    assert_changes("", slow);
    kvds_watch_free(slow);
    kvds_watch_free(never);
}

/* Watches come and end while threads write, in other threads. */
struct churn {
    kvds_store *store;
    atomic_bool ends;
};

static void *watch_and_free(void *argument)
{
    struct churn *churn = argument;
    kvds_change change;
    while (!atomic_load(&churn->ends)) {
        kvds_watch *watch = watch_of(churn->store, NULL);
        must(kvds_watch_fd(watch) > 2);
        const struct text key = text_of("%lu", (unsigned long)pthread_self());
        must_ok(kvds_set(churn->store, key.data, key.len, BYTES("1")));
        /* The write of this thread is returned, as the watch was there before. */
        do
            must_ok(kvds_watch_next(watch, FOREVER, &change));
        while (change.key_len != key.len || memcmp(change.key, key.data, key.len) != 0);
        kvds_watch_free(watch);
    }
    return NULL;
}

static void watches_are_created_and_freed_while_threads_write(void **state)
{
    struct fixture *f = *state;
    struct churn churn = { f->store, false };
    pthread_t threads[3];
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        threads[i] = start(watch_and_free, &churn);
    for (size_t i = 0; i < scaled(20000); i++) {
        const struct text key = text_of("key-%zu", i % 50);
        assert_ok(kvds_set(f->store, key.data, key.len, BYTES("1")));
    }
    atomic_store(&churn.ends, true);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        join(threads[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(every_write_is_returned_once_and_in_order),
        ON_BOTH(writes_that_change_nothing_are_not_returned),
        ON_BOTH(a_batch_is_returned_as_a_whole),
        ON_BOTH(a_watch_returns_its_range),
        ON_BOTH(an_empty_range_has_no_changes),
        ON_BOTH(a_deleted_prefix_is_a_range_or_its_keys),
        ON_BOTH(an_expired_key_is_returned_as_deleted),
        ON_BOTH(a_watch_that_missed_changes_continues),
        ON_BOTH(a_watch_continues_after_an_earlier_one),
        ON_BOTH(a_history_beyond_the_buffer_is_gone),
        ON_BOTH(a_descriptor_is_readable_while_there_is_a_change),
        ON_BOTH(a_descriptor_is_readable_after_missed_changes),
        ON_MEMORY(a_descriptor_disturbs_no_program),
        ON_BOTH(a_watch_waits_for_its_timeout),
        ON_BOTH(the_end_of_a_store_wakes_its_watches),
        ON_BOTH(a_cursor_keeps_no_watch_open),
        ON_BOTH(a_watch_keeps_no_store_alive),
        ON_BOTH(a_watch_of_a_view_returns_what_it_shows),
        ON_BOTH(a_watch_outlives_the_view_that_it_was_made_of),
        ON_BOTH(some_stores_cannot_be_watched),
        ON_DISK(a_store_for_reading_only_cannot_be_watched),
        ON_BOTH(invalid_calls_of_watches_are_errors),
        ON_BOTH(everything_works_inside_a_callback),
        ON_BOTH(a_watch_keeps_a_copy_while_threads_write),
        ON_BOTH(a_slow_watch_does_not_hold_up_writers),
        ON_BOTH(watches_are_created_and_freed_while_threads_write),
    };
    return RUN("watch", tests);
}
