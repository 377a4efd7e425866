/*
 * The functions that replace those of the C library. Each asks whether it fails, makes the system
 * call, and records it.
 */

#include "inside.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The duration of a recorded sync, in nanoseconds. */
enum { SYNC_TAKES = 300000 };

/* off_t has 64 bits wherever kvds runs, so functions for large files are aliases. */
#define ALSO(name, other) __attribute__((alias(#name))) other

_Noreturn void give_up(const char *why, const char *what)
{
    fprintf(stderr, "preload: %s %s\n", why, what);
    _exit(99);
}

__attribute__((constructor)) static void begin(void)
{
    journal_begin();
    /* Last, so that the files of this library do not count. */
    paths_begin();
}

/* Ends the process if the call changes a file of which the journal keeps all changes. */
static void forbid(int file, const char *call)
{
    struct place place;
    if (journal_is_on() && is_file_below(file, &place))
        give_up(call, "has no record");
}

static uint64_t inode_of(int file)
{
    struct stat about;
    return fstat(file, &about) == 0 ? about.st_ino : 0;
}

static uint64_t inode_at(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0 ? about.st_ino : 0;
}

static const char *name_in(const char *path) { return strrchr(path, '/') + 1; }

static uint64_t inode_above(const char *path)
{
    char above[PATH_MAX];
    snprintf(above, sizeof above, "%.*s", (int)(strrchr(path, '/') - path), path);
    return inode_at(above);
}

static void put_entry(enum journal_kind kind, uint64_t inode, const char *path)
{
    if (journal_is_on())
        journal_put(kind, inode, inode_above(path), name_in(path), strlen(name_in(path)));
}

/* -------------------------------------------------- opening and creating */

static int open_at(int at, const char *path, int flags, mode_t mode)
{
    struct place place;
    if (!is_below(at, path, &place))
        return (int)syscall(SYS_openat, at, path, flags, mode);
    bool creates = (flags & O_CREAT) != 0;
    if (judge(creates ? PRELOAD_CREATE : PRELOAD_OPEN, place.path, NULL) != PASSES)
        return -1;
    if (!journal_is_on())
        return (int)syscall(SYS_openat, at, path, flags, mode);
    journal_lock();
    bool is_there = inode_at(place.path) != 0;
    int file = (int)syscall(SYS_openat, at, path, flags, mode);
    if (file >= 0 && !is_there)
        put_entry(JOURNAL_CREATE, inode_of(file), place.path);
    else if (file >= 0 && (flags & O_TRUNC) != 0)
        journal_put(JOURNAL_RESIZE, inode_of(file), 0, NULL, 0);
    journal_unlock();
    return file;
}

static mode_t mode_of(int flags, va_list arguments)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int at, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return open_at(at, path, flags, mode);
}

