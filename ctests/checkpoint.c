/* Copies of stores: their contents, and the files that copying must not touch. */

#include "check.h"
#include "views.h"

#include <signal.h>

/* Writes an empty key, many keys, and more bytes than a copy is likely to take in one piece. */
static void write_pairs(kvds_store *store)
{
    static char big[1 << 20];
    must_ok(kvds_set(store, NULL, 0, BYTES("under the empty key")));
    must_ok(kvds_set(store, BYTES("k"), NULL, 0));
    must_ok(kvds_set(store, BYTES("k\0zero"), BYTES("\0")));
    for (size_t i = 0; i < 3; i++) {
        const struct text key = text_of("kbig%zu", i);
        memset(big, (int)('a' + i), sizeof big);
        must_ok(kvds_set(store, key.data, key.len, big, sizeof big));
    }
    for (size_t i = 0; i < scaled(2000); i++) {
        const struct text key = text_of("%c%zu", i % 2 ? 'k' : 'l', i);
        must_ok(kvds_set(store, key.data, key.len, key.data, key.len));
    }
}

static bool same_bytes(kvds_bytes one, kvds_bytes other)
{
    return one.len == other.len && (one.len == 0 || memcmp(one.data, other.data, one.len) == 0);
}

/* Compares two stores, and returns how many pairs both have. */
static size_t assert_same_pairs(kvds_store *one, kvds_store *other)
{
    kvds_cursor *cursor, *other_cursor;
    kvds_bytes bytes, other_bytes;
    assert_ok(kvds_cursor_new(one, NULL, &cursor));
    assert_ok(kvds_cursor_new(other, NULL, &other_cursor));
    size_t count = 0;
    kvds_status status = kvds_cursor_first(cursor);
    assert_returns(status, kvds_cursor_first(other_cursor));
    while (status == KVDS_OK) {
        assert_ok(kvds_cursor_key(cursor, &bytes));
        assert_ok(kvds_cursor_key(other_cursor, &other_bytes));
        assert_true(same_bytes(bytes, other_bytes));
        assert_ok(kvds_cursor_value(cursor, &bytes));
        assert_ok(kvds_cursor_value(other_cursor, &other_bytes));
        assert_true(same_bytes(bytes, other_bytes));
        count++;
        status = kvds_cursor_next(cursor);
        assert_returns(status, kvds_cursor_next(other_cursor));
    }
    assert_returns(KVDS_NOT_FOUND, status);
    kvds_cursor_free(cursor);
    kvds_cursor_free(other_cursor);
    return count;
}

/* Copies a store and its views. Each copy must have the data of its time. */
static void a_copy_is_a_snapshot(void **state)
{
    struct fixture *f = *state;
    write_pairs(f->store);
    kvds_store *snapshot = snapshot_of(f->store);
    kvds_store *sources[] = { kvds_store_retain(f->store), scope_of(f->store, BYTES("k")),
                              view_of(f->store, READ), snapshot, scope_of(snapshot, BYTES("k")) };
    kvds_store *expected[COUNT_OF(sources)];
    char copies[PATH_MAX], path[PATH_MAX];
    path_of(copies, f->base, "directories/that are/missing");
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        const struct text name = text_of("copy-%zu", i);
        assert_ok(kvds_set(f->store, BYTES("kbig1"), name.data, name.len));
        expected[i] = snapshot_of(sources[i]);
        assert_ok(kvds_checkpoint(sources[i], path_of(path, copies, name.data)));
        assert_ok(kvds_set(f->store, BYTES("k after the copy"), name.data, name.len));
        assert_ok(kvds_delete_prefix(f->store, BYTES("kbig2")));
    }
    kvds_distributor *distributor = kvds_distributor_new(copies);
    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        const struct text name = text_of("copy-%zu", i);
        kvds_store *copy = open_store(distributor, name.data, KVDS_DISK);
        assert_true(assert_same_pairs(copy, expected[i]) > 5);
        assert_ok(kvds_set(copy, BYTES("k in the copy"), BYTES("value")));
        assert_returns(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("k in the copy")));
        kvds_store_release(copy);
        kvds_store_release(expected[i]);
        kvds_store_release(sources[i]);
    }
    kvds_distributor_release(distributor);
}

