/*
 * The journal: what a process did to the files below the directory, in one order, with all bytes
 * that it wrote. Whoever reads it can say what a disk had at any moment of it, and what a power cut
 * at that moment may have left.
 *
 * It is a file that is mapped, so nothing is lost with the process. First comes how much of it is
 * written, 8 bytes; then records, each a struct journal_record and `len` bytes that belong to it,
 * padded to a multiple of 8.
 *
 * Files and directories are told by their inode. A record is made when its call has succeeded, and
 * before the next call that changes something begins. A sync has two records: what was written down
 * before the first one is covered when the second one is there. The file is not really synced then,
 * as the journal says what a disk would have; the call takes as long as on a good disk.
 *
 * With a journal, a call that changes files in a way for which there is no record ends the process.
 */

#ifndef JOURNAL_H
#define JOURNAL_H

#include <stdint.h>

enum journal_kind {
    JOURNAL_NOTE = 1, /* bytes: what preload_note was given */
    JOURNAL_PAUSE =
        2, /* a thread goes to sleep; a: for how many nanoseconds; bytes: the thread's name */
    JOURNAL_WAKE = 3,   /* it goes on; bytes: the thread's name */
    JOURNAL_CREATE = 4, /* a new file; a: the file, b: its directory; bytes: its name */
    JOURNAL_MKDIR = 5,  /* a new directory; a: itself, b: the one above; bytes: its name */
    JOURNAL_LINK = 6,   /* a new name of a file; a: the file, b: the directory; bytes: the name */
    JOURNAL_RENAME =
        7, /* a: the old directory, b: the new one; bytes: the old name, 0, the new name */
    JOURNAL_REMOVE = 8,  /* of a file or a directory; b: the one it was in; bytes: its name */
    JOURNAL_WRITE = 9,   /* a: the file, b: where; bytes: what */
    JOURNAL_RESIZE = 10, /* a: the file, b: its length from now on */
    JOURNAL_SYNC = 11,   /* a sync begins; a: the file or directory */
    JOURNAL_SYNCED =
        12 /* it has ended; a: the file or directory, b: the place of the record of its beginning */
};

struct journal_record {
    uint32_t kind;
    uint32_t thread; /* who did it */
    uint64_t time;   /* nanoseconds of the monotonic clock */
    uint64_t a, b;
    uint64_t len;
};

#endif
