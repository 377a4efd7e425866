/* Cursors over ranges in both directions, and lookups of several keys. */

#include "check.h"
#include "pairs.h"
#include "views.h"

static kvds_cursor *cursor_over(kvds_store *store, const kvds_range *range)
{
    kvds_cursor *cursor;
    must_ok(kvds_cursor_new(store, range, &cursor));
    return cursor;
}

/* Returns the pairs in reverse order. */
static struct pairs reversed(struct pairs pairs)
{
    struct pairs other = { .len = 0 };
    for (size_t end = pairs.len; end > 0; end--) {
        if (end < pairs.len && pairs.text[end] != ' ')
            continue;
        const char *text = pairs.text + end;
        while (text > pairs.text && text[-1] != ' ')
            text--;
        struct text key, value;
        read_pair(&text, &key, &value);
        append_pair(&other, key.data, key.len, value.data, value.len);
    }
    return other;
}

static void a_cursor_visits_its_range(void **state)
{
    static const char all[] =
        "=0 a=1 a%00=2 ab=3 b=4 c=5 %7F=6 %80=7 %FE%FF=8 %FF=9 %FF%FF=10 %FF%FFa=11";
    static const struct {
        kvds_range range;
        const char *pairs;
    } cases[] = {
        { { NULL, 0, NULL, 0, NULL, 0 }, all },
        { { BYTES(""), BYTES(""), BYTES("") }, all },
        { { NULL, 0, BYTES("ab"), NULL, 0 },
          "ab=3 b=4 c=5 %7F=6 %80=7 %FE%FF=8 %FF=9 %FF%FF=10 %FF%FFa=11" },
        { { NULL, 0, BYTES("aa"), BYTES("c") }, "ab=3 b=4" },
        { { NULL, 0, BYTES("a"), BYTES("ab") }, "a=1 a%00=2" },
        { { NULL, 0, NULL, 0, BYTES("a") }, "=0" },
        { { NULL, 0, NULL, 0, BYTES("\0") }, "=0" },
        { { NULL, 0, BYTES("a"), BYTES("a\0") }, "a=1" },
        { { NULL, 0, BYTES("\x7F"), BYTES("\xFF") }, "%7F=6 %80=7 %FE%FF=8" },
        { { BYTES("a"), NULL, 0, NULL, 0 }, "a=1 a%00=2 ab=3" },
        { { BYTES("\xFF"), NULL, 0, NULL, 0 }, "%FF=9 %FF%FF=10 %FF%FFa=11" },
        { { BYTES("\xFF\xFF"), NULL, 0, NULL, 0 }, "%FF%FF=10 %FF%FFa=11" },
        /* A prefix and bounds: the keys that match both. */
        { { BYTES("a"), BYTES("a\0"), NULL, 0 }, "a%00=2 ab=3" },
        { { BYTES("a"), NULL, 0, BYTES("ab") }, "a=1 a%00=2" },
        { { BYTES("a"), BYTES("A"), BYTES("z") }, "a=1 a%00=2 ab=3" },
        { { BYTES("a"), BYTES("a\0"), BYTES("ab") }, "a%00=2" },
        { { BYTES("\xFF"), BYTES("b"), BYTES("\xFF\xFF") }, "%FF=9" },
        { { BYTES("\xFF"), BYTES("\xFF\xFF"), NULL, 0 }, "%FF%FF=10 %FF%FFa=11" },
        /* No key matches. */
        { { NULL, 0, BYTES("d"), BYTES("e") }, "" },
        { { NULL, 0, BYTES("b"), BYTES("b") }, "" },
        { { NULL, 0, BYTES("c"), BYTES("a") }, "" },
        { { BYTES("d"), NULL, 0, NULL, 0 }, "" },
        { { BYTES("a"), BYTES("b"), NULL, 0 }, "" },
        { { BYTES("b"), NULL, 0, BYTES("a") }, "" },
        { { BYTES("\xFF\xFF\xFF"), NULL, 0, NULL, 0 }, "" },
    };
    struct fixture *f = *state;
    set_pairs(f->store, all);
    kvds_cursor *cursor = cursor_over(f->store, NULL);
    assert_string_equal(pairs_forward(cursor).text, all);
    kvds_cursor_free(cursor);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cursor = cursor_over(f->store, &cases[i].range);
        for (int twice = 0; twice < 2; twice++) {
            struct pairs forward = pairs_forward(cursor);
            assert_string_equal(forward.text, cases[i].pairs);
            assert_string_equal(pairs_backward(cursor).text, reversed(forward).text);
        }
        kvds_cursor_free(cursor);
    }
}

