/*
 * Invalid calls: each returns a status, none has an effect, and the error text names the mistake.
 */

#include "check.h"

static void on_death(void *user_data, uint64_t tag, const char *id, kvds_backend backend)
{
    (void)user_data, (void)tag, (void)id, (void)backend;
}

static int on_store(void *user_data, const char *id, kvds_backend backend, uint64_t tag,
                    int64_t ref_count)
{
    (void)user_data, (void)id, (void)backend, (void)tag, (void)ref_count;
    return 1;
}

/* The store has only what the tests put there. */
static void assert_unchanged(const struct fixture *f)
{
    assert_true(has(f->store, BYTES("key"), BYTES("value")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("a")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, NULL, 0));
}

static void a_null_store_is_an_error(void **state)
{
    struct fixture *f = *state;
    must_return_everywhere(KVDS_INVALID_ARGUMENT, NULL);
    assert_error_says("NULL");
    assert_null(kvds_store_retain(NULL));
    assert_int_equal(kvds_store_release(NULL), 0);
    assert_int_equal(kvds_store_ref_count(NULL), 0);
    assert_int_equal(kvds_store_tag(NULL), 0);
    assert_null(kvds_store_id(NULL));
    assert_int_equal(kvds_store_backend(NULL), 0);
    assert_int_equal(kvds_is_open(NULL), 0);
    assert_int_equal(kvds_store_ref_count(f->store), 1);
}

/* Makes every call that can fail on a pointer that is not a distributor. */
static void assert_is_no_distributor(struct fixture *f, kvds_distributor *distributor)
{
    kvds_store *store = f->store;
    assert_invalid(kvds_distributor_get_or_create(distributor, "store", f->backend, &store));
    assert_null(store);
    store = f->store;
    assert_invalid(kvds_distributor_get(distributor, "store", f->backend, &store));
    assert_null(store);
    assert_invalid(kvds_distributor_evict(distributor, "store", f->backend));
    assert_invalid(kvds_distributor_destroy_store(distributor, "store"));
    assert_invalid(kvds_distributor_destroy(distributor, "store", f->backend));
    assert_invalid(kvds_distributor_for_each(distributor, on_store, NULL));
    uint64_t observer = 99;
    assert_invalid(kvds_distributor_observe(distributor, on_death, NULL, NULL, &observer));
    assert_int_equal(observer, 0);
    assert_invalid(kvds_distributor_unobserve(distributor, 0));
    assert_invalid(kvds_distributor_shutdown(distributor));
    assert_error_says("kvds_distributor");
    assert_int_equal(kvds_distributor_store_count(distributor), 0);
    assert_int_equal(kvds_distributor_ref_count(distributor), 0);
}

static void a_null_distributor_is_an_error(void **state)
{
    assert_is_no_distributor(*state, NULL);
    assert_null(kvds_distributor_retain(NULL));
    assert_int_equal(kvds_distributor_release(NULL), 0);
}

static void handles_of_another_kind_are_errors(void **state)
{
    struct fixture *f = *state;
    kvds_store *no_store = (kvds_store *)f->distributor;
    must_return_everywhere(KVDS_INVALID_ARGUMENT, no_store);
    assert_error_says("kvds_store");
    assert_null(kvds_store_retain(no_store));
    assert_int_equal(kvds_store_release(no_store), 0);
    assert_int_equal(kvds_store_ref_count(no_store), 0);
    assert_null(kvds_store_id(no_store));
    assert_int_equal(kvds_is_open(no_store), 0);

    kvds_distributor *no_distributor = (kvds_distributor *)f->store;
    assert_is_no_distributor(f, no_distributor);
    assert_null(kvds_distributor_retain(no_distributor));
    assert_int_equal(kvds_distributor_release(no_distributor), 0);

    kvds_store *no_handle = (kvds_store *)((char *)f->store + 1);
    must_return_everywhere(KVDS_INVALID_ARGUMENT, no_handle);

    assert_int_equal(kvds_distributor_ref_count(f->distributor), 1);
    assert_int_equal(kvds_store_ref_count(f->store), 1);
    assert_int_equal(kvds_is_open(f->store), 1);
}

