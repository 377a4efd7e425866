/* Writes the journal. */

#include "inside.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* More than a test writes. The file is sparse. */
static const uint64_t CAPACITY = UINT64_C(4) << 30;

static _Atomic uint64_t *written;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void journal_begin(void)
{
    const char *path = getenv("KVDS_PRELOAD_JOURNAL");
    if (path == NULL)
        return;
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || ftruncate(file, (off_t)CAPACITY) != 0)
        give_up("cannot make the journal", path);
    void *map = mmap(NULL, CAPACITY, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED)
        give_up("cannot map the journal", path);
    close(file);
    written = map;
    *written = sizeof *written;
}

bool journal_is_on(void) { return written != NULL; }

void journal_lock(void)
{
    if (written != NULL)
        pthread_mutex_lock(&lock);
}

void journal_unlock(void)
{
    if (written != NULL)
        pthread_mutex_unlock(&lock);
}

uint64_t journal_put(enum journal_kind kind, uint64_t a, uint64_t b, const void *bytes, size_t len)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct journal_record record = {
        .kind = kind,
        .thread = (uint32_t)syscall(SYS_gettid),
        .time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
        .a = a,
        .b = b,
        .len = len,
    };
    uint64_t place = *written;
    if (len > CAPACITY - place - 2 * sizeof record)
        give_up("the journal is full", "");
    char *to = (char *)written + place;
    memcpy(to, &record, sizeof record);
    if (len != 0)
        memcpy(to + sizeof record, bytes, len);
    /* Last, so that a killed process leaves only complete records. */
    *written = place + sizeof record + (len + 7) / 8 * 8;
    return place;
}

uint64_t journal_add(enum journal_kind kind, uint64_t a, uint64_t b, const void *bytes, size_t len)
{
    if (written == NULL)
        return 0;
    int error = errno;
    journal_lock();
    uint64_t place = journal_put(kind, a, b, bytes, len);
    journal_unlock();
    errno = error;
    return place;
}

void journal_add_named(enum journal_kind kind, uint64_t a)
{
    char name[17] = "";
    if (written != NULL && prctl(PR_GET_NAME, name) == 0)
        journal_add(kind, a, 0, name, strlen(name));
}

void preload_note(const void *bytes, size_t len) { journal_add(JOURNAL_NOTE, 0, 0, bytes, len); }
