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

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(reads_fail_and_work_again),
        ON_DISK(opening_fails_at_each_failed_read_and_works_again),
    };
    return RUN("read_errors", tests);
}
