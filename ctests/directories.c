/* Ids, base paths and the directories of stores. */

#include "check.h"

static void ids_name_directories(void **state)
{
    static const struct {
        const char *id, *directory;
    } names[] = {
        { "plain-Name_1.0", "plain-Name_1.0" },
        { "a/b", "a%2Fb" },
        { "../up", "..%2Fup" },
        { ".", "%2E" },
        { "..", "%2E%2E" },
        { "...", "..." },
        { "two words", "two%20words" },
        { "%2E", "%252E" },
        { "\xC3\xA9", "%C3%A9" },
        { "\xF0\x9F\x97\x9D", "%F0%9F%97%9D" },
        { "line\n", "line%0A" },
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        kvds_store *store = open_store(f->distributor, names[i].id, f->backend);
        assert_string_equal(kvds_store_id(store), names[i].id);
        assert_ok(kvds_set(store, BYTES("id"), names[i].id, strlen(names[i].id)));
        kvds_store_release(store);
    }
    if (f->backend == KVDS_DISK) {
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            assert_true(is_there(PATH(f->base, names[i].directory)));
            kvds_store *store = open_store(f->distributor, names[i].id, f->backend);
            assert_true(has(store, BYTES("id"), names[i].id, strlen(names[i].id)));
            kvds_store_release(store);
        }
    }
    /* One per id and one for the fixture's store. A memory store creates none. */
    assert_int_equal(entries_in(f->base), f->backend == KVDS_DISK ? COUNT_OF(names) + 1 : 0);
}

static void names_have_255_bytes_at_most(void **state)
{
    struct fixture *f = *state;
    static const struct {
        char byte;
        size_t len;
        kvds_status status;
    } ids[] = {
        { 'a', 255, KVDS_OK },
        { 'a', 256, KVDS_INVALID_ARGUMENT },
        { '/', 85, KVDS_OK },
        { '/', 86, KVDS_INVALID_ARGUMENT },
        { 'a', 0, KVDS_INVALID_ARGUMENT },
    };
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        char id[257] = "";
        memset(id, ids[i].byte, ids[i].len);
        kvds_store *store = f->store;
        assert_returns(ids[i].status,
                       kvds_distributor_get_or_create(f->distributor, id, f->backend, &store));
        assert_int_equal(store != NULL, ids[i].status == KVDS_OK);
        kvds_store_release(store);
        if (ids[i].status != KVDS_OK) {
            assert_invalid(kvds_distributor_get(f->distributor, id, f->backend, &store));
            assert_invalid(kvds_distributor_evict(f->distributor, id, f->backend));
        }
    }
}

/*
 * A memory store has no directory, so its id has no limits of file systems. Programs use binary
 * hashes, Latin-1 and long texts as ids.
 */
static void ids_of_memory_stores_are_any_bytes(void **state)
{
    struct fixture *f = *state;
    static char longest[65536 + 1], too_long[65537 + 1], all[256];
    memset(longest, '/', 65536);
    memset(too_long, '/', 65537);
    for (int byte = 1; byte < 256; byte++)
        all[byte - 1] = (char)byte;
    const char *ids[] = { longest, all, "\xFF", "caf\xE9", "\xC3", "a/b", ".", "..", "a" };
    kvds_store *stores[COUNT_OF(ids)];
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        stores[i] = open_store(f->distributor, ids[i], KVDS_MEMORY);
        assert_string_equal(kvds_store_id(stores[i]), ids[i]);
        assert_ok(kvds_set(stores[i], BYTES("key"), &i, sizeof i));
    }
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        kvds_store *again;
        assert_ok(kvds_distributor_get(f->distributor, ids[i], KVDS_MEMORY, &again));
        assert_ptr_equal(again, stores[i]);
        assert_true(has(again, BYTES("key"), &i, sizeof i));
        kvds_store_release(again);
        kvds_store_release(stores[i]);
        assert_returns(KVDS_NOT_FOUND, kvds_distributor_evict(f->distributor, ids[i], KVDS_MEMORY));
    }
    const char *refused[] = { "", too_long };
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        kvds_store *store = f->store;
        assert_invalid(
            kvds_distributor_get_or_create(f->distributor, refused[i], KVDS_MEMORY, &store));
        assert_null(store);
        assert_error_says("the id");
        assert_true(strlen(kvds_last_error()) < 1000);
        assert_invalid(kvds_distributor_get(f->distributor, refused[i], KVDS_MEMORY, &store));
        assert_invalid(kvds_distributor_evict(f->distributor, refused[i], KVDS_MEMORY));
    }
}

