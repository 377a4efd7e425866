/* Cluster stores through the C interface. KVDS_TEST_CLUSTER names the cluster; without one, the
 * tests are left out. */

#include "check.h"

#include <signal.h>
#include <sys/mman.h>

static const char *url(void) { return getenv("KVDS_TEST_CLUSTER"); }

static kvds_distributor *distributor_on(const char *cluster, uint64_t milliseconds)
{
    kvds_distributor *distributor;
    kvds_options *options = kvds_options_new();
    must_ok(kvds_options_set_cluster(options, cluster));
    must_ok(kvds_options_set_cluster_timeout_ms(options, milliseconds));
    must_ok(kvds_distributor_open(NULL, options, &distributor));
    kvds_options_free(options);
    return distributor;
}

static int open_fixture(void **state)
{
    static struct fixture f;
    f.backend = KVDS_CLUSTER;
    make_directory(f.base);
    f.distributor = distributor_on(url(), 10000);
    f.store = open_again(&f);
    /* A broken connection must not end the program, whatever it does about this signal. */
    signal(SIGPIPE, SIG_DFL);
    *state = &f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    if (f->store)
        release_store(f);
    must_ok(kvds_distributor_destroy(f->distributor, "store", KVDS_CLUSTER));
    release_distributor(f);
    remove_directory(f->base);
    return 0;
}

static void *call_everything(void *argument)
{
    struct fixture *f = argument;
    static kvds_value values[3];
    static kvds_status statuses[3];
    const kvds_bytes keys[] = { { "a", 1 }, { "b", 1 }, { "none", 4 } };
    const kvds_pair pairs[] = { { "a", 1, "1", 1 }, { "b", 1, "2", 1 }, { "c", 1, "3", 1 } };
    kvds_store *view, *scope;
    kvds_cursor *cursor;
    kvds_batch *batch = kvds_batch_new();
    kvds_value value;
    kvds_stats stats;
    int64_t number;
    must_ok(kvds_set_batch(f->store, pairs, COUNT_OF(pairs)));
    must_ok(kvds_multi_get(f->store, keys, COUNT_OF(keys), values, statuses));
    must(statuses[0] == KVDS_OK && statuses[1] == KVDS_OK && statuses[2] == KVDS_NOT_FOUND);
    for (size_t i = 0; i < COUNT_OF(values); i++)
        kvds_value_release(&values[i]);
    must_ok(kvds_store_snapshot(f->store, &view));
    must_ok(kvds_set(f->store, BYTES("b"), BYTES("22")));
    must(has(view, BYTES("b"), BYTES("2")) && has(f->store, BYTES("b"), BYTES("22")));
    must_ok(kvds_cursor_new(view, NULL, &cursor));
    must_ok(kvds_cursor_last(cursor));
    must_ok(kvds_cursor_prev(cursor));
    must(kvds_cursor_valid(cursor));
    kvds_cursor_free(cursor);
    kvds_store_release(view);
    must_ok(kvds_store_scope(f->store, BYTES("scope/"), &scope));
    must_ok(kvds_set_nx(scope, BYTES("x"), BYTES("1")));
    must_return(KVDS_EXISTS, kvds_set_nx(scope, BYTES("x"), BYTES("2")));
    must_return(KVDS_MISMATCH, kvds_compare_and_swap(scope, BYTES("x"), BYTES("0"), BYTES("2")));
    must_ok(kvds_compare_and_swap(scope, BYTES("x"), BYTES("1"), BYTES("2")));
    must_ok(kvds_compare_and_delete(scope, BYTES("x"), BYTES("2")));
    must_return(KVDS_NOT_FOUND, kvds_del(scope, BYTES("x")));
    kvds_store_release(scope);
    must_ok(kvds_add(f->store, BYTES("number"), 5, &number));
    must(number == 5);
    must_ok(kvds_batch_expect(batch, BYTES("a"), BYTES("1")));
    must_ok(kvds_batch_del(batch, BYTES("a")));
    must_ok(kvds_write(f->store, batch));
    must_return(KVDS_MISMATCH, kvds_write(f->store, batch));
    kvds_batch_free(batch);
    must_ok(kvds_store_stats(f->store, &stats, sizeof stats));
    must(stats.keys == 3);
    must_ok(kvds_store_property(f->store, "etcd.version", &value));
    must(value.len > 0);
    kvds_value_release(&value);
    must_ok(kvds_sync(f->store));
    must_ok(kvds_compact(f->store));
    must_ok(kvds_refresh(f->store));
    must_ok(kvds_delete_prefix(f->store, NULL, 0));
    must_ok(kvds_iterate(f->store, NULL, 0, pass_over, NULL));
    return NULL;
}

