/* A process that has no file descriptors left (EMFILE). */

#include "disk_faults.h"

static void allow_no_descriptors(const char *base)
{
    (void)base;
    set_limit(RLIMIT_NOFILE, 3);
}

static void allow_descriptors(const char *base)
{
    (void)base;
    set_limit(RLIMIT_NOFILE, 1024);
}

static const struct fault table[] = {
    { "no descriptors", allow_no_descriptors, allow_descriptors, FLUSH, KVDS_IO,
      "Too many open files", 0 },
};

int main(int count, char **arguments)
{
    begin_fault_tests(table, COUNT_OF(table), count, arguments);
    const struct CMUnitTest tests[] = { FAULT_TESTS };
    return HAS_DISK ? cmocka_run_group_tests_name("descriptor_limit", tests, NULL, NULL) : 0;
}
