/*
 * kvds: ordered key-value stores in memory, on disk and in etcd, behind one C interface.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 * Generated from src/ffi by `make header`. Change the sources, not this file.
 *
 * 1. Overview
 *
 * A program asks a distributor for a store by name and gets one shared, reference-counted handle. A
 * store is ordered, safe to use from any thread, and kept in memory (KVDS_MEMORY), in a directory
 * (KVDS_DISK, on RocksDB) or in an etcd cluster that several machines share (KVDS_CLUSTER). Section
 * 7 compares them. No transaction spans several calls: a batch (section 11) makes several writes in
 * one atomic step, on conditions if need be, and a snapshot (section 13) does not change.
 *
 *     #include <kvds.h>
 *     #include <stdio.h>
 *
 *     int main(void)
 *     {
 *         kvds_distributor *d = kvds_distributor_new("/var/lib/app");
 *         kvds_store *users;
 *         kvds_value year;
 *
 *         if (!d || kvds_distributor_get_or_create(d, "users", KVDS_DISK, &users) < 0 ||
 *             kvds_set(users, "ada", 3, "1815", 4) < 0 ||
 *             kvds_get(users, "ada", 3, &year) < 0) {
 *             fprintf(stderr, "%s\n", kvds_last_error());
 *             return 1;
 *         }
 *         printf("%.*s\n", (int)year.len, (const char *)year.data);
 *         kvds_value_release(&year);
 *         kvds_store_release(users);
 *         kvds_distributor_release(d);
 *     }
 *
 * 2. Conventions
 *
 * Every function follows these rules unless its documentation says otherwise.
 *
 * - Status: 0 is success; a positive status is an expected negative result, such as "not found"; a
 *   negative status is an error, and kvds_last_error() describes it. The same call on the same data
 *   returns the same status on every backend, but for what a cluster cannot hold (KVDS_UNSUPPORTED,
 *   KVDS_EXPIRED) and for what a network adds (KVDS_BUSY, KVDS_UNKNOWN_OUTCOME). Any function may
 *   return KVDS_INTERNAL, which reports a bug in the library; it is not listed again.
 *
 * - Bytes: keys, values and prefixes are a pointer and a length. They may contain zeros and may be
 *   empty; the pointer may be NULL if the length is 0. Keys are ordered as memcmp() orders them.
 *   All lengths and sizes are in bytes.
 *
 * - Text: ids, paths, option names and their values end with a NUL. They are UTF-8, but the id of a
 *   memory store may be any bytes but 0.
 *
 * - Inputs are copied or used up before the call returns. The library keeps no pointer to them.
 *
 * - Outputs are set to NULL or 0 before anything can fail, so releasing an output after an error is
 *   harmless. What an output held before is not released.
 *
 * - NULL for a required handle or output is KVDS_INVALID_ARGUMENT; functions that return no status
 *   return NULL or 0, or do nothing. Releasing or freeing NULL does nothing. Any other pointer must
 *   be valid for its type and length. Using a handle after its last release is undefined; where the
 *   library detects it, the call returns KVDS_INVALID_ARGUMENT.
 *
 * - Numbers outside of the listed constants are KVDS_INVALID_ARGUMENT. Switches and the results of
 *   callbacks are int: 0 is no, anything else is yes.
 *
 * - Threads: any thread may call any function on any store or distributor at any time. An options
 *   object, a batch or a cursor may be used by one thread at a time. Every write is atomic and
 *   linearizable with every other call on the store; on a cluster also with the calls of all other
 *   processes. Do not use disk stores in destructors of pthread_key_create(), because those of
 *   RocksDB may have run before, and call no function from a signal handler.
 *
 * - Threads of the library block all signals. Four serve all stores of a process: two flush and
 *   compact, one syncs, one calls the log callback. If one of them cannot be started, opening a
 *   disk store returns KVDS_IO. Others help to sync while stores are written, if the system allows
 *   it. Cluster stores need no threads: the thread that calls sends the request and waits.
 *
 * - Stacks and cancellation: calls need 80 KiB of stack, in addition to what the functions and
 *   callbacks of the program take. Do not cancel a thread (pthread_cancel()) inside of a call on a
 *   disk store: the process aborts, and no acknowledged write is lost. Disable cancellation around
 *   calls with pthread_setcancelstate(); the library does not, because that takes longer than some
 *   calls.
 *
 * - Standard streams: a program may close them at any time. No file of the library gets descriptor
 *   0, 1 or 2.
 *
 * - Callbacks run without any lock of the library held and may call any function of the library.
 *   Functions that wait for other calls (kvds_close(), kvds_distributor_shutdown(),
 *   kvds_distributor_unobserve(), kvds_set_log_callback()) do not wait when a callback calls them,
 *   because they could wait for themselves. A callback must return: it must not throw, longjmp() or
 *   call pthread_exit().
 *
 * - fork(): in the child, calls on disk and cluster stores that were opened before the fork return
 *   KVDS_FORKED, and releasing those stores touches no file and no connection. The child opens them
 *   with a distributor of its own. Memory stores continue as separate copies. As with the locks of
 *   malloc() on many systems, this requires that no other thread was inside a call of the library
 *   at the time of the fork. exec() needs no precautions.
 *
 * - Memory: if a value or a batch cannot be allocated, the call returns KVDS_NO_MEMORY. If a small
 *   internal allocation fails, or one inside RocksDB, the process aborts.
 *
 * - Exit: a program may exit with stores open, also while other threads use them; no acknowledged
 *   write is lost. With the static library that cargo builds (not the installed one), RocksDB's
 *   destructors run at exit, so release all stores first. The library may be loaded with dlopen();
 *   it stays loaded after dlclose().
 */

#ifndef KVDS_H
#define KVDS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ============================================================================================= */
/** @defgroup version 3. Version
 * @{
 */

/** Major version of this header: raised by changes that break programs. */
#define KVDS_VERSION_MAJOR 0
/** Minor version of this header: raised by additions. */
#define KVDS_VERSION_MINOR 1
/** Patch version of this header: raised by fixes. */
#define KVDS_VERSION_PATCH 0

/**
 * Returns the version of the library that is running, such as "0.1.0".
 *
 * Compare it with the macros to find out whether the program runs with the library that it was
 * compiled for. The text is static.
 */
const char *kvds_version(void);

/** @} */

/* ============================================================================================= */
/** @defgroup status 4. Status and errors
 * @{
 */

/**
 * The result of a call: 0 is success, a positive number an expected negative result, a negative
 * number an error. Numbers are never reused.
 */
typedef int32_t kvds_status;

/** Success. */
#define KVDS_OK 0
/** The key, store or file does not exist. */
#define KVDS_NOT_FOUND 1
/** The key exists already. Nothing was changed. */
#define KVDS_EXISTS 2
/** A compared value differs. Nothing was changed. */
#define KVDS_MISMATCH 3
/** The callback ended the iteration. */
#define KVDS_STOPPED 4
/** The buffer is too small. Nothing was copied; the call reports the needed length. */
#define KVDS_TRUNCATED 5
/** Invalid argument; `kvds_last_error()` says which one and what is allowed. */
#define KVDS_INVALID_ARGUMENT (-1)
/** The store or distributor was closed; or another process destroyed the cluster store. */
#define KVDS_CLOSED (-2)
/** The view, the option `read_only`, or the cluster does not permit the operation. */
#define KVDS_DENIED (-3)
/** Another process, or another distributor of this process, has the disk store open. */
#define KVDS_LOCKED (-4)

/**
 * The file system or the network returned an error. No acknowledged write is lost. The handle
 * works again as soon as the file system or the network does: every call that writes retries.
 */
#define KVDS_IO (-5)

/**
 * The disk is full, or a quota or the limit on file sizes is reached. No acknowledged write is
 * lost. The handle works again after space is freed. If this status persists, there is still too
 * little space for the latest writes, which are held in memory. (The program must ignore SIGXFSZ,
 * which the system sends when a file reaches its size limit.) On a cluster, the quota of its
 * database is used up, and deletions still work.
 */
#define KVDS_NO_SPACE (-6)
/** Stored data is corrupt (checksum mismatch, missing or truncated file). */
#define KVDS_CORRUPTION (-7)
/** An allocation failed, or a configured memory limit is reached. */
#define KVDS_NO_MEMORY (-8)

/**
 * This backend or this build does not support the operation. Or a write is larger than the cluster
 * accepts: the error text says how much that is.
 */
#define KVDS_UNSUPPORTED (-9)
/** Temporarily not possible: try again later. After a write, nothing was changed. */
#define KVDS_BUSY (-10)

/**
 * A write to a cluster store may or may not have happened. The time limit ended before the cluster
 * said which. The library never repeats a write that may have happened.
 */
#define KVDS_UNKNOWN_OUTCOME (-11)
/** The handle was inherited through fork(): open the store again in this process. */
#define KVDS_FORKED (-12)

/**
 * The library caught a bug of its own at its boundary. The process and the store are intact;
 * please report it.
 */
#define KVDS_INTERNAL (-13)

/**
 * The snapshot, or that of the cursor, is gone: take a new one. The operator compacted the
 * cluster, which ends the snapshots of its stores.
 */
#define KVDS_EXPIRED (-14)

/**
 * Returns the name of a status, such as "KVDS_NOT_FOUND", or "KVDS_?" for an unknown number.
 *
 * The text is static and never NULL.
 */
const char *kvds_status_name(kvds_status status);

