/* Observers of the deaths of stores. */

#include "check.h"

/* An observer: the arguments of its last call, and what it also does. */
struct observer {
    struct fixture *f;
    uint64_t number;
    atomic_int deaths, freed;
    uint64_t last_tag;
    pthread_t last_thread;
    void (*act)(struct observer *observer);
    sem_t reached, go_on;
    atomic_bool ended;
};

static void on_death(void *user_data, uint64_t tag, const char *id, kvds_backend backend)
{
    struct observer *observer = user_data;
    must(atomic_load(&observer->freed) == 0);
    must(strcmp(id, "store") == 0);
    must(backend == observer->f->backend);
    observer->last_tag = tag;
    observer->last_thread = pthread_self();
    atomic_fetch_add(&observer->deaths, 1);
    if (observer->act)
        observer->act(observer);
    must(atomic_load(&observer->freed) == 0);
}

static void on_free(void *user_data)
{
    struct observer *observer = user_data;
    atomic_fetch_add(&observer->freed, 1);
}

static void observe(struct observer *observer)
{
    assert_ok(kvds_distributor_observe(observer->f->distributor, on_death, observer, on_free,
                                       &observer->number));
}

static void unobserve(struct observer *observer)
{
    assert_int_equal(observer->freed, 0);
    assert_ok(kvds_distributor_unobserve(observer->f->distributor, observer->number));
    assert_int_equal(observer->freed, 1);
}

static void release(struct fixture *f) { assert_int_equal(release_store(f), 0); }

static void *release_in_thread(void *argument)
{
    struct fixture *f = argument;
    must(release_store(f) == 0);
    return NULL;
}

static void each_store_dies_once_on_the_thread_that_released_it_last(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f };
    observe(&observer);
    assert_int_equal(kvds_store_release(kvds_store_retain(f->store)), 1);
    assert_int_equal(observer.deaths, 0);
    pthread_t thread = start(release_in_thread, f);
    join(thread);
    assert_int_equal(observer.deaths, 1);
    assert_int_equal(observer.last_tag, 0);
    assert_true(pthread_equal(observer.last_thread, thread));

    f->store = open_again(f);
    assert_int_equal(observer.deaths, 1);
    release(f);
    assert_int_equal(observer.deaths, 2);
    assert_int_equal(observer.last_tag, 1);
    assert_true(pthread_equal(observer.last_thread, pthread_self()));
    unobserve(&observer);
}

static void a_closed_store_dies_with_its_last_reference(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f };
    observe(&observer);
    assert_ok(kvds_close(f->store));
    kvds_store *next = open_again(f);
    assert_int_equal(observer.deaths, 0);
    release(f);
    assert_int_equal(observer.deaths, 1);
    assert_int_equal(observer.last_tag, 0);
    f->store = next;
    release(f);
    assert_int_equal(observer.last_tag, 1);
    unobserve(&observer);
}

static void a_store_does_not_die_at_shutdown_while_references_are_held(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f };
    observe(&observer);
    assert_ok(kvds_distributor_shutdown(f->distributor));
    assert_int_equal(observer.deaths, 0);
    release(f);
    assert_int_equal(observer.deaths, 1);
    unobserve(&observer);
}

static void look_up_the_dead_store(struct observer *observer)
{
    struct fixture *f = observer->f;
    kvds_store *store = NULL;
    must_return(KVDS_NOT_FOUND, kvds_distributor_get(f->distributor, "store", f->backend, &store));
    must(kvds_distributor_store_count(f->distributor) == 0);
    if (f->backend == KVDS_DISK) {
        must_ok(kvds_distributor_destroy_store(f->distributor, "store"));
        must(!is_there(PATH(f->base, "store")));
    }
    f->store = open_again(f);
    must(kvds_store_tag(f->store) == observer->last_tag + 1);
    must_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    observer->act = NULL;
}

static void the_name_is_free_when_the_observer_is_called(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f, .act = look_up_the_dead_store };
    observe(&observer);
    assert_int_equal(release_store(f), 0);
    assert_true(has(f->store, BYTES("key"), BYTES("value")));
    release(f);
    assert_int_equal(observer.deaths, 2);
    unobserve(&observer);
}

/* A callback creates and releases a store, so the observer is called again while it runs. */
static void die_again(struct observer *observer)
{
    struct fixture *f = observer->f;
    if (observer->deaths < 5)
        must(kvds_store_release(open_again(f)) == 0);
}

static void deaths_nest(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f, .act = die_again };
    observe(&observer);
    release(f);
    assert_int_equal(observer.deaths, 5);
    unobserve(&observer);
}

