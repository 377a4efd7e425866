/*
 * fresh_cache: a copy of a part of a store, as parsed numbers, that a watch keeps fresh.
 *
 * A store says how many percent of the users see which color of a button: "share/red" is "75". The
 * program creates a watch, reads all shares, and then applies each change to its copy in a poll()
 * loop. Other threads move users from one color to another with batches. The shares add up to 100,
 * so the program uses its copy only between whole batches.
 *
 *     cc fresh_cache.c -lkvds -pthread -o fresh_cache
 *     ./fresh_cache              # in memory
 *     ./fresh_cache DIRECTORY    # on disk
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#define _POSIX_C_SOURCE 200809L

#include <kvds.h>

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RED, GREEN, BLUE, COLORS, ALL = 100, PATIENCE_MS = 30000 };

static const char *const NAMES[COLORS] = { "red", "green", "blue" };

struct cache {
    kvds_store *shares; /* a scope: keys are without the prefix "share/" */
    kvds_watch *watch;
    int percent[COLORS];
    bool is_mixed; /* of old and new shares: see catch_up() */
};

static bool check(bool good, const char *problem)
{
    if (!good)
        fprintf(stderr, "fresh_cache: %s\n", problem);
    return good;
}

/* Returns whether a call of this thread returned KVDS_OK, and prints why if it did not. */
static bool succeeded(kvds_status status)
{
    return check(status == KVDS_OK, status < 0 ? kvds_last_error() : kvds_status_name(status));
}

/* Called for each share that is read or changes. No NUL follows the value. */
static int set_percent(void *user_data, const void *key, size_t key_len, const void *value,
                       size_t value_len)
{
    struct cache *cache = user_data;
    char text[8];
    snprintf(text, sizeof text, "%.*s", (int)value_len, (const char *)value);
    for (int i = 0; i < COLORS; i++)
        if (key_len == strlen(NAMES[i]) && memcmp(key, NAMES[i], key_len) == 0)
            cache->percent[i] = atoi(text);
    return 1;
}

static bool read_shares(struct cache *cache)
{
    memset(cache->percent, 0, sizeof cache->percent);
    cache->is_mixed = true;
    return succeeded(kvds_iterate(cache->shares, NULL, 0, set_percent, cache));
}

static bool apply(struct cache *cache, const kvds_change *change)
{
    if (change->kind == KVDS_CHANGE_DELETE_RANGE)
        return read_shares(cache); /* simpler than finding out which colors are in the range */
    bool is_set = change->kind == KVDS_CHANGE_SET;
    set_percent(cache, change->key, change->key_len, is_set ? change->value : "0",
                is_set ? change->value_len : 1);
    return true;
}

/* Stands for what the program does with its copy. */
static bool use(const struct cache *cache)
{
    const int *percent = cache->percent;
    printf("red %3d   green %3d   blue %3d\n", percent[RED], percent[GREEN], percent[BLUE]);
    int sum = percent[RED] + percent[GREEN] + percent[BLUE];
    return check(sum == ALL || sum == 0, "the copy is not that of any point in time");
}

/*
 * Applies the changes that are there. The watch tells changes that a reading has seen already too.
 * Until the last of them, the copy has old and new shares.
 */
static bool catch_up(struct cache *cache)
{
    kvds_change change;
    kvds_status status;
    while ((status = kvds_watch_next(cache->watch, 0, &change)) == KVDS_OK)
        if (!apply(cache, &change) || (change.last && !cache->is_mixed && !use(cache)))
            return false;
    if (status == KVDS_EXPIRED) {
        puts("The watch has missed changes, so all shares are read again:");
        return read_shares(cache) && catch_up(cache);
    }
    bool was_mixed = cache->is_mixed;
    cache->is_mixed = false;
    return (status == KVDS_NOT_FOUND || succeeded(status)) && (!was_mixed || use(cache));
}

/* Follows the store until `color` has a share of `percent`. */
static bool follow(struct cache *cache, int color, int percent)
{
    struct pollfd event = { .fd = kvds_watch_fd(cache->watch), .events = POLLIN };
    bool good = check(event.fd != -1, kvds_last_error());
    while (good && cache->percent[color] != percent)
        good = check(poll(&event, 1, PATIENCE_MS) == 1, "no change came") && catch_up(cache);
    return good;
}

struct move {
    kvds_store *shares;
    int from, to, step;
};

/* Moves all users to another color. Each step is a batch that changes two shares. */
static void *move_users(void *argument)
{
    const struct move *move = argument;
    const char *from = NAMES[move->from], *to = NAMES[move->to];
    for (int moved = move->step; moved <= ALL; moved += move->step) {
        char left[12], right[12];
        snprintf(left, sizeof left, "%d", ALL - moved);
        snprintf(right, sizeof right, "%d", moved);
        kvds_pair pairs[] = { { from, strlen(from), left, strlen(left) },
                              { to, strlen(to), right, strlen(right) } };
        if (!succeeded(kvds_set_batch(move->shares, pairs, 2)))
            return NULL;
    }
    return argument;
}

/* Follows what another thread moves. A busy program looks at the watch only after that. */
static bool follow_move(struct cache *cache, bool is_busy, struct move move)
{
    pthread_t mover;
    void *result;
    if (!check(pthread_create(&mover, NULL, move_users, &move) == 0, "cannot start a thread"))
        return false;
    bool good = is_busy || follow(cache, move.to, ALL);
    return pthread_join(mover, &result) == 0 && result && good && follow(cache, move.to, ALL);
}

int main(int argc, char **argv)
{
    kvds_options *options = kvds_options_new();
    kvds_distributor *distributor = NULL;
    kvds_store *store = NULL;
    struct cache cache = { 0 };
    /* The buffer is so small that a busy program misses changes. The default is 8 MiB. */
    bool good = succeeded(kvds_options_set_watch_buffer_bytes(options, 4096)) &&
                succeeded(kvds_distributor_open(argv[1], options, &distributor)) &&
                succeeded(kvds_distributor_get_or_create(
                    distributor, "buttons", argc > 1 ? KVDS_DISK : KVDS_MEMORY, &store)) &&
                succeeded(kvds_store_scope(store, "share/", 6, &cache.shares)) &&
                succeeded(kvds_delete_prefix(cache.shares, NULL, 0)) &&
                succeeded(kvds_set(cache.shares, "red", 3, "100", 3)) &&
                succeeded(kvds_watch_new(cache.shares, NULL, &cache.watch)) &&
                read_shares(&cache) && catch_up(&cache) &&
                follow_move(&cache, false, (struct move){ cache.shares, RED, GREEN, 25 }) &&
                follow_move(&cache, true, (struct move){ cache.shares, GREEN, BLUE, 1 }) &&
                succeeded(kvds_delete_prefix(cache.shares, NULL, 0)) && follow(&cache, BLUE, 0);
    kvds_watch_free(cache.watch);
    kvds_store_release(cache.shares);
    kvds_store_release(store);
    kvds_distributor_release(distributor);
    kvds_options_free(options);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
