/*
 * kvds: a key-value store library. One C interface to ordered stores in memory and on disk (RocksDB).
 *
 * Made from the library's source by `make header`; changes belong there.
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A program asks a distributor for a store by name and gets one shared, counted handle:
 *
 *     kvds_distributor *d = kvds_distributor_new("/var/lib/app");
 *     kvds_store *s;
 *     if (kvds_distributor_get_or_create(d, "users", KVDS_DISK, &s) != KVDS_OK ||
 *         kvds_set(s, "ada", 3, "1815", 4) != KVDS_OK)
 *         fprintf(stderr, "%s\n", kvds_last_error());
 *     kvds_store_release(s);
 *     kvds_distributor_release(d);
 *
 * What holds for every function, unless it says otherwise:
 *
 * Statuses. Zero is yes, a positive number a plain "no" with nothing broken, a negative number a failure, whose text
 * kvds_last_error() has. The same call on the same data gives the same status on every backend. KVDS_INTERNAL can come
 * from any function and means a bug in the library; it is not named with each.
 *
 * Bytes. Keys, values and prefixes are bytes with a length, may contain zeros and may be empty; a pointer may be NULL when
 * its length is 0. Keys are ordered as memcmp orders them. All lengths and sizes are in bytes. Ids and paths are text that
 * is UTF-8 and ends with a NUL; the id of a memory store may be any bytes before the NUL.
 *
 * Pointers. Inputs are copied or used up before the call returns; nothing borrowed from the caller is kept. Outputs are
 * emptied (NULL or 0) before anything can fail, so freeing an output after a failed call is harmless; what was in them is
 * not released. NULL for a handle or an output that is required is KVDS_INVALID_ARGUMENT, or NULL, 0 or nothing done where
 * no status is returned. Releasing NULL does nothing. A pointer that is not NULL must point to what its type says, for the
 * whole length that comes with it. A handle must not be used after its last release; where that can be told, the answer is
 * KVDS_INVALID_ARGUMENT.
 *
 * Numbers. A number out of the range of its constants is KVDS_INVALID_ARGUMENT. Switches and answers of callbacks are int,
 * 0 for no.
 *
 * Threads. All calls on stores and distributors are safe at the same time, from any thread; a const handle says so again.
 * Options, batches and cursors belong to one thread at a time. Every write is atomic and linearizable with every other call
 * on the store. Only a destructor of pthread_key_create is too late for calls on disk stores, as RocksDB's own may have run
 * before it. The library's own threads block all signals. Four serve all stores of a process: two flush and compact, one
 * syncs, one calls back for the log. Where one of them cannot be started, opening a disk store returns KVDS_IO. Others help to
 * sync while stores are written, if the system allows.
 *
 * Stacks. A thread that calls the library needs 80 KiB of stack for the calls, beside what the program's own
 * functions and callbacks take.
 *
 * Cancellation. A thread must not be cancelled (pthread_cancel) inside a call on a disk store: the process
 * aborts then, and nothing acknowledged is lost. Disable it around calls (pthread_setcancelstate), which the
 * library does not, as that takes longer than some calls.
 *
 * Standard streams. A program may close them at any time: no file of the library gets descriptor 0, 1 or 2.
 *
 * Callbacks. They run with no lock of the library held and may call any function of it. Calls that wait for others (kvds_close,
 * kvds_distributor_shutdown, kvds_distributor_unobserve, kvds_set_log_callback) don't wait when they are made inside a
 * callback, as they could be waiting for themselves. A callback must return: no C++ exception, longjmp or pthread_exit may leave it.
 *
 * fork(). In the child, calls on disk stores that came through the fork answer KVDS_FORKED and releasing them touches no
 * file; open them anew with a distributor of the child. Memory stores go on as a copy of their own. As with malloc's locks
 * in many systems, this holds if no other thread was inside a call of the library when the process forked. exec() needs no
 * care.
 *
 * Memory. A value that there is no memory for is KVDS_NO_MEMORY. When memory runs out for the small things, or inside
 * RocksDB, the process ends, as in most programs.
 *
 * The end. A program may leave with stores open, also while threads use them: nothing acknowledged is lost. Only with the
 * static library of cargo, which is not the one that is installed, RocksDB's destructors run at exit, so stores should be
 * released before. The library may be loaded with dlopen; it stays loaded after dlclose.
 */

#ifndef KVDS_H
#define KVDS_H

#include <stddef.h>
#include <stdint.h>

/**
 * The memory of a table of which nothing is used yet is taken in blocks of this size, in bytes.
 */
#define BLOCK (16 << 10)

/**
 * The version of the library that this header belongs to: changes that break programs.
 */
#define KVDS_VERSION_MAJOR 0

/**
 * The version of the library that this header belongs to: additions.
 */
#define KVDS_VERSION_MINOR 1

/**
 * The version of the library that this header belongs to: repairs.
 */
#define KVDS_VERSION_PATCH 0

/**
 * The longest key and prefix, in bytes: 64 KiB. A longer one is `KVDS_INVALID_ARGUMENT`.
 */
#define KVDS_MAX_KEY_LEN 65536

/**
 * The longest value, in bytes: 1 GiB. A longer one is `KVDS_INVALID_ARGUMENT`.
 */
#define KVDS_MAX_VALUE_LEN 1073741824

/**
 * The view may be read.
 */
#define KVDS_VIEW_READ 1

/**
 * The view may be written: sets, dels, batches and conditional writes, which tell whether a key is there.
 */
#define KVDS_VIEW_WRITE 2

/**
 * Operations, and expectations of what is there before them, for `kvds_write` to apply in one step. It keeps copies of its
 * keys and values. To be used by one thread at a time. Not tied to a store, and not used up by a write.
 */
typedef struct kvds_batch kvds_batch;

/**
 * A movable position in a range of keys, over one moment: it sees no write made after it was made. To be used by one
 * thread at a time, any thread. It needs its store no more: that may be written, closed and released meanwhile; the files
 * of a disk store stay open as long as the cursor lives.
 */
typedef struct kvds_cursor kvds_cursor;

/**
 * Hands out stores by name. A counted reference: `kvds_distributor_retain` and `kvds_distributor_release` count. All calls
 * on it are safe at the same time.
 */
typedef struct kvds_distributor kvds_distributor;

/**
 * Settings for `kvds_distributor_open`, each at its default until it is set. To be used by one thread at a time. A
 * distributor copies what it needs, so the options may be changed, used again or freed after opening.
 */
typedef struct kvds_options kvds_options;

/**
 * A store. A counted reference: `kvds_store_retain` and `kvds_store_release` count, and when the last reference goes, the
 * store is closed and its death is observed. All calls on it are safe at the same time.
 */
typedef struct kvds_store kvds_store;

