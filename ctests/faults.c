/*
 * A disk that is full or fails. Each case breaks something under an open store, sees that a write
 * fails with a status and a text, that nothing acknowledged is lost and nothing refused is there,
 * mends it, and goes on with the same handle.
 *
 * Errors of the disk come from failing_disk.h.
 */

#include "failing_disk.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

/* ----------------------------------------------------- disks that are what they are */

static bool can_mount;

/* Becomes a process that may mount, where the system lets it: what it mounts is seen by nobody else, and goes with it. */
static bool may_mount(void)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    return mount("none", "/", "none", MS_REC | MS_PRIVATE, "") == 0;
}

/* A directory on a small disk of its own. */
static void make_base(char base[PATH_MAX])
{
    make_directory(base);
    if (can_mount)
        must(mount("tmpfs", base, "tmpfs", 0, "size=8m") == 0);
}

static void remove_base(const char *base)
{
    if (can_mount)
        must(umount(base) == 0);
    remove_directory(base);
}

static void fill(const char *base)
{
    static const char block[4096];
    const int file = open(PATH(base, "filler"), O_WRONLY | O_CREAT, 0600);
    must(file >= 0);
    while (write(file, block, sizeof block) > 0)
        ;
    must(errno == ENOSPC);
    must(close(file) == 0);
}

static void make_room(const char *base) { must(unlink(PATH(base, "filler")) == 0); }

/* Seen through another mount, which is for reading only. Files that are open stay as they are. */
static void forbid_writing(const char *base)
{
    must(mount(base, base, "none", MS_BIND, "") == 0);
    must(mount("none", base, "none", MS_REMOUNT | MS_BIND | MS_RDONLY, "") == 0);
}

static void allow_writing(const char *base) { must(umount(base) == 0); }

static void limit(int resource, rlim_t most)
{
    struct rlimit now;
    must(getrlimit(resource, &now) == 0);
    now.rlim_cur = most < now.rlim_max ? most : now.rlim_max;
    must(setrlimit(resource, &now) == 0);
}

static void limit_file_size(const char *base)
{
    (void)base;
    limit(RLIMIT_FSIZE, 64 << 10);
}

static void allow_any_file_size(const char *base)
{
    (void)base;
    limit(RLIMIT_FSIZE, RLIM_INFINITY);
}

static void take_descriptors(const char *base)
{
    (void)base;
    limit(RLIMIT_NOFILE, 3);
}

static void give_descriptors(const char *base)
{
    (void)base;
    limit(RLIMIT_NOFILE, 1024);
}

/* --------------------------------------------------------------- the cases */

enum { VALUE_LEN = 4000, MOST = 4096 };

/* A store, and what was answered about its keys, which are the numbers from 0 on. */
struct book {
    int file;
    char base[PATH_MAX];
    kvds_durability durability;
    kvds_distributor *distributor;
    kvds_store *store;
    size_t count;
    bool acknowledged[MOST];
};

/* Noise, as what can be compressed needs less room. */
static const void *value_of(size_t number)
{
    static unsigned char value[VALUE_LEN];
    uint64_t state = number * 0x9E3779B97F4A7C15u + 1;
    for (size_t i = 0; i < sizeof value; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        value[i] = (unsigned char)(state >> 32);
    }
    return value;
}

static void open_book(struct book *book)
{
    kvds_options *options = kvds_options_new();
    must_ok(kvds_options_set_durability(options, book->durability));
    must_ok(kvds_distributor_open(book->base, options, &book->distributor));
    kvds_options_free(options);
    book->store = open_store(book->distributor, "ledger", KVDS_DISK);
}

static void close_book(struct book *book)
{
    must(kvds_store_release(book->store) == 0);
    must(kvds_distributor_release(book->distributor) == 0);
}

/* Sets the next key. */
static kvds_status enter(struct book *book)
{
    must(book->count < MOST);
    const size_t number = book->count++;
    const struct text key = text_of("%zu", number);
    const kvds_status status =
        kvds_set(book->store, key.data, key.len, value_of(number), VALUE_LEN);
    book->acknowledged[number] = status == KVDS_OK;
    return status;
}

