// kvds for Node: what the methods do in JavaScript. The library's include/kvds.h has every detail.

/// <reference types="node" />

/** Bytes that a call copies: a Uint8Array (such as a Buffer), or a string, as its UTF-8. */
export type Bytes = string | Uint8Array;

/**
 * Where a store keeps its data: in the memory of the process, in a directory under the
 * distributor's base path, or in the etcd cluster that the option `cluster` names.
 */
export type Backend = 'memory' | 'disk' | 'cluster';

import type { Code } from './src/codes.js';

export type { Code };

/** Returns the version of the library that is running, such as "0.1.0". */
export function version(): string;

/**
 * A call failed. The message is the library's: it names the function, the store, the path and the
 * cause, as far as they apply. An argument of a wrong type is a TypeError instead, and a number
 * beyond 64 bits a RangeError.
 */
export class KvdsError extends Error {
    private constructor();
    readonly name: 'KvdsError';
    /** The number of the status; `code` is its name. */
    readonly status: number;
    /** The name of the status, such as "KVDS_LOCKED". */
    readonly code: Code;
}

/**
 * An object that owns memory of the library. `release` frees it, and so does `using` at the end of
 * its block. The garbage collector may free it late or never. After the release its methods throw a
 * KvdsError with the code "KVDS_CLOSED".
 */
interface Handle extends Disposable {
    /** Whether it was released. */
    readonly released: boolean;
    /** Releases it; the second time does nothing. Returns the number of references left. */
    release(): number;
}

/** Options: see `kvds_options_set_*` in kvds.h. Sizes are bytes, as a number or as text ("64M"). */
export interface Options {
    /** What an acknowledged write survives: see `kvds_durability`. The default is "process". */
    durability?: 'process' | 'sync' | 'none';
    /** Memory for data that was read, for all disk stores together; 256M by default. */
    blockCacheBytes?: number | bigint | string;
    /** Memory for writes in no table file yet, for all disk stores together; 128M by default. */
    writeBufferBytes?: number | bigint | string;
    /** What all memory stores together may hold; 0, the default, is no limit. */
    memoryLimitBytes?: number | bigint | string;
    /** How table files of disk stores are compressed; lz4 by default. */
    compression?: 'none' | 'lz4' | 'zstd';
    /** Opens disk stores for reading only, also while another process writes them. */
    readOnly?: boolean;
    /** Whether a store that does not exist is created; true by default. */
    createIfMissing?: boolean;
    /** Whether the distributor holds a reference to each store it creates, until `evict`. */
    keepStores?: boolean;
    /** How many files each disk store keeps open at most, or -1 for all; 500 by default. */
    maxOpenFiles?: number;
    /** Memory for changes that watches have not seen yet, for each store; 8M by default. */
    watchBufferBytes?: number | bigint | string;
    /** Servers and namespace of cluster stores: "etcd://host:2379/name", etcds:// for TLS. */
    cluster?: string;
    /** The file with the certificate of the authority that signed those of the servers (PEM). */
    clusterCa?: string;
    /** The file with this program's certificate (PEM), for servers that ask for one. */
    clusterCert?: string;
    /** The file with the key of this program's certificate (PEM). */
    clusterKey?: string;
    /** The user that logs in to the cluster; none by default. */
    clusterUser?: string;
    /** The password of the user. No error shows it. */
    clusterPassword?: string;
    /** How long a call on a cluster store may take, in milliseconds; 10000 by default. */
    clusterTimeoutMs?: number;
}

/** A live store, as `Distributor.stores` lists it. */
export interface StoreInfo {
    id: string;
    backend: Backend;
    tag: bigint;
    refCount: number;
}

/** A store that died. */
export type Death = Pick<StoreInfo, 'id' | 'backend' | 'tag'>;

/** Receives deaths until `stop`, or until the distributor and all its stores are gone. */
export interface Observer extends Disposable {
    /** Removes the observer. */
    stop(): void;
}

/** Returns stores by name. */
export class Distributor implements Handle {
    /**
     * @param path The directory under which each disk store has its own, created together with the
     *   first disk store. Without it there are no disk stores.
     */
    constructor(path?: string | null, options?: Options);