static void null_arguments_of_distributors_are_errors(void **state)
{
    struct fixture *f = *state;
    kvds_distributor *d = f->distributor;
    kvds_store *store = f->store;
    assert_invalid(kvds_distributor_open(f->base, NULL, NULL));
    assert_invalid(kvds_distributor_get_or_create(d, NULL, f->backend, &store));
    assert_null(store);
    assert_error_says("id");
    assert_invalid(kvds_distributor_get_or_create(d, "store", f->backend, NULL));
    assert_error_says("out");
    store = f->store;
    assert_invalid(kvds_distributor_get(d, NULL, f->backend, &store));
    assert_null(store);
    assert_invalid(kvds_distributor_get(d, "store", f->backend, NULL));
    assert_invalid(kvds_distributor_evict(d, NULL, f->backend));
    assert_invalid(kvds_distributor_destroy_store(d, NULL));
    assert_invalid(kvds_distributor_destroy(d, NULL, f->backend));
    assert_error_says("id");
    assert_invalid(kvds_distributor_for_each(d, NULL, NULL));
    assert_error_says("callback");
    assert_int_equal(kvds_store_ref_count(f->store), 1);
    assert_int_equal(kvds_distributor_store_count(d), 1);
}

static void null_arguments_of_stores_are_errors(void **state)
{
    struct fixture *f = *state;
    kvds_store *s = f->store;
    const kvds_pair no_key = { NULL, 1, "value", 5 }, no_value = { "key", 3, NULL, 1 };
    const kvds_bytes no_bytes = { NULL, 1 };
    kvds_value value = { f, 99, f };
    size_t len = 99;
    char byte = 'X';
    assert_ok(kvds_set(s, BYTES("key"), BYTES("value")));

    assert_invalid(kvds_get(s, BYTES("key"), NULL));
    assert_error_says("out");
    assert_invalid(kvds_get(s, NULL, 1, &value));
    assert_error_says("key");
    assert_true(value.data == NULL && value.len == 0 && value.owner == NULL);
    assert_invalid(kvds_get_into(s, BYTES("key"), &byte, 1, NULL));
    assert_invalid(kvds_get_into(s, NULL, 1, &byte, 1, &len));
    assert_int_equal(len, 0);
    assert_invalid(kvds_get_into(s, BYTES("key"), NULL, 5, &len));
    assert_error_says("buffer");
    assert_int_equal(byte, 'X');
    assert_invalid(kvds_exists(s, NULL, 1));
    assert_invalid(kvds_iterate(s, NULL, 1, pass_over, NULL));
    assert_error_says("prefix");
    assert_invalid(kvds_iterate(s, NULL, 0, NULL, NULL));
    assert_error_says("callback");
    assert_invalid(kvds_set(s, NULL, 1, BYTES("value")));
    assert_invalid(kvds_set(s, BYTES("key"), NULL, 1));
    assert_error_says("value");
    assert_invalid(kvds_del(s, NULL, 1));
    assert_invalid(kvds_set_nx(s, NULL, 1, BYTES("value")));
    assert_invalid(kvds_set_nx(s, BYTES("a"), NULL, 1));
    assert_invalid(kvds_compare_and_swap(s, NULL, 1, BYTES("value"), BYTES("other")));
    assert_invalid(kvds_compare_and_swap(s, BYTES("key"), NULL, 1, BYTES("other")));
    assert_error_says("expected");
    assert_invalid(kvds_compare_and_swap(s, BYTES("key"), BYTES("value"), NULL, 1));
    assert_invalid(kvds_set_batch(s, NULL, 1));
    assert_error_says("pairs");
    assert_invalid(kvds_set_batch(s, &no_key, 1));
    assert_invalid(kvds_set_batch(s, &no_value, 1));
    assert_invalid(kvds_delete_batch(s, NULL, 1));
    assert_error_says("keys");
    assert_invalid(kvds_delete_batch(s, &no_bytes, 1));
    assert_unchanged(f);
}

static void lengths_over_the_limit_are_errors(void **state)
{
    struct fixture *f = *state;
    kvds_store *s = f->store;
    kvds_value value = { f, 99, f };
    size_t len = 99;
    assert_ok(kvds_set(s, BYTES("key"), BYTES("value")));

    /*
     * The buffer is shorter than the length: a length over the limit fails before any byte is read.
     */
    const size_t lengths[] = { KVDS_MAX_KEY_LEN + 1, SIZE_MAX / 2, SIZE_MAX };
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        const size_t n = lengths[i];
        assert_invalid(kvds_get(s, "key", n, &value));
        assert_true(value.data == NULL && value.len == 0 && value.owner == NULL);
        assert_error_says("65536");
        assert_invalid(kvds_get_into(s, "key", n, NULL, 0, &len));
        assert_int_equal(len, 0);
        assert_invalid(kvds_exists(s, "key", n));
        assert_invalid(kvds_iterate(s, "key", n, pass_over, NULL));
        assert_invalid(kvds_set(s, "key", n, BYTES("other")));
        assert_invalid(kvds_del(s, "key", n));
        assert_invalid(kvds_set_nx(s, "key", n, BYTES("other")));
        assert_invalid(kvds_compare_and_swap(s, "key", n, BYTES("value"), BYTES("other")));
    }
    const size_t sizes[] = { (size_t)KVDS_MAX_VALUE_LEN + 1, SIZE_MAX / 2, SIZE_MAX };
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        const size_t n = sizes[i];
        assert_invalid(kvds_set(s, BYTES("key"), "other", n));
        assert_error_says("1073741824");
        assert_invalid(kvds_set_nx(s, BYTES("a"), "other", n));
        assert_invalid(kvds_compare_and_swap(s, BYTES("key"), BYTES("value"), "other", n));
        assert_invalid(kvds_compare_and_swap(s, BYTES("key"), "value", n, BYTES("other")));
    }
    assert_unchanged(f);
}