/**
 * What a call answers. Zero is yes, a positive number a plain "no" with nothing broken, a negative number a failure, of
 * which `kvds_last_error` has the text.
 */
typedef int32_t kvds_status;

/**
 * A value that a call gave. Its address has no particular alignment, so copy numbers and structs out of it
 * with memcpy. Read-only, valid until `kvds_value_release`, whatever happens to the key or to the store
 * meanwhile. Any thread may read and release it, one at a time. Do not copy the struct and release both.
 */
typedef struct kvds_value {
    /**
     * The first byte; not NULL after `KVDS_OK`, also when `len` is 0. No NUL follows the bytes.
     */
    const void *data;
    /**
     * How many bytes.
     */
    size_t len;
    /**
     * The library's own.
     */
    void *owner;
} kvds_value;

/**
 * What a write that was acknowledged survives; see `kvds_options_set_durability`.
 */
typedef int32_t kvds_durability;

/**
 * How tables are compressed; see `kvds_options_set_compression`.
 */
typedef int32_t kvds_compression;

/**
 * Where a store keeps its data: `KVDS_MEMORY` or `KVDS_DISK`. The number 2 is kept for a remote engine.
 */
typedef int32_t kvds_backend;

/**
 * Is shown live stores. `id` is valid during the call only. Answers 0 to stop and anything else to go on. It may call any
 * function of this library. It must not throw, longjmp or unwind out.
 */
typedef int (*kvds_store_visit)(void *user_data,
                                const char *id,
                                kvds_backend backend,
                                uint64_t tag,
                                int64_t ref_count);

/**
 * Is told that a store died. `id` is valid during the call only. It may call any function of this library, also
 * `kvds_distributor_get_or_create` of the same id. It must not throw, longjmp or unwind out.
 */
typedef void (*kvds_death)(void *user_data, uint64_t tag, const char *id, kvds_backend backend);

/**
 * Frees what a callback was given as `user_data`. May call any function of this library.
 */
typedef void (*kvds_user_data_free)(void *user_data);

/**
 * Bytes that the caller owns, such as a key.
 */
typedef struct kvds_bytes {
    /**
     * The first byte. May be NULL when `len` is 0.
     */
    const void *data;
    /**
     * How many bytes.
     */
    size_t len;
} kvds_bytes;

/**
 * Is shown pairs. The pointers are valid during the call only. Answers 0 to stop and anything else to go on. It may call
 * any function of this library, on the store that is being iterated too. It must not throw, longjmp or unwind out.
 */
typedef int (*kvds_visit)(void *user_data,
                          const void *key,
                          size_t key_len,
                          const void *value,
                          size_t value_len);

/**
 * A key and its value, both owned by the caller.
 */
typedef struct kvds_pair {
    /**
     * The key. May be NULL when `key_len` is 0.
     */
    const void *key;
    /**
     * The key's length in bytes.
     */
    size_t key_len;
    /**
     * The value. May be NULL when `value_len` is 0.
     */
    const void *value;
    /**
     * The value's length in bytes.
     */
    size_t value_len;
} kvds_pair;

/**
 * Which keys a cursor goes over: those that begin with `prefix`, are not less than `start` and are less than `end`. All
 * zeros is every key.
 */
typedef struct kvds_range {
    /**
     * What the keys begin with. May be NULL when `prefix_len` is 0.
     */
    const void *prefix;
    /**
     * The prefix's length in bytes; 0 for any key.
     */
    size_t prefix_len;
    /**
     * The first key. May be NULL when `start_len` is 0.
     */
    const void *start;
    /**
     * The first key's length in bytes; 0 for no lower bound.
     */
    size_t start_len;
    /**
     * The first key that does not belong to the range any more. May be NULL when `end_len` is 0.
     */
    const void *end;
    /**
     * That key's length in bytes; 0 for no upper bound.
     */
    size_t end_len;
} kvds_range;

/**
 * Figures of a store; for a view, of the store that it is a view of.
 */
typedef struct kvds_stats {
    /**
     * How many keys there are; on disk an estimate.
     */
    uint64_t keys;
    /**
     * How many bytes its keys and values have; on disk an estimate.
     */
    uint64_t bytes;
    /**
     * How many keys were looked up since the store was opened.
     */
    uint64_t reads;
    /**
     * How many operations were written since the store was opened.
     */
    uint64_t writes;
    /**
     * How many of the keys that were looked up were there.
     */
    uint64_t hits;
    /**
     * How many bytes its files have; 0 in memory.
     */
    uint64_t disk_bytes;
    /**
     * How many bytes of memory it holds: in memory by the rules of `memory_limit_bytes`, on disk without the block cache.
     */
    uint64_t memory_bytes;
} kvds_stats;

/**
 * How important a line of the log is: one of the four that follow.
 */
typedef int32_t kvds_log_level;

/**
 * Is told what goes on. `text` is one message, UTF-8, valid during the call only. It may call any function of this library.
 */
typedef void (*kvds_log)(void *user_data, kvds_log_level level, const char *text);

/**
 * Done.
 */
#define KVDS_OK 0

/**
 * The key (or store) is not there.
 */
#define KVDS_NOT_FOUND 1

/**
 * The key is already there; nothing was changed.
 */
#define KVDS_EXISTS 2

/**
 * A compared value differs; nothing was changed.
 */
#define KVDS_MISMATCH 3

/**
 * The callback ended the iteration.
 */
#define KVDS_STOPPED 4

/**
 * The caller's buffer is too small; nothing was copied, the needed length is reported.
 */
#define KVDS_TRUNCATED 5

/**
 * The call is wrong: mend it. The text says which argument and what is allowed.
 */
#define KVDS_INVALID_ARGUMENT -1

/**
 * The store or distributor was closed.
 */
#define KVDS_CLOSED -2

/**
 * This view does not allow the operation.
 */
#define KVDS_DENIED -3

/**
 * Another process, or another distributor of this one, has this disk store open.
 */
#define KVDS_LOCKED -4

/**
 * The file system failed. Nothing acknowledged was lost. A disk store works again, with the same handle, when the file system
 * does: each call that writes tries.
 */
#define KVDS_IO -5

/**
 * The disk is full, or a quota or the limit of file sizes is reached (`SIGXFSZ`, which the system then sends, is for the program
 * to ignore). Nothing acknowledged was lost. Try again after making room: the same handle works again; if it goes on, there is
 * not enough of it for what was written last, which is in memory.
 */
#define KVDS_NO_SPACE -6

/**
 * Stored bytes do not check out.
 */
#define KVDS_CORRUPTION -7

/**
 * An allocation or a configured memory limit failed.
 */
#define KVDS_NO_MEMORY -8

/**
 * This backend or build cannot do it.
 */
#define KVDS_UNSUPPORTED -9

/**
 * Try again later.
 */
