/* What a forked child may do with inherited stores, without an effect on the parent. */

#include "check.h"

#include <poll.h>

/* Ends a child that hangs, so that the test fails. */
enum { FOR_EVER = 300 };

/* The fixture, and values that a child inherits. */
struct inheritance {
    struct fixture *f;
    kvds_value big, small;
    kvds_watch *watch;
    int parent_is_done;
};

/* Runs a function in a forked child, which ends with _exit(). */
static pid_t start_child(void (*run)(struct inheritance *), struct inheritance *inheritance)
{
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        run(inheritance);
        _exit(0);
    }
    return child;
}

static void run_child(void (*run)(struct inheritance *), struct inheritance *inheritance)
{
    assert_int_equal(exit_status_of(start_child(run, inheritance)), 0);
}

static const char big[1 << 20] = "big";

static void use_inherited_disk_store(struct inheritance *inherited)
{
    struct fixture *f = inherited->f;
    kvds_store *store = f->store;
    must_return_everywhere(KVDS_FORKED, f->store);
    must(kvds_is_open(f->store) == 0);
    must_return(KVDS_FORKED,
                kvds_distributor_get_or_create(f->distributor, "store", KVDS_DISK, &store));
    must(store == NULL);
    must_return(KVDS_FORKED,
                kvds_distributor_get_or_create(f->distributor, "other", KVDS_DISK, &store));
    must_return(KVDS_FORKED, kvds_distributor_get(f->distributor, "store", KVDS_DISK, &store));
    must_return(KVDS_FORKED, kvds_distributor_evict(f->distributor, "store", KVDS_DISK));
    must_return(KVDS_FORKED, kvds_distributor_destroy_store(f->distributor, "store"));
    must(strstr(kvds_last_error(), "fork") != NULL);

    /* Releases work as usual. The value is released last. */
    must(release_store(f) == 0);
    must_ok(kvds_distributor_shutdown(f->distributor));
    must(release_distributor(f) == 0);
    must(inherited->big.len == sizeof big && memcmp(inherited->big.data, big, sizeof big) == 0);
    must(inherited->small.len == 5 && memcmp(inherited->small.data, "value", 5) == 0);
    kvds_value_release(&inherited->big);
    kvds_value_release(&inherited->small);
    must(inherited->big.data == NULL);
}

static void an_inherited_disk_store_returns_forked(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    assert_ok(kvds_set(f->store, BYTES("big"), big, sizeof big));
    assert_ok(kvds_set(f->store, BYTES("small"), BYTES("value")));
    assert_ok(kvds_get(f->store, BYTES("big"), &inheritance.big));
    assert_ok(kvds_get(f->store, BYTES("small"), &inheritance.small));
    for (int children = 0; children < 3; children++)
        run_child(use_inherited_disk_store, &inheritance);

    assert_ok(kvds_set(f->store, BYTES("after"), BYTES("value")));
    assert_memory_equal(inheritance.big.data, big, sizeof big);
    kvds_value_release(&inheritance.big);
    kvds_value_release(&inheritance.small);
    assert_int_equal(release_store(f), 0);
    f->store = open_again(f);
    assert_true(has(f->store, BYTES("big"), big, sizeof big));
    assert_true(has(f->store, BYTES("small"), BYTES("value")));
    assert_true(has(f->store, BYTES("after"), BYTES("value")));
}

static void use_inherited_memory_store(struct inheritance *inherited)
{
    struct fixture *f = inherited->f;
    must(has(f->store, BYTES("key"), BYTES("value")));
    must_ok(kvds_set(f->store, BYTES("key"), BYTES("child's")));
    must_ok(kvds_set_nx(f->store, BYTES("new"), BYTES("child's")));
    must(has(f->store, BYTES("key"), BYTES("child's")));
    kvds_store *other = open_store(f->distributor, "other", KVDS_MEMORY);
    must_ok(kvds_set(other, BYTES("key"), BYTES("value")));
    must(kvds_store_release(other) == 0);
    must(release_store(f) == 0);
    must(release_distributor(f) == 0);
}