static void an_invalid_member_fails_its_batch(void **state)
{
    struct fixture *f = *state;
    kvds_store *s = f->store;
    assert_ok(kvds_set(s, BYTES("key"), BYTES("value")));
    const kvds_pair bad_pairs[] = {
        { "b", KVDS_MAX_KEY_LEN + 1, BYTES("value") },
        { BYTES("b"), "value", (size_t)KVDS_MAX_VALUE_LEN + 1 },
        { NULL, 1, BYTES("value") },
        { BYTES("b"), NULL, 1 },
    };
    for (size_t i = 0; i < COUNT_OF(bad_pairs); i++) {
        const kvds_pair pairs[] = {
            { BYTES("a"), BYTES("value") },
            { BYTES("key"), BYTES("other") },
            bad_pairs[i],
            { NULL, 0, NULL, 0 },
        };
        assert_invalid(kvds_set_batch(s, pairs, COUNT_OF(pairs)));
        assert_error_says("pairs[2]");
    }
    const kvds_bytes bad_keys[] = { { "b", KVDS_MAX_KEY_LEN + 1 }, { NULL, 1 } };
    for (size_t i = 0; i < COUNT_OF(bad_keys); i++) {
        const kvds_bytes keys[] = { { BYTES("key") }, bad_keys[i], { NULL, 0 } };
        assert_invalid(kvds_delete_batch(s, keys, COUNT_OF(keys)));
        assert_error_says("keys[1]");
    }
    /* A count that memory cannot hold fails before any element but the first is read. */
    const kvds_pair pair = { BYTES("a"), BYTES("value") };
    const kvds_bytes key = { BYTES("key") };
    assert_invalid(kvds_set_batch(s, &pair, SIZE_MAX));
    assert_invalid(kvds_set_batch(s, &pair, SIZE_MAX / sizeof pair));
    assert_invalid(kvds_delete_batch(s, &key, SIZE_MAX));
    assert_invalid(kvds_delete_batch(s, &key, SIZE_MAX / sizeof key));
    assert_unchanged(f);
}

static void unknown_backends_are_errors(void **state)
{
    struct fixture *f = *state;
    const kvds_backend numbers[] = { -1, KVDS_CLUSTER + 1, 99, INT32_MIN, INT32_MAX };
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        kvds_store *store = f->store;
        assert_invalid(kvds_distributor_get_or_create(f->distributor, "store", numbers[i], &store));
        assert_null(store);
        assert_error_says("KVDS_MEMORY");
        assert_error_says("KVDS_DISK");
        assert_error_says("KVDS_CLUSTER");
        store = f->store;
        assert_invalid(kvds_distributor_get(f->distributor, "store", numbers[i], &store));
        assert_null(store);
        assert_invalid(kvds_distributor_evict(f->distributor, "store", numbers[i]));
        assert_invalid(kvds_distributor_destroy(f->distributor, "store", numbers[i]));
    }
    assert_int_equal(kvds_distributor_store_count(f->distributor), 1);
}

static void text_that_is_not_utf8_is_an_error(void **state)
{
    struct fixture *f = *state;
    kvds_store *store = f->store;
    assert_invalid(kvds_distributor_get_or_create(f->distributor, "store\xFF", KVDS_DISK, &store));
    assert_null(store);
    assert_error_says("UTF-8");
    assert_invalid(kvds_distributor_get(f->distributor, "store\xFF", KVDS_DISK, &store));
    assert_invalid(kvds_distributor_evict(f->distributor, "store\xFF", KVDS_DISK));
    assert_null(kvds_distributor_new("/tmp/\xFF"));
    assert_error_says("UTF-8");
    kvds_distributor *distributor = f->distributor;
    assert_invalid(kvds_distributor_open("/tmp/\xFF", NULL, &distributor));
    assert_null(distributor);
}

