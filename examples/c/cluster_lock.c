/*
 * cluster_lock: a lock that processes on any number of machines share.
 *
 * A worker takes the lock by setting a key that must not exist, and renews it while it works. Here
 * one of two workers is killed while it has the lock. The key's time to live frees the lock, so no
 * other program needs to know that the owner is dead. An owner that is merely slow may work after
 * its time. So every owner takes a fencing number from a counter, and its writes happen only while
 * the counter still has that number.
 *
 *     make cluster                  # three servers on this machine, and this program
 *     ./cluster_lock etcd://127.0.0.1:2379/kvds
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#define _POSIX_C_SOURCE 200809L

#include <kvds.h>

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ATTEMPTS = 600, /* half a minute */
    PAUSE_MS = 50,
    LOCK_MS = 4000, /* from the last renewal to the end of the lock */
    STEP_MS = LOCK_MS / 4,
};

static const char LOCK[] = "locks/report", FENCE[] = "fences/report", RESULT[] = "report";

struct process {
    const char *name; /* for messages */
    char token[64];   /* what the lock contains while this process has it: never used twice */
    kvds_distributor *distributor;
    kvds_store *store;
};

static bool complain(const struct process *self, const char *what, kvds_status status)
{
    fprintf(stderr, "%s: %s: %s", self->name, what, kvds_status_name(status));
    fprintf(stderr, status < 0 ? ": %s\n" : "\n", kvds_last_error());
    return false;
}

static void wait_ms(int ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L }, NULL);
}

/* Opens the store in this process. A handle that was opened before a fork() is of no use after. */
static bool open_store(struct process *self, const char *url)
{
    snprintf(self->token, sizeof self->token, "%s, process %ld, %lld", self->name, (long)getpid(),
             (long long)time(NULL));
    kvds_options *options = kvds_options_new();
    kvds_status status = kvds_options_set_cluster(options, url);
    if (status == KVDS_OK)
        status = kvds_distributor_open(NULL, options, &self->distributor);
    kvds_options_free(options);
    if (status == KVDS_OK)
        status = kvds_distributor_get_or_create(self->distributor, "cluster_lock", KVDS_CLUSTER,
                                                &self->store);
    return status == KVDS_OK || complain(self, "cannot open the store", status);
}

static void close_store(struct process *self)
{
    kvds_store_release(self->store);
    kvds_distributor_release(self->distributor);
}

/* The same call may succeed later. After KVDS_BUSY, nothing was changed. */
static bool is_passing(kvds_status status)
{
    return status == KVDS_BUSY || status == KVDS_UNKNOWN_OUTCOME;
}

/* Writes and frees a batch. Its effect is the same twice as once, so it may be sent again. */
static kvds_status write_and_free(struct process *self, kvds_batch *batch, kvds_status status)
{
    bool ready = status == KVDS_OK;
    for (int i = 0; ready && i < ATTEMPTS; i++) {
        status = kvds_write(self->store, batch);
        if (!is_passing(status))
            break;
        wait_ms(PAUSE_MS);
    }
    kvds_batch_free(batch);
    return status;
}

/* Lets the lock live for another LOCK_MS. KVDS_MISMATCH: it is not this process's any more. */
static kvds_status renew(struct process *self)
{
    kvds_batch *batch = kvds_batch_new();
    kvds_status status =
        kvds_batch_expect(batch, LOCK, strlen(LOCK), self->token, strlen(self->token));
    if (status == KVDS_OK)
        status = kvds_batch_expire(batch, LOCK, strlen(LOCK), LOCK_MS);
    return write_and_free(self, batch, status);
}

/* Takes the lock and a fencing number, which is larger than that of every earlier owner. */
static bool lock(struct process *self, int64_t *fence)
{
    size_t len = strlen(self->token);
    kvds_status status = KVDS_BUSY;
    bool unknown = false;
    for (int i = 0; i < ATTEMPTS && (status == KVDS_EXISTS || is_passing(status)); i++) {
        if (i == 1)
            printf("%s: the lock is taken, I wait\n", self->name);
        wait_ms(i == 0 ? 0 : PAUSE_MS);
        status = kvds_set_nx_ttl(self->store, LOCK, strlen(LOCK), self->token, len, LOCK_MS);
        /* An attempt with an unknown outcome may have taken it. Only its owner can renew it. */
        unknown = unknown || status == KVDS_UNKNOWN_OUTCOME;
        if (status == KVDS_EXISTS && unknown && renew(self) == KVDS_OK)
            status = KVDS_OK;
    }
    if (status != KVDS_OK)
        return complain(self, "cannot take the lock", status);
    /* If an unknown addition happened after all, a number is left out. That is no harm. */
    status = KVDS_BUSY;
    for (int i = 0; i < ATTEMPTS && is_passing(status); i++) {
        wait_ms(i == 0 ? 0 : PAUSE_MS);
        status = kvds_add(self->store, FENCE, strlen(FENCE), 1, fence);
    }
    if (status != KVDS_OK)
        return complain(self, "cannot get a fencing number", status);
    printf("%s: has the lock and fencing number %" PRId64 "\n", self->name, *fence);
    return true;
}

