/* Several threads: one live store per name, no lost update, and closing under load. */

#include "check.h"

/* Runs a function on several threads, each with a number and the shared state, and joins them. */
struct worker {
    size_t number;
    void *shared;
};

enum { MOST_WORKERS = 16 };

static void run_workers(size_t count, void *(*run)(void *), void *shared)
{
    struct worker workers[MOST_WORKERS];
    pthread_t threads[MOST_WORKERS];
    assert_true(count <= MOST_WORKERS);
    for (size_t i = 0; i < count; i++) {
        workers[i] = (struct worker){ i, shared };
        threads[i] = start(run, &workers[i]);
    }
    for (size_t i = 0; i < count; i++)
        join(threads[i]);
}

enum { IDS = 4, BACKENDS = HAS_DISK ? 2 : 1, NAMES = IDS * BACKENDS, MOST_STORES = 100000 };

/* A name: its store, as long as a thread has registered that it holds it. */
struct name {
    pthread_mutex_t lock;
    kvds_store *store;
    int holders;
};

struct crowd {
    kvds_distributor *distributor;
    pthread_barrier_t barrier;
    size_t rounds;
    struct name names[NAMES];
    atomic_uchar deaths[MOST_STORES];
};

static void count_death(void *user_data, uint64_t tag, const char *id, kvds_backend backend)
{
    struct crowd *crowd = user_data;
    (void)id, (void)backend;
    must(tag < MOST_STORES);
    must(atomic_fetch_add(&crowd->deaths[tag], 1) == 0);
}

static kvds_store *take(struct crowd *crowd, size_t which)
{
    struct name *name = &crowd->names[which];
    kvds_store *store = open_store(crowd->distributor, text_of("store-%zu", which % IDS).data,
                                   which < IDS ? KVDS_MEMORY : KVDS_DISK);
    must(pthread_mutex_lock(&name->lock) == 0);
    must(name->holders == 0 || name->store == store);
    name->store = store;
    name->holders++;
    must(pthread_mutex_unlock(&name->lock) == 0);
    return store;
}

static void release(struct crowd *crowd, size_t which, kvds_store *store)
{
    struct name *name = &crowd->names[which];
    must(pthread_mutex_lock(&name->lock) == 0);
    name->holders--;
    must(pthread_mutex_unlock(&name->lock) == 0);
    must(kvds_store_release(store) >= 0);
}

static void *open_and_release(void *argument)
{
    const struct worker *me = argument;
    struct crowd *crowd = me->shared;
    const struct text key = text_of("key-%zu", me->number);
    for (size_t round = 0; round < crowd->rounds; round++) {
        kvds_store *stores[NAMES];
        int arrived = pthread_barrier_wait(&crowd->barrier);
        must(arrived == 0 || arrived == PTHREAD_BARRIER_SERIAL_THREAD);
        /* Each thread starts at another name, and releases in another order than it opened. */
        for (size_t i = 0; i < NAMES; i++) {
            size_t which = (i + me->number) % NAMES;
            stores[which] = take(crowd, which);
            must_ok(kvds_set(stores[which], key.data, key.len, &round, sizeof round));
            must(has(stores[which], key.data, key.len, &round, sizeof round));
        }
        for (size_t i = 0; i < NAMES; i++) {
            size_t which = (i * 3 + me->number + round) % NAMES;
            release(crowd, which, stores[which]);
        }
    }
    return NULL;
}

/* Checks that this process has no open file below the directory. */
static void assert_nothing_open_below(const char *directory)
{
    DIR *descriptors = opendir("/proc/self/fd");
    assert_non_null(descriptors);
    for (struct dirent *entry; (entry = readdir(descriptors));) {
        char target[PATH_MAX] = "";
        if (readlinkat(dirfd(descriptors), entry->d_name, target, sizeof target - 1) > 0 &&
            strncmp(target, directory, strlen(directory)) == 0)
            fail_msg("%s is still open", target);
    }
    closedir(descriptors);
}

