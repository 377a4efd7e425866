/* Every option: the values that it takes and refuses, and its effect. */

#include "check.h"

#include <fcntl.h>

/* Wrappers of one type, for a table of setters. */
#define SETTER(option, type) \
    static kvds_status set_##option(kvds_options *options, int64_t number) \
    { \
        return kvds_options_set_##option(options, (type)number); \
    }

SETTER(durability, kvds_durability)
SETTER(block_cache_bytes, uint64_t)
SETTER(write_buffer_bytes, uint64_t)
SETTER(memory_limit_bytes, uint64_t)
SETTER(compression, kvds_compression)
SETTER(read_only, int)
SETTER(create_if_missing, int)
SETTER(keep_stores, int)
SETTER(max_open_files, int64_t)
SETTER(watch_buffer_bytes, uint64_t)
SETTER(cluster_timeout_ms, uint64_t)

/* The limits of options in bytes, from both sides, and texts that are not quite numbers. */
#define FROM_1M_TO_1T \
    "from 1048576 to 1099511627776", \
        { "1048576", "1024K", "1M", "5000000", "3G", "1T", "1099511627776" }, \
    { \
        "", "0", "-1", "1048575", "1023K", "1025G", "1099511627777", "1MB", "1.5M", "M", \
            "8388608T", "twelve" \
    }
#define SWITCH \
    "0 or 1", { "0", "1", "false", "true", "off", "on", "no", "yes" }, \
    { \
        "", "2", "-1", "maybe", "True" \
    }

/* The lists end with NULL. */
static const struct option {
    const char *name;
    kvds_status (*set)(kvds_options *, int64_t);
    const char *allowed, *good[16], *bad[16];
} all[] = {
    { "durability",
      set_durability,
      "process (0), sync (1), none (2)",
      { "process", "sync", "none", "0", "1", "2" },
      { "", "3", "-1", "SYNC", "fast" } },
    { "block_cache_bytes", set_block_cache_bytes, FROM_1M_TO_1T },
    { "write_buffer_bytes", set_write_buffer_bytes, FROM_1M_TO_1T },
    { "memory_limit_bytes",
      set_memory_limit_bytes,
      "from 0 to 9223372036854775807",
      { "0", "1", "64K", "1T", "9223372036854775807" },
      { "", "-1", "9223372036854775808", "8388608T", "1 K", "all" } },
    { "compression",
      set_compression,
      "none (0), lz4 (1), zstd (2)",
      { "none", "lz4", "zstd", "0", "1", "2" },
      { "", "3", "-1", "gzip" } },
    { "read_only", set_read_only, SWITCH },
    { "create_if_missing", set_create_if_missing, SWITCH },
    { "keep_stores", set_keep_stores, SWITCH },
    { "max_open_files",
      set_max_open_files,
      "-1 or a number from 16 to 1048576",
      { "-1", "16", "500", "1048576" },
      { "", "-2", "0", "15", "1048577", "4294967312", "many" } },
    { "watch_buffer_bytes",
      set_watch_buffer_bytes,
      "from 4096 to 1099511627776",
      { "4096", "4K", "8M", "1T", "1099511627776" },
      { "", "0", "-1", "4095", "3K", "1025G", "1099511627777", "8MB", "many" } },
    { "cluster_timeout_ms",
      set_cluster_timeout_ms,
      "milliseconds from 100 to 600000",
      { "100", "10000", "600000", " 5000 " },
      { "", "-1", "0", "99", "600001", "9223372036854775807", "1K", "10s", "0.5" } },
};

/* These take any text. An error in it shows when a distributor or a store is opened. */
static const char *const texts[] = { "cluster",     "cluster_ca",   "cluster_cert",
                                     "cluster_key", "cluster_user", "cluster_password" };

static void check_message(const struct option *option)
{
    assert_error_says(option->name);
    assert_error_says(option->allowed);
}

