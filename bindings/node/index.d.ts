// kvds for Node. What is said here is what the methods do in JavaScript; include/kvds.h of the
// library has every detail.

/// <reference types="node" />

/** Bytes that a call takes: a Uint8Array (such as a Buffer), or a string, whose UTF-8 is meant. They are copied. */
export type Bytes = string | Uint8Array;

/** Where a store keeps its data: in the memory of the process, or in a directory under the distributor's base path. */
export type Backend = 'memory' | 'disk';

/** The name of a status that a failure has. */
export type Code =
    | 'KVDS_NOT_FOUND'
    | 'KVDS_INVALID_ARGUMENT'
    | 'KVDS_CLOSED'
    | 'KVDS_DENIED'
    | 'KVDS_LOCKED'
    | 'KVDS_IO'
    | 'KVDS_NO_SPACE'
    | 'KVDS_CORRUPTION'
    | 'KVDS_NO_MEMORY'
    | 'KVDS_UNSUPPORTED'
    | 'KVDS_BUSY'
    | 'KVDS_UNKNOWN_OUTCOME'
    | 'KVDS_FORKED'
    | 'KVDS_INTERNAL';

/** The version of the library that is running, such as "0.1.0". */
export function version(): string;

/**
 * What a failed call throws. The message is the library's: the function, the store, what is wrong,
 * the path and the cause, as far as there are such. Arguments of a wrong type are a TypeError
 * instead, and numbers beyond 64 bits a RangeError.
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
 * What owns something of the library: given up with `release`, or by `using` at the end of its
 * block. One that is forgotten is given up when it is garbage, which may be late or never. After
 * that its methods throw a KvdsError with the code "KVDS_CLOSED".
 */
interface Handle extends Disposable {
    /** Whether it was given up. */
    readonly released: boolean;
    /** Gives it up. The second time does nothing. Returns how many references are left. */
    release(): number;
}

/** Settings of a distributor. Sizes are bytes, as a number or as text such as "64M". See `kvds_options_set_*` in kvds.h. */
export interface Options {
    /** What an acknowledged write survives: the death of the process (the default), a power cut, or neither. */
    durability?: 'process' | 'sync' | 'none';
    /** Memory for blocks that were read, for all disk stores together; 64M by default. */
    blockCacheBytes?: number | bigint | string;
    /** Memory for writes that are in no table file yet, for all disk stores together; 128M by default. */
    writeBufferBytes?: number | bigint | string;
    /** What all memory stores together may hold; 0, the default, is no limit. */
    memoryLimitBytes?: number | bigint | string;
    /** How the tables of disk stores are compressed; lz4 by default. */
    compression?: 'none' | 'lz4' | 'zstd';
    /** Opens disk stores for reading only, also while another process writes them. */
    readOnly?: boolean;
    /** Whether `getOrCreate` makes a store that is not there; true by default. */
    createIfMissing?: boolean;
    /** Whether the distributor keeps a reference to each store it made, until `evict` or its own end. */
    keepStores?: boolean;
    /** How many files each disk store keeps open at most, or -1 for all; 500 by default. */
    maxOpenFiles?: number;
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

/** Hears of deaths until `stop`, or until the distributor and all its stores are gone. */
export interface Observer extends Disposable {
    /** Ends the calls. */
    stop(): void;
}

/** Hands out stores by name. */
export class Distributor implements Handle {
    /**
     * @param path The directory under which disk stores have theirs, made when the first is; without it there are memory
     *   stores only.
     */
    constructor(path?: string | null, options?: Options);

    /**
     * The live store of this name, made or opened if there is none. Each call gives a Store of its
     * own, to be released; the store behind them is the same. Throws "KVDS_NOT_FOUND" if the
     * options say not to make it, and "KVDS_LOCKED" if another process has it open.
     */
    getOrCreate(id: string, backend: Backend): Store;
    getOrCreateAsync(id: string, backend: Backend): Promise<Store>;
    /** The live store of this name, or undefined, also when its files are on disk. */
    get(id: string, backend: Backend): Store | undefined;
    /** Gives up the reference that the option `keepStores` holds; false if there is none. */
    evict(id: string, backend: Backend): boolean;
    /** Removes the files of a disk store that is not live, for good; false if there are none. */
    destroyStore(id: string): boolean;
    destroyStoreAsync(id: string): Promise<boolean>;
    /** Closes every live store, and answers "KVDS_CLOSED" to whoever asks for a store from then on. */
    shutdown(): void;
    /** How many stores live. */
    readonly storeCount: number;
    /** The live stores: memory first, then by the names of their directories. */
    stores(): StoreInfo[];
    /**
     * Has `callback` called when a store dies, inside the `release` that gave up its last reference
     * (or after a garbage collection). What it throws does not disturb that: it becomes an uncaught
     * exception.
     */
    observe(callback: (death: Death) => void): Observer;

