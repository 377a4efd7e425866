/* Batches with expectations, counters, conditional deletion and deletion by prefix. */

#include "check.h"
#include "pairs.h"

/*
 * Fills a batch from text: "+a=1" sets, "-a" deletes, "?a=1" expects a value, "!a" expects no
 * value.
 */
static void fill(kvds_batch *batch, const char *steps)
{
    while (*steps) {
        struct text key, value;
        char step = *steps++;
        read_pair(&steps, &key, &value);
        switch (step) {
        case '+': must_ok(kvds_batch_set(batch, key.data, key.len, value.data, value.len)); break;
        case '-': must_ok(kvds_batch_del(batch, key.data, key.len)); break;
        case '?':
            must_ok(kvds_batch_expect(batch, key.data, key.len, value.data, value.len));
            break;
        case '!': must_ok(kvds_batch_expect_absent(batch, key.data, key.len)); break;
        default: give_up(__FILE__, __LINE__, steps, "is no step of a batch");
        }
    }
}

static void a_batch_is_applied_if_every_expectation_holds(void **state)
{
    static const struct {
        const char *before, *steps;
        kvds_status status;
        const char *after;
    } cases[] = {
        { "a=1", "", KVDS_OK, "a=1" },
        { "a=1", "+a=2 +b=3 +=4", KVDS_OK, "=4 a=2 b=3" },
        { "a=1", "-a -b", KVDS_OK, "" },
        { "", "+%00=%00 +%FF%FF=%FF +a%00b=", KVDS_OK, "%00=%00 a%00b= %FF%FF=%FF" },
        /* The last operation on a key wins. */
        { "", "+a=1 +a=2 +a=3", KVDS_OK, "a=3" },
        { "a=1", "+a=2 -a", KVDS_OK, "" },
        { "a=1", "-a +a=2", KVDS_OK, "a=2" },
        { "a=1", "+a=2 -a +b=3 +a=4 -b", KVDS_OK, "a=4" },
        { "", "+a=1 +b=2 -a +c=3 -c", KVDS_OK, "b=2" },
        /*
         * Expectations that hold: they are about the data before the batch, wherever they stand in
         * it.
         */
        { "a=1", "?a=1 +a=2", KVDS_OK, "a=2" },
        { "a=1", "+a=2 ?a=1", KVDS_OK, "a=2" },
        { "a=1", "?a=1 ?a=1 -a !b !b +b=2", KVDS_OK, "b=2" },
        { "", "+a=1 !a", KVDS_OK, "a=1" },
        { "a=", "?a= +a=1", KVDS_OK, "a=1" },
        { "=1", "?=1 -", KVDS_OK, "" },
        { "a=1", "?a=1 !b", KVDS_OK, "a=1" },
        /* Expectations that do not hold: another value, no value, any value, and two at once. */
        { "a=1", "?a=2 +b=3", KVDS_MISMATCH, "a=1" },
        { "a=1", "+a=2 ?a=2", KVDS_MISMATCH, "a=1" },
        { "a=12", "?a=1 -a", KVDS_MISMATCH, "a=12" },
        { "a=1", "?a=12 -a", KVDS_MISMATCH, "a=1" },
        { "a=1", "?a= -a", KVDS_MISMATCH, "a=1" },
        { "a=1%00", "?a=1 -a", KVDS_MISMATCH, "a=1%00" },
        { "", "?a=1 +a=1", KVDS_MISMATCH, "" },
        { "", "?a= +a=1", KVDS_MISMATCH, "" },
        { "a=", "!a +a=1", KVDS_MISMATCH, "a=" },
        { "=1", "! +a=1", KVDS_MISMATCH, "=1" },
        { "a=1 b=2", "?a=1 ?b=3 -a +c=4 -b", KVDS_MISMATCH, "a=1 b=2" },
        { "a=1", "?a=1 ?a=2 -a", KVDS_MISMATCH, "a=1" },
        { "a=1", "?a=1 !a -a", KVDS_MISMATCH, "a=1" },
        { "a=1", "?a=2", KVDS_MISMATCH, "a=1" },
    };
    struct fixture *f = *state;
    kvds_batch *batch = kvds_batch_new();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        reset_pairs(f->store, cases[i].before);
        kvds_batch_clear(batch);
        fill(batch, cases[i].steps);
        if (kvds_write(f->store, batch) != cases[i].status)
            fail_msg("on \"%s\" the batch \"%s\" returns another status", cases[i].before,
                     cases[i].steps);
        assert_pairs(cases[i].after, f->store);
    }
    kvds_batch_free(batch);
}