/* Data that was never in a log must be in the copy too. */
static void a_copy_has_data_that_is_not_in_the_log(void **state)
{
    struct fixture *f = *state;
    release_store(f);
    release_distributor(f);
    f->distributor = distributor_with(f->base, "durability", "none");
    f->store = open_again(f);
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_ok(kvds_checkpoint(f->store, PATH(f->base, "copy")));
    kvds_store *copy = open_store(f->distributor, "copy", KVDS_DISK);
    assert_true(has(copy, BYTES("key"), BYTES("value")));
    kvds_store_release(copy);
}

static void a_copy_needs_a_new_path(void **state)
{
    struct fixture *f = *state;
    char directory[PATH_MAX], file[PATH_MAX];
    path_of(directory, f->base, "directory");
    path_of(file, f->base, "file");
    assert_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
    assert_int_equal(mkdir(directory, 0777), 0);
    write_file(file, "text");
    const char *const taken[] = { directory, file, f->base };
    for (size_t i = 0; i < COUNT_OF(taken); i++) {
        assert_invalid(kvds_checkpoint(f->store, taken[i]));
        assert_error_says(taken[i]);
    }
    assert_int_equal(entries_in(directory), 0);
    assert_returns(KVDS_IO, kvds_checkpoint(f->store, PATH(file, "copy")));
    assert_invalid(kvds_checkpoint(f->store, NULL));
    assert_invalid(kvds_checkpoint(f->store, ""));
    assert_invalid(kvds_checkpoint(f->store, "\xFF"));
    assert_invalid(kvds_checkpoint(NULL, PATH(f->base, "copy")));

    kvds_store *writable = view_of(f->store, WRITE);
    assert_returns(KVDS_DENIED, kvds_checkpoint(writable, PATH(f->base, "copy")));
    kvds_store_release(writable);
    assert_ok(kvds_close(f->store));
    assert_returns(KVDS_CLOSED, kvds_checkpoint(f->store, PATH(f->base, "copy")));
    assert_false(is_there(PATH(f->base, "copy")));
}

/* The temporary directory of a copy takes no name that is in use. */
static void a_copy_takes_no_name_that_is_in_use(void **state)
{
    struct fixture *f = *state;
    char neighbor[PATH_MAX];
    path_of(neighbor, f->base, "copy.tmp");
    assert_int_equal(mkdir(neighbor, 0777), 0);
    write_file(PATH(neighbor, "file"), "text");
    assert_ok(kvds_checkpoint(f->store, PATH(f->base, "copy")));
    assert_true(is_there(PATH(neighbor, "file")));
    assert_int_equal(entries_in(neighbor), 1);
}

/* A process that makes one copy after another of a large store. */
_Noreturn static void copy_for_ever(const char *base)
{
    static char big[64 << 10];
    kvds_distributor *distributor = kvds_distributor_new(NULL);
    kvds_store *store = open_store(distributor, "store", KVDS_MEMORY);
    for (size_t i = 0; i < 64; i++)
        must_ok(kvds_set(store, &i, sizeof i, big, sizeof big));
    for (size_t number = 0;; number++) {
        const struct text name = text_of("child-%zu", number);
        must_ok(kvds_checkpoint(store, PATH(base, name.data)));
        remove_directory(PATH(base, name.data));
    }
}

/* Finds the temporary directory of a copy that has files already. */
static bool find_temporary_directory(char path[PATH_MAX], const char *base)
{
    DIR *entries = opendir(base);
    must(entries != NULL);
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(entries));)
        if (strncmp(entry->d_name, ".kvds-copy-", 11) == 0)
            found = is_there(PATH(path_of(path, base, entry->d_name), "copy"));
    closedir(entries);
    return found;
}

/* Stops the process while it makes a copy; `path` becomes the temporary directory. */
static void stop_in_the_middle(pid_t process, char path[PATH_MAX], const char *base)
{
    for (;;) {
        int status;
        must(waitpid(process, &status, WNOHANG) == 0);
        must(kill(process, SIGSTOP) == 0);
        must(waitpid(process, &status, WUNTRACED) == process && WIFSTOPPED(status));
        if (find_temporary_directory(path, base))
            return;
        must(kill(process, SIGCONT) == 0);
        usleep(500);
    }
}

/*
 * A program that was killed during each nightly copy left a directory each time, until the disk was
 * full. The next copy removes directories of processes that died, and no others.
 */
