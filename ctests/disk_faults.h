/*
 * Disk faults under a store. A program lists its faults in a table, and the tests of this header
 * run on each of them: a call fails with a status and a text, no acknowledged write is lost, no
 * refused write appears, and the store works again when the fault is gone.
 *
 * Programs that include this are linked with ctests/preload, which injects errors into calls.
 */

#ifndef DISK_FAULTS_H
#define DISK_FAULTS_H

#include "check.h"
#include "preload/preload.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

enum { VALUE_LEN = 4000, MAX_KEYS = 4096 };

/* A store, and which of its writes were acknowledged. Its keys are the numbers from 0 on. */
struct ledger {
    int file;
    char base[PATH_MAX];
    kvds_durability durability;
    kvds_distributor *distributor;
    kvds_store *store;
    size_t count;
    bool acknowledged[MAX_KEYS];
};

/* What reaches the fault: a write, or only the flush or the sync that follows it. */
enum trigger { WRITE, FLUSH, SYNC };

struct fault {
    const char *name;
    void (*inject)(const char *base);
    void (*remove)(const char *base);
    enum trigger trigger;
    /* What calls return, and the system's text for the cause. */
    kvds_status status;
    const char *cause;
    int flags;
};

/* Flags of faults. */
enum {
    LOG_ONLY = 1,    /* Not reached without a write-ahead log. */
    NOT_AT_OPEN = 2, /* Opening and creating stores does not reach it. */
    NEEDS_MOUNT = 4, /* Only for processes that may mount. */
    HAS_RESERVE = 8, /* An existing store opens anyway, as it has a reserve. */
};

/* The program's table. */
static const struct fault *faults;
static size_t fault_count;

static bool can_mount;

/*
 * Makes mounts private to this process, so that they end with it. False if that is not permitted.
 */
static bool make_mounts_private(void)
{
    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return false;
    return mount("none", "/", "none", MS_REC | MS_PRIVATE, "") == 0;
}

/* A directory, on a small disk of its own if that is permitted. */
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

static inline void set_limit(int resource, rlim_t limit)
{
    struct rlimit now;
    must(getrlimit(resource, &now) == 0);
    now.rlim_cur = limit < now.rlim_max ? limit : now.rlim_max;
    must(setrlimit(resource, &now) == 0);
}

/* Removes a fault that preload_fail injected. */
static inline void stop_failing(const char *base)
{
    (void)base;
    preload_heal();
}

/* Random bytes, as compressible values need less room on the disk. */
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

static void open_ledger(struct ledger *ledger)
{
    preload_below(ledger->base);
    kvds_options *options = kvds_options_new();
    must_ok(kvds_options_set_durability(options, ledger->durability));
    must_ok(kvds_distributor_open(ledger->base, options, &ledger->distributor));
    kvds_options_free(options);
    ledger->store = open_store(ledger->distributor, "ledger", KVDS_DISK);
}

static void close_ledger(struct ledger *ledger)
{
    must(kvds_store_release(ledger->store) == 0);
    must(kvds_distributor_release(ledger->distributor) == 0);
}

/* Sets the next key. */
static kvds_status write_next(struct ledger *ledger)
{
    must(ledger->count < MAX_KEYS);
    const size_t number = ledger->count++;
    const struct text key = text_of("%zu", number);
    const kvds_status status =
        kvds_set(ledger->store, key.data, key.len, value_of(number), VALUE_LEN);
    ledger->acknowledged[number] = status == KVDS_OK;
    return status;
}

static void write_some(struct ledger *ledger)
{
    for (size_t i = 0; i < 100; i++)
        must_ok(write_next(ledger));
}

/* Acknowledged writes are there. Refused ones are not, unless `refused_too` allows them. */
static void check_ledger(const struct ledger *ledger, kvds_store *store, bool refused_too)
{
    for (size_t i = 0; i < ledger->count; i++) {
        const struct text key = text_of("%zu", i);
        if (ledger->acknowledged[i])
            must(has(store, key.data, key.len, value_of(i), VALUE_LEN));
        else if (!refused_too)
            must_return(KVDS_NOT_FOUND, kvds_exists(store, key.data, key.len));
    }
}