static void all_observers_are_called(void **state)
{
    struct fixture *f = *state;
    struct observer observers[3] = { { .f = f }, { .f = f }, { .f = f } };
    for (size_t i = 0; i < COUNT_OF(observers); i++)
        observe(&observers[i]);
    assert_true(observers[0].number != observers[1].number &&
                observers[1].number != observers[2].number);
    release(f);
    unobserve(&observers[1]);
    f->store = open_again(f);
    release(f);
    assert_int_equal(observers[0].deaths, 2);
    assert_int_equal(observers[1].deaths, 1);
    assert_int_equal(observers[2].deaths, 2);
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_unobserve(f->distributor, observers[1].number));
    assert_int_equal(observers[1].freed, 1);
    unobserve(&observers[2]);
    unobserve(&observers[0]);
}

static void an_observer_needs_no_free(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f };
    assert_ok(
        kvds_distributor_observe(f->distributor, on_death, &observer, NULL, &observer.number));
    release(f);
    assert_int_equal(observer.deaths, 1);
    assert_ok(kvds_distributor_unobserve(f->distributor, observer.number));
    assert_int_equal(observer.freed, 0);
}

static void unobserve_itself(struct observer *observer)
{
    must_ok(kvds_distributor_unobserve(observer->f->distributor, observer->number));
    must_return(KVDS_NOT_FOUND,
                kvds_distributor_unobserve(observer->f->distributor, observer->number));
}

static void an_observer_may_remove_itself(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f, .act = unobserve_itself };
    observe(&observer);
    release(f);
    assert_int_equal(observer.freed, 1);
    f->store = open_again(f);
    release(f);
    assert_int_equal(observer.deaths, 1);
    assert_int_equal(observer.freed, 1);
}

static void wait_for_permission(struct observer *observer)
{
    post(&observer->reached);
    await(&observer->go_on);
    atomic_store(&observer->ended, true);
}

static void *unobserve_in_thread(void *argument)
{
    struct observer *observer = argument;
    post(&observer->reached);
    must_ok(kvds_distributor_unobserve(observer->f->distributor, observer->number));
    must(atomic_load(&observer->ended));
    must(atomic_load(&observer->freed) == 1);
    return NULL;
}

static void unobserve_waits_for_a_running_call(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f, .act = wait_for_permission };
    make_semaphore(&observer.reached);
    make_semaphore(&observer.go_on);
    observe(&observer);
    pthread_t dying = start(release_in_thread, f);
    await(&observer.reached);
    pthread_t waiting = start(unobserve_in_thread, &observer);
    await(&observer.reached);
    /*
     * Gives a call that does not wait the time to return too early. A correct call passes in any
     * case.
     */
    usleep(20000);
    post(&observer.go_on);
    join(waiting);
    join(dying);
    assert_int_equal(observer.deaths, 1);
}

static void user_data_is_freed_when_observing_fails(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f };
    uint64_t number = 99;
    assert_invalid(kvds_distributor_observe(NULL, on_death, &observer, on_free, &number));
    assert_int_equal(number, 0);
    assert_int_equal(observer.freed, 1);
    number = 99;
    assert_invalid(kvds_distributor_observe(f->distributor, NULL, &observer, on_free, &number));
    assert_int_equal(number, 0);
    assert_int_equal(observer.freed, 2);
    assert_invalid(kvds_distributor_observe(f->distributor, on_death, &observer, on_free, NULL));
    assert_int_equal(observer.freed, 3);
    release(f);
    assert_int_equal(observer.deaths, 0);
    assert_int_equal(observer.freed, 3);
}

static void deaths_are_observed_after_the_distributor_is_released(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f };
    kvds_store *first = f->store;
    observe(&observer);
    assert_ok(kvds_close(first));
    f->store = open_again(f);
    assert_int_equal(release_distributor(f), 0);

    assert_int_equal(kvds_store_release(first), 0);
    assert_int_equal(observer.deaths, 1);
    assert_int_equal(observer.freed, 0);
    release(f);
    assert_int_equal(observer.deaths, 2);
    assert_int_equal(observer.freed, 1);
}

static void user_data_is_freed_with_the_distributor(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f };
    observe(&observer);
    release(f);
    assert_int_equal(release_distributor(f), 0);
    assert_int_equal(observer.deaths, 1);
    assert_int_equal(observer.freed, 1);
}

static void kept_stores_die_with_the_distributor(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f };
    kvds_options *options = kvds_options_new();
    assert_ok(kvds_options_set_keep_stores(options, 1));
    release(f);
    release_distributor(f);
    assert_ok(kvds_distributor_open(f->base, options, &f->distributor));
    kvds_options_free(options);

    observe(&observer);
    assert_int_equal(kvds_store_release(open_again(f)), 1);
    assert_ok(kvds_distributor_evict(f->distributor, "store", f->backend));
    assert_int_equal(observer.deaths, 1);
    assert_int_equal(kvds_store_release(open_again(f)), 1);
    assert_int_equal(release_distributor(f), 0);
    assert_int_equal(observer.deaths, 2);
    assert_int_equal(observer.freed, 1);
}

