/* Every read and write and every status of it, the same on every backend. */

#include "check.h"

static void get_returns_the_value(void **state)
{
    struct fixture *f = *state;
    kvds_value value;
    assert_returns(KVDS_NOT_FOUND, kvds_get(f->store, BYTES("key"), &value));
    assert_null(value.data);
    assert_int_equal(value.len, 0);

    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_ok(kvds_get(f->store, BYTES("key"), &value));
    assert_int_equal(value.len, 5);
    assert_memory_equal(value.data, "value", 5);

    /* A returned value stays valid, whatever happens to the key. */
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("other")));
    assert_memory_equal(value.data, "value", 5);
    assert_ok(kvds_del(f->store, BYTES("key")));
    assert_memory_equal(value.data, "value", 5);
    kvds_value_release(&value);
    assert_null(value.data);
}

static void get_into_copies_what_fits(void **state)
{
    static const struct {
        size_t capacity;
        kvds_status status;
        const char *buffer;
    } cases[] = {
        { 8, KVDS_OK, "valueXXX" },
        { 5, KVDS_OK, "valueXXX" },
        { 4, KVDS_TRUNCATED, "XXXXXXXX" },
        { 0, KVDS_TRUNCATED, "XXXXXXXX" },
    };
    struct fixture *f = *state;
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char buffer[] = "XXXXXXXX";
        size_t len = 99;
        assert_returns(cases[i].status,
                       kvds_get_into(f->store, BYTES("key"), buffer, cases[i].capacity, &len));
        assert_int_equal(len, 5);
        assert_string_equal(buffer, cases[i].buffer);
    }
    char buffer[] = "XXXXXXXX";
    size_t len = 99;
    assert_returns(KVDS_TRUNCATED, kvds_get_into(f->store, BYTES("key"), NULL, 0, &len));
    assert_int_equal(len, 5);
    assert_returns(KVDS_NOT_FOUND,
                   kvds_get_into(f->store, BYTES("other"), buffer, sizeof buffer, &len));
    assert_int_equal(len, 0);
    assert_string_equal(buffer, "XXXXXXXX");

    assert_ok(kvds_set(f->store, BYTES("empty"), NULL, 0));
    len = 99;
    assert_ok(kvds_get_into(f->store, BYTES("empty"), NULL, 0, &len));
    assert_int_equal(len, 0);
}

static void set_overwrites_and_del_deletes(void **state)
{
    struct fixture *f = *state;
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("key")));
    assert_returns(KVDS_NOT_FOUND, kvds_del(f->store, BYTES("key")));
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_ok(kvds_exists(f->store, BYTES("key")));
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("a longer value")));
    assert_true(has(f->store, BYTES("key"), BYTES("a longer value")));
    assert_ok(kvds_del(f->store, BYTES("key")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("key")));
    assert_returns(KVDS_NOT_FOUND, kvds_del(f->store, BYTES("key")));
}

static void set_nx_keeps_an_existing_value(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set_nx(f->store, BYTES("key"), BYTES("first")));
    assert_returns(KVDS_EXISTS, kvds_set_nx(f->store, BYTES("key"), BYTES("second")));
    assert_true(has(f->store, BYTES("key"), BYTES("first")));
    assert_ok(kvds_set(f->store, BYTES("empty"), NULL, 0));
    assert_returns(KVDS_EXISTS, kvds_set_nx(f->store, BYTES("empty"), BYTES("second")));
    assert_ok(kvds_del(f->store, BYTES("key")));
    assert_ok(kvds_set_nx(f->store, BYTES("key"), BYTES("third")));
    assert_true(has(f->store, BYTES("key"), BYTES("third")));
}