static void every_call_works(void **state) { call_everything(*state); }

static size_t descriptors(void) { return entries_in("/proc/self/fd"); }

static void many_calls_leak_no_descriptors(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    const size_t before = descriptors();
    for (size_t i = 0; i < FULL(1000, 10000); i++)
        must(has(f->store, BYTES("key"), BYTES("value")));
    assert_int_equal(descriptors(), before);
}

enum { THREADS = 16, STORES = 16 };

static void *use_stores(void *argument)
{
    kvds_store **stores = argument;
    for (size_t i = 0; i < STORES; i++) {
        must_ok(kvds_set(stores[i], BYTES("key"), BYTES("value")));
        must(has(stores[i], BYTES("key"), BYTES("value")));
    }
    return NULL;
}

static void stores_share_connections(void **state)
{
    struct fixture *f = *state;
    kvds_store *stores[STORES];
    pthread_t threads[THREADS];
    const size_t before = descriptors();
    for (size_t i = 0; i < STORES; i++)
        stores[i] = open_store(f->distributor, text_of("store-%zu", i).data, KVDS_CLUSTER);
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = start(use_stores, stores);
    for (size_t i = 0; i < THREADS; i++)
        join(threads[i]);
    assert_true(descriptors() <= before + THREADS);
    for (size_t i = 0; i < STORES; i++) {
        kvds_store_release(stores[i]);
        assert_ok(
            kvds_distributor_destroy(f->distributor, text_of("store-%zu", i).data, KVDS_CLUSTER));
    }
}

static void use_inherited(struct fixture *f)
{
    must_return_everywhere(KVDS_FORKED, f->store);
    kvds_store *store;
    must_return(KVDS_FORKED,
                kvds_distributor_get_or_create(f->distributor, "other", KVDS_CLUSTER, &store));
    must(release_store(f) == 0);
    must(release_distributor(f) == 0);
    kvds_distributor *own = distributor_on(url(), 10000);
    store = open_store(own, "store", KVDS_CLUSTER);
    must(has(store, BYTES("parent"), BYTES("1")));
    must_ok(kvds_set(store, BYTES("child"), BYTES("1")));
    kvds_store_release(store);
    kvds_distributor_release(own);
}

static void a_forked_child_leaves_the_connections_alone(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set(f->store, BYTES("parent"), BYTES("1")));
    for (int children = 0; children < 3; children++) {
        fflush(NULL);
        const pid_t child = fork();
        must(child >= 0);
        if (child == 0) {
            use_inherited(f);
            _exit(0);
        }
        assert_int_equal(exit_status_of(child), 0);
        assert_true(has(f->store, BYTES("child"), BYTES("1")));
        assert_ok(kvds_del(f->store, BYTES("child")));
    }
}

static void what_the_cluster_cannot_hold_is_refused(void **state)
{
    struct fixture *f = *state;
    const size_t len = 4 << 20;
    char *value = calloc(1, len);
    must(value != NULL);
    assert_returns(KVDS_UNSUPPORTED, kvds_set(f->store, BYTES("large"), value, len));
    assert_error_says("max-request-bytes");
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("large")));
    assert_ok(kvds_set(f->store, BYTES("large"), value, 1 << 20));
    free(value);
}

/* Two distributors stand for two processes. */
static void another_process_shares_and_destroys_a_store(void **state)
{
    struct fixture *f = *state;
    kvds_distributor *other = distributor_on(url(), 10000);
    kvds_store *shared = open_store(f->distributor, "shared", KVDS_CLUSTER);
    kvds_store *theirs = open_store(other, "shared", KVDS_CLUSTER);
    assert_ok(kvds_set(shared, BYTES("key"), BYTES("value")));
    assert_true(has(theirs, BYTES("key"), BYTES("value")));
    assert_returns(KVDS_BUSY, kvds_distributor_destroy(other, "shared", KVDS_CLUSTER));
    kvds_store_release(theirs);
    assert_ok(kvds_distributor_destroy(other, "shared", KVDS_CLUSTER));
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy(other, "shared", KVDS_CLUSTER));
    assert_returns(KVDS_CLOSED, kvds_set(shared, BYTES("key"), BYTES("value")));
    assert_error_says("destroyed");
    kvds_store_release(shared);
    kvds_distributor_release(other);
}