int creat(const char *path, mode_t mode)
{
    return open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int ALSO(open, open64)(const char *path, int flags, ...);
int ALSO(openat, openat64)(int at, const char *path, int flags, ...);
int ALSO(creat, creat64)(const char *path, mode_t mode);

static int make_directory_at(int at, const char *path, mode_t mode)
{
    struct place place;
    if (!is_below(at, path, &place))
        return (int)syscall(SYS_mkdirat, at, path, mode);
    if (judge(PRELOAD_CREATE, place.path, NULL) != PASSES)
        return -1;
    journal_lock();
    int result = (int)syscall(SYS_mkdirat, at, path, mode);
    if (result == 0)
        put_entry(JOURNAL_MKDIR, inode_at(place.path), place.path);
    journal_unlock();
    return result;
}

int mkdir(const char *path, mode_t mode) { return make_directory_at(AT_FDCWD, path, mode); }

int mkdirat(int at, const char *path, mode_t mode) { return make_directory_at(at, path, mode); }

/* -------------------------------------------------- names */

int linkat(int at, const char *path, int new_at, const char *new_path, int flags)
{
    struct place place;
    if (!is_below(new_at, new_path, &place))
        return (int)syscall(SYS_linkat, at, path, new_at, new_path, flags);
    if (judge(PRELOAD_CREATE, place.path, NULL) != PASSES)
        return -1;
    journal_lock();
    int result = (int)syscall(SYS_linkat, at, path, new_at, new_path, flags);
    if (result == 0)
        put_entry(JOURNAL_LINK, inode_at(place.path), place.path);
    journal_unlock();
    return result;
}

int link(const char *path, const char *new_path)
{
    return linkat(AT_FDCWD, path, AT_FDCWD, new_path, 0);
}

int symlink(const char *target, const char *path)
{
    struct place place;
    if (journal_is_on() && is_below(AT_FDCWD, path, &place))
        give_up("symlink", "has no record");
    return (int)syscall(SYS_symlinkat, target, AT_FDCWD, path);
}

int renameat2(int at, const char *path, int new_at, const char *new_path, unsigned flags)
{
    struct place from, to;
    bool is_from_below = is_below(at, path, &from), is_to_below = is_below(new_at, new_path, &to);
    if (!is_from_below && !is_to_below)
        return (int)syscall(SYS_renameat2, at, path, new_at, new_path, flags);
    if (judge(PRELOAD_RENAME, from.path, to.path) != PASSES)
        return -1;
    if (journal_is_on() &&
        (!is_from_below || !is_to_below || (flags & ~(unsigned)RENAME_NOREPLACE) != 0))
        give_up("a rename into the directory or out of it, or an exchange,", "has no record");
    journal_lock();
    int result = (int)syscall(SYS_renameat2, at, path, new_at, new_path, flags);
    if (result == 0 && journal_is_on()) {
        char both[2 * NAME_MAX + 2];
        int len = snprintf(both, sizeof both, "%s%c%s", name_in(from.path), '\0', name_in(to.path));
        journal_put(JOURNAL_RENAME, inode_above(from.path), inode_above(to.path), both,
                    (size_t)len);
    }
    journal_unlock();
    return result;
}

int renameat(int at, const char *path, int new_at, const char *new_path)
{
    return renameat2(at, path, new_at, new_path, 0);
}

int rename(const char *path, const char *new_path)
{
    return renameat2(AT_FDCWD, path, AT_FDCWD, new_path, 0);
}

int unlinkat(int at, const char *path, int flags)
{
    struct place place;
    if (!is_below(at, path, &place))
        return (int)syscall(SYS_unlinkat, at, path, flags);
    if (judge(PRELOAD_REMOVE, place.path, NULL) != PASSES)
        return -1;
    journal_lock();
    int result = (int)syscall(SYS_unlinkat, at, path, flags);
    if (result == 0)
        put_entry(JOURNAL_REMOVE, 0, place.path);
    journal_unlock();
    return result;
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

/* -------------------------------------------------- writing */

static ssize_t write_now(int file, const void *bytes, size_t len)
{
    journal_lock();
    ssize_t done = syscall(SYS_write, file, bytes, len);
    if (done > 0 && journal_is_on())
        journal_put(JOURNAL_WRITE, inode_of(file), (uint64_t)(lseek(file, 0, SEEK_CUR) - done),
                    bytes, (size_t)done);
    journal_unlock();
    return done;
}

static ssize_t pwrite_now(int file, const void *bytes, size_t len, off_t offset)
{
    journal_lock();
    ssize_t done = syscall(SYS_pwrite64, file, bytes, len, offset);
    if (done > 0 && journal_is_on())
        journal_put(JOURNAL_WRITE, inode_of(file), (uint64_t)offset, bytes, (size_t)done);
    journal_unlock();
    return done;
}

ssize_t write(int file, const void *bytes, size_t len)
{
    struct place place;
    if (!is_file_below(file, &place))
        return syscall(SYS_write, file, bytes, len);
    enum verdict verdict = judge(PRELOAD_WRITE, place.path, NULL);
    if (verdict == PASSES)
        return write_now(file, bytes, len);
    int error = errno;
    if (verdict == FAILS_TORN)
        write_now(file, bytes, len / 2);
    errno = error;
    return -1;
}

ssize_t pwrite(int file, const void *bytes, size_t len, off_t offset)
{
    struct place place;
    if (!is_file_below(file, &place))
        return syscall(SYS_pwrite64, file, bytes, len, offset);
    enum verdict verdict = judge(PRELOAD_WRITE, place.path, NULL);
    if (verdict == PASSES)
        return pwrite_now(file, bytes, len, offset);
    int error = errno;
    if (verdict == FAILS_TORN)
        pwrite_now(file, bytes, len / 2, offset);
    errno = error;
    return -1;
}

ssize_t ALSO(pwrite, pwrite64)(int file, const void *bytes, size_t len, off64_t offset);

/* Writes the first part only. Callers write the rest after a short write. */
ssize_t writev(int file, const struct iovec *parts, int count)
{
    struct place place;
    if (!is_file_below(file, &place))
        return syscall(SYS_writev, file, parts, count);
    return count > 0 ? write(file, parts[0].iov_base, parts[0].iov_len) : 0;
}

int ftruncate(int file, off_t len)
{
    struct place place;
    if (!is_file_below(file, &place))
        return (int)syscall(SYS_ftruncate, file, len);
    if (judge(PRELOAD_RESIZE, place.path, NULL) != PASSES)
        return -1;
    journal_lock();
    int result = (int)syscall(SYS_ftruncate, file, len);
    if (result == 0 && journal_is_on())
        journal_put(JOURNAL_RESIZE, inode_of(file), (uint64_t)len, NULL, 0);
    journal_unlock();
    return result;
}

int ALSO(ftruncate, ftruncate64)(int file, off64_t len);

/* Space beyond the end of a file has no record, as it changes nothing that can be read. */
int fallocate(int file, int mode, off_t offset, off_t len)
{
    struct place place;
    if (is_file_below(file, &place)) {
        if (judge(PRELOAD_RESIZE, place.path, NULL) != PASSES)
            return -1;
        struct stat about;
        if (journal_is_on() && ((mode & FALLOC_FL_KEEP_SIZE) == 0 ||
                                ((mode & ~FALLOC_FL_KEEP_SIZE) != 0 && fstat(file, &about) == 0 &&
                                 offset < about.st_size)))
            give_up("fallocate that changes a file", "has no record");
    }
    return (int)syscall(SYS_fallocate, file, mode, offset, len);
}

int ALSO(fallocate, fallocate64)(int file, int mode, off64_t offset, off64_t len);

/* -------------------------------------------------- syncing */

static int sync_with(long call, int file)
{
    struct place place;
    if (!is_file_below(file, &place))
        return (int)syscall(call, file);
    if (judge(PRELOAD_SYNC, place.path, NULL) != PASSES)
        return -1;
    if (!journal_is_on())
        return (int)syscall(call, file);
    uint64_t inode = inode_of(file);
    uint64_t beginning = journal_add(JOURNAL_SYNC, inode, 0, NULL, 0);
    struct timespec time = { .tv_sec = 0, .tv_nsec = SYNC_TAKES };
    syscall(SYS_nanosleep, &time, NULL);
    journal_add(JOURNAL_SYNCED, inode, beginning, NULL, 0);
    return 0;
}

int fsync(int file) { return sync_with(SYS_fsync, file); }

int fdatasync(int file) { return sync_with(SYS_fdatasync, file); }

/* It makes no promise for a power failure, so it has no record. */
int sync_file_range(int file, off64_t offset, off64_t len, unsigned flags)
{
    struct place place;
    if (is_file_below(file, &place) && judge(PRELOAD_SYNC, place.path, NULL) != PASSES)
        return -1;
    return (int)syscall(SYS_sync_file_range, file, offset, len, flags);
}

/* -------------------------------------------------- reading */

static bool reading_fails(int file)
{
    struct place place;
    return is_file_below(file, &place) && judge(PRELOAD_READ, place.path, NULL) != PASSES;
}

ssize_t read(int file, void *bytes, size_t len)
{
    return reading_fails(file) ? -1 : syscall(SYS_read, file, bytes, len);
}

ssize_t pread(int file, void *bytes, size_t len, off_t offset)
{
    return reading_fails(file) ? -1 : syscall(SYS_pread64, file, bytes, len, offset);
}

ssize_t ALSO(pread, pread64)(int file, void *bytes, size_t len, off64_t offset);

ssize_t readv(int file, const struct iovec *parts, int count)
{
    return reading_fails(file) ? -1 : syscall(SYS_readv, file, parts, count);
}

/* In parentheses, because it is a macro too. */
size_t(fread_unlocked)(void *bytes, size_t size, size_t count, FILE *file)
{
    static size_t (*next)(void *, size_t, size_t, FILE *);
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "fread_unlocked");
    if (!reading_fails(fileno_unlocked(file)))
        return next(bytes, size, count, file);
    file->_flags |= _IO_ERR_SEEN;
    return 0;
}

/* -------------------------------------------------- sleeping */

static void record_sleep(const struct timespec *time)
{
    journal_add_named(JOURNAL_PAUSE, (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec);
}

/* Records only relative times. */
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
    if (flags == 0)
        record_sleep(time);
    int error = errno;
    int result = syscall(SYS_clock_nanosleep, clock, flags, time, left) == 0 ? 0 : errno;
    errno = error;
    if (flags == 0)
        journal_add_named(JOURNAL_WAKE, 0);
    return result;
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
    record_sleep(time);
    int result = (int)syscall(SYS_nanosleep, time, left);
    journal_add_named(JOURNAL_WAKE, 0);
    return result;
}

/* -------------------------------------------------- changes without a record */

void *mmap(void *address, size_t len, int protection, int flags, int file, off_t offset)
{
    if ((protection & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0)
        forbid(file, "writing through a mapping");
    return (void *)syscall(SYS_mmap, address, len, protection, flags, file, offset);
}

void *ALSO(mmap, mmap64)(void *address, size_t len, int protection, int flags, int file,
                         off64_t offset);

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t len,
                        unsigned flags)
{
    forbid(to, "copy_file_range");
    return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, len, flags);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t len)
{
    forbid(to, "sendfile");
    return syscall(SYS_sendfile, to, from, offset, len);
}

ssize_t ALSO(sendfile, sendfile64)(int to, int from, off64_t *offset, size_t len);

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t offset)
{
    forbid(file, "pwritev");
    return syscall(SYS_pwritev, file, parts, count, offset, 0);
}

ssize_t ALSO(pwritev, pwritev64)(int file, const struct iovec *parts, int count, off64_t offset);