static void a_memory_store_continues_as_a_copy(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    run_child(use_inherited_memory_store, &inheritance);
    assert_true(has(f->store, BYTES("key"), BYTES("value")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("new")));
    assert_int_equal(kvds_store_ref_count(f->store), 1);
}

static bool expires_in_time(kvds_store *store, const void *key, size_t key_len)
{
    kvds_status status = KVDS_OK;
    for (int waits = 0; waits < 30000 && status == KVDS_OK; waits++) {
        usleep(10000);
        status = kvds_exists(store, key, key_len);
    }
    return status == KVDS_NOT_FOUND;
}

enum { LONG = 3600 * 1000 };

/*
 * The child has no thread that deletes what expires, until it sets a time to live itself. Then it
 * has one of its own, which deletes the inherited keys too.
 */
static void use_inherited_deadlines(struct inheritance *inherited)
{
    struct fixture *f = inherited->f;
    int64_t left;
    must_ok(kvds_ttl(f->store, BYTES("later"), &left));
    must(left > 0);
    must_ok(kvds_expire(f->store, BYTES("later"), 0));
    must_ok(kvds_set(f->store, BYTES("due 0"), BYTES("child's")));
    must_ok(kvds_del(f->store, BYTES("due 1")));
    must_ok(kvds_set_ttl(f->store, BYTES("own"), BYTES("value"), 1));
    must(expires_in_time(f->store, BYTES("own")));
    for (int i = 2; i < 100; i++) {
        const struct text key = text_of("due %d", i);
        must(expires_in_time(f->store, key.data, key.len));
    }
    must(has(f->store, BYTES("due 0"), BYTES("child's")));
    must(has(f->store, BYTES("later"), BYTES("value")));
    must(release_store(f) == 0);
    must(release_distributor(f) == 0);
}

static void release_inherited_deadlines(struct inheritance *inherited)
{
    must(release_store(inherited->f) == 0);
    must(release_distributor(inherited->f) == 0);
}

static void deadlines_of_a_memory_store_continue_in_a_child(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    for (int round = 0; round < 3; round++) {
        assert_ok(kvds_set_ttl(f->store, BYTES("later"), BYTES("value"), LONG));
        /* Some are deleted while the process forks. */
        for (int i = 0; i < 100; i++) {
            const struct text key = text_of("due %d", i);
            assert_ok(kvds_set_ttl(f->store, key.data, key.len, BYTES("value"),
                                   i < 2 ? LONG : 1 + (uint64_t)i * 20));
        }
        pid_t children[2] = { start_child(use_inherited_deadlines, &inheritance),
                              start_child(release_inherited_deadlines, &inheritance) };
        for (size_t i = 0; i < COUNT_OF(children); i++)
            assert_int_equal(exit_status_of(children[i]), 0);
        for (int i = 2; i < 100; i++) {
            const struct text key = text_of("due %d", i);
            assert_true(expires_in_time(f->store, key.data, key.len));
        }
        assert_true(has(f->store, BYTES("due 0"), BYTES("value")));
        int64_t left;
        assert_ok(kvds_ttl(f->store, BYTES("later"), &left));
        assert_true(left > 0);
    }
}

/* The same when the fork comes at any point of a step that deletes keys. */
static void set_own_deadline(struct inheritance *inherited)
{
    alarm(FOR_EVER);
    must_ok(kvds_set_ttl(inherited->f->store, BYTES("own"), BYTES("value"), LONG));
    must_ok(kvds_expire(inherited->f->store, BYTES("own"), 0));
    must(release_store(inherited->f) == 0);
}

static void a_fork_while_keys_expire_works(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    for (size_t round = 0; round < FULL(40, 400); round++) {
        for (int i = 0; i < 500; i++) {
            const struct text key = text_of("%d", i);
            assert_ok(kvds_set_ttl(f->store, key.data, key.len, BYTES("value"), 1));
        }
        usleep((useconds_t)(round * 37 % 100) * 1000);
        run_child(set_own_deadline, &inheritance);
    }
}

static bool is_readable(int descriptor)
{
    struct pollfd polled = { .fd = descriptor, .events = POLLIN };
    must(poll(&polled, 1, 0) >= 0);
    return polled.revents == POLLIN;
}

