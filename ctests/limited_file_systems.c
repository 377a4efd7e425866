/* File systems that lack hard links or syncs of directories: FAT, CIFS, and many of FUSE. */

#include "check.h"

#include <fcntl.h>
#include <sys/syscall.h>

static atomic_bool links_are_refused, directories_are_not_synced;

/* Replace those of the C library for the program, the library and RocksDB. */
int link(const char *path, const char *new_path)
{
    if (atomic_load(&links_are_refused)) {
        errno = EPERM;
        return -1;
    }
    return (int)syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, new_path, 0);
}

static int sync_with(long call, int file)
{
    struct stat about;
    if (atomic_load(&directories_are_not_synced) && fstat(file, &about) == 0 &&
        S_ISDIR(about.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    return (int)syscall(call, file);
}

int fsync(int file) { return sync_with(SYS_fsync, file); }

int fdatasync(int file) { return sync_with(SYS_fdatasync, file); }

/* Writes a table and a log, so that a copy has both. */
static void fill(kvds_store *store)
{
    for (int i = 0; i < 100; i++) {
        const struct text key = text_of("key-%d", i);
        must_ok(kvds_set(store, key.data, key.len, key.data, key.len));
        if (i == 50)
            must_ok(kvds_compact(store));
    }
}

static void check_filled(kvds_store *store)
{
    for (int i = 0; i < 100; i++) {
        const struct text key = text_of("key-%d", i);
        must(has(store, key.data, key.len, key.data, key.len));
    }
}

/* Without hard links a copy is read and written, as the header says. */
static void a_copy_needs_no_hard_links(void **state)
{
    struct fixture *f = *state;
    fill(f->store);
    atomic_store(&links_are_refused, true);
    kvds_status status = kvds_checkpoint(f->store, PATH(f->base, "copy"));
    atomic_store(&links_are_refused, false);
    assert_returns(KVDS_OK, status);
    kvds_store *copy = open_store(f->distributor, "copy", KVDS_DISK);
    check_filled(copy);
    kvds_store_release(copy);
}

/* How many messages say that the directory of a store cannot be synced. */
struct lines {
    const char *directory;
    atomic_int count;
};

static void count_lines(void *user_data, kvds_log_level level, const char *text)
{
    struct lines *lines = user_data;
    if (level == KVDS_LOG_WARN && strstr(text, "cannot sync directories") &&
        strstr(text, lines->directory))
        atomic_fetch_add(&lines->count, 1);
}

/* Stores work, as in SQLite. The log gets one message per store. */
static void stores_work_without_syncs_of_directories(void **state)
{
    struct fixture *f = *state;
    char directory[PATH_MAX];
    struct lines lines = { .directory = path_of(directory, f->base, "unsynced") };
    atomic_store(&directories_are_not_synced, true);
    assert_ok(kvds_set_log_callback(KVDS_LOG_WARN, count_lines, &lines));
    for (int times = 0; times < 2; times++) {
        kvds_store *store = open_store(f->distributor, "unsynced", KVDS_DISK);
        fill(store);
        must_ok(kvds_sync(store));
        assert_ok(kvds_checkpoint(store, PATH(f->base, times == 0 ? "copy 0" : "copy 1")));
        check_filled(store);
        kvds_store_release(store);
    }
    /* Messages come in order, so all others have come before this one. */
    for (int waits = 0; waits < 30000 && atomic_load(&lines.count) == 0; waits++)
        usleep(1000);
    assert_ok(kvds_distributor_destroy_store(f->distributor, "unsynced"));
    assert_ok(kvds_set_log_callback(KVDS_LOG_WARN, NULL, NULL));
    atomic_store(&directories_are_not_synced, false);
    assert_int_equal(atomic_load(&lines.count), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(a_copy_needs_no_hard_links),
        ON_DISK(stores_work_without_syncs_of_directories),
    };
    return RUN("limited_file_systems", tests);
}
