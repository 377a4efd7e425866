/*
 * Shared by the C tests: a new directory, distributor and store for each test, the table of
 * backends, and checks that print the last error. Include it before other headers.
 */

#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE

#if !__has_include(<cmocka.h>)
#error "The C tests need cmocka: install the package libcmocka-dev."
#endif

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvds.h"

#ifdef KVDS_TEST_NO_DISK
#define HAS_DISK false
#else
#define HAS_DISK true
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* A string literal as pointer and length, without the zero at its end. */
#define BYTES(literal) (literal), (sizeof(literal) - 1)

/* The path of `name` in a directory, as a temporary string. */
#define PATH(directory, name) path_of((char[PATH_MAX]){ 0 }, directory, name)

/* A short text with its length, such as a numbered key. */
struct text {
    char data[64];
    size_t len;
};

__attribute__((format(printf, 1, 2))) static inline struct text text_of(const char *format, ...)
{
    struct text text;
    va_list arguments;
    va_start(arguments, format);
    text.len = (size_t)vsnprintf(text.data, sizeof text.data, format, arguments);
    va_end(arguments);
    return text;
}

/*
 * Scales a count by KVDS_TEST_SCALE, in percent. Under valgrind, everything takes 50 times as long.
 */
static inline size_t scaled(size_t count)
{
    const char *percent = getenv("KVDS_TEST_SCALE");
    size_t few = percent ? count * strtoul(percent, NULL, 10) / 100 : count;
    return few > 0 ? few : 1;
}

/* A size of a test: small where every test runs, full with `make field` (KVDS_FIELD=full). */
#define FULL(small, full) (field_is_full() ? (size_t)(full) : scaled(small))

static inline bool field_is_full(void)
{
    const char *field = getenv("KVDS_FIELD");
    return field && strcmp(field, "full") == 0;
}

/*
 * Checks that abort the program, for callbacks, other threads and forked children. cmocka's checks
 * must not jump out of these.
 */
#define must(condition) \
    ((condition) ? (void)0 : give_up(__FILE__, __LINE__, #condition, "is false"))
#define must_return(status, call) check_or_give_up(status, call, #call, __FILE__, __LINE__)
#define must_ok(call) must_return(KVDS_OK, call)

_Noreturn static inline void give_up(const char *file, int line, const char *what,
                                     const char *fault)
{
    fprintf(stderr, "%s:%d: %s\n%s; kvds_last_error: %s\n", file, line, what, fault,
            kvds_last_error());
    abort();
}

static inline void check_or_give_up(kvds_status expected, kvds_status status, const char *call,
                                    const char *file, int line)
{
    if (status != expected) {
        const struct text fault =
            text_of("returns %s, not %s", kvds_status_name(status), kvds_status_name(expected));
        give_up(file, line, call, fault.data);
    }
}

/* Checks for the thread of the test. */
#define assert_returns(status, call) check_returns(status, call, #call, __FILE__, __LINE__)
#define assert_ok(call) assert_returns(KVDS_OK, call)
#define assert_invalid(call) assert_returns(KVDS_INVALID_ARGUMENT, call)
#define assert_error_says(text) check_error_says(text, __FILE__, __LINE__)

static inline void check_returns(kvds_status expected, kvds_status status, const char *call,
                                 const char *file, int line)
{
    if (status != expected) {
        print_error("%s\nreturns %s, not %s; kvds_last_error: %s\n", call, kvds_status_name(status),
                    kvds_status_name(expected), kvds_last_error());
        _fail(file, line);
    }
}

static inline void check_error_says(const char *text, const char *file, int line)
{
    if (!strstr(kvds_last_error(), text)) {
        print_error("kvds_last_error does not say \"%s\": %s\n", text, kvds_last_error());
        _fail(file, line);
    }
}

/* Whether `key` has this value. */
static inline bool has(kvds_store *store, const void *key, size_t key_len, const void *value,
                       size_t value_len)
{
    kvds_value found;
    bool same = kvds_get(store, key, key_len, &found) == KVDS_OK && found.len == value_len &&
                (value_len == 0 || memcmp(found.data, value, value_len) == 0);
    kvds_value_release(&found);
    return same;
}

static inline int pass_over(void *user_data, const void *key, size_t key_len, const void *value,
                            size_t value_len)
{
    (void)user_data, (void)key, (void)key_len, (void)value, (void)value_len;
    return 1;
}

/* Makes every call that can fail on a store. Each must return `expected`. */
static inline void must_return_everywhere(kvds_status expected, kvds_store *store)
{
    const kvds_pair pair = { "key", 3, "value", 5 };
    const kvds_bytes key = { "key", 3 };
    kvds_value value = { &value, 99, &value };
    size_t len = 99;
    int64_t left;
    kvds_watch *watch = (kvds_watch *)&value;

    must_return(expected, kvds_get(store, "key", 3, &value));
    must(value.data == NULL && value.len == 0 && value.owner == NULL);
    must_return(expected, kvds_get_into(store, "key", 3, NULL, 0, &len));
    must(len == 0);
    must_return(expected, kvds_exists(store, "key", 3));
    must_return(expected, kvds_iterate(store, NULL, 0, pass_over, NULL));
    must_return(expected, kvds_set(store, "key", 3, "value", 5));
    must_return(expected, kvds_del(store, "key", 3));
    must_return(expected, kvds_set_batch(store, &pair, 1));
    must_return(expected, kvds_delete_batch(store, &key, 1));
    must_return(expected, kvds_set_nx(store, "key", 3, "value", 5));
    must_return(expected, kvds_compare_and_swap(store, "key", 3, "value", 5, "other", 5));
    must_return(expected, kvds_set_ttl(store, "key", 3, "value", 5, 1));
    must_return(expected, kvds_set_nx_ttl(store, "key", 3, "value", 5, 1));
    must_return(expected, kvds_expire(store, "key", 3, 1));
    must_return(expected, kvds_ttl(store, "key", 3, &left));
    must_return(expected, kvds_watch_new(store, NULL, &watch));
    must(watch == NULL);
    watch = (kvds_watch *)&value;
    must_return(expected, kvds_watch_from(store, NULL, 0, &watch));
    must(watch == NULL);
    must_return(expected, kvds_close(store));
}

/* Returns a reference to a store, which the caller owns. */
#define open_store(distributor, id, backend) \
    open_store_or_give_up(distributor, id, backend, __FILE__, __LINE__)

static inline kvds_store *open_store_or_give_up(kvds_distributor *distributor, const char *id,
                                                kvds_backend backend, const char *file, int line)
{
    kvds_store *store;
    kvds_status status = kvds_distributor_get_or_create(distributor, id, backend, &store);
    check_or_give_up(KVDS_OK, status, "kvds_distributor_get_or_create", file, line);
    return store;
}

/* Returns a distributor with one option set from text. The caller owns it. */
static inline kvds_distributor *distributor_with(const char *base, const char *option,
                                                 const char *value)
{
    kvds_distributor *distributor;
    kvds_options *options = kvds_options_new();
    must_ok(kvds_options_set(options, option, value));
    must_ok(kvds_distributor_open(base, options, &distributor));
    kvds_options_free(options);
    return distributor;
}

static inline pthread_t start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    must(pthread_create(&thread, NULL, run, argument) == 0);
    return thread;
}

static inline void join(pthread_t thread) { must(pthread_join(thread, NULL) == 0); }

static inline void make_semaphore(sem_t *semaphore) { must(sem_init(semaphore, 0, 0) == 0); }

static inline void post(sem_t *semaphore) { must(sem_post(semaphore) == 0); }

/* Waits for a semaphore, also across signals. */
static inline void await(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0)
        must(errno == EINTR);
}

