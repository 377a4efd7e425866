/* A process that cannot start threads, as in a container with a limit on processes. */

#include "check.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>

/* How many more threads can be started, and how many were requested. */
static atomic_int left = INT_MAX, wanted;

/* Sanitizers replace pthread_create and must see every thread. */
#if defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED true
#endif
#endif

#ifndef IS_SANITIZED
#define IS_SANITIZED false
/* Replaces that of the C library for the program, the library and RocksDB. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
    static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!next)
        *(void **)&next = dlsym(RTLD_NEXT, "pthread_create");
    atomic_fetch_add(&wanted, 1);
    return atomic_fetch_sub(&left, 1) > 0 ? next(thread, attributes, run, argument) : EAGAIN;
}
#endif

static void on_message(void *user_data, kvds_log_level level, const char *text)
{
    (void)user_data, (void)level, (void)text;
}

/* The call returns a status with a text, and restores the signal mask of the thread. */
static bool succeeds(kvds_status status, const char *call)
{
    sigset_t blocked;
    must(sigprocmask(SIG_BLOCK, NULL, &blocked) == 0);
    must(sigisemptyset(&blocked));
    if (status == KVDS_OK)
        return true;
    if (status != KVDS_IO && status != KVDS_NO_MEMORY)
        give_up(__FILE__, __LINE__, call, kvds_status_name(status));
    must(strstr(kvds_last_error(), "thread"));
    return false;
}

#define TRY(call) succeeds(call, #call)

static bool sets_log_callback(void)
{
    return TRY(kvds_set_log_callback(KVDS_LOG_DEBUG, on_message, NULL));
}

/* RocksDB's two that flush and compact, one that syncs, one that calls the log callback. */
enum { MOST = 4 };

/* Opens a store, writes, flushes, syncs and compacts. Returns whether it could be opened. */
static bool writes(const char *base, bool is_limited)
{
    kvds_store *store;
    kvds_distributor *own = kvds_distributor_new(base);
    bool opens = TRY(kvds_distributor_get_or_create(own, "written", KVDS_DISK, &store));
    if (opens) {
        must(!is_limited || atomic_load(&wanted) <= MOST);
        must_ok(kvds_set(store, BYTES("key"), BYTES("value")));
        must_ok(kvds_sync(store));
        must_ok(kvds_compact(store));
        must_ok(kvds_set(store, BYTES("other"), BYTES("value")));
        must_ok(kvds_compact(store));
        must(has(store, BYTES("key"), BYTES("value")));
        must(kvds_store_release(store) == 0);
    } else {
        must(store == NULL);
        must(!is_there(PATH(base, "written")));
    }
    kvds_distributor_release(own);
    return opens;
}

static bool reads(const char *base)
{
    kvds_store *store;
    kvds_distributor *own = distributor_with(base, "read_only", "true");
    bool opens = TRY(kvds_distributor_get_or_create(own, "store", KVDS_DISK, &store));
    if (opens) {
        must(has(store, BYTES("key"), BYTES("value")));
        must(kvds_store_release(store) == 0);
    }
    kvds_distributor_release(own);
    return opens;
}

/* Runs with so many threads. Returns whether all calls succeeded. */
static bool works_with(int threads, const char *base, bool log_first)
{
    atomic_store(&wanted, 0);
    atomic_store(&left, threads);
    bool set_log = log_first && sets_log_callback();
    bool did_read = reads(base);
    bool wrote = writes(base, true);
    bool works = (!log_first || set_log) && did_read && wrote;

    /* With more threads, the same calls succeed. */
    atomic_store(&left, INT_MAX);
    must(!log_first || sets_log_callback());
    must(reads(base));
    must(writes(base, false));
    must_ok(kvds_set_log_callback(KVDS_LOG_DEBUG, NULL, NULL));
    return works;
}

/* The exit status of a child. One that hangs may block all signals, so alarm() does not end it. */
static int exit_status_in_time(pid_t child)
{
    for (int waits = 0; waits < 30000; waits++) {
        int status;
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        usleep(10000);
    }
    must(kill(child, SIGKILL) == 0);
    return exit_status_of(child);
}

/*
 * Tries every number of threads, each in a process without threads of the library, up to the number
 * with which all calls succeed.
 */
static void with_any_number_of_threads_calls_succeed_or_fail_cleanly(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    for (int log_first = 0; log_first < 2; log_first++) {
        int threads = 0;
        for (bool works = false; !works; threads++) {
            fflush(NULL);
            pid_t child = fork();
            assert_true(child >= 0);
            if (child == 0) {
                works = works_with(threads, f->base, log_first);
                _exit(works);
            }
            int status = exit_status_in_time(child);
            assert_in_range(status, 0, 1);
            works = status == 1;
            char written[PATH_MAX];
            remove_directory(path_of(written, f->base, "written"));
        }
        /* The last process got as many threads as it requested. */
        assert_in_range(threads - 1, 2, MOST);
    }
}

/*
 * A time to live needs a thread, which deletes the keys. Without it the key is not set, as it would
 * never expire. Everything else works.
 */
static void without_a_thread_no_time_to_live_is_set(void **state)
{
    const struct fixture *f = *state;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        kvds_distributor *own = kvds_distributor_new(f->base);
        kvds_store *store = open_store(own, "own", f->backend);
        kvds_batch *batch = kvds_batch_new();
        kvds_watch *watch;
        kvds_change change;
        int64_t left_ms;
        must_ok(kvds_batch_set(batch, BYTES("a"), BYTES("1")));
        must_ok(kvds_batch_set_ttl(batch, BYTES("b"), BYTES("1"), 1));
        must_ok(kvds_watch_new(store, NULL, &watch));
        must_ok(kvds_set(store, BYTES("key"), BYTES("value")));
        atomic_store(&left, 0);
        must(!TRY(kvds_set_ttl(store, BYTES("a"), BYTES("1"), 1)));
        must(!TRY(kvds_set_nx_ttl(store, BYTES("a"), BYTES("1"), 1)));
        must(!TRY(kvds_expire(store, BYTES("key"), 1)));
        must(!TRY(kvds_write(store, batch)));
        must_return(KVDS_NOT_FOUND, kvds_exists(store, BYTES("a")));
        must_ok(kvds_ttl(store, BYTES("key"), &left_ms));
        must(left_ms == -1);
        must_ok(kvds_expire(store, BYTES("key"), 0));
        must_ok(kvds_set(store, BYTES("key"), BYTES("other")));
        for (int i = 0; i < 3; i++) {
            must_ok(kvds_watch_next(watch, 0, &change));
            must(change.kind == KVDS_CHANGE_SET && change.key_len == 3);
        }
        must_return(KVDS_NOT_FOUND, kvds_watch_next(watch, 0, &change));

        /* Later, the system may allow a thread. */
        atomic_store(&left, INT_MAX);
        must_ok(kvds_write(store, batch));
        for (int waits = 0; kvds_exists(store, BYTES("b")) == KVDS_OK; waits++) {
            must(waits < 30000);
            usleep(10000);
        }
        must(has(store, BYTES("a"), BYTES("1")));
        kvds_watch_free(watch);
        kvds_batch_free(batch);
        must(kvds_store_release(store) == 0);
        kvds_distributor_release(own);
        _exit(0);
    }
    assert_int_equal(exit_status_in_time(child), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(with_any_number_of_threads_calls_succeed_or_fail_cleanly),
        ON_BOTH(without_a_thread_no_time_to_live_is_set),
    };
    return IS_SANITIZED ? 0 : RUN("refused threads", tests);
}