/*
 * A store that a callback of its own iteration closes stays registered until the iteration ends,
 * with the reference that the distributor keeps. Asking for its name then releases that reference.
 * The observer was once called while the new store was being created: an observer that asked for
 * the store waited for itself, and one that released the distributor freed it during the call.
 */
static kvds_distributor *keeper;
static bool keeper_is_released;

static void open_the_dead_store(void *user_data, uint64_t tag, const char *id, kvds_backend backend)
{
    int *deaths = user_data;
    if (++*deaths > 1)
        return;
    kvds_store *store = NULL;
    must(tag == 0);
    must_ok(kvds_distributor_get_or_create(keeper, id, backend, &store));
    must(kvds_store_tag(store) == 1);
    kvds_store_release(store);
    if (keeper_is_released)
        kvds_distributor_release(keeper);
}

static int close_and_ask_again(void *user_data, const void *key, size_t key_len, const void *value,
                               size_t value_len)
{
    struct observer *observer = user_data;
    kvds_store *store = observer->f->store;
    (void)key, (void)key_len, (void)value, (void)value_len;
    must_ok(kvds_close(store));
    must(kvds_store_release(store) == 1);
    must_ok(
        kvds_distributor_get_or_create(keeper, "store", observer->f->backend, &observer->f->store));
    return 1;
}

static void an_observer_may_open_the_kept_store_that_died(void **state)
{
    struct fixture *f = *state;
    release_store(f);
    kvds_options *options = kvds_options_new();
    assert_ok(kvds_options_set_keep_stores(options, 1));
    for (int released = 0; released < 2; released++) {
        int deaths = 0;
        uint64_t number;
        struct observer observer = { .f = f };
        keeper_is_released = released;
        assert_ok(kvds_distributor_open(f->base, options, &keeper));
        assert_ok(kvds_distributor_observe(keeper, open_the_dead_store, &deaths, NULL, &number));
        f->store = open_store(keeper, "store", f->backend);
        assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
        assert_ok(kvds_iterate(f->store, NULL, 0, close_and_ask_again, &observer));
        /* A disk store has the files that the iteration keeps open; a memory store is empty. */
        assert_int_equal(deaths, 1);
        if (!released) {
            assert_int_equal(kvds_store_tag(f->store), 1);
            assert_int_equal(kvds_distributor_release(keeper), 0);
        }
        assert_int_equal(release_store(f), 0);
        assert_int_equal(deaths, 2);
    }
    kvds_options_free(options);
}

static void unobserve_and_wait(struct observer *observer)
{
    must_ok(kvds_distributor_unobserve(observer->f->distributor, observer->number));
    post(&observer->reached);
    await(&observer->go_on);
    atomic_store(&observer->ended, true);
}

static void *unobserve_again(void *argument)
{
    struct observer *observer = argument;
    must_return(KVDS_NOT_FOUND,
                kvds_distributor_unobserve(observer->f->distributor, observer->number));
    must(atomic_load(&observer->ended));
    must(atomic_load(&observer->freed) == 1);
    return NULL;
}

/*
 * An observer that removes itself still runs until its call returns. A second caller waits for
 * that.
 */
static void a_second_unobserve_waits_too(void **state)
{
    struct fixture *f = *state;
    struct observer observer = { .f = f, .act = unobserve_and_wait };
    make_semaphore(&observer.reached);
    make_semaphore(&observer.go_on);
    observe(&observer);
    pthread_t releaser = start(release_in_thread, f);
    await(&observer.reached);
    pthread_t second = start(unobserve_again, &observer);
    /* Gives a wrong call the time to return too early. A correct call waits. */
    usleep(20000);
    post(&observer.go_on);
    join(releaser);
    join(second);
    assert_int_equal(observer.freed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(an_observer_may_open_the_kept_store_that_died),
        ON_BOTH(a_second_unobserve_waits_too),
        ON_BOTH(each_store_dies_once_on_the_thread_that_released_it_last),
        ON_BOTH(a_closed_store_dies_with_its_last_reference),
        ON_BOTH(a_store_does_not_die_at_shutdown_while_references_are_held),
        ON_BOTH(the_name_is_free_when_the_observer_is_called),
        ON_BOTH(deaths_nest),
        ON_BOTH(all_observers_are_called),
        ON_BOTH(an_observer_needs_no_free),
        ON_BOTH(an_observer_may_remove_itself),
        ON_BOTH(unobserve_waits_for_a_running_call),
        ON_BOTH(user_data_is_freed_when_observing_fails),
        ON_BOTH(deaths_are_observed_after_the_distributor_is_released),
        ON_BOTH(user_data_is_freed_with_the_distributor),
        ON_BOTH(kept_stores_die_with_the_distributor),
    };
    return RUN("observers", tests);
}
