/*
 * session_cache: sessions of users that expire, in a memory store of kvds.
 *
 * Every user has a scope: a view of the store that contains only the user's sessions. Its keys are
 * session ids, and the values are the times at which they expire. A sweep visits all sessions with
 * a cursor. It deletes an expired session only if the session still has the time that the cursor
 * shows, so a session that is renewed in the meantime survives. The program has no locks.
 *
 *     cc session_cache.c -lkvds -o session_cache
 *     ./session_cache
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#include <kvds.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LIFETIME = 60,  /* seconds from the last renewal to the end of a session */
    TIME_ROOM = 21, /* bytes of any int64_t as decimal text with a NUL */
    NAME_ROOM = 64,
};

/* A time in seconds. A server would use its clock. */
typedef int64_t seconds;

/* Returns whether a call of this thread returned `expected`, and prints why if it did not. */
static bool returned(kvds_status expected, kvds_status status)
{
    if (status == expected)
        return true;
    fprintf(stderr, "session_cache: unexpected status %s", kvds_status_name(status));
    fprintf(stderr, status < 0 ? ": %s\n" : "\n", kvds_last_error());
    return false;
}

static bool succeeded(kvds_status status) { return returned(KVDS_OK, status); }

static size_t format_time(seconds time, char text[TIME_ROOM])
{
    return (size_t)snprintf(text, TIME_ROOM, "%" PRId64, time);
}

/* No NUL follows a value, so it is copied. A value that is too long to be a time never expires. */
static seconds parse_time(const void *value, size_t len)
{
    char text[TIME_ROOM] = "";
    if (len >= sizeof text)
        return INT64_MAX;
    memcpy(text, value, len);
    return strtoll(text, NULL, 10);
}

/* Gets the scope of a user. Names of users contain no '/', so scopes do not overlap. */
static bool open_user(kvds_store *store, const char *user, kvds_store **out)
{
    char prefix[NAME_ROOM];
    int len = snprintf(prefix, sizeof prefix, "%s/", user);
    return succeeded(kvds_store_scope(store, prefix, (size_t)len, out));
}

/* Creates a session; KVDS_EXISTS if the id is in use. */
static kvds_status log_in(kvds_store *user, const char *id, seconds now)
{
    char expiry[TIME_ROOM];
    size_t len = format_time(now + LIFETIME, expiry);
    return kvds_set_nx(user, id, strlen(id), expiry, len);
}

/*
 * Extends a session. Returns KVDS_NOT_FOUND if there is none, or if it has expired, whether or not
 * a sweep has deleted it. Replaces only the time that it read, so a session that is deleted in the
 * meantime does not reappear.
 */
static kvds_status renew(kvds_store *user, const char *id, seconds now)
{
    for (;;) {
        char before[TIME_ROOM], after[TIME_ROOM];
        size_t before_len, after_len = format_time(now + LIFETIME, after);
        kvds_status status =
            kvds_get_into(user, id, strlen(id), before, sizeof before, &before_len);
        if (status != KVDS_OK)
            return status;
        if (parse_time(before, before_len) <= now)
            return KVDS_NOT_FOUND;
        status = kvds_compare_and_swap(user, id, strlen(id), before, before_len, after, after_len);
        if (status != KVDS_MISMATCH)
            return status;
    }
}

static int count_session(void *user_data, const void *key, size_t key_len, const void *value,
                         size_t value_len)
{
    (void)key, (void)key_len, (void)value, (void)value_len;
    ++*(size_t *)user_data;
    return 1;
}

/* Prints and checks the number of sessions in a store or scope. */
static bool has_sessions(const char *whose, kvds_store *sessions, size_t expected)
{
    size_t count = 0;
    if (!succeeded(kvds_iterate(sessions, NULL, 0, count_session, &count)))
        return false;
    printf("%-12s%zu session%s\n", whose, count, count == 1 ? "" : "s");
    if (count != expected)
        fprintf(stderr, "session_cache: %s: %zu sessions are expected\n", whose, expected);
    return count == expected;
}

struct sweep {
    size_t seen, removed, renewed;
};

/*
 * Deletes the expired sessions that the cursor shows. The cursor owns the key and the value, which
 * are valid until it moves, so they can be passed to other calls without a copy.
 */