    /**
     * Returns the live store `id`, or creates or opens it. Each call returns a Store object of its
     * own, to be released, for the same store. Throws "KVDS_NOT_FOUND" if the options forbid
     * creating it, and "KVDS_LOCKED" if another process has it open.
     */
    getOrCreate(id: string, backend: Backend): Store;
    getOrCreateAsync(id: string, backend: Backend): Promise<Store>;
    /** Returns the live store `id`, or undefined, even if its files exist. */
    get(id: string, backend: Backend): Store | undefined;
    /** Releases the reference of the option `keepStores`. Returns false if there is none. */
    evict(id: string, backend: Backend): boolean;
    /**
     * Deletes the files of a disk store, or the keys of a cluster store, that is not live in this
     * distributor. Returns false if there is none. Other processes that have the cluster store open
     * get "KVDS_CLOSED".
     */
    destroy(id: string, backend: Backend): boolean;
    destroyAsync(id: string, backend: Backend): Promise<boolean>;
    /** Does what `destroy` does, with the backend 'disk'. */
    destroyStore(id: string): boolean;
    destroyStoreAsync(id: string): Promise<boolean>;
    /** Closes every live store. Later calls that ask for a store throw an error. */
    shutdown(): void;
    /** The number of live stores. */
    readonly storeCount: number;
    /** Returns the live stores: memory, then disk, then cluster stores, each by name. */
    stores(): StoreInfo[];
    /**
     * Registers a callback for the deaths of stores. It runs inside the `release` of the last
     * reference, or after a garbage collection. What it throws becomes an uncaught exception.
     */
    observe(callback: (death: Death) => void): Observer;

    readonly released: boolean;
    /** How many references there are. */
    readonly refCount: number;
    /** Releases it. Stores keep working, and their deaths are observed. */
    release(): number;
    [Symbol.dispose](): void;
}

/** The keys that begin with `prefix`, are not less than `start` and are less than `end`. */
export interface Range {
    prefix?: Bytes;
    start?: Bytes;
    end?: Bytes;
}

/** A range and its direction. */
export interface ScanRange extends Range {
    reverse?: boolean;
}

/** A range to watch, and where to begin. */
export interface WatchRange extends Range {
    /**
     * Continues behind the write with this number: the `sequence` of a change whose `last` is true.
     * Throws "KVDS_EXPIRED" if the history since then is gone. A memory or disk store keeps it only
     * while the store has a watch: create the new one before the old one is closed.
     */
    after?: number | bigint;
}

/** How long a key lives. */
export interface Ttl {
    /**
     * Milliseconds until the key is deleted, rounded up; Infinity, the default, for never. The
     * deletion may be late by a tenth of the time and 2 seconds.
     */
    ttl?: number;
}

/** What every change of a watched range has. */
interface Changed {
    /** The key, or the first key of a deleted range. */
    key: Buffer;
    /** The number of the write. Later writes have larger ones. */
    sequence: bigint;
    /** Whether this is the last change of its write: a batch has several. */
    last: boolean;
}

/**
 * A change of a watched range: a key was set, or its time to live was changed; a key was deleted,
 * or has expired; or all keys from `key` up to `end` were deleted, where undefined is the end of
 * the watched range.
 */
export type Change =
    | (Changed & { kind: 'set'; value: Buffer })
    | (Changed & { kind: 'delete' })
    | (Changed & { kind: 'deleteRange'; end: Buffer | undefined });

/**
 * An iterator over the store as of its creation. It frees its cursor at the end and when a loop is
 * left. On Node 22 and later it also has the methods of iterators, such as `map` and `take`.
 */
export interface Scan<T> extends IterableIterator<T>, Disposable {
    return(value?: any): IteratorResult<T>;
}

/** Statistics of a store. Keys and bytes are estimates on disk. */
export interface Stats {
    /** How many keys there are. */
    keys: number;
    /** How many bytes its keys and values have. */
    bytes: number;
    /** How many keys were looked up since the store was opened. */
    reads: number;
    /** How many operations were written since the store was opened. */
    writes: number;
    /** How many of the keys that were looked up existed. */
    hits: number;
    /** How many bytes its files have; 0 in memory. */
    diskBytes: number;
    /** How many bytes of memory it holds. */
    memoryBytes: number;
}

/**
 * One counted reference to a store, or to a view of one. The release of the last one closes the
 * store.
 *
 * Arguments are strings or bytes, results are Buffers of their own. Keys are ordered by their bytes
 * (`Buffer.compare`). Each write is atomic.
 *
 * A method `somethingAsync` makes the same call on another thread, so that a slow disk does not
 * block this one. It copies bytes and retains the store at once. Calls that are not awaited may run
 * in any order.
 */
