/* Errors when a store reads its files: calls fail with a status, and work again after the error. */

#include "check.h"
#include "preload/preload.h"

enum { KEYS = 300 };

/* Keys have noise as values, so that tables are large enough for several blocks. */
static const void *value_of(size_t number, size_t *len)
{
    static unsigned values[1000];
    for (size_t i = 0; i < COUNT_OF(values); i++)
        values[i] = (unsigned)(number * 1000 + i) * 2654435761u;
    *len = sizeof values;
    return values;
}

/* Fills the fixture's store, closes it with an empty log, and opens it with nothing cached. */
static void fill_and_reopen(struct fixture *f)
{
    preload_below(f->base);
    for (size_t i = 0; i < KEYS; i++) {
        size_t len;
        const struct text key = text_of("%03zu", i);
        const void *value = value_of(i, &len);
        must_ok(kvds_set(f->store, key.data, key.len, value, len));
    }
    must_ok(kvds_compact(f->store));
    release_store(f);
    release_distributor(f);
    f->distributor = kvds_distributor_new(f->base);
    f->store = open_again(f);
}

static void check_values(kvds_store *store)
{
    for (size_t i = 0; i < KEYS; i++) {
        size_t len;
        const struct text key = text_of("%03zu", i);
        const void *value = value_of(i, &len);
        must(has(store, key.data, key.len, value, len));
    }
}

static void fail_reads_of_tables(void) { preload_fail(PRELOAD_READ, ".sst", EIO, 0, 0); }

static void reads_fail_and_work_again(void **state)
{
    struct fixture *f = *state;
    fill_and_reopen(f);
    kvds_value value;
    size_t len;
    kvds_cursor *cursor;
    fail_reads_of_tables();
    must_return(KVDS_IO, kvds_get(f->store, BYTES("123"), &value));
    must(value.data == NULL && value.owner == NULL);
    must(strstr(kvds_last_error(), "Input/output error"));
    must(strstr(kvds_last_error(), f->base));
    must_return(KVDS_IO, kvds_get_into(f->store, BYTES("123"), NULL, 0, &len));
    must_return(KVDS_IO, kvds_exists(f->store, BYTES("123")));
    must_return(KVDS_IO, kvds_set_nx(f->store, BYTES("123"), BYTES("other")));
    must_return(KVDS_IO, kvds_iterate(f->store, NULL, 0, pass_over, NULL));
    must_ok(kvds_cursor_new(f->store, NULL, &cursor));
    must_return(KVDS_IO, kvds_cursor_first(cursor));
    must(kvds_cursor_valid(cursor) == 0);
    preload_heal();
    must_ok(kvds_cursor_first(cursor));
    kvds_cursor_free(cursor);
    check_values(f->store);
    must_ok(kvds_set(f->store, BYTES("new"), BYTES("value")));
}

static void opening_fails_at_each_failed_read_and_works_again(void **state)
{
    struct fixture *f = *state;
    fill_and_reopen(f);
    size_t failures = 0;
    kvds_status status = KVDS_IO;
    for (unsigned long skip = 0;; skip++) {
        release_store(f);
        preload_fail(PRELOAD_READ, "", EIO, skip, 1);
        status = kvds_distributor_get_or_create(f->distributor, "store", KVDS_DISK, &f->store);
        const bool reached = preload_seen() > skip;
        preload_heal();
        if (!reached)
            break;
        /* Reading the end of a file again, or a file that is not needed, may fail unnoticed. */
        if (status != KVDS_OK) {
            must_return(KVDS_IO, status);
            failures++;
            f->store = open_again(f);
        }
        check_values(f->store);
    }
    must_ok(status);
    must(failures > 5);
}

/* The keys that were reported as lost. */
struct lost {
    size_t count;
    char first[64][8], last[64][8];
};

