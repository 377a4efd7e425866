/* Stores and distributors from the first reference to the last, and the registry of live stores. */

#include "check.h"

static void references_of_stores_are_counted(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(kvds_store_ref_count(f->store), 1);
    assert_ptr_equal(kvds_store_retain(f->store), f->store);
    assert_int_equal(kvds_store_ref_count(f->store), 2);
    assert_ptr_equal(open_again(f), f->store);
    assert_int_equal(kvds_store_ref_count(f->store), 3);
    assert_int_equal(kvds_store_release(f->store), 2);
    assert_int_equal(kvds_store_release(f->store), 1);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_int_equal(release_store(f), 0);
}

static void references_of_distributors_are_counted(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(kvds_distributor_ref_count(f->distributor), 1);
    assert_ptr_equal(kvds_distributor_retain(f->distributor), f->distributor);
    assert_int_equal(kvds_distributor_ref_count(f->distributor), 2);
    assert_int_equal(kvds_distributor_release(f->distributor), 1);
    assert_ptr_equal(open_again(f), f->store);
    kvds_store_release(f->store);
}

static void a_store_has_an_id_a_backend_and_a_tag(void **state)
{
    struct fixture *f = *state;
    assert_string_equal(kvds_store_id(f->store), "store");
    assert_int_equal(kvds_store_backend(f->store), f->backend);
    assert_int_equal(kvds_store_tag(f->store), 0);
    assert_int_equal(kvds_is_open(f->store), 1);
}

static void tags_count_from_zero_in_order_of_creation(void **state)
{
    struct fixture *f = *state;
    kvds_store *second = open_store(f->distributor, "second", KVDS_MEMORY);
    kvds_store *third = open_store(f->distributor, "third", f->backend);
    assert_int_equal(kvds_store_tag(f->store), 0);
    assert_int_equal(kvds_store_tag(second), 1);
    assert_int_equal(kvds_store_tag(third), 2);

    kvds_store_release(third);
    third = open_store(f->distributor, "third", f->backend);
    assert_int_equal(kvds_store_tag(third), 3);
    kvds_store_release(second);
    kvds_store_release(third);
}

static void tags_count_in_each_distributor(void **state)
{
    struct fixture *f = *state;
    kvds_distributor *other = kvds_distributor_new(NULL);
    kvds_store *first = open_store(other, "store", KVDS_MEMORY);
    assert_int_equal(kvds_store_tag(first), kvds_store_tag(f->store));
    assert_ptr_not_equal(first, f->store);
    kvds_store_release(first);
    kvds_distributor_release(other);
}

static void memory_and_disk_have_separate_names(void **state)
{
    struct fixture *f = *state;
    kvds_store *memory = open_store(f->distributor, "store", KVDS_MEMORY);
    assert_ptr_not_equal(memory, f->store);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("on disk")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(memory, BYTES("key")));
    kvds_store_release(memory);
}

static void closing_affects_every_holder(void **state)
{
    struct fixture *f = *state;
    kvds_store *same = open_again(f);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_ok(kvds_close(f->store));
    assert_int_equal(kvds_is_open(same), 0);
    must_return_everywhere(KVDS_CLOSED, same);
    assert_error_says("store");
    assert_int_equal(kvds_distributor_store_count(f->distributor), 0);

    /* Its identity can still be read, and its references must still be released. */
    assert_string_equal(kvds_store_id(same), "store");
    assert_int_equal(kvds_store_release(same), 1);
    assert_ptr_equal(kvds_store_retain(f->store), f->store);
    assert_int_equal(kvds_store_release(f->store), 1);
}