/* Sets an option by name, and numbers also by the setter. Both must return the same. */
static void set_both_ways(kvds_options *options, const struct option *option, const char *text,
                          kvds_status expected)
{
    assert_returns(expected, kvds_options_set(options, option->name, text));
    if (expected != KVDS_OK)
        check_message(option);
    char *end;
    errno = 0;
    const int64_t number = strtoll(text, &end, 10);
    if (end == text || *end || errno)
        return;
    assert_returns(expected, option->set(options, number));
    if (expected != KVDS_OK)
        check_message(option);
}

static void options_take_only_allowed_values(void **state)
{
    (void)state;
    kvds_options *options = kvds_options_new();
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        for (const char *const *good = all[i].good; *good; good++)
            set_both_ways(options, &all[i], *good, KVDS_OK);
        for (const char *const *bad = all[i].bad; *bad; bad++)
            set_both_ways(options, &all[i], *bad, KVDS_INVALID_ARGUMENT);
        assert_invalid(all[i].set(NULL, 1));
        assert_invalid(kvds_options_set(NULL, all[i].name, all[i].good[0]));
        assert_invalid(kvds_options_set(options, all[i].name, NULL));
        assert_invalid(kvds_options_set(options, all[i].name, "\xFF"));
    }
    assert_invalid(kvds_options_set(options, NULL, "1"));
    static const char *const unknown[] = { "color", "", "READ_ONLY", "read_only " };
    for (size_t i = 0; i < COUNT_OF(unknown); i++) {
        assert_invalid(kvds_options_set(options, unknown[i], "1"));
        for (size_t j = 0; j < COUNT_OF(all); j++)
            assert_error_says(all[j].name);
        for (size_t j = 0; j < COUNT_OF(texts); j++)
            assert_error_says(texts[j]);
    }
    kvds_options_free(options);
    kvds_options_free(NULL);
}

static void options_of_text_take_any_text(void **state)
{
    (void)state;
    kvds_options *options = kvds_options_new();
    static const char *const any[] = { "", " ", "/etc/ssl/ca.pem", "caf\xC3\xA9", "1", "etcd://h" };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (size_t j = 0; j < COUNT_OF(any); j++)
            assert_ok(kvds_options_set(options, texts[i], any[j]));
        assert_invalid(kvds_options_set(NULL, texts[i], ""));
        assert_error_says("kvds_options");
        assert_invalid(kvds_options_set(options, texts[i], NULL));
        assert_invalid(kvds_options_set(options, texts[i], "\xFF"));
        assert_error_says("UTF-8");
    }
    /* NULL is no text; a text that is not UTF-8 is named in the error. */
    assert_ok(kvds_options_set_cluster(options, NULL));
    assert_ok(kvds_options_set_cluster(options, "etcd://localhost"));
    assert_ok(kvds_options_set_cluster_tls(options, "ca.pem", "cert.pem", "key.pem"));
    assert_ok(kvds_options_set_cluster_tls(options, "ca.pem", NULL, NULL));
    assert_ok(kvds_options_set_cluster_tls(options, NULL, NULL, NULL));
    assert_ok(kvds_options_set_cluster_login(options, "user", "password"));
    assert_ok(kvds_options_set_cluster_login(options, NULL, NULL));
    assert_invalid(kvds_options_set_cluster(NULL, "etcd://localhost"));
    assert_invalid(kvds_options_set_cluster_tls(NULL, NULL, NULL, NULL));
    assert_invalid(kvds_options_set_cluster_login(NULL, NULL, NULL));
    assert_invalid(kvds_options_set_cluster(options, "\xFF"));
    assert_error_says("cluster");
    assert_invalid(kvds_options_set_cluster_tls(options, "ca.pem", "\xFF", NULL));
    assert_error_says("cluster_cert");
    assert_invalid(kvds_options_set_cluster_tls(options, NULL, NULL, "\xFF"));
    assert_error_says("cluster_key");
    assert_invalid(kvds_options_set_cluster_login(options, "\xFF", "password"));
    assert_error_says("cluster_user");
    kvds_options_free(options);
}

