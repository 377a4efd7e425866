/*
 * lock: a lock that is a key in a kvds store.
 *
 * Taking it is setting the key if it is not there, with a token of the owner as its value;
 * releasing it is removing the key if it still has that token, so that nobody releases what
 * somebody else holds. Several threads take the lock in turns and increment a counter that nothing
 * else protects. It goes the same way with stores on disk.
 *
 *     cc lock.c -lkvds -pthread -o lock
 *     ./lock
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#define _POSIX_C_SOURCE 200809L

#include <kvds.h>

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREADS = 4,
    TURNS = 2000, /* of each */
};

static const char LOCK[] = "locks/counter";

/* What the threads compete for. `counter` is a plain number: two increments at the same time would lose one. */
struct work {
    kvds_store *store;
    uint64_t counter;
};

struct worker {
    pthread_t thread;
    struct work *work;
    char token[32]; /* no two owners have the same */
    uint64_t waits;
    bool good;
};

/* Says of an answer that should not have come what it means. Returns false. To be called on the thread that got it. */
static bool complain(const char *what, kvds_status status)
{
    fprintf(stderr, "lock: %s: %s", what, kvds_status_name(status));
    fprintf(stderr, status < 0 ? ": %s\n" : "\n", kvds_last_error());
    return false;
}

static kvds_status try_lock(kvds_store *store, const char *token)
{
    return kvds_set_nx(store, LOCK, strlen(LOCK), token, strlen(token));
}

/*
 * KVDS_OK if the lock was this owner's and is free now. KVDS_MISMATCH if it is somebody else's,
 * KVDS_NOT_FOUND if it is nobody's: nothing is changed then. To look whose it is and to remove it
 * in two calls would leave a gap between them.
 */
static kvds_status unlock(kvds_store *store, const char *token)
{
    return kvds_compare_and_delete(store, LOCK, strlen(LOCK), token, strlen(token));
}

/* Takes the lock, or lets the other threads run and tries again. */
static bool lock(struct worker *worker)
{
    kvds_status status;
    while ((status = try_lock(worker->work->store, worker->token)) == KVDS_EXISTS) {
        worker->waits++;
        sched_yield();
    }
    return status == KVDS_OK || complain("cannot take the lock", status);
}

static void *take_turns(void *argument)
{
    struct worker *worker = argument;
    struct work *work = worker->work;
    worker->good = true;
    for (int i = 0; worker->good && i < TURNS; i++) {
        worker->good = lock(worker);
        if (!worker->good)
            break;
        uint64_t seen = work->counter;
        if (i % 100 == 0)
            sched_yield(); /* an invitation to everybody else to increment it now, if they could */
        work->counter = seen + 1;
        kvds_status status = unlock(work->store, worker->token);
        worker->good = status == KVDS_OK || complain("the lock is not its owner's", status);
    }
    return NULL;
}

/* All threads at work. Those that were started are waited for in any case. */
static bool compete(struct work *work)
{
    struct worker workers[THREADS];
    int started = 0;
    for (; started < THREADS; started++) {
        struct worker *worker = &workers[started];
        *worker = (struct worker){ .work = work };
        snprintf(worker->token, sizeof worker->token, "worker %d", started);
        if (pthread_create(&worker->thread, NULL, take_turns, worker) != 0) {
            fputs("lock: cannot start a thread\n", stderr);
            break;
        }
    }
    bool good = started == THREADS;
    uint64_t waits = 0;
    for (int i = 0; i < started; i++) {
        good = pthread_join(workers[i].thread, NULL) == 0 && workers[i].good && good;
        waits += workers[i].waits;
    }
    if (good)
        printf("%d threads took the lock %d times each, and found it taken %" PRIu64 " times\n",
               THREADS, TURNS, waits);
    return good;
}

/* Whether the counter is right, which it is only if no two threads were inside at once. */
static bool check_counter(const struct work *work)
{
    if (work->counter != THREADS * TURNS) {
        fprintf(stderr, "lock: the counter is %" PRIu64 ", not %d\n", work->counter,
                THREADS * TURNS);
        return false;
    }
    printf("the counter is %" PRIu64 ": no increment got lost\n", work->counter);
    return true;
}

typedef kvds_status step_function(kvds_store *store, const char *token);

/* A lock is released by its owner, once, and by nobody else. */
static bool refuse_strangers(kvds_store *store)
{
    static const struct {
        const char *what;
        step_function *step;
        const char *token;
        kvds_status expected;
    } STEPS[] = {
        { "the owner takes the lock", try_lock, "owner", KVDS_OK },
        { "a stranger wants it too", try_lock, "stranger", KVDS_EXISTS },
        { "the stranger releases it", unlock, "stranger", KVDS_MISMATCH },
        { "the owner still has it", try_lock, "owner", KVDS_EXISTS },
        { "the owner releases it", unlock, "owner", KVDS_OK },
        { "the owner does so again", unlock, "owner", KVDS_NOT_FOUND },
        { "now the stranger takes it", try_lock, "stranger", KVDS_OK },
        { "and releases it", unlock, "stranger", KVDS_OK },
    };
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        kvds_status status = STEPS[i].step(store, STEPS[i].token);
        if (status != STEPS[i].expected)
            return complain(STEPS[i].what, status);
        printf("%-27s%s\n", STEPS[i].what, kvds_status_name(status));
    }
    return true;
}

int main(void)
{
    kvds_distributor *distributor = NULL;
    struct work work = { 0 };
    kvds_status status = kvds_distributor_open(NULL, NULL, &distributor);
    if (status == KVDS_OK)
        status = kvds_distributor_get_or_create(distributor, "locks", KVDS_MEMORY, &work.store);
    bool good = status == KVDS_OK
                    ? compete(&work) && check_counter(&work) && refuse_strangers(work.store)
                    : complain("cannot open a store", status);
    kvds_store_release(work.store);
    kvds_distributor_release(distributor);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