/* What was acknowledged is there. What was refused is not, unless `or_more` allows for it. */
static void check_store(const struct book *book, kvds_store *store, bool or_more)
{
    for (size_t i = 0; i < book->count; i++) {
        const struct text key = text_of("%zu", i);
        if (book->acknowledged[i])
            must(has(store, key.data, key.len, value_of(i), VALUE_LEN));
        else if (!or_more)
            must_answer(KVDS_NOT_FOUND, kvds_exists(store, key.data, key.len));
    }
}

/* How a fault is met: by writing, or only by what flushes or syncs. */
enum use { BY_WRITING, BY_FLUSHING, BY_SYNCING };

/* A way for a disk to fail. */
struct fault {
    const char *name;
    void (*break_it)(const char *base);
    void (*mend_it)(const char *base);
    enum use use;
    kvds_status status;
    /* What the system calls it. */
    const char *cause;
    int kind;
};

/* Of faults: met in the log alone, met only by what has been written, only where mounting is allowed, and not when a store is
 * opened that is there, as it has kept room for that. */
enum { LOG = 1, LATE = 2, MOUNTED = 4, RESERVED = 8 };

/* Writes, and does what meets the fault. */
static kvds_status use(struct book *book, const struct fault *fault)
{
    const kvds_status status = enter(book);
    if (status != KVDS_OK)
        return status;
    if (fault->use == BY_FLUSHING)
        return kvds_compact(book->store);
    /* Without a log, writing goes to memory alone. */
    return fault->use == BY_SYNCING || book->durability == KVDS_DURABILITY_NONE
               ? kvds_sync(book->store)
               : KVDS_OK;
}

static void must_say_why(const struct fault *fault, const char *base, const char *id)
{
    must(strstr(kvds_last_error(), "disk store \""));
    must(strstr(kvds_last_error(), id));
    must(strstr(kvds_last_error(), base));
    must(strstr(kvds_last_error(), fault->cause));
}

/* Writes until something fails, and sees that it goes on failing so many times, in the way that it should. */
static void meet(struct book *book, const struct fault *fault, size_t times)
{
    for (size_t i = 0; i < 100; i++)
        must_ok(enter(book));
    fault->break_it(book->base);
    kvds_status status = KVDS_OK;
    while (status == KVDS_OK)
        status = use(book, fault);
    must_answer(fault->status, status);
    must_say_why(fault, book->base, "ledger");
    for (size_t i = 0; i < times; i++)
        must_answer(fault->status, use(book, fault));
    must_say_why(fault, book->base, "ledger");
}

/*
 * The same handle works again, at once and not after a while, and has what it is to have, now and
 * later. How many calls have failed does not matter: the log in which syncing fails is one that has
 * something in it, and then one that is empty.
 */
static void live_through(struct book *book, const struct fault *fault)
{
    open_book(book);
    for (size_t times = 2; times <= 3; times++) {
        meet(book, fault, times);
        check_store(book, book->store, false);
        fault->mend_it(book->base);
        for (size_t i = 0; i < 100; i++)
            must_ok(enter(book));
        must_ok(kvds_sync(book->store));
        check_store(book, book->store, false);
    }
    close_book(book);
    open_book(book);
    check_store(book, book->store, false);
    close_book(book);
}

/*
 * A process that dies while the disk fails leaves what was acknowledged, too. What was refused may
 * be there then. It is another run of this program, as a child of a fork has none of RocksDB's
 * threads.
 */
static void die_of(struct book *book, const struct fault *fault)
{
    const struct text file = text_of("%d", book->file), name = text_of("%s", fault->name);
    const pid_t child = fork();
    must(child >= 0);
    if (child == 0)
        become_this_program((char *[]){ "faults", (char *)name.data, (char *)file.data, NULL });
    must(exit_status_of(child) == 128 + SIGKILL);
    fault->mend_it(book->base);
    open_book(book);
    check_store(book, book->store, true);
    must_ok(enter(book));
    close_book(book);
}