static void missing_base_directories_are_created(void **state)
{
    struct fixture *f = *state;
    kvds_distributor *deep = kvds_distributor_new(PATH(f->base, "not/there/yet"));
    assert_non_null(deep);
    kvds_store_release(open_store(deep, "store", KVDS_MEMORY));
    assert_false(is_there(PATH(f->base, "not")));
    kvds_store_release(open_store(deep, "store", KVDS_DISK));
    assert_true(is_there(PATH(f->base, "not/there/yet/store")));
    kvds_distributor_release(deep);
}

static void a_relative_base_path_is_resolved_at_the_call(void **state)
{
    struct fixture *f = *state;
    char before[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(f->base), 0);
    kvds_distributor *relative = kvds_distributor_new("relative");
    assert_int_equal(chdir(before), 0);

    kvds_store_release(open_store(relative, "there", KVDS_DISK));
    assert_true(is_there(PATH(f->base, "relative/there")));
    kvds_distributor_release(relative);
}

static void without_a_base_path_there_are_memory_stores_only(void **state)
{
    struct fixture *f = *state;
    const char *none[] = { NULL, "" };
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        kvds_distributor *distributor = kvds_distributor_new(none[i]);
        assert_non_null(distributor);
        kvds_store *store = f->store;
        assert_invalid(kvds_distributor_get_or_create(distributor, "store", KVDS_DISK, &store));
        assert_null(store);
        assert_error_says("base path");
        assert_invalid(kvds_distributor_get(distributor, "store", KVDS_DISK, &store));
        assert_invalid(kvds_distributor_evict(distributor, "store", KVDS_DISK));
        assert_invalid(kvds_distributor_destroy_store(distributor, "store"));
        kvds_store_release(open_store(distributor, "store", KVDS_MEMORY));
        kvds_distributor_release(distributor);
    }
}

static void one_distributor_has_a_directory(void **state)
{
    struct fixture *f = *state;
    const char *name = strrchr(f->base, '/') + 1;
    const char *same[] = { f->base, PATH(f->base, "./"), PATH(PATH(f->base, ".."), name),
                           PATH(f->base, "link") };
    assert_int_equal(symlink(f->base, PATH(f->base, "link")), 0);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        kvds_distributor *other = kvds_distributor_new(same[i]);
        kvds_store *store = f->store;
        assert_returns(KVDS_LOCKED,
                       kvds_distributor_get_or_create(other, "store", KVDS_DISK, &store));
        assert_null(store);
        assert_error_says(name);
        assert_error_says("/store");
        assert_returns(KVDS_LOCKED, kvds_distributor_destroy_store(other, "store"));
        assert_int_equal(kvds_distributor_store_count(other), 0);

        /* A directory that no store has open can be opened by every path to it. */
        release_store(f);
        store = open_store(other, "store", KVDS_DISK);
        assert_true(has(store, BYTES("key"), BYTES("value")));
        kvds_store_release(store);
        kvds_distributor_release(other);
        f->store = open_again(f);
    }
}

static void a_failed_creation_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    char file[PATH_MAX];
    path_of(file, f->base, "file");
    write_file(file, "a regular file");
    size_t before = entries_in(f->base);

    const char *bases[] = { file, PATH(file, "below"), f->base };
    for (size_t i = 0; i < COUNT_OF(bases); i++) {
        kvds_distributor *distributor = kvds_distributor_new(bases[i]);
        kvds_store *store = f->store;
        /* The second attempt fails in the same way: the registry kept nothing of the first. */
        for (int times = 0; times < 2; times++) {
            assert_returns(KVDS_IO,
                           kvds_distributor_get_or_create(distributor, "file", KVDS_DISK, &store));
            assert_null(store);
            assert_error_says(file);
        }
        assert_int_equal(kvds_distributor_store_count(distributor), 0);
        assert_returns(KVDS_NOT_FOUND,
                       kvds_distributor_get(distributor, "file", KVDS_DISK, &store));
        kvds_distributor_release(distributor);
    }
    assert_int_equal(entries_in(f->base), before);

    char text[32] = "";
    FILE *unchanged = fopen(file, "r");
    assert_non_null(fgets(text, sizeof text, unchanged));
    fclose(unchanged);
    assert_string_equal(text, "a regular file");

    /* Without the file, the call succeeds. */
    assert_int_equal(remove(file), 0);
    kvds_store_release(open_store(f->distributor, "file", KVDS_DISK));
}