static void a_batch_is_counted_cleared_and_used_again(void **state)
{
    struct fixture *f = *state;
    kvds_store *other = open_store(f->distributor, "other", f->backend);
    kvds_batch *batch = kvds_batch_new();
    assert_int_equal(kvds_batch_count(batch), 0);
    fill(batch, "!a +a=1 +a=2 -b +c=3");
    assert_int_equal(kvds_batch_count(batch), 4);

    assert_ok(kvds_write(f->store, batch));
    assert_ok(kvds_write(other, batch));
    assert_returns(KVDS_MISMATCH, kvds_write(f->store, batch));
    assert_int_equal(kvds_batch_count(batch), 4);
    fill(batch, "+d=4");
    assert_int_equal(kvds_batch_count(batch), 5);
    assert_ok(kvds_del(other, BYTES("a")));
    assert_ok(kvds_write(other, batch));
    assert_pairs("a=2 c=3", f->store);
    assert_pairs("a=2 c=3 d=4", other);

    kvds_batch_clear(batch);
    assert_int_equal(kvds_batch_count(batch), 0);
    assert_ok(kvds_write(f->store, batch));
    fill(batch, "+e=5");
    assert_ok(kvds_write(f->store, batch));
    assert_pairs("a=2 c=3 e=5", f->store);

    /* A batch belongs to no store and outlives every store that it was written to. */
    kvds_store_release(other);
    assert_int_equal(kvds_batch_count(batch), 1);
    kvds_batch_free(batch);
}

static void a_batch_copies_keys_and_values(void **state)
{
    struct fixture *f = *state;
    char key[] = "key", value[] = "old", expected[] = "one";
    set_pairs(f->store, "a=one");
    kvds_batch *batch = kvds_batch_new();
    assert_ok(kvds_batch_expect(batch, BYTES("a"), expected, 3));
    assert_ok(kvds_batch_set(batch, key, 3, value, 3));
    memcpy(key, "XXX", 3);
    memcpy(value, "YYY", 3);
    memcpy(expected, "ZZZ", 3);
    assert_ok(kvds_write(f->store, batch));
    assert_pairs("a=one key=old", f->store);
    kvds_batch_free(batch);
}

static void invalid_operations_are_not_added(void **state)
{
    static const char longest[KVDS_MAX_KEY_LEN + 1];
    static const size_t too_long = (size_t)KVDS_MAX_VALUE_LEN + 1;
    static const char byte = 'v';
    struct fixture *f = *state;
    kvds_batch *batch = kvds_batch_new(), *none = NULL;
    fill(batch, "+a=1");
    assert_invalid(kvds_batch_set(batch, NULL, 1, BYTES("value")));
    assert_error_says("key");
    assert_invalid(kvds_batch_set(batch, BYTES("key"), NULL, 1));
    assert_error_says("value");
    assert_invalid(kvds_batch_set(batch, longest, sizeof longest, BYTES("value")));
    assert_invalid(kvds_batch_set(batch, BYTES("key"), &byte, too_long));
    assert_invalid(kvds_batch_del(batch, NULL, 1));
    assert_invalid(kvds_batch_del(batch, longest, sizeof longest));
    assert_invalid(kvds_batch_expect(batch, NULL, 1, BYTES("value")));
    assert_invalid(kvds_batch_expect(batch, BYTES("key"), NULL, 1));
    assert_invalid(kvds_batch_expect(batch, longest, sizeof longest, BYTES("value")));
    assert_invalid(kvds_batch_expect(batch, BYTES("key"), &byte, too_long));
    assert_invalid(kvds_batch_expect_absent(batch, NULL, 1));
    assert_invalid(kvds_batch_expect_absent(batch, longest, sizeof longest));
    assert_int_equal(kvds_batch_count(batch), 1);

    assert_invalid(kvds_batch_set(none, BYTES("key"), BYTES("value")));
    assert_error_says("kvds_batch");
    assert_invalid(kvds_batch_del(none, BYTES("key")));
    assert_invalid(kvds_batch_expect(none, BYTES("key"), BYTES("value")));
    assert_invalid(kvds_batch_expect_absent(none, BYTES("key")));
    assert_invalid(kvds_write(f->store, none));
    assert_invalid(kvds_write(NULL, batch));
    assert_int_equal(kvds_batch_count(none), 0);
    kvds_batch_clear(none);
    kvds_batch_free(none);

    assert_ok(kvds_batch_set(batch, longest, sizeof longest - 1, BYTES("value")));
    assert_ok(kvds_batch_del(batch, longest, sizeof longest - 1));
    assert_ok(kvds_write(f->store, batch));
    assert_pairs("a=1", f->store);
    kvds_batch_free(batch);
}

