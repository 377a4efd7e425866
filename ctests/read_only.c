/* The option `read_only`: reading a store while another process or distributor writes it. */

#include "check.h"
#include "views.h"

#include <fcntl.h>

static const char early[1 << 20] = "early", late[1 << 20] = "late";

/* What the writer writes before the reader opens the store, and after. */
static void write_early(kvds_store *store)
{
    must_ok(kvds_set(store, BYTES("big"), early, sizeof early));
    must_ok(kvds_set(store, BYTES("changed"), BYTES("early")));
    must_ok(kvds_set(store, BYTES("removed"), BYTES("early")));
}

static void write_late(kvds_store *store)
{
    must_ok(kvds_set(store, BYTES("added"), BYTES("late")));
    must_ok(kvds_set(store, BYTES("big"), late, sizeof late));
    must_ok(kvds_set(store, BYTES("changed"), BYTES("late")));
    must_ok(kvds_del(store, BYTES("removed")));
    /* This deletes files that a reader may have open. */
    must_ok(kvds_compact(store));
}

static bool shows_early(kvds_store *store)
{
    return has(store, BYTES("big"), early, sizeof early) &&
           has(store, BYTES("changed"), BYTES("early")) &&
           has(store, BYTES("removed"), BYTES("early")) &&
           kvds_exists(store, BYTES("added")) == KVDS_NOT_FOUND;
}

static bool shows_late(kvds_store *store)
{
    return has(store, BYTES("big"), late, sizeof late) &&
           has(store, BYTES("changed"), BYTES("late")) &&
           has(store, BYTES("added"), BYTES("late")) &&
           kvds_exists(store, BYTES("removed")) == KVDS_NOT_FOUND;
}

/* Expects the keys of `write_early`, in order. */
static void assert_walks_early(kvds_cursor *cursor)
{
    static const char *const keys[] = { "big", "changed", "removed" };
    kvds_bytes key, value;
    assert_ok(kvds_cursor_first(cursor));
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        assert_ok(kvds_cursor_key(cursor, &key));
        assert_int_equal(key.len, strlen(keys[i]));
        assert_memory_equal(key.data, keys[i], key.len);
        assert_ok(kvds_cursor_value(cursor, &value));
        assert_memory_equal(value.data, "early", 5);
        assert_returns(i + 1 < COUNT_OF(keys) ? KVDS_OK : KVDS_NOT_FOUND, kvds_cursor_next(cursor));
    }
}

/*
 * Reads the store "shared" with the early writes, calls `write_more` to make the writer write, and
 * reads again. The writer may be in another process.
 */
static void read_beside(const char *base, void (*write_more)(void *), void *writer)
{
    const size_t left_behind = entries_in(getenv("TMPDIR"));
    kvds_distributor *distributor = distributor_with(base, "read_only", "1");
    kvds_store *store = open_store(distributor, "shared", KVDS_DISK), *scope, *snapshot;
    kvds_cursor *cursor;
    kvds_value value;
    assert_true(shows_early(store));
    must_allow(READ | ALWAYS, KVDS_DENIED, store);
    assert_ok(kvds_store_scope(store, NULL, 0, &scope));
    must_allow(READ | ALWAYS, KVDS_DENIED, scope);
    assert_ok(kvds_store_snapshot(store, &snapshot));
    assert_ok(kvds_cursor_new(store, NULL, &cursor));
    assert_ok(kvds_get(store, BYTES("big"), &value));
    assert_ok(kvds_sync(store));

    write_more(writer);
    assert_true(shows_early(store));
    assert_true(shows_early(scope));
    assert_ok(kvds_refresh(store));
    assert_true(shows_late(store));
    assert_true(shows_late(scope));
    assert_true(shows_early(snapshot));
    assert_walks_early(cursor);
    must_allow(READ | ALWAYS, KVDS_DENIED, store);
    assert_ok(kvds_refresh(scope));
    assert_true(shows_late(store));

    /* Snapshots and cursors from before the refresh need neither the store nor the distributor. */
    kvds_store_release(scope);
    kvds_store_release(snapshot);
    assert_int_equal(kvds_store_release(store), 0);
    kvds_distributor_release(distributor);
    assert_walks_early(cursor);
    assert_memory_equal(value.data, early, sizeof early);
    kvds_cursor_free(cursor);
    kvds_value_release(&value);
    assert_int_equal(entries_in(getenv("TMPDIR")), left_behind);
}

static void write_here(void *store) { write_late(store); }

static void a_reader_works_beside_a_writer_in_this_process(void **state)
{
    struct fixture *f = *state;
    kvds_store *store = open_store(f->distributor, "shared", KVDS_DISK);
    write_early(store);
    read_beside(f->base, write_here, store);
    assert_true(shows_late(store));
    assert_ok(kvds_set(store, BYTES("after"), BYTES("value")));
    kvds_store_release(store);
}

