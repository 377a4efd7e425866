/* Views: what each kind permits and contains, alone and combined. */

#include "check.h"
#include "pairs.h"
#include "views.h"

static void views_keep_their_rights(void **state)
{
    struct fixture *f = *state;
    must_allow(BOTH | ALWAYS, KVDS_DENIED, f->store);
    for (int rights = READ; rights <= BOTH; rights++) {
        kvds_store *view = view_of(f->store, rights);
        reset_pairs(f->store, "key=value");
        must_allow(rights | ALWAYS, KVDS_DENIED, view);
        if (!(rights & WRITE))
            assert_pairs("key=value", f->store);
        kvds_store_release(view);
    }
}

static void invalid_rights_are_errors(void **state)
{
    static const int wrong[] = { 0, 4, 5, 8, -1, INT_MAX, INT_MIN };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        kvds_store *view = f->store;
        assert_invalid(kvds_store_view(f->store, wrong[i], &view));
        assert_error_says("rights");
        assert_null(view);
    }
    assert_int_equal(kvds_store_ref_count(f->store), 1);
}

/* A view for writing permits conditional writes, which reveal whether a key exists. */
static void a_write_view_permits_conditional_writes(void **state)
{
    struct fixture *f = *state;
    kvds_store *view = view_of(f->store, WRITE);
    assert_ok(kvds_set_nx(view, BYTES("key"), BYTES("one")));
    assert_returns(KVDS_EXISTS, kvds_set_nx(view, BYTES("key"), BYTES("two")));
    assert_returns(KVDS_MISMATCH,
                   kvds_compare_and_swap(view, BYTES("key"), BYTES("two"), BYTES("three")));
    assert_ok(kvds_del(view, BYTES("key")));
    assert_returns(KVDS_NOT_FOUND, kvds_del(view, BYTES("key")));
    kvds_store_release(view);
}

static struct text joined(struct text prefix, const char *key)
{
    struct text full = prefix;
    must(full.len + strlen(key) < sizeof full.data);
    memcpy(full.data + full.len, key, strlen(key));
    full.len += strlen(key);
    return full;
}

/* Every call, with keys without the prefix. */
static void use_scope(kvds_store *scope)
{
    const kvds_pair pairs[] = { { BYTES("set"), BYTES("1") }, { BYTES("gone"), BYTES("2") } };
    const kvds_bytes gone = { BYTES("gone") };
    assert_ok(kvds_set(scope, NULL, 0, BYTES("0")));
    assert_ok(kvds_set_batch(scope, pairs, COUNT_OF(pairs)));
    assert_ok(kvds_delete_batch(scope, &gone, 1));
    assert_returns(KVDS_NOT_FOUND, kvds_del(scope, BYTES("gone")));
    assert_ok(kvds_set_nx(scope, BYTES("nx"), BYTES("2")));
    assert_returns(KVDS_EXISTS, kvds_set_nx(scope, BYTES("nx"), BYTES("3")));
    assert_ok(kvds_compare_and_swap(scope, BYTES("nx"), BYTES("2"), BYTES("3")));
    assert_returns(KVDS_MISMATCH, kvds_compare_and_delete(scope, BYTES("nx"), BYTES("2")));
    int64_t sum;
    assert_ok(kvds_add(scope, BYTES("add"), 7, &sum));
    assert_int_equal(sum, 7);

    kvds_batch *batch = kvds_batch_new();
    assert_ok(kvds_batch_expect(batch, BYTES("add"), BYTES("7")));
    assert_ok(kvds_batch_expect_absent(batch, BYTES("batch")));
    assert_ok(kvds_batch_set(batch, BYTES("batch"), BYTES("4")));
    assert_ok(kvds_batch_del(batch, BYTES("nx")));
    assert_ok(kvds_write(scope, batch));
    assert_returns(KVDS_MISMATCH, kvds_write(scope, batch));
    kvds_batch_free(batch);

    assert_pairs("=0 add=7 batch=4 set=1", scope);
    assert_string_equal(pairs_under(scope, BYTES("b")).text, "batch=4");
    assert_true(has(scope, BYTES("batch"), BYTES("4")));
    assert_ok(kvds_exists(scope, NULL, 0));

    const kvds_bytes keys[] = { { BYTES("set") }, { BYTES("nx") }, { NULL, 0 } };
    kvds_value values[3];
    kvds_status statuses[3];
    assert_ok(kvds_multi_get(scope, keys, 3, values, statuses));
    assert_true(statuses[0] == KVDS_OK && statuses[1] == KVDS_NOT_FOUND && statuses[2] == KVDS_OK);
    assert_memory_equal(values[0].data, "1", 1);
    assert_memory_equal(values[2].data, "0", 1);
    for (size_t i = 0; i < COUNT_OF(values); i++)
        kvds_value_release(&values[i]);

    kvds_cursor *cursor;
    kvds_bytes key;
    assert_ok(kvds_cursor_new(scope, NULL, &cursor));
    assert_string_equal(pairs_forward(cursor).text, "=0 add=7 batch=4 set=1");
    assert_string_equal(pairs_backward(cursor).text, "set=1 batch=4 add=7 =0");
    assert_ok(kvds_cursor_seek(cursor, BYTES("b")));
    assert_ok(kvds_cursor_key(cursor, &key));
    assert_memory_equal(key.data, "batch", key.len);
    assert_returns(KVDS_NOT_FOUND, kvds_cursor_seek(cursor, BYTES("\xFF")));
    kvds_cursor_free(cursor);
}

