/* The interfaces between the files of this library. */

#ifndef INSIDE_H
#define INSIDE_H

#include "journal.h"
#include "preload.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

/*
 * Prints why, and ends the process, as a test must not continue with incomplete faults or records.
 */
_Noreturn void give_up(const char *why, const char *what);

struct place {
    char path[PATH_MAX];
};

/* paths.c: whether a file lies below the directory, and its path if so. `at` is as for openat. */
void paths_begin(void);
bool is_below(int at, const char *path, struct place *place);
bool is_file_below(int file, struct place *place);

/* faults.c: whether a call fails, in which case errno is set. */
enum verdict { PASSES, FAILS, FAILS_TORN };
enum verdict judge(unsigned call, const char *path, const char *other);

/* journal.c: adds records, if there is a journal. */
void journal_begin(void);
bool journal_is_on(void);
/*
 * The lock is held over a call and the journal_put for it, so that records have the calls' order.
 */
void journal_lock(void);
void journal_unlock(void);
uint64_t journal_put(enum journal_kind kind, uint64_t a, uint64_t b, const void *bytes, size_t len);
/* Takes the lock itself. Returns the offset of the record. */
uint64_t journal_add(enum journal_kind kind, uint64_t a, uint64_t b, const void *bytes, size_t len);
/* The bytes are the name of the thread. */
void journal_add_named(enum journal_kind kind, uint64_t a);

#pragma GCC visibility pop

#endif