/* Writes, and makes the call that reaches the fault. */
static kvds_status trigger(struct ledger *ledger, const struct fault *fault)
{
    const kvds_status status = write_next(ledger);
    if (status != KVDS_OK)
        return status;
    if (fault->trigger == FLUSH)
        return kvds_compact(ledger->store);
    /* Without a log, a write only changes memory. */
    return fault->trigger == SYNC || ledger->durability == KVDS_DURABILITY_NONE
               ? kvds_sync(ledger->store)
               : KVDS_OK;
}

/* The last error names the store, its directory and the cause. */
static void check_error(const struct fault *fault, const char *base, const char *id)
{
    must(strstr(kvds_last_error(), "disk store \""));
    must(strstr(kvds_last_error(), id));
    must(strstr(kvds_last_error(), base));
    must(strstr(kvds_last_error(), fault->cause));
}

/* Injects the fault and makes calls until one fails. The following `times` calls must fail too. */
static void fail_repeatedly(struct ledger *ledger, const struct fault *fault, size_t times)
{
    write_some(ledger);
    fault->inject(ledger->base);
    kvds_status status = KVDS_OK;
    while (status == KVDS_OK)
        status = trigger(ledger, fault);
    must_return(fault->status, status);
    check_error(fault, ledger->base, "ledger");
    for (size_t i = 0; i < times; i++)
        must_return(fault->status, trigger(ledger, fault));
    check_error(fault, ledger->base, "ledger");
}

/*
 * The handle works again as soon as the fault is gone, however many calls have failed. In the
 * second round the log that cannot be synced is empty; in the first one it is not.
 */
static void recover_in_place(struct ledger *ledger, const struct fault *fault)
{
    open_ledger(ledger);
    for (size_t times = 2; times <= 3; times++) {
        fail_repeatedly(ledger, fault, times);
        check_ledger(ledger, ledger->store, false);
        fault->remove(ledger->base);
        write_some(ledger);
        must_ok(kvds_sync(ledger->store));
        check_ledger(ledger, ledger->store, false);
    }
    close_ledger(ledger);
    open_ledger(ledger);
    check_ledger(ledger, ledger->store, false);
    close_ledger(ledger);
}

/*
 * A process that is killed during the fault leaves all acknowledged writes. It may leave refused
 * ones too. It is another run of this program, as a forked child has none of RocksDB's threads.
 */
static void recover_after_kill(struct ledger *ledger, const struct fault *fault)
{
    const struct text file = text_of("%d", ledger->file), name = text_of("%s", fault->name);
    const pid_t child = fork();
    must(child >= 0);
    if (child == 0)
        become_this_program((char *[]){ "killed", (char *)name.data, (char *)file.data, NULL });
    must(exit_status_of(child) == 128 + SIGKILL);
    fault->remove(ledger->base);
    open_ledger(ledger);
    check_ledger(ledger, ledger->store, true);
    must_ok(write_next(ledger));
    close_ledger(ledger);
}

/* A ledger in memory that processes share. */
static struct ledger *map_ledger(int file)
{
    must(file >= 0 && ftruncate(file, sizeof(struct ledger)) == 0);
    struct ledger *ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    must(ledger != MAP_FAILED);
    ledger->file = file;
    return ledger;
}

_Noreturn static void fail_and_be_killed(const struct fault *fault, int file)
{
    struct ledger *ledger = map_ledger(file);
    open_ledger(ledger);
    fail_repeatedly(ledger, fault, 3);
    raise(SIGKILL);
    abort();
}

static void with_ledger(const struct fault *fault, kvds_durability durability,
                        void (*run)(struct ledger *, const struct fault *))
{
    const int file = memfd_create("ledger", 0);
    struct ledger *ledger = map_ledger(file);
    ledger->durability = durability;
    make_base(ledger->base);
    run(ledger, fault);
    remove_base(ledger->base);
    must(munmap(ledger, sizeof *ledger) == 0);
    must(close(file) == 0);
}