/*
 * A directory without a store gets no store if it has files with names like those of RocksDB, which
 * RocksDB would delete. Destroying it deletes nothing.
 */
static void only_stores_are_opened_and_destroyed(void **state)
{
    struct fixture *f = *state;
    char foreign[PATH_MAX];
    kvds_store *store;
    path_of(foreign, f->base, "foreign");
    assert_int_equal(mkdir(foreign, 0777), 0);
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy_store(f->distributor, "foreign"));
    const char *in_the_way[] = { "20240101.log",   "1.sst",           "000123.ldb",
                                 "7.blob",         "000009.dbtmp",    "MANIFEST-000001",
                                 "OPTIONS-000005", "OPTIONS-1.dbtmp", "IDENTITY",
                                 "CURRENT",        "METADB-1",        "archive" };
    for (size_t i = 0; i < COUNT_OF(in_the_way); i++) {
        const char *file = PATH(foreign, in_the_way[i]);
        write_file(file, "not ours");
        write_file(PATH(foreign, "README"), "not ours");
        for (int times = 0; times < 2; times++) {
            assert_returns(KVDS_NOT_FOUND,
                           kvds_distributor_destroy_store(f->distributor, "foreign"));
            assert_invalid(
                kvds_distributor_get_or_create(f->distributor, "foreign", KVDS_DISK, &store));
            assert_error_says(file);
            assert_invalid(kvds_store_open(foreign, NULL, &store));
            assert_error_says(file);
            assert_int_equal(entries_in(foreign), 2);
        }
        assert_int_equal(remove(file), 0);
    }
    assert_int_equal(remove(PATH(foreign, "README")), 0);

    /*
     * A store is created in an empty directory, and other files stay when the store is destroyed.
     */
    kvds_store_release(open_store(f->distributor, "foreign", KVDS_DISK));
    write_file(PATH(foreign, "notes"), "not ours");
    assert_ok(kvds_distributor_destroy_store(f->distributor, "foreign"));
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy_store(f->distributor, "foreign"));
    assert_true(is_there(PATH(foreign, "notes")));
    assert_int_equal(entries_in(foreign), 1);
}

/*
 * Programs that have a path (the compatible C++ classes, command lines, backups) open exactly that
 * directory: "rm 2" is not "rm%202".
 */
static void a_path_opens_exactly_that_directory(void **state)
{
    struct fixture *f = *state;
    const char *paths[] = { PATH(f->base, "rm 2"), PATH(f->base, "a%2Fb"),
                            PATH(f->base, "new/in/./new/"), PATH(f->base, "\xC3\xA9") };
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        kvds_store *store = f->store;
        kvds_options *options = kvds_options_new();
        assert_ok(kvds_options_set_create_if_missing(options, 0));
        assert_returns(KVDS_NOT_FOUND, kvds_store_open(paths[i], options, &store));
        assert_null(store);
        assert_false(is_there(paths[i]));

        assert_ok(kvds_store_open(paths[i], NULL, &store));
        assert_true(is_there(PATH(paths[i], "CURRENT")));
        assert_string_equal(kvds_store_id(store), paths[i]);
        assert_int_equal(kvds_store_tag(store), 0);
        assert_int_equal(kvds_store_backend(store), KVDS_DISK);
        assert_int_equal(kvds_store_ref_count(store), 1);
        assert_ok(kvds_set(store, BYTES("key"), paths[i], strlen(paths[i])));
        kvds_store *second = f->store;
        assert_returns(KVDS_LOCKED, kvds_store_open(paths[i], NULL, &second));
        assert_null(second);
        assert_error_says(paths[i]);
        /* A reader can open it beside a writer. */
        assert_ok(kvds_options_set_read_only(options, 1));
        assert_ok(kvds_store_open(paths[i], options, &second));
        assert_true(has(second, BYTES("key"), paths[i], strlen(paths[i])));
        assert_returns(KVDS_DENIED, kvds_set(second, BYTES("key"), BYTES("value")));
        kvds_store_release(second);
        assert_int_equal(kvds_store_release(store), 0);

        assert_ok(kvds_options_set_read_only(options, 0));
        assert_ok(kvds_store_open(paths[i], options, &store));
        kvds_options_free(options);
        assert_true(has(store, BYTES("key"), paths[i], strlen(paths[i])));
        assert_ok(kvds_close(store));
        kvds_store_release(store);
    }
    /* A store that a distributor has open cannot be opened by its path, and vice versa. */
    kvds_store *store = f->store;
    assert_returns(KVDS_LOCKED, kvds_store_open(PATH(f->base, "store"), NULL, &store));
    assert_null(store);
    release_store(f);
    assert_ok(kvds_store_open(PATH(f->base, "store"), NULL, &store));
    assert_returns(KVDS_LOCKED,
                   kvds_distributor_get_or_create(f->distributor, "store", KVDS_DISK, &f->store));
    kvds_store_release(store);
}

