/* A value for which the process gets no memory. */

#include "check.h"

#include <sys/mman.h>
#include <sys/resource.h>

static void limit_address_space(rlim_t limit)
{
    struct rlimit now;
    must(getrlimit(RLIMIT_AS, &now) == 0);
    now.rlim_cur = limit < now.rlim_max ? limit : now.rlim_max;
    must(setrlimit(RLIMIT_AS, &now) == 0);
}

/* Limits the address space to its current size plus `more` bytes. */
static void limit_memory(size_t more)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    must(file && fscanf(file, "%zu", &pages) == 1 && fclose(file) == 0);
    limit_address_space(pages * (size_t)sysconf(_SC_PAGESIZE) + more);
}

static void writes_that_get_no_memory_fail_and_change_nothing(void **state)
{
    struct fixture *f = *state;
    if (getenv("KVDS_TEST_SCALE"))
        skip(); /* Valgrind and sanitizers need memory themselves. */
    enum { BIG = 256 << 20, MORE = 64 << 20 };
    void *big = mmap(NULL, BIG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(big != MAP_FAILED);
    must_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    limit_memory(MORE);
    const kvds_pair pairs[] = { { "a", 1, "1", 1 }, { "key", 3, big, BIG } };
    must_return(KVDS_NO_MEMORY, kvds_set(f->store, BYTES("key"), big, BIG));
    must_return(KVDS_NO_MEMORY, kvds_set_nx(f->store, BYTES("new"), big, BIG));
    must_return(KVDS_NO_MEMORY,
                kvds_compare_and_swap(f->store, BYTES("key"), BYTES("value"), big, BIG));
    must_return(KVDS_NO_MEMORY, kvds_set_batch(f->store, pairs, COUNT_OF(pairs)));
    must(strstr(kvds_last_error(), "memory store \"store\""));
    must(has(f->store, BYTES("key"), BYTES("value")));
    must_return(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("new")));
    must_return(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("a")));
    must_ok(kvds_set(f->store, BYTES("small"), BYTES("value")));
    limit_address_space(RLIM_INFINITY);
    must_ok(kvds_set(f->store, BYTES("key"), big, BIG));
    must(munmap(big, BIG) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MEMORY(writes_that_get_no_memory_fail_and_change_nothing),
    };
    return RUN("out_of_memory", tests);
}