static void compare_and_delete_compares_everything(void **state)
{
    static const struct {
        const char *before, *expected;
        kvds_status status;
        const char *after;
    } cases[] = {
        { "a=1", "a=1", KVDS_OK, "" },
        { "a=1 ab=1", "a=1", KVDS_OK, "ab=1" },
        { "a=1", "a=2", KVDS_MISMATCH, "a=1" },
        { "a=1", "a=12", KVDS_MISMATCH, "a=1" },
        { "a=12", "a=1", KVDS_MISMATCH, "a=12" },
        { "a=1", "a=", KVDS_MISMATCH, "a=1" },
        { "a=", "a=", KVDS_OK, "" },
        { "a=", "a=%00", KVDS_MISMATCH, "a=" },
        { "a=1", "b=1", KVDS_NOT_FOUND, "a=1" },
        { "a=1", "b=", KVDS_NOT_FOUND, "a=1" },
        { "=1", "=1", KVDS_OK, "" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *expected = cases[i].expected;
        struct text key, value;
        read_pair(&expected, &key, &value);
        reset_pairs(f->store, cases[i].before);
        assert_returns(cases[i].status,
                       kvds_compare_and_delete(f->store, key.data, key.len, value.data, value.len));
        assert_pairs(cases[i].after, f->store);
    }
    assert_invalid(kvds_compare_and_delete(f->store, NULL, 1, BYTES("1")));
    assert_invalid(kvds_compare_and_delete(f->store, BYTES("a"), NULL, 1));
    assert_error_says("expected");
}

static void add_counts_in_decimal(void **state)
{
    static const struct {
        const char *before;
        int64_t delta;
        kvds_status status;
        int64_t sum;
        const char *after;
    } cases[] = {
        { NULL, 5, KVDS_OK, 5, "5" },
        { NULL, 0, KVDS_OK, 0, "0" },
        { NULL, INT64_MIN, KVDS_OK, INT64_MIN, "-9223372036854775808" },
        { "5", -7, KVDS_OK, -2, "-2" },
        { "-12", 12, KVDS_OK, 0, "0" },
        { "007", 1, KVDS_OK, 8, "8" },
        { "9223372036854775806", 1, KVDS_OK, INT64_MAX, "9223372036854775807" },
        { "9223372036854775807", INT64_MIN, KVDS_OK, -1, "-1" },
        { "9223372036854775807", 1, KVDS_INVALID_ARGUMENT, 0, "9223372036854775807" },
        { "-9223372036854775808", -1, KVDS_INVALID_ARGUMENT, 0, "-9223372036854775808" },
        { "9223372036854775808", 0, KVDS_INVALID_ARGUMENT, 0, "9223372036854775808" },
        { "", 1, KVDS_INVALID_ARGUMENT, 0, "" },
        { "-", 1, KVDS_INVALID_ARGUMENT, 0, "-" },
        { "one", 1, KVDS_INVALID_ARGUMENT, 0, "one" },
        { "1 ", 1, KVDS_INVALID_ARGUMENT, 0, "1 " },
        { " 1", 1, KVDS_INVALID_ARGUMENT, 0, " 1" },
        { "1.0", 1, KVDS_INVALID_ARGUMENT, 0, "1.0" },
        { "0x1", 1, KVDS_INVALID_ARGUMENT, 0, "0x1" },
        { "\xFF", 1, KVDS_INVALID_ARGUMENT, 0, "\xFF" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t sum = 99;
        assert_ok(kvds_delete_prefix(f->store, NULL, 0));
        if (cases[i].before)
            assert_ok(kvds_set(f->store, BYTES("n"), cases[i].before, strlen(cases[i].before)));
        assert_returns(cases[i].status, kvds_add(f->store, BYTES("n"), cases[i].delta, &sum));
        assert_true(sum == cases[i].sum);
        assert_true(has(f->store, BYTES("n"), cases[i].after, strlen(cases[i].after)));
    }
    /* A zero does not end a number. */
    reset_pairs(f->store, "n=1%00");
    assert_invalid(kvds_add(f->store, BYTES("n"), 1, NULL));
    assert_error_says("number");
    reset_pairs(f->store, "n=1");
    assert_ok(kvds_add(f->store, BYTES("n"), 1, NULL));
    assert_ok(kvds_add(f->store, NULL, 0, -1, NULL));
    assert_true(has(f->store, NULL, 0, BYTES("-1")));
    assert_true(has(f->store, BYTES("n"), BYTES("2")));
    assert_invalid(kvds_add(f->store, NULL, 1, 1, NULL));
}

static void delete_prefix_deletes_exactly_its_keys(void **state)
{
    static const struct {
        const char *before, *prefix, *after;
    } cases[] = {
        { "a=1 ab=2 b=3", "a", "b=3" },
        { "a=1 ab=2 abc=3 b=4", "ab", "a=1 b=4" },
        { "a=1 b=2", "c", "a=1 b=2" },
        { "=0 a=1 %FF=2 %FF%FF=3", "", "" },
        { "=0 %FE%FF=1 %FF=2 %FF%FF=3 %FF%FFa=4", "%FF", "=0 %FE%FF=1" },
        { "%FE=1 %FF=2 %FF%FF=3 %FF%FFa=4", "%FF%FF", "%FE=1 %FF=2" },
        { "a=1 a%FF=2 a%FFb=3 b=4", "a%FF", "a=1 b=4" },
        { "%00=1 %00%00=2 %01=3", "%00", "%01=3" },
        { "", "", "" },
    };
    static const char zeros[KVDS_MAX_KEY_LEN + 1];
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *text = cases[i].prefix;
        const struct text prefix = read_bytes(&text);
        reset_pairs(f->store, cases[i].before);
        for (int twice = 0; twice < 2; twice++)
            assert_ok(kvds_delete_prefix(f->store, prefix.data, prefix.len));
        assert_pairs(cases[i].after, f->store);
        /* A key that is set again exists again. */
        reset_pairs(f->store, cases[i].before);
        assert_pairs(cases[i].before, f->store);
    }
    assert_ok(kvds_set(f->store, zeros, sizeof zeros - 1, BYTES("value")));
    assert_ok(kvds_delete_prefix(f->store, zeros, sizeof zeros - 1));
    assert_pairs("", f->store);
    assert_invalid(kvds_delete_prefix(f->store, zeros, sizeof zeros));
    assert_invalid(kvds_delete_prefix(f->store, NULL, 1));
    assert_error_says("prefix");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_batch_is_applied_if_every_expectation_holds),
        ON_BOTH(a_batch_is_counted_cleared_and_used_again),
        ON_BOTH(a_batch_copies_keys_and_values),
        ON_BOTH(invalid_operations_are_not_added),
        ON_BOTH(compare_and_delete_compares_everything),
        ON_BOTH(add_counts_in_decimal),
        ON_BOTH(delete_prefix_deletes_exactly_its_keys),
    };
    return RUN("batches", tests);
}
