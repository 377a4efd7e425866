/* The log callback: its messages, and that it is not called after it was replaced. */

#include "check.h"

/*
 * The state of a callback. It is freed once the callback is replaced, so a later call is detected.
 */
struct log {
    kvds_log_level level;
    /* A text, and the semaphore that is posted for each message with it. */
    const char *wanted;
    sem_t found;
    atomic_bool over;
};

static struct log *make_log(kvds_log_level level, const char *wanted)
{
    struct log *log = calloc(1, sizeof *log);
    must(log != NULL);
    log->level = level;
    log->wanted = wanted;
    make_semaphore(&log->found);
    return log;
}

/* Set after the callback was replaced. */
static void free_log(struct log *log)
{
    atomic_store(&log->over, true);
    must(sem_destroy(&log->found) == 0);
    free(log);
}

static void note(void *user_data, kvds_log_level level, const char *text)
{
    struct log *log = user_data;
    must(!atomic_load(&log->over));
    must(level >= KVDS_LOG_ERROR && level <= log->level);
    must(text != NULL && *text != '\0');
    if (strcasestr(text, log->wanted))
        post(&log->found);
}

/* Causes a message. */
static void open_and_close(struct fixture *f)
{
    release_store(f);
    f->store = open_again(f);
    must_ok(kvds_set(f->store, BYTES("key"), BYTES("value")));
}

static void end_log(void) { must_ok(kvds_set_log_callback(KVDS_LOG_INFO, NULL, NULL)); }

static void messages_arrive(void **state)
{
    struct fixture *f = *state;
    static const kvds_log_level levels[] = { KVDS_LOG_INFO, KVDS_LOG_DEBUG };
    const char *const wanted[] = { "rocksdb", f->base };
    for (size_t i = 0; i < COUNT_OF(levels); i++) {
        for (size_t j = 0; j < COUNT_OF(wanted); j++) {
            struct log *log = make_log(levels[i], wanted[j]);
            assert_ok(kvds_set_log_callback(levels[i], note, log));
            open_and_close(f);
            await(&log->found);
            end_log();
            free_log(log);
        }
    }
    /* No messages go elsewhere. */
    assert_ok(kvds_compact(f->store));
    release_store(f);
    f->store = open_again(f);
    DIR *entries = opendir(PATH(f->base, "store"));
    assert_non_null(entries);
    for (struct dirent *entry; (entry = readdir(entries));)
        assert_true(strncmp(entry->d_name, "LOG", 3) != 0);
    closedir(entries);
}

static void only_messages_of_the_level_arrive(void **state)
{
    struct fixture *f = *state;
    for (kvds_log_level level = KVDS_LOG_ERROR; level <= KVDS_LOG_DEBUG; level++) {
        struct log *log = make_log(level, "");
        assert_ok(kvds_set_log_callback(level, note, log));
        open_and_close(f);
        end_log();
        free_log(log);
    }
}

static void a_replaced_callback_is_not_called(void **state)
{
    struct fixture *f = *state;
    struct log *log = make_log(KVDS_LOG_INFO, "rocksdb");
    assert_ok(kvds_set_log_callback(KVDS_LOG_INFO, note, log));
    for (size_t i = 0; i < scaled(40); i++) {
        struct log *before = log;
        open_and_close(f);
        log = make_log(KVDS_LOG_INFO, "rocksdb");
        assert_ok(kvds_set_log_callback(KVDS_LOG_INFO, note, log));
        free_log(before);
    }
    open_and_close(f);
    await(&log->found);
    end_log();
    free_log(log);
    open_and_close(f);
    end_log();
}

static void a_level_is_one_of_four(void **state)
{
    struct fixture *f = *state;
    static const kvds_log_level none[] = { -1, 4, INT32_MAX, INT32_MIN };
    struct log *log = make_log(KVDS_LOG_INFO, "rocksdb");
    assert_ok(kvds_set_log_callback(KVDS_LOG_INFO, note, log));
    for (size_t i = 0; i < COUNT_OF(none); i++) {
        assert_invalid(kvds_set_log_callback(none[i], note, NULL));
        assert_error_says(text_of("%d", none[i]).data);
        assert_invalid(kvds_set_log_callback(none[i], NULL, NULL));
    }
    /* A call that fails does not replace the callback. */
    if (f->backend == KVDS_DISK) {
        open_and_close(f);
        await(&log->found);
    }
    end_log();
    free_log(log);
}

/* A callback that blocks until it is released. */
struct blocker {
    atomic_bool entered_once, left;
    sem_t entered, go;
};

static void blocker(void *user_data, kvds_log_level level, const char *text)
{
    struct blocker *blocker = user_data;
    (void)level, (void)text;
    if (atomic_exchange(&blocker->entered_once, true))
        return;
    post(&blocker->entered);
    await(&blocker->go);
    atomic_store(&blocker->left, true);
}

static void *end_log_and_look(void *argument)
{
    struct blocker *blocker = argument;
    end_log();
    must(atomic_load(&blocker->left));
    return NULL;
}

