/*
 * A library to put between a program and its files, with LD_PRELOAD. It makes calls fail, and it
 * writes down what a power cut would leave. Only files below one directory are concerned; without
 * KVDS_PRELOAD_BELOW it does nothing.
 *
 * KVDS_PRELOAD_BELOW=DIR      The directory: absolute, and without symbolic links on the way.
 * KVDS_PRELOAD_FAIL=RULE      The rule to begin with: "CALLS PART ERROR SKIP COUNT", see
 * preload_fail. CALLS are names joined
 *                               by +, PART is a word, the others are numbers: "write+sync .log 5 10 0".
 * KVDS_PRELOAD_CONTROL=FILE   Where the rule is kept (struct preload_rule, made if it is not
 * there), so that other processes
 *                               can map it, to make and end failures from outside. Else it is in the memory of the process.
 * KVDS_PRELOAD_JOURNAL=FILE   Writes down what is done to the files: see journal.h. It lies outside
 * of the directory, and
 *                               is there, complete, also when the process was killed at any moment.
 *
 * A program can call the functions below too: it declares them weak, or asks dlsym(RTLD_DEFAULT,
 * ...) for them, as they are there only with the library.
 */

#ifndef PRELOAD_H
#define PRELOAD_H

#include <stdatomic.h>
#include <stddef.h>

/* Kinds of calls. Their names in a rule are the words in lower case. */
enum {
    PRELOAD_READ = 1,  /* read, pread, readv, fread_unlocked */
    PRELOAD_WRITE = 2, /* write, pwrite, writev */
    PRELOAD_SYNC = 4, /* fsync, fdatasync; sync_file_range too, of which RocksDB heeds the answer */
    PRELOAD_OPEN = 8, /* open and openat of what is there */
    PRELOAD_CREATE = 16,  /* open and openat with O_CREAT, creat, mkdir, link */
    PRELOAD_RENAME = 32,  /* rename; the rule's PART may be in the old path or in the new one */
    PRELOAD_REMOVE = 64,  /* unlink, rmdir */
    PRELOAD_RESIZE = 128, /* ftruncate, fallocate */
    PRELOAD_TORN =
        1
        << 16 /* Not a kind: a write that fails writes the first half before it does, as on a full disk. */
};

/* Which calls fail. Calls of other kinds and on other paths do not count. */
struct preload_rule {
    _Atomic unsigned calls;       /* The kinds, or 0 when nothing fails. Set last. */
    _Atomic int error;            /* What errno says, EIO or ENOSPC for example. */
    _Atomic unsigned long skip;   /* So many calls still succeed. */
    _Atomic unsigned long count;  /* Then so many fail; 0: all, until the rule is ended. */
    _Atomic unsigned long seen;   /* How many calls there were under this rule, ... */
    _Atomic unsigned long failed; /* ... and how many of them were made to fail. */
    char part[208];               /* What the path of the file contains; "" or "*": any. */
};

/* Makes a rule, in place of the one before. */
void preload_fail(unsigned calls, const char *part, int error, unsigned long skip,
                  unsigned long count);

/* Ends it: nothing fails from now on. What it has counted stays to be read. */
void preload_heal(void);

unsigned long preload_seen(void);
unsigned long preload_failed(void);

/* Writes bytes of the program's own into the journal, between what it does to its files. */
void preload_note(const void *bytes, size_t len);

#endif
