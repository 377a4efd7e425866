/*
 * Who syncs, and when, at each level of durability. This program defines fdatasync and fsync, which
 * the library then calls, and counts the calls.
 */

#include "check.h"

#include <sys/syscall.h>

enum { WRITERS = 8, WRITES = 40 };

static atomic_size_t syncs;

/* Slow, as on a hard disk, so that other writers have time to share the next sync. */
static int count_and_sync(long call, int file)
{
    atomic_fetch_add(&syncs, 1);
    usleep(1000);
    return (int)syscall(call, file);
}

int fdatasync(int file) { return count_and_sync(SYS_fdatasync, file); }

int fsync(int file) { return count_and_sync(SYS_fsync, file); }

static kvds_distributor *with_durability(struct fixture *f, kvds_durability durability)
{
    kvds_options *options = kvds_options_new();
    kvds_distributor *distributor = NULL;
    assert_ok(kvds_options_set_durability(options, durability));
    assert_ok(kvds_distributor_open(f->base, options, &distributor));
    kvds_options_free(options);
    return distributor;
}

static void close_all(kvds_store *store, kvds_distributor *distributor)
{
    assert_int_equal(kvds_store_release(store), 0);
    assert_int_equal(kvds_distributor_release(distributor), 0);
}

static void *write_many(void *argument)
{
    static atomic_size_t next;
    for (size_t i = 0; i < scaled(WRITES) + 1; i++) {
        const struct text key = text_of("%zu", atomic_fetch_add(&next, 1));
        must_ok(kvds_set(argument, key.data, key.len, "value", 5));
    }
    return NULL;
}

static void sync_syncs_every_write_before_it_returns(void **state)
{
    kvds_distributor *distributor = with_durability(*state, KVDS_DURABILITY_SYNC);
    kvds_store *store = open_store(distributor, "durable", KVDS_DISK);
    /* The first sync also syncs the directory. */
    assert_ok(kvds_set(store, BYTES("key"), BYTES("value")));
    for (int i = 0; i < 10; i++) {
        size_t before = syncs;
        assert_ok(kvds_set(store, BYTES("key"), BYTES("value")));
        assert_int_equal(syncs, before + 1);
    }
    assert_ok(kvds_del(store, BYTES("key")));
    size_t before = syncs;
    assert_returns(KVDS_NOT_FOUND, kvds_del(store, BYTES("key")));
    assert_int_equal(syncs, before);
    close_all(store, distributor);
}

static void writers_share_a_sync(void **state)
{
    kvds_distributor *distributor = with_durability(*state, KVDS_DURABILITY_SYNC);
    kvds_store *store = open_store(distributor, "shared", KVDS_DISK);
    pthread_t writers[WRITERS];
    size_t before = syncs;
    for (size_t i = 0; i < WRITERS; i++)
        writers[i] = start(write_many, store);
    for (size_t i = 0; i < WRITERS; i++)
        join(writers[i]);
    size_t writes = WRITERS * (scaled(WRITES) + 1);
    print_message("%zu writes, %zu syncs\n", writes, syncs - before);
    assert_true(syncs - before < writes);
    close_all(store, distributor);
}

static void process_syncs_in_the_background(void **state)
{
    kvds_distributor *distributor = with_durability(*state, KVDS_DURABILITY_PROCESS);
    kvds_store *store = open_store(distributor, "background", KVDS_DISK);
    for (int i = 0; i < 2; i++) {
        size_t before = syncs;
        assert_ok(kvds_set(store, BYTES("key"), BYTES("value")));
        /* The background sync comes within a second. */
        while (syncs == before)
            usleep(10000);
    }
    size_t before = syncs;
    assert_ok(kvds_sync(store));
    assert_true(syncs > before);
    close_all(store, distributor);
}

/*
 * Closing syncs what the background thread has not synced: it must not be worse than not closing.
 */
static void closing_syncs_the_rest(void **state)
{
    kvds_distributor *distributor = with_durability(*state, KVDS_DURABILITY_PROCESS);
    kvds_store *store = open_store(distributor, "closed", KVDS_DISK);
    assert_ok(kvds_set(store, BYTES("key"), BYTES("value")));
    /* Starts right after a background sync, so that the next one is half a second away. */
    for (size_t before = syncs; syncs == before;)
        usleep(1000);
    usleep(20000);
    assert_ok(kvds_set(store, BYTES("key"), BYTES("value")));
    size_t before = syncs;
    close_all(store, distributor);
    assert_true(syncs > before);
}

static void none_syncs_only_on_request(void **state)
{
    kvds_distributor *distributor = with_durability(*state, KVDS_DURABILITY_NONE);
    kvds_store *store = open_store(distributor, "careless", KVDS_DISK);
    size_t before = syncs;
    for (int i = 0; i < 100; i++)
        assert_ok(kvds_set(store, BYTES("key"), BYTES("value")));
    assert_int_equal(syncs, before);
    assert_ok(kvds_sync(store));
    assert_true(syncs > before);
    close_all(store, distributor);
}

/*
 * A new store needs eight syncs: two directories above it, and twice its manifest, the file that
 * names the manifest, and the directory. An opening needs the half of the latter. RocksDB syncs
 * four times more, for files that no opening reads.
 */
static void an_opening_syncs_only_what_openings_read(void **state)
{
    for (int opening = 0; opening < 3; opening++) {
        size_t before = syncs;
        kvds_distributor *distributor = with_durability(*state, KVDS_DURABILITY_NONE);
        kvds_store *store = open_store(distributor, "opened", KVDS_DISK);
        assert_true(syncs - before <= (opening == 0 ? 8 : 5));
        assert_ok(kvds_set(store, BYTES("key"), BYTES("value")));
        close_all(store, distributor);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(sync_syncs_every_write_before_it_returns),
        ON_DISK(writers_share_a_sync),
        ON_DISK(process_syncs_in_the_background),
        ON_DISK(closing_syncs_the_rest),
        ON_DISK(none_syncs_only_on_request),
        ON_DISK(an_opening_syncs_only_what_openings_read),
    };
    return RUN("durability", tests);
}