static int note_lost(void *user_data, const kvds_damage *damage, uint64_t done, uint64_t total)
{
    struct lost *lost = user_data;
    must(done <= total);
    if (damage && damage->loss == KVDS_LOSS_PAIRS) {
        must(lost->count < COUNT_OF(lost->first));
        /* Without a bound, any key is lost. A separator of blocks can be longer than a key. */
        memset(lost->first[lost->count], 0, sizeof lost->first[0]);
        memset(lost->last[lost->count], '~', sizeof lost->last[0] - 1);
        lost->last[lost->count][sizeof lost->last[0] - 1] = 0;
        if (damage->first)
            memcpy(lost->first[lost->count], damage->first,
                   damage->first_len < 7 ? damage->first_len : 7);
        if (damage->last) {
            memset(lost->last[lost->count], 0, sizeof lost->last[0]);
            memcpy(lost->last[lost->count], damage->last,
                   damage->last_len < 7 ? damage->last_len : 7);
        }
        lost->count++;
    }
    return 1;
}

static bool is_lost(const struct lost *lost, const char *key)
{
    for (size_t i = 0; i < lost->count; i++)
        if (strcmp(lost->first[i], key) <= 0 && strcmp(key, lost->last[i]) <= 0)
            return true;
    return false;
}

/* Pairs of the new store are right, and as many as were counted. */
static size_t check_salvaged(const char *path, const kvds_salvaged *salvaged)
{
    kvds_store *store;
    size_t found = 0;
    must_ok(kvds_store_open(path, NULL, &store));
    for (size_t i = 0; i < KEYS; i++) {
        size_t len;
        const struct text key = text_of("%03zu", i);
        const void *value = value_of(i, &len);
        if (kvds_exists(store, key.data, key.len) == KVDS_OK) {
            must(has(store, key.data, key.len, value, len));
            found++;
        }
    }
    must(found == salvaged->pairs && found + salvaged->lost <= KEYS);
    kvds_store_release(store);
    return found;
}

static void a_store_is_salvaged_around_each_failed_read(void **state)
{
    struct fixture *f = *state;
    const char *store = PATH(f->base, "store"), *target = PATH(f->base, "target");
    size_t verified = 0, damaged = 0, saved = 0, partly = 0;
    fill_and_reopen(f);
    release_store(f);
    for (unsigned long skip = 0;; skip += skip < 12 ? 1 : 16) {
        struct lost lost = { 0 };
        kvds_salvaged salvaged;
        preload_fail(PRELOAD_READ, ".sst", EIO, skip, 1);
        const kvds_status verdict = kvds_verify(store, NULL, note_lost, &lost);
        must(verdict == KVDS_OK || verdict == KVDS_CORRUPTION || verdict == KVDS_IO);
        /* Reading once more after a failure may work. */
        must(verdict != KVDS_CORRUPTION || strstr(kvds_last_error(), "damaged"));
        verified += verdict == KVDS_OK;
        damaged += verdict == KVDS_CORRUPTION;

        preload_fail(PRELOAD_READ, ".sst", EIO, skip, 2);
        const kvds_status result = kvds_salvage(store, target, NULL, NULL, NULL, &salvaged);
        const bool reached = preload_seen() > skip;
        preload_heal();
        if (result == KVDS_OK) {
            const size_t found = check_salvaged(target, &salvaged);
            saved++;
            partly += found < KEYS;
            must(reached || found == KEYS);
            remove_directory(target);
        } else {
            /* A table of the new store could not be read. */
            must_return(KVDS_IO, result);
        }
        if (!reached)
            break;
    }
    must(verified > 0 && damaged > 0 && saved > partly && partly > 0);

    /* A part that can never be read. */
    struct lost lost = { 0 };
    kvds_salvaged salvaged;
    preload_fail(PRELOAD_READ, ".sst", EIO, 0, 0);
    must_return(KVDS_CORRUPTION, kvds_verify(store, NULL, note_lost, &lost));
    must(strstr(kvds_last_error(), store));
    preload_heal();
    for (size_t i = 0; i < KEYS; i++)
        must(is_lost(&lost, text_of("%03zu", i).data));
    must_ok(kvds_salvage(store, target, NULL, NULL, NULL, &salvaged));
    must(check_salvaged(target, &salvaged) == KEYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(reads_fail_and_work_again),
        ON_DISK(opening_fails_at_each_failed_read_and_works_again),
        ON_DISK(a_store_is_salvaged_around_each_failed_read),
    };
    return RUN("read_errors", tests);
}