/* Checks the four functions that report the entry of a cursor. */
static void assert_stands_on(const char *key, kvds_cursor *cursor)
{
    kvds_bytes found_key = { &found_key, 99 }, found_value = found_key;
    int64_t left = 99;
    kvds_status status = key ? KVDS_OK : KVDS_NOT_FOUND;
    assert_int_equal(kvds_cursor_valid(cursor), key != NULL);
    assert_returns(status, kvds_cursor_key(cursor, &found_key));
    assert_returns(status, kvds_cursor_value(cursor, &found_value));
    assert_returns(status, kvds_cursor_ttl(cursor, &left));
    assert_int_equal(left, key ? -1 : 0);
    assert_int_equal(found_key.len, key ? strlen(key) : 0);
    assert_int_equal(found_value.len, found_key.len);
    if (key) {
        assert_memory_equal(found_key.data, key, found_key.len);
        assert_memory_equal(found_value.data, key, found_key.len);
    } else {
        assert_null(found_key.data);
        assert_null(found_value.data);
    }
}

/* Moves, and the key that the cursor is on after each: NULL for none. */
struct step {
    kvds_status (*move)(kvds_cursor *); /* NULL to seek */
    const char *sought, *key;
};

static void assert_steps(kvds_store *store, const kvds_range *range, const struct step *steps,
                         size_t count)
{
    kvds_cursor *cursor = cursor_over(store, range);
    assert_stands_on(NULL, cursor);
    for (size_t i = 0; i < count; i++) {
        const struct step *step = &steps[i];
        kvds_status status = step->move
                                 ? step->move(cursor)
                                 : kvds_cursor_seek(cursor, step->sought, strlen(step->sought));
        if (status != (step->key ? KVDS_OK : KVDS_NOT_FOUND))
            fail_msg("step %zu returns %s", i, kvds_status_name(status));
        assert_stands_on(step->key, cursor);
    }
    kvds_cursor_free(cursor);
}

/* Versions of clang-format differ on such macros. */
/* clang-format off */
#define FIRST(key) { kvds_cursor_first, NULL, key }
#define LAST(key) { kvds_cursor_last, NULL, key }
#define NEXT(key) { kvds_cursor_next, NULL, key }
#define PREV(key) { kvds_cursor_prev, NULL, key }
#define SEEK(sought, key) { NULL, sought, key }
/* clang-format on */

