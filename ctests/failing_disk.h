/*
 * A disk that is made to fail: the functions of the C library that write, sync and open, in front
 * of those of the system for the program that includes this, the library and RocksDB. For one
 * source file of a program.
 */

#ifndef FAILING_DISK_H
#define FAILING_DISK_H

#include "check.h"

#include <fcntl.h>
#include <sys/syscall.h>

enum call { NO_CALL = 0, OPEN = 1, WRITE = 2, SYNC = 4 };

/* Which calls fail, and how, on files in the directory `base` whose names contain `file`. */
static struct {
    atomic_int calls;
    int error;
    char base[PATH_MAX];
    const char *file;
    /* How often, or -1 for always. */
    atomic_int left;
    /* Of what is to be written, a part is. */
    bool torn;
} disk;

static bool fails(enum call call, const char *path)
{
    if (!(atomic_load(&disk.calls) & call))
        return false;
    const size_t len = strlen(disk.base);
    if (strncmp(path, disk.base, len) != 0 || !strstr(path + len, disk.file))
        return false;
    if (atomic_load(&disk.left) >= 0 && atomic_fetch_sub(&disk.left, 1) <= 0) {
        atomic_store(&disk.calls, NO_CALL);
        return false;
    }
    errno = disk.error;
    return true;
}

static bool fails_on(enum call call, int file)
{
    if (!(atomic_load(&disk.calls) & call))
        return false;
    char path[PATH_MAX] = "";
    const struct text link = text_of("/proc/self/fd/%d", file);
    return readlink(link.data, path, sizeof path - 1) > 0 && fails(call, path);
}

static void break_disk(const char *base, int calls, int error, const char *file)
{
    path_of(disk.base, base, "");
    disk.error = error;
    disk.file = file;
    disk.left = -1;
    disk.torn = false;
    atomic_store(&disk.calls, calls);
}

static void mend_disk(const char *base)
{
    (void)base;
    atomic_store(&disk.calls, NO_CALL);
}

ssize_t write(int file, const void *bytes, size_t len)
{
    if (fails_on(WRITE, file)) {
        const int error = errno;
        if (disk.torn)
            must(syscall(SYS_write, file, bytes, len / 2) >= 0);
        errno = error;
        return -1;
    }
    return (ssize_t)syscall(SYS_write, file, bytes, len);
}

int fdatasync(int file) { return fails_on(SYNC, file) ? -1 : (int)syscall(SYS_fdatasync, file); }

int fsync(int file) { return fails_on(SYNC, file) ? -1 : (int)syscall(SYS_fsync, file); }

static int open_for(const char *path, int flags, mode_t mode)
{
    return (flags & (O_WRONLY | O_RDWR)) && fails(OPEN, path)
               ? -1
               : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
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

#endif