/* Uses the watch that the child inherited, as a separate copy. */
static void use_inherited_watch(struct inheritance *inherited)
{
    kvds_change change;
    kvds_watch *watch = inherited->watch;
    alarm(FOR_EVER);
    must_ok(kvds_watch_next(watch, 0, &change));
    must(change.key_len == 1 && memcmp(change.key, "a", 1) == 0);
    must_return(KVDS_NOT_FOUND, kvds_watch_next(watch, 0, &change));
    must_ok(kvds_set(inherited->f->store, BYTES("b"), BYTES("child's")));
    must_ok(kvds_watch_next(watch, -1, &change));
    must(change.key_len == 1 && memcmp(change.key, "b", 1) == 0);
    must_return(KVDS_NOT_FOUND, kvds_watch_next(watch, 0, &change));
    kvds_watch_free(watch);
    must_ok(kvds_watch_new(inherited->f->store, NULL, &watch));
    must(release_store(inherited->f) == 0);
    must_return(KVDS_CLOSED, kvds_watch_next(watch, -1, &change));
    kvds_watch_free(watch);
}

static void a_watch_of_a_memory_store_continues_as_a_copy(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    kvds_change change;
    assert_ok(kvds_watch_new(f->store, NULL, &inheritance.watch));
    assert_ok(kvds_set(f->store, BYTES("a"), BYTES("1")));
    run_child(use_inherited_watch, &inheritance);
    assert_ok(kvds_watch_next(inheritance.watch, 0, &change));
    assert_memory_equal(change.key, "a", 1);
    assert_returns(KVDS_NOT_FOUND, kvds_watch_next(inheritance.watch, 0, &change));
    kvds_watch_free(inheritance.watch);
}

/* What a child reads leaves the descriptor of the parent as it is. */
static void a_child_does_not_change_the_descriptor_of_a_watch(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    kvds_change change;
    assert_ok(kvds_watch_new(f->store, NULL, &inheritance.watch));
    const int descriptor = kvds_watch_fd(inheritance.watch);
    assert_ok(kvds_set(f->store, BYTES("a"), BYTES("1")));
    assert_true(is_readable(descriptor));
    run_child(use_inherited_watch, &inheritance);
    assert_true(is_readable(descriptor));
    assert_ok(kvds_watch_next(inheritance.watch, 0, &change));
    assert_returns(KVDS_NOT_FOUND, kvds_watch_next(inheritance.watch, 0, &change));
    assert_false(is_readable(descriptor));
    kvds_watch_free(inheritance.watch);
}

static void use_inherited_watch_of_disk_store(struct inheritance *inherited)
{
    kvds_change change;
    alarm(FOR_EVER);
    must_return(KVDS_FORKED, kvds_watch_next(inherited->watch, 0, &change));
    must_return(KVDS_FORKED, kvds_watch_next(inherited->watch, -1, &change));
    kvds_watch_free(inherited->watch);
}

/* No write in the child can end a wait, so the watch must not begin one. */
static void an_inherited_watch_of_a_disk_store_returns_forked(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    assert_ok(kvds_watch_new(f->store, NULL, &inheritance.watch));
    run_child(use_inherited_watch_of_disk_store, &inheritance);
    kvds_watch_free(inheritance.watch);
}

static void free_inherited_watch(struct inheritance *inherited)
{
    alarm(FOR_EVER);
    kvds_watch_free(inherited->watch);
    must(release_store(inherited->f) == 0);
    must(release_distributor(inherited->f) == 0);
}

static void a_child_may_free_an_inherited_watch(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    kvds_change change;
    assert_ok(kvds_watch_new(f->store, NULL, &inheritance.watch));
    run_child(free_inherited_watch, &inheritance);
    assert_ok(kvds_set(f->store, BYTES("a"), BYTES("1")));
    assert_ok(kvds_watch_next(inheritance.watch, 0, &change));
    kvds_watch_free(inheritance.watch);
}