static void options_forbid_what_they_forbid(void **state)
{
    struct fixture *f = *state;
    const char *const forbidding[][2] = { { "read_only", "1" }, { "create_if_missing", "0" } };
    for (size_t i = 0; i < COUNT_OF(forbidding); i++) {
        kvds_options *options = kvds_options_new();
        kvds_distributor *other;
        kvds_store *store;
        must_ok(kvds_options_set_cluster(options, url()));
        must_ok(kvds_options_set(options, forbidding[i][0], forbidding[i][1]));
        must_ok(kvds_distributor_open(NULL, options, &other));
        kvds_options_free(options);
        assert_returns(KVDS_NOT_FOUND,
                       kvds_distributor_get_or_create(other, "absent", KVDS_CLUSTER, &store));
        store = open_store(other, "store", KVDS_CLUSTER);
        assert_returns(i == 0 ? KVDS_DENIED : KVDS_OK,
                       kvds_set(store, BYTES("key"), BYTES("value")));
        kvds_store_release(store);
        kvds_distributor_release(other);
    }
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
}

static int set_in(void *store, const void *key, size_t key_len, const void *value, size_t value_len)
{
    must_ok(kvds_set(store, key, key_len, value, value_len));
    return 1;
}

static int compare_with(void *store, const void *key, size_t key_len, const void *value,
                        size_t value_len)
{
    must(has(store, key, key_len, value, value_len));
    return 1;
}

static void a_store_is_copied_to_disk_and_back(void **state)
{
    struct fixture *f = *state;
    kvds_store *copy, *back;
    for (size_t i = 0; i < 100; i++) {
        const struct text key = text_of("key-%zu", i);
        assert_ok(kvds_set(f->store, key.data, key.len, BYTES("value")));
    }
    assert_ok(kvds_checkpoint(f->store, PATH(f->base, "copy")));
    assert_ok(kvds_store_open(PATH(f->base, "copy"), NULL, &copy));
    back = open_store(f->distributor, "back", KVDS_CLUSTER);
    assert_ok(kvds_iterate(copy, NULL, 0, set_in, back));
    assert_ok(kvds_iterate(f->store, NULL, 0, compare_with, back));
    assert_ok(kvds_iterate(back, NULL, 0, compare_with, f->store));
    kvds_store_release(copy);
    kvds_store_release(back);
    assert_ok(kvds_distributor_destroy(f->distributor, "back", KVDS_CLUSTER));
}

static void a_cluster_that_is_not_there_is_busy(void **state)
{
    (void)state;
    kvds_distributor *distributor = distributor_on("etcd://127.0.0.1:1", 300);
    kvds_store *store;
    assert_returns(KVDS_BUSY,
                   kvds_distributor_get_or_create(distributor, "store", KVDS_CLUSTER, &store));
    assert_error_says("127.0.0.1:1");
    assert_error_says("cluster_timeout_ms");
    assert_null(store);
    kvds_distributor_release(distributor);
}

/* As caller_threads.c does for the other backends. Frames of other builds are larger. */
static void a_small_stack_is_enough(void **state)
{
#ifdef KVDS_TEST_UNOPTIMIZED
    const size_t size = 4 << 20;
#else
    const size_t size = 80 << 10;
#endif
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct fixture *f = *state;
    char *stack = mmap(NULL, page + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(stack != MAP_FAILED);
    assert_int_equal(mprotect(stack + page, size, PROT_READ | PROT_WRITE), 0);
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack + page, size), 0);
    assert_int_equal(pthread_create(&thread, &attributes, call_everything, f), 0);
    join(thread);
    pthread_attr_destroy(&attributes);
    munmap(stack, page + size);
}

#define ON_CLUSTER(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_CLUSTER(every_call_works),
        ON_CLUSTER(many_calls_leak_no_descriptors),
        ON_CLUSTER(stores_share_connections),
        ON_CLUSTER(a_forked_child_leaves_the_connections_alone),
        ON_CLUSTER(what_the_cluster_cannot_hold_is_refused),
        ON_CLUSTER(another_process_shares_and_destroys_a_store),
        ON_CLUSTER(options_forbid_what_they_forbid),
        ON_CLUSTER(a_small_stack_is_enough),
        ON_CLUSTER(a_cluster_that_is_not_there_is_busy),
        ON_CLUSTER(a_store_is_copied_to_disk_and_back),
    };
    if (!url()) {
        puts("left out: there is no etcd");
        return 0;
    }
    /* The last one needs disk stores. */
    return _cmocka_run_group_tests("cluster", tests, COUNT_OF(tests) - !HAS_DISK, NULL, NULL);
}