/**
 * Returns the text of the last error on the calling thread, in English.
 *
 * The text names the function, the store, the path and the cause, as far as they apply. It is
 * meaningful after a negative status, or after NULL where NULL reports an error. Calls that
 * succeed or return a positive status leave it unchanged.
 *
 * @return the text, valid until the next call on this thread that fails; empty before the first
 *   error; never NULL.
 */
const char *kvds_last_error(void);

/** @} */

/* ============================================================================================= */
/** @defgroup bytes 5. Bytes, pairs, values and ranges
 * @{
 */

/** Maximum length of a key or a prefix: 64 KiB. A longer one is `KVDS_INVALID_ARGUMENT`. */
#define KVDS_MAX_KEY_LEN 65536
/** Maximum length of a value: 1 GiB. A longer one is `KVDS_INVALID_ARGUMENT`. */
#define KVDS_MAX_VALUE_LEN 1073741824

/** Bytes that the caller owns, such as a key. */
typedef struct kvds_bytes {
    /** First byte; may be NULL if `len` is 0. */
    const void *data;
    /** Length in bytes. */
    size_t len;
} kvds_bytes;

/** A key and its value, both owned by the caller. */
typedef struct kvds_pair {
    /** First byte of the key; may be NULL if `key_len` is 0. */
    const void *key;
    /** Length of the key in bytes. */
    size_t key_len;
    /** First byte of the value; may be NULL if `value_len` is 0. */
    const void *value;
    /** Length of the value in bytes. */
    size_t value_len;
} kvds_pair;

/**
 * The keys that begin with `prefix`, are not less than `start`, and are less than `end`.
 *
 * A struct of zeros is the range of all keys.
 */
typedef struct kvds_range {
    /** What all keys of the range begin with; may be NULL if `prefix_len` is 0. */
    const void *prefix;
    /** Length of the prefix in bytes; 0 for no prefix. */
    size_t prefix_len;
    /** Lower bound, inclusive; may be NULL if `start_len` is 0. */
    const void *start;
    /** Length of the lower bound in bytes; 0 for no lower bound. */
    size_t start_len;
    /** Upper bound, exclusive; may be NULL if `end_len` is 0. */
    const void *end;
    /** Length of the upper bound in bytes; 0 for no upper bound. */
    size_t end_len;
} kvds_range;

/**
 * A value that the library returned.
 *
 * Its address has no particular alignment: copy numbers and structs out of it with memcpy(). It is
 * read-only and valid until `kvds_value_release()`, whatever happens to the key or to the store in
 * the meantime. Any thread may read and release it, one thread at a time. Do not copy the struct
 * and release both copies.
 */
typedef struct kvds_value {
    /** First byte; not NULL after `KVDS_OK`, even if `len` is 0. No NUL follows the bytes. */
    const void *data;
    /** Length in bytes. */
    size_t len;
    /** For the library's use. */
    void *owner;
} kvds_value;

/**
 * Releases a value and empties the struct.
 *
 * Releasing an empty value, or NULL, does nothing, so it may be called twice. A value that is not
 * released keeps its bytes in memory and may keep the files of a disk store open.
 */
void kvds_value_release(kvds_value *value);

/** @} */

/* ============================================================================================= */
/** @defgroup options 6. Options
 *
 * Options of a distributor, or of a single store. Each has a setter; `kvds_options_set()` sets any
 * of them by name, for configuration files and other languages.
 *
 * Every setter returns `KVDS_OK`, or `KVDS_INVALID_ARGUMENT` if `options` is NULL or the option
 * does not take the value; the error text says what it takes, and nothing is changed.
 * @{
 */

/**
 * Options, each at its default until it is set.
 *
 * One thread at a time may use an options object. Opening copies what it needs, so the object may
 * be changed, used again or freed afterwards.
 */
typedef struct kvds_options kvds_options;

/**
 * Creates options at their defaults.
 *
 * @return the options, to be freed with kvds_options_free(); NULL only because of a bug in the
 *   library.
 */
kvds_options *kvds_options_new(void);

/** Frees options. */
void kvds_options_free(kvds_options *options);

/**
 * Sets the option `name` from text.
 *
 * The name is the part of the setter's name after `kvds_options_set_`, unless the setter says
 * otherwise. A switch takes "1", "true", "on" or "yes", and "0", "false", "off" or "no". A size in
 * bytes may end with K, M, G or T, for KiB and so on. A choice takes its name or its number.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_INVALID_ARGUMENT`: a NULL, an unknown name, or a value that the option does not take
 */
kvds_status kvds_options_set(kvds_options *options,
                             const char *name,
                             const char *value);

/** What an acknowledged write survives: one of the three constants below. */
typedef int32_t kvds_durability;

/**
 * The death of the process at once, and a power failure after at most one second: the log is
 * synced in the background and when the store is closed.
 */
#define KVDS_DURABILITY_PROCESS 0
/** A power failure at once. Concurrent writers share a sync. */
#define KVDS_DURABILITY_SYNC 1

/**
 * Nothing, until a later `kvds_sync()` or a clean close: if the process dies before, acknowledged
 * writes may be lost.
 */
#define KVDS_DURABILITY_NONE 2

/**
 * Sets what an acknowledged write to a disk store survives.
 *
 * Default: `KVDS_DURABILITY_PROCESS`. By name: "process", "sync" or "none".
 */
kvds_status kvds_options_set_durability(kvds_options *options,
                                        kvds_durability durability);

/**
 * Sets how much memory all disk stores of the distributor together use for data that was read.
 *
 * One half caches blocks with their indexes and filters, the other half single values that are
 * read often. Memory is taken when it is needed. Indexes and filters of tables are pinned in at
 * most half of the room for blocks. A block larger than an eighth of that room, such as one with a
 * large value, is not cached.
 *
 * All memory of the distributor's disk stores stays within the block cache, one and a half times
 * the write buffers, 64 MiB, and 256 KiB for each open store. Values that a call reads or the
 * program holds come on top.
 *
 * Range: 1 MiB to 1 TiB. Default: 256 MiB (268435456).
 */
kvds_status kvds_options_set_block_cache_bytes(kvds_options *options,
                                               uint64_t bytes);

/**
 * Sets how much memory all disk stores of the distributor together use for writes that are in the
 * log and not yet in a table file.
 *
 * When it is used up, the stores that hold the most are flushed. Each open store may hold 64 KiB,
 * even if that is more than this limit for all of them.
 *
 * Range: 1 MiB to 1 TiB. Default: 128 MiB (134217728).
 */
kvds_status kvds_options_set_write_buffer_bytes(kvds_options *options,
                                                uint64_t bytes);

/**
 * Sets how much all memory stores of the distributor together may hold.
 *
 * Keys, values, about 96 bytes per pair, and old versions kept for snapshots count. A write beyond
 * the limit returns `KVDS_NO_MEMORY` and changes nothing. Nothing is evicted, and deleting always
 * works.
 *
 * Range: 0 to 2^63 - 1. Default: 0, no limit.
 */
kvds_status kvds_options_set_memory_limit_bytes(kvds_options *options,
                                                uint64_t bytes);

/** How table files are compressed: one of the three constants below. */
typedef int32_t kvds_compression;

/** No compression. */
#define KVDS_COMPRESSION_NONE 0
/** LZ4: fast. */
#define KVDS_COMPRESSION_LZ4 1
/** Zstandard: small. */
#define KVDS_COMPRESSION_ZSTD 2

/**
 * Sets how the table files of disk stores are compressed.
 *
 * Files that were written with another setting stay readable. Default: `KVDS_COMPRESSION_LZ4`. By
 * name: "none", "lz4" or "zstd".
 */
kvds_status kvds_options_set_compression(kvds_options *options,
                                         kvds_compression compression);

/**
 * Sets whether disk stores are opened for reading only, also while another process writes them.
 *
 * Such a store shows the data as of its opening, or of the last `kvds_refresh()`; writes return
 * `KVDS_DENIED`. A store that does not exist is not created (`KVDS_NOT_FOUND`), so no memory
 * store is either. Opening returns `KVDS_BUSY` if the other process writes too fast for it.
 *
 * Range: 0 or 1. Default: 0.
 */
kvds_status kvds_options_set_read_only(kvds_options *options, int read_only);

/**
 * Sets whether a store that does not exist is created.
 *
 * With 0, opening returns `KVDS_NOT_FOUND` instead. A memory store exists only while it is live,
 * so with 0 none is ever created.
 *
 * Range: 0 or 1. Default: 1.
 */
kvds_status kvds_options_set_create_if_missing(kvds_options *options,
                                               int create);

/**
 * Sets whether the distributor holds one reference to each store that it creates.
 *
 * A memory store then outlives the program's last reference to it. The distributor gives its
 * references up in `kvds_distributor_evict()`, at shutdown, and when it is destroyed itself.
 *
 * Range: 0 or 1. Default: 0.
 */
kvds_status kvds_options_set_keep_stores(kvds_options *options, int keep);

/**
 * Sets how many files each disk store keeps open at most.
 *
 * A store with more files opens and closes them as it reads. Range: 16 to 1048576, or -1 for all.
 * Default: 500.
 */
kvds_status kvds_options_set_max_open_files(kvds_options *options,
                                            int64_t files);

/**
 * Sets the memory that each memory or disk store with watches uses for changes that were not
 * returned yet.
 *
 * A watch that is further behind gets `KVDS_EXPIRED`. Range: 4096 to 2^40 bytes. Default: 8 MiB.
 */
kvds_status kvds_options_set_watch_buffer_bytes(kvds_options *options,
                                                uint64_t bytes);

