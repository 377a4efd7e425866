/*
 * session_cache: the sessions of users in a kvds store in memory, each until it expires.
 *
 * Every user has a scope: a view of the store in which the keys are session ids, and which reaches
 * nobody else's. The value of a session is the time at which it expires. A sweep goes over all
 * sessions with a cursor and removes each expired one only if it still has the time that the cursor
 * saw: what is renewed meanwhile survives, without any lock.
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
    TIME_ROOM = 21, /* bytes for any int64_t as decimal text and a NUL */
    NAME_ROOM = 64,
};

/* Seconds. A server would ask its clock; here time goes by as the story needs it. */
typedef int64_t moment;

/* Whether a call was answered as expected; else says why not. To be called on the thread that made the call. */
static bool answered(kvds_status expected, kvds_status status)
{
    if (status == expected)
        return true;
    fprintf(stderr, "session_cache: unexpected answer %s", kvds_status_name(status));
    fprintf(stderr, status < 0 ? ": %s\n" : "\n", kvds_last_error());
    return false;
}

static bool succeeded(kvds_status status) { return answered(KVDS_OK, status); }

static size_t format_time(moment time, char text[TIME_ROOM])
{
    return (size_t)snprintf(text, TIME_ROOM, "%" PRId64, time);
}

/* A value is bytes with a length and no NUL behind. One too long for a time is none of ours, and never expires. */
static moment parse_time(const void *value, size_t len)
{
    char text[TIME_ROOM] = "";
    if (len >= sizeof text)
        return INT64_MAX;
    memcpy(text, value, len);
    return strtoll(text, NULL, 10);
}

/* The sessions of one user, as a store. A user's name has no '/', so that no scope lies within another one. */
static bool open_user(kvds_store *store, const char *user, kvds_store **out)
{
    char prefix[NAME_ROOM];
    int len = snprintf(prefix, sizeof prefix, "%s/", user);
    return succeeded(kvds_store_scope(store, prefix, (size_t)len, out));
}

/* KVDS_EXISTS if there is a session of this id already. */
static kvds_status log_in(kvds_store *user, const char *id, moment now)
{
    char expiry[TIME_ROOM];
    size_t len = format_time(now + LIFETIME, expiry);
    return kvds_set_nx(user, id, strlen(id), expiry, len);
}

/*
 * Lets a session live on. KVDS_NOT_FOUND if there is none, or it has expired, whether or not a
 * sweep has removed it yet. The new time is written only over the one that was read: a session that
 * is removed meanwhile does not come back.
 */
static kvds_status renew(kvds_store *user, const char *id, moment now)
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

/* Whether a store or scope has so many sessions. */
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
 * Removes what has expired of what the cursor shows, which is how things were when it was made. The
 * key and the value are the cursor's own bytes and valid until it moves, so they can be passed on
 * as they are.
 */
static bool sweep(kvds_cursor *cursor, kvds_store *store, moment now, struct sweep *sweep)
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
            sweep->renewed++; /* since the cursor was made */
        else if (!answered(KVDS_NOT_FOUND,
                           removed)) /* the user logged out, or another sweep was faster */
            return false;
    }
    return answered(KVDS_NOT_FOUND, status);
}

/* A sweep in two parts, with what other threads of a server might do in between. */
static bool sweep_while_in_use(kvds_store *store, kvds_store *ada, kvds_store *bob, moment now)
{
    kvds_cursor *cursor;
    if (!succeeded(kvds_cursor_new(store, NULL, &cursor)))
        return false;
    /* "phone" is renewed in its last second, which is over when the sweep comes to it; "desk" logs out. */
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
    static const moment MORNING = 1000, LATER = MORNING + LIFETIME / 2, END = MORNING + LIFETIME;
    return succeeded(log_in(ada, "laptop", MORNING)) && succeeded(log_in(ada, "phone", MORNING)) &&
           succeeded(log_in(bob, "laptop", MORNING)) && /* the same id, but not the same session */
           succeeded(log_in(bob, "desk", MORNING)) && succeeded(log_in(bob, "tablet", MORNING)) &&
           answered(KVDS_EXISTS, log_in(ada, "phone", MORNING)) && has_sessions("ada", ada, 2) &&
           has_sessions("bob", bob, 3) &&

           succeeded(renew(bob, "tablet", LATER)) && sweep_while_in_use(store, ada, bob, END) &&
           has_sessions("ada", ada, 1) && has_sessions("bob", bob, 1) &&
           succeeded(kvds_exists(ada, "phone", strlen("phone"))) &&
           succeeded(kvds_exists(bob, "tablet", strlen("tablet"))) &&
           answered(KVDS_NOT_FOUND, renew(ada, "laptop", END)) &&
           answered(KVDS_NOT_FOUND,
                    renew(bob, "tablet", LATER + LIFETIME)) && /* too late, though no sweep came */

           /* Ada logs out everywhere: all of her scope in one step, and nothing of Bob's. */
           succeeded(kvds_delete_prefix(ada, NULL, 0)) &&
           has_sessions("ada", ada, 0) && has_sessions("all", store, 1);
}

int main(void)
{
    kvds_distributor *distributor = NULL;
    kvds_store *store = NULL, *ada = NULL, *bob = NULL;
    bool good =
        succeeded(kvds_distributor_open(NULL, NULL, &distributor)) &&
        succeeded(kvds_distributor_get_or_create(distributor, "sessions", KVDS_MEMORY, &store)) &&
        open_user(store, "ada", &ada) && open_user(store, "bob", &bob) && run(store, ada, bob);
    /* In any order: each scope keeps the store alive by itself. Releasing NULL does nothing. */
    kvds_store_release(store);
    kvds_store_release(ada);
    kvds_store_release(bob);
    kvds_distributor_release(distributor);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
