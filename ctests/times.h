/* Times to live, and the deletion that follows. Include it after check.h. */

#ifndef TIMES_H
#define TIMES_H

#include <time.h>

enum {
    /* A time that is over soon, and one that is not over during any test. */
    SOON = 1,
    LONG = 3600 * 1000,
    /* The seconds after which an expired key that is still there fails a test. It is far more than
       the header allows, as a machine may be slow. */
    PATIENCE = 300,
};

static inline double seconds(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void pause_briefly(void)
{
    const struct timespec time = { 0, 10 * 1000 * 1000 };
    nanosleep(&time, NULL);
}

/* Waits until a key is gone. */
static inline void await_expiry(kvds_store *store, const void *key, size_t key_len)
{
    const double end = seconds() + PATIENCE;
    kvds_status status;
    while ((status = kvds_exists(store, key, key_len)) == KVDS_OK) {
        must(seconds() < end);
        pause_briefly();
    }
    must_return(KVDS_NOT_FOUND, status);
}

static inline int64_t time_left(kvds_store *store, const void *key, size_t key_len)
{
    int64_t left = 99;
    must_ok(kvds_ttl(store, key, key_len, &left));
    return left;
}

#define assert_never_expires(store, key) assert_true(time_left(store, BYTES(key)) == -1)

/* Checks that a key has a time left, at most `ttl`. */
#define assert_expires_in(ttl, store, key) \
    assert_in_range(time_left(store, BYTES(key)), 1, (uint64_t)(ttl))

static inline kvds_stats stats_of(kvds_store *store)
{
    kvds_stats stats;
    must_ok(kvds_store_stats(store, &stats, sizeof stats));
    return stats;
}

#endif