static void compare_and_swap_compares_everything(void **state)
{
    struct fixture *f = *state;
    kvds_store *s = f->store;
    assert_returns(KVDS_NOT_FOUND,
                   kvds_compare_and_swap(s, BYTES("key"), BYTES("one"), BYTES("two")));
    assert_returns(KVDS_NOT_FOUND, kvds_compare_and_swap(s, BYTES("key"), NULL, 0, BYTES("two")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(s, BYTES("key")));

    assert_ok(kvds_set(s, BYTES("key"), BYTES("one")));
    assert_returns(KVDS_MISMATCH,
                   kvds_compare_and_swap(s, BYTES("key"), BYTES("on"), BYTES("two")));
    assert_returns(KVDS_MISMATCH,
                   kvds_compare_and_swap(s, BYTES("key"), BYTES("one\0"), BYTES("two")));
    assert_returns(KVDS_MISMATCH, kvds_compare_and_swap(s, BYTES("key"), NULL, 0, BYTES("two")));
    assert_true(has(s, BYTES("key"), BYTES("one")));

    assert_ok(kvds_compare_and_swap(s, BYTES("key"), BYTES("one"), BYTES("two")));
    assert_true(has(s, BYTES("key"), BYTES("two")));
    assert_ok(kvds_compare_and_swap(s, BYTES("key"), BYTES("two"), BYTES("two")));
    assert_ok(kvds_compare_and_swap(s, BYTES("key"), BYTES("two"), NULL, 0));
    assert_ok(kvds_compare_and_swap(s, BYTES("key"), NULL, 0, BYTES("three")));
    assert_true(has(s, BYTES("key"), BYTES("three")));
}

static void batches_set_and_delete(void **state)
{
    struct fixture *f = *state;
    const kvds_pair pairs[] = {
        { BYTES("a"), BYTES("first") },
        { BYTES("b"), NULL, 0 },
        { NULL, 0, BYTES("of the empty key") },
        { BYTES("a"), BYTES("last") },
    };
    const kvds_bytes keys[] = { { BYTES("b") }, { BYTES("absent") }, { NULL, 0 }, { BYTES("b") } };
    assert_ok(kvds_set(f->store, BYTES("b"), BYTES("before")));
    assert_ok(kvds_set_batch(f->store, pairs, COUNT_OF(pairs)));
    assert_true(has(f->store, BYTES("a"), BYTES("last")));
    assert_true(has(f->store, BYTES("b"), NULL, 0));
    assert_true(has(f->store, NULL, 0, BYTES("of the empty key")));

    assert_ok(kvds_delete_batch(f->store, keys, COUNT_OF(keys)));
    assert_true(has(f->store, BYTES("a"), BYTES("last")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("b")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, NULL, 0));

    assert_ok(kvds_set_batch(f->store, NULL, 0));
    assert_ok(kvds_set_batch(f->store, pairs, 0));
    assert_ok(kvds_delete_batch(f->store, NULL, 0));
    assert_true(has(f->store, BYTES("a"), BYTES("last")));
}

static int count_key(void *user_data, const void *key, size_t key_len, const void *value,
                     size_t value_len)
{
    (void)key, (void)key_len, (void)value, (void)value_len;
    ++*(size_t *)user_data;
    return 1;
}

static void keys_and_values_may_be_any_bytes(void **state)
{
    struct fixture *f = *state;
    static char longest[KVDS_MAX_KEY_LEN];
    memset(longest, 'k', sizeof longest);
    static const char mebi[1 << 20];
    const kvds_pair pairs[] = {
        { NULL, 0, BYTES("of the empty key") },
        { BYTES("empty"), NULL, 0 },
        { BYTES("\0"), BYTES("\0\0") },
        { BYTES("a\0b"), BYTES("x\0y") },
        { BYTES("a"), BYTES("x") },
        { BYTES("\xFF\xFE"), BYTES("\x80\xFF") },
        { longest, sizeof longest, BYTES("of the longest key") },
        { longest, sizeof longest - 1, BYTES("of a shorter key") },
        { BYTES("big"), mebi, sizeof mebi },
    };
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        assert_ok(
            kvds_set(f->store, pairs[i].key, pairs[i].key_len, pairs[i].value, pairs[i].value_len));
    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        assert_true(
            has(f->store, pairs[i].key, pairs[i].key_len, pairs[i].value, pairs[i].value_len));

    kvds_value value;
    assert_ok(kvds_get(f->store, BYTES("empty"), &value));
    assert_non_null(value.data);
    assert_int_equal(value.len, 0);
    kvds_value_release(&value);

    for (size_t i = 0; i < COUNT_OF(pairs); i++)
        assert_ok(kvds_del(f->store, pairs[i].key, pairs[i].key_len));
    size_t left = 0;
    assert_ok(kvds_iterate(f->store, NULL, 0, count_key, &left));
    assert_int_equal(left, 0);
}

static int stop(void *user_data, const void *key, size_t key_len, const void *value,
                size_t value_len)
{
    (void)user_data, (void)key, (void)key_len, (void)value, (void)value_len;
    return 0;
}

/* The visited keys, with a '|' after each, and the number after which to stop. */
struct shown {
    char keys[256];
    size_t len, most;
};

static int note_key(void *user_data, const void *key, size_t key_len, const void *value,
                    size_t value_len)
{
    struct shown *shown = user_data;
    must(key != NULL && value != NULL);
    must(value_len == key_len && memcmp(key, value, key_len) == 0);
    must(shown->len + key_len < sizeof shown->keys);
    memcpy(shown->keys + shown->len, key, key_len);
    shown->keys[shown->len + key_len] = '|';
    shown->len += key_len + 1;
    return --shown->most > 0 ? -1 : 0;
}

static void iterations_visit_a_prefix_in_order(void **state)
{
    /* Written out of order. The order is that of memcmp: unsigned bytes, shorter keys first. */
    static const kvds_bytes keys[] = {
        { BYTES("b") },
        { BYTES("\xFF") },
        { BYTES("ab") },
        { BYTES("\x7F") },
        { BYTES("") },
        { BYTES("\xFF\xFF") },
        { BYTES("a\0c") },
        { BYTES("\x80") },
        { BYTES("a") },
        { BYTES("\xFE\xFF") },
        { BYTES("\xFF\xFF"
                "a") },
        { BYTES("a\xFF") },
        { BYTES("a\xFF"
                "b") },
    };
    static const struct {
        kvds_bytes prefix, shown;
        size_t most;
        kvds_status status;
    } cases[] = {
        { { NULL, 0 },
          { BYTES("|a|a\0c|ab|a\xFF|a\xFF"
                  "b|b|\x7F|\x80|\xFE\xFF|\xFF|\xFF\xFF|\xFF\xFF"
                  "a|") },
          99,
          KVDS_OK },
        { { BYTES("a") },
          { BYTES("a|a\0c|ab|a\xFF|a\xFF"
                  "b|") },
          99,
          KVDS_OK },
        { { BYTES("a\0") }, { BYTES("a\0c|") }, 99, KVDS_OK },
        { { BYTES("a\xFF") },
          { BYTES("a\xFF|a\xFF"
                  "b|") },
          99,
          KVDS_OK },
        { { BYTES("\xFE") }, { BYTES("\xFE\xFF|") }, 99, KVDS_OK },
        { { BYTES("\xFF") },
          { BYTES("\xFF|\xFF\xFF|\xFF\xFF"
                  "a|") },
          99,
          KVDS_OK },
        { { BYTES("\xFF\xFF") },
          { BYTES("\xFF\xFF|\xFF\xFF"
                  "a|") },
          99,
          KVDS_OK },
        { { BYTES("\xFF\xFF\xFF") }, { BYTES("") }, 99, KVDS_OK },
        { { BYTES("c") }, { BYTES("") }, 99, KVDS_OK },
        { { BYTES("a") }, { BYTES("a|a\0c|") }, 2, KVDS_STOPPED },
        { { BYTES("b") }, { BYTES("b|") }, 1, KVDS_STOPPED },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_ok(kvds_set(f->store, keys[i].data, keys[i].len, keys[i].data, keys[i].len));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct shown shown = { .most = cases[i].most };
        assert_returns(cases[i].status, kvds_iterate(f->store, cases[i].prefix.data,
                                                     cases[i].prefix.len, note_key, &shown));
        assert_int_equal(shown.len, cases[i].shown.len);
        assert_memory_equal(shown.keys, cases[i].shown.data, shown.len);
    }
}

static void the_longest_prefix_is_as_long_as_the_longest_key(void **state)
{
    struct fixture *f = *state;
    static char prefix[KVDS_MAX_KEY_LEN];
    memset(prefix, 0xFF, sizeof prefix);
    size_t count = 0;
    assert_ok(kvds_set(f->store, prefix, sizeof prefix, BYTES("value")));
    assert_ok(kvds_set(f->store, prefix, sizeof prefix - 1, BYTES("value")));
    assert_ok(kvds_iterate(f->store, prefix, sizeof prefix, count_key, &count));
    assert_int_equal(count, 1);
    assert_ok(kvds_iterate(f->store, prefix, sizeof prefix - 1, count_key, &count));
    assert_int_equal(count, 3);
}

static void only_a_failure_changes_the_last_error(void **state)
{
    struct fixture *f = *state;
    char before[1024], buffer[1];
    size_t len;
    kvds_value value;
    kvds_store *none;
    assert_invalid(kvds_set(f->store, NULL, 1, BYTES("value")));
    snprintf(before, sizeof before, "%s", kvds_last_error());
    assert_string_not_equal(before, "");

    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_returns(KVDS_EXISTS, kvds_set_nx(f->store, BYTES("key"), BYTES("value")));
    assert_returns(KVDS_MISMATCH,
                   kvds_compare_and_swap(f->store, BYTES("key"), BYTES("other"), BYTES("value")));
    assert_returns(KVDS_TRUNCATED,
                   kvds_get_into(f->store, BYTES("key"), buffer, sizeof buffer, &len));
    assert_returns(KVDS_STOPPED, kvds_iterate(f->store, NULL, 0, stop, NULL));
    assert_ok(kvds_get(f->store, BYTES("key"), &value));
    kvds_value_release(&value);
    assert_ok(kvds_del(f->store, BYTES("key")));
    assert_returns(KVDS_NOT_FOUND, kvds_del(f->store, BYTES("key")));
    assert_returns(KVDS_NOT_FOUND, kvds_get(f->store, BYTES("key"), &value));
    assert_returns(KVDS_NOT_FOUND,
                   kvds_distributor_get(f->distributor, "other", f->backend, &none));
    kvds_store_release(open_again(f));
    assert_string_equal(kvds_last_error(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(get_returns_the_value),
        ON_BOTH(get_into_copies_what_fits),
        ON_BOTH(set_overwrites_and_del_deletes),
        ON_BOTH(set_nx_keeps_an_existing_value),
        ON_BOTH(compare_and_swap_compares_everything),
        ON_BOTH(batches_set_and_delete),
        ON_BOTH(keys_and_values_may_be_any_bytes),
        ON_BOTH(iterations_visit_a_prefix_in_order),
        ON_BOTH(the_longest_prefix_is_as_long_as_the_longest_key),
        ON_BOTH(only_a_failure_changes_the_last_error),
    };
    return RUN("operations", tests);
}