/**
 * Sets the servers and the namespace of cluster stores, as a URL.
 *
 * `etcd://HOST:PORT,HOST:PORT/NAMESPACE`, or `etcds://` for TLS, which needs
 * `kvds_options_set_cluster_tls()`. The port is 2379 if it is left out. An IPv6 address is in
 * brackets. The namespace is percent-decoded; it is `kvds` if it is empty. All keys that the
 * library writes begin with the namespace and a `/`. A login in the URL is refused, because
 * programs log URLs: see `kvds_options_set_cluster_login()`.
 *
 * This function takes any text. `kvds_distributor_open()` checks the URL, and the network is first
 * used when a cluster store is opened.
 *
 * Default: "", no cluster: opening a cluster store returns `KVDS_INVALID_ARGUMENT`.
 *
 * @param url  NULL for "".
 */
kvds_status kvds_options_set_cluster(kvds_options *options,
                                     const char *url);

/**
 * Sets the files for TLS, in PEM format.
 *
 * They are read when the first cluster store is opened, and used with `etcds://` alone.
 *
 * By name: "cluster_ca", "cluster_cert" and "cluster_key". Default: "" for each, no file.
 *
 * @param ca  the certificate of the authority that signed those of the servers. `etcds://` needs
 *   it: the authorities that the system trusts are not used. NULL for "".
 * @param cert  the certificate of this program, for servers that ask for one; NULL for "".
 * @param key  the key of this program's certificate; NULL for "".
 */
kvds_status kvds_options_set_cluster_tls(kvds_options *options,
                                         const char *ca,
                                         const char *cert,
                                         const char *key);

/**
 * Sets the user that logs in to the cluster, and the password; NULL or "" for none.
 *
 * No text of an error or a log shows the password.
 *
 * By name: "cluster_user" and "cluster_password". Default: none.
 */
kvds_status kvds_options_set_cluster_login(kvds_options *options,
                                           const char *user,
                                           const char *password);

/**
 * Sets how long any call on a cluster store may take, with all its attempts, in milliseconds.
 *
 * Range: 100 to 600000. Default: 10000.
 */
kvds_status kvds_options_set_cluster_timeout_ms(kvds_options *options,
                                                uint64_t milliseconds);

/** @} */

/* ============================================================================================= */
/** @defgroup distributor 7. Distributor
 *
 * A distributor returns stores by name: for each id and backend at most one live store, however
 * many threads ask for it. It is reference-counted. Each backend has its own names.
 *
 * What the backends differ in:
 *
 *                        KVDS_MEMORY        KVDS_DISK             KVDS_CLUSTER
 *     data is in         the process        a directory           etcd, under a namespace
 *     ends with          its last           kvds_distributor_     kvds_distributor_
 *                        reference          destroy()             destroy()
 *     longest key        64 KiB             64 KiB                64 KiB
 *     largest value      1 GiB              1 GiB                 see the largest batch
 *     largest batch      memory             memory                one request of the server,
 *                                                                 1.5 MiB by default; at most
 *                                                                 126 expectations
 *     size of a store    memory_limit_      the disk              the server's quota, with all
 *                        bytes                                    others: 2 GiB by default
 *     processes          one                one writes, others    any number, on any number
 *                                           read (read_only)      of machines
 *     a write survives   nothing            what the option       the loss of any minority of
 *                                           durability says       the members
 *     a snapshot lasts   until released     until released        until the operator compacts
 *                                                                 the cluster
 *     a call takes       no longer than     no longer than        at most cluster_timeout_ms
 *                        the work           the disk
 *
 * Functions that take an id also return:
 * - `KVDS_INVALID_ARGUMENT`: a NULL, an invalid id or backend, a disk store without a base path,
 *   or a cluster store without the option `cluster`
 * - `KVDS_CLOSED`: the distributor was shut down
 * - `KVDS_UNSUPPORTED`: a disk or cluster store in a build without them
 * - `KVDS_FORKED`: a disk or cluster store, and the distributor was inherited through fork()
 * @{
 */

/** A distributor. All functions may be called on it at the same time. */
typedef struct kvds_distributor kvds_distributor;

/** A store. All functions may be called on it at the same time. */
typedef struct kvds_store kvds_store;

/** Where a store keeps its data. */
typedef int32_t kvds_backend;

/** In the memory of the process. The data is lost with the store's last reference. */
#define KVDS_MEMORY 0
/** In a directory under the distributor's base path. */
#define KVDS_DISK 1

/**
 * In an etcd cluster, which the option `cluster` names. Any number of processes on any number of
 * machines may have a store open at once.
 */
#define KVDS_CLUSTER 2

/**
 * Creates a distributor with default options and one reference, which the caller owns.
 *
 * @param base_path  the directory under which each disk store has its own, created together with
 *   the first disk store; relative to the working directory at the time of the call. NULL or ""
 *   for no disk stores.
 * @return the distributor, or NULL on an error: see kvds_last_error().
 */
kvds_distributor *kvds_distributor_new(const char *base_path);

/**
 * Creates a distributor with options, like `kvds_distributor_new()`.
 *
 * @param options  copied; NULL for the defaults.
 * @param[out] out  a reference that the caller owns.
 * @return
 * - `KVDS_OK`
 * - `KVDS_INVALID_ARGUMENT`: `out` is NULL, the path is not UTF-8, or the option `cluster` is not
 *   a URL of servers; nothing is connected yet
 * - `KVDS_IO`: a relative path cannot be resolved
 */
kvds_status kvds_distributor_open(const char *base_path,
                                  const kvds_options *options,
                                  kvds_distributor **out);

/** Adds a reference and returns `distributor`; NULL for NULL. */
kvds_distributor *kvds_distributor_retain(kvds_distributor *distributor);

/**
 * Releases a reference and returns how many are left; 0 for NULL.
 *
 * At 0 the distributor is destroyed and gives up the references that it holds because of the
 * option `keep_stores`. Stores that the program still holds keep working, and their deaths are
 * observed.
 */
int64_t kvds_distributor_release(kvds_distributor *distributor);

/**
 * Returns the number of references; 0 for NULL.
 *
 * It is useful in tests and logs: other threads may change it at any time.
 */
int64_t kvds_distributor_ref_count(const kvds_distributor *distributor);

/**
 * Gets the live store `id` on `backend`, or creates or opens it.
 *
 * A disk store lives in the directory `base_path/NAME`. NAME is the id with every byte outside
 * `A-Z a-z 0-9 . _ -` percent-encoded (and `.` and `..` encoded whole), 255 bytes at most. If NAME
 * does not exist, but a store lies under the plain id below `base_path` (`base_path/a b` for "a
 * b", or `base_path/a/b` for "a/b"), as programs that do not encode ids leave it, that store is
 * opened.
 *
 * The directory and those above it are created if they are missing; a creation that fails leaves
 * none behind. A directory without a store is refused if it holds a file whose name a store would
 * use, such as `000001.log`, and nothing in it is touched. Other files (a README, `.gitkeep`,
 * `lost+found`) may stay. If a disk store of this name is being closed, the call waits until it
 * is. If values, cursors or iterations of a closed one still keep its files open, the new store
 * uses these files with them.
 *
 * One process at a time has a disk store open, by locks on the directory (`flock`) and on the file
 * `LOCK` in it (`fcntl`). They hold whatever the process does with these files: it may read or
 * remove `LOCK`. Readers (`read_only`) take no locks. On NFS, other machines see the lock on
 * `LOCK` alone, so it must not be removed there. Ids that differ only in case are one directory on
 * file systems that ignore case: opening the second returns `KVDS_LOCKED`.
 *
 * If a directory is moved, removed or replaced while its store is open, the library leaves the old
 * and the new directory alone: writes and `kvds_sync()` return `KVDS_IO` as soon as they need the
 * directory, at the latest when the write buffer is full. Reads continue, and so do writes after
 * the directory is moved back.
 *
 * Directories have the mode 0777 and files 0644, both less the umask. Another user can read the
 * store (`read_only`) if these modes and the directories above allow it. Only the owner of the
 * files writes.
 *
 * The keys of a cluster store lie in etcd under `NAMESPACE/NAME/`. The namespace is that of
 * `kvds_options_set_cluster()`, and NAME is encoded like that of a directory. The store may be
 * open in any number of processes on any number of machines, and nothing is locked. The options
 * `durability`, `block_cache_bytes`, `write_buffer_bytes`, `memory_limit_bytes`, `compression` and
 * `max_open_files` do not apply. One role in etcd for that prefix is enough for a store, and a
 * role that may only read is enough with `read_only`. If the store is destroyed while it is open
 * here, its writes return `KVDS_CLOSED`, and its reads find nothing.
 *
 * `cluster_timeout_ms` limits how long a call on a cluster store takes, but for looking up the
 * names of the servers, whose limits are the system's.
 *
 * @param id  of a memory store: 1 to 65536 bytes of any kind; of another: UTF-8, not empty.
 * @param[out] out  a reference that the caller owns and releases with kvds_store_release().
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: the store does not exist, and the options forbid creating it
 *   (`create_if_missing`, `read_only`)
 * - `KVDS_INVALID_ARGUMENT`: also if the directory holds files of others, or if there are stores
 *   both under NAME and under the plain id
 * - `KVDS_LOCKED`: another process or distributor has the store open
 * - `KVDS_NO_SPACE`, `KVDS_CORRUPTION`: the files cannot be opened
 * - `KVDS_IO`: the files cannot be opened or locked, or the system allows no more threads; the
 *   error text names the path that stands in the way, and where a link points
 * - `KVDS_BUSY`: with `read_only`, another process writes the store too fast; or the cluster could
 *   not be reached in time
 * - `KVDS_DENIED`: the cluster does not accept the login, or its user may not use these keys
 */