static void closing_a_store_frees_its_name(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_ok(kvds_close(f->store));
    kvds_store *next = open_again(f);
    assert_ptr_not_equal(next, f->store);
    assert_int_equal(kvds_store_tag(next), 1);
    assert_returns(f->backend == KVDS_DISK ? KVDS_OK : KVDS_NOT_FOUND,
                   kvds_exists(next, BYTES("key")));
    assert_returns(KVDS_CLOSED, kvds_exists(f->store, BYTES("key")));

    /* The end of the closed store does not affect the new store of its name. */
    assert_int_equal(release_store(f), 0);
    f->store = next;
    assert_ptr_equal(open_again(f), next);
    kvds_store_release(next);
}

static void only_data_on_disk_outlives_the_last_reference(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_int_equal(release_store(f), 0);
    f->store = open_again(f);
    assert_int_equal(kvds_store_tag(f->store), 1);
    if (f->backend == KVDS_DISK)
        assert_true(has(f->store, BYTES("key"), BYTES("value")));
    else
        assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("key")));
}

static void stores_outlive_their_distributor(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(release_distributor(f), 0);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_true(has(f->store, BYTES("key"), BYTES("value")));
    assert_int_equal(release_store(f), 0);

    /* The store was closed, so the next distributor can open it. */
    f->distributor = kvds_distributor_new(f->base);
    f->store = open_again(f);
    assert_returns(f->backend == KVDS_DISK ? KVDS_OK : KVDS_NOT_FOUND,
                   kvds_exists(f->store, BYTES("key")));
}

static void get_finds_live_stores_only(void **state)
{
    struct fixture *f = *state;
    kvds_store *found;
    assert_ok(kvds_distributor_get(f->distributor, "store", f->backend, &found));
    assert_ptr_equal(found, f->store);
    assert_int_equal(kvds_store_release(found), 1);
    assert_returns(KVDS_NOT_FOUND,
                   kvds_distributor_get(f->distributor, "other", f->backend, &found));
    assert_null(found);

    release_store(f);
    assert_returns(KVDS_NOT_FOUND,
                   kvds_distributor_get(f->distributor, "store", f->backend, &found));
}

/* Replaces the fixture's distributor by one that keeps its stores. */
static void keep_stores(struct fixture *f)
{
    kvds_options *options = kvds_options_new();
    assert_ok(kvds_options_set(options, "keep_stores", "on"));
    release_store(f);
    release_distributor(f);
    assert_ok(kvds_distributor_open(f->base, options, &f->distributor));
    kvds_options_free(options);
    f->store = open_again(f);
}

static void kept_stores_live_until_evicted(void **state)
{
    struct fixture *f = *state;
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_evict(f->distributor, "store", f->backend));
    keep_stores(f);
    assert_int_equal(kvds_store_ref_count(f->store), 2);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_int_equal(release_store(f), 1);

    f->store = open_again(f);
    assert_int_equal(kvds_store_tag(f->store), 0);
    assert_true(has(f->store, BYTES("key"), BYTES("value")));
    assert_ok(kvds_distributor_evict(f->distributor, "store", f->backend));
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_evict(f->distributor, "store", f->backend));
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_evict(f->distributor, "other", f->backend));
    assert_int_equal(kvds_store_ref_count(f->store), 1);
}

static void evicting_the_last_reference_ends_the_store(void **state)
{
    struct fixture *f = *state;
    keep_stores(f);
    assert_int_equal(release_store(f), 1);
    assert_int_equal(kvds_distributor_store_count(f->distributor), 1);
    assert_ok(kvds_distributor_evict(f->distributor, "store", f->backend));
    assert_int_equal(kvds_distributor_store_count(f->distributor), 0);
}

static void kept_stores_end_with_the_distributor(void **state)
{
    struct fixture *f = *state;
    keep_stores(f);
    assert_int_equal(release_distributor(f), 0);
    assert_int_equal(kvds_store_ref_count(f->store), 1);
    assert_int_equal(kvds_is_open(f->store), 1);
}

