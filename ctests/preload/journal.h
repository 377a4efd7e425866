/*
 * The journal: what a process did to the files below the directory, in one order, with all bytes
 * that it wrote. A reader can tell what a disk had at any time, and what a power failure at that
 * time could have left.
 *
 * It is a mapped file, so nothing is lost with the process. It begins with its length in use, 8
 * bytes. Then come records: each is a header and its `len` bytes, padded to a multiple of 8.
 *
 * Files and directories are identified by inode. A record is written after its call has succeeded,
 * and before the next call that changes something. A sync has two records: when the second one is
 * there, everything recorded before the first one is durable. The file is not really synced; the
 * call sleeps as long as a sync takes on a good disk.
 *
 * A call that changes files in a way for which there is no record ends the process.
 */

#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdint.h>

/* `a`, `b` and the bytes of each kind of record: */
enum journal_kind {
    JOURNAL_NOTE = 1,    /* bytes: those of preload_note */
    JOURNAL_PAUSE = 2,   /* A thread goes to sleep. a: nanoseconds; bytes: its name */
    JOURNAL_WAKE = 3,    /* It wakes up. bytes: its name */
    JOURNAL_CREATE = 4,  /* a: the new file; b: its directory; bytes: its name */
    JOURNAL_MKDIR = 5,   /* a: the new directory; b: its parent; bytes: its name */
    JOURNAL_LINK = 6,    /* a: the file; b: the directory; bytes: the new name */
    JOURNAL_RENAME = 7,  /* a: the old directory; b: the new one; bytes: old name, 0, new name */
    JOURNAL_REMOVE = 8,  /* b: the directory of the file or directory; bytes: its name */
    JOURNAL_WRITE = 9,   /* a: the file; b: the offset; bytes: those written */
    JOURNAL_RESIZE = 10, /* a: the file; b: its new length */
    JOURNAL_SYNC = 11,   /* A sync begins. a: the file or directory */
    JOURNAL_SYNCED = 12  /* It ends. a: the file or directory; b: the offset of its JOURNAL_SYNC */
};

struct journal_record {
    uint32_t kind;
    uint32_t thread;
    uint64_t time; /* nanoseconds of the monotonic clock */
    uint64_t a, b;
    uint64_t len;
};

#endif