#define KVDS_BUSY -10

/**
 * A write to a remote engine may or may not have happened. The library never tries it again by itself.
 */
#define KVDS_UNKNOWN_OUTCOME -11

/**
 * The handle came through fork(): open the store anew in this process.
 */
#define KVDS_FORKED -12

/**
 * A bug of the library was caught at its boundary. The process and the store are intact; please report it.
 */
#define KVDS_INTERNAL -13

/**
 * In the memory of the process: fast, and gone with the store's last reference.
 */
#define KVDS_MEMORY 0

/**
 * In a directory under the distributor's base path.
 */
#define KVDS_DISK 1

/**
 * Something failed.
 */
#define KVDS_LOG_ERROR 0

/**
 * Something is not as it should be.
 */
#define KVDS_LOG_WARN 1

/**
 * Something happened.
 */
#define KVDS_LOG_INFO 2

/**
 * Details.
 */
#define KVDS_LOG_DEBUG 3

/**
 * The death of the process at once; a power cut after at most a second, as the log is synced in the background and when the
 * store is closed. What a process leaves behind unsynced when it dies, the system writes in its own time.
 */
#define KVDS_DURABILITY_PROCESS 0

/**
 * A power cut at once. Concurrent writers share a sync.
 */
#define KVDS_DURABILITY_SYNC 1

/**
 * A clean close or `kvds_sync` only.
 */
#define KVDS_DURABILITY_NONE 2

/**
 * Not at all.
 */
#define KVDS_COMPRESSION_NONE 0

/**
 * LZ4: fast.
 */
#define KVDS_COMPRESSION_LZ4 1

/**
 * Zstandard: small.
 */
#define KVDS_COMPRESSION_ZSTD 2

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that is running, as text ("0.1.0"). Compare it with the macros to see whether the program
 * runs with the library it was compiled for. The text is static. Threads: any.
 */
const char *kvds_version(void);

/**
 * The name of a status as the constant is spelt, such as "KVDS_NOT_FOUND"; "KVDS_?" for a number that is none. The text is
 * static, never NULL. Threads: any.
 */
const char *kvds_status_name(kvds_status status);

/**
 * The text of the last failure on the calling thread, in English: the function, the store, what is wrong, the path and the
 * cause, as far as there are such. Meaningful after a negative status or a NULL that stands for a failure. Valid until the
 * next failing call on the same thread; a call that succeeds, or says a plain "no", leaves it alone. Never NULL; empty
 * before the first failure. Threads: any, each has its own.
 */
const char *kvds_last_error(void);

/**
 * Gives back a value and empties the struct. Releasing an empty one, or NULL, does nothing, so it may be called again.
 * A value that was not released keeps its bytes in memory, and on disk may keep the store's files open. Threads: any, one at
 * a time on one value.
 */
void kvds_value_release(struct kvds_value *value);

/**
 * Options at their defaults; to be freed with `kvds_options_free`. NULL only if the library has a bug. Threads: any.
 */
struct kvds_options *kvds_options_new(void);

/**
 * Frees options. NULL does nothing. Threads: any, when no other uses them.
 */
void kvds_options_free(struct kvds_options *options);

/**
 * Sets the option called `name` from text, for other languages and configuration files. The names are those of the setters
 * behind `kvds_options_set_`. A switch takes "1", "true", "on" or "yes", and "0", "false", "off" or "no"; bytes may have K,
 * M, G or T behind the number, for KiB and so on; a choice takes its name or its number.
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for a NULL, an unknown name or a value that the option does not take; the
 * text then says what there is, and nothing is changed. Inputs are copied. Threads: one at a time on one object.
 */
kvds_status kvds_options_set(struct kvds_options *options,
                             const char *name,
                             const char *value);

/**
 * What a write that answered `KVDS_OK` to a disk store survives: one of `KVDS_DURABILITY_PROCESS` (the default),
 * `KVDS_DURABILITY_SYNC` and `KVDS_DURABILITY_NONE`. By name: "process", "sync" or "none".
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
 * on one object.
 */
kvds_status kvds_options_set_durability(struct kvds_options *options,
                                        kvds_durability durability);

/**
 * How much memory all disk stores of the distributor together use for what was read: one half for blocks, with their indexes
 * and filters, the other for single values that are read often. It is taken as it is needed. In bytes, from 1 MiB to 1 TiB;
 * the default is 256 MiB (268435456).
 *
 * All memory of a distributor's disk stores, while they are written to, stays within the block cache, one and a half times
 * the write buffers, and 64 MiB.
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
 * on one object.
 */
kvds_status kvds_options_set_block_cache_bytes(struct kvds_options *options,
                                               uint64_t bytes);

/**
 * How much memory all disk stores of the distributor together use for writes that are in the log, but not in a table file
 * yet. In bytes, from 1 MiB to 1 TiB; the default is 128 MiB (134217728).
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
 * on one object.
 */
kvds_status kvds_options_set_write_buffer_bytes(struct kvds_options *options,
                                                uint64_t bytes);

/**
 * How much all memory stores of the distributor together may hold: keys, values, about 96 bytes for each pair, and what is
 * kept for snapshots. A write beyond it answers `KVDS_NO_MEMORY` and changes nothing; nothing is thrown out, and removing
 * is always possible. In bytes, to 2^63 - 1; 0, the default, is no limit.
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
 * on one object.
 */
kvds_status kvds_options_set_memory_limit_bytes(struct kvds_options *options,
                                                uint64_t bytes);

/**
 * How the tables of disk stores are compressed: one of `KVDS_COMPRESSION_NONE`, `KVDS_COMPRESSION_LZ4` (the default) and
 * `KVDS_COMPRESSION_ZSTD`. What was written with another setting stays readable. By name: "none", "lz4" or "zstd".
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
 * on one object.
 */
kvds_status kvds_options_set_compression(struct kvds_options *options,
                                         kvds_compression compression);

/**
 * Whether disk stores are opened for reading only: 0 (the default) or 1. A store can so be read while another process writes
 * it. It shows the moment of its opening, or of the last `kvds_refresh`; writing answers `KVDS_DENIED`. A store that is not
 * there is not made: `KVDS_NOT_FOUND`, also for memory stores, as an empty one could only stay empty. Opening
 * answers `KVDS_BUSY` if the other process writes too fast for it.
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
 * on one object.
 */
kvds_status kvds_options_set_read_only(struct kvds_options *options,
                                       int read_only);

/**
 * Whether `kvds_distributor_get_or_create` makes a store that is not there: 0 or 1 (the default). With 0 it answers
 * `KVDS_NOT_FOUND`; a memory store is there only while it is live, so none is ever made.
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
 * on one object.
 */
kvds_status kvds_options_set_create_if_missing(struct kvds_options *options,
                                               int create);