static void a_relative_path_is_resolved_at_the_call(void **state)
{
    struct fixture *f = *state;
    char before[PATH_MAX];
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(f->base), 0);
    kvds_store *store;
    assert_ok(kvds_store_open("relative", NULL, &store));
    assert_int_equal(chdir(before), 0);
    assert_string_equal(kvds_store_id(store), "relative");
    assert_ok(kvds_set(store, BYTES("key"), BYTES("value")));
    assert_ok(kvds_compact(store));
    kvds_store_release(store);
    assert_ok(kvds_store_open(PATH(f->base, "relative"), NULL, &store));
    assert_true(has(store, BYTES("key"), BYTES("value")));
    kvds_store_release(store);
}

static void a_path_that_is_not_a_directory_is_an_error(void **state)
{
    struct fixture *f = *state;
    const char *paths[] = { NULL, "", "\xFF" };
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        kvds_store *store = f->store;
        assert_invalid(kvds_store_open(paths[i], NULL, &store));
        assert_null(store);
        assert_error_says("path");
    }
    assert_invalid(kvds_store_open(PATH(f->base, "x"), NULL, NULL));
    assert_false(is_there(PATH(f->base, "x")));
    kvds_store *store = f->store;
    write_file(PATH(f->base, "file"), "a regular file");
    assert_returns(KVDS_IO, kvds_store_open(PATH(f->base, "file"), NULL, &store));
    assert_null(store);
    assert_error_says("file");
}

/*
 * A directory may have a README, a .gitkeep or a lost+found. RocksDB touches none of them, so the
 * directory is accepted, and these files stay when the store is destroyed.
 */
static void other_files_do_not_prevent_a_store(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {
        "README",     ".gitkeep", "LOG",       "LOG.old.1700000000000000",
        "notes.log",  "a.sst",    "MANIFEST-", "MANIFEST-a",
        "000001.txt", "1.log.gz", "log",       ".log",
        "current",    "OPTIONS",  "LOCKED",    "archived"
    };
    for (size_t i = 0; i <= COUNT_OF(files); i++) {
        char place[PATH_MAX], file[PATH_MAX];
        const struct text id = text_of("place-%zu", i);
        path_of(place, f->base, id.data);
        assert_int_equal(mkdir(place, 0777), 0);
        path_of(file, place, i < COUNT_OF(files) ? files[i] : "lost+found");
        if (i < COUNT_OF(files))
            write_file(file, "not ours");
        else
            assert_int_equal(mkdir(file, 0700), 0);
        for (int times = 0; times < 2; times++) {
            kvds_store *store = open_store(f->distributor, id.data, KVDS_DISK);
            assert_ok(kvds_set(store, BYTES("key"), BYTES("value")));
            assert_ok(kvds_compact(store));
            kvds_store_release(store);
            assert_true(is_there(file));
        }
        assert_ok(kvds_distributor_destroy_store(f->distributor, id.data));
        /* RocksDB's log of messages is part of a store. */
        if (i >= COUNT_OF(files) || strncmp(files[i], "LOG", 3) != 0)
            assert_true(is_there(file));
        assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy_store(f->distributor, id.data));
    }
}