    readonly released: boolean;
    /** How many references there are. */
    readonly refCount: number;
    /** Gives it up. Stores go on, and their deaths are still observed. */
    release(): number;
    [Symbol.dispose](): void;
}

/** Which keys: those that begin with `prefix`, are not less than `start` and are less than `end`. What is left out is no bound. */
export interface Range {
    prefix?: Bytes;
    start?: Bytes;
    end?: Bytes;
}

/** A range, and from which end it is gone through. */
export interface ScanRange extends Range {
    reverse?: boolean;
}

/**
 * An iterator over the moment at which it was made. It gives its cursor up at the end and when a
 * loop is left. On Node 22 and later it also has the methods of the language's iterators, such as
 * `map` and `take`.
 */
export interface Scan<T> extends IterableIterator<T>, Disposable {
    return(value?: any): IteratorResult<T>;
}

/** Figures of a store. Keys and bytes are estimates on disk. */
export interface Stats {
    /** How many keys there are. */
    keys: number;
    /** How many bytes its keys and values have. */
    bytes: number;
    /** How many keys were looked up since the store was opened. */
    reads: number;
    /** How many operations were written since the store was opened. */
    writes: number;
    /** How many of the keys that were looked up were there. */
    hits: number;
    /** How many bytes its files have; 0 in memory. */
    diskBytes: number;
    /** How many bytes of memory it holds. */
    memoryBytes: number;
}

/**
 * A store, or a view of one: one counted reference to it. When the last is released the store is
 * closed.
 *
 * Keys and values go in as strings or bytes and come out as Buffers of their own. Keys have the
 * order of their bytes (`Buffer.compare`). Each write is atomic.
 *
 * A method `somethingAsync` makes the same call on another thread, which a slow disk may hold up
 * while this one goes on. Bytes are copied and the store is kept when it is called, so both may be
 * changed and released at once. Calls that are not awaited may be carried out in any order.
 */
export class Store implements Handle, Iterable<[Buffer, Buffer]> {
    private constructor();

    /**
     * Opens the disk store in exactly the directory `path`, without a distributor. It is created if
     * it is missing. Throws "KVDS_NOT_FOUND" if the options say not to create it, and "KVDS_LOCKED"
     * if it is open elsewhere.
     */
    static open(path: string, options?: Options): Store;

    /** The name that the store was asked for by. */
    readonly id: string;
    /** The backend that it was asked for with. */
    readonly backend: Backend;
    /** The number of the store, unique in its distributor. */
    readonly tag: bigint;
    /** How many references there are. A view has its own. */
    readonly refCount: number;
    /** Whether it can be used: neither released nor closed. */
    readonly isOpen: boolean;
    readonly released: boolean;
    /** Gives up this reference and returns how many are left. At 0 the store is closed. */
    release(): number;
    [Symbol.dispose](): void;
    /** One more reference, to be released on its own. */
    retain(): Store;
    /** Closes the store for every holder at once. References must still be released. */
    close(): void;

    /** The value, or undefined if the key is not there. */
    get(key: Bytes): Buffer | undefined;
    getAsync(key: Bytes): Promise<Buffer | undefined>;
    /** The value as a string of UTF-8. */
    getString(key: Bytes): string | undefined;
    getStringAsync(key: Bytes): Promise<string | undefined>;
    /** The values of several keys, all as of one moment, in the order of the keys. */
    getMany(keys: Iterable<Bytes>): (Buffer | undefined)[];
    getManyAsync(keys: Iterable<Bytes>): Promise<(Buffer | undefined)[]>;
    /** Whether the key is there. */
    has(key: Bytes): boolean;
    hasAsync(key: Bytes): Promise<boolean>;

    /** Goes over keys and values as of now, in order: `for (const [key, value] of store.scan({ prefix: 'u/' }))`. */
    scan(range?: ScanRange): Scan<[Buffer, Buffer]>;
    /** `scan` without the values. */
    keys(range?: ScanRange): Scan<Buffer>;
    /** All keys and values: `for (const [key, value] of store)`. */
    [Symbol.iterator](): Scan<[Buffer, Buffer]>;
    /** A position that is moved by hand. It stands on no key yet. */
    cursor(range?: Range): Cursor;
    /**
     * Shows every pair whose key begins with `prefix` to `callback`, as of one moment. False from
     * it ends the iteration, and so does an exception, which is passed on. Returns whether the end
     * was reached.
     */
    forEach(prefix: Bytes, callback: (key: Buffer, value: Buffer) => boolean | void): boolean;