/*
 * The work: a write that happens only if no later owner has taken a number. An owner that was slow
 * for an hour gets KVDS_MISMATCH. A resource outside of the store has to compare numbers itself: it
 * remembers the largest one that it has seen, and refuses smaller ones.
 */
static kvds_status work(struct process *self, int64_t fence)
{
    char number[24];
    int len = snprintf(number, sizeof number, "%" PRId64, fence);
    kvds_batch *batch = kvds_batch_new();
    kvds_status status = kvds_batch_expect(batch, FENCE, strlen(FENCE), number, (size_t)len);
    if (status == KVDS_OK)
        status = kvds_batch_set(batch, RESULT, strlen(RESULT), self->name, strlen(self->name));
    return write_and_free(self, batch, status);
}

/* Works step by step, and renews the lock after each. Then releases it. */
static bool work_and_unlock(struct process *self, int64_t fence, int steps)
{
    kvds_status status = KVDS_OK;
    for (int i = 0; i < steps && status == KVDS_OK; i++) {
        status = work(self, fence);
        wait_ms(STEP_MS);
        if (status == KVDS_OK)
            status = renew(self);
    }
    if (status != KVDS_OK)
        return complain(self, "cannot work or cannot renew the lock", status);
    status =
        kvds_compare_and_delete(self->store, LOCK, strlen(LOCK), self->token, strlen(self->token));
    /* Without a response from the cluster, the lock ends with its time. */
    if (status != KVDS_OK && !is_passing(status))
        return complain(self, "cannot release the lock", status);
    printf("%s: wrote the result and released the lock\n", self->name);
    return true;
}

/* Runs in a child. Writes its fencing number to a pipe when it has the lock. */
static int be_worker(const char *name, const char *url, int report, int steps)
{
    struct process self = { .name = name };
    int64_t fence = 0;
    bool good = open_store(&self, url) && lock(&self, &fence) &&
                write(report, &fence, sizeof fence) == sizeof fence &&
                work_and_unlock(&self, fence, steps);
    close_store(&self);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Starts a worker before this process uses the library. Returns its process, or -1. */
static pid_t start_worker(const char *name, const char *url, int *report, int steps)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -1;
    pid_t worker = fork();
    if (worker == 0) {
        close(ends[0]);
        exit(be_worker(name, url, ends[1], steps));
    }
    close(ends[1]);
    *report = ends[0];
    return worker;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Kills the owner of the lock. Returns whether the heir gets it after that, and not before. */
static bool replace(pid_t owner, pid_t heir, int report)
{
    bool waits = poll(&(struct pollfd){ .fd = report, .events = POLLIN }, 1, 2 * LOCK_MS) == 0;
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    puts("parent: killed the first worker, after twice the time that its lock lives unrenewed");
    double killed = seconds();
    int64_t fence;
    int status;
    if (!waits || read(report, &fence, sizeof fence) != sizeof fence) {
        fputs("parent: the second worker got the lock too early, or not at all\n", stderr);
        return false;
    }
    printf("parent: the lock ended by itself, %.1f s after its owner\n", seconds() - killed);
    return waitpid(heir, &status, 0) == heir && status == 0;
}

/* Plays a write of the first owner that arrives late, as if it was slow and not dead. */
static bool write_late(struct process *self, int64_t fence)
{
    kvds_status status = work(self, fence);
    if (status != KVDS_MISMATCH)
        return complain(self, "the late write was not refused", status);
    printf("parent: a late write with fencing number %" PRId64 " is refused: %s\n", fence,
           kvds_status_name(status));
    return true;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: cluster_lock etcd://HOST:PORT,.../NAMESPACE\n", stderr);
        return EXIT_FAILURE;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int first_report, second_report;
    int64_t fence;
    pid_t first = start_worker("first worker", argv[1], &first_report, INT_MAX);
    if (first == -1 || read(first_report, &fence, sizeof fence) != sizeof fence) {
        fputs("cluster_lock: the first worker did not take the lock\n", stderr);
        return EXIT_FAILURE;
    }
    pid_t second = start_worker("second worker", argv[1], &second_report, 1);
    struct process self = { .name = "parent" };
    bool good = second != -1 && replace(first, second, second_report) &&
                open_store(&self, argv[1]) && write_late(&self, fence);
    if (!good)
        kill(second == -1 ? first : second, SIGKILL);
    close_store(&self);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