static void a_cursor_changes_direction_and_passes_both_ends(void **state)
{
    static const struct step everywhere[] = {
        NEXT(NULL),         PREV(NULL),       FIRST("b"),     NEXT("d"),       PREV("b"),
        NEXT("d"),          NEXT("f"),        PREV("d"),      PREV("b"),       PREV(NULL),
        PREV(NULL),         NEXT(NULL),       LAST("h"),      PREV("f"),       NEXT("h"),
        NEXT(NULL),         NEXT(NULL),       PREV(NULL),     SEEK("", "b"),   SEEK("a", "b"),
        SEEK("b", "b"),     SEEK("ba", "d"),  SEEK("c", "d"), PREV("b"),       SEEK("h", "h"),
        PREV("f"),          SEEK("ha", NULL), NEXT(NULL),     SEEK("i", NULL), PREV(NULL),
        SEEK("\xFF", NULL), SEEK("e", "f"),   NEXT("h"),      NEXT(NULL),      LAST("h"),
        FIRST("b"),         LAST("h"),        FIRST("b"),     PREV(NULL),      FIRST("b"),
    };
    static const struct step inside[] = {
        FIRST("d"), PREV(NULL),     LAST("f"),       NEXT(NULL),      SEEK("", "d"),
        PREV(NULL), SEEK("b", "d"), SEEK("d", "d"),  SEEK("e", "f"),  PREV("d"),
        NEXT("f"),  NEXT(NULL),     SEEK("g", NULL), SEEK("h", NULL), SEEK("z", NULL),
        PREV(NULL), LAST("f"),      PREV("d"),       PREV(NULL),
    };
    static const struct step nowhere[] = {
        FIRST(NULL),    LAST(NULL),      NEXT(NULL),      PREV(NULL),
        SEEK("", NULL), SEEK("d", NULL), SEEK("z", NULL),
    };
    static const kvds_range range = { NULL, 0, BYTES("c"), BYTES("g") },
                            empty = { BYTES("e"), NULL, 0, NULL, 0 };
    struct fixture *f = *state;
    set_pairs(f->store, "b=b d=d f=f h=h");
    assert_steps(f->store, NULL, everywhere, COUNT_OF(everywhere));
    assert_steps(f->store, &range, inside, COUNT_OF(inside));
    assert_steps(f->store, &empty, nowhere, COUNT_OF(nowhere));
    reset_pairs(f->store, "");
    assert_steps(f->store, NULL, nowhere, COUNT_OF(nowhere));
}

static void a_cursor_reads_a_snapshot(void **state)
{
    static const char before[] = "a=1 b=2 c=3 d=4";
    struct fixture *f = *state;
    set_pairs(f->store, before);
    kvds_cursor *cursor = cursor_over(f->store, NULL);
    assert_ok(kvds_cursor_first(cursor));
    assert_ok(kvds_set(f->store, BYTES("a0"), BYTES("new")));
    assert_ok(kvds_set(f->store, BYTES("b"), BYTES("a longer value")));
    assert_ok(kvds_del(f->store, BYTES("c")));
    assert_string_equal(pairs_forward(cursor).text, before);
    reset_pairs(f->store, "c=5");
    assert_string_equal(pairs_forward(cursor).text, before);
    kvds_cursor *later = cursor_over(f->store, NULL);
    assert_string_equal(pairs_forward(later).text, "c=5");
    kvds_cursor_free(cursor);
    assert_string_equal(pairs_backward(later).text, "c=5");
    kvds_cursor_free(later);
}

static void *walk_and_free(void *argument)
{
    must(strcmp(pairs_backward(argument).text, "b=2 a=1") == 0);
    kvds_cursor_free(argument);
    return NULL;
}

static void a_cursor_outlives_its_store(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "a=1 b=2");
    kvds_cursor *closed = cursor_over(f->store, NULL), *released = cursor_over(f->store, NULL);
    assert_ok(kvds_close(f->store));
    assert_string_equal(pairs_forward(closed).text, "a=1 b=2");
    assert_int_equal(release_store(f), 0);
    assert_string_equal(pairs_forward(released).text, "a=1 b=2");
    if (f->backend == KVDS_DISK)
        assert_returns(KVDS_BUSY, kvds_distributor_destroy_store(f->distributor, "store"));

    /* The store can be opened at once. The cursor neither locks it nor sees later writes. */
    f->store = open_again(f);
    assert_int_equal(kvds_store_tag(f->store), 1);
    assert_pairs(f->backend == KVDS_DISK ? "a=1 b=2" : "", f->store);
    set_pairs(f->store, "c=3");
    assert_string_equal(pairs_forward(released).text, "a=1 b=2");
    kvds_cursor_free(closed);
    release_store(f);
    release_distributor(f);
    join(start(walk_and_free, released));
}

