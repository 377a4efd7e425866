/*
 * session_cache: sessions of users that expire, in a memory store of kvds.
 *
 * Every user has a scope: a view of the store that contains only the user's sessions. Its keys are
 * session ids. A session is set with a time to live, and every use of it starts that time again.
 * The store deletes what has expired, so the program has no sweep, no thread and no lock.
 *
 *     cc session_cache.c -lkvds -o session_cache
 *     ./session_cache
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#define _POSIX_C_SOURCE 200809L

#include <kvds.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* From the last use of a session to its end. Servers allow half an hour or so. */
static const uint64_t LIFETIME_MS = 3000, REMEMBERED_MS = 24 * 3600 * 1000;

enum {
    PAUSE_MS = 50,
    PAUSES = 600, /* half a minute */
    NAME_ROOM = 64,
};

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

/* Gets the scope of a user. Names of users contain no '/', so scopes do not overlap. */
static bool open_user(kvds_store *store, const char *user, kvds_store **out)
{
    char prefix[NAME_ROOM];
    int len = snprintf(prefix, sizeof prefix, "%s/", user);
    return succeeded(kvds_store_scope(store, prefix, (size_t)len, out));
}

/* Creates a session; KVDS_EXISTS if the id is in use. */
static kvds_status log_in(kvds_store *user, const char *id, const char *address)
{
    return kvds_set_nx_ttl(user, id, strlen(id), address, strlen(address), LIFETIME_MS);
}

/* Starts the time of a session again; KVDS_NOT_FOUND if it has expired. */
static kvds_status use(kvds_store *user, const char *id, uint64_t lifetime_ms)
{
    return kvds_expire(user, id, strlen(id), lifetime_ms);
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

/* Uses a session until another one of the same user, which is not used, has expired. */
static bool outlive(kvds_store *user, const char *used, const char *unused)
{
    kvds_status status = KVDS_OK;
    for (int i = 0; i < PAUSES && status == KVDS_OK; i++) {
        nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
        if (!succeeded(use(user, used, LIFETIME_MS)))
            return false;
        status = kvds_exists(user, unused, strlen(unused));
    }
    return returned(KVDS_NOT_FOUND, status);
}

/* Prints the time that a session has left. */
static bool show_time(const char *whose, kvds_store *user, const char *id)
{
    int64_t left_ms;
    if (!succeeded(kvds_ttl(user, id, strlen(id), &left_ms)))
        return false;
    printf("%-12s%s: %" PRId64 " s left\n", whose, id, (left_ms + 500) / 1000);
    return true;
}

static bool run(kvds_store *store, kvds_store *ada, kvds_store *bob)
{
    return succeeded(log_in(ada, "laptop", "10.0.0.1")) &&
           succeeded(log_in(ada, "phone", "10.0.0.2")) &&
           succeeded(log_in(bob, "laptop", "10.0.0.3")) && /* the same id in another scope */
           returned(KVDS_EXISTS, log_in(ada, "phone", "10.0.0.4")) && has_sessions("ada", ada, 2) &&
           has_sessions("bob", bob, 1) && show_time("ada", ada, "laptop") &&
           /* Bob's device is remembered, although he does not use it. */
           succeeded(use(bob, "laptop", REMEMBERED_MS)) && show_time("bob", bob, "laptop") &&

           outlive(ada, "phone", "laptop") &&
           returned(KVDS_NOT_FOUND, use(ada, "laptop", LIFETIME_MS)) &&
           has_sessions("ada", ada, 1) && has_sessions("bob", bob, 1) &&

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
