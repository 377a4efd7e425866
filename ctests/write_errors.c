/*
 * Errors when a store creates, writes or syncs files. Writers and the store work again after them.
 */

#include "disk_faults.h"

#define FAILING(name, calls, part) \
    static void name(const char *base) \
    { \
        (void)base; \
        preload_fail(calls, part, EIO, 0, 0); \
    }

FAILING(fail_writes, PRELOAD_WRITE, "")
FAILING(fail_writes_to_the_log, PRELOAD_WRITE, ".log")
FAILING(fail_writes_to_tables, PRELOAD_WRITE, ".sst")
FAILING(fail_writes_to_the_manifest, PRELOAD_WRITE, "MANIFEST")
FAILING(fail_syncs, PRELOAD_SYNC, "")
FAILING(fail_syncs_of_the_log, PRELOAD_SYNC, ".log")
FAILING(fail_creation, PRELOAD_CREATE, "")

/* Mounts the directory a second time, read-only. Files that are open stay writable. */
static void mount_read_only(const char *base)
{
    must(mount(base, base, "none", MS_BIND, "") == 0);
    must(mount("none", base, "none", MS_REMOUNT | MS_BIND | MS_RDONLY, "") == 0);
}

static void unmount(const char *base) { must(umount(base) == 0); }

#define EIO_TEXT "Input/output error"

static const struct fault table[] = {
    { "read-only mount", mount_read_only, unmount, FLUSH, KVDS_IO, "Read-only file system",
      NEEDS_MOUNT },
    { "writes", fail_writes, stop_failing, WRITE, KVDS_IO, EIO_TEXT, 0 },
    { "writes to the log", fail_writes_to_the_log, stop_failing, WRITE, KVDS_IO, EIO_TEXT,
      LOG_ONLY | NOT_AT_OPEN },
    { "writes to tables", fail_writes_to_tables, stop_failing, FLUSH, KVDS_IO, EIO_TEXT,
      NOT_AT_OPEN },
    { "writes to the manifest", fail_writes_to_the_manifest, stop_failing, FLUSH, KVDS_IO, EIO_TEXT,
      0 },
    { "syncs", fail_syncs, stop_failing, SYNC, KVDS_IO, EIO_TEXT, 0 },
    { "syncs of the log", fail_syncs_of_the_log, stop_failing, SYNC, KVDS_IO, EIO_TEXT,
      LOG_ONLY | NOT_AT_OPEN },
    { "creation of files", fail_creation, stop_failing, FLUSH, KVDS_IO, EIO_TEXT, 0 },
};

/* --------------------------------------------------- several writers, several faults */

enum { WRITERS = 4, ROUNDS = 4, MAX_WRITES = 1 << 16 };

/* One of the writers, and which of its writes were acknowledged. */
struct writer {
    kvds_store *store;
    const void *value;
    size_t number, count;
    bool acknowledged[MAX_WRITES];
};

static atomic_size_t successes, failures;
static atomic_bool done;

static struct text key_of(size_t writer, size_t number)
{
    return text_of("%zu/%zu", writer, number);
}

static void *write_until_done(void *argument)
{
    struct writer *writer = argument;
    while (!done) {
        must(writer->count < MAX_WRITES);
        const struct text key = key_of(writer->number, writer->count);
        const kvds_status status =
            kvds_set(writer->store, key.data, key.len, writer->value, VALUE_LEN);
        must(status == KVDS_OK || status == KVDS_IO);
        writer->acknowledged[writer->count++] = status == KVDS_OK;
        atomic_fetch_add(status == KVDS_OK ? &successes : &failures, 1);
    }
    return NULL;
}

static void wait_for_more(const atomic_size_t *count, size_t more)
{
    for (const size_t before = *count; *count < before + more;)
        usleep(1000);
}

/*
 * Errors that came while tables waited to be flushed, while writers waited for that, or while other
 * threads resumed the database, could make RocksDB wait forever, and all writers behind it.
 */
