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