/* A book that other processes can have too. */
static struct book *map_book(int file)
{
    must(file >= 0 && ftruncate(file, sizeof(struct book)) == 0);
    struct book *book = mmap(NULL, sizeof *book, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    must(book != MAP_FAILED);
    book->file = file;
    return book;
}

_Noreturn static void die(const struct fault *fault, int file)
{
    struct book *book = map_book(file);
    open_book(book);
    meet(book, fault, 3);
    raise(SIGKILL);
    abort();
}

static void suffer(const struct fault *fault, kvds_durability durability,
                   void (*end)(struct book *, const struct fault *))
{
    const int file = memfd_create("book", 0);
    struct book *book = map_book(file);
    book->durability = durability;
    make_base(book->base);
    end(book, fault);
    remove_base(book->base);
    must(munmap(book, sizeof *book) == 0);
    must(close(file) == 0);
}

/* ---------------------------------------------------------------- the table */

#define INJECTED(name, calls, error, file) \
    static void name(const char *base) { break_disk(base, calls, error, file); }

INJECTED(fail_writing, WRITE, EIO, "")
INJECTED(fail_writing_the_log, WRITE, EIO, ".log")
INJECTED(fail_writing_tables, WRITE, EIO, ".sst")
INJECTED(fail_writing_the_list, WRITE, EIO, "MANIFEST")
INJECTED(fail_syncing, SYNC, EIO, "")
INJECTED(fail_syncing_the_log, SYNC, EIO, ".log")
INJECTED(fail_opening, OPEN, EIO, "")
INJECTED(exceed_quota, WRITE, EDQUOT, "")

static void tear(const char *base)
{
    break_disk(base, WRITE, ENOSPC, ".log");
    disk.torn = true;
}

static const struct fault faults[] = {
    { "full", fill, make_room, BY_WRITING, KVDS_NO_SPACE, "No space left on device",
      MOUNTED | RESERVED },
    { "read only", forbid_writing, allow_writing, BY_FLUSHING, KVDS_IO, "Read-only file system",
      MOUNTED },
    { "file size", limit_file_size, allow_any_file_size, BY_WRITING, KVDS_NO_SPACE,
      "File too large", LATE },
    { "no descriptors", take_descriptors, give_descriptors, BY_FLUSHING, KVDS_IO,
      "Too many open files", 0 },
    { "writing", fail_writing, mend_disk, BY_WRITING, KVDS_IO, "Input/output error", 0 },
    { "writing the log", fail_writing_the_log, mend_disk, BY_WRITING, KVDS_IO, "Input/output error",
      LOG | LATE },
    { "writing tables", fail_writing_tables, mend_disk, BY_FLUSHING, KVDS_IO, "Input/output error",
      LATE },
    { "writing the list", fail_writing_the_list, mend_disk, BY_FLUSHING, KVDS_IO,
      "Input/output error", 0 },
    { "syncing", fail_syncing, mend_disk, BY_SYNCING, KVDS_IO, "Input/output error", 0 },
    { "syncing the log", fail_syncing_the_log, mend_disk, BY_SYNCING, KVDS_IO, "Input/output error",
      LOG | LATE },
    { "opening", fail_opening, mend_disk, BY_FLUSHING, KVDS_IO, "Input/output error", 0 },
    { "a quota", exceed_quota, mend_disk, BY_WRITING, KVDS_NO_SPACE, "Disk quota exceeded", 0 },
    { "a torn write", tear, mend_disk, BY_WRITING, KVDS_NO_SPACE, "No space left on device",
      LOG | LATE },
};

/* Does something for each fault that can be had here, but for those of some kind. */
#define FOR_EACH_FAULT(fault, without) \
    for (const struct fault *fault = faults; fault < faults + COUNT_OF(faults); fault++) \
        if (!(fault->kind & ((without) | (can_mount ? 0 : MOUNTED))) && print(fault))

static bool print(const struct fault *fault)
{
    print_message("    %s\n", fault->name);
    return true;
}

static void the_same_handle_works_again(void **state)
{
    (void)state;
    FOR_EACH_FAULT(fault, 0)
    {
        suffer(fault, KVDS_DURABILITY_PROCESS, live_through);
        suffer(fault, KVDS_DURABILITY_SYNC, live_through);
        if (!(fault->kind & LOG))
            suffer(fault, KVDS_DURABILITY_NONE, live_through);
    }
}

static void death_while_the_disk_fails_loses_nothing(void **state)
{
    (void)state;
    FOR_EACH_FAULT(fault, 0)
    {
        suffer(fault, KVDS_DURABILITY_PROCESS, die_of);
        suffer(fault, KVDS_DURABILITY_SYNC, die_of);
    }
}

/* ------------------------------------------------------- emptying a full disk */

static uint64_t free_on(const char *base)
{
    struct statvfs about;
    must(statvfs(base, &about) == 0);
    return (uint64_t)about.f_bavail * about.f_frsize;
}

/* Keys are under two prefixes in turn. */
static struct text half_key(size_t number) { return text_of("%zu/%06zu", number % 2, number); }

static kvds_status set_half(kvds_store *store, size_t number)
{
    const struct text key = half_key(number);
    return kvds_set(store, key.data, key.len, value_of(number), VALUE_LEN);
}

/* Sets keys from `from` on until there is no more room. Returns the first that was refused. */
static size_t fill_store(kvds_store *store, size_t from)
{
    kvds_status status;
    while ((status = set_half(store, from)) == KVDS_OK)
        from++;
    must_answer(KVDS_NO_SPACE, status);
    must(strstr(kvds_last_error(), "No space left on device"));
    return from;
}

static void delete_one_by_one(kvds_store *store, size_t count)
{
    for (size_t i = 0; i < count; i += 2) {
        const struct text key = half_key(i);
        must_ok(kvds_del(store, key.data, key.len));
    }
}

static void delete_by_prefix(kvds_store *store, size_t count)
{
    (void)count;
    must_ok(kvds_delete_prefix(store, BYTES("0/")));
}

/*
 * A store that had filled its disk took in no deletions, could not be compacted, and two times of
 * three not be opened: with 12 of 60 MB free. RocksDB wants to write down what is in memory first,
 * and merge tables, which takes more. With `filled`, somebody else takes what is left.
 */
static void empty_a_full_disk(void (*delete_half)(kvds_store *, size_t), bool again, bool filled)
{
    const struct text size = text_of("size=%dm", field_is_full() ? 60 : 24);
    char base[PATH_MAX];
    make_directory(base);
    must(mount("tmpfs", base, "tmpfs", 0, size.data) == 0);
    const uint64_t whole = free_on(base);
    struct book book = { .durability = KVDS_DURABILITY_PROCESS };
    strcpy(book.base, base);
    open_book(&book);
    size_t count = fill_store(book.store, 0);
    /* It is not refused too early. */
    must(count * VALUE_LEN > whole / 4);
    if (filled)
        fill(base);
    if (again) {
        close_book(&book);
        open_book(&book);
    }
    count = fill_store(book.store, count);
    delete_half(book.store, count);
    must_ok(kvds_compact(book.store));
    must_ok(kvds_sync(book.store));
    if (filled)
        make_room(base);
    close_book(&book);
    open_book(&book);
    must_ok(kvds_compact(book.store));
    for (size_t i = 0; i < count; i++) {
        const struct text key = half_key(i);
        must_answer(i % 2 ? KVDS_OK : KVDS_NOT_FOUND, kvds_exists(book.store, key.data, key.len));
    }
    /* There is room for most of what was deleted. */
    must(fill_store(book.store, count) - count > count / 4);
    must_ok(kvds_delete_prefix(book.store, NULL, 0));
    must_ok(kvds_compact(book.store));
    must(free_on(base) > whole / 4 * 3);
    close_book(&book);
    must(umount(base) == 0);
    remove_directory(base);
}

static void a_full_disk_can_be_emptied(void **state)
{
    (void)state;
    if (!can_mount)
        skip();
    for (int variant = 0; variant < 8; variant++)
        empty_a_full_disk(variant & 1 ? delete_by_prefix : delete_one_by_one, variant & 2,
                          variant & 4);
}

/* What can't be opened fails with a status and leaves what was there, which is nothing but what it needs when it is new. */
static void open_meanwhile(const struct fault *fault)
{
    struct book book = { .durability = KVDS_DURABILITY_PROCESS };
    make_base(book.base);
    open_book(&book);
    for (size_t i = 0; i < 100; i++)
        must_ok(enter(&book));
    close_book(&book);

    char deep[PATH_MAX];
    path_of(deep, book.base, "made/for/it");
    kvds_distributor *distributor = kvds_distributor_new(book.base),
                     *below = kvds_distributor_new(deep);
    kvds_store *store;
    fault->break_it(book.base);
    must_answer(fault->status,
                kvds_distributor_get_or_create(distributor, "new", KVDS_DISK, &store));
    must_say_why(fault, book.base, "new");
    must_answer(fault->status, kvds_distributor_get_or_create(below, "new", KVDS_DISK, &store));
    must_say_why(fault, deep, "new");
    if (fault->kind & RESERVED) {
        must_ok(kvds_distributor_get_or_create(distributor, "ledger", KVDS_DISK, &store));
        check_store(&book, store, false);
        kvds_store_release(store);
    } else {
        must_answer(fault->status,
                    kvds_distributor_get_or_create(distributor, "ledger", KVDS_DISK, &store));
        must_say_why(fault, book.base, "ledger");
        must(store == NULL);
    }
    must(kvds_distributor_store_count(distributor) == 0);
    must(!is_there(PATH(book.base, "new")));
    must(!is_there(PATH(book.base, "made")));
    fault->mend_it(book.base);
    kvds_distributor_release(distributor);
    kvds_distributor_release(below);

    open_book(&book);
    check_store(&book, book.store, false);
    must_ok(enter(&book));
    close_book(&book);
    remove_base(book.base);
}

static void what_cannot_be_opened_is_left_as_it_was(void **state)
{
    (void)state;
    FOR_EACH_FAULT(fault, LATE) { open_meanwhile(fault); }
}

/* --------------------------------------------------- many writers, many faults */

enum { WRITERS = 4, ROUNDS = 4, EACH = 1 << 16 };

/* One of the writers, and what was answered about its keys. */
struct writer {
    kvds_store *store;
    const void *value;
    size_t number, count;
    bool acknowledged[EACH];
};

static atomic_size_t successes, failures;
static atomic_bool done;

static struct text key_of(size_t writer, size_t number)
{
    return text_of("%zu/%zu", writer, number);
}

static void *write_on(void *argument)
{
    struct writer *writer = argument;
    while (!done) {
        must(writer->count < EACH);
        const struct text key = key_of(writer->number, writer->count);
        const kvds_status status =
            kvds_set(writer->store, key.data, key.len, writer->value, VALUE_LEN);
        must(status == KVDS_OK || status == KVDS_IO);
        writer->acknowledged[writer->count++] = status == KVDS_OK;
        atomic_fetch_add(status == KVDS_OK ? &successes : &failures, 1);
    }
    return NULL;
}

static void wait_for_more(const atomic_size_t *count, size_t more)
{
    for (const size_t before = *count; *count < before + more;)
        usleep(1000);
}

/*
 * Errors come at any moment: while tables wait to be flushed, while writers wait for that, while
 * others resume. RocksDB can wait for ever then, with all writers behind it.
 */
static void writers_go_on_when_the_disk_does(void **state)
{
    static void (*const breaks[])(const char *) = { fail_writing, fail_writing_tables, fail_syncing,
                                                    fail_writing_the_list };
    const kvds_durability durabilities[] = { KVDS_DURABILITY_PROCESS, KVDS_DURABILITY_NONE };
    (void)state;
    for (size_t d = 0; d < COUNT_OF(durabilities); d++) {
        static struct writer writers[WRITERS];
        const void *value = value_of(0);
        char base[PATH_MAX];
        make_directory(base);
        kvds_distributor *distributor;
        kvds_options *options = kvds_options_new();
        must_ok(kvds_options_set_durability(options, durabilities[d]));
        must_ok(kvds_options_set_write_buffer_bytes(options, 1 << 20));
        must_ok(kvds_distributor_open(base, options, &distributor));
        kvds_options_free(options);
        kvds_store *store = open_store(distributor, "store", KVDS_DISK);
        pthread_t threads[WRITERS];
        done = false;
        for (size_t i = 0; i < WRITERS; i++) {
            writers[i] = (struct writer){ .store = store, .value = value, .number = i };
            threads[i] = start(write_on, &writers[i]);
        }
        for (size_t round = 0; round < ROUNDS; round++) {
            wait_for_more(&successes, 200);
            breaks[round % COUNT_OF(breaks)](base);
            wait_for_more(&failures, 2);
            mend_disk(base);
        }
        wait_for_more(&successes, 200);
        done = true;
        for (size_t i = 0; i < WRITERS; i++)
            join(threads[i]);
        must_ok(kvds_sync(store));
        kvds_store_release(store);
        store = open_store(distributor, "store", KVDS_DISK);
        for (size_t i = 0; i < WRITERS; i++)
            for (size_t number = 0; number < writers[i].count; number++) {
                const struct text key = key_of(i, number);
                must_answer(writers[i].acknowledged[number] ? KVDS_OK : KVDS_NOT_FOUND,
                            kvds_exists(store, key.data, key.len));
            }
        kvds_store_release(store);
        kvds_distributor_release(distributor);
        remove_directory(base);
    }
}

/* -------------------------------------------------------------------- memory */

/* The system has no more for this process than it has already, and a bit. */
static void limit_memory(size_t more)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    must(file && fscanf(file, "%zu", &pages) == 1 && fclose(file) == 0);
    limit(RLIMIT_AS, pages * (size_t)sysconf(_SC_PAGESIZE) + more);
}