/* Creates a disk store, fills it, and finds everything after reopening it. */
static void open_own_store(struct inheritance *inherited)
{
    const size_t count = scaled(5000);
    kvds_distributor *own = kvds_distributor_new(inherited->f->base);
    for (int times = 0; times < 2; times++) {
        kvds_store *store = open_store(own, "child's", KVDS_DISK);
        for (size_t i = 0; i < count; i++) {
            const struct text key = text_of("key-%zu", i);
            if (times == 0)
                must_ok(kvds_set(store, key.data, key.len, big, 1000));
            must(has(store, key.data, key.len, big, 1000));
        }
        must(kvds_store_release(store) == 0);
    }
    kvds_store *store;
    must_return(KVDS_LOCKED, kvds_distributor_get_or_create(own, "store", KVDS_DISK, &store));
    must_return(KVDS_LOCKED, kvds_distributor_destroy_store(own, "store"));
    must(kvds_distributor_release(own) == 0);
}

static void a_child_opens_stores_of_its_own(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    run_child(open_own_store, &inheritance);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    kvds_store *own = open_store(f->distributor, "child's", KVDS_DISK);
    assert_true(has(own, BYTES("key-0"), big, 1000));
    kvds_store_release(own);
}

/* Writes enough for several flushes, in two halves, and compacts. */
static void write_much(const char *base, const char *id)
{
    kvds_distributor *own = kvds_distributor_new(base);
    kvds_store *store = open_store(own, id, KVDS_DISK);
    const size_t count = FULL(24, 60);
    for (size_t half = 0; half < 2; half++) {
        for (size_t i = half; i < count; i += 2) {
            const struct text key = text_of("key-%zu", i);
            must_ok(kvds_set(store, key.data, key.len, big, sizeof big));
        }
        must_ok(kvds_compact(store));
    }
    must(has(store, BYTES("key-0"), big, sizeof big));
    must(kvds_store_release(store) == 0);
    must(kvds_distributor_release(own) == 0);
}

static void write_much_in_child_and_grandchild(struct inheritance *inherited)
{
    alarm(FOR_EVER);
    const char *base = inherited->f->base;
    write_much(base, "child's");
    fflush(NULL);
    pid_t grandchild = fork();
    must(grandchild >= 0);
    if (grandchild == 0) {
        alarm(FOR_EVER);
        write_much(base, "grandchild's");
        _exit(0);
    }
    must(exit_status_of(grandchild) == 0);
    write_much(base, "child's");
}

/*
 * In programs that fork workers, as Python's multiprocessing does, every worker hung when its store
 * was flushed: RocksDB's pools counted the parent's threads as waiting for work.
 */
static void children_flush_and_compact(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    write_much(f->base, "parent's");
    run_child(write_much_in_child_and_grandchild, &inheritance);
    /* The same when no store is open any more. */
    assert_int_equal(release_store(f), 0);
    assert_int_equal(release_distributor(f), 0);
    run_child(write_much_in_child_and_grandchild, &inheritance);
    write_much(f->base, "parent's");
}

/* Writes so much that RocksDB's threads still work when this function returns. */
static void keep_busy(kvds_store *store, size_t round)
{
    for (size_t i = 0; i < 16; i++) {
        const struct text key = text_of("key-%zu", (7 * i + round) % 32);
        must_ok(kvds_set(store, key.data, key.len, big, sizeof big));
    }
}

static void write_a_little(struct inheritance *inherited)
{
    alarm(FOR_EVER);
    kvds_distributor *own = kvds_distributor_new(inherited->f->base);
    kvds_store *store = open_store(own, "child's", KVDS_DISK);
    must_ok(kvds_set(store, BYTES("key"), BYTES("value")));
    must_ok(kvds_compact(store));
    must(has(store, BYTES("key"), BYTES("value")));
    must(kvds_store_release(store) == 0);
    must(kvds_distributor_release(own) == 0);
}

/* A lock that a RocksDB thread holds during the fork is free in the child. */
static void a_fork_while_the_parent_flushes_works(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    for (size_t round = 0; round < FULL(20, 300); round++) {
        keep_busy(f->store, round);
        run_child(write_a_little, &inheritance);
    }
}