/* Visits the faults of the table that this process can have and that have none of these flags. */
#define FOR_EACH_FAULT(fault, without) \
    for (const struct fault *fault = faults; fault < faults + fault_count; fault++) \
        if (!(fault->flags & ((without) | (can_mount ? 0 : NEEDS_MOUNT))) && print_name(fault))

static bool print_name(const struct fault *fault)
{
    print_message("    %s\n", fault->name);
    return true;
}

static void the_same_handle_works_again_after_the_fault(void **state)
{
    (void)state;
    FOR_EACH_FAULT(fault, 0)
    {
        with_ledger(fault, KVDS_DURABILITY_PROCESS, recover_in_place);
        with_ledger(fault, KVDS_DURABILITY_SYNC, recover_in_place);
        if (!(fault->flags & LOG_ONLY))
            with_ledger(fault, KVDS_DURABILITY_NONE, recover_in_place);
    }
}

static void a_kill_during_the_fault_loses_no_acknowledged_write(void **state)
{
    (void)state;
    FOR_EACH_FAULT(fault, 0)
    {
        with_ledger(fault, KVDS_DURABILITY_PROCESS, recover_after_kill);
        with_ledger(fault, KVDS_DURABILITY_SYNC, recover_after_kill);
    }
}

static void try_to_open(const struct fault *fault)
{
    struct ledger ledger = { .durability = KVDS_DURABILITY_PROCESS };
    make_base(ledger.base);
    open_ledger(&ledger);
    write_some(&ledger);
    close_ledger(&ledger);

    char deep[PATH_MAX];
    path_of(deep, ledger.base, "made/for/it");
    kvds_distributor *distributor = kvds_distributor_new(ledger.base),
                     *below = kvds_distributor_new(deep);
    kvds_store *store;
    fault->inject(ledger.base);
    must_return(fault->status,
                kvds_distributor_get_or_create(distributor, "new", KVDS_DISK, &store));
    check_error(fault, ledger.base, "new");
    must_return(fault->status, kvds_distributor_get_or_create(below, "new", KVDS_DISK, &store));
    check_error(fault, deep, "new");
    if (fault->flags & HAS_RESERVE) {
        must_ok(kvds_distributor_get_or_create(distributor, "ledger", KVDS_DISK, &store));
        check_ledger(&ledger, store, false);
        kvds_store_release(store);
    } else {
        must_return(fault->status,
                    kvds_distributor_get_or_create(distributor, "ledger", KVDS_DISK, &store));
        check_error(fault, ledger.base, "ledger");
        must(store == NULL);
    }
    must(kvds_distributor_store_count(distributor) == 0);
    must(!is_there(PATH(ledger.base, "new")));
    must(!is_there(PATH(ledger.base, "made")));
    fault->remove(ledger.base);
    kvds_distributor_release(distributor);
    kvds_distributor_release(below);

    open_ledger(&ledger);
    check_ledger(&ledger, ledger.store, false);
    must_ok(write_next(&ledger));
    close_ledger(&ledger);
    remove_base(ledger.base);
}

static void a_failed_open_leaves_files_and_directories_as_they_were(void **state)
{
    (void)state;
    FOR_EACH_FAULT(fault, NOT_AT_OPEN) { try_to_open(fault); }
}

#define FAULT_TESTS \
    cmocka_unit_test(the_same_handle_works_again_after_the_fault), \
        cmocka_unit_test(a_kill_during_the_fault_loses_no_acknowledged_write), \
        cmocka_unit_test(a_failed_open_leaves_files_and_directories_as_they_were)

/* To be called first by main. Does not return in the child of recover_after_kill. */
static void begin_fault_tests(const struct fault *table, size_t count, int argument_count,
                              char **arguments)
{
    faults = table;
    fault_count = count;
    if (argument_count == 3)
        for (size_t i = 0; i < fault_count; i++)
            if (strcmp(faults[i].name, arguments[1]) == 0)
                fail_and_be_killed(&faults[i], atoi(arguments[2]));
    can_mount = make_mounts_private();
    if (!can_mount)
        print_message("This process may not mount: faults that need a mount are left out.\n");
}

#endif