static void a_cursor_works_on_every_view(void **state)
{
    static const kvds_range range = { NULL, 0, BYTES("a"), BYTES("b") };
    struct fixture *f = *state;
    set_pairs(f->store, "a=1 aa=2 aab=3 ab=4 b=5");
    static const struct {
        enum kind below, above;
        const char *all, *in_range;
    } cases[] = {
        { FULL_VIEW, READ_VIEW, "a=1 aa=2 aab=3 ab=4 b=5", "a=1 aa=2 aab=3 ab=4" },
        { SCOPE, READ_VIEW, "=1 a=2 ab=3 b=4", "a=2 ab=3" },
        { SCOPE, SCOPE, "=2 b=3", "" },
        { SNAPSHOT, READ_VIEW, "a=1 aa=2 aab=3 ab=4 b=5", "a=1 aa=2 aab=3 ab=4" },
        { SNAPSHOT, SCOPE, "=1 a=2 ab=3 b=4", "a=2 ab=3" },
        { SCOPE, SNAPSHOT, "=1 a=2 ab=3 b=4", "a=2 ab=3" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        kvds_store *below, *above;
        assert_ok(make_view(cases[i].below, f->store, &below));
        assert_ok(make_view(cases[i].above, below, &above));
        kvds_cursor *all = cursor_over(above, NULL), *in_range = cursor_over(above, &range);
        kvds_store_release(below);
        kvds_store_release(above);
        assert_string_equal(pairs_forward(all).text, cases[i].all);
        assert_string_equal(pairs_forward(in_range).text, cases[i].in_range);
        assert_string_equal(pairs_backward(all).text, reversed(pairs_forward(all)).text);
        kvds_cursor_free(all);
        kvds_cursor_free(in_range);
    }
    assert_int_equal(kvds_store_ref_count(f->store), 1);
}

static void invalid_calls_on_cursors_fail(void **state)
{
    static const char zeros[KVDS_MAX_KEY_LEN + 1];
    static const kvds_range wrong[] = {
        { NULL, 1, NULL, 0, NULL, 0 },
        { NULL, 0, NULL, 1, NULL, 0 },
        { NULL, 0, NULL, 0, NULL, 1 },
        { zeros, sizeof zeros, NULL, 0, NULL, 0 },
        { NULL, 0, zeros, sizeof zeros, NULL, 0 },
        { NULL, 0, NULL, 0, zeros, sizeof zeros },
    };
    static const char *const names[] = { "prefix", "start", "end" };
    struct fixture *f = *state;
    set_pairs(f->store, "a=a");
    kvds_cursor *cursor = (kvds_cursor *)f->store;
    assert_invalid(kvds_cursor_new(NULL, NULL, &cursor));
    assert_null(cursor);
    assert_invalid(kvds_cursor_new(f->store, NULL, NULL));
    assert_error_says("out");
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        cursor = (kvds_cursor *)f->store;
        assert_invalid(kvds_cursor_new(f->store, &wrong[i], &cursor));
        assert_error_says(names[i % COUNT_OF(names)]);
        assert_null(cursor);
    }

    kvds_bytes bytes = { zeros, 99 };
    int64_t left = 99;
    assert_invalid(kvds_cursor_first(NULL));
    assert_invalid(kvds_cursor_last(NULL));
    assert_invalid(kvds_cursor_next(NULL));
    assert_invalid(kvds_cursor_prev(NULL));
    assert_invalid(kvds_cursor_seek(NULL, BYTES("a")));
    assert_error_says("kvds_cursor");
    assert_int_equal(kvds_cursor_valid(NULL), 0);
    assert_invalid(kvds_cursor_key(NULL, &bytes));
    assert_true(bytes.data == NULL && bytes.len == 0);
    assert_invalid(kvds_cursor_value(NULL, &bytes));
    assert_invalid(kvds_cursor_ttl(NULL, &left));
    assert_int_equal(left, 0);
    kvds_cursor_free(NULL);

    cursor = cursor_over(f->store, NULL);
    assert_ok(kvds_cursor_first(cursor));
    assert_invalid(kvds_cursor_seek(cursor, NULL, 1));
    assert_invalid(kvds_cursor_seek(cursor, zeros, sizeof zeros));
    assert_invalid(kvds_cursor_key(cursor, NULL));
    assert_invalid(kvds_cursor_value(cursor, NULL));
    assert_invalid(kvds_cursor_ttl(cursor, NULL));
    assert_stands_on("a", cursor);
    assert_ok(kvds_cursor_seek(cursor, zeros, sizeof zeros - 1));
    kvds_cursor_free(cursor);
}

