/* Callbacks may call every function, also on the store that calls them. */

#include "check.h"

enum { PAIRS = 100 };

static struct text numbered_key(size_t number) { return text_of("key-%03zu", number); }

/* Sets `count` numbered keys to the same value. */
static void fill(kvds_store *store, size_t count, const char *value)
{
    for (size_t i = 0; i < count; i++) {
        const struct text key = numbered_key(i);
        assert_ok(kvds_set(store, key.data, key.len, value, strlen(value)));
    }
}

/* An iteration over the pairs of `fill`: each in order, with its value before the iteration. */
struct walk {
    struct fixture *f;
    size_t shown;
    /* What the callback also does, and when it stops. */
    void (*act)(struct walk *walk, const char *key, size_t key_len);
    size_t most;
    sem_t reached, go_on;
};

static int look(void *user_data, const void *key, size_t key_len, const void *value,
                size_t value_len)
{
    struct walk *walk = user_data;
    const struct text expected = numbered_key(walk->shown++);
    must(key_len == expected.len && memcmp(key, expected.data, key_len) == 0);
    must(value_len == 6 && memcmp(value, "before", 6) == 0);
    if (walk->act)
        walk->act(walk, key, key_len);
    /* The bytes stay in place until the callback returns, whatever it does. */
    must(memcmp(key, expected.data, key_len) == 0 && memcmp(value, "before", 6) == 0);
    return walk->shown < walk->most;
}

static struct walk walk_of(struct fixture *f, void (*act)(struct walk *, const char *, size_t))
{
    return (struct walk){ .f = f, .act = act, .most = SIZE_MAX };
}

static void iterate_all(struct fixture *f, void (*act)(struct walk *, const char *, size_t))
{
    struct walk walk = walk_of(f, act);
    fill(f->store, PAIRS, "before");
    assert_ok(kvds_iterate(f->store, BYTES("key-"), look, &walk));
    assert_int_equal(walk.shown, PAIRS);
}

/* Writes in every way, before and after the position of the iteration. */
static void write_everywhere(kvds_store *store, const char *key, size_t key_len)
{
    const kvds_pair pairs[] = { { BYTES("key-0"), BYTES("batch") },
                                { BYTES("key-9"), BYTES("batch") } };
    const kvds_bytes keys[] = { { BYTES("key-098") }, { BYTES("key-000") } };
    must_ok(kvds_compare_and_swap(store, key, key_len, BYTES("before"), BYTES("swapped")));
    must_ok(kvds_set(store, BYTES("key-050"), BYTES("before")));
    must_ok(kvds_set(store, BYTES("key-0505"), BYTES("new")));
    must_ok(kvds_set_batch(store, pairs, COUNT_OF(pairs)));
    must_ok(kvds_delete_batch(store, keys, COUNT_OF(keys)));
    must_ok(kvds_set(store, BYTES("key-099"), BYTES("new")));
    must_ok(kvds_del(store, BYTES("key-099")));
    must_ok(kvds_set_nx(store, BYTES("key-099"), BYTES("before")));
    must_ok(kvds_set_nx(store, BYTES("key-098"), BYTES("before")));
}

static void write_in_callback(struct walk *walk, const char *key, size_t key_len)
{
    write_everywhere(walk->f->store, key, key_len);
}

static void an_iteration_sees_no_write_of_its_callback(void **state)
{
    struct fixture *f = *state;
    iterate_all(f, write_in_callback);
    assert_true(has(f->store, BYTES("key-001"), BYTES("swapped")));
    assert_true(has(f->store, BYTES("key-0505"), BYTES("new")));
    assert_true(has(f->store, BYTES("key-9"), BYTES("batch")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("key-000")));
}

static void nest(struct walk *walk, const char *key, size_t key_len)
{
    struct walk inner = walk_of(walk->f, NULL);
    inner.most = walk->shown + 1;
    kvds_status expected = inner.most <= PAIRS ? KVDS_STOPPED : KVDS_OK;
    must_return(expected, kvds_iterate(walk->f->store, BYTES("key-"), look, &inner));
    must_ok(kvds_exists(walk->f->store, key, key_len));
}

static void iterations_nest(void **state) { iterate_all(*state, nest); }

static void a_callback_stops_its_iteration(void **state)
{
    struct fixture *f = *state;
    fill(f->store, PAIRS, "before");
    for (size_t most = 1; most <= PAIRS; most += 33) {
        struct walk walk = walk_of(f, NULL);
        walk.most = most;
        assert_returns(KVDS_STOPPED, kvds_iterate(f->store, NULL, 0, look, &walk));
        assert_int_equal(walk.shown, most);
    }
}

static void release_last(struct walk *walk, const char *key, size_t key_len)
{
    (void)key, (void)key_len;
    if (walk->shown == 1) {
        must(release_store(walk->f) == 0);
    }
}

static void a_callback_may_release_the_last_reference(void **state)
{
    struct fixture *f = *state;
    iterate_all(f, release_last);
    f->store = open_again(f);
    assert_int_equal(kvds_store_tag(f->store), 1);
}

/* Opens the next store of the same name while the iteration of the previous one continues. */
static void release_and_open_again(struct walk *walk, const char *key, size_t key_len)
{
    struct fixture *f = walk->f;
    kvds_status there = f->backend == KVDS_DISK ? KVDS_OK : KVDS_NOT_FOUND;
    if (walk->shown == 1) {
        release_last(walk, key, key_len);
        f->store = open_again(f);
        must(kvds_store_tag(f->store) == 1);
    }
    must_return(there, kvds_exists(f->store, key, key_len));
    must_return(there, kvds_del(f->store, key, key_len));
}