/**
 * Whether the distributor holds one reference to each store it made, until `kvds_distributor_evict`, shutdown or its own
 * end: a memory store then outlives the program's last reference to it. 0 (the default) or 1.
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
 * on one object.
 */
kvds_status kvds_options_set_keep_stores(struct kvds_options *options,
                                         int keep);

/**
 * How many files each disk store keeps open at most, from 16 to 1048576, or -1 for all; the default is 500. A store whose
 * files are more opens and closes them as it reads.
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for NULL or another number; nothing is changed then. Threads: one at a time
 * on one object.
 */
kvds_status kvds_options_set_max_open_files(struct kvds_options *options,
                                            int64_t files);

/**
 * A distributor with default options, with one reference, which the caller owns.
 *
 * `base_path` is the directory under which disk stores have theirs; it is made when the first disk store is. A relative
 * path counts from the working directory of this moment. With NULL or "" there are memory stores only.
 *
 * Returns NULL on failure; `kvds_last_error` says why. Threads: any.
 */
struct kvds_distributor *kvds_distributor_new(const char *base_path);

/**
 * `kvds_distributor_new` with options and a status. `options` may be NULL for the defaults, and is copied.
 *
 * `*out` becomes a reference that the caller owns, or NULL. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` if `out` is NULL or
 * the path is not UTF-8; `KVDS_IO` if a relative path cannot be resolved. Threads: any.
 */
kvds_status kvds_distributor_open(const char *base_path,
                                  const struct kvds_options *options,
                                  struct kvds_distributor **out);

/**
 * One more reference to `distributor`, which is returned; NULL for NULL. Threads: any.
 */
struct kvds_distributor *kvds_distributor_retain(struct kvds_distributor *distributor);

/**
 * Gives up a reference. Returns how many are left; 0 for NULL.
 *
 * At 0 the distributor is gone, and with it the references that it held by the option `keep_stores`. Stores that the
 * program still holds go on, and their deaths are still observed. Threads: any.
 */
int64_t kvds_distributor_release(struct kvds_distributor *distributor);

/**
 * How many references there are; 0 for NULL. Of use for tests and logs: other threads may change it at any time.
 */
int64_t kvds_distributor_ref_count(const struct kvds_distributor *distributor);

/**
 * The live store called `id` on `backend`, made if there is none. However many threads ask at once, all get the same.
 *
 * Memory and disk stores have separate names. The id of a memory store is any bytes, 1 to 65536 of them. The id of a
 * disk store is UTF-8 and not empty; the store lives in the directory `base_path/NAME`, where NAME is the id with every
 * byte outside `A-Z a-z 0-9 . _ -` percent-encoded (`.` and `..` too), 255 bytes at most. If NAME is not there, but a
 * store lies under the plain id below `base_path` (`base_path/a b` for `a b`, `base_path/a/b` for `a/b`), as programs
 * that do not encode ids leave it, that store is opened; `kvds_store_open` opens any other.
 *
 * The directory and those above it are created if they are missing; a creation that fails leaves none behind. A
 * directory without a store is refused if it holds a file whose name is one of a store's, such as `000001.log`, and
 * nothing in it is touched; other files (a README, `.gitkeep`, `lost+found`) are not in the way and stay.
 *
 * One process at a time has a disk store open, by locks on the directory (`flock`) and on the file
 * `LOCK` in it (`fcntl`). They hold whatever the process does with these files: it may read or remove
 * `LOCK`. Readers (`read_only`) take no locks. Where the file system or the system refuses either
 * lock, the call returns `KVDS_IO`, and no store is made. On NFS, other machines heed the lock on
 * `LOCK` alone, so it must not be removed there.
 *
 * Ids that differ only in case are one directory on file systems that ignore case. Opening the second
 * then returns `KVDS_LOCKED`, as for any two names of one directory.
 *
 * A directory that is moved, removed or replaced while its store is open is left alone from then on,
 * and so is a new store in its place: writes and `kvds_sync` return `KVDS_IO` as soon as they need the
 * directory, at the latest when the write buffer is full. Reads go on. Writes go on when the directory
 * is moved back.
 *
 * Directories have the mode 0777 and files 0644, both less the umask. Another user reads the store
 * (`read_only`) if the mode and the directories above allow that. Only the owner of the files writes.
 *
 * `*out` becomes a new reference, which the caller owns and gives back with `kvds_store_release`, or NULL. If a disk
 * store of this name is just being closed, the call waits for that. Answers `KVDS_OK`; `KVDS_NOT_FOUND` if the store
 * is not there and the options say not to make it (`create_if_missing`, `read_only`); `KVDS_INVALID_ARGUMENT` for a
 * NULL, a bad id or backend, a disk store without a base path, a directory with files of others, or stores both under
 * NAME and under the plain id; `KVDS_CLOSED` after shutdown; `KVDS_LOCKED` if another process or distributor has the
 * store open; `KVDS_IO` (the text names the path that stands in the way, and where a link points), `KVDS_NO_SPACE`,
 * `KVDS_CORRUPTION` from opening the files; `KVDS_IO` also if the system allows no more threads; `KVDS_BUSY` with the
 * option `read_only` beside a writer that is too fast;
 * `KVDS_UNSUPPORTED` for a disk store in a build without them; `KVDS_FORKED` for a disk store if the distributor came
 * through fork(). Threads: any.
 */
kvds_status kvds_distributor_get_or_create(const struct kvds_distributor *distributor,
                                           const char *id,
                                           kvds_backend backend,
                                           struct kvds_store **out);

/**
 * The live store called `id` on `backend`, if there is one; `KVDS_NOT_FOUND` if not, also when its files are on disk.
 *
 * `*out` becomes a new reference, which the caller owns, or NULL. Fails as `kvds_distributor_get_or_create` does, but
 * opens nothing. Threads: any.
 */
kvds_status kvds_distributor_get(const struct kvds_distributor *distributor,
                                 const char *id,
                                 kvds_backend backend,
                                 struct kvds_store **out);

/**
 * Gives up the reference that the distributor holds to a store by the option `keep_stores`. If it was the last one, the
 * store is closed and dies before this returns.
 *
 * Answers `KVDS_OK`; `KVDS_NOT_FOUND` if the distributor holds none; `KVDS_INVALID_ARGUMENT`, `KVDS_UNSUPPORTED` and
 * `KVDS_FORKED` as `kvds_distributor_get_or_create` does. Threads: any.
 */
kvds_status kvds_distributor_evict(const struct kvds_distributor *distributor,
                                   const char *id,
                                   kvds_backend backend);

