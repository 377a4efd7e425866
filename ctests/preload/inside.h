/* What the parts of the library tell each other. */

#ifndef INSIDE_H
#define INSIDE_H

#include "journal.h"
#include "preload.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden)

/* Says why, and ends the process: a test must not go on with a library that does half of what it should. */
_Noreturn void give_up(const char *why, const char *what);

/* Where a path leads that lies below the directory. */
struct place {
    char path[PATH_MAX];
};

/* paths.c: whether it lies below the directory. `at` as for openat. */
void paths_begin(void);
bool is_below(int at, const char *path, struct place *place);
bool is_file_below(int file, struct place *place);

/* faults.c: whether a call fails. If so, errno is set. */
enum verdict { PASSES, FAILS, FAILS_TORN };
void faults_begin(void);
enum verdict judge(unsigned call, const char *path, const char *other);

/* journal.c: writing records, if there is a journal. */
void journal_begin(void);
bool journal_is_on(void);
/* Held while a call that changes something is made and written down, with journal_put: so the order is the true one. */
void journal_lock(void);
void journal_unlock(void);
uint64_t journal_put(enum journal_kind kind, uint64_t a, uint64_t b, const void *bytes, size_t len);
/* For what needs no lock around it. Returns the place of the record. */
uint64_t journal_add(enum journal_kind kind, uint64_t a, uint64_t b, const void *bytes, size_t len);
/* With the name of the thread as the bytes. */
void journal_add_named(enum journal_kind kind, uint64_t a);

#pragma GCC visibility pop

#endif