static void options_set_by_setter_and_unset_again(void **state)
{
    struct fixture *f = *state;
    kvds_options *options = kvds_options_new();
    for (int keep = 1; keep >= 0; keep--) {
        kvds_distributor *distributor;
        assert_ok(kvds_options_set_keep_stores(options, keep));
        assert_ok(kvds_distributor_open(NULL, options, &distributor));
        kvds_store *store = open_store(distributor, "store", KVDS_MEMORY);
        assert_int_equal(kvds_store_release(store), keep);
        assert_int_equal(kvds_distributor_release(distributor), 0);
    }
    kvds_options_free(options);
    assert_int_equal(kvds_store_ref_count(f->store), 1);
}

static void shutdown_closes_everything(void **state)
{
    struct fixture *f = *state;
    keep_stores(f);
    assert_ok(kvds_distributor_shutdown(f->distributor));
    assert_int_equal(kvds_is_open(f->store), 0);
    assert_int_equal(kvds_store_ref_count(f->store), 1);
    must_return_everywhere(KVDS_CLOSED, f->store);
    assert_int_equal(kvds_distributor_store_count(f->distributor), 0);

    kvds_store *none = f->store;
    assert_returns(KVDS_CLOSED,
                   kvds_distributor_get_or_create(f->distributor, "store", f->backend, &none));
    assert_null(none);
    assert_returns(KVDS_CLOSED, kvds_distributor_get(f->distributor, "store", f->backend, &none));
    if (f->backend == KVDS_DISK)
        assert_returns(KVDS_CLOSED, kvds_distributor_destroy_store(f->distributor, "store"));
    assert_ok(kvds_distributor_shutdown(f->distributor));

    /* The next distributor can open the files, although references are not released yet. */
    kvds_distributor *next = kvds_distributor_new(f->base);
    kvds_store_release(open_store(next, "store", f->backend));
    kvds_distributor_release(next);
}

/* The visited stores as text, and when to stop. */
struct shown {
    char text[256];
    int most;
};

static int note_store(void *user_data, const char *id, kvds_backend backend, uint64_t tag,
                      int64_t ref_count)
{
    struct shown *shown = user_data;
    size_t len = strlen(shown->text);
    snprintf(shown->text + len, sizeof shown->text - len, "%s:%d:%d:%d ", id, (int)backend,
             (int)tag, (int)ref_count);
    return --shown->most;
}

static void for_each_visits_live_stores_in_order(void **state)
{
    struct fixture *f = *state;
    kvds_store *z = open_store(f->distributor, "z", KVDS_MEMORY);
    kvds_store *a = open_store(f->distributor, "a", f->backend);
    kvds_store_retain(a);
    assert_int_equal(kvds_distributor_store_count(f->distributor), 3);

    struct shown all = { "", 99 };
    assert_ok(kvds_distributor_for_each(f->distributor, note_store, &all));
    assert_string_equal(all.text, f->backend == KVDS_DISK ? "z:0:1:1 a:1:2:2 store:1:0:1 "
                                                          : "a:0:2:2 store:0:0:1 z:0:1:1 ");
    struct shown two = { "", 2 };
    assert_returns(KVDS_STOPPED, kvds_distributor_for_each(f->distributor, note_store, &two));
    assert_string_equal(two.text,
                        f->backend == KVDS_DISK ? "z:0:1:1 a:1:2:2 " : "a:0:2:2 store:0:0:1 ");

    kvds_store_release(a);
    kvds_store_release(a);
    kvds_store_release(z);
    assert_int_equal(kvds_distributor_store_count(f->distributor), 1);
}

/* A memory store ends with its last reference: there is never anything to delete. */
static void memory_stores_are_not_destroyed(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_returns(KVDS_BUSY, kvds_distributor_destroy(f->distributor, "store", KVDS_MEMORY));
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy(f->distributor, "other", KVDS_MEMORY));
    assert_true(has(f->store, BYTES("key"), BYTES("value")));
    release_store(f);
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy(f->distributor, "store", KVDS_MEMORY));
}