/**
 * Removes the files of the disk store called `id`, for good. The store is found as `kvds_distributor_get_or_create` finds it.
 * Files of others stay, and then their directory.
 *
 * Answers `KVDS_OK`; `KVDS_NOT_FOUND` if there are no files; `KVDS_BUSY` while the store is live, or something it handed
 * out is; `KVDS_LOCKED` if another process or distributor has it open; `KVDS_CLOSED` after shutdown; `KVDS_DENIED`
 * with the option `read_only`; `KVDS_IO` if the files cannot be removed; `KVDS_INVALID_ARGUMENT`, `KVDS_UNSUPPORTED` and `KVDS_FORKED` as `kvds_distributor_get_or_create`
 * does. Threads: any; who asks for the store meanwhile waits, and gets a new, empty one.
 */
kvds_status kvds_distributor_destroy_store(const struct kvds_distributor *distributor,
                                           const char *id);

/**
 * Closes every live store as `kvds_close` does, gives up the references held by the option `keep_stores`, and from then on
 * answers `KVDS_CLOSED` to whoever asks for a store. The references that the program holds must still be released.
 *
 * Answers `KVDS_OK`, also the second time; `KVDS_INVALID_ARGUMENT` for NULL. Threads: any. From inside a callback it does
 * not wait for running calls.
 */
kvds_status kvds_distributor_shutdown(const struct kvds_distributor *distributor);

/**
 * How many live stores the distributor has, of both backends; 0 for NULL. Threads: any.
 */
size_t kvds_distributor_store_count(const struct kvds_distributor *distributor);

/**
 * Shows every live store to `callback`: memory stores first, then by the name of their directory. Stores that come or go
 * meanwhile may or may not be shown.
 *
 * Answers `KVDS_OK`, or `KVDS_STOPPED` if the callback ended it; `KVDS_INVALID_ARGUMENT` for a NULL. Threads: any.
 */
kvds_status kvds_distributor_for_each(const struct kvds_distributor *distributor,
                                      kvds_store_visit callback,
                                      void *user_data);

/**
 * Has `on_death` called when a store of `distributor` dies: once per store, on the thread that released it last, after its
 * resources are freed and its name is free again, and with no lock of the library held.
 *
 * `user_data` is passed to each call. `user_data_free`, if not NULL, is called with it exactly once: when the observer is
 * taken away, or when the distributor and all its stores are gone, or at once if this call fails.
 * `*observer_id` becomes a number for `kvds_distributor_unobserve`, unique in the distributor.
 *
 * Answers `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` for a NULL. Threads: any; calls of one observer may overlap.
 */
kvds_status kvds_distributor_observe(const struct kvds_distributor *distributor,
                                     kvds_death on_death,
                                     void *user_data,
                                     kvds_user_data_free user_data_free,
                                     uint64_t *observer_id);

/**
 * Takes an observer away. When this returns, no call of it is running or will come, and its `user_data_free` has run.
 *
 * Only from inside a callback, calls that are still running, further down on this thread or on others, are not waited for,
 * as they could be waiting in turn; `user_data_free` then runs when the last of them ends.
 *
 * Answers `KVDS_OK`; `KVDS_NOT_FOUND` if there is no such observer; `KVDS_INVALID_ARGUMENT` for NULL. Threads: any.
 */
kvds_status kvds_distributor_unobserve(const struct kvds_distributor *distributor,
                                       uint64_t observer_id);

/**
 * Opens the disk store in exactly the directory `path`, without a distributor and without encoding.
 *
 * The store and the directories above it are created if they are missing, unless the options say otherwise. A relative
 * path counts from the working directory at the time of the call. `options` may be NULL for the defaults, and is
 * copied. The cache and the write buffers belong to this store alone; `keep_stores` and `memory_limit_bytes` have no
 * effect. The id of the store is `path` as it was passed, its tag is 0, and its backend is `KVDS_DISK`.
 *
 * `*store` becomes a reference, which the caller owns and gives back with `kvds_store_release`, or NULL. Returns
 * `KVDS_OK`; `KVDS_NOT_FOUND` if there is no store and the options say not to create it (`create_if_missing`,
 * `read_only`); `KVDS_LOCKED` if the store is open in another process or in this one, through a distributor too, or
 * if something that it handed out still keeps it open; `KVDS_INVALID_ARGUMENT` if `path` or `store` is NULL, if the
 * path is empty or not UTF-8, or if the directory holds files of others that a store would take for its own; `KVDS_IO`
 * (the text names the path that stands in the way, and where a link points), `KVDS_NO_SPACE`, `KVDS_CORRUPTION` from
 * opening the files; `KVDS_BUSY` with the option `read_only` beside a writer that is too fast;
 * `KVDS_UNSUPPORTED` in a build without disk stores. Threads: any.
 */
kvds_status kvds_store_open(const char *path,
                            const struct kvds_options *options,
                            struct kvds_store **store);

/**
 * One more reference to `store`, which is returned; NULL for NULL. Threads: any.
 */
struct kvds_store *kvds_store_retain(struct kvds_store *store);

/**
 * Gives up a reference. Returns how many are left; 0 for NULL.
 *
 * At 0 the store is closed and its death has been observed when this returns. Values that it gave stay valid; what is
 * still in use (a value, an iteration of which this is called in a callback) keeps the files open until it ends. A memory
 * store's data is gone; a disk store's can be opened again. Threads: any.
 */
int64_t kvds_store_release(struct kvds_store *store);

/**
 * How many references there are; 0 for NULL. Of use for tests and logs: other threads may change it at any time.
 */
int64_t kvds_store_ref_count(const struct kvds_store *store);

/**
 * The number of the store: unique in its distributor, counting from 0 in order of creation. 0 for NULL. Threads: any.
 */
uint64_t kvds_store_tag(const struct kvds_store *store);

/**
 * The id that the store was asked for by, byte for byte. Owned by the store, valid as long as the caller's reference. NULL for NULL.
 * Threads: any.
 */
const char *kvds_store_id(const struct kvds_store *store);

/**
 * The backend that the store was asked for with. 0 for NULL. Threads: any.
 */
kvds_backend kvds_store_backend(const struct kvds_store *store);

/**
 * 1 if the store can be used; 0 if it was closed, if it is a view of a store that was closed, if it is on disk and came
 * through fork(), or for NULL. Threads: any.
 */
int kvds_is_open(const struct kvds_store *store);

/**
 * Closes the store for every holder, without waiting for the last reference to go. Running calls finish first; later calls
 * answer `KVDS_CLOSED`. The name is free again: who asks the distributor for it gets a new store. References must still
 * be released, and the store's death is observed when the last one is.
 *
 * Answers `KVDS_OK`; `KVDS_CLOSED` if it was closed already; `KVDS_INVALID_ARGUMENT` for NULL; `KVDS_FORKED` for a disk
 * store that came through fork(). Threads: any. From inside a callback it does not wait for running calls, as they could
 * be waiting for this one: the last of them to end ends the store.
 */
