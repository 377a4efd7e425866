/*
 * The locks of a store that another process has open. That process is this program again, started
 * with arguments.
 */

#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

/* For a thread that forks while another thread opens the directory of a store. */
static struct {
    atomic_bool armed;
    char directory[PATH_MAX];
    sem_t opened, forked;
} meeting;

/* Replaces that of the C library for the library. */
static int open_for(const char *path, int flags, mode_t mode)
{
    const int file = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (file >= 0 && (flags & O_DIRECTORY) && atomic_load(&meeting.armed) &&
        strcmp(path, meeting.directory) == 0) {
        atomic_store(&meeting.armed, false);
        post(&meeting.opened);
        /* Not before, as the fork must wait until the library has registered the descriptor. */
        struct timespec until;
        must(clock_gettime(CLOCK_REALTIME, &until) == 0);
        until.tv_sec++;
        sem_timedwait(&meeting.forked, &until);
    }
    return file;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode = va_arg(arguments, mode_t); \
        va_end(arguments); \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_for(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags)
    return open_for(path, flags, mode);
}

/*
 * The other process. Its exit status is 0 for KVDS_OK, or the number of an error without its sign.
 */
static int other_process(const char *task, const char *base)
{
    kvds_distributor *distributor = kvds_distributor_new(base);
    kvds_store *store = NULL;
    kvds_status status;
    must(distributor != NULL);
    if (strcmp(task, "destroy") == 0) {
        status = kvds_distributor_destroy_store(distributor, "store");
    } else {
        status = kvds_distributor_get_or_create(distributor, "store", KVDS_DISK, &store);
        must((store != NULL) == (status == KVDS_OK));
    }
    if (status == KVDS_OK && strcmp(task, "hold") == 0) {
        must_ok(kvds_set(store, BYTES("theirs"), BYTES("value")));
        must(write(STDOUT_FILENO, "!", 1) == 1);
        for (;;)
            pause();
    }
    if (status == KVDS_OK && strcmp(task, "fork") == 0) {
        must_ok(kvds_set(store, BYTES("theirs"), BYTES("value")));
        pid_t child = fork();
        must(child >= 0);
        if (child != 0)
            must(write(STDOUT_FILENO, &child, sizeof child) == sizeof child);
        for (;;)
            pause();
    }
    if (status == KVDS_OK && strcmp(task, "look") == 0)
        must(has(store, BYTES("ours"), BYTES("value")));
    if (status != KVDS_OK)
        must(strstr(kvds_last_error(), PATH(base, "store")) != NULL);
    kvds_store_release(store);
    kvds_distributor_release(distributor);
    return -status;
}

/* Starts the other process. Its standard output is `output` if that is not negative. */
static pid_t start_other(const char *task, const char *base, int output)
{
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        if (output >= 0)
            dup2(output, STDOUT_FILENO);
        become_this_program((char *[]){ "store_lock", (char *)task, (char *)base, NULL });
    }
    return child;
}

static kvds_status status_of(const char *task, const char *base)
{
    return -exit_status_of(start_other(task, base, -1));
}

static void another_process_gets_the_store_when_it_is_released(void **state)
{
    struct fixture *f = *state;
    char directory[PATH_MAX];
    path_of(directory, f->base, "store");
    assert_ok(kvds_set(f->store, BYTES("ours"), BYTES("value")));
    const size_t files = entries_in(directory);
    assert_returns(KVDS_LOCKED, status_of("look", f->base));
    assert_returns(KVDS_LOCKED, status_of("destroy", f->base));
    /* A failed opening leaves no files. RocksDB's log of messages once was left. */
    assert_int_equal(entries_in(directory), files);
    assert_true(has(f->store, BYTES("ours"), BYTES("value")));
    assert_ok(kvds_set(f->store, BYTES("more"), BYTES("value")));

    assert_int_equal(release_store(f), 0);
    assert_ok(status_of("look", f->base));
    f->store = open_again(f);
    assert_true(has(f->store, BYTES("more"), BYTES("value")));

    assert_ok(kvds_close(f->store));
    assert_ok(status_of("destroy", f->base));
    release_store(f);
    f->store = open_again(f);
    assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("ours")));
}