static void removing_a_callback_waits_for_its_call(void **state)
{
    struct fixture *f = *state;
    struct blocker blocking = { .entered_once = false };
    make_semaphore(&blocking.entered);
    make_semaphore(&blocking.go);
    assert_ok(kvds_set_log_callback(KVDS_LOG_INFO, blocker, &blocking));
    open_and_close(f);
    await(&blocking.entered);
    pthread_t ending = start(end_log_and_look, &blocking);
    /* A blocked callback delays nothing, however many messages there are. */
    for (size_t i = 0; i < scaled(20); i++)
        open_and_close(f);
    assert_true(has(f->store, BYTES("key"), BYTES("value")));
    post(&blocking.go);
    join(ending);
    assert_int_equal(sem_destroy(&blocking.entered), 0);
    assert_int_equal(sem_destroy(&blocking.go), 0);
}

/* A callback that calls the library. At last it registers another callback. */
struct caller {
    struct fixture *f;
    struct log *next;
    bool called;
    sem_t done;
};

static void call_back(void *user_data, kvds_log_level level, const char *text)
{
    struct caller *caller = user_data;
    (void)level, (void)text;
    must(!caller->called);
    caller->called = true;
    kvds_store *disk = open_store(caller->f->distributor, "from the log", KVDS_DISK);
    kvds_store *memory = open_store(caller->f->distributor, "from the log", KVDS_MEMORY);
    must_ok(kvds_set(disk, BYTES("key"), BYTES("value")));
    must_ok(kvds_set(memory, BYTES("key"), BYTES("value")));
    must(has(disk, BYTES("key"), BYTES("value")));
    must_ok(kvds_close(disk));
    must(kvds_store_release(disk) == 0);
    must(kvds_store_release(memory) == 0);
    must_ok(kvds_set_log_callback(KVDS_LOG_INFO, note, caller->next));
    post(&caller->done);
}

static void the_callback_may_call_the_library(void **state)
{
    struct fixture *f = *state;
    struct caller caller = { .f = f, .next = make_log(KVDS_LOG_INFO, "rocksdb") };
    make_semaphore(&caller.done);
    assert_ok(kvds_set_log_callback(KVDS_LOG_INFO, call_back, &caller));
    open_and_close(f);
    await(&caller.done);
    open_and_close(f);
    await(&caller.next->found);
    end_log();
    free_log(caller.next);
    assert_int_equal(sem_destroy(&caller.done), 0);
}

/* Messages of opening a store, among them a possible warning. */
struct warnings {
    sem_t opened;
    atomic_int warned;
};

static void count_warnings(void *user_data, kvds_log_level level, const char *text)
{
    struct warnings *warnings = user_data;
    if (strstr(text, "last written by RocksDB 7.8.3")) {
        must(level == KVDS_LOG_WARN);
        atomic_fetch_add(&warnings->warned, 1);
    }
    if (strncmp(text, "opened ", 7) == 0)
        post(&warnings->opened);
}

/* Changes the file OPTIONS as if RocksDB 7.8.3 had written the store last. */
static void set_old_version(const char *store)
{
    char newest[PATH_MAX] = "";
    DIR *entries = opendir(store);
    must(entries != NULL);
    for (struct dirent *entry; (entry = readdir(entries));)
        if (strncmp(entry->d_name, "OPTIONS-", 8) == 0 && strcmp(entry->d_name, newest) > 0)
            strcpy(newest, entry->d_name);
    closedir(entries);
    must(newest[0] != '\0');
    write_file(PATH(store, newest),
               "# A comment\n\n[Version]\n  rocksdb_version=7.8.3\n  options_file_version=1.1\n");
}

/*
 * RocksDB before 9.11 stops reading a log of kvds at a record that it does not know, and silently
 * drops the rest. When such a version has written the store, the library warns, once.
 */
static void a_store_of_an_older_rocksdb_is_logged_once(void **state)
{
    struct fixture *f = *state;
    struct warnings warnings = { .warned = 0 };
    make_semaphore(&warnings.opened);
    release_store(f);
    set_old_version(PATH(f->base, "store"));
    assert_ok(kvds_set_log_callback(KVDS_LOG_INFO, count_warnings, &warnings));
    for (int times = 0; times < 3; times++) {
        f->store = open_again(f);
        await(&warnings.opened);
        release_store(f);
        assert_int_equal(atomic_load(&warnings.warned), 1);
    }
    end_log();
    assert_int_equal(sem_destroy(&warnings.opened), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(a_level_is_one_of_four),
        ON_DISK(messages_arrive),
        ON_DISK(only_messages_of_the_level_arrive),
        ON_DISK(a_replaced_callback_is_not_called),
        ON_DISK(removing_a_callback_waits_for_its_call),
        ON_DISK(the_callback_may_call_the_library),
        ON_DISK(a_store_of_an_older_rocksdb_is_logged_once),
    };
    return RUN("logging", tests);
}