export class Store implements Handle, Iterable<[Buffer, Buffer]> {
    private constructor();

    /**
     * Opens the disk store in exactly the directory `path`, without a distributor. Throws
     * "KVDS_NOT_FOUND" if the options forbid creating it, and "KVDS_LOCKED" if it is open
     * elsewhere.
     */
    static open(path: string, options?: Options): Store;

    /** The id that the store was asked for by. */
    readonly id: string;
    /** The backend that it was asked for with. */
    readonly backend: Backend;
    /** The number of the store, unique in its distributor. */
    readonly tag: bigint;
    /** The number of references. A view has its own. */
    readonly refCount: number;
    /** Whether it can be used: neither released nor closed. */
    readonly isOpen: boolean;
    readonly released: boolean;
    /** Releases this reference and returns how many are left. At 0 the store is closed. */
    release(): number;
    [Symbol.dispose](): void;
    /** Returns one more reference, to be released on its own. */
    retain(): Store;
    /** Closes the store for every holder at once. References must still be released. */
    close(): void;

    /** Returns the value, or undefined if the key does not exist. */
    get(key: Bytes): Buffer | undefined;
    getAsync(key: Bytes): Promise<Buffer | undefined>;
    /** Returns the value as a string of UTF-8. */
    getString(key: Bytes): string | undefined;
    getStringAsync(key: Bytes): Promise<string | undefined>;
    /** Returns the values of several keys, all from one snapshot, in the order of the keys. */
    getMany(keys: Iterable<Bytes>): (Buffer | undefined)[];
    getManyAsync(keys: Iterable<Bytes>): Promise<(Buffer | undefined)[]>;
    /** Returns whether the key exists. */
    has(key: Bytes): boolean;
    hasAsync(key: Bytes): Promise<boolean>;

    /** Iterates keys and values as of now: `for (const [k, v] of store.scan({ prefix: 'u/' }))`. */
    scan(range?: ScanRange): Scan<[Buffer, Buffer]>;
    /** Iterates keys as of now. */
    keys(range?: ScanRange): Scan<Buffer>;
    /** Iterates all keys and values: `for (const [key, value] of store)`. */
    [Symbol.iterator](): Scan<[Buffer, Buffer]>;
    /** Returns a cursor, which is on no entry yet. */
    cursor(range?: Range): Cursor;
    /**
     * Returns a watch of the writes to a range from now on:
     * `for await (const change of store.watch({ prefix: 'u/' }))`. To keep a copy of a range,
     * create the watch, then read the range, and then apply the changes to the copy.
     */
    watch(range?: WatchRange): Watch;
    /**
     * Calls `callback` for every pair whose key begins with `prefix`, from one snapshot, until it
     * returns false. An exception ends the iteration and is thrown again. Returns whether the end
     * was reached.
     */
    forEach(prefix: Bytes, callback: (key: Buffer, value: Buffer) => boolean | void): boolean;