/*
 * The original package named directories by plain ids. kvds once created a new, empty store under
 * the encoded name beside such a directory, and the program found no data.
 */
static void a_store_under_its_plain_id_is_opened(void **state)
{
    struct fixture *f = *state;
    const char *ids[] = { "a b",        "users:1", "a/b",   "\xC3\xBCn\xC3\xAF",
                          "/abs/olute", "50%",     "a%2fb", "deep/er/than/that" };
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        const char *plain = PATH(f->base, ids[i]);
        kvds_store *store, *again;
        assert_ok(kvds_store_open(plain, NULL, &store));
        assert_ok(kvds_set(store, BYTES("key"), ids[i], strlen(ids[i])));
        assert_returns(KVDS_LOCKED,
                       kvds_distributor_get_or_create(f->distributor, ids[i], KVDS_DISK, &again));
        kvds_store_release(store);

        size_t before = entries_in(f->base);
        store = open_store(f->distributor, ids[i], KVDS_DISK);
        assert_string_equal(kvds_store_id(store), ids[i]);
        assert_true(has(store, BYTES("key"), ids[i], strlen(ids[i])));
        assert_ptr_equal(again = open_store(f->distributor, ids[i], KVDS_DISK), store);
        kvds_store_release(again);
        assert_returns(KVDS_BUSY, kvds_distributor_destroy_store(f->distributor, ids[i]));
        kvds_store_release(store);
        assert_int_equal(entries_in(f->base), before);

        assert_ok(kvds_distributor_destroy_store(f->distributor, ids[i]));
        assert_false(is_there(plain));
        assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy_store(f->distributor, ids[i]));
        /* New stores have encoded names. */
        store = open_store(f->distributor, ids[i], KVDS_DISK);
        assert_returns(KVDS_NOT_FOUND, kvds_exists(store, BYTES("key")));
        assert_false(is_there(plain));
        kvds_store_release(store);
        assert_ok(kvds_distributor_destroy_store(f->distributor, ids[i]));
    }
    /* A reader finds it too, and creates nothing. */
    kvds_store *store;
    assert_ok(kvds_store_open(PATH(f->base, "a b"), NULL, &store));
    assert_ok(kvds_set(store, BYTES("key"), BYTES("value")));
    kvds_store_release(store);
    kvds_distributor *reader = distributor_with(f->base, "read_only", "1");
    store = open_store(reader, "a b", KVDS_DISK);
    assert_true(has(store, BYTES("key"), BYTES("value")));
    kvds_store_release(store);
    kvds_distributor_release(reader);

    /* A directory of that name without a store does not count. */
    assert_int_equal(mkdir(PATH(f->base, "just a directory"), 0777), 0);
    write_file(PATH(PATH(f->base, "just a directory"), "notes"), "not ours");
    write_file(PATH(f->base, "just a file"), "not ours");
    kvds_store_release(open_store(f->distributor, "just a directory", KVDS_DISK));
    kvds_store_release(open_store(f->distributor, "just a file", KVDS_DISK));
    kvds_store_release(open_store(f->distributor, "just a file/below", KVDS_DISK));
    assert_true(is_there(PATH(f->base, "just%20a%20directory")));
    assert_int_equal(entries_in(PATH(f->base, "just a directory")), 1);
}

static void two_stores_of_one_id_are_an_error(void **state)
{
    struct fixture *f = *state;
    const char *plain = PATH(f->base, "a b"), *encoded = PATH(f->base, "a%20b");
    kvds_store *store;
    assert_ok(kvds_store_open(plain, NULL, &store));
    kvds_store_release(store);
    assert_ok(kvds_store_open(encoded, NULL, &store));
    kvds_store_release(store);
    assert_invalid(kvds_distributor_get_or_create(f->distributor, "a b", KVDS_DISK, &store));
    assert_null(store);
    assert_error_says(plain);
    assert_error_says(encoded);
    assert_invalid(kvds_distributor_destroy_store(f->distributor, "a b"));
    assert_error_says(plain);
    assert_error_says(encoded);
    assert_true(is_there(PATH(plain, "CURRENT")));
    assert_true(is_there(PATH(encoded, "CURRENT")));
    assert_returns(KVDS_NOT_FOUND, kvds_distributor_get(f->distributor, "a b", KVDS_DISK, &store));
}

