/* A store that another process has. The other process is this program again, started with arguments. */

#include "check.h"

#include <signal.h>

/* What the other process does: its exit status is 0 for KVDS_OK, and a failure's number without the sign. */
static int other_process(const char *task, const char *base)
{
    kvds_distributor *distributor = kvds_distributor_new(base);
    kvds_store *store = NULL;
    kvds_status status;
    must(distributor != NULL);
    if (strcmp(task, "destroy") == 0) {
        status = kvds_distributor_destroy_store(distributor, "store");
    } else {
        status = kvds_distributor_get_or_create(distributor, "store", KVDS_DISK, &store);
        must((store != NULL) == (status == KVDS_OK));
    }
    if (status == KVDS_OK && strcmp(task, "hold") == 0) {
        must_ok(kvds_set(store, BYTES("theirs"), BYTES("value")));
        must(write(STDOUT_FILENO, "!", 1) == 1);
        for (;;)
            pause();
    }
    if (status == KVDS_OK && strcmp(task, "look") == 0)
        must(has(store, BYTES("ours"), BYTES("value")));
    if (status != KVDS_OK)
        must(strstr(kvds_last_error(), PATH(base, "store")) != NULL);
    kvds_store_release(store);
    kvds_distributor_release(distributor);
    return -status;
}

/* Starts the other process, with its standard output at `output` if that is not negative. */
static pid_t start_other(const char *task, const char *base, int output)
{
    pid_t child = fork();
    must(child >= 0);
    if (child == 0) {
        if (output >= 0)
            dup2(output, STDOUT_FILENO);
        become_this_program((char *[]){ "locked", (char *)task, (char *)base, NULL });
    }
    return child;
}

static kvds_status status_of(const char *task, const char *base)
{
    return -exit_status_of(start_other(task, base, -1));
}

static void another_process_gets_the_store_when_it_is_released(void **state)
{
    struct fixture *f = *state;
    char directory[PATH_MAX];
    path_of(directory, f->base, "store");
    assert_ok(kvds_set(f->store, BYTES("ours"), BYTES("value")));
    const size_t files = entries_in(directory);
    assert_answer(KVDS_LOCKED, status_of("look", f->base));
    assert_answer(KVDS_LOCKED, status_of("destroy", f->base));
    /* Whoever is turned away at the door leaves no files behind it. RocksDB's log of messages used to be one. */
    assert_int_equal(entries_in(directory), files);
    assert_true(has(f->store, BYTES("ours"), BYTES("value")));
    assert_ok(kvds_set(f->store, BYTES("more"), BYTES("value")));

    assert_int_equal(release_store(f), 0);
    assert_ok(status_of("look", f->base));
    f->store = open_again(f);
    assert_true(has(f->store, BYTES("more"), BYTES("value")));

    assert_ok(kvds_close(f->store));
    assert_ok(status_of("destroy", f->base));
    release_store(f);
    f->store = open_again(f);
    assert_answer(KVDS_NOT_FOUND, kvds_exists(f->store, BYTES("ours")));
}

static void a_held_value_holds_the_store(void **state)
{
    struct fixture *f = *state;
    static const char big[1 << 20];
    kvds_value value;
    assert_ok(kvds_set(f->store, BYTES("ours"), BYTES("value")));
    assert_ok(kvds_set(f->store, BYTES("big"), big, sizeof big));
    assert_ok(kvds_get(f->store, BYTES("big"), &value));
    assert_int_equal(release_store(f), 0);
    assert_answer(KVDS_LOCKED, status_of("look", f->base));
    kvds_value_release(&value);
    assert_ok(status_of("look", f->base));
}

static void a_killed_process_leaves_its_store(void **state)
{
    struct fixture *f = *state;
    int ends[2];
    char byte;
    assert_int_equal(release_store(f), 0);
    assert_int_equal(pipe(ends), 0);
    pid_t other = start_other("hold", f->base, ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);

    assert_answer(KVDS_LOCKED, kvds_distributor_get_or_create(f->distributor, "store", KVDS_DISK, &f->store));
    assert_null(f->store);
    assert_error_says(PATH(f->base, "store"));
    assert_answer(KVDS_LOCKED, kvds_distributor_destroy_store(f->distributor, "store"));
    assert_int_equal(kill(other, SIGKILL), 0);
    assert_int_equal(waitpid(other, NULL, 0), other);

    f->store = open_again(f);
    assert_true(has(f->store, BYTES("theirs"), BYTES("value")));
}

int main(int count, char **arguments)
{
    if (count == 3)
        return other_process(arguments[1], arguments[2]);
    const struct CMUnitTest tests[] = {
        ON_DISK(another_process_gets_the_store_when_it_is_released),
        ON_DISK(a_held_value_holds_the_store),
        ON_DISK(a_killed_process_leaves_its_store),
    };
    return RUN("locked", tests);
}