/* A password must be in no log, and programs log error texts. */
static void no_error_shows_the_password(void **state)
{
    (void)state;
    kvds_options *options = kvds_options_new();
    assert_invalid(kvds_options_set(options, "cluster_password", "hunter2\xFF"));
    assert_null(strstr(kvds_last_error(), "hunter2"));
    assert_invalid(kvds_options_set_cluster_login(options, "user", "hunter2\xFF"));
    assert_null(strstr(kvds_last_error(), "hunter2"));
    assert_invalid(kvds_options_set(options, "cluster_passwort", "hunter2"));
    assert_null(strstr(kvds_last_error(), "hunter2"));
    kvds_options_free(options);
}

/* Without the option "cluster" there is nothing to connect to, and nothing is created. */
static void a_cluster_store_needs_the_option_cluster(void **state)
{
    struct fixture *f = *state;
    kvds_store *store = f->store;
#ifdef KVDS_TEST_NO_CLUSTER
    const kvds_status expected = KVDS_UNSUPPORTED;
#else
    const kvds_status expected = KVDS_INVALID_ARGUMENT;
#endif
    assert_returns(expected,
                   kvds_distributor_get_or_create(f->distributor, "store", KVDS_CLUSTER, &store));
    assert_null(store);
    assert_error_says("cluster");
    assert_error_says("store");
    store = f->store;
    assert_returns(expected, kvds_distributor_get(f->distributor, "store", KVDS_CLUSTER, &store));
    assert_null(store);
    assert_returns(expected, kvds_distributor_evict(f->distributor, "store", KVDS_CLUSTER));
    assert_returns(expected, kvds_distributor_destroy(f->distributor, "store", KVDS_CLUSTER));
    assert_error_says("cluster");
    /* An invalid id is the same error on every backend. */
    assert_invalid(kvds_distributor_get_or_create(f->distributor, "", KVDS_CLUSTER, &store));
    assert_int_equal(kvds_distributor_store_count(f->distributor), 1);
}

#ifndef KVDS_TEST_NO_CLUSTER
/* URLs are logged, so a login in one is refused, and the error repeats nothing of it. */
static void an_invalid_url_is_refused_when_a_distributor_is_opened(void **state)
{
    (void)state;
    static const char *const urls[] = { "localhost:2379", "http://hunter2", "etcd://",
                                        "etcd://user:hunter2@localhost", "etcd://h/a?hunter2" };
    kvds_options *options = kvds_options_new();
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        kvds_distributor *distributor = (kvds_distributor *)options;
        assert_ok(kvds_options_set_cluster(options, urls[i]));
        assert_invalid(kvds_distributor_open(NULL, options, &distributor));
        assert_null(distributor);
        assert_error_says("cluster");
        assert_null(strstr(kvds_last_error(), "hunter2"));
    }
    kvds_options_free(options);
}
#endif

/* Whether a memory store is still live after the program released its reference. */
static bool keeps_stores(kvds_distributor *distributor)
{
    kvds_store_release(open_store(distributor, "kept", KVDS_MEMORY));
    return kvds_distributor_store_count(distributor) == 1;
}

static void options_are_copied(void **state)
{
    (void)state;
    kvds_distributor *first, *second;
    kvds_options *options = kvds_options_new();
    assert_ok(kvds_options_set(options, "keep_stores", "yes"));
    assert_invalid(kvds_options_set(options, "keep_stores", "maybe"));
    assert_invalid(kvds_options_set_keep_stores(options, 2));
    assert_ok(kvds_distributor_open(NULL, options, &first));
    assert_ok(kvds_options_set(options, "keep_stores", "no"));
    assert_ok(kvds_distributor_open(NULL, options, &second));
    kvds_options_free(options);
    assert_true(keeps_stores(first));
    assert_false(keeps_stores(second));
    kvds_distributor_release(first);
    kvds_distributor_release(second);
}