static void a_name_has_one_live_store(void **state)
{
    enum { THREADS = 8 };
    struct fixture *f = *state;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    uint64_t observer;
    crowd->rounds = scaled(100);
    crowd->distributor = kvds_distributor_new(PATH(f->base, "crowd"));
    assert_int_equal(pthread_barrier_init(&crowd->barrier, NULL, THREADS), 0);
    for (size_t i = 0; i < NAMES; i++)
        assert_int_equal(pthread_mutex_init(&crowd->names[i].lock, NULL), 0);
    assert_ok(kvds_distributor_observe(crowd->distributor, count_death, crowd, NULL, &observer));

    run_workers(THREADS, open_and_release, crowd);

    assert_int_equal(kvds_distributor_store_count(crowd->distributor), 0);
    assert_nothing_open_below(PATH(f->base, "crowd"));
    kvds_store *last = open_store(crowd->distributor, "last", KVDS_MEMORY);
    for (uint64_t tag = 0; tag < kvds_store_tag(last); tag++)
        assert_int_equal(crowd->deaths[tag], 1);
    assert_int_equal(crowd->deaths[kvds_store_tag(last)], 0);
    kvds_store_release(last);
    assert_int_equal(kvds_distributor_release(crowd->distributor), 0);
    pthread_barrier_destroy(&crowd->barrier);
    free(crowd);
}

struct counting {
    kvds_store *store;
    uint64_t increments;
};

static uint64_t read_counter(kvds_store *store)
{
    uint64_t counter;
    size_t len;
    must_ok(kvds_get_into(store, BYTES("counter"), &counter, sizeof counter, &len));
    must(len == sizeof counter);
    return counter;
}

static void *increment(void *argument)
{
    const struct worker *me = argument;
    const struct counting *counting = me->shared;
    kvds_store *store = counting->store;
    const struct text mine = text_of("key-%zu", me->number);
    for (uint64_t done = 0; done < counting->increments;) {
        uint64_t before = read_counter(store), after = before + 1;
        kvds_status status = kvds_compare_and_swap(store, BYTES("counter"), &before, sizeof before,
                                                   &after, sizeof after);
        must(status == KVDS_OK || status == KVDS_MISMATCH);
        if (status == KVDS_OK && ++done % 16 == 0)
            must_ok(kvds_set(store, mine.data, mine.len, &done, sizeof done));
    }
    return NULL;
}

static void no_increment_is_lost(void **state)
{
    enum { THREADS = 16 };
    struct fixture *f = *state;
    const struct counting counting = { f->store, scaled(10000) };
    const uint64_t zero = 0;
    assert_ok(kvds_set(f->store, BYTES("counter"), &zero, sizeof zero));
    run_workers(THREADS, increment, (void *)&counting);
    assert_int_equal(read_counter(f->store), THREADS * counting.increments);
}

/*
 * Sets a key that other threads swap. A swap must not overwrite a value that it has not compared.
 */
struct duel {
    kvds_store *store;
    uint64_t turns;
};

static void *set_or_swap(void *argument)
{
    const struct worker *me = argument;
    struct duel *duel = me->shared;
    for (uint64_t i = 1; i <= duel->turns; i++) {
        if (me->number == 0) {
            /*
             * The setter counts in the upper half, which must stay whatever the others add below.
             */
            uint64_t turn = i << 32;
            must_ok(kvds_set(duel->store, BYTES("counter"), &turn, sizeof turn));
            must(read_counter(duel->store) >> 32 == i);
        } else {
            uint64_t before = read_counter(duel->store), after = before + 1;
            kvds_status status = kvds_compare_and_swap(duel->store, BYTES("counter"), &before,
                                                       sizeof before, &after, sizeof after);
            must(status == KVDS_OK || status == KVDS_MISMATCH);
        }
    }
    return NULL;
}

