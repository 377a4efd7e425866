/* The rule that says which calls fail. */

#include "inside.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Atomic unsigned calls_that_fail;
static _Atomic int error_of_calls;
static _Atomic unsigned long skipped, most, seen;
static char part_of_path[NAME_MAX];

void preload_fail(unsigned calls, const char *part, int error, unsigned long skip,
                  unsigned long count)
{
    calls_that_fail = 0;
    error_of_calls = error;
    skipped = skip;
    most = count;
    seen = 0;
    snprintf(part_of_path, sizeof part_of_path, "%s", part);
    /* Last, so that other threads see a complete rule. */
    calls_that_fail = calls;
}

void preload_heal(void) { calls_that_fail = 0; }

unsigned long preload_seen(void) { return seen; }

enum verdict judge(unsigned call, const char *path, const char *other)
{
    unsigned calls = calls_that_fail;
    if ((calls & call) == 0)
        return PASSES;
    if (strstr(path, part_of_path) == NULL &&
        (other == NULL || strstr(other, part_of_path) == NULL))
        return PASSES;
    unsigned long number = seen++;
    if (number < skipped || (most != 0 && number - skipped >= most))
        return PASSES;
    errno = error_of_calls;
    return (calls & PRELOAD_TORN) != 0 ? FAILS_TORN : FAILS;
}