    /** Sets the key, whether or not it was there. */
    set(key: Bytes, value: Bytes): void;
    setAsync(key: Bytes, value: Bytes): Promise<void>;
    /** Removes the key; false if it was not there. */
    delete(key: Bytes): boolean;
    deleteAsync(key: Bytes): Promise<boolean>;
    /** Sets the key if it is not there yet; false if it is. */
    setNx(key: Bytes, value: Bytes): boolean;
    setNxAsync(key: Bytes, value: Bytes): Promise<boolean>;
    /** Sets the key if its value is `expected`; false if it has another one, undefined if it is not there. */
    compareAndSwap(key: Bytes, expected: Bytes, value: Bytes): boolean | undefined;
    compareAndSwapAsync(key: Bytes, expected: Bytes, value: Bytes): Promise<boolean | undefined>;
    /** Removes the key if its value is `expected`; false if it has another one, undefined if it is not there. */
    compareAndDelete(key: Bytes, expected: Bytes): boolean | undefined;
    compareAndDeleteAsync(key: Bytes, expected: Bytes): Promise<boolean | undefined>;
    /** Adds to the decimal number that the key has as its value (0 if absent), 1 by default, and returns the sum. */
    add(key: Bytes, delta?: number | bigint): bigint;
    addAsync(key: Bytes, delta?: number | bigint): Promise<bigint>;
    /** Sets all, or none: entries as a Map gives them, or `Object.entries`. */
    setBatch(entries: Iterable<readonly [Bytes, Bytes]>): void;
    setBatchAsync(entries: Iterable<readonly [Bytes, Bytes]>): Promise<void>;
    /** Removes all, or none. Absent keys are fine. */
    deleteBatch(keys: Iterable<Bytes>): void;
    deleteBatchAsync(keys: Iterable<Bytes>): Promise<void>;
    /** Removes every key that begins with `prefix`, in one step. */
    deletePrefix(prefix: Bytes): void;
    deletePrefixAsync(prefix: Bytes): Promise<void>;
    /** An empty batch for this store. */
    batch(): Batch;
    /** Applies a batch in one step if all that it expects holds; false, and nothing is changed, if not. */
    write(batch: Batch): boolean;
    writeAsync(batch: Batch): Promise<boolean>;

    /** A view that allows reading, writing or both, as far as this store does. The rest is "KVDS_DENIED". */
    view(rights: { read?: boolean; write?: boolean }): Store;
    /** A view of the keys that begin with `prefix`, which they don't have in it. */
    scope(prefix: Bytes): Store;
    /** A view of the store as it is now, whatever is written later. */
    snapshot(): Store;

    /** Makes all that was written survive a power cut. */
    sync(): void;
    syncAsync(): Promise<void>;
    /** Gives back disk space that is free. Can take long. */
    compact(): void;
    compactAsync(): Promise<void>;
    /** Has a store that was opened with `readOnly` show what another process has written since. */
    refresh(): void;
    refreshAsync(): Promise<void>;
    /** Makes a copy as of now, a disk store in the directory `path`, which must not be there yet. */
    checkpoint(path: string): void;
    checkpointAsync(path: string): Promise<void>;
    /** Figures of the store; for a view, of the store that it is a view of. */
    stats(): Stats;
    /** What is known under a name, such as "kvds.keys" or "rocksdb.stats"; undefined if the name is not known. */
    property(name: string): string | undefined;
}

/** A movable position over one moment of a store. It stays usable when the store is closed. Moves tell whether there is a key. */
export class Cursor implements Handle {
    private constructor();
    /** To the first key. */
    first(): boolean;
    /** To the last key. */
    last(): boolean;
    /** To the first key that is `key` or greater. */
    seek(key: Bytes): boolean;
    /** One key on. */
    next(): boolean;
    /** One key back. */
    prev(): boolean;
    /** Whether it stands on a key. */
    readonly valid: boolean;
    /** The key it stands on, or undefined. */
    readonly key: Buffer | undefined;
    /** The value of that key, or undefined. */
    readonly value: Buffer | undefined;
    readonly released: boolean;
    release(): number;
    [Symbol.dispose](): void;
}

/**
 * Operations, and expectations of what is there before them, for one step. It keeps copies, needs
 * no release, is not used up by a write, and can be written to other stores with
 * `store.write(batch)`.
 */
export class Batch {
    /** An empty batch for `store.write(batch)`. `store.batch()` makes one that knows its store. */
    constructor();
    /** How many operations; expectations don't count. */
    readonly size: number;
    /** To set the key. If a key has several operations, the last one wins. */
    set(key: Bytes, value: Bytes): this;
    /** To remove the key, which may be absent. */
    delete(key: Bytes): this;
    /** Expects that the key has this value before the batch. */
    expect(key: Bytes, value: Bytes): this;
    /** Expects that the key is not there before the batch. */
    expectAbsent(key: Bytes): this;
    /** Empties it. */
    clear(): this;
    /** `write` of the store that made it with `batch()`. */
    write(): boolean;
    writeAsync(): Promise<boolean>;
}
