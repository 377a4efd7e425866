/*
 * lock: a lock that is a key in a kvds store.
 *
 * To take the lock, a thread sets the key to its token, if the key does not exist. To release it,
 * the thread deletes the key, if it still has that token. So only the owner can release the lock.
 * Several threads take the lock and increment a counter that nothing else protects. Disk stores
 * work the same way.
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
    TURNS = 2000, /* per thread */
};

static const char LOCK[] = "locks/counter";

/* `counter` is a plain number: of two simultaneous increments, one would be lost. */
struct work {
    kvds_store *store;
    uint64_t counter;
};

struct worker {
    pthread_t thread;
    struct work *work;
    char token[32]; /* unique */
    uint64_t waits;
    bool good;
};

/* Prints an unexpected status that this thread got, and returns false. */
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
 * Releases the lock: KVDS_OK. If another owner has it, returns KVDS_MISMATCH, and if it is free,
 * KVDS_NOT_FOUND; neither changes anything. With two calls, one to compare and one to delete, the
 * owner could change in between.
 */
static kvds_status unlock(kvds_store *store, const char *token)
{
    return kvds_compare_and_delete(store, LOCK, strlen(LOCK), token, strlen(token));
}

/* Takes the lock. While another thread has it, yields and retries. */
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
            sched_yield(); /* without the lock, other threads would increment it now */
        work->counter = seen + 1;
        kvds_status status = unlock(work->store, worker->token);
        worker->good = status == KVDS_OK || complain("the lock is not its owner's", status);
    }
    return NULL;
}

/* Runs all threads. Waits for every thread that was started. */
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

/* The counter is correct only if at most one thread had the lock at any time. */
static bool check_counter(const struct work *work)
{
    if (work->counter != THREADS * TURNS) {
        fprintf(stderr, "lock: the counter is %" PRIu64 ", not %d\n", work->counter,
                THREADS * TURNS);
        return false;
    }
    printf("the counter is %" PRIu64 ": no increment was lost\n", work->counter);
    return true;
}

typedef kvds_status step_function(kvds_store *store, const char *token);

/* Only the owner can release the lock, and only once. */
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