kvds_status kvds_distributor_get_or_create(kvds_distributor *distributor,
                                           const char *id,
                                           kvds_backend backend,
                                           kvds_store **out);

/**
 * Gets the live store `id` on `backend`, and opens nothing.
 *
 * @param[out] out  a reference that the caller owns.
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: the store is not live, even if its files exist
 */
kvds_status kvds_distributor_get(kvds_distributor *distributor,
                                 const char *id,
                                 kvds_backend backend,
                                 kvds_store **out);

/**
 * Releases the reference that the distributor holds to a store because of the option
 * `keep_stores`.
 *
 * If it was the last reference, the store is closed before the call returns. The files of a disk
 * store and the keys of a cluster store stay.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: the distributor holds no reference to it
 */
kvds_status kvds_distributor_evict(kvds_distributor *distributor,
                                   const char *id,
                                   kvds_backend backend);

/**
 * Deletes the data of the store `id` on `backend`: the files of a disk store, which is found as
 * `kvds_distributor_get_or_create()` finds it, or the keys of a cluster store.
 *
 * Files of others stay, and then so does their directory. Threads of this distributor that ask for
 * the store in the meantime wait, and get a new, empty one. A cluster store may be open in other
 * processes; their calls then return `KVDS_CLOSED`. A memory store ends with its last reference,
 * so there is nothing to delete.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: there is no such store
 * - `KVDS_BUSY`: the store is live in this distributor, or a value, cursor or iteration of it is
 *   still in use; or the cluster could not be reached in time, and nothing was deleted
 * - `KVDS_LOCKED`: another process or distributor has the disk store open
 * - `KVDS_DENIED`: the distributor has the option `read_only`, or the cluster forbids it
 * - `KVDS_IO`: the files cannot be deleted
 * - `KVDS_UNKNOWN_OUTCOME`: the cluster did not say whether it deleted the keys
 */
kvds_status kvds_distributor_destroy(kvds_distributor *distributor,
                                     const char *id,
                                     kvds_backend backend);

/** Deletes the files of the disk store `id`: `kvds_distributor_destroy()` with `KVDS_DISK`. */
kvds_status kvds_distributor_destroy_store(kvds_distributor *distributor,
                                           const char *id);

/**
 * Closes every live store, as `kvds_close()` does, and refuses to hand out stores from then on.
 *
 * The references held because of the option `keep_stores` are released. References that the
 * program holds must still be released. Called from a callback, it does not wait for running
 * calls.
 *
 * @return
 * - `KVDS_OK`: also the second time
 * - `KVDS_INVALID_ARGUMENT`: NULL
 */
kvds_status kvds_distributor_shutdown(kvds_distributor *distributor);

/** Returns the number of live stores of all backends; 0 for NULL. */
size_t kvds_distributor_store_count(const kvds_distributor *distributor);

/**
 * Called for each live store. Return 0 to stop, anything else to continue.
 *
 * `id` is valid during the call only.
 */
typedef int (*kvds_store_visit)(void *user_data,
                                const char *id,
                                kvds_backend backend,
                                uint64_t tag,
                                int64_t ref_count);

/**
 * Calls `callback` for every live store: memory stores first, then disk stores, then cluster
 * stores, each by name.
 *
 * Stores that are created or destroyed in the meantime may or may not be included.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_STOPPED`: the callback returned 0
 * - `KVDS_INVALID_ARGUMENT`: a NULL
 */
kvds_status kvds_distributor_for_each(const kvds_distributor *distributor,
                                      kvds_store_visit callback,
                                      void *user_data);

/** @} */

/* ============================================================================================= */
/** @defgroup store 8. Store: references, identity, open and close
 *
 * A `kvds_store *` is one counted reference to a store. When the last reference is released, the
 * store is closed and its death is observed. Closing a cluster store closes it in this process
 * alone, and its keys stay. If another process destroys it, the calls here return `KVDS_CLOSED`.
 * @{
 */

/**
 * Opens the disk store in exactly the directory `path`, without a distributor.
 *
 * The store and the directories above it are created if they are missing, unless the options
 * forbid it. The cache and the write buffers belong to this store alone; the options `keep_stores`
 * and `memory_limit_bytes` have no effect. The store's id is `path` as it was passed, its tag is
 * 0, and its backend is `KVDS_DISK`.
 *
 * For locks, file modes and directories that are moved see kvds_distributor_get_or_create(). To
 * delete such a store, release it and delete the directory.
 *
 * @param path  relative to the working directory at the time of the call; not encoded.
 * @param options  copied; NULL for the defaults.
 * @param[out] store  a reference that the caller owns and releases with kvds_store_release().
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: there is no store, and the options forbid creating it
 * - `KVDS_LOCKED`: the store is open in another process or in this one, through a distributor too,
 *   or a value, cursor or iteration of it is still in use
 * - `KVDS_INVALID_ARGUMENT`: a NULL, a path that is empty or not UTF-8, or a directory that holds
 *   files of others whose names a store would use
 * - `KVDS_IO`, `KVDS_NO_SPACE`, `KVDS_CORRUPTION`: the files cannot be opened; the error text
 *   names the path that stands in the way, and where a link points
 * - `KVDS_BUSY`: with `read_only`, another process writes the store too fast
 * - `KVDS_UNSUPPORTED`: a build without disk stores
 */
kvds_status kvds_store_open(const char *path,
                            const kvds_options *options,
                            kvds_store **store);

/** Adds a reference and returns `store`; NULL for NULL. */
kvds_store *kvds_store_retain(kvds_store *store);

/**
 * Releases a reference and returns how many are left; 0 for NULL.
 *
 * At 0 the store is closed, and its death has been observed, before the call returns. Values that
 * it returned stay valid. Values, cursors and iterations that are still in use keep the files of a
 * disk store open until they end. The data of a memory store is lost; another can be opened again.
 * A view holds a reference to its store. Closing does not report a failed sync: call `kvds_sync()`
 * before where that matters.
 */
int64_t kvds_store_release(kvds_store *store);

/**
 * Returns the number of references; 0 for NULL.
 *
 * It is useful in tests and logs: other threads may change it at any time.
 */
int64_t kvds_store_ref_count(const kvds_store *store);

/**
 * Returns the store's tag: unique in its distributor, counting from 0 in order of creation.
 *
 * @return the tag; 0 for NULL.
 */
uint64_t kvds_store_tag(const kvds_store *store);

/**
 * Returns the id under which the store was opened, byte for byte; NULL for NULL.
 *
 * @return text that the store owns, valid as long as the caller's reference.
 */
const char *kvds_store_id(const kvds_store *store);

/** Returns the backend of the store; 0 for NULL. */
kvds_backend kvds_store_backend(const kvds_store *store);

/**
 * Returns 1 if the store can be used, else 0.
 *
 * A store cannot be used if it was closed, if it is a view of a store that was closed, or if it is
 * on disk or a cluster and was inherited through fork(). NULL cannot be used either. Nothing is
 * sent to a cluster to find out.
 */
int kvds_is_open(const kvds_store *store);

/**
 * Closes the store for every holder, without waiting for the last reference.
 *
 * Running calls finish first; later calls return `KVDS_CLOSED`. The name is free again: the next
 * caller that asks the distributor for it gets a new store. References must still be released, and
 * the death of the store is observed when the last one is. Called from a callback, it does not
 * wait for running calls: the last of them to finish closes the store.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_CLOSED`: it was closed already
 * - `KVDS_INVALID_ARGUMENT`: NULL
 * - `KVDS_FORKED`: a disk or cluster store that was inherited through fork()
 */
kvds_status kvds_close(kvds_store *store);

/** @} */

/* ============================================================================================= */
/** @defgroup read 9. Read
 *
 * All functions work on stores and on views. Each also returns:
 * - `KVDS_INVALID_ARGUMENT`: a NULL, or a key or prefix longer than `KVDS_MAX_KEY_LEN`
 * - `KVDS_CLOSED`, `KVDS_DENIED`
 * - `KVDS_IO`, `KVDS_CORRUPTION`, `KVDS_FORKED`: on disk and cluster stores
 *
 * and on cluster stores:
 * - `KVDS_BUSY`: the cluster could not be reached in time
 * - `KVDS_EXPIRED`: the operator compacted the cluster, and the snapshot that the call reads is
 *   gone
 * - `KVDS_DENIED`: also if the cluster forbids it
 * - `KVDS_CLOSED`: also if another cluster is in the place of the one that the program used before
 * @{
 */

/**
 * Gets the value of `key`.
 *
 * @param[out] out  the value, to be released with kvds_value_release(). Where copying would cost
 *   more than sharing, its bytes are the store's own.
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`
 */
kvds_status kvds_get(const kvds_store *store,
                     const void *key,
                     size_t key_len,
                     kvds_value *out);

/**
 * Copies the value of `key` into `buffer`.
 *
 * @param[out] buffer  room for `capacity` bytes; may be NULL if `capacity` is 0.
 * @param[out] len  the length of the value, or 0.
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`
 * - `KVDS_TRUNCATED`: the value is longer than `capacity`; nothing is copied, and `*len` says how
 *   much room is needed
 */
kvds_status kvds_get_into(const kvds_store *store,
                          const void *key,
                          size_t key_len,
                          void *buffer,
                          size_t capacity,
                          size_t *len);

