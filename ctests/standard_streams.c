/* Programs that close the standard streams, or begin without them, as daemons do. */

#include "check.h"

#include <fcntl.h>

/* Whether a descriptor of a standard stream is a file below `base`. */
static bool is_below_base(int file, const char *base)
{
    char path[PATH_MAX] = "";
    const struct text link = text_of("/proc/self/fd/%d", file);
    return readlink(link.data, path, sizeof path - 1) > 0 && strncmp(path, base, strlen(base)) == 0;
}

/* A file that a thread of the library is opening may have the descriptor briefly. */
static void must_have_no_file_of_the_store(const char *base)
{
    for (int file = 0; file <= STDERR_FILENO; file++) {
        for (int waits = 0; waits < 10000 && is_below_base(file, base); waits++)
            usleep(1000);
        must(!is_below_base(file, base));
    }
}

static void close_streams(void)
{
    for (int file = 0; file <= STDERR_FILENO; file++)
        close(file);
}

/* Prints as a daemon does. Nothing of it may reach a file of a store. */
static void print_much(void)
{
    for (int i = 0; i < 100; i++) {
        (void)!write(STDOUT_FILENO, "garbage", 7);
        (void)!write(STDERR_FILENO, "garbage", 7);
    }
}

static const char value[1 << 16] = "value";

static void write_all(kvds_store *store, const char *base, int from, int to)
{
    for (int i = from; i < to; i++) {
        const struct text key = text_of("key-%d", i);
        must_ok(kvds_set(store, key.data, key.len, value, sizeof value));
        print_much();
        must_have_no_file_of_the_store(base);
    }
}

/* Ends with 0 if all writes are there, whatever the program printed. */
static void work_as_a_daemon(const char *base, bool closes_later)
{
    const int count = (int)FULL(200, 2000);
    alarm(300);
    if (!closes_later)
        close_streams();
    kvds_distributor *own = kvds_distributor_new(base);
    must(own != NULL);
    kvds_store *store = open_store(own, "daemon's", KVDS_DISK);
    must_have_no_file_of_the_store(base);
    if (closes_later)
        close_streams();
    write_all(store, base, 0, count / 2);
    must_ok(kvds_sync(store));
    must_ok(kvds_compact(store));
    must_have_no_file_of_the_store(base);
    write_all(store, base, count / 2, count);
    must_ok(kvds_compact(store));
    must_ok(kvds_checkpoint(store, PATH(base, closes_later ? "copy 1" : "copy 0")));
    must_have_no_file_of_the_store(base);
    must(kvds_store_release(store) == 0);
    /* Starts without standard streams, so their descriptors are free. */
    must(open("/dev/null", O_RDWR) == STDIN_FILENO);
    close_streams();
    for (int times = 0; times < 2; times++) {
        store = open_store(own, "daemon's", KVDS_DISK);
        must_have_no_file_of_the_store(base);
        for (int i = 0; i < count; i++) {
            const struct text key = text_of("key-%d", i);
            must(has(store, key.data, key.len, value, sizeof value));
        }
        must_have_no_file_of_the_store(base);
        must(kvds_store_release(store) == 0);
    }
    must(kvds_distributor_release(own) == 0);
}

static void run_daemon(struct fixture *f, bool closes_later)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        work_as_a_daemon(f->base, closes_later);
        _exit(0);
    }
    assert_int_equal(exit_status_of(child), 0);
}

/* A log once got descriptor 1, and the output of the program went into it. */
static void a_program_started_without_standard_streams(void **state) { run_daemon(*state, false); }

static void a_program_that_closes_its_standard_streams(void **state) { run_daemon(*state, true); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(a_program_started_without_standard_streams),
        ON_DISK(a_program_that_closes_its_standard_streams),
    };
    return RUN("standard_streams", tests);
}