static void nothing_is_created_without_create_if_missing(void **state)
{
    struct fixture *f = *state;
    kvds_store *store = f->store;
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    release_store(f);
    release_distributor(f);
    const size_t entries = entries_in(f->base);

    f->distributor = distributor_with(f->base, "create_if_missing", "0");
    assert_returns(KVDS_NOT_FOUND,
                   kvds_distributor_get_or_create(f->distributor, "other", f->backend, &store));
    assert_null(store);
    assert_int_equal(kvds_distributor_store_count(f->distributor), 0);
    assert_int_equal(entries_in(f->base), entries);
    if (f->backend == KVDS_DISK) {
        f->store = open_again(f);
        assert_true(has(f->store, BYTES("key"), BYTES("value")));
        assert_ok(kvds_set(f->store, BYTES("more"), BYTES("value")));
    } else {
        assert_returns(KVDS_NOT_FOUND, kvds_distributor_get_or_create(f->distributor, "store",
                                                                      KVDS_MEMORY, &store));
    }

    kvds_distributor *nowhere =
        distributor_with(PATH(f->base, "nowhere"), "create_if_missing", "0");
    assert_returns(KVDS_NOT_FOUND,
                   kvds_distributor_get_or_create(nowhere, "store", f->backend, &store));
    assert_false(is_there(PATH(f->base, "nowhere")));
    kvds_distributor_release(nowhere);
}

static void write_pairs(kvds_store *store, size_t count, size_t value_len)
{
    char *value = calloc(1, value_len);
    must(value != NULL);
    for (size_t i = 0; i < count; i++) {
        const struct text key = text_of("%zu", i);
        memcpy(value, key.data, key.len);
        must_ok(kvds_set(store, key.data, key.len, value, value_len));
    }
    free(value);
}

static bool has_pairs(kvds_store *store, size_t count, size_t value_len)
{
    bool all_there = true;
    char *value = calloc(1, value_len);
    must(value != NULL);
    for (size_t i = 0; i < count; i++) {
        const struct text key = text_of("%zu", i);
        memcpy(value, key.data, key.len);
        all_there = all_there && has(store, key.data, key.len, value, value_len);
    }
    free(value);
    return all_there;
}

/* What survives the death of the process: everything, or at "none" what was synced. */
enum { SURVIVING = 100, SURVIVING_LEN = 100 };

static int write_and_leave(const char *base, const char *durability)
{
    kvds_store *store =
        open_store(distributor_with(base, "durability", durability), "left", KVDS_DISK);
    write_pairs(store, SURVIVING, SURVIVING_LEN);
    if (strcmp(durability, "none") == 0)
        must_ok(kvds_sync(store));
    _exit(0);
}

/*
 * Starts this program with `base` and two arguments. `ends` become its standard input and output.
 */
static pid_t start_other(const char *task, const char *base, const char *detail, int ends[2])
{
    int input[2], output[2];
    must(pipe2(input, O_CLOEXEC) == 0 && pipe2(output, O_CLOEXEC) == 0);
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        become_this_program(
            (char *[]){ "options", (char *)task, (char *)base, (char *)detail, NULL });
    }
    close(input[0]);
    close(output[1]);
    ends[0] = input[1];
    ends[1] = output[0];
    return child;
}

static int end_other(pid_t other, const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
    return exit_status_of(other);
}

static void acknowledged_writes_survive_as_the_level_says(void **state)
{
    struct fixture *f = *state;
    static const char *const levels[] = { "process", "sync", "none" };
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        int ends[2];
        kvds_distributor *distributor = distributor_with(f->base, "durability", levels[i]);
        assert_int_equal(end_other(start_other("leave", f->base, levels[i], ends), ends), 0);
        kvds_store *store = open_store(distributor, "left", KVDS_DISK);
        assert_true(has_pairs(store, SURVIVING, SURVIVING_LEN));
        assert_ok(kvds_set(store, BYTES("closed"), levels[i], strlen(levels[i])));
        assert_int_equal(kvds_store_release(store), 0);

        store = open_store(f->distributor, "left", KVDS_DISK);
        assert_true(has(store, BYTES("closed"), levels[i], strlen(levels[i])));
        assert_int_equal(kvds_store_release(store), 0);
        assert_ok(kvds_distributor_destroy_store(f->distributor, "left"));
        kvds_distributor_release(distributor);
    }
}