static void a_value_that_memory_has_no_room_for(void **state)
{
    (void)state;
    if (getenv("KVDS_TEST_SCALE"))
        skip(); /* Valgrind needs its memory. */
    enum { BIG = 256 << 20, BIT = 64 << 20 };
    void *big = mmap(NULL, BIG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(big != MAP_FAILED);
    kvds_distributor *distributor = kvds_distributor_new(NULL);
    kvds_store *store = open_store(distributor, "store", KVDS_MEMORY);
    must_ok(kvds_set(store, BYTES("key"), BYTES("value")));
    limit_memory(BIT);
    const kvds_pair pairs[] = { { "a", 1, "1", 1 }, { "key", 3, big, BIG } };
    must_answer(KVDS_NO_MEMORY, kvds_set(store, BYTES("key"), big, BIG));
    must_answer(KVDS_NO_MEMORY, kvds_set_nx(store, BYTES("new"), big, BIG));
    must_answer(KVDS_NO_MEMORY,
                kvds_compare_and_swap(store, BYTES("key"), BYTES("value"), big, BIG));
    must_answer(KVDS_NO_MEMORY, kvds_set_batch(store, pairs, COUNT_OF(pairs)));
    must(strstr(kvds_last_error(), "memory store \"store\""));
    must(has(store, BYTES("key"), BYTES("value")));
    must_answer(KVDS_NOT_FOUND, kvds_exists(store, BYTES("new")));
    must_answer(KVDS_NOT_FOUND, kvds_exists(store, BYTES("a")));
    must_ok(kvds_set(store, BYTES("small"), BYTES("value")));
    limit(RLIMIT_AS, RLIM_INFINITY);
    must_ok(kvds_set(store, BYTES("key"), big, BIG));
    kvds_store_release(store);
    kvds_distributor_release(distributor);
    must(munmap(big, BIG) == 0);
}

int main(int count, char **arguments)
{
    signal(SIGXFSZ, SIG_IGN);
    if (count == 3)
        for (size_t i = 0; i < COUNT_OF(faults); i++)
            if (strcmp(faults[i].name, arguments[1]) == 0)
                die(&faults[i], atoi(arguments[2]));
    can_mount = may_mount();
    if (!can_mount)
        print_message("This process may not mount: a disk that is full and one that is read only "
                      "are left out.\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_handle_works_again),
        cmocka_unit_test(death_while_the_disk_fails_loses_nothing),
        cmocka_unit_test(a_full_disk_can_be_emptied),
        cmocka_unit_test(what_cannot_be_opened_is_left_as_it_was),
        cmocka_unit_test(writers_go_on_when_the_disk_does),
        cmocka_unit_test(a_value_that_memory_has_no_room_for),
    };
    return HAS_DISK ? cmocka_run_group_tests_name("faults", tests, NULL, NULL) : 0;
}