static void multi_get_returns_values_in_order(void **state)
{
    static const char *const expected[] = { "2", NULL, "0", "", NULL, "2" };
    static const kvds_bytes keys[] = {
        { BYTES("b") },     { BYTES("absent") }, { NULL, 0 },
        { BYTES("empty") }, { BYTES("bb") },     { BYTES("b") },
    };
    kvds_value values[COUNT_OF(keys)];
    kvds_status statuses[COUNT_OF(keys)];
    struct fixture *f = *state;
    set_pairs(f->store, "=0 a=1 b=2 empty=");
    assert_ok(kvds_multi_get(f->store, keys, COUNT_OF(keys), values, statuses));
    /* They stay valid. */
    reset_pairs(f->store, "b=3");
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        assert_int_equal(statuses[i], expected[i] ? KVDS_OK : KVDS_NOT_FOUND);
        assert_int_equal(values[i].len, expected[i] ? strlen(expected[i]) : 0);
        assert_true((values[i].data != NULL) == (expected[i] != NULL));
        if (expected[i])
            assert_memory_equal(values[i].data, expected[i], values[i].len);
        kvds_value_release(&values[i]);
    }
    assert_ok(kvds_multi_get(f->store, NULL, 0, NULL, NULL));
    values[0].data = f;
    assert_ok(kvds_multi_get(f->store, keys, 0, values, statuses));
    assert_ptr_equal(values[0].data, f);
}

static void invalid_calls_of_multi_get_fail(void **state)
{
    enum { COUNT = 2 };
    static const char zeros[KVDS_MAX_KEY_LEN + 1];
    static const kvds_bytes good[COUNT] = { { BYTES("a") }, { BYTES("b") } };
    static const kvds_bytes null[COUNT] = { { BYTES("a") }, { NULL, 1 } };
    static const kvds_bytes too_long[COUNT] = { { BYTES("a") }, { zeros, sizeof zeros } };
    struct fixture *f = *state;
    set_pairs(f->store, "a=1 b=2");
    const struct {
        kvds_store *store;
        const kvds_bytes *keys;
        const char *told;
    } cases[] = {
        { NULL, good, "kvds_store" },
        { f->store, NULL, "keys" },
        { f->store, null, "keys[1]" },
        { f->store, too_long, "keys[1]" },
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        kvds_value values[COUNT] = { { f, 99, f }, { f, 99, f } };
        kvds_status statuses[COUNT] = { 99, 99 };
        assert_invalid(kvds_multi_get(cases[i].store, cases[i].keys, COUNT, values, statuses));
        assert_error_says(cases[i].told);
        for (size_t j = 0; j < COUNT; j++) {
            assert_true(values[j].data == NULL && values[j].len == 0 && values[j].owner == NULL);
            assert_int_equal(statuses[j], KVDS_INVALID_ARGUMENT);
        }
    }
    kvds_value values[COUNT] = { { f, 99, f }, { f, 99, f } };
    kvds_status statuses[COUNT];
    assert_invalid(kvds_multi_get(f->store, good, COUNT, values, NULL));
    assert_error_says("statuses");
    assert_true(values[1].data == NULL && values[1].owner == NULL);
    assert_invalid(kvds_multi_get(f->store, good, COUNT, NULL, statuses));
    assert_error_says("values");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_cursor_visits_its_range),
        ON_BOTH(a_cursor_changes_direction_and_passes_both_ends),
        ON_BOTH(a_cursor_reads_a_snapshot),
        ON_BOTH(a_cursor_outlives_its_store),
        ON_BOTH(a_cursor_works_on_every_view),
        ON_BOTH(invalid_calls_on_cursors_fail),
        ON_BOTH(multi_get_returns_values_in_order),
        ON_BOTH(invalid_calls_of_multi_get_fail),
    };
    return RUN("cursors", tests);
}