/**
 * Tests whether `key` exists.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`
 */
kvds_status kvds_exists(const kvds_store *store, const void *key, size_t key_len);

/**
 * Gets the values of `count` keys, all from one snapshot.
 *
 * All three arrays have `count` elements, and may be NULL if `count` is 0. On an error, all values
 * are empty and all statuses are that error.
 *
 * @param[out] values  the values, each to be released with kvds_value_release(); empty where the
 *   key does not exist.
 * @param[out] statuses  `KVDS_OK` or `KVDS_NOT_FOUND` for each key.
 * @return
 * - `KVDS_OK`: all keys were looked up, whether or not they exist
 */
kvds_status kvds_multi_get(const kvds_store *store,
                           const kvds_bytes *keys,
                           size_t count,
                           kvds_value *values,
                           kvds_status *statuses);

/**
 * Called for each pair. Return 0 to stop, anything else to continue.
 *
 * The pointers are valid during the call only.
 */
typedef int (*kvds_visit)(void *user_data,
                          const void *key,
                          size_t key_len,
                          const void *value,
                          size_t value_len);

/**
 * Calls `callback` for every pair whose key begins with `prefix`, in the order of the keys.
 *
 * The iteration reads a snapshot: it includes no write made after it began, by any thread. It
 * never blocks writers. The callback may write to the store, iterate it, close it and release it.
 * The call may return an error after the callback has seen some pairs.
 *
 * @param prefix  an empty one is the prefix of all keys.
 * @return
 * - `KVDS_OK`: all pairs were shown
 * - `KVDS_STOPPED`: the callback returned 0
 */
kvds_status kvds_iterate(const kvds_store *store,
                         const void *prefix,
                         size_t prefix_len,
                         kvds_visit callback,
                         void *user_data);

/** @} */

/* ============================================================================================= */
/** @defgroup write 10. Write
 *
 * Every write is one atomic step: no reader sees a part of it, and no other write comes between
 * the check and the change of a conditional one. After `KVDS_OK`, every later read on every thread
 * sees it, and on disk it survives what `kvds_durability` says. On a cluster every process sees
 * it, and it survives the failure of any minority of the members. All functions work on stores
 * and on views. Each also returns:
 * - `KVDS_INVALID_ARGUMENT`: a NULL, or a key or value that is too long
 * - `KVDS_CLOSED`, `KVDS_DENIED`, `KVDS_NO_MEMORY`
 * - `KVDS_IO`, `KVDS_NO_SPACE`, `KVDS_CORRUPTION`, `KVDS_FORKED`: on disk and cluster stores
 *
 * and on cluster stores:
 * - `KVDS_BUSY`: the cluster could not be reached in time; nothing was changed, so the program may
 *   repeat the call
 * - `KVDS_UNKNOWN_OUTCOME`: the request was sent, and the time limit (`cluster_timeout_ms`) ended
 *   before the library knew whether it was applied
 * - `KVDS_UNSUPPORTED`: the keys and values of the call are larger, or there are more of them,
 *   than the server accepts in one request; nothing was changed, and the error text has the limit
 * - `KVDS_NO_SPACE`: the server's quota is used up; deleting still works
 * - `KVDS_DENIED`: also if the cluster forbids it
 * - `KVDS_CLOSED`: also if another process destroyed the store
 *
 * A write that fails changes nothing that can be read (but after `KVDS_UNKNOWN_OUTCOME`, it may
 * have been applied). On disk, after `KVDS_IO` or `KVDS_NO_SPACE` it may already be in a file,
 * though: if the process ends before another write to the store is acknowledged, the failed write
 * may be there when the store is opened again. Returning these statuses can take a second or two,
 * because the library retries first.
 * @{
 */

/**
 * Sets `key` to `value`, whether or not the key exists.
 *
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_set(kvds_store *store,
                     const void *key,
                     size_t key_len,
                     const void *value,
                     size_t value_len);

/**
 * Deletes `key`.
 *
 * @return
 * - `KVDS_OK`: it existed
 * - `KVDS_NOT_FOUND`
 */
kvds_status kvds_del(kvds_store *store, const void *key, size_t key_len);

/**
 * Sets `count` keys, all or none.
 *
 * `kvds_write()` also deletes in the same step, and can make the writes conditional.
 *
 * If a key appears twice, the last value wins. If a pair is invalid, the error text says which
 * one.
 *
 * @param pairs  may be NULL if `count` is 0.
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_set_batch(kvds_store *store, const kvds_pair *pairs, size_t count);

/**
 * Deletes `count` keys, all or none.
 *
 * Keys that do not exist are skipped. If a key is invalid, the error text says which one.
 *
 * @param keys  may be NULL if `count` is 0.
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_delete_batch(kvds_store *store, const kvds_bytes *keys, size_t count);

/**
 * Sets `key` to `value` if the key does not exist.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_EXISTS`: it exists; nothing was changed
 */
kvds_status kvds_set_nx(kvds_store *store,
                        const void *key,
                        size_t key_len,
                        const void *value,
                        size_t value_len);

/**
 * Sets `key` to `value` if its value is `expected`.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: the key does not exist; nothing was changed
 * - `KVDS_MISMATCH`: it has another value; nothing was changed
 */
kvds_status kvds_compare_and_swap(kvds_store *store,
                                  const void *key,
                                  size_t key_len,
                                  const void *expected,
                                  size_t expected_len,
                                  const void *value,
                                  size_t value_len);

/**
 * Deletes `key` if its value is `expected`.
 *
 * The owner of a lock taken with `kvds_set_nx()` releases it with this function.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: the key does not exist
 * - `KVDS_MISMATCH`: it has another value; nothing was changed
 */
kvds_status kvds_compare_and_delete(kvds_store *store,
                                    const void *key,
                                    size_t key_len,
                                    const void *expected,
                                    size_t expected_len);

/**
 * Adds `delta` to the number stored under `key`.
 *
 * The value is decimal text, such as "-12". A key that does not exist counts as 0 and is created.
 * A view must permit reading and writing.
 *
 * @param[out] result  the sum; may be NULL.
 * @return
 * - `KVDS_OK`
 * - `KVDS_INVALID_ARGUMENT`: also if the value is not such a number, or the sum does not fit 64
 *   bits; nothing was changed
 * - `KVDS_BUSY`: other writes changed the key at each of a thousand attempts
 */
kvds_status kvds_add(kvds_store *store,
                     const void *key,
                     size_t key_len,
                     int64_t delta,
                     int64_t *result);

/**
 * Deletes every key that begins with `prefix`.
 *
 * On disk, the keys of a small prefix are deleted one by one; a large prefix is one entry in the
 * log. On a cluster, no other write to the cluster proceeds meanwhile: 100,000 keys take a second.
 *
 * @param prefix  an empty one is the prefix of all keys.
 * @return
 * - `KVDS_OK`: also if there are no such keys
 */
kvds_status kvds_delete_prefix(kvds_store *store,
                               const void *prefix,
                               size_t prefix_len);

/** @} */

/* ============================================================================================= */
/** @defgroup batch 11. Batches
 *
 * A batch is a list of operations and of expectations about the data before them. `kvds_write()`
 * applies all operations in one atomic step if every expectation holds. The functions that fill a
 * batch also return:
 * - `KVDS_INVALID_ARGUMENT`: a NULL, or a key or value that is too long; nothing is added
 * - `KVDS_NO_MEMORY`: nothing is added
 * @{
 */

/**
 * A batch. One thread at a time may use it.
 *
 * It keeps copies of its keys and values, belongs to no store, and is not used up by a write.
 */
typedef struct kvds_batch kvds_batch;

/**
 * Creates an empty batch.
 *
 * @return the batch, to be freed with kvds_batch_free(); NULL only because of a bug in the
 *   library.
 */
kvds_batch *kvds_batch_new(void);

/** Frees a batch. */
void kvds_batch_free(kvds_batch *batch);

/** Removes everything from a batch and keeps its memory for the next use. */
void kvds_batch_clear(kvds_batch *batch);

/** Returns the number of operations, without expectations; 0 for NULL. */
size_t kvds_batch_count(const kvds_batch *batch);

/**
 * Adds an operation that sets `key` to `value`.
 *
 * If a key has several operations, the last one wins.
 *
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_batch_set(kvds_batch *batch,
                           const void *key,
                           size_t key_len,
                           const void *value,
                           size_t value_len);

/**
 * Adds an operation that deletes `key`, which need not exist.
 *
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_batch_del(kvds_batch *batch, const void *key, size_t key_len);

/**
 * Adds the expectation that the value of `key` is `value` before the batch.
 *
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_batch_expect(kvds_batch *batch,
                              const void *key,
                              size_t key_len,
                              const void *value,
                              size_t value_len);

/**
 * Adds the expectation that `key` does not exist before the batch.
 *
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_batch_expect_absent(kvds_batch *batch, const void *key, size_t key_len);

/**
 * Applies `batch` to `store` in one atomic step if every expectation holds.
 *
 * The batch is unchanged and can be applied again. The call also returns what the section "Write"
 * lists.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_MISMATCH`: an expectation does not hold; nothing was changed
 */
kvds_status kvds_write(kvds_store *store,
                       const kvds_batch *batch);

/** @} */

