/* Creates views, and makes every call on them. Include it after check.h. */

#ifndef VIEWS_H
#define VIEWS_H

enum {
    READ = KVDS_VIEW_READ,
    WRITE = KVDS_VIEW_WRITE,
    BOTH = READ | WRITE,
    ALWAYS = 4, /* needs no rights, but an open store */
};

static inline kvds_store *view_of(kvds_store *store, int rights)
{
    kvds_store *view;
    must_ok(kvds_store_view(store, rights, &view));
    return view;
}

static inline kvds_store *scope_of(kvds_store *store, const void *prefix, size_t prefix_len)
{
    kvds_store *scope;
    must_ok(kvds_store_scope(store, prefix, prefix_len, &scope));
    return scope;
}

static inline kvds_store *snapshot_of(kvds_store *store)
{
    kvds_store *snapshot;
    must_ok(kvds_store_snapshot(store, &snapshot));
    return snapshot;
}

/*
 * Makes every call that reads or writes. Permitted calls must succeed; others must return `refusal`
 * and no output.
 */
#define must_allow(allowed, refusal, store) check_calls(allowed, refusal, store, __FILE__, __LINE__)

static inline void check_calls(int allowed, kvds_status refusal, kvds_store *store,
                               const char *file, int line)
{
    const kvds_pair pair = { BYTES("key"), BYTES("value") };
    const kvds_bytes key = { BYTES("key") };
    kvds_value value = { &value, 99, &value }, values[] = { value };
    kvds_status statuses[] = { 99 };
    char byte;
    size_t len = 99;
    int64_t sum = 99, left;
    kvds_cursor *cursor = (kvds_cursor *)&value;
    kvds_store *views[] = { (kvds_store *)&value, (kvds_store *)&value, (kvds_store *)&value };
    kvds_batch *batch = kvds_batch_new();
    must_ok(kvds_batch_set(batch, BYTES("key"), BYTES("value")));

    /* The calls are independent, as the compiler chooses their order. */
    const struct {
        const char *name;
        int needs;
        kvds_status status;
    } calls[] = {
        { "get", READ, kvds_get(store, BYTES("key"), &value) },
        { "get_into", READ, kvds_get_into(store, BYTES("key"), &byte, sizeof byte, &len) },
        { "exists", READ, kvds_exists(store, BYTES("key")) },
        { "multi_get", READ, kvds_multi_get(store, &key, 1, values, statuses) },
        { "ttl", READ, kvds_ttl(store, BYTES("key"), &left) },
        { "iterate", READ, kvds_iterate(store, NULL, 0, pass_over, NULL) },
        { "cursor_new", READ, kvds_cursor_new(store, NULL, &cursor) },
        { "store_snapshot", READ, kvds_store_snapshot(store, &views[0]) },
        { "set", WRITE, kvds_set(store, BYTES("key"), BYTES("value")) },
        { "del", WRITE, kvds_del(store, BYTES("key")) },
        { "set_batch", WRITE, kvds_set_batch(store, &pair, 1) },
        { "delete_batch", WRITE, kvds_delete_batch(store, &key, 1) },
        { "set_nx", WRITE, kvds_set_nx(store, BYTES("key"), BYTES("value")) },
        { "set_ttl", WRITE, kvds_set_ttl(store, BYTES("key"), BYTES("value"), 3600 * 1000) },
        { "set_nx_ttl", WRITE, kvds_set_nx_ttl(store, BYTES("key"), BYTES("value"), 3600 * 1000) },
        { "expire", WRITE, kvds_expire(store, BYTES("key"), 3600 * 1000) },
        { "compare_and_swap", WRITE,
          kvds_compare_and_swap(store, BYTES("key"), BYTES("value"), BYTES("other")) },
        { "compare_and_delete", WRITE,
          kvds_compare_and_delete(store, BYTES("key"), BYTES("value")) },
        { "delete_prefix", WRITE, kvds_delete_prefix(store, BYTES("key")) },
        { "write", WRITE, kvds_write(store, batch) },
        { "add", BOTH, kvds_add(store, BYTES("sum"), 1, &sum) },
        { "store_view", ALWAYS, kvds_store_view(store, BOTH, &views[1]) },
        { "store_scope", ALWAYS, kvds_store_scope(store, BYTES("key"), &views[2]) },
    };
    for (size_t i = 0; i < COUNT_OF(calls); i++) {
        bool refused = (calls[i].needs & ~allowed) != 0;
        if (refused ? calls[i].status != refusal : calls[i].status < 0)
            give_up(file, line, calls[i].name, kvds_status_name(calls[i].status));
    }
    if (!(allowed & READ)) {
        must(value.data == NULL && value.len == 0 && value.owner == NULL && len == 0);
        must(values[0].data == NULL && values[0].owner == NULL && statuses[0] == refusal);
        must(cursor == NULL && views[0] == NULL);
    }
    must((allowed & BOTH) == BOTH || sum == 0);
    must((allowed & ALWAYS) || (views[1] == NULL && views[2] == NULL));

    kvds_value_release(&value);
    kvds_value_release(&values[0]);
    kvds_cursor_free(cursor);
    kvds_batch_free(batch);
    for (size_t i = 0; i < COUNT_OF(views); i++)
        kvds_store_release(views[i]);
}

/* The kinds of views. */
enum kind { READ_VIEW, WRITE_VIEW, FULL_VIEW, SCOPE, SNAPSHOT, KINDS };

static inline kvds_status make_view(enum kind kind, kvds_store *store, kvds_store **out)
{
    switch (kind) {
    case READ_VIEW: return kvds_store_view(store, READ, out);
    case WRITE_VIEW: return kvds_store_view(store, WRITE, out);
    case FULL_VIEW: return kvds_store_view(store, BOTH, out);
    case SCOPE: return kvds_store_scope(store, BYTES("a"), out);
    default: return kvds_store_snapshot(store, out);
    }
}

#endif