static void a_swap_never_undoes_a_set(void **state)
{
    struct fixture *f = *state;
    struct duel duel = { .store = f->store, .turns = scaled(20000) };
    const uint64_t zero = 0;
    assert_ok(kvds_set(f->store, BYTES("counter"), &zero, sizeof zero));
    run_workers(4, set_or_swap, &duel);
}

enum { CONTESTED = 1000 };

struct contest {
    kvds_store *store;
    size_t keys;
    atomic_int winners[CONTESTED];
};

static void *claim(void *argument)
{
    const struct worker *me = argument;
    struct contest *contest = me->shared;
    for (size_t i = 0; i < contest->keys; i++) {
        const struct text key = text_of("key-%zu", i);
        kvds_status status =
            kvds_set_nx(contest->store, key.data, key.len, &me->number, sizeof me->number);
        must(status == KVDS_OK || status == KVDS_EXISTS);
        if (status == KVDS_OK) {
            must(atomic_fetch_add(&contest->winners[i], 1) == 0);
            must(has(contest->store, key.data, key.len, &me->number, sizeof me->number));
        }
    }
    return NULL;
}

static void set_nx_has_one_winner(void **state)
{
    struct fixture *f = *state;
    struct contest *contest = calloc(1, sizeof *contest);
    contest->store = f->store;
    contest->keys = scaled(CONTESTED);
    run_workers(8, claim, contest);
    for (size_t i = 0; i < contest->keys; i++)
        assert_int_equal(contest->winners[i], 1);
    free(contest);
}

struct closing {
    kvds_store *store;
    sem_t busy;
};

static void *call_until_closed(void *argument)
{
    const struct worker *me = argument;
    struct closing *closing = me->shared;
    kvds_store *s = closing->store;
    const struct text key = text_of("key-%zu", me->number);
    const kvds_pair pair = { key.data, key.len, "value", 5 };
    kvds_status status = KVDS_OK;
    for (size_t calls = 0; status == KVDS_OK; calls++) {
        kvds_value value = { NULL, 0, NULL };
        switch (calls % 6) {
        case 0: status = kvds_set(s, key.data, key.len, "value", 5); break;
        case 1: status = kvds_get(s, key.data, key.len, &value); break;
        case 2: status = kvds_exists(s, key.data, key.len); break;
        case 3: status = kvds_compare_and_swap(s, key.data, key.len, "value", 5, "value", 5); break;
        case 4: status = kvds_iterate(s, key.data, key.len, pass_over, NULL); break;
        case 5: status = kvds_set_batch(s, &pair, 1); break;
        }
        kvds_value_release(&value);
        if (calls == 100)
            post(&closing->busy);
    }
    must(status == KVDS_CLOSED);
    must_return(KVDS_CLOSED, kvds_exists(s, key.data, key.len));
    return NULL;
}

static void *close_when_busy(void *argument)
{
    struct closing *closing = argument;
    for (int i = 0; i < 4; i++)
        await(&closing->busy);
    must_ok(kvds_close(closing->store));
    return NULL;
}

static void closing_under_load_reaches_every_thread(void **state)
{
    struct fixture *f = *state;
    for (size_t round = scaled(20); round > 0; round--) {
        struct closing closing = { .store = f->store };
        make_semaphore(&closing.busy);
        pthread_t closer = start(close_when_busy, &closing);
        run_workers(4, call_until_closed, &closing);
        join(closer);
        release_store(f);
        f->store = open_again(f);
    }
    assert_returns(f->backend == KVDS_DISK ? KVDS_OK : KVDS_NOT_FOUND,
                   kvds_exists(f->store, BYTES("key-0")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MEMORY(a_name_has_one_live_store),
        ON_BOTH(no_increment_is_lost),
        ON_BOTH(a_swap_never_undoes_a_set),
        ON_BOTH(set_nx_has_one_winner),
        ON_BOTH(closing_under_load_reaches_every_thread),
    };
    return RUN("threads", tests);
}
