/*
 * Exits with stores open while other threads write: no acknowledged write is lost, and the process
 * does not crash. Without arguments the program is the parent. It starts itself as a child for each
 * way to exit, records the acknowledged writes, and looks for them afterwards.
 */

#include "check.h"

enum { WRITERS = 4, WRITES_AT_LEAST = 200, LONG = 3600 * 1000, STATUS = 42 };

enum way {
    RETURN_FROM_MAIN,
    RETURN_WITH_VALUES_HELD,
    EXIT_IN_A_THREAD,
    GO_ON_IN_AN_EXIT_HANDLER,
    RETURN_WHILE_KEYS_EXPIRE,
    WAYS
};

/* A message in the pipe, small enough to be written atomically. */
struct acknowledged {
    size_t writer, number;
};

struct writer {
    kvds_store *store;
    bool sets_ttl;
    size_t number;
    int pipe;
    sem_t *enough;
};

static void *write_forever(void *argument)
{
    const struct writer *me = argument;
    for (size_t i = 0;; i++) {
        const struct text key = text_of("%zu/%zu", me->number, i);
        const struct acknowledged done = { me->number, i };
        if (me->sets_ttl)
            must_ok(kvds_set_ttl(me->store, key.data, key.len, key.data, key.len, LONG));
        else
            must_ok(kvds_set(me->store, key.data, key.len, key.data, key.len));
        must(write(me->pipe, &done, sizeof done) == sizeof done);
        if (i == WRITES_AT_LEAST)
            post(me->enough);
    }
    return NULL;
}

/* Sets keys that are due at any time. */
static void *expire_forever(void *store)
{
    for (size_t i = 0;; i++) {
        const struct text key = text_of("due/%zu", i % 1000);
        must_ok(kvds_set_ttl(store, key.data, key.len, key.data, key.len, 1 + i % 100));
    }
    return NULL;
}

/* Waits in a watch, and uses the library until the process ends. */
static void *watch_forever(void *store)
{
    kvds_watch *watch;
    kvds_change change;
    must_ok(kvds_watch_new(store, NULL, &watch));
    for (;;) {
        const kvds_status status = kvds_watch_next(watch, -1, &change);
        must(status == KVDS_OK || status == KVDS_EXPIRED);
    }
    return NULL;
}

static void *exit_from_this_thread(void *argument)
{
    (void)argument;
    exit(STATUS);
}

/*
 * An exit handler that is registered before the first use of the library runs after any handler of
 * the library. RocksDB's threads had ended by then, and this one waited forever for a flush.
 */
static kvds_distributor *exit_distributor;
static kvds_backend exit_backend;

static void write_at_exit(void)
{
    static const char big[1 << 20];
    kvds_store *store = open_store(exit_distributor, "late", exit_backend);
    for (int i = 0; i < 160; i++)
        must_ok(kvds_set(store, BYTES("big"), big, sizeof big));
    must(kvds_store_release(store) == 0);
    kvds_distributor_release(exit_distributor);
}

/* The child. Its variables are static, as its threads outlive main. */
static int write_and_exit(enum way way, kvds_backend backend, int pipe, useconds_t exits_after,
                          const char *base)
{
    static const char big[1 << 20];
    static struct writer writers[WRITERS];
    static kvds_value values[2];
    static sem_t enough;
    if (way == GO_ON_IN_AN_EXIT_HANDLER)
        must(atexit(write_at_exit) == 0);
    exit_backend = backend;
    exit_distributor = kvds_distributor_new(base);
    kvds_store *store = open_store(exit_distributor, "store", backend);
    make_semaphore(&enough);
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){ store, way == RETURN_WHILE_KEYS_EXPIRE, i, pipe, &enough };
        start(write_forever, &writers[i]);
    }
    if (way == RETURN_WHILE_KEYS_EXPIRE) {
        start(expire_forever, store);
        start(watch_forever, store);
        /* A round of the thread that deletes what expires begins every second. */
        usleep(exits_after);
    }
    for (size_t i = 0; i < WRITERS; i++)
        await(&enough);

    if (way == RETURN_WITH_VALUES_HELD) {
        must_ok(kvds_set(store, BYTES("big"), big, sizeof big));
        must_ok(kvds_get(store, BYTES("big"), &values[0]));
        must_ok(kvds_get(store, BYTES("0/0"), &values[1]));
    }
    if (way == EXIT_IN_A_THREAD) {
        start(exit_from_this_thread, NULL);
        for (;;)
            pause();
    }
    return STATUS;
}

/* Starts the child as a new process, not as a forked copy of this one. */
static pid_t start_child(enum way way, kvds_backend backend, char *base, int pipe,
                         useconds_t exits_after)
{
    struct text numbers[] = { text_of("%d", way), text_of("%d", backend), text_of("%d", pipe),
                              text_of("%u", exits_after) };
    pid_t child = fork();
    must(child >= 0);
    if (child == 0)
        become_this_program((char *[]){ "exit", numbers[0].data, numbers[1].data, numbers[2].data,
                                        numbers[3].data, base, NULL });
    return child;
}

static void exit_and_check(enum way way, kvds_backend backend, size_t round)
{
    char base[PATH_MAX];
    int ends[2];
    size_t written[WRITERS] = { 0 };
    make_directory(base);
    must(pipe(ends) == 0);
    pid_t child = start_child(way, backend, base, ends[1], (useconds_t)(round * 200 * 1000));
    close(ends[1]);

    struct acknowledged done;
    while (read(ends[0], &done, sizeof done) == sizeof done) {
        must(done.number == written[done.writer]);
        written[done.writer]++;
    }
    close(ends[0]);
    must(exit_status_of(child) == STATUS);

    kvds_distributor *distributor = kvds_distributor_new(base);
    kvds_store *store = open_store(distributor, "store", backend);
    for (size_t writer = 0; writer < WRITERS; writer++) {
        must(written[writer] > WRITES_AT_LEAST);
        for (size_t i = 0; backend == KVDS_DISK && i < written[writer]; i++) {
            const struct text key = text_of("%zu/%zu", writer, i);
            must(has(store, key.data, key.len, key.data, key.len));
        }
    }
    kvds_store_release(store);
    kvds_distributor_release(distributor);
    remove_directory(base);
}

int main(int count, char **arguments)
{
    if (count == 6)
        return write_and_exit((enum way)atoi(arguments[1]), atoi(arguments[2]), atoi(arguments[3]),
                              (useconds_t)atoi(arguments[4]), arguments[5]);

    for (kvds_backend backend = KVDS_MEMORY; backend <= (HAS_DISK ? KVDS_DISK : KVDS_MEMORY);
         backend++) {
        for (enum way way = 0; way < WAYS; way++) {
            printf("backend %d, way %d\n", (int)backend, (int)way);
            fflush(stdout);
            for (size_t rounds = scaled(10); rounds > 0; rounds--)
                exit_and_check(way, backend, rounds);
        }
    }
    return 0;
}