/* ============================================================================================= */
/** @defgroup ttl 12. Time to live
 *
 * A key that is set with a time to live is there for at least that time, and then an ordinary
 * write deletes it: conditions, snapshots, cursors and watches see a deletion, once. The key is
 * gone at most a tenth of its time and 2 seconds later, or when a disk store is opened next. A set
 * without a time to live ends it, and so does `kvds_expire()` with 0. Times are in milliseconds,
 * at most a hundred years.
 *
 * Time is monotonic within a process. A disk store keeps deadlines as wall-clock time while it is
 * closed: a clock that is set back makes keys live longer, and one that is set forward ends them
 * early. Opening a store first deletes the keys that have expired, some 50,000 a second. On a
 * cluster the servers count the time: in whole seconds, which are rounded up (so a key
 * may live another second), and after a change of the leader from the beginning. A store that is
 * opened for reading only shows expired keys until the writer deletes them. In a forked child, the
 * keys of an inherited memory store expire once the child sets a time to live itself.
 *
 * All functions work on stores and on views, and return what the section "Write" lists, or
 * `kvds_ttl()` what the section "Read" lists. On a memory store, the functions that set a time
 * return `KVDS_IO` if the thread cannot be started that deletes expired keys.
 * @{
 */

/** Maximum time to live: 100 years. A longer one is `KVDS_INVALID_ARGUMENT`. */
#define KVDS_MAX_TTL_MS 3155760000000

/**
 * Sets `key` to `value` for a time.
 *
 * @param ttl_ms  at least 1.
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_set_ttl(kvds_store *store,
                         const void *key,
                         size_t key_len,
                         const void *value,
                         size_t value_len,
                         uint64_t ttl_ms);

/**
 * Sets `key` to `value` for a time, if the key does not exist: a lock that frees itself.
 *
 * The owner renews it with a batch that expects its own value and calls `kvds_batch_expire()`.
 *
 * @param ttl_ms  at least 1.
 * @return
 * - `KVDS_OK`
 * - `KVDS_EXISTS`: it exists; nothing was changed
 */
kvds_status kvds_set_nx_ttl(kvds_store *store,
                            const void *key,
                            size_t key_len,
                            const void *value,
                            size_t value_len,
                            uint64_t ttl_ms);

/**
 * Replaces the time that `key` has left.
 *
 * @param ttl_ms  counted from now; 0: the key never expires.
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`
 */
kvds_status kvds_expire(kvds_store *store, const void *key, size_t key_len, uint64_t ttl_ms);

/**
 * Adds an operation to a batch that sets `key` to `value` for a time.
 *
 * @param ttl_ms  counted from each `kvds_write()`; at least 1.
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_batch_set_ttl(kvds_batch *batch,
                               const void *key,
                               size_t key_len,
                               const void *value,
                               size_t value_len,
                               uint64_t ttl_ms);

/**
 * Adds an operation to a batch that replaces the time that `key` has left.
 *
 * It does nothing to a key that does not exist.
 *
 * @param ttl_ms  counted from each `kvds_write()`; 0: the key never expires.
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_batch_expire(kvds_batch *batch,
                              const void *key,
                              size_t key_len,
                              uint64_t ttl_ms);

/**
 * Gets the time that `key` has left.
 *
 * @param[out] left_ms  milliseconds; 0 if the key is about to be deleted; -1 if it never expires.
 *   On a cluster whole seconds. Of a snapshot: the time that the key's value of then has left now.
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`
 */
kvds_status kvds_ttl(const kvds_store *store,
                     const void *key,
                     size_t key_len,
                     int64_t *left_ms);

/** @} */

/* ============================================================================================= */
/** @defgroup cursor 13. Cursors
 *
 * A cursor moves over the pairs of a range in both directions, in a snapshot of the time of its
 * creation. It sees no later write. A new cursor is on no entry: move it first. Every function
 * that moves a cursor returns:
 * - `KVDS_OK`: the cursor is on an entry
 * - `KVDS_NOT_FOUND`: it is on no entry, for example because it passed an end of the range
 * - `KVDS_INVALID_ARGUMENT`: NULL
 * - `KVDS_IO`, `KVDS_CORRUPTION`, `KVDS_FORKED`: on disk and cluster stores
 * - `KVDS_BUSY`, `KVDS_EXPIRED`, `KVDS_DENIED`: on cluster stores, as the section "Read" says
 *
 * To visit all entries, call `kvds_cursor_first()`, and then `kvds_cursor_next()` while they
 * return `KVDS_OK`. `KVDS_NOT_FOUND` is the end of the range; any other status is an error. A move
 * invalidates what `kvds_cursor_key()` and `kvds_cursor_value()` returned before. On a cluster, a
 * cursor reads pages of many pairs. Moving backward is slower there than moving forward.
 * @{
 */

/**
 * A cursor. One thread at a time may use it.
 *
 * Its store may be written, closed and released while the cursor is in use; the cursor continues
 * on its snapshot. The files of a disk store stay open as long as the cursor exists.
 */
typedef struct kvds_cursor kvds_cursor;

/**
 * Creates a cursor over the keys of `store` that are in `range`, as of now.
 *
 * The call also returns what the section "Read" lists.
 *
 * @param range  copied; NULL for all keys.
 * @param[out] out  the cursor, to be freed with kvds_cursor_free().
 * @return
 * - `KVDS_OK`: also if there are no such keys
 */
kvds_status kvds_cursor_new(const kvds_store *store,
                            const kvds_range *range,
                            kvds_cursor **out);

/** Frees a cursor. */
void kvds_cursor_free(kvds_cursor *cursor);

/** Moves to the first entry of the range. */
kvds_status kvds_cursor_first(kvds_cursor *cursor);

/** Moves to the last entry of the range. */
kvds_status kvds_cursor_last(kvds_cursor *cursor);

/**
 * Moves to the first entry of the range whose key is `key` or greater.
 *
 * A key longer than `KVDS_MAX_KEY_LEN` is `KVDS_INVALID_ARGUMENT`, and the cursor does not move.
 */
kvds_status kvds_cursor_seek(kvds_cursor *cursor,
                             const void *key,
                             size_t key_len);

/** Moves to the next entry. A cursor that is on no entry stays there. */
kvds_status kvds_cursor_next(kvds_cursor *cursor);

/** Moves to the previous entry. A cursor that is on no entry stays there. */
kvds_status kvds_cursor_prev(kvds_cursor *cursor);

/** Returns 1 if the cursor is on an entry, else 0; 0 for NULL. */
int kvds_cursor_valid(const kvds_cursor *cursor);

/**
 * Gets the key of the current entry.
 *
 * @param[out] key  bytes that the cursor owns, valid until it moves or is freed.
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: the cursor is on no entry
 * - `KVDS_INVALID_ARGUMENT`: a NULL
 */
kvds_status kvds_cursor_key(const kvds_cursor *cursor, kvds_bytes *key);

/**
 * Gets the value of the current entry.
 *
 * @param[out] value  bytes that the cursor owns, valid until it moves or is freed.
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: the cursor is on no entry
 * - `KVDS_INVALID_ARGUMENT`: a NULL
 */
kvds_status kvds_cursor_value(const kvds_cursor *cursor, kvds_bytes *value);

/**
 * Gets the time that the key of a cursor's current entry has left.
 *
 * It is that of the cursor's snapshot: the time that the entry's value has left now. The call also
 * returns what moving a cursor returns.
 *
 * @param[out] left_ms  as in `kvds_ttl()`.
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: the cursor is on no entry
 */
kvds_status kvds_cursor_ttl(kvds_cursor *cursor,
                            int64_t *left_ms);

/** @} */

/* ============================================================================================= */
/** @defgroup watch 14. Watches
 *
 * A watch returns the changes of a range of keys, in the order of the writes. It returns every
 * write to the range after `kvds_watch_new()` returned, once, and batches as a whole. If that is
 * not possible, because the program read too slowly or the history is gone, `kvds_watch_next()`
 * returns `KVDS_EXPIRED` once. The program then reads the range again; the watch returns every
 * write after that. A watch never holds up a writer: memory and disk stores keep up to
 * `watch_buffer_bytes` of changes, for all watches of a store together.
 *
 * To keep a copy of a range, create the watch, then read the range, and then apply the changes to
 * the copy. Some of them were made before the reading ended: until the watch has returned the last
 * of these, the copy may have older values beside newer ones.
 *
 * A watch of a view returns what the view shows, and outlives the view: it ends with the store of
 * the view. A snapshot cannot be watched.
 * @{
 */

/** The key has the value `value`: it was set, or its time to live was changed. */
#define KVDS_CHANGE_SET 0
/** The key was deleted, or has expired. A batch may also delete a key that did not exist. */
#define KVDS_CHANGE_DELETE 1

/**
 * All keys from `key` up to `value` were deleted, or all keys of the watched range from `key` on
 * if `value_len` is 0. Memory stores report what `kvds_delete_prefix()` deletes so. Disk stores do
 * if the prefix has many keys; of few, they report each key, as cluster stores always do.
 */
#define KVDS_CHANGE_DELETE_RANGE 2

/** A change of a watched range. */
typedef struct kvds_change {
    /** `KVDS_CHANGE_SET`, `KVDS_CHANGE_DELETE` or `KVDS_CHANGE_DELETE_RANGE`. */
    int kind;
    /** 1 if this is the last change of its write, else 0: a batch has several. */
    int last;
    /**
     * The number of the write. All changes of a write have the same number, and later writes have
     * larger ones.
     */
    uint64_t sequence;
    /** The key; not NULL. */
    const void *key;
    /** Length of the key in bytes. */
    size_t key_len;
    /** The value, or the end of the range. */
    const void *value;
    /** Length of the value in bytes. */
    size_t value_len;
} kvds_change;

