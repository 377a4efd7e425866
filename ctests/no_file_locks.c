/* File systems and sandboxes without file locks. */

#include "check.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>

/* The errors of flock and of fcntl locks, or 0. */
static atomic_int flock_fails, fcntl_fails;

/* Replace those of the C library for the program, the library and RocksDB. */
int flock(int file, int operation)
{
    if ((errno = atomic_load(&flock_fails)) != 0)
        return -1;
    return (int)syscall(SYS_flock, file, operation);
}

int fcntl(int file, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if ((command == F_SETLK || command == F_OFD_SETLK) && (errno = atomic_load(&fcntl_fails)) != 0)
        return -1;
    return (int)syscall(SYS_fcntl, file, command, argument);
}

static const int errors[] = { ENOLCK, EOPNOTSUPP, EINVAL, ENOSYS, EBADF, EACCES, EIO };

static void must_fail_without_locks(kvds_status status, const char *directory)
{
    must_return(KVDS_IO, status);
    must(strstr(kvds_last_error(), directory) != NULL);
    must(strstr(kvds_last_error(), "lock") != NULL);
    must(strstr(kvds_last_error(), "another process has") == NULL);
}

/*
 * This once returned KVDS_LOCKED, and a program waited forever for another process to release the
 * store.
 */
static void a_store_that_cannot_be_locked_is_not_touched(void **state)
{
    struct fixture *f = *state;
    char deep[PATH_MAX], missing[PATH_MAX], empty[PATH_MAX], old[PATH_MAX];
    kvds_store *store;
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_int_equal(release_store(f), 0);
    path_of(old, f->base, "store");
    path_of(missing, f->base, "missing");
    assert_int_equal(mkdir(path_of(empty, f->base, "empty"), 0777), 0);
    const size_t files = entries_in(old);
    kvds_distributor *below = kvds_distributor_new(path_of(deep, f->base, "a/b"));

    atomic_int *const calls[] = { &flock_fails, &fcntl_fails };
    for (size_t call = 0; call < COUNT_OF(calls); call++) {
        for (size_t error = 0; error < COUNT_OF(errors); error++) {
            atomic_store(calls[call], errors[error]);
            must_fail_without_locks(
                kvds_distributor_get_or_create(f->distributor, "store", KVDS_DISK, &store), old);
            must_fail_without_locks(kvds_distributor_destroy_store(f->distributor, "store"), old);
            must_fail_without_locks(
                kvds_distributor_get_or_create(f->distributor, "missing", KVDS_DISK, &store),
                missing);
            must_fail_without_locks(
                kvds_distributor_get_or_create(f->distributor, "empty", KVDS_DISK, &store), empty);
            must_fail_without_locks(
                kvds_distributor_get_or_create(below, "store", KVDS_DISK, &store), deep);
            atomic_store(calls[call], 0);
            assert_int_equal(entries_in(old), files);
            assert_int_equal(entries_in(empty), 0);
            assert_false(is_there(missing));
            assert_false(is_there(PATH(f->base, "a")));
        }
    }
    kvds_distributor_release(below);
    f->store = open_again(f);
    assert_true(has(f->store, BYTES("key"), BYTES("value")));
}

/* Readers take no locks. */
static void a_store_that_cannot_be_locked_can_be_read(void **state)
{
    struct fixture *f = *state;
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    atomic_store(&flock_fails, ENOLCK);
    atomic_store(&fcntl_fails, ENOLCK);
    kvds_distributor *readers = distributor_with(f->base, "read_only", "true");
    kvds_store *reader = open_store(readers, "store", KVDS_DISK);
    assert_true(has(reader, BYTES("key"), BYTES("value")));
    kvds_store_release(reader);
    kvds_distributor_release(readers);
    atomic_store(&flock_fails, 0);
    atomic_store(&fcntl_fails, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(a_store_that_cannot_be_locked_is_not_touched),
        ON_DISK(a_store_that_cannot_be_locked_can_be_read),
    };
    return RUN("no_file_locks", tests);
}