static void leave_to_child(struct inheritance *inherited)
{
    enum { DEPTH = 40 };
    alarm(FOR_EVER);
    for (int depth = 0; depth < DEPTH; depth++) {
        kvds_distributor *own = kvds_distributor_new(inherited->f->base);
        kvds_store *store = open_store(own, "passed on", KVDS_DISK);
        must_ok(kvds_set(store, BYTES("key"), &depth, sizeof depth));
        must_ok(kvds_compact(store));
        must(kvds_store_release(store) == 0);
        must(kvds_distributor_release(own) == 0);
        fflush(NULL);
        pid_t child = fork();
        must(child >= 0);
        if (child > 0)
            _exit(exit_status_of(child));
        alarm(FOR_EVER);
    }
}

/* A daemon may replace itself by a child repeatedly. This once worked only to a depth of 32. */
static void children_of_children_work_at_any_depth(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    run_child(leave_to_child, &inheritance);
}

static void take_over(struct inheritance *inherited)
{
    char byte;
    must(read(inherited->parent_is_done, &byte, 1) == 1);
    kvds_distributor *own = kvds_distributor_new(inherited->f->base);
    kvds_store *store = open_store(own, "store", KVDS_DISK);
    must(has(store, BYTES("key"), BYTES("parent's")));
    must_ok(kvds_set(store, BYTES("key"), BYTES("child's")));
    must(kvds_store_release(store) == 0);
    must(kvds_distributor_release(own) == 0);
}

static void a_child_opens_a_store_that_its_parent_released(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    inheritance.parent_is_done = ends[0];
    pid_t child = start_child(take_over, &inheritance);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("parent's")));
    assert_int_equal(release_store(f), 0);
    assert_int_equal(write(ends[1], "!", 1), 1);
    int status = exit_status_of(child);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(status, 0);

    f->store = open_again(f);
    assert_true(has(f->store, BYTES("key"), BYTES("child's")));
}

static void on_message(void *user_data, kvds_log_level level, const char *text)
{
    (void)user_data, (void)level, (void)text;
}

static void end_the_log(struct inheritance *inherited)
{
    must_ok(kvds_set_log_callback(KVDS_LOG_INFO, NULL, NULL));
    must_ok(kvds_set_log_callback(KVDS_LOG_DEBUG, on_message, NULL));
    write_a_little(inherited);
    must_ok(kvds_set_log_callback(KVDS_LOG_DEBUG, NULL, NULL));
}

/*
 * A fork can come while the thread that calls the log callback holds its lock. The child does not
 * have that thread, and once waited for the lock forever.
 */
static void a_log_callback_works_in_a_child(void **state)
{
    struct fixture *f = *state;
    struct inheritance inheritance = { .f = f };
    assert_ok(kvds_set_log_callback(KVDS_LOG_DEBUG, on_message, NULL));
    for (size_t i = 0; i <= scaled(60); i++) {
        kvds_store_release(open_store(f->distributor, "noise", KVDS_DISK));
        run_child(end_the_log, &inheritance);
    }
    assert_ok(kvds_set_log_callback(KVDS_LOG_INFO, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(an_inherited_disk_store_returns_forked),
        ON_MEMORY(a_memory_store_continues_as_a_copy),
        ON_MEMORY(deadlines_of_a_memory_store_continue_in_a_child),
        ON_MEMORY(a_fork_while_keys_expire_works),
        ON_MEMORY(a_watch_of_a_memory_store_continues_as_a_copy),
        ON_MEMORY(a_child_does_not_change_the_descriptor_of_a_watch),
        ON_DISK(an_inherited_watch_of_a_disk_store_returns_forked),
        ON_BOTH(a_child_may_free_an_inherited_watch),
        ON_DISK(a_child_opens_stores_of_its_own),
        ON_DISK(children_flush_and_compact),
        ON_DISK(a_fork_while_the_parent_flushes_works),
        ON_DISK(children_of_children_work_at_any_depth),
        ON_DISK(a_child_opens_a_store_that_its_parent_released),
        ON_DISK(a_log_callback_works_in_a_child),
    };
    return RUN("fork", tests);
}