kvds_status kvds_close(const struct kvds_store *store);

/**
 * The value of `key`.
 *
 * `*out` becomes the value, which the caller gives back with `kvds_value_release`, or is emptied. Where copying would cost
 * more than sharing, the bytes are the store's own. Answers `KVDS_OK`, or `KVDS_NOT_FOUND`; `KVDS_INVALID_ARGUMENT` for a
 * NULL or a key longer than `KVDS_MAX_KEY_LEN`; `KVDS_CLOSED`; on disk also `KVDS_IO`, `KVDS_CORRUPTION` and
 * `KVDS_FORKED`. Threads: any.
 */
kvds_status kvds_get(const struct kvds_store *store,
                     const void *key,
                     size_t key_len,
                     struct kvds_value *out);

/**
 * Copies the value of `key` into `buffer`, which has room for `capacity` bytes (NULL is fine for 0).
 *
 * `*len` becomes the value's length in bytes, or 0. Answers `KVDS_OK`, or `KVDS_NOT_FOUND`, or `KVDS_TRUNCATED` if the
 * value is longer than `capacity`: then nothing is copied, and `*len` says how much room is needed. Fails as `kvds_get`
 * does. Threads: any.
 */
kvds_status kvds_get_into(const struct kvds_store *store,
                          const void *key,
                          size_t key_len,
                          void *buffer,
                          size_t capacity,
                          size_t *len);

/**
 * Whether `key` is there: `KVDS_OK` or `KVDS_NOT_FOUND`. Fails as `kvds_get` does. Threads: any.
 */
kvds_status kvds_exists(const struct kvds_store *store, const void *key, size_t key_len);

/**
 * The values of `count` keys, all as of one moment.
 *
 * `values[i]` and `statuses[i]` (both of `count` elements) become the value of `keys[i]` and `KVDS_OK`, or an empty value and
 * `KVDS_NOT_FOUND`. Each value is given back with `kvds_value_release`. All three may be NULL when `count` is 0. Answers
 * `KVDS_OK` if all keys were looked up, whether or not they were there; if it fails, as `kvds_get` does, all values are empty
 * and all statuses are that failure's. Threads: any.
 */
kvds_status kvds_multi_get(const struct kvds_store *store,
                           const struct kvds_bytes *keys,
                           size_t count,
                           struct kvds_value *values,
                           kvds_status *statuses);

/**
 * Shows every pair whose key begins with `prefix` (all for the empty one) to `callback`, in `memcmp` order of the keys,
 * each once, as of one moment: no write made during the iteration, by anyone, is seen.
 *
 * The callback may write to the store, iterate it, close it and release it. Writers are never held up by an iteration.
 * Answers `KVDS_OK` when the end was reached, `KVDS_STOPPED` if the callback ended it; `KVDS_INVALID_ARGUMENT` for a NULL
 * or a prefix longer than `KVDS_MAX_KEY_LEN`; `KVDS_CLOSED`; on disk also `KVDS_IO`, `KVDS_CORRUPTION` and `KVDS_FORKED`,
 * maybe after some pairs were shown. Threads: any; the callback runs on the calling one.
 */
kvds_status kvds_iterate(const struct kvds_store *store,
                         const void *prefix,
                         size_t prefix_len,
                         kvds_visit callback,
                         void *user_data);

/**
 * Sets `key` to `value`, whether or not it was there.
 *
 * Inputs are copied. When this answers `KVDS_OK`, every later read on every thread sees the value, and on disk it survives
 * the death of the process. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL, a key longer than `KVDS_MAX_KEY_LEN` or
 * a value longer than `KVDS_MAX_VALUE_LEN`; `KVDS_CLOSED`; `KVDS_NO_MEMORY`; on disk also `KVDS_IO`, `KVDS_NO_SPACE`,
 * `KVDS_CORRUPTION` and `KVDS_FORKED`. Threads: any. Atomic with every other call on the store, as all writes are.
 *
 * A write that fails changes nothing that can be read. But after `KVDS_IO` or `KVDS_NO_SPACE` it may be in a file already: if the
 * process ends before another write to the store is acknowledged, it may be there when the store is opened again. Such an
 * answer can take a second or two, as writing is tried again before it is given.
 */
kvds_status kvds_set(const struct kvds_store *store,
                     const void *key,
                     size_t key_len,
                     const void *value,
                     size_t value_len);

/**
 * Removes `key` and its value.
 *
 * Answers `KVDS_OK` if it was there, `KVDS_NOT_FOUND` if not. Fails as `kvds_set` does. Threads: any.
 */
kvds_status kvds_del(const struct kvds_store *store,
                     const void *key,
                     size_t key_len);

/**
 * Sets `count` keys in one atomic step: all or nothing, and no reader sees a part. If a key comes twice, the last wins.
 *
 * `pairs` may be NULL when `count` is 0; inputs are copied. Answers `KVDS_OK`, and fails as `kvds_set` does; if one pair is
 * bad, the text says which, and nothing is changed. Threads: any.
 */
kvds_status kvds_set_batch(const struct kvds_store *store,
                           const struct kvds_pair *pairs,
                           size_t count);

/**
 * Removes `count` keys in one atomic step: all or nothing, and no reader sees a part. Absent keys are fine.
 *
 * `keys` may be NULL when `count` is 0; inputs are copied. Answers `KVDS_OK`, and fails as `kvds_set` does; if one key is
 * bad, the text says which, and nothing is changed. Threads: any.
 */
kvds_status kvds_delete_batch(const struct kvds_store *store,
                              const struct kvds_bytes *keys,
                              size_t count);

/**
 * Sets `key` to `value` if `key` is not there yet, in one atomic step.
 *
 * Inputs are copied. Answers `KVDS_OK`, or `KVDS_EXISTS` if it was there: then nothing is changed. Fails as `kvds_set`
 * does. Threads: any.
 */
kvds_status kvds_set_nx(const struct kvds_store *store,
                        const void *key,
                        size_t key_len,
                        const void *value,
                        size_t value_len);

/**
 * Sets `key` to `value` if it has the value `expected`, in one atomic step: no other write of any kind comes between the
 * comparison and the change.
 *
 * Inputs are copied. Answers `KVDS_OK`; `KVDS_NOT_FOUND` if the key is not there, `KVDS_MISMATCH` if it has another value:
 * then nothing is changed. Fails as `kvds_set` does. Threads: any.
 */
kvds_status kvds_compare_and_swap(const struct kvds_store *store,
                                  const void *key,
                                  size_t key_len,
                                  const void *expected,
                                  size_t expected_len,
                                  const void *value,
                                  size_t value_len);