/**
 * A watch. One thread at a time may use it.
 *
 * It keeps no store alive. When its store is closed or its last reference is released,
 * `kvds_watch_next()` returns `KVDS_CLOSED`, also in a thread that waits there.
 */
typedef struct kvds_watch kvds_watch;

/**
 * Creates a watch of the keys of `store` that are in `range`, from now on.
 *
 * The call also returns what the section "Read" lists.
 *
 * @param range  copied; NULL for all keys.
 * @param[out] out  the watch, to be freed with kvds_watch_free().
 * @return
 * - `KVDS_OK`
 * - `KVDS_UNSUPPORTED`: the store is a snapshot, or was opened for reading only
 */
kvds_status kvds_watch_new(const kvds_store *store,
                           const kvds_range *range,
                           kvds_watch **out);

/**
 * Creates a watch that continues after an earlier one: it returns every write after the one with
 * the number `sequence`.
 *
 * A cluster keeps its history until it is compacted. A memory or disk store keeps it only while
 * the store has a watch, and up to `watch_buffer_bytes`: create the new watch before the old one
 * is freed.
 *
 * @param range  copied; NULL for all keys.
 * @param sequence  of a change whose `last` was 1.
 * @param[out] out  the watch, to be freed with kvds_watch_free().
 * @return
 * - `KVDS_OK`
 * - `KVDS_EXPIRED`: the history is gone; create a new watch and read the range again
 * - `KVDS_UNSUPPORTED`: the store is a snapshot, or was opened for reading only
 */
kvds_status kvds_watch_from(const kvds_store *store,
                            const kvds_range *range,
                            uint64_t sequence,
                            kvds_watch **out);

/**
 * Waits for the next change.
 *
 * @param timeout_ms  0 to return at once, -1 to wait without a limit.
 * @param[out] change  its key and value belong to the watch and are valid until the next call with
 *   the watch.
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: there was no change in that time
 * - `KVDS_EXPIRED`: changes were missed; read the range again, and continue with the watch
 * - `KVDS_CLOSED`: the store was closed
 * - `KVDS_INVALID_ARGUMENT`: a NULL
 * - `KVDS_FORKED`: on disk and cluster stores
 * - `KVDS_BUSY`, `KVDS_DENIED`, `KVDS_IO`: on cluster stores; the next call connects again
 */
kvds_status kvds_watch_next(kvds_watch *watch,
                            int64_t timeout_ms,
                            kvds_change *change);

/**
 * Returns a descriptor for poll() and event loops, or -1 on an error.
 *
 * It is readable while there may be a change, and once the store is closed. Then call
 * `kvds_watch_next()` with a timeout of 0 until it returns another status than `KVDS_OK`. The
 * descriptor belongs to the watch: do not read or close it.
 */
int kvds_watch_fd(kvds_watch *watch);

/** Frees a watch. No other thread may wait in it. */
void kvds_watch_free(kvds_watch *watch);

/** @} */

/* ============================================================================================= */
/** @defgroup view 15. Views and snapshots
 *
 * A view is a store like any other, and every function works on it. It shows another store with
 * fewer rights, only a part of its keys, or a snapshot of it. A view has its own reference count.
 * It holds a reference to its store, and its tag, id and backend are that store's. Closing a view
 * closes the view alone; closing the store closes its views too. The end of a view is not
 * observed. A view of a view is a view of the same store, and does not need the view that it was
 * made from. All functions here return:
 * - `KVDS_OK`
 * - `KVDS_INVALID_ARGUMENT`: a NULL
 * - `KVDS_CLOSED`, `KVDS_FORKED`
 *
 * A snapshot of a cluster store ends when the operator compacts the cluster: its reads then return
 * `KVDS_EXPIRED`. The snapshot stays an error, so take a new one. etcd alone does not compact, but
 * many clusters do so every few minutes.
 * @{
 */

/** The view may be read. */
#define KVDS_VIEW_READ 1
/** The view may be written, also with conditional writes, which reveal whether a key exists. */
#define KVDS_VIEW_WRITE 2

/**
 * Creates a view that permits only some operations of those that `store` permits.
 *
 * Operations that the view does not permit return `KVDS_DENIED`.
 *
 * @param rights  `KVDS_VIEW_READ`, `KVDS_VIEW_WRITE`, or both (or-ed).
 * @param[out] out  a reference that the caller owns.
 */
kvds_status kvds_store_view(kvds_store *store, int rights, kvds_store **out);

/**
 * Creates a view of the keys of `store` that begin with `prefix`.
 *
 * Keys are without the prefix, in arguments and in results; no other key can be reached through
 * the view. Writes go to the store. The prefix and a key together may have `KVDS_MAX_KEY_LEN`
 * bytes.
 *
 * @param[out] out  a reference that the caller owns.
 */
kvds_status kvds_store_scope(kvds_store *store,
                             const void *prefix,
                             size_t prefix_len,
                             kvds_store **out);

/**
 * Creates a snapshot: a read-only view of `store` that no later write changes.
 *
 * Writes to the view return `KVDS_DENIED`. The data is not copied; what is overwritten or deleted
 * while the view exists is kept for it. The call also returns `KVDS_DENIED` if `store` is a view
 * that does not permit reading, `KVDS_IO` on disk stores, and on cluster stores `KVDS_BUSY`,
 * `KVDS_DENIED` and `KVDS_IO`, as the section "Read" says.
 *
 * @param[out] out  a reference that the caller owns.
 */
kvds_status kvds_store_snapshot(const kvds_store *store,
                                kvds_store **out);

/** @} */

/* ============================================================================================= */
/** @defgroup maintenance 16. Durability and maintenance
 *
 * All functions work on stores and on views. Each also returns:
 * - `KVDS_INVALID_ARGUMENT`: a NULL
 * - `KVDS_CLOSED`
 * - `KVDS_IO`, `KVDS_NO_SPACE`, `KVDS_FORKED`: on disk stores
 *
 * On a cluster store, `kvds_sync()`, `kvds_compact()` and `kvds_refresh()` have no effect: a
 * majority of the members has synced an acknowledged write, compaction is the operator's, and
 * every read sees the writes of other processes. `kvds_checkpoint()` also returns `KVDS_BUSY`,
 * `KVDS_EXPIRED`, `KVDS_DENIED` and `KVDS_FORKED`, as the section "Read" says.
 * @{
 */

/**
 * Makes every acknowledged write to `store` survive a power failure, whatever `durability` says.
 *
 * No effect in memory and on a cluster. After an error, no more than before is certain to survive.
 *
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_sync(kvds_store *store);

/**
 * Reclaims the disk space of overwritten and deleted entries at once, instead of over time.
 *
 * It can take long; reads and writes continue in the meantime. No effect in memory and on a
 * cluster. Merging files takes disk space until it is done. Where there is too little, files stay
 * as they are. That is no error, and the log callback gets a warning.
 *
 * @return
 * - `KVDS_OK`
 */
kvds_status kvds_compact(kvds_store *store);

/**
 * Shows what another process has written to a store that was opened with the option `read_only`.
 *
 * Snapshots and cursors do not change. No effect on other stores.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_CORRUPTION`
 * - `KVDS_BUSY`: the other process writes faster than the store can be opened; try again
 */
kvds_status kvds_refresh(kvds_store *store);

/**
 * Copies what `store` shows now to a new disk store in the directory `path`.
 *
 * Another distributor can open the copy: the parent directory is its base path, and the last
 * component is the id; `kvds_store_open()` opens it by its path. A disk store is copied by hard
 * links where the file system supports them, which takes little time and space. Anything else is
 * read and written. Writes to the store continue in the meantime. The copy is made in a directory
 * `.kvds-copy-*` beside `path`; the next copy removes those of processes that died.
 *
 * @param path  must not exist; the directories above it are created.
 * @return
 * - `KVDS_OK`
 * - `KVDS_INVALID_ARGUMENT`: also if `path` exists
 * - `KVDS_DENIED`: a view that does not permit reading
 * - `KVDS_UNSUPPORTED`: a build without disk stores
 */
kvds_status kvds_checkpoint(const kvds_store *store,
                            const char *path);

/** @} */

/* ============================================================================================= */
/** @defgroup damage 17. Damaged stores
 *
 * A disk store that is damaged, by a failing disk or a file that is missing, returns
 * `KVDS_CORRUPTION` where the damage is. `kvds_verify()` finds all damage of a store, and
 * `kvds_salvage()` copies what can still be read into a new store. Both read the files of the
 * store and change none.
 * @{
 */

/** Nothing is lost: what is damaged can be derived from the rest. */
#define KVDS_LOSS_NONE 0
/** Pairs are lost, or may be. */
#define KVDS_LOSS_PAIRS 1
/** Times to live are lost, or may be. The pairs are not. */
#define KVDS_LOSS_TTLS 2

/** A damage of one file. The pointers are valid during the call only. */
typedef struct kvds_damage {
    /** Path of the damaged file, or of the store's directory if no single file is damaged. */
    const char *file;
    /** A sentence in English that says what is damaged, and where in the file. */
    const char *problem;
    /** `KVDS_LOSS_NONE`, `KVDS_LOSS_PAIRS` or `KVDS_LOSS_TTLS`. */
    int loss;
    /** The loss affects no key before this one; NULL if that is not known. */
    const void *first;
    /** Length of `first` in bytes. */
    size_t first_len;
    /** The loss affects no key after this one; NULL if that is not known. */
    const void *last;
    /** Length of `last` in bytes. */
    size_t last_len;
} kvds_damage;