static void a_callback_may_release_and_open_again(void **state)
{
    struct fixture *f = *state;
    iterate_all(f, release_and_open_again);
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("key-099")));
    release_store(f);
    f->store = open_again(f);
}

static void close_store(struct walk *walk, const char *key, size_t key_len)
{
    (void)key, (void)key_len;
    if (walk->shown == 1)
        must_ok(kvds_close(walk->f->store));
    must_return_everywhere(KVDS_CLOSED, walk->f->store);
}

static void a_callback_may_close_the_store(void **state)
{
    struct fixture *f = *state;
    iterate_all(f, close_store);
    release_store(f);
    f->store = open_again(f);
}

static void shut_down(struct walk *walk, const char *key, size_t key_len)
{
    (void)key, (void)key_len;
    must_ok(kvds_distributor_shutdown(walk->f->distributor));
}

static void a_callback_may_shut_down_the_distributor(void **state)
{
    struct fixture *f = *state;
    iterate_all(f, shut_down);
    assert_returns(KVDS_CLOSED, kvds_exists(f->store, BYTES("key-000")));
}

static void ask_again(struct walk *walk, const char *key, size_t key_len)
{
    kvds_store *same = open_again(walk->f);
    must(same == walk->f->store);
    must_ok(kvds_exists(same, key, key_len));
    must(kvds_store_release(same) == 1);
}

static void a_callback_may_open_the_store(void **state) { iterate_all(*state, ask_again); }

/* A long iteration that waits at its first pair until another thread has written. */
static void wait_for_writer(struct walk *walk, const char *key, size_t key_len)
{
    (void)key, (void)key_len;
    if (walk->shown == 1) {
        post(&walk->reached);
        await(&walk->go_on);
    }
}

static void *write_while_walking(void *argument)
{
    struct walk *walk = argument;
    await(&walk->reached);
    write_everywhere(walk->f->store, BYTES("key-000"));
    write_everywhere(walk->f->store, BYTES("key-007"));
    post(&walk->go_on);
    return NULL;
}

static void a_long_iteration_blocks_no_writer(void **state)
{
    struct fixture *f = *state;
    struct walk walk = walk_of(f, wait_for_writer);
    make_semaphore(&walk.reached);
    make_semaphore(&walk.go_on);
    fill(f->store, PAIRS, "before");
    pthread_t writer = start(write_while_walking, &walk);
    assert_ok(kvds_iterate(f->store, BYTES("key-"), look, &walk));
    join(writer);
    assert_int_equal(walk.shown, PAIRS);
    assert_true(has(f->store, BYTES("key-007"), BYTES("swapped")));
}

/* Readers iterate while a writer changes all pairs in one step, repeatedly. */
struct readers {
    struct fixture *f;
    atomic_bool done;
};

struct reading {
    size_t shown;
    uint64_t generation;
};

static int same_generation(void *user_data, const void *key, size_t key_len, const void *value,
                           size_t value_len)
{
    struct reading *reading = user_data;
    uint64_t generation;
    (void)key, (void)key_len;
    must(value_len == sizeof generation);
    memcpy(&generation, value, sizeof generation);
    must(reading->shown++ == 0 || generation == reading->generation);
    reading->generation = generation;
    return 1;
}

static void *iterate_until_done(void *argument)
{
    struct readers *shared = argument;
    uint64_t latest = 0;
    while (!atomic_load(&shared->done)) {
        struct reading reading = { 0, 0 };
        must_ok(kvds_iterate(shared->f->store, BYTES("key-"), same_generation, &reading));
        must(reading.shown == 10 && reading.generation >= latest);
        latest = reading.generation;
    }
    return NULL;
}

static void each_iteration_reads_one_snapshot(void **state)
{
    struct readers shared = { .f = *state };
    pthread_t threads[2];
    for (uint64_t generation = 0; generation < scaled(2000); generation++) {
        struct text keys[10];
        kvds_pair pairs[10];
        for (size_t i = 0; i < COUNT_OF(pairs); i++) {
            keys[i] = numbered_key(i);
            pairs[i] = (kvds_pair){ keys[i].data, keys[i].len, &generation, sizeof generation };
        }
        assert_ok(kvds_set_batch(shared.f->store, pairs, COUNT_OF(pairs)));
        if (generation == 0)
            for (size_t i = 0; i < COUNT_OF(threads); i++)
                threads[i] = start(iterate_until_done, &shared);
    }
    atomic_store(&shared.done, true);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        join(threads[i]);
}

/* A callback of kvds_distributor_for_each. */
static int end_store(void *user_data, const char *id, kvds_backend backend, uint64_t tag,
                     int64_t ref_count)
{
    struct fixture *f = user_data;
    must(strcmp(id, "store") == 0 && backend == f->backend && tag == 0 && ref_count == 1);
    must(release_store(f) == 0);
    f->store = open_again(f);
    must_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    must(release_distributor(f) == 0);
    return 1;
}

static void a_callback_of_for_each_may_close_stores(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_distributor_for_each(f->distributor, end_store, f));
    assert_true(has(f->store, BYTES("key"), BYTES("value")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(an_iteration_sees_no_write_of_its_callback),
        ON_BOTH(iterations_nest),
        ON_BOTH(a_callback_stops_its_iteration),
        ON_BOTH(a_callback_may_release_the_last_reference),
        ON_BOTH(a_callback_may_release_and_open_again),
        ON_BOTH(a_callback_may_close_the_store),
        ON_BOTH(a_callback_may_shut_down_the_distributor),
        ON_BOTH(a_callback_may_open_the_store),
        ON_BOTH(a_long_iteration_blocks_no_writer),
        ON_BOTH(each_iteration_reads_one_snapshot),
        ON_BOTH(a_callback_of_for_each_may_close_stores),
    };
    return RUN("callbacks", tests);
}
