/*
 * A library between a program and its files. It makes calls fail, and it records in a journal what
 * a disk would have after a power failure. It concerns only files below one directory. A program
 * gets it with LD_PRELOAD or is linked with it; without a directory it does nothing.
 *
 * KVDS_PRELOAD_BELOW=DIR      The directory, see preload_below.
 * KVDS_PRELOAD_JOURNAL=FILE   Where the journal is written (journal.h), outside of the directory.
 *                             The file is complete even if the process is killed.
 */

#ifndef PRELOAD_H
#define PRELOAD_H

#include <stddef.h>

/* Kinds of calls. */
enum {
    PRELOAD_READ = 1,      /* read, pread, readv, fread_unlocked */
    PRELOAD_WRITE = 2,     /* write, pwrite, writev */
    PRELOAD_SYNC = 4,      /* fsync, fdatasync, sync_file_range */
    PRELOAD_OPEN = 8,      /* open and openat without O_CREAT */
    PRELOAD_CREATE = 16,   /* open and openat with O_CREAT, creat, mkdir, link */
    PRELOAD_RENAME = 32,   /* rename; either path can match */
    PRELOAD_REMOVE = 64,   /* unlink, rmdir */
    PRELOAD_RESIZE = 128,  /* ftruncate, fallocate */
    PRELOAD_TORN = 1 << 16 /* With PRELOAD_WRITE: failing writes write their first half. */
};

/* Sets the directory: an absolute path without symbolic links. No file below it may be in use. */
void preload_below(const char *directory);

/*
 * Makes calls of these kinds fail with `error` on files whose path contains `part`. The first
 * `skip` of them succeed, then `count` fail, or all if `count` is 0. Replaces the rule before.
 */
void preload_fail(unsigned calls, const char *part, int error, unsigned long skip,
                  unsigned long count);

/* Ends the rule. */
void preload_heal(void);

/* How many calls have matched the rule, failed ones and others. */
unsigned long preload_seen(void);

/* Writes bytes of the program into the journal. */
void preload_note(const void *bytes, size_t len);

#endif