static void option_errors_list_what_is_allowed(void **state)
{
    struct fixture *f = *state;
    kvds_options *options = kvds_options_new();
    assert_non_null(options);
    assert_invalid(kvds_options_set(options, "color", "1"));
    assert_error_says("color");
    assert_error_says("keep_stores");
    assert_invalid(kvds_options_set(options, "keep_stores", "maybe"));
    assert_error_says("maybe");
    assert_error_says("0 or 1");
    assert_invalid(kvds_options_set(options, "keep_stores", ""));
    assert_invalid(kvds_options_set(options, NULL, "1"));
    assert_invalid(kvds_options_set(options, "keep_stores", NULL));
    assert_invalid(kvds_options_set(options, "keep_stores", "\xFF"));
    assert_invalid(kvds_options_set(NULL, "keep_stores", "1"));
    assert_invalid(kvds_options_set_keep_stores(NULL, 1));
    assert_invalid(kvds_options_set_keep_stores(options, 2));
    assert_invalid(kvds_options_set_keep_stores(options, -1));

    /* No option has changed: the distributor keeps no stores. */
    kvds_distributor *distributor;
    assert_ok(kvds_distributor_open(NULL, options, &distributor));
    assert_int_equal(kvds_store_release(open_store(distributor, "store", KVDS_MEMORY)), 0);
    kvds_distributor_release(distributor);
    kvds_options_free(options);
    kvds_options_free(NULL);
    assert_int_equal(kvds_store_ref_count(f->store), 1);
}

static void values_can_be_released_twice(void **state)
{
    struct fixture *f = *state;
    static const char big[1 << 20];
    kvds_value values[2];
    assert_ok(kvds_set(f->store, BYTES("small"), BYTES("value")));
    assert_ok(kvds_set(f->store, BYTES("big"), big, sizeof big));
    assert_ok(kvds_get(f->store, BYTES("small"), &values[0]));
    assert_ok(kvds_get(f->store, BYTES("big"), &values[1]));
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        for (int times = 0; times < 3; times++) {
            kvds_value_release(&values[i]);
            assert_true(values[i].data == NULL && values[i].len == 0 && values[i].owner == NULL);
        }
    }
    kvds_value_release(NULL);
}

static void statuses_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {
        "KVDS_EXPIRED",   "KVDS_INTERNAL",
        "KVDS_FORKED",    "KVDS_UNKNOWN_OUTCOME",
        "KVDS_BUSY",      "KVDS_UNSUPPORTED",
        "KVDS_NO_MEMORY", "KVDS_CORRUPTION",
        "KVDS_NO_SPACE",  "KVDS_IO",
        "KVDS_LOCKED",    "KVDS_DENIED",
        "KVDS_CLOSED",    "KVDS_INVALID_ARGUMENT",
        "KVDS_OK",        "KVDS_NOT_FOUND",
        "KVDS_EXISTS",    "KVDS_MISMATCH",
        "KVDS_STOPPED",   "KVDS_TRUNCATED",
    };
    for (kvds_status status = KVDS_EXPIRED; status <= KVDS_TRUNCATED; status++)
        assert_string_equal(kvds_status_name(status), names[status - KVDS_EXPIRED]);
    const kvds_status unknown[] = { KVDS_EXPIRED - 1, KVDS_TRUNCATED + 1, INT32_MIN, INT32_MAX };
    for (size_t i = 0; i < COUNT_OF(unknown); i++)
        assert_string_equal(kvds_status_name(unknown[i]), "KVDS_?");

    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", KVDS_VERSION_MAJOR, KVDS_VERSION_MINOR,
             KVDS_VERSION_PATCH);
    assert_string_equal(kvds_version(), version);
}

static void *fail_once(void *argument)
{
    (void)argument;
    must(strcmp(kvds_last_error(), "") == 0);
    must_return(KVDS_INVALID_ARGUMENT, kvds_close(NULL));
    must(strstr(kvds_last_error(), "kvds_close") != NULL);
    return NULL;
}

static void each_thread_has_its_last_error(void **state)
{
    struct fixture *f = *state;
    assert_invalid(kvds_del(f->store, NULL, 1));
    assert_error_says("kvds_del");
    join(start(fail_once, NULL));
    assert_error_says("kvds_del");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_null_store_is_an_error),
        ON_BOTH(a_null_distributor_is_an_error),
        ON_BOTH(handles_of_another_kind_are_errors),
        ON_BOTH(null_arguments_of_distributors_are_errors),
        ON_BOTH(null_arguments_of_stores_are_errors),
        ON_BOTH(lengths_over_the_limit_are_errors),
        ON_BOTH(an_invalid_member_fails_its_batch),
        ON_BOTH(unknown_backends_are_errors),
        ON_DISK(text_that_is_not_utf8_is_an_error),
        ON_MEMORY(option_errors_list_what_is_allowed),
        ON_BOTH(values_can_be_released_twice),
        ON_MEMORY(statuses_have_names),
        ON_MEMORY(each_thread_has_its_last_error),
    };
    return RUN("invalid_calls", tests);
}