    /**
     * Sets the key, whether or not it exists. Without a time to live the key never expires, even if
     * it had one before.
     */
    set(key: Bytes, value: Bytes, options?: Ttl): void;
    setAsync(key: Bytes, value: Bytes, options?: Ttl): Promise<void>;
    /** Deletes the key. Returns whether it existed. */
    delete(key: Bytes): boolean;
    deleteAsync(key: Bytes): Promise<boolean>;
    /**
     * Sets the key if it does not exist. Returns whether it did so. With a time to live it is a
     * lock that frees itself.
     */
    setNx(key: Bytes, value: Bytes, options?: Ttl): boolean;
    setNxAsync(key: Bytes, value: Bytes, options?: Ttl): Promise<boolean>;
    /**
     * Lets the key expire `ttl` milliseconds from now, or never (Infinity). Returns whether the key
     * exists.
     */
    expire(key: Bytes, ttl: number): boolean;
    expireAsync(key: Bytes, ttl: number): Promise<boolean>;
    /**
     * Returns how many milliseconds the key has left: Infinity if it never expires, and undefined
     * if it does not exist.
     */
    ttl(key: Bytes): number | undefined;
    ttlAsync(key: Bytes): Promise<number | undefined>;
    /**
     * Sets the key if its value is `expected`. Returns false if it has another value, and undefined
     * if it does not exist.
     */
    compareAndSwap(key: Bytes, expected: Bytes, value: Bytes): boolean | undefined;
    compareAndSwapAsync(key: Bytes, expected: Bytes, value: Bytes): Promise<boolean | undefined>;
    /** Deletes the key if its value is `expected`. Returns the same as `compareAndSwap`. */
    compareAndDelete(key: Bytes, expected: Bytes): boolean | undefined;
    compareAndDeleteAsync(key: Bytes, expected: Bytes): Promise<boolean | undefined>;
    /** Adds `delta`, 1 by default, to the decimal number under the key, and returns the sum. */
    add(key: Bytes, delta?: number | bigint): bigint;
    addAsync(key: Bytes, delta?: number | bigint): Promise<bigint>;
    /** Sets all entries, such as those of a Map, or none. */
    setBatch(entries: Iterable<readonly [Bytes, Bytes]>): void;
    setBatchAsync(entries: Iterable<readonly [Bytes, Bytes]>): Promise<void>;
    /** Deletes all keys, or none. Keys that do not exist are skipped. */
    deleteBatch(keys: Iterable<Bytes>): void;
    deleteBatchAsync(keys: Iterable<Bytes>): Promise<void>;
    /** Deletes every key that begins with `prefix`, in one atomic step. */
    deletePrefix(prefix: Bytes): void;
    deletePrefixAsync(prefix: Bytes): Promise<void>;
    /** Creates an empty batch for this store. */
    batch(): Batch;
    /**
     * Applies a batch in one atomic step. Returns false, and changes nothing, if an expectation
     * does not hold.
     */
    write(batch: Batch): boolean;
    writeAsync(batch: Batch): Promise<boolean>;

    /** Returns a view that permits reading, writing or both; else "KVDS_DENIED" is thrown. */
    view(rights: { read?: boolean; write?: boolean }): Store;
    /** Returns a view of the keys that begin with `prefix`. Its keys are without the prefix. */
    scope(prefix: Bytes): Store;
    /** Returns a read-only view of the store that no later write changes. */
    snapshot(): Store;

    /** Makes every acknowledged write survive a power failure. */
    sync(): void;
    syncAsync(): Promise<void>;
    /** Reclaims the disk space of overwritten and deleted entries. It can take long. */
    compact(): void;
    compactAsync(): Promise<void>;
    /** Shows what another process has written to a store that was opened with `readOnly`. */
    refresh(): void;
    refreshAsync(): Promise<void>;
    /** Copies the store to a new disk store in the directory `path`, which must not exist. */
    checkpoint(path: string): void;
    checkpointAsync(path: string): Promise<void>;
    /** Returns the statistics of the store; of a view, those of its store. */
    stats(): Stats;
    /** Returns a property, such as "kvds.keys" or "rocksdb.stats", as text, or undefined. */
    property(name: string): string | undefined;
}

/**
 * A position in a range of keys, as of its creation. It stays usable when the store is closed.
 * Moves return whether it is on an entry.
 */
export class Cursor implements Handle {
    private constructor();
    /** Moves to the first entry. */
    first(): boolean;
    /** Moves to the last entry. */
    last(): boolean;
    /** Moves to the first entry whose key is `key` or greater. */
    seek(key: Bytes): boolean;
    /** Moves to the next entry. */
    next(): boolean;
    /** Moves to the previous entry. */
    prev(): boolean;
    /** Whether it is on an entry. */
    readonly valid: boolean;
    /** The key of the current entry, or undefined. */
    readonly key: Buffer | undefined;
    /** The value of the current entry, or undefined. */
    readonly value: Buffer | undefined;
    /**
     * Returns how many milliseconds the current entry has left: Infinity if it never expires, and
     * undefined if there is none.
     */
    ttl(): number | undefined;
    readonly released: boolean;
    release(): number;
    [Symbol.dispose](): void;
}

/**
 * The writes to a range of keys since its creation, in their order. It keeps no store alive.
 *
 * A loop waits for changes without blocking the event loop, and the program does not end in the
 * meantime. `break`, or `close`, ends the loop and frees the watch. The loop throws "KVDS_CLOSED"
 * when the store is closed or its last reference is released. It throws "KVDS_EXPIRED" if changes
 * were missed: read the range again, and continue with another loop over the same watch.
 */