static uint64_t bytes_on_disk(kvds_store *store)
{
    kvds_stats stats;
    must_ok(kvds_store_stats(store, &stats, sizeof stats));
    return stats.disk_bytes;
}

static void compression_saves_space_and_can_be_changed(void **state)
{
    struct fixture *f = *state;
    static const char *const kinds[] = { "none", "lz4", "zstd" };
    const size_t count = scaled(2000);
    uint64_t sizes[COUNT_OF(kinds)];
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        kvds_distributor *distributor = distributor_with(f->base, "compression", kinds[i]);
        kvds_store *store = open_store(distributor, kinds[i], KVDS_DISK);
        write_pairs(store, count, 4000);
        assert_ok(kvds_compact(store));
        assert_true(has_pairs(store, count, 4000));
        /* Reopening deletes obsolete files. */
        kvds_store_release(store);
        store = open_store(distributor, kinds[i], KVDS_DISK);
        sizes[i] = bytes_on_disk(store);
        kvds_store_release(store);
        kvds_distributor_release(distributor);
    }
    assert_true(sizes[1] < sizes[0]);
    assert_true(sizes[2] < sizes[0]);

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        kvds_distributor *distributor =
            distributor_with(f->base, "compression", kinds[(i + 1) % COUNT_OF(kinds)]);
        kvds_store *store = open_store(distributor, kinds[i], KVDS_DISK);
        assert_true(has_pairs(store, count, 4000));
        assert_ok(kvds_set(store, BYTES("more"), BYTES("value")));
        assert_ok(kvds_compact(store));
        assert_true(has_pairs(store, count, 4000));
        kvds_store_release(store);
        kvds_distributor_release(distributor);
    }
}

static void stores_work_with_the_smallest_limits(void **state)
{
    struct fixture *f = *state;
    static const char *const least[][2] = { { "block_cache_bytes", "1M" },
                                            { "write_buffer_bytes", "1M" },
                                            { "max_open_files", "16" } };
    const size_t count = scaled(2000);
    for (size_t i = 0; i < COUNT_OF(least); i++) {
        kvds_distributor *distributor = distributor_with(f->base, least[i][0], least[i][1]);
        kvds_store *store = open_store(distributor, least[i][0], KVDS_DISK);
        write_pairs(store, count, 4000);
        assert_true(has_pairs(store, count, 4000));
        assert_ok(kvds_compact(store));
        assert_true(has_pairs(store, count, 4000));
        kvds_store_release(store);
        kvds_distributor_release(distributor);
    }
}

int main(int count, char **arguments)
{
    if (count == 4)
        return write_and_leave(arguments[2], arguments[3]);
    const struct CMUnitTest tests[] = {
        ON_MEMORY(options_take_only_allowed_values),
        ON_MEMORY(options_of_text_take_any_text),
        ON_MEMORY(no_error_shows_the_password),
        ON_MEMORY(a_cluster_store_needs_the_option_cluster),
#ifndef KVDS_TEST_NO_CLUSTER
        ON_MEMORY(an_invalid_url_is_refused_when_a_distributor_is_opened),
#endif
        ON_MEMORY(options_are_copied),
        ON_BOTH(nothing_is_created_without_create_if_missing),
        ON_DISK(acknowledged_writes_survive_as_the_level_says),
        ON_DISK(compression_saves_space_and_can_be_changed),
        ON_DISK(stores_work_with_the_smallest_limits),
    };
    return RUN("options", tests);
}
