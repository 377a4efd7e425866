/*
 * No room on the disk: it is full, a quota or a limit of file sizes is reached, or only a part of a
 * write fits. A full disk can be emptied through the library.
 */

#include "disk_faults.h"

#include <fcntl.h>
#include <sys/statvfs.h>

static void fill(const char *base)
{
    static const char block[4096];
    const int file = open(PATH(base, "filler"), O_WRONLY | O_CREAT, 0600);
    must(file >= 0);
    while (write(file, block, sizeof block) > 0)
        ;
    must(errno == ENOSPC);
    must(close(file) == 0);
}

static void make_room(const char *base) { must(unlink(PATH(base, "filler")) == 0); }

static void limit_file_size(const char *base)
{
    (void)base;
    set_limit(RLIMIT_FSIZE, 64 << 10);
}

static void allow_any_file_size(const char *base)
{
    (void)base;
    set_limit(RLIMIT_FSIZE, RLIM_INFINITY);
}

static void exceed_quota(const char *base)
{
    (void)base;
    preload_fail(PRELOAD_WRITE, "", EDQUOT, 0, 0);
}

static void tear_writes(const char *base)
{
    (void)base;
    preload_fail(PRELOAD_WRITE | PRELOAD_TORN, ".log", ENOSPC, 0, 0);
}

static const struct fault table[] = {
    { "full disk", fill, make_room, WRITE, KVDS_NO_SPACE, "No space left on device",
      NEEDS_MOUNT | HAS_RESERVE },
    { "file size limit", limit_file_size, allow_any_file_size, WRITE, KVDS_NO_SPACE,
      "File too large", NOT_AT_OPEN },
    { "quota", exceed_quota, stop_failing, WRITE, KVDS_NO_SPACE, "Disk quota exceeded", 0 },
    { "torn writes", tear_writes, stop_failing, WRITE, KVDS_NO_SPACE, "No space left on device",
      LOG_ONLY | NOT_AT_OPEN },
};

/* ------------------------------------------------------- emptying a full disk */

static uint64_t free_on(const char *base)
{
    struct statvfs about;
    must(statvfs(base, &about) == 0);
    return (uint64_t)about.f_bavail * about.f_frsize;
}

/* Keys alternate between the prefixes "0/" and "1/". */
static struct text half_key(size_t number) { return text_of("%zu/%06zu", number % 2, number); }

static kvds_status set_half(kvds_store *store, size_t number)
{
    const struct text key = half_key(number);
    return kvds_set(store, key.data, key.len, value_of(number), VALUE_LEN);
}

/* Sets keys from `from` on until one is refused for lack of room. Returns that one's number. */
static size_t fill_store(kvds_store *store, size_t from)
{
    kvds_status status;
    while ((status = set_half(store, from)) == KVDS_OK)
        from++;
    must_return(KVDS_NO_SPACE, status);
    must(strstr(kvds_last_error(), "No space left on device"));
    return from;
}

static void delete_one_by_one(kvds_store *store, size_t count)
{
    for (size_t i = 0; i < count; i += 2) {
        const struct text key = half_key(i);
        must_ok(kvds_del(store, key.data, key.len));
    }
}

static void delete_by_prefix(kvds_store *store, size_t count)
{
    (void)count;
    must_ok(kvds_delete_prefix(store, BYTES("0/")));
}

/*
 * A store that had filled its disk refused deletions, could not be compacted, and often could not
 * be opened, with 12 of 60 MB free: RocksDB first writes its memtables to new tables, and merges
 * tables, which takes more room. With `filled`, another file takes the rest of the disk.
 */
static void empty_a_full_disk(void (*delete_half)(kvds_store *, size_t), bool reopened, bool filled)
{
    const struct text size = text_of("size=%dm", field_is_full() ? 60 : 24);
    char base[PATH_MAX];
    make_directory(base);
    must(mount("tmpfs", base, "tmpfs", 0, size.data) == 0);
    const uint64_t whole = free_on(base);
    struct ledger ledger = { .durability = KVDS_DURABILITY_PROCESS };
    strcpy(ledger.base, base);
    open_ledger(&ledger);
    size_t count = fill_store(ledger.store, 0);
    /* Writes are not refused too early. */
    must(count * VALUE_LEN > whole / 4);
    if (filled)
        fill(base);
    if (reopened) {
        close_ledger(&ledger);
        open_ledger(&ledger);
    }
    count = fill_store(ledger.store, count);
    delete_half(ledger.store, count);
    must_ok(kvds_compact(ledger.store));
    must_ok(kvds_sync(ledger.store));
    if (filled)
        make_room(base);
    close_ledger(&ledger);
    open_ledger(&ledger);
    must_ok(kvds_compact(ledger.store));
    for (size_t i = 0; i < count; i++) {
        const struct text key = half_key(i);
        must_return(i % 2 ? KVDS_OK : KVDS_NOT_FOUND, kvds_exists(ledger.store, key.data, key.len));
    }
    /* Most of the deleted entries' space is free. */
    must(fill_store(ledger.store, count) - count > count / 4);
    must_ok(kvds_delete_prefix(ledger.store, NULL, 0));
    must_ok(kvds_compact(ledger.store));
    must(free_on(base) > whole / 4 * 3);
    close_ledger(&ledger);
    must(umount(base) == 0);
    remove_directory(base);
}

static void a_full_disk_can_be_emptied(void **state)
{
    (void)state;
    if (!can_mount)
        skip();
    for (int variant = 0; variant < 8; variant++)
        empty_a_full_disk(variant & 1 ? delete_by_prefix : delete_one_by_one, variant & 2,
                          variant & 4);
}

int main(int count, char **arguments)
{
    /* So that writes beyond the limit of file sizes fail with EFBIG. */
    signal(SIGXFSZ, SIG_IGN);
    begin_fault_tests(table, COUNT_OF(table), count, arguments);
    const struct CMUnitTest tests[] = {
        FAULT_TESTS,
        cmocka_unit_test(a_full_disk_can_be_emptied),
    };
    return HAS_DISK ? cmocka_run_group_tests_name("full_disk", tests, NULL, NULL) : 0;
}