export class Watch implements Handle, AsyncIterableIterator<Change> {
    private constructor();
    /** Waits for the next change. At the end `done` is true. */
    next(): Promise<IteratorResult<Change, undefined>>;
    /** Frees the watch, as `break` does. */
    return(value?: any): Promise<IteratorResult<Change, any>>;
    [Symbol.asyncIterator](): this;
    /** Returns the next change, or undefined if there is none now. It does not wait. */
    poll(): Change | undefined;
    /** Ends the loops over the watch and frees it; the same as `release`. */
    close(): void;
    readonly released: boolean;
    release(): number;
    [Symbol.dispose](): void;
}

/**
 * Operations, and expectations about the data before them, for one atomic step. It keeps copies,
 * needs no release, and can be written again, to other stores too: `store.write(batch)`.
 */
export class Batch {
    /** Creates an empty batch for `store.write(batch)`. That of `store.batch()` has `write()`. */
    constructor();
    /** The number of operations, without expectations. */
    readonly size: number;
    /**
     * Adds an operation that sets the key. The last operation of a key wins. The time to live
     * begins at each write.
     */
    set(key: Bytes, value: Bytes, options?: Ttl): this;
    /** Adds an operation that deletes the key, which need not exist. */
    delete(key: Bytes): this;
    /**
     * Adds an operation that lets the key expire `ttl` milliseconds after each write, or never
     * (Infinity). It does nothing to a key that does not exist.
     */
    expire(key: Bytes, ttl: number): this;
    /** Adds the expectation that the key has this value before the batch. */
    expect(key: Bytes, value: Bytes): this;
    /** Adds the expectation that the key does not exist before the batch. */
    expectAbsent(key: Bytes): this;
    /** Removes everything from the batch. */
    clear(): this;
    /** Writes the batch to the store whose `batch()` created it. */
    write(): boolean;
    writeAsync(): Promise<boolean>;
}

/** A damage of one file of a store. */
export interface Damage {
    /** The damaged file, or the store's directory if no single file is damaged. */
    file: string;
    /** A sentence that says what is damaged, and where in the file. */
    problem: string;
    /**
     * What is lost, or may be: pairs or times to live; or nothing, because what is damaged can be
     * derived from the rest.
     */
    loss: 'none' | 'pairs' | 'ttls';
    /** The loss affects no key before this one; undefined if that is not known. */
    first: Buffer | undefined;
    /** The loss affects no key after this one; undefined if that is not known. */
    last: Buffer | undefined;
}

/** What `salvage` has saved. */
export interface Salvaged {
    /** How many pairs were copied. */
    pairs: number;
    /**
     * How many keys were left out because only a value was found that may be an older one. Keys of
     * which nothing was found are not counted.
     */
    lost: number;
    /** How many copied pairs may have had a time to live that cannot be read. */
    ttlsLost: number;
    /** What is damaged in the old store. */
    damages: Damage[];
}

/**
 * Called for each damage, and with undefined for progress, at least once for each MiB. The bytes
 * are an estimate of the work. If it returns false, it ends the call. An exception also ends the
 * call, and is thrown again.
 */
export type OnDamage = (
    damage: Damage | undefined,
    bytesDone: number,
    bytesTotal: number,
) => boolean | void;

/**
 * Reads all files of the disk store in the directory `path`, and verifies every checksum. Returns
 * all damages; an empty array means that there is none. If the callback ended the call, these are
 * the damages found so far. The store may be open, also in another process. It is not changed.
 * Throws "KVDS_NOT_FOUND" if there is no store.
 */
export function verify(path: string, options?: Options, callback?: OnDamage): Damage[];
export function verifyAsync(path: string, options?: Options): Promise<Damage[]>;

/**
 * Copies what can be read of the damaged store in the directory `path` into a new store in the
 * directory `target`, which must not exist. Returns undefined if the callback ended the call: then
 * there is no new store. Throws "KVDS_NOT_FOUND" if there is no store, and "KVDS_CORRUPTION" if too
 * little is left.
 *
 * No copied pair is older than the last state of the damaged store; kvds.h documents two
 * exceptions, which are reported as damages. The damaged store must not be open, and is not
 * changed.
 */
export function salvage(path: string, target: string, options?: Options): Salvaged;
export function salvage(
    path: string,
    target: string,
    options: Options | undefined,
    callback: OnDamage,
): Salvaged | undefined;
export function salvageAsync(path: string, target: string, options?: Options): Promise<Salvaged>;