/**
 * Removes `key` if it has the value `expected`, in one atomic step: how a lock that was taken with `kvds_set_nx` is released
 * by its owner alone.
 *
 * Inputs are copied. Answers `KVDS_OK`; `KVDS_NOT_FOUND` if the key is not there, `KVDS_MISMATCH` if it has another value:
 * then nothing is changed. Fails as `kvds_set` does. Threads: any.
 */
kvds_status kvds_compare_and_delete(const struct kvds_store *store,
                                    const void *key,
                                    size_t key_len,
                                    const void *expected,
                                    size_t expected_len);

/**
 * Adds `delta` to the number that `key` has as its value, in one atomic step. The value is decimal text ("-12"); an absent
 * key counts as 0, and is set.
 *
 * `*result` becomes the sum, or 0; NULL if it is not wanted. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` also if the value is
 * not such a number or the sum does not fit 64 bits: then nothing is changed; `KVDS_BUSY` if other writes
 * changed the key at each of a thousand attempts. Fails as `kvds_set` does, and needs a view that can
 * be read and written. Threads: any.
 */
kvds_status kvds_add(const struct kvds_store *store,
                     const void *key,
                     size_t key_len,
                     int64_t delta,
                     int64_t *result);

/**
 * Removes every key that begins with `prefix` (all for the empty one), in one atomic step: no reader sees a part.
 *
 * On disk, the keys of a small prefix are listed and deleted one by one; a large prefix is one entry in the log. Answers
 * `KVDS_OK`, also if there are no such keys; `KVDS_INVALID_ARGUMENT` also for a prefix longer than `KVDS_MAX_KEY_LEN`. Fails
 * as `kvds_set` does. Threads: any.
 */
kvds_status kvds_delete_prefix(const struct kvds_store *store,
                               const void *prefix,
                               size_t prefix_len);

/**
 * An empty batch; to be freed with `kvds_batch_free`. NULL only if the library has a bug. Threads: any.
 */
struct kvds_batch *kvds_batch_new(void);

/**
 * Frees a batch. NULL does nothing. Threads: any, when no other uses it.
 */
void kvds_batch_free(struct kvds_batch *batch);

/**
 * Empties a batch, and keeps its memory for the next use. NULL does nothing. Threads: one at a time on one batch.
 */
void kvds_batch_clear(struct kvds_batch *batch);

/**
 * How many operations a batch has; expectations don't count. 0 for NULL. Threads: one at a time on one batch.
 */
size_t kvds_batch_count(const struct kvds_batch *batch);

/**
 * Adds the operation to set `key` to `value`. If a key has several operations, the last one wins.
 *
 * Inputs are copied. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL, a key longer than `KVDS_MAX_KEY_LEN` or a value
 * longer than `KVDS_MAX_VALUE_LEN`; `KVDS_NO_MEMORY`; nothing is added then. Threads: one at a time on one batch.
 */
kvds_status kvds_batch_set(struct kvds_batch *batch,
                           const void *key,
                           size_t key_len,
                           const void *value,
                           size_t value_len);

/**
 * Adds the operation to remove `key`, which may be absent. Answers as `kvds_batch_set` does. Threads: one at a time on one
 * batch.
 */
kvds_status kvds_batch_del(struct kvds_batch *batch,
                           const void *key,
                           size_t key_len);

/**
 * Adds the expectation that `key` has the value `value` before the batch. Answers as `kvds_batch_set` does. Threads: one at
 * a time on one batch.
 */
kvds_status kvds_batch_expect(struct kvds_batch *batch,
                              const void *key,
                              size_t key_len,
                              const void *value,
                              size_t value_len);

/**
 * Adds the expectation that `key` is not there before the batch. Answers as `kvds_batch_set` does. Threads: one at a time
 * on one batch.
 */
kvds_status kvds_batch_expect_absent(struct kvds_batch *batch,
                                     const void *key,
                                     size_t key_len);

/**
 * Applies `batch` to `store` in one atomic step if every expectation holds.
 *
 * The batch stays as it is. Answers `KVDS_OK`, or `KVDS_MISMATCH` if an expectation does not hold: then nothing is changed.
 * Fails as `kvds_set` does. Threads: any on the store, one at a time on the batch.
 */
kvds_status kvds_write(const struct kvds_store *store,
                       const struct kvds_batch *batch);

/**
 * A cursor over the keys of `store` (or view) that are in `range`, as of now. NULL for the range is every key. It stands on
 * no entry yet: move it first.
 *
 * The range is copied. `*out` becomes a cursor that the caller frees with `kvds_cursor_free`, or NULL. Answers `KVDS_OK`, also
 * when there are no such keys; fails as `kvds_get` does. Threads: any.
 */
kvds_status kvds_cursor_new(const struct kvds_store *store,
                            const struct kvds_range *range,
                            struct kvds_cursor **out);

/**
 * Frees a cursor. NULL does nothing. Threads: any, when no other uses it.
 */
void kvds_cursor_free(struct kvds_cursor *cursor);

/**
 * Moves to the first entry of the range.
 *
 * What holds for every move: `KVDS_OK` if the cursor stands on an entry then, `KVDS_NOT_FOUND` if there is none;
 * `KVDS_INVALID_ARGUMENT` for NULL; on disk also `KVDS_IO`, `KVDS_CORRUPTION` and `KVDS_FORKED`. What `kvds_cursor_key` and
 * `kvds_cursor_value` gave before is valid no more. Threads: one at a time on one cursor.
 */
kvds_status kvds_cursor_first(struct kvds_cursor *cursor);

/**
 * Moves to the last entry of the range. Answers as `kvds_cursor_first` does.
 */
kvds_status kvds_cursor_last(struct kvds_cursor *cursor);

/**
 * Moves to the first entry whose key is `key` or greater, within the range. Answers as `kvds_cursor_first` does, and
 * `KVDS_INVALID_ARGUMENT` also for a key longer than `KVDS_MAX_KEY_LEN`; the cursor then stays where it is.
 */
kvds_status kvds_cursor_seek(struct kvds_cursor *cursor,
                             const void *key,
                             size_t key_len);

/**
 * Moves one entry on. From no entry it stays on none. Answers as `kvds_cursor_first` does.
 */
kvds_status kvds_cursor_next(struct kvds_cursor *cursor);

/**
 * Moves one entry back. From no entry it stays on none. Answers as `kvds_cursor_first` does.
 */
kvds_status kvds_cursor_prev(struct kvds_cursor *cursor);

/**
 * 1 if the cursor stands on an entry, 0 if not; 0 for NULL. Threads: one at a time on one cursor.
 */
int kvds_cursor_valid(const struct kvds_cursor *cursor);

/**
 * The key that the cursor stands on.
 *
 * `*key` becomes the cursor's own bytes, valid until its next move or its end, or is emptied. Answers `KVDS_OK`, or
 * `KVDS_NOT_FOUND` if it stands on no entry; `KVDS_INVALID_ARGUMENT` for a NULL. Threads: one at a time on one cursor.
 */