static void destroying_removes_the_files(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_returns(KVDS_BUSY, kvds_distributor_destroy_store(f->distributor, "store"));
    assert_returns(KVDS_BUSY, kvds_distributor_destroy(f->distributor, "store", KVDS_DISK));
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy_store(f->distributor, "other"));
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy(f->distributor, "other", KVDS_DISK));
    assert_true(is_there(PATH(f->base, "store")));

    release_store(f);
    assert_ok(kvds_distributor_destroy(f->distributor, "store", KVDS_DISK));
    assert_int_equal(entries_in(f->base), 0);
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy_store(f->distributor, "store"));
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy(f->distributor, "store", KVDS_DISK));

    f->store = open_again(f);
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("key")));
}

static void values_outlive_their_store(void **state)
{
    struct fixture *f = *state;
    static char big[1 << 20];
    memset(big, 'b', sizeof big);
    kvds_value ten, mebi;
    assert_ok(kvds_set(f->store, BYTES("ten"), BYTES("0123456789")));
    assert_ok(kvds_set(f->store, BYTES("mebi"), big, sizeof big));
    assert_ok(kvds_get(f->store, BYTES("ten"), &ten));
    assert_ok(kvds_get(f->store, BYTES("mebi"), &mebi));

    assert_ok(kvds_set(f->store, BYTES("ten"), BYTES("9876543210")));
    assert_ok(kvds_del(f->store, BYTES("mebi")));
    assert_int_equal(release_store(f), 0);
    assert_int_equal(release_distributor(f), 0);

    assert_int_equal(ten.len, 10);
    assert_memory_equal(ten.data, "0123456789", 10);
    assert_int_equal(mebi.len, sizeof big);
    assert_memory_equal(mebi.data, big, sizeof big);
    kvds_value_release(&ten);
    kvds_value_release(&mebi);
}

static void a_held_value_never_locks_its_store(void **state)
{
    struct fixture *f = *state;
    static const char big[1 << 20];
    kvds_value value;
    assert_ok(kvds_set(f->store, BYTES("big"), big, sizeof big));
    assert_ok(kvds_get(f->store, BYTES("big"), &value));
    assert_int_equal(release_store(f), 0);
    assert_returns(KVDS_BUSY, kvds_distributor_destroy_store(f->distributor, "store"));

    f->store = open_again(f);
    assert_int_equal(kvds_store_tag(f->store), 1);
    assert_ok(kvds_set(f->store, BYTES("more"), BYTES("value")));
    assert_true(has(f->store, BYTES("big"), big, sizeof big));
    assert_memory_equal(value.data, big, sizeof big);
    kvds_value_release(&value);
    assert_true(has(f->store, BYTES("more"), BYTES("value")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(references_of_stores_are_counted),
        ON_BOTH(references_of_distributors_are_counted),
        ON_BOTH(a_store_has_an_id_a_backend_and_a_tag),
        ON_BOTH(tags_count_from_zero_in_order_of_creation),
        ON_BOTH(tags_count_in_each_distributor),
        ON_DISK(memory_and_disk_have_separate_names),
        ON_BOTH(closing_affects_every_holder),
        ON_BOTH(closing_a_store_frees_its_name),
        ON_BOTH(only_data_on_disk_outlives_the_last_reference),
        ON_BOTH(stores_outlive_their_distributor),
        ON_BOTH(get_finds_live_stores_only),
        ON_BOTH(kept_stores_live_until_evicted),
        ON_BOTH(evicting_the_last_reference_ends_the_store),
        ON_BOTH(kept_stores_end_with_the_distributor),
        ON_MEMORY(options_set_by_setter_and_unset_again),
        ON_BOTH(shutdown_closes_everything),
        ON_BOTH(for_each_visits_live_stores_in_order),
        ON_MEMORY(memory_stores_are_not_destroyed),
        ON_DISK(destroying_removes_the_files),
        ON_BOTH(values_outlive_their_store),
        ON_DISK(a_held_value_never_locks_its_store),
    };
    return RUN("lifecycle", tests);
}