static void concurrent_writers_continue_after_each_fault(void **state)
{
    static void (*const injections[])(const char *) = { fail_writes, fail_writes_to_tables,
                                                        fail_syncs, fail_writes_to_the_manifest };
    const kvds_durability durabilities[] = { KVDS_DURABILITY_PROCESS, KVDS_DURABILITY_NONE };
    (void)state;
    for (size_t d = 0; d < COUNT_OF(durabilities); d++) {
        static struct writer writers[WRITERS];
        const void *value = value_of(0);
        char base[PATH_MAX];
        make_directory(base);
        preload_below(base);
        kvds_distributor *distributor;
        kvds_options *options = kvds_options_new();
        must_ok(kvds_options_set_durability(options, durabilities[d]));
        must_ok(kvds_options_set_write_buffer_bytes(options, 1 << 20));
        must_ok(kvds_distributor_open(base, options, &distributor));
        kvds_options_free(options);
        kvds_store *store = open_store(distributor, "store", KVDS_DISK);
        pthread_t threads[WRITERS];
        done = false;
        for (size_t i = 0; i < WRITERS; i++) {
            writers[i] = (struct writer){ .store = store, .value = value, .number = i };
            threads[i] = start(write_until_done, &writers[i]);
        }
        for (size_t round = 0; round < ROUNDS; round++) {
            wait_for_more(&successes, 200);
            injections[round % COUNT_OF(injections)](base);
            wait_for_more(&failures, 2);
            stop_failing(base);
        }
        wait_for_more(&successes, 200);
        done = true;
        for (size_t i = 0; i < WRITERS; i++)
            join(threads[i]);
        must_ok(kvds_sync(store));
        kvds_store_release(store);
        store = open_store(distributor, "store", KVDS_DISK);
        for (size_t i = 0; i < WRITERS; i++)
            for (size_t number = 0; number < writers[i].count; number++) {
                const struct text key = key_of(i, number);
                must_return(writers[i].acknowledged[number] ? KVDS_OK : KVDS_NOT_FOUND,
                            kvds_exists(store, key.data, key.len));
            }
        kvds_store_release(store);
        kvds_distributor_release(distributor);
        remove_directory(base);
    }
}

/* --------------------------------------------------- each single call */

/* Makes a call, which succeeds or returns KVDS_IO. */
static bool succeeds_or_io(kvds_status status)
{
    must(status == KVDS_OK || status == KVDS_IO);
    return status == KVDS_OK;
}

/* Creates a store, writes and flushes, while one call fails. Returns whether it was reached. */
static bool work_with_a_failed_call(unsigned kind, unsigned long skip)
{
    char base[PATH_MAX];
    make_directory(base);
    preload_below(base);
    bool written[2] = { false, false };
    kvds_store *store;
    kvds_distributor *distributor = kvds_distributor_new(base);
    preload_fail(kind, "", EIO, skip, 1);
    if (succeeds_or_io(kvds_distributor_get_or_create(distributor, "store", KVDS_DISK, &store))) {
        written[0] = succeeds_or_io(kvds_set(store, BYTES("a"), BYTES("1")));
        succeeds_or_io(kvds_compact(store));
        written[1] = succeeds_or_io(kvds_set(store, BYTES("b"), BYTES("2")));
        succeeds_or_io(kvds_sync(store));
        kvds_store_release(store);
    } else {
        must(!is_there(PATH(base, "store")));
    }
    const bool reached = preload_seen() > skip;
    preload_heal();
    store = open_store(distributor, "store", KVDS_DISK);
    must(has(store, BYTES("a"), BYTES("1")) || !written[0]);
    must(has(store, BYTES("b"), BYTES("2")) || !written[1]);
    must_ok(kvds_set(store, BYTES("a"), BYTES("3")));
    kvds_store_release(store);
    kvds_distributor_release(distributor);
    remove_directory(base);
    return reached;
}

static void any_single_failed_call_loses_no_acknowledged_write(void **state)
{
    static const struct {
        const char *name;
        unsigned kind;
    } kinds[] = {
        { "create", PRELOAD_CREATE }, { "open", PRELOAD_OPEN },     { "write", PRELOAD_WRITE },
        { "sync", PRELOAD_SYNC },     { "rename", PRELOAD_RENAME }, { "remove", PRELOAD_REMOVE },
        { "resize", PRELOAD_RESIZE },
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        unsigned long skip = 0;
        while (work_with_a_failed_call(kinds[i].kind, skip))
            skip++;
        print_message("    %s: %lu calls\n", kinds[i].name, skip);
        must(skip > 0);
    }
}

int main(int count, char **arguments)
{
    begin_fault_tests(table, COUNT_OF(table), count, arguments);
    const struct CMUnitTest tests[] = {
        FAULT_TESTS,
        cmocka_unit_test(concurrent_writers_continue_after_each_fault),
        cmocka_unit_test(any_single_failed_call_loses_no_acknowledged_write),
    };
    return HAS_DISK ? cmocka_run_group_tests_name("write_errors", tests, NULL, NULL) : 0;
}