/* No plain id reaches another store, or a path outside of the base path. */
static void plain_ids_stay_below_the_base_path_and_distinct(void **state)
{
    struct fixture *f = *state;
    char base[PATH_MAX];
    path_of(base, f->base, "base/inner");
    kvds_store *store;
    assert_ok(kvds_store_open(PATH(f->base, "outside"), NULL, &store));
    kvds_store_release(store);
    assert_ok(kvds_store_open(PATH(f->base, "out/store"), NULL, &store));
    kvds_store_release(store);
    assert_ok(kvds_store_open(PATH(base, "plain"), NULL, &store));
    kvds_store_release(store);
    assert_ok(kvds_store_open(PATH(base, "a%20b"), NULL, &store));
    kvds_store_release(store);
    assert_int_equal(symlink("../../out", PATH(base, "link")), 0);
    kvds_distributor *distributor = kvds_distributor_new(base);
    const char *absolute = PATH(f->base, "outside");
    const char *ids[] = { "../../outside",
                          "plain/../../../outside",
                          absolute,
                          "link/store",
                          "/plain",
                          "./plain",
                          "plain/",
                          "plain/.",
                          "a%20b",
                          "..",
                          "." };
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        size_t before = entries_in(base);
        assert_returns(KVDS_NOT_FOUND, kvds_distributor_destroy_store(distributor, ids[i]));
        kvds_store_release(open_store(distributor, ids[i], KVDS_DISK));
        assert_int_equal(entries_in(base), before + 1);
        assert_ok(kvds_distributor_destroy_store(distributor, ids[i]));
        assert_int_equal(entries_in(base), before);
    }
    assert_true(is_there(PATH(f->base, "outside/CURRENT")));
    assert_true(is_there(PATH(f->base, "out/store/CURRENT")));
    assert_true(is_there(PATH(base, "plain/CURRENT")));
    assert_true(is_there(PATH(base, "a%20b/CURRENT")));
    kvds_distributor_release(distributor);
}

#ifdef KVDS_TEST_NO_DISK
static void a_build_without_disk_stores_says_so(void **state)
{
    struct fixture *f = *state;
    kvds_store *store = f->store;
    assert_returns(KVDS_UNSUPPORTED,
                   kvds_distributor_get_or_create(f->distributor, "store", KVDS_DISK, &store));
    assert_null(store);
    assert_error_says("disk");
    assert_returns(KVDS_UNSUPPORTED,
                   kvds_distributor_get(f->distributor, "store", KVDS_DISK, &store));
    assert_returns(KVDS_UNSUPPORTED, kvds_distributor_evict(f->distributor, "store", KVDS_DISK));
    assert_returns(KVDS_UNSUPPORTED, kvds_distributor_destroy_store(f->distributor, "store"));
    store = f->store;
    assert_returns(KVDS_UNSUPPORTED, kvds_store_open(PATH(f->base, "path"), NULL, &store));
    assert_null(store);
    assert_int_equal(entries_in(f->base), 0);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(ids_name_directories),
        ON_DISK(names_have_255_bytes_at_most),
        ON_MEMORY(ids_of_memory_stores_are_any_bytes),
        ON_DISK(missing_base_directories_are_created),
        ON_DISK(a_relative_base_path_is_resolved_at_the_call),
        ON_DISK(without_a_base_path_there_are_memory_stores_only),
        ON_DISK(one_distributor_has_a_directory),
        ON_DISK(a_failed_creation_leaves_nothing_behind),
        ON_DISK(only_stores_are_opened_and_destroyed),
        ON_DISK(other_files_do_not_prevent_a_store),
        ON_DISK(a_store_under_its_plain_id_is_opened),
        ON_DISK(two_stores_of_one_id_are_an_error),
        ON_DISK(plain_ids_stay_below_the_base_path_and_distinct),
        ON_DISK(a_path_opens_exactly_that_directory),
        ON_DISK(a_relative_path_is_resolved_at_the_call),
        ON_DISK(a_path_that_is_not_a_directory_is_an_error),
#ifdef KVDS_TEST_NO_DISK
        ON_MEMORY(a_build_without_disk_stores_says_so),
#endif
    };
    return RUN("directories", tests);
}