static void a_held_value_keeps_the_lock(void **state)
{
    struct fixture *f = *state;
    static const char big[1 << 20];
    kvds_value value;
    assert_ok(kvds_set(f->store, BYTES("ours"), BYTES("value")));
    assert_ok(kvds_set(f->store, BYTES("big"), big, sizeof big));
    assert_ok(kvds_get(f->store, BYTES("big"), &value));
    assert_int_equal(release_store(f), 0);
    assert_returns(KVDS_LOCKED, status_of("look", f->base));
    kvds_value_release(&value);
    assert_ok(status_of("look", f->base));
}

static void a_killed_process_releases_its_store(void **state)
{
    struct fixture *f = *state;
    int ends[2];
    char byte;
    assert_int_equal(release_store(f), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t other = start_other("hold", f->base, ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);

    assert_returns(KVDS_LOCKED,
                   kvds_distributor_get_or_create(f->distributor, "store", KVDS_DISK, &f->store));
    assert_null(f->store);
    assert_error_says(PATH(f->base, "store"));
    assert_returns(KVDS_LOCKED, kvds_distributor_destroy_store(f->distributor, "store"));
    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, NULL, 0), other);

    f->store = open_again(f);
    assert_true(has(f->store, BYTES("theirs"), BYTES("value")));
}

/* Reads every file of the directory, as a backup or a virus scanner does. */
static void read_all_files(const char *directory)
{
    char buffer[1 << 16], path[PATH_MAX];
    DIR *entries = opendir(directory);
    must(entries != NULL);
    for (struct dirent *entry; (entry = readdir(entries));) {
        int file = open(path_of(path, directory, entry->d_name), O_RDONLY);
        must(file >= 0);
        while (read(file, buffer, sizeof buffer) > 0)
            ;
        close(file);
    }
    closedir(entries);
}

/* Neither another process nor another distributor of this process can open the store. */
static void *everybody_is_turned_away(void *argument)
{
    struct fixture *f = argument;
    must_return(KVDS_LOCKED, status_of("look", f->base));
    must_return(KVDS_LOCKED, status_of("destroy", f->base));
    kvds_store *store;
    kvds_distributor *other = kvds_distributor_new(f->base);
    must_return(KVDS_LOCKED, kvds_distributor_get_or_create(other, "store", KVDS_DISK, &store));
    must_return(KVDS_LOCKED, kvds_distributor_destroy_store(other, "store"));
    kvds_distributor_release(other);
    return NULL;
}

static void the_store_is_ours_alone(struct fixture *f)
{
    everybody_is_turned_away(f);
    join(start(everybody_is_turned_away, f));
    assert_ok(kvds_set(f->store, BYTES("ours"), BYTES("value")));
    assert_int_equal(release_store(f), 0);
    assert_ok(status_of("look", f->base));
    f->store = open_again(f);
    assert_true(has(f->store, BYTES("ours"), BYTES("value")));
}

/*
 * Closing any descriptor of the file LOCK releases RocksDB's lock. A program that read all files of
 * its open store, for a backup, so lost its lock. A second process wrote to the store too, and it
 * was corrupt.
 */
static void reading_the_files_of_the_store_keeps_the_lock(void **state)
{
    struct fixture *f = *state;
    char directory[PATH_MAX];
    read_all_files(path_of(directory, f->base, "store"));
    the_store_is_ours_alone(f);
}

/* A deleted file cannot keep other processes away. */
static void removing_the_lock_file_keeps_the_lock(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(unlink(PATH(f->base, "store/LOCK")), 0);
    the_store_is_ours_alone(f);
    /* The same for a store that was opened after LOCK was created again. */
    assert_int_equal(unlink(PATH(f->base, "store/LOCK")), 0);
    the_store_is_ours_alone(f);
}

/*
 * Locks the file LOCK as RocksDB does, reports the result, and holds it until the pipe is closed.
 */
static pid_t start_rocksdb(const struct fixture *f, const int ends[2], int tells)
{
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        char byte;
        struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int file = open(PATH(f->base, "store/LOCK"), O_RDWR | O_CREAT, 0644);
        must(file >= 0);
        close(ends[1]);
        byte = fcntl(file, F_SETLK, &whole) == 0;
        must(write(tells, &byte, 1) == 1);
        must(read(ends[0], &byte, 1) == 0);
        _exit(0);
    }
    return child;
}