/**
 * Called for each damage, and in between. Return 0 to stop, anything else to continue.
 *
 * `damage` is NULL for calls that only report progress: at least one for each MiB that is read.
 * `bytes_done` and `bytes_total` are an estimate of the work.
 */
typedef int (*kvds_damage_visit)(void *user_data,
                                 const kvds_damage *damage,
                                 uint64_t bytes_done,
                                 uint64_t bytes_total);

/** What `kvds_salvage()` has saved. */
typedef struct kvds_salvaged {
    /** How many pairs were copied. */
    uint64_t pairs;
    /**
     * How many keys were found only with a value that may be an older one. They were left out.
     * Keys of which nothing was found are not counted.
     */
    uint64_t lost;
    /**
     * How many of the copied pairs may have had a time to live that cannot be read. They have none
     * in the copy.
     */
    uint64_t ttls_lost;
} kvds_salvaged;

/**
 * Reads all files of the disk store in the directory `path`, and verifies every checksum.
 *
 * That includes the list of files, every block of every table file and the logs. The store need
 * not be open. If a process writes to it in the meantime, files that it deletes are left out. The
 * call reports all damage, not only the first, and writes nothing.
 *
 * @param options  copied; NULL for the defaults.
 * @param callback  may be NULL.
 * @return
 * - `KVDS_OK`: there is no damage
 * - `KVDS_NOT_FOUND`: there is no store
 * - `KVDS_STOPPED`: the callback returned 0
 * - `KVDS_CORRUPTION`: there is damage
 * - `KVDS_INVALID_ARGUMENT`: `path` is NULL, empty or not UTF-8
 * - `KVDS_IO`: a file may not be opened
 * - `KVDS_BUSY`: another process writes the store too fast
 * - `KVDS_UNSUPPORTED`: a build without disk stores
 */
kvds_status kvds_verify(const char *path,
                        const kvds_options *options,
                        kvds_damage_visit callback,
                        void *user_data);

/**
 * Copies what can be read of the damaged disk store in the directory `path` into a new disk store
 * in the directory `target`.
 *
 * Each pair of the new store is a pair of the last state of the damaged one, with its time to
 * live. No pair is an older one that a lost write had replaced: a key is left out if what is lost
 * may include a newer write of it. Two kinds of damage are exceptions, and the callback reports
 * them. A damaged log ends there: the new store has the state before the first write that is lost.
 * If the list of files (`MANIFEST`) is lost, it is rebuilt, and deleted keys or older values can
 * return.
 *
 * The damaged store must not be open, and is never changed. The copy is built in a directory
 * `.kvds-copy-*` beside `target`. It appears under its name when it is complete; after an error,
 * nothing of it is left. It needs as much disk space as the pairs.
 *
 * @param target  must not exist; the directories above it are created.
 * @param options  copied; NULL for the defaults.
 * @param callback  may be NULL; it gets what `kvds_verify()` reports.
 * @param[out] salvaged  all 0 unless the call returns `KVDS_OK`.
 * @return
 * - `KVDS_OK`: the new store is complete, whether or not there was damage
 * - `KVDS_NOT_FOUND`: there is no store at `path`
 * - `KVDS_STOPPED`: the callback returned 0, and there is no new store
 * - `KVDS_CORRUPTION`: too little is left to find the pairs
 * - `KVDS_INVALID_ARGUMENT`: a NULL, a path that is empty or not UTF-8, or `target` exists
 * - `KVDS_LOCKED`: the damaged store is open
 * - `KVDS_IO`, `KVDS_NO_SPACE`: the files cannot be read or written
 * - `KVDS_UNSUPPORTED`: a build without disk stores
 */
kvds_status kvds_salvage(const char *path,
                         const char *target,
                         const kvds_options *options,
                         kvds_damage_visit callback,
                         void *user_data,
                         kvds_salvaged *salvaged);

/** @} */

/* ============================================================================================= */
/** @defgroup statistics 18. Statistics and logging
 * @{
 */

/** Statistics of a store; of a view, those of its store. */
typedef struct kvds_stats {
    /** How many keys there are; on disk an estimate. */
    uint64_t keys;
    /** How many bytes its keys and values have; on disk an estimate; 0 on a cluster. */
    uint64_t bytes;
    /** How many keys were looked up since the store was opened. */
    uint64_t reads;
    /** How many operations were written since the store was opened. */
    uint64_t writes;
    /** How many of the keys that were looked up were there. */
    uint64_t hits;
    /** How many bytes its files have; 0 in memory and on a cluster. */
    uint64_t disk_bytes;
    /**
     * How many bytes of memory it holds: in memory by the rules of `memory_limit_bytes`, on disk
     * without the block cache.
     */
    uint64_t memory_bytes;
} kvds_stats;

/**
 * Gets the statistics of `store`.
 *
 * @param[out] stats  all 0 on an error.
 * @param size  `sizeof(kvds_stats)` as the caller knows it. A later library leaves out the members
 *   that the caller has no room for; an earlier one sets unknown members to 0.
 * @return
 * - `KVDS_OK`
 * - `KVDS_INVALID_ARGUMENT`: a NULL, or a size below 8
 * - `KVDS_CLOSED`, `KVDS_FORKED`
 * - `KVDS_BUSY`, `KVDS_DENIED`, `KVDS_IO`: on cluster stores, as the section "Read" says
 */
kvds_status kvds_store_stats(const kvds_store *store,
                             kvds_stats *stats,
                             size_t size);

/**
 * Gets the property `name` of `store` as text.
 *
 * The members of `kvds_stats` have the names "kvds.keys", "kvds.bytes" and so on. On disk,
 * RocksDB's properties are available too, such as "rocksdb.stats" or
 * "rocksdb.num-files-at-level0". On a cluster there are "etcd.version", "etcd.db_size",
 * "etcd.leader" and "etcd.revision".
 *
 * @param[out] out  the text, without a NUL at its end, to be released with kvds_value_release().
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: there is no such property
 * - `KVDS_INVALID_ARGUMENT`: a NULL
 * - `KVDS_CLOSED`, `KVDS_FORKED`
 * - `KVDS_BUSY`, `KVDS_DENIED`, `KVDS_IO`: on cluster stores, as the section "Read" says
 */
kvds_status kvds_store_property(const kvds_store *store,
                                const char *name,
                                kvds_value *out);

/** How important a log message is: one of the four constants below. */
typedef int32_t kvds_log_level;

/** An operation failed. */
#define KVDS_LOG_ERROR 0
/** Something unusual that the library handled. */
#define KVDS_LOG_WARN 1
/** A normal event, such as opening a store. */
#define KVDS_LOG_INFO 2
/** Details for debugging. */
#define KVDS_LOG_DEBUG 3

/**
 * Called for each log message.
 *
 * `text` is one message in UTF-8, valid during the call only.
 */
typedef void (*kvds_log)(void *user_data, kvds_log_level level, const char *text);

/**
 * Registers a callback for log messages, those of RocksDB included.
 *
 * There is one callback per process: this one replaces the one before, and NULL removes it. The
 * library writes no log files. Calls come one at a time, from a thread of the library, and delay
 * nothing: a slow callback misses messages, and the next message says how many. When this function
 * returns, the callback before is not running and will not run again, unless the caller is itself
 * a callback.
 *
 * @param level  the least important level to report.
 * @return
 * - `KVDS_OK`
 * - `KVDS_INVALID_ARGUMENT`: there is no such level
 * - `KVDS_IO`: the thread cannot be started
 */
kvds_status kvds_set_log_callback(kvds_log_level level,
                                  kvds_log callback,
                                  void *user_data);

/** @} */

/* ============================================================================================= */
/** @defgroup observer 19. Observers
 *
 * An observer is a callback that is called when a store of a distributor dies: once per store, on
 * the thread that released the last reference, after the store's resources are freed and its name
 * is free again, and without any lock of the library held.
 * @{
 */

/**
 * Called when a store is destroyed.
 *
 * `id` is valid during the call only. The callback may ask the distributor for the same id again.
 */
typedef void (*kvds_death)(void *user_data, uint64_t tag, const char *id, kvds_backend backend);

/** Frees the `user_data` of a callback. It may call any function of the library. */
typedef void (*kvds_user_data_free)(void *user_data);

/**
 * Registers an observer of the deaths of the distributor's stores.
 *
 * Calls of one observer may overlap.
 *
 * @param user_data  passed to each call.
 * @param user_data_free  called with `user_data` exactly once: when the observer is removed, when
 *   the distributor and all its stores are gone, or at once if this function fails. May be NULL.
 * @param[out] observer_id  the number for kvds_distributor_unobserve(), unique in the distributor.
 * @return
 * - `KVDS_OK`
 * - `KVDS_INVALID_ARGUMENT`: a NULL
 */
kvds_status kvds_distributor_observe(kvds_distributor *distributor,
                                     kvds_death on_death,
                                     void *user_data,
                                     kvds_user_data_free user_data_free,
                                     uint64_t *observer_id);

/**
 * Removes an observer.
 *
 * When this function returns, no call of the observer is running or will come, and its
 * `user_data_free` has been called. If a callback calls it, it does not wait for calls that are
 * still running; `user_data_free` is then called when the last of them ends.
 *
 * @return
 * - `KVDS_OK`
 * - `KVDS_NOT_FOUND`: there is no such observer
 * - `KVDS_INVALID_ARGUMENT`: NULL
 */
kvds_status kvds_distributor_unobserve(kvds_distributor *distributor, uint64_t observer_id);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