kvds_status kvds_cursor_key(const struct kvds_cursor *cursor,
                            struct kvds_bytes *key);

/**
 * The value of the key that the cursor stands on. Answers as `kvds_cursor_key` does, and the bytes are as long valid.
 */
kvds_status kvds_cursor_value(const struct kvds_cursor *cursor,
                              struct kvds_bytes *value);

/**
 * A view of `store` that allows only what `rights` names, of what `store` allows: `KVDS_VIEW_READ`, `KVDS_VIEW_WRITE`, or
 * both (or-ed). What it does not allow answers `KVDS_DENIED`.
 *
 * What holds for every view: it is a store like any other, so that every function works on it. It has a reference count
 * of its own, and holds one reference to the store that it is a view of, which so stays alive (views made from a view share
 * its one); its tag, id and backend are that store's. Closing it closes the view alone; closing the store answers `KVDS_CLOSED` on its views too. Its end is not
 * observed. A view of a view is a view of the same store and does not need the view it was made from.
 *
 * `*out` becomes a reference that the caller owns, or NULL. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL or other
 * rights; `KVDS_CLOSED`; `KVDS_FORKED`. Threads: any.
 */
kvds_status kvds_store_view(const struct kvds_store *store,
                            int rights,
                            struct kvds_store **out);

/**
 * A view of the part of `store` whose keys begin with `prefix`. Through it every key is without the prefix, in what is
 * passed and in what is shown; no other key can be reached. Writes go to the store. See `kvds_store_view` for what holds
 * for every view.
 *
 * The prefix is copied. It and a key together may have `KVDS_MAX_KEY_LEN` bytes. `*out` becomes a reference that the
 * caller owns, or NULL. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL or a prefix longer than `KVDS_MAX_KEY_LEN`;
 * `KVDS_CLOSED`; `KVDS_FORKED`. Threads: any.
 */
kvds_status kvds_store_scope(const struct kvds_store *store,
                             const void *prefix,
                             size_t prefix_len,
                             struct kvds_store **out);

/**
 * A view of `store` as it is now, for as long as the view lives, whatever is written to the store. It cannot be written:
 * `KVDS_DENIED`. It costs no copy of the data; what is overwritten or removed while it lives is kept for it. See
 * `kvds_store_view` for what holds for every view.
 *
 * `*out` becomes a reference that the caller owns, or NULL. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL;
 * `KVDS_DENIED` of a view that can't be read; `KVDS_CLOSED`; on disk also `KVDS_IO` and `KVDS_FORKED`. Threads: any.
 */
kvds_status kvds_store_snapshot(const struct kvds_store *store,
                                struct kvds_store **out);

/**
 * Makes every write to `store` that was acknowledged survive a power cut, whatever the option `durability` says. On memory
 * there is nothing to do.
 *
 * Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for NULL; `KVDS_CLOSED`; on disk also `KVDS_IO`, `KVDS_NO_SPACE` and
 * `KVDS_FORKED`; then nothing more than before is certain to survive. Threads: any.
 */
kvds_status kvds_sync(const struct kvds_store *store);

/**
 * Gives back the disk space of what was overwritten and removed, at once instead of over time. Can take long; reading and
 * writing go on meanwhile. On memory there is nothing to do. Answers as `kvds_sync` does. Threads: any.
 */
kvds_status kvds_compact(const struct kvds_store *store);

/**
 * Has a store that was opened with the option `read_only` show what has been written since by another process. Snapshots
 * and cursors stay as they are. On any other store there is nothing to do. Answers as `kvds_sync` does, and
 * `KVDS_CORRUPTION`, or `KVDS_BUSY` if the other process writes faster than the store can be opened: try again. Threads: any.
 */
kvds_status kvds_refresh(const struct kvds_store *store);

/**
 * Makes a copy of what `store` (or view) shows at this moment, as a disk store in the directory `path`, which must not be
 * there yet; the directories above it are made. Another distributor can open it: `path` is its base path and the store's
 * name. A disk store is copied by links where the file system can, so that it takes little time and space; anything else is
 * read and written, as are the files of a disk store where there are no links (FAT, some FUSE). The copy is made in
 * a directory `.kvds-copy-*` beside `path`; what a process left there that died is removed by the next copy.
 *
 * Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a NULL or a path that is taken; `KVDS_DENIED` of a view that can't be read;
 * `KVDS_CLOSED`; `KVDS_IO`; `KVDS_NO_SPACE`; `KVDS_UNSUPPORTED` in a build without disk stores; `KVDS_FORKED`. Threads: any;
 * writing goes on meanwhile.
 */
kvds_status kvds_checkpoint(const struct kvds_store *store,
                            const char *path);

/**
 * Figures of `store`.
 *
 * `size` is `sizeof(kvds_stats)` as the caller knows it: a later library may know more figures and leaves out what the
 * caller has no room for, an earlier one leaves the rest 0. `*stats` is set, or all 0. Answers `KVDS_OK`;
 * `KVDS_INVALID_ARGUMENT` for a NULL or a size below 8; `KVDS_CLOSED`; `KVDS_FORKED`. Threads: any.
 */
kvds_status kvds_store_stats(const struct kvds_store *store,
                             struct kvds_stats *stats,
                             size_t size);

/**
 * What is known of `store` under `name`, as text: the figures of `kvds_stats` behind "kvds." ("kvds.keys"), and on disk what
 * RocksDB knows ("rocksdb.stats", "rocksdb.num-files-at-level0").
 *
 * `*out` becomes the text, without a NUL at its end, which the caller gives back with `kvds_value_release`, or is emptied.
 * Answers `KVDS_OK`, or `KVDS_NOT_FOUND` for a name that is not known; `KVDS_INVALID_ARGUMENT` for a NULL; `KVDS_CLOSED`;
 * `KVDS_FORKED`. Threads: any.
 */
kvds_status kvds_store_property(const struct kvds_store *store,
                                const char *name,
                                struct kvds_value *out);

/**
 * Has `callback` called with what goes on inside the library, RocksDB's messages included, from lines of `level` to more
 * important ones. There is one callback in the process; this replaces the one before, and NULL ends it. No log files are
 * written.
 *
 * The calls come one at a time, from a thread of the library's own, and hold nothing up: a callback that is slow misses
 * lines, and is told how many. When this returns, the callback before is not running and will not run again, unless this
 * was called from inside a callback. Answers `KVDS_OK`; `KVDS_INVALID_ARGUMENT` for a level that is none; `KVDS_IO` if no
 * thread can be started. Threads: any.
 */
kvds_status kvds_set_log_callback(kvds_log_level level,
                                  kvds_log callback,
                                  void *user_data);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KVDS_H */