/* RocksDB's programs, such as ldb, do not check the lock on the directory. */
static void programs_of_rocksdb_cannot_open_the_store(void **state)
{
    struct fixture *f = *state;
    char directory[PATH_MAX];
    read_all_files(path_of(directory, f->base, "store"));
    for (int ours = 1; ours >= 0; ours--) {
        int ends[2], tells[2];
        char got_it;
        if (!ours)
            assert_int_equal(release_store(f), 0);
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(pipe(tells), 0);
        pid_t other = start_rocksdb(f, ends, tells[1]);
        assert_int_equal(read(tells[0], &got_it, 1), 1);
        kvds_store *store = NULL;
        kvds_status status = KVDS_OK;
        if (!ours)
            status = kvds_distributor_get_or_create(f->distributor, "store", KVDS_DISK, &store);
        close(ends[1]);
        assert_int_equal(exit_status_of(other), 0);
        assert_int_equal(got_it, !ours);
        assert_returns(ours ? KVDS_OK : KVDS_LOCKED, status);
        close(ends[0]);
        close(tells[0]);
        close(tells[1]);
    }
    f->store = open_again(f);
}

static void reading_takes_no_lock(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set(f->store, BYTES("ours"), BYTES("value")));
    kvds_distributor *readers = distributor_with(f->base, "read_only", "true");
    kvds_store *reader = open_store(readers, "store", KVDS_DISK);
    assert_true(has(reader, BYTES("ours"), BYTES("value")));
    /* The writer may close and open the store while a reader has it open. */
    assert_int_equal(release_store(f), 0);
    assert_ok(status_of("look", f->base));
    assert_ok(status_of("destroy", f->base));
    assert_int_equal(kvds_store_release(reader), 0);
    kvds_distributor_release(readers);
    f->store = open_again(f);
}

/*
 * flock locks belong to the open file, which forked children share. Children of a daemon outlived
 * it, and its store stayed locked.
 */
static void a_child_that_outlives_its_parent_does_not_keep_the_lock(void **state)
{
    struct fixture *f = *state;
    int ends[2];
    pid_t child;
    assert_int_equal(release_store(f), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t other = start_other("fork", f->base, ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], &child, sizeof child), sizeof child);
    assert_returns(KVDS_LOCKED, status_of("look", f->base));

    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, NULL, 0), other);
    /* The child holds the pipe open, so it is still running. */
    const int ended = poll(&(struct pollfd){ .fd = ends[0], .events = POLLIN }, 1, 0);
    const kvds_status status =
        kvds_distributor_get_or_create(f->distributor, "store", KVDS_DISK, &f->store);
    assert_int_equal(kill(child, SIGKILL), 0);
    close(ends[0]);
    assert_int_equal(ended, 0);
    assert_ok(status);
    assert_true(has(f->store, BYTES("theirs"), BYTES("value")));
}

/*
 * A child that was created by the system call alone ran no fork handlers and keeps all files open.
 * The parent can still release the lock.
 */
static void a_child_without_handlers_does_not_keep_the_lock(void **state)
{
    struct fixture *f = *state;
    fflush(NULL);
    pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0)
        for (;;)
            pause();
    assert_true(child > 0);
    release_store(f);
    const kvds_status status = status_of("destroy", f->base);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_ok(status);
    f->store = open_again(f);
}

/* Counts the locks of the open files of this process. It allocates nothing, for a forked child. */
static int locks_of_open_files(void)
{
    int locks = 0;
    for (int file = 0; file < 256; file++) {
        char text[4096];
        const struct text path = text_of("/proc/self/fdinfo/%d", file);
        int about = open(path.data, O_RDONLY);
        if (about < 0)
            continue;
        ssize_t len = read(about, text, sizeof text - 1);
        must(len >= 0);
        text[len] = '\0';
        locks += strstr(text, "FLOCK") != NULL || strstr(text, "OFDLCK") != NULL;
        close(about);
    }
    return locks;
}

