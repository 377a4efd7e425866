/* Which calls fail: the rule, and the question that every call asks. */

#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct preload_rule own;
static struct preload_rule *rule = &own;

static const struct {
    const char *name;
    unsigned call;
} names[] = {
    { "read", PRELOAD_READ },     { "write", PRELOAD_WRITE },   { "sync", PRELOAD_SYNC },
    { "open", PRELOAD_OPEN },     { "create", PRELOAD_CREATE }, { "rename", PRELOAD_RENAME },
    { "remove", PRELOAD_REMOVE }, { "resize", PRELOAD_RESIZE }, { "torn", PRELOAD_TORN },
};

static unsigned calls_named(char *list)
{
    unsigned calls = 0;
    for (char *rest = list, *word; (word = strtok_r(rest, "+", &rest)) != NULL;) {
        unsigned found = 0;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (strcmp(names[i].name, word) == 0)
                found = names[i].call;
        if (found == 0)
            give_up("there is no kind of call of the name in KVDS_PRELOAD_FAIL:", word);
        calls |= found;
    }
    return calls;
}

void faults_begin(void)
{
    const char *control = getenv("KVDS_PRELOAD_CONTROL");
    if (control != NULL) {
        int file = open(control, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (file < 0 || ftruncate(file, sizeof own) != 0)
            give_up("cannot make", control);
        rule = mmap(NULL, sizeof own, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (rule == MAP_FAILED)
            give_up("cannot map", control);
        close(file);
    }
    const char *text = getenv("KVDS_PRELOAD_FAIL");
    if (text != NULL) {
        char calls[64], part[sizeof own.part];
        int error;
        unsigned long skip, count;
        if (sscanf(text, "%63s %207s %d %lu %lu", calls, part, &error, &skip, &count) != 5)
            give_up("KVDS_PRELOAD_FAIL is no rule:", text);
        preload_fail(calls_named(calls), part, error, skip, count);
    }
}

void preload_fail(unsigned calls, const char *part, int error, unsigned long skip,
                  unsigned long count)
{
    rule->calls = 0;
    rule->error = error;
    rule->skip = skip;
    rule->count = count;
    rule->seen = 0;
    rule->failed = 0;
    snprintf(rule->part, sizeof rule->part, "%s", strcmp(part, "*") == 0 ? "" : part);
    rule->calls = calls;
}

void preload_heal(void) { rule->calls = 0; }

unsigned long preload_seen(void) { return rule->seen; }

unsigned long preload_failed(void) { return rule->failed; }

enum verdict judge(unsigned call, const char *path, const char *other)
{
    unsigned calls = rule->calls;
    if ((calls & call) == 0)
        return PASSES;
    if (strstr(path, rule->part) == NULL && (other == NULL || strstr(other, rule->part) == NULL))
        return PASSES;
    unsigned long number = rule->seen++;
    if (number < rule->skip || (rule->count != 0 && number - rule->skip >= rule->count))
        return PASSES;
    rule->failed++;
    errno = rule->error;
    return (calls & PRELOAD_TORN) != 0 ? FAILS_TORN : FAILS;
}