/* The other process, which is this program again: it writes, waits for a byte, and writes more. */
struct other {
    pid_t process;
    int to, from;
};

static int other_process(const char *base)
{
    kvds_distributor *distributor = kvds_distributor_new(base);
    kvds_store *store = open_store(distributor, "shared", KVDS_DISK);
    char byte;
    write_early(store);
    must(write(STDOUT_FILENO, "1", 1) == 1);
    must(read(STDIN_FILENO, &byte, 1) == 1);
    write_late(store);
    must(write(STDOUT_FILENO, "2", 1) == 1);
    must(read(STDIN_FILENO, &byte, 1) == 0);
    must(shows_late(store));
    kvds_store_release(store);
    kvds_distributor_release(distributor);
    return 0;
}

static struct other start_other(const char *base)
{
    int to[2], from[2];
    must(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    pid_t process = fork();
    must(process >= 0);
    if (process == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        become_this_program((char *[]){ "read_only", (char *)base, NULL });
    }
    close(to[0]);
    close(from[1]);
    return (struct other){ process, to[1], from[0] };
}

static void read_from(const struct other *other)
{
    char byte;
    must(read(other->from, &byte, 1) == 1);
}

static void write_there(void *argument)
{
    const struct other *other = argument;
    must(write(other->to, "!", 1) == 1);
    read_from(other);
}

static void a_reader_works_beside_a_writer_in_another_process(void **state)
{
    struct fixture *f = *state;
    struct other other = start_other(f->base);
    kvds_store *store;
    read_from(&other);
    read_beside(f->base, write_there, &other);
    assert_returns(KVDS_LOCKED,
                   kvds_distributor_get_or_create(f->distributor, "shared", KVDS_DISK, &store));
    close(other.to);
    assert_int_equal(exit_status_of(other.process), 0);
    close(other.from);
}

static void readers_create_nothing(void **state)
{
    struct fixture *f = *state;
    const size_t entries = entries_in(f->base);
    kvds_store *store = f->store;
    kvds_distributor *distributor = distributor_with(f->base, "read_only", "1");
    kvds_distributor *nowhere = distributor_with(PATH(f->base, "nowhere"), "read_only", "1");
    assert_returns(KVDS_NOT_FOUND,
                   kvds_distributor_get_or_create(distributor, "other", f->backend, &store));
    assert_null(store);
    assert_returns(KVDS_NOT_FOUND,
                   kvds_distributor_get_or_create(nowhere, "store", f->backend, &store));
    assert_int_equal(kvds_distributor_store_count(distributor), 0);
    assert_int_equal(entries_in(f->base), entries);
    kvds_distributor_release(distributor);
    kvds_distributor_release(nowhere);
}

static void a_reader_works_without_a_writer(void **state)
{
    struct fixture *f = *state;
    kvds_stats before, after;
    write_early(f->store);
    release_store(f);
    release_distributor(f);
    f->distributor = distributor_with(f->base, "read_only", "1");
    f->store = open_again(f);
    assert_true(shows_early(f->store));

    /* A refresh does not reset the statistics. */
    assert_ok(kvds_store_stats(f->store, &before, sizeof before));
    assert_ok(kvds_refresh(f->store));
    assert_true(shows_early(f->store));
    assert_ok(kvds_store_stats(f->store, &after, sizeof after));
    assert_int_equal(after.reads, 2 * before.reads);
    assert_int_equal(after.hits, 2 * before.hits);

    /* Several readers can open the store. */
    kvds_distributor *second = distributor_with(f->base, "read_only", "1");
    kvds_store *store = open_store(second, "store", KVDS_DISK);
    assert_true(shows_early(store));
    kvds_store_release(store);
    kvds_distributor_release(second);
    assert_ok(kvds_close(f->store));
    assert_returns(KVDS_CLOSED, kvds_refresh(f->store));
    assert_invalid(kvds_refresh(NULL));
}

int main(int count, char **arguments)
{
    if (count == 2)
        return other_process(arguments[1]);
    const struct CMUnitTest tests[] = {
        ON_BOTH(readers_create_nothing),
        ON_DISK(a_reader_works_without_a_writer),
        ON_DISK(a_reader_works_beside_a_writer_in_this_process),
        ON_DISK(a_reader_works_beside_a_writer_in_another_process),
    };
    /*
     * A private directory for temporary files, so that the test can count what readers leave
     * behind.
     */
    char temporary[PATH_MAX];
    make_directory(temporary);
    must(setenv("TMPDIR", temporary, 1) == 0);
    const int failed = RUN("read_only", tests);
    remove_directory(temporary);
    return failed;
}