static bool sweep(kvds_cursor *cursor, kvds_store *store, seconds now, struct sweep *sweep)
{
    kvds_status status = kvds_cursor_first(cursor);
    for (; status == KVDS_OK; status = kvds_cursor_next(cursor)) {
        kvds_bytes key, expiry;
        if (!succeeded(kvds_cursor_key(cursor, &key)) ||
            !succeeded(kvds_cursor_value(cursor, &expiry)))
            return false;
        sweep->seen++;
        if (parse_time(expiry.data, expiry.len) > now)
            continue;
        kvds_status removed =
            kvds_compare_and_delete(store, key.data, key.len, expiry.data, expiry.len);
        if (removed == KVDS_OK)
            sweep->removed++;
        else if (removed == KVDS_MISMATCH)
            sweep->renewed++;                        /* after the cursor was created */
        else if (!returned(KVDS_NOT_FOUND, removed)) /* deleted by another thread */
            return false;
    }
    return returned(KVDS_NOT_FOUND, status);
}

/* Sweeps. Between the creation of the cursor and its use, other sessions change. */
static bool sweep_while_in_use(kvds_store *store, kvds_store *ada, kvds_store *bob, seconds now)
{
    kvds_cursor *cursor;
    if (!succeeded(kvds_cursor_new(store, NULL, &cursor)))
        return false;
    /* "phone" is renewed in its last second, before the sweep reaches it. "desk" logs out. */
    struct sweep done = { 0 };
    bool good = succeeded(renew(ada, "phone", now - 1)) &&
                succeeded(kvds_del(bob, "desk", strlen("desk"))) &&
                sweep(cursor, store, now, &done);
    kvds_cursor_free(cursor);
    if (good)
        printf("sweep       %zu seen, %zu removed, %zu renewed meanwhile\n", done.seen,
               done.removed, done.renewed);
    if (good && (done.seen != 5 || done.removed != 2 || done.renewed != 1)) {
        fputs("session_cache: the sweep should see 5, remove 2, and spare 1\n", stderr);
        good = false;
    }
    return good;
}

static bool run(kvds_store *store, kvds_store *ada, kvds_store *bob)
{
    static const seconds MORNING = 1000, LATER = MORNING + LIFETIME / 2, END = MORNING + LIFETIME;
    return succeeded(log_in(ada, "laptop", MORNING)) && succeeded(log_in(ada, "phone", MORNING)) &&
           succeeded(log_in(bob, "laptop", MORNING)) && /* the same id in another scope */
           succeeded(log_in(bob, "desk", MORNING)) && succeeded(log_in(bob, "tablet", MORNING)) &&
           returned(KVDS_EXISTS, log_in(ada, "phone", MORNING)) && has_sessions("ada", ada, 2) &&
           has_sessions("bob", bob, 3) &&

           succeeded(renew(bob, "tablet", LATER)) && sweep_while_in_use(store, ada, bob, END) &&
           has_sessions("ada", ada, 1) && has_sessions("bob", bob, 1) &&
           succeeded(kvds_exists(ada, "phone", strlen("phone"))) &&
           succeeded(kvds_exists(bob, "tablet", strlen("tablet"))) &&
           returned(KVDS_NOT_FOUND, renew(ada, "laptop", END)) &&
           /* expired, even without a sweep: */
           returned(KVDS_NOT_FOUND, renew(bob, "tablet", LATER + LIFETIME)) &&

           /* Ada logs out everywhere: this deletes her scope in one step, and nothing of Bob's. */
           succeeded(kvds_delete_prefix(ada, NULL, 0)) && has_sessions("ada", ada, 0) &&
           has_sessions("all", store, 1);
}

int main(void)
{
    kvds_distributor *distributor = NULL;
    kvds_store *store = NULL, *ada = NULL, *bob = NULL;
    bool good =
        succeeded(kvds_distributor_open(NULL, NULL, &distributor)) &&
        succeeded(kvds_distributor_get_or_create(distributor, "sessions", KVDS_MEMORY, &store)) &&
        open_user(store, "ada", &ada) && open_user(store, "bob", &bob) && run(store, ada, bob);
    /* In any order, as each scope keeps the store alive. Releasing NULL does nothing. */
    kvds_store_release(store);
    kvds_store_release(ada);
    kvds_store_release(bob);
    kvds_distributor_release(distributor);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