static inline const char *path_of(char path[PATH_MAX], const char *directory, const char *name)
{
    must(snprintf(path, PATH_MAX, "%s/%s", directory, name) < PATH_MAX);
    return path;
}

static inline bool is_there(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0;
}

static inline size_t entries_in(const char *directory)
{
    DIR *entries = opendir(directory);
    must(entries != NULL);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(entries));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(entries);
    return count;
}

static inline void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    must(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static inline int remove_entry(const char *path, const struct stat *about, int kind,
                               struct FTW *place)
{
    (void)about, (void)kind, (void)place;
    return remove(path);
}

static inline void make_directory(char path[PATH_MAX])
{
    const char *parent = getenv("TMPDIR");
    path_of(path, parent && *parent ? parent : "/tmp", "kvds-XXXXXX");
    must(mkdtemp(path) != NULL);
}

static inline void remove_directory(const char *path)
{
    must(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

/* Executes this program again. Under valgrind, /proc/self/exe is correct only through readlink. */
_Noreturn static inline void become_this_program(char *const arguments[])
{
    char program[PATH_MAX] = "";
    if (readlink("/proc/self/exe", program, sizeof program - 1) > 0)
        execv(program, arguments);
    _exit(127);
}

/*
 * Waits for a child. Returns its exit status, or 128 plus the number of the signal that ended it.
 */
static inline int exit_status_of(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) != child)
        must(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The state before each test. A test may release or replace the store and the distributor. */
struct fixture {
    kvds_backend backend;
    char base[PATH_MAX];
    kvds_distributor *distributor;
    kvds_store *store;
};

/* Gets the fixture's store by its name: the live one, or a new one. */
#define open_again(fixture) open_store((fixture)->distributor, "store", (fixture)->backend)

static inline int64_t release_store(struct fixture *f)
{
    kvds_store *store = f->store;
    f->store = NULL;
    return kvds_store_release(store);
}

static inline int64_t release_distributor(struct fixture *f)
{
    kvds_distributor *distributor = f->distributor;
    f->distributor = NULL;
    return kvds_distributor_release(distributor);
}

static inline int set_up(void **state)
{
    static struct fixture fixture;
    fixture.backend = *(const kvds_backend *)*state;
    make_directory(fixture.base);
    fixture.distributor = kvds_distributor_new(fixture.base);
    must(fixture.distributor != NULL);
    fixture.store = open_again(&fixture);
    *state = &fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;
    release_store(fixture);
    release_distributor(fixture);
    remove_directory(fixture->base);
    return 0;
}

/*
 * The table of backends. A program lists each test with one of these macros. Tests that do not
 * depend on the backend use memory. A build without disk stores skips the tests on disk.
 */
static kvds_backend backends[] = { KVDS_MEMORY, KVDS_DISK };

/* Versions of clang-format differ on such macros. */
/* clang-format off */
#define ON(backend, name, test) { #test " (" name ")", test, set_up, tear_down, &backends[backend] }
/* clang-format on */
#define ON_MEMORY(test) ON(KVDS_MEMORY, "memory", test)
#define ON_DISK(test) ON(KVDS_DISK, "disk", test)
#define ON_BOTH(test) ON_MEMORY(test), ON_DISK(test)

#define RUN(name, tests) run_group(name, tests, COUNT_OF(tests))

static inline int run_group(const char *name, const struct CMUnitTest *tests, size_t count)
{
    struct CMUnitTest possible[64];
    size_t kept = 0;
    must(count <= COUNT_OF(possible));
    for (size_t i = 0; i < count; i++)
        if (HAS_DISK || tests[i].initial_state != &backends[KVDS_DISK])
            possible[kept++] = tests[i];
    return _cmocka_run_group_tests(name, possible, kept, NULL, NULL);
}

#endif