static void a_scope_is_a_store_of_its_own(void **state)
{
    /* Neighbors of the keys with the prefix. No call on the scope reaches them. */
    static const struct {
        const char *prefix, *outside;
    } cases[] = {
        { "p", "%00=1 o%FF=2 q=3 %FF=4" },  { "p%00", "o%FF=1 p=2 p%01=3" },
        { "p%FF", "p=1 p%FE%FF=2 q=3" },    { "%FF", "p=1 %FE%FF=2" },
        { "%FF%FF", "p=1 %FF=2 %FF%FE=3" }, { "", "" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *text = cases[i].prefix;
        const struct text prefix = read_bytes(&text), full = joined(prefix, "batch");
        reset_pairs(f->store, cases[i].outside);
        kvds_store *scope = scope_of(f->store, prefix.data, prefix.len);
        assert_pairs("", scope);
        use_scope(scope);

        assert_true(has(f->store, full.data, full.len, BYTES("4")));
        assert_true(has(f->store, prefix.data, prefix.len, BYTES("0")));
        assert_ok(kvds_set(f->store, full.data, full.len, BYTES("5")));
        assert_true(has(scope, BYTES("batch"), BYTES("5")));
        assert_ok(kvds_delete_prefix(scope, BYTES("b")));
        assert_pairs("=0 add=7 set=1", scope);
        assert_ok(kvds_delete_prefix(scope, NULL, 0));
        assert_pairs("", scope);
        assert_pairs(cases[i].outside, f->store);
        kvds_store_release(scope);
    }
}

/* A key of a scope and the prefix together have the maximum length of a key. */
static void a_scope_and_a_key_have_an_upper_length(void **state)
{
    static const char zeros[KVDS_MAX_KEY_LEN + 1];
    static const size_t prefixes[] = { 1, 1000, KVDS_MAX_KEY_LEN - 1, KVDS_MAX_KEY_LEN };
    struct fixture *f = *state;
    kvds_store *scope = f->store;
    assert_invalid(kvds_store_scope(f->store, zeros, sizeof zeros, &scope));
    assert_error_says("prefix");
    assert_null(scope);
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        size_t most = KVDS_MAX_KEY_LEN - prefixes[i];
        scope = scope_of(f->store, zeros, prefixes[i]);
        assert_ok(kvds_set(scope, zeros, most, BYTES("value")));
        assert_true(has(scope, zeros, most, BYTES("value")));
        assert_true(has(f->store, zeros, KVDS_MAX_KEY_LEN, BYTES("value")));
        assert_ok(kvds_del(scope, zeros, most));

        const kvds_pair pairs[] = { { BYTES(""), BYTES("value") },
                                    { zeros, most + 1, BYTES("value") } };
        kvds_value value;
        assert_invalid(kvds_set(scope, zeros, most + 1, BYTES("value")));
        assert_error_says("scope");
        assert_invalid(kvds_set_batch(scope, pairs, 2));
        assert_invalid(kvds_get(scope, zeros, most + 1, &value));
        assert_null(value.data);
        assert_invalid(kvds_exists(scope, zeros, most + 1));
        assert_invalid(kvds_del(scope, zeros, most + 1));
        assert_pairs("", f->store);
        kvds_store_release(scope);
    }
}

static void a_snapshot_does_not_change(void **state)
{
    struct fixture *f = *state;
    set_pairs(f->store, "a=1 b=2 c=3 d=4");
    kvds_store *snapshot = snapshot_of(f->store);
    assert_ok(kvds_set(f->store, BYTES("a"), BYTES("a longer value")));
    assert_ok(kvds_del(f->store, BYTES("b")));
    assert_ok(kvds_set(f->store, BYTES("e"), BYTES("5")));
    assert_pairs("a=1 b=2 c=3 d=4", snapshot);
    assert_ok(kvds_delete_prefix(f->store, NULL, 0));
    assert_pairs("a=1 b=2 c=3 d=4", snapshot);
    assert_ok(kvds_set(f->store, BYTES("c"), BYTES("6")));
    assert_true(has(snapshot, BYTES("c"), BYTES("3")));
    assert_returns(KVDS_NOT_FOUND, kvds_exists(snapshot, BYTES("e")));

    must_allow(READ | ALWAYS, KVDS_DENIED, snapshot);
    assert_pairs("a=1 b=2 c=3 d=4", snapshot);
    assert_pairs("c=6", f->store);
    kvds_store_release(snapshot);
}

