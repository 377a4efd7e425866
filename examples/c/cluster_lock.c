/*
 * cluster_lock: a lock that processes on any number of machines share, and what to do when its
 * owner dies.
 *
 * A worker takes the lock by setting a key that must not exist, takes a fencing number from a
 * counter, and does its work only while the counter still has that number. Here one of two workers
 * is killed while it has the lock. Nothing frees the lock then, because no other process can know
 * whether the owner is dead or only slow. The parent does know: it waited for the process.
 *
 *     make cluster                  # three servers on this machine, and this program
 *     ./cluster_lock etcd://127.0.0.1:2379/kvds
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 */

#define _POSIX_C_SOURCE 200809L

#include <kvds.h>

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ATTEMPTS = 600, PAUSE_MS = 50 }; /* half a minute */

static const char LOCK[] = "locks/report", FENCE[] = "fences/report", RESULT[] = "report";

struct process {
    const char *name; /* for messages */
    char token[64];   /* what the lock contains while this process has it: never used twice */
    kvds_distributor *distributor;
    kvds_store *store;
};

/* What a worker tells the parent. */
struct taken {
    char token[64];
    int64_t fence;
};

static bool complain(const struct process *self, const char *what, kvds_status status)
{
    fprintf(stderr, "%s: %s: %s", self->name, what, kvds_status_name(status));
    fprintf(stderr, status < 0 ? ": %s\n" : "\n", kvds_last_error());
    return false;
}

static void wait_a_little(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
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

/*
 * Tries to take the lock once. After KVDS_UNKNOWN_OUTCOME, an earlier attempt may have taken it, so
 * KVDS_EXISTS may mean this process. The token tells.
 */
static kvds_status try_lock(struct process *self)
{
    size_t len = strlen(self->token);
    kvds_status status = kvds_set_nx(self->store, LOCK, strlen(LOCK), self->token, len);
    if (status != KVDS_EXISTS)
        return status;
    char owner[sizeof self->token];
    size_t owner_len = 0;
    kvds_status found =
        kvds_get_into(self->store, LOCK, strlen(LOCK), owner, sizeof owner, &owner_len);
    return found == KVDS_OK && owner_len == len && memcmp(owner, self->token, len) == 0
               ? KVDS_OK
               : KVDS_EXISTS;
}

/* Takes the lock and a fencing number, which is larger than that of every earlier owner. */
static bool lock(struct process *self, int64_t *fence)
{
    kvds_status status = KVDS_BUSY;
    bool waits = false;
    for (int i = 0; i < ATTEMPTS; i++) {
        status = try_lock(self);
        if (status != KVDS_EXISTS && !is_passing(status))
            break;
        if (!waits)
            printf("%s: the lock is taken, I wait\n", self->name);
        waits = true;
        wait_a_little();
    }
    if (status != KVDS_OK)
        return complain(self, "cannot take the lock", status);
    /* If an unknown addition happened after all, a number is left out. That is no harm. */
    for (int i = 0; i < ATTEMPTS; i++) {
        status = kvds_add(self->store, FENCE, strlen(FENCE), 1, fence);
        if (!is_passing(status))
            break;
        wait_a_little();
    }
    if (status != KVDS_OK)
        return complain(self, "cannot get a fencing number", status);
    printf("%s: has the lock and fencing number %" PRId64 "\n", self->name, *fence);
    return true;
}

/*
 * Deletes the lock if it has the token: KVDS_OK. If an earlier attempt with an unknown outcome has
 * deleted it, the lock is free (KVDS_NOT_FOUND) or another owner's (KVDS_MISMATCH).
 */
static kvds_status unlock(struct process *self, const char *token)
{
    kvds_status status = KVDS_BUSY;
    bool unknown = false;
    for (int i = 0; i < ATTEMPTS && is_passing(status); i++) {
        if (i != 0)
            wait_a_little();
        status = kvds_compare_and_delete(self->store, LOCK, strlen(LOCK), token, strlen(token));
        unknown = unknown || status == KVDS_UNKNOWN_OUTCOME;
    }
    return unknown && (status == KVDS_NOT_FOUND || status == KVDS_MISMATCH) ? KVDS_OK : status;
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
    /* The write has the same effect twice as once, so it may be sent again. */
    bool ready = status == KVDS_OK;
    for (int i = 0; ready && i < ATTEMPTS && (i == 0 || is_passing(status)); i++) {
        if (i != 0)
            wait_a_little();
        status = kvds_write(self->store, batch);
    }
    kvds_batch_free(batch);
    return status;
}

/* Runs in a child. `report` is a pipe to the parent, which kills a worker that hangs. */
static int be_worker(const char *name, const char *url, int report, bool hangs)
{
    struct process self = { .name = name };
    struct taken taken = { .fence = 0 };
    bool good = open_store(&self, url) && lock(&self, &taken.fence);
    if (good) {
        memcpy(taken.token, self.token, sizeof taken.token);
        good = write(report, &taken, sizeof taken) == sizeof taken;
        while (good && hangs)
            pause();
        kvds_status status = good ? work(&self, taken.fence) : KVDS_OK;
        if (status != KVDS_OK)
            good = complain(&self, "cannot write the result", status);
        status = unlock(&self, self.token);
        if (status != KVDS_OK)
            good = complain(&self, "cannot release the lock", status);
    }
    if (good)
        printf("%s: wrote the result and released the lock\n", name);
    close_store(&self);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Starts a worker before this process uses the library. Returns its process, or -1. */
static pid_t start_worker(const char *name, const char *url, int reports[2], bool hangs)
{
    if (pipe(reports) != 0)
        return -1;
    pid_t worker = fork();
    if (worker == 0) {
        close(reports[0]);
        exit(be_worker(name, url, reports[1], hangs));
    }
    close(reports[1]);
    return worker;
}

static bool wait_for(pid_t worker)
{
    int status = 0;
    return waitpid(worker, &status, 0) == worker && WIFEXITED(status) &&
           WEXITSTATUS(status) == EXIT_SUCCESS;
}

/* Frees the lock of a worker that is known to be dead, and plays its late write. */
static bool supervise(struct process *self, const struct taken *dead, pid_t heir)
{
    kvds_status status = try_lock(self);
    if (status != KVDS_EXISTS)
        return complain(self, "the killed worker's lock is free", status);
    puts("parent: the lock is still taken: nothing but its owner or an operator frees it");
    printf("parent: I know that its owner is dead, and delete the lock of \"%s\"\n", dead->token);
    status = unlock(self, dead->token);
    if (status != KVDS_OK)
        return complain(self, "cannot delete the killed worker's lock", status);
    if (!wait_for(heir))
        return false;
    status = work(self, dead->fence);
    if (status != KVDS_MISMATCH)
        return complain(self, "the late write was not refused", status);
    printf("parent: a late write with fencing number %" PRId64 " is refused: %s\n", dead->fence,
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
    int first_reports[2], second_reports[2];
    struct taken taken;
    pid_t first = start_worker("first worker", argv[1], first_reports, true);
    if (first == -1 || read(first_reports[0], &taken, sizeof taken) != sizeof taken) {
        fputs("cluster_lock: the first worker did not take the lock\n", stderr);
        return EXIT_FAILURE;
    }
    pid_t second = start_worker("second worker", argv[1], second_reports, false);
    kill(first, SIGKILL);
    waitpid(first, NULL, 0);
    puts("parent: killed the first worker");
    struct process self = { .name = "parent" };
    bool good = second != -1 && open_store(&self, argv[1]) && supervise(&self, &taken, second);
    if (second != -1 && !good)
        kill(second, SIGKILL);
    close_store(&self);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