struct forking {
    /* The child waits until the other end of this pipe is closed. */
    int ends[2];
    pid_t child;
};

static void *fork_while_it_is_opened(void *argument)
{
    struct forking *forking = argument;
    await(&meeting.opened);
    fflush(NULL);
    forking->child = fork();
    must(forking->child >= 0);
    if (forking->child == 0) {
        char byte;
        close(forking->ends[1]);
        must(read(forking->ends[0], &byte, 1) == 0);
        _exit(locks_of_open_files());
    }
    post(&meeting.forked);
    return NULL;
}

/*
 * A fork can come right after another thread has opened a directory, and before that thread has
 * registered it as one to be closed in the child.
 */
static void a_fork_while_a_store_is_opened_shares_no_lock(void **state)
{
    struct fixture *f = *state;
    struct forking forking;
    assert_true(locks_of_open_files() > 0);
    assert_int_equal(release_store(f), 0);
    assert_int_equal(locks_of_open_files(), 0);
    make_semaphore(&meeting.opened);
    make_semaphore(&meeting.forked);
    path_of(meeting.directory, f->base, "store");
    assert_int_equal(pipe(forking.ends), 0);
    atomic_store(&meeting.armed, true);
    pthread_t thread = start(fork_while_it_is_opened, &forking);
    f->store = open_again(f);
    assert_false(atomic_load(&meeting.armed));
    join(thread);
    close(forking.ends[1]);
    assert_int_equal(exit_status_of(forking.child), 0);
    close(forking.ends[0]);
}

/* Opens a new store at the same time as others do, and ends with the number of the error. */
static pid_t start_opening(const struct fixture *f, const char *id, const int ends[2])
{
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        char byte;
        kvds_store *store;
        kvds_distributor *own = kvds_distributor_new(f->base);
        close(ends[1]);
        must(read(ends[0], &byte, 1) == 0);
        const kvds_status status = kvds_distributor_get_or_create(own, id, KVDS_DISK, &store);
        if (status != KVDS_OK && status != KVDS_LOCKED)
            fprintf(stderr, "%s\n", kvds_last_error());
        _exit(-status);
    }
    return child;
}

/*
 * Of processes that create the same store at once, one creates the directory, and another may lock
 * it first. The creator once removed the directory again while the other used it.
 */
static void processes_that_create_one_store_at_once_get_it_or_wait(void **state)
{
    struct fixture *f = *state;
    for (size_t round = 0; round < FULL(30, 500); round++) {
        const struct text id = text_of("raced-%zu", round);
        int ends[2], opened = 0, locked = 0;
        pid_t children[4];
        assert_int_equal(pipe(ends), 0);
        for (size_t i = 0; i < COUNT_OF(children); i++)
            children[i] = start_opening(f, id.data, ends);
        close(ends[1]);
        for (size_t i = 0; i < COUNT_OF(children); i++) {
            const int status = exit_status_of(children[i]);
            opened += status == KVDS_OK;
            locked += status == -KVDS_LOCKED;
        }
        close(ends[0]);
        assert_int_equal(opened + locked, COUNT_OF(children));
        assert_true(opened > 0);
    }
}

int main(int count, char **arguments)
{
    if (count == 3)
        return other_process(arguments[1], arguments[2]);
    const struct CMUnitTest tests[] = {
        ON_DISK(another_process_gets_the_store_when_it_is_released),
        ON_DISK(a_held_value_keeps_the_lock),
        ON_DISK(a_killed_process_releases_its_store),
        ON_DISK(reading_the_files_of_the_store_keeps_the_lock),
        ON_DISK(removing_the_lock_file_keeps_the_lock),
        ON_DISK(programs_of_rocksdb_cannot_open_the_store),
        ON_DISK(reading_takes_no_lock),
        ON_DISK(a_child_that_outlives_its_parent_does_not_keep_the_lock),
        ON_DISK(a_child_without_handlers_does_not_keep_the_lock),
        ON_DISK(processes_that_create_one_store_at_once_get_it_or_wait),
        ON_DISK(a_fork_while_a_store_is_opened_shares_no_lock),
    };
    return RUN("store_lock", tests);
}