static void the_next_copy_removes_directories_of_killed_processes(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    pid_t other = fork();
    must(other >= 0);
    if (other == 0)
        become_this_program((char *[]){ "checkpoint", f->base, NULL });
    stop_in_the_middle(other, path, f->base);
    assert_ok(kvds_checkpoint(f->store, PATH(f->base, "beside")));
    assert_true(is_there(path));
    assert_int_equal(kill(other, SIGCONT), 0);
    stop_in_the_middle(other, path, f->base);
    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, NULL, 0), other);
    assert_true(is_there(path));

    /* Neither is a directory of the library. */
    assert_int_equal(mkdir(PATH(f->base, ".kvds-copy-mine"), 0777), 0);
    write_file(PATH(f->base, ".kvds-copy-1-1"), "a file");
    assert_ok(kvds_checkpoint(f->store, PATH(f->base, "after")));
    assert_false(is_there(path));
    assert_true(is_there(PATH(f->base, ".kvds-copy-mine")));
    assert_true(is_there(PATH(f->base, ".kvds-copy-1-1")));
    assert_true(is_there(PATH(f->base, "beside/CURRENT")));
}

/* Copies at the same time as another thread. */
struct copying {
    kvds_store *store;
    const char *path;
    pthread_barrier_t *together;
    kvds_status status;
};

static void *copy_together(void *argument)
{
    struct copying *copying = argument;
    pthread_barrier_wait(copying->together);
    copying->status = kvds_checkpoint(copying->store, copying->path);
    return NULL;
}

/* If two copies have the same path, one succeeds, and it is complete. */
static void one_of_two_copies_to_one_path_succeeds(void **state)
{
    struct fixture *f = *state;
    kvds_store *stores[] = { f->store, open_store(f->distributor, "other", f->backend) };
    kvds_distributor *distributor = kvds_distributor_new(PATH(f->base, "copies"));
    pthread_barrier_t together;
    assert_int_equal(pthread_barrier_init(&together, NULL, 2), 0);
    for (size_t i = 0; i < COUNT_OF(stores); i++)
        assert_ok(kvds_set(stores[i], &i, sizeof i, BYTES("value")));
    for (size_t round = 0; round < scaled(40); round++) {
        const struct text name = text_of("%zu", round);
        char path[PATH_MAX];
        path_of(path, PATH(f->base, "copies"), name.data);
        struct copying copyings[COUNT_OF(stores)];
        pthread_t threads[COUNT_OF(stores)];
        for (size_t i = 0; i < COUNT_OF(stores); i++) {
            copyings[i] = (struct copying){ stores[i], path, &together, KVDS_OK };
            threads[i] = start(copy_together, &copyings[i]);
        }
        for (size_t i = 0; i < COUNT_OF(stores); i++)
            join(threads[i]);
        const size_t winner = copyings[0].status == KVDS_OK ? 0 : 1;
        assert_ok(copyings[winner].status);
        assert_invalid(copyings[1 - winner].status);
        kvds_store *copy = open_store(distributor, name.data, KVDS_DISK);
        assert_int_equal(assert_same_pairs(copy, stores[winner]), 1);
        kvds_store_release(copy);
    }
    assert_int_equal(pthread_barrier_destroy(&together), 0);
    kvds_distributor_release(distributor);
    kvds_store_release(stores[1]);
}

static void a_build_without_disk_stores_makes_no_copies(void **state)
{
    struct fixture *f = *state;
    assert_returns(KVDS_UNSUPPORTED, kvds_checkpoint(f->store, PATH(f->base, "copy")));
    assert_int_equal(entries_in(f->base), 0);
}

int main(int count, char **arguments)
{
    if (count == 2)
        copy_for_ever(arguments[1]);
    if (!HAS_DISK) {
        const struct CMUnitTest tests[] = { ON_MEMORY(
            a_build_without_disk_stores_makes_no_copies) };
        return RUN("checkpoint", tests);
    }
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_copy_is_a_snapshot),
        ON_DISK(a_copy_has_data_that_is_not_in_the_log),
        ON_BOTH(a_copy_needs_a_new_path),
        ON_BOTH(a_copy_takes_no_name_that_is_in_use),
        ON_DISK(the_next_copy_removes_directories_of_killed_processes),
        ON_BOTH(one_of_two_copies_to_one_path_succeeds),
    };
    return RUN("checkpoint", tests);
}
