/* Calls on threads with small stacks, and on threads that are cancelled. */

#include "check.h"

#include <limits.h>
#include <signal.h>
#include <sys/mman.h>

/*
 * The header promises this for an optimized library. Other builds and sanitizers have larger
 * frames.
 */
enum { SMALL_STACK = 80 << 10 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(KVDS_TEST_UNOPTIMIZED)
#define LARGE_FRAMES true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LARGE_FRAMES true
#endif
#endif
#ifndef LARGE_FRAMES
#define LARGE_FRAMES false
#endif

static void use(kvds_distributor *distributor, kvds_backend backend, const char *copy)
{
    /* Static, so that the stack is for the library. */
    static kvds_bytes keys[64];
    static struct text texts[64];
    static kvds_value values[64];
    static kvds_status statuses[64];
    kvds_store *store = open_store(distributor, "used", backend), *view;
    kvds_value value;
    kvds_cursor *cursor;
    kvds_stats stats;
    int64_t number;
    const size_t count = FULL(5000, 200000);
    static const char long_value[1000];
    for (size_t i = 0; i < count; i++) {
        const struct text key = text_of("key-%zu", i);
        must_ok(kvds_set(store, key.data, key.len, long_value, sizeof long_value));
    }
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        texts[i] = text_of("key-%zu", i);
        keys[i] = (kvds_bytes){ texts[i].data, texts[i].len };
    }
    for (int times = 0; times < 2; times++) {
        must_ok(kvds_multi_get(store, keys, COUNT_OF(keys), values, statuses));
        for (size_t i = 0; i < COUNT_OF(keys); i++)
            kvds_value_release(&values[i]);
        must_ok(kvds_get(store, BYTES("key-7"), &value));
        kvds_value_release(&value);
        must_ok(kvds_iterate(store, NULL, 0, pass_over, NULL));
        must_ok(kvds_store_snapshot(store, &view));
        must_ok(kvds_cursor_new(view, NULL, &cursor));
        must_ok(kvds_cursor_last(cursor));
        kvds_cursor_free(cursor);
        kvds_store_release(view);
        must_ok(kvds_set_nx(store, BYTES("a"), BYTES("1")));
        must_ok(kvds_compare_and_swap(store, BYTES("a"), BYTES("1"), BYTES("2")));
        must_ok(kvds_add(store, BYTES("a"), 1, &number));
        must_ok(kvds_del(store, BYTES("a")));
        must_ok(kvds_store_stats(store, &stats, sizeof stats));
        must_ok(kvds_sync(store));
        must_ok(kvds_compact(store));
    }
    if (HAS_DISK)
        must_ok(kvds_checkpoint(store, copy));
    must_ok(kvds_delete_prefix(store, BYTES("key-1")));
    must_return(KVDS_INVALID_ARGUMENT, kvds_set(store, NULL, 1, NULL, 0));
    kvds_store_release(store);
    if (backend == KVDS_DISK) {
        kvds_store_release(open_store(distributor, "used", backend));
        must_ok(kvds_distributor_destroy_store(distributor, "used"));
    }
}

static void *use_and_end(void *argument)
{
    const struct fixture *f = argument;
    static char copy[PATH_MAX];
    use(f->distributor, f->backend, path_of(copy, f->base, "copy"));
    return NULL;
}

/* Programs with a thousand threads give each a small stack. A guard page follows it. */
static void a_small_stack_is_enough(void **state)
{
    struct fixture *f = *state;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = LARGE_FRAMES ? 4 << 20 : SMALL_STACK;
    char *stack = mmap(NULL, page + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(stack != MAP_FAILED);
    assert_int_equal(mprotect(stack + page, size, PROT_READ | PROT_WRITE), 0);
    pthread_attr_t attributes;
    pthread_t thread;
    assert_int_equal(pthread_attr_init(&attributes), 0);
    assert_int_equal(pthread_attr_setstack(&attributes, stack + page, size), 0);
    assert_int_equal(pthread_create(&thread, &attributes, use_and_end, f), 0);
    join(thread);
    pthread_attr_destroy(&attributes);
    munmap(stack, page + size);
}

static void *write_for_ever(void *argument)
{
    const struct fixture *f = argument;
    for (;;) {
        int before;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
        must_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
        must_ok(kvds_sync(f->store));
        pthread_setcancelstate(before, NULL);
        pthread_testcancel();
    }
    return NULL;
}

/* As the header recommends. */
static void a_thread_is_cancelled_between_calls(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < FULL(5, 100); i++) {
        pthread_t thread = start(write_for_ever, f);
        void *result;
        usleep(2000);
        assert_int_equal(pthread_cancel(thread), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_true(result == PTHREAD_CANCELED);
        assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
        assert_true(has(f->store, BYTES("key"), BYTES("value")));
    }
}

static void *sync_for_ever(void *argument)
{
    const struct fixture *f = argument;
    for (;;) {
        kvds_set(f->store, BYTES("key"), BYTES("value"));
        kvds_sync(f->store);
    }
    return NULL;
}

/* The process aborts, as a lock of the library would stay locked. No acknowledged write is lost. */
static void cancelling_inside_a_call_ends_the_process(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(release_store(f), 0);
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        /* Discards the message of the abort. */
        must(freopen("/dev/null", "w", stderr) != NULL);
        struct fixture own = { .distributor = kvds_distributor_new(f->base) };
        own.store = open_store(own.distributor, "store", KVDS_DISK);
        must_ok(kvds_set(own.store, BYTES("acknowledged"), BYTES("value")));
        pthread_t thread = start(sync_for_ever, &own);
        usleep(2000);
        pthread_cancel(thread);
        pthread_join(thread, NULL);
        _exit(0);
    }
    assert_int_equal(exit_status_of(child), 128 + SIGABRT);
    f->store = open_again(f);
    assert_true(has(f->store, BYTES("acknowledged"), BYTES("value")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_small_stack_is_enough),
        ON_BOTH(a_thread_is_cancelled_between_calls),
        ON_DISK(cancelling_inside_a_call_ends_the_process),
    };
    return RUN("caller_threads", tests);
}