static void snapshots_end_in_any_order(void **state)
{
    enum { SNAPSHOTS = 3 };
    static const size_t orders[][SNAPSHOTS] = {
        { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
    };
    static const char *const contents[SNAPSHOTS] = { "key=0", "new=1", "key=2 new=2" };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        kvds_store *snapshots[SNAPSHOTS];
        for (size_t j = 0; j < SNAPSHOTS; j++) {
            reset_pairs(f->store, contents[j]);
            snapshots[j] = snapshot_of(f->store);
        }
        assert_ok(kvds_delete_prefix(f->store, NULL, 0));
        for (size_t j = 0; j < SNAPSHOTS; j++) {
            for (size_t k = j; k < SNAPSHOTS; k++)
                assert_pairs(contents[orders[i][k]], snapshots[orders[i][k]]);
            assert_int_equal(kvds_store_release(snapshots[orders[i][j]]), 0);
        }
        assert_pairs("", f->store);
    }
}

static void views_of_views_combine(void **state)
{
    enum { LAYERS = 3, CHAINS = KINDS * KINDS * KINDS };
    static const int rights[KINDS] = { READ, WRITE, BOTH, BOTH, READ };
    /* Checks the contents of `depth` nested scopes, before and after a write to the store. */
    static const char *const shown[][LAYERS + 1] = {
        { "a=0 aa=1 aaa=2 aaaa=3 b=4", "=0 a=1 aa=2 aaa=3", "=1 a=2 aa=3", "=2 a=3" },
        { "a=5 aa=6 aaa=7 aaaa=8 b=9", "=5 a=6 aa=7 aaa=8", "=6 a=7 aa=8", "=7 a=8" },
    };
    struct fixture *f = *state;
    for (size_t chain = 0; chain < CHAINS; chain++) {
        kvds_store *view = kvds_store_retain(f->store);
        int allowed = BOTH;
        size_t scopes = 0, now = 1;
        reset_pairs(f->store, shown[0][0]);
        for (size_t layer = 0, kinds = chain; view && layer < LAYERS; layer++, kinds /= KINDS) {
            enum kind kind = (enum kind)(kinds % KINDS);
            bool unreadable = kind == SNAPSHOT && !(allowed & READ);
            kvds_store *top = view;
            assert_returns(unreadable ? KVDS_DENIED : KVDS_OK, make_view(kind, top, &view));
            kvds_store_release(top);
            allowed &= rights[kind];
            scopes += kind == SCOPE;
            now *= kind != SNAPSHOT;
        }
        if (view == NULL)
            continue;
        set_pairs(f->store, shown[1][0]);
        if (allowed & READ)
            assert_pairs(shown[now][scopes], view);
        must_allow(allowed | ALWAYS, KVDS_DENIED, view);
        assert_int_equal(kvds_store_release(view), 0);
    }
    assert_int_equal(kvds_store_ref_count(f->store), 1);
}

/*
 * A scope and a prefix, each of the maximum length of a key, are a range without keys. On disk its
 * end was once before its start: RocksDB wrote it to the log and then refused every write.
 */
static void a_prefix_beyond_the_longest_key_has_no_keys(void **state)
{
    struct fixture *f = *state;
    static char ones[KVDS_MAX_KEY_LEN];
    memset(ones, 0xFF, sizeof ones);
    for (size_t scope_len = 1; scope_len <= sizeof ones;
         scope_len = scope_len == 1 ? 40000 : scope_len + 25536) {
        kvds_store *scope = NULL;
        assert_ok(kvds_set(f->store, BYTES("a"), BYTES("value")));
        assert_ok(kvds_set(f->store, ones, sizeof ones, BYTES("value")));
        assert_ok(kvds_store_scope(f->store, ones, scope_len, &scope));
        assert_ok(kvds_delete_prefix(scope, ones, sizeof ones));
        assert_ok(kvds_delete_prefix(scope, ones, 10));
        assert_ok(kvds_set(f->store, BYTES("b"), BYTES("value")));
        assert_ok(kvds_delete_prefix(scope, NULL, 0));
        assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, ones, sizeof ones));
        assert_true(has(f->store, BYTES("a"), BYTES("value")));
        kvds_store_release(scope);
    }
    if (f->backend == KVDS_DISK) {
        release_store(f);
        f->store = open_again(f);
        assert_true(has(f->store, BYTES("b"), BYTES("value")));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_prefix_beyond_the_longest_key_has_no_keys),
        ON_BOTH(views_keep_their_rights),
        ON_BOTH(invalid_rights_are_errors),
        ON_BOTH(a_write_view_permits_conditional_writes),
        ON_BOTH(a_scope_is_a_store_of_its_own),
        ON_BOTH(a_scope_and_a_key_have_an_upper_length),
        ON_BOTH(a_snapshot_does_not_change),
        ON_BOTH(snapshots_end_in_any_order),
        ON_BOTH(views_of_views_combine),
    };
    return RUN("views", tests);
}
