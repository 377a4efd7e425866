// Stores and views of them.

import { background } from './background.js';
import { Batch, operationsOf, withNative } from './batch.js';
import { bytes, copy, int64, list, text } from './bytes.js';
import { openCursor, Scan } from './cursor.js';
import {
    CLUSTER,
    DISK,
    EXISTS,
    MEMORY,
    MISMATCH,
    NOT_FOUND,
    OK,
    STOPPED,
    TRUNCATED,
    VIEW_READ,
    VIEW_WRITE,
} from './declarations.js';
import { check, KvdsError } from './errors.js';
import { Handle, internal, pointerOf } from './handle.js';
import { native, sizeof } from './native.js';
import { withOptions } from './options.js';
import { milliseconds, timeLeft } from './ttl.js';
import { openWatch } from './watch.js';

/** The numbers of the backends. */
export const BACKENDS = { memory: MEMORY, disk: DISK, cluster: CLUSTER };

/** Returns the name of a backend. */
export const backendName = (number) =>
    Object.keys(BACKENDS).find((name) => BACKENDS[name] === number);

const VALUE_SIZE = sizeof('kvds_value');

// The buffer into which values are read before they are copied. Longer values get one of their own.
const scratch = Buffer.allocUnsafeSlow(4096);

const camelCase = (name) => name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
const compared = (status) =>
    check(status, NOT_FOUND, MISMATCH) === NOT_FOUND ? undefined : status === OK;
const span = (key) => {
    const data = bytes(key);
    return { data, len: data.length };
};

export class Store extends Handle {
    constructor(token, pointer) {
        super(token, pointer, native.store_release);
    }

    static open(path, options = {}) {
        const out = [null];
        const opened = withOptions(options, (pointer) =>
            check(native.store_open(text(path, 'path'), pointer, out), NOT_FOUND),
        );
        if (opened === OK) return new Store(internal, out[0]);
        throw new KvdsError(
            NOT_FOUND,
            `there is no store in "${path}", and the options say not to make one`,
        );
    }

    // ------------------------------------------------------------ identity

    get id() {
        return native.store_id(pointerOf(this));
    }

    get backend() {
        return backendName(native.store_backend(pointerOf(this)));
    }

    get tag() {
        return BigInt(native.store_tag(pointerOf(this)));
    }

    get refCount() {
        return Number(native.store_ref_count(pointerOf(this)));
    }

    get isOpen() {
        return !this.released && native.is_open(pointerOf(this)) === 1;
    }

    retain() {
        return new Store(internal, native.store_retain(pointerOf(this)));
    }

    close() {
        check(native.close(pointerOf(this)));
    }

    // --------------------------------------------------------------- reading

    get(key) {
        const k = bytes(key);
        const length = [0];
        let buffer = scratch;
        // Again for a long value, and again if another thread makes it longer in the meantime.
        while (true) {
            const status = native.get_into(
                pointerOf(this),
                k,
                k.length,
                buffer,
                buffer.length,
                length,
            );
            if (check(status, NOT_FOUND, TRUNCATED) === NOT_FOUND) return undefined;
            const len = Number(length[0]);
            if (status === OK)
                return buffer === scratch
                    ? Buffer.from(scratch.subarray(0, len))
                    : buffer.subarray(0, len);
            buffer = Buffer.allocUnsafeSlow(len);
        }
    }

    getString(key) {
        return this.get(key)?.toString();
    }

    has(key) {
        const k = bytes(key);
        return check(native.exists(pointerOf(this), k, k.length), NOT_FOUND) === OK;
    }

    getMany(keys) {
        const spans = list(keys, 'the keys').map(span);
        const values = Buffer.alloc(VALUE_SIZE * spans.length);
        const statuses = new Int32Array(spans.length);
        check(native.multi_get(pointerOf(this), spans, spans.length, values, statuses));
        return Array.from(statuses, (status, i) =>
            take(values.subarray(VALUE_SIZE * i, VALUE_SIZE * (i + 1)), status),
        );
    }

    scan(range = {}) {
        return new Scan(pointerOf(this), range, (cursor) => [cursor.key, cursor.value]);
    }

    keys(range = {}) {
        return new Scan(pointerOf(this), range, (cursor) => cursor.key);
    }

    [Symbol.iterator]() {
        return this.scan();
    }

    cursor(range = {}) {
        return openCursor(pointerOf(this), range);
    }

    watch(range = {}) {
        return openWatch(pointerOf(this), range);
    }

    forEach(prefix, callback) {
        const p = bytes(prefix, 'prefix');
        if (typeof callback !== 'function') throw new TypeError('the callback must be a function');
        // An exception must not pass the library: it stops the iteration and is thrown afterwards.
        let thrown;
        const visit = (_, key, keyLength, value, valueLength) => {
            try {
                return callback(copy(key, keyLength), copy(value, valueLength)) === false ? 0 : 1;
            } catch (error) {
                thrown = { error };
                return 0;
            }
        };
        const status = native.iterate(pointerOf(this), p, p.length, visit, 0);
        if (thrown) throw thrown.error;
        return check(status, STOPPED) === OK;
    }

    // --------------------------------------------------------------- writing

    set(key, value, options) {
        check(setWith(native.set, native.set_ttl, pointerOf(this), key, value, options));
    }

    delete(key) {
        const k = bytes(key);
        return check(native.del(pointerOf(this), k, k.length), NOT_FOUND) === OK;
    }

    setNx(key, value, options) {
        const [plain, timed] = [native.set_nx, native.set_nx_ttl];
        return check(setWith(plain, timed, pointerOf(this), key, value, options), EXISTS) === OK;
    }

    expire(key, ttl) {
        const k = bytes(key);
        const status = native.expire(pointerOf(this), k, k.length, milliseconds(ttl));
        return check(status, NOT_FOUND) === OK;
    }

    ttl(key) {
        const k = bytes(key);
        const out = [0];
        if (check(native.ttl(pointerOf(this), k, k.length, out), NOT_FOUND) !== OK)
            return undefined;
        return timeLeft(out);
    }

    compareAndSwap(key, expected, value) {
        const [k, e, v] = [bytes(key), bytes(expected, 'expected value'), bytes(value, 'value')];
        return compared(
            native.compare_and_swap(pointerOf(this), k, k.length, e, e.length, v, v.length),
        );
    }

    compareAndDelete(key, expected) {
        const [k, e] = [bytes(key), bytes(expected, 'expected value')];
        return compared(native.compare_and_delete(pointerOf(this), k, k.length, e, e.length));
    }

    add(key, delta = 1n) {
        const k = bytes(key);
        const sum = [0];
        check(native.add(pointerOf(this), k, k.length, int64(delta), sum));
        return BigInt(sum[0]);
    }

    setBatch(entries) {
        const pairs = list(entries, 'the pairs').map((pair) => {
            const [key, value] = list(pair, 'a pair');
            const [k, v] = [bytes(key), bytes(value, 'value')];
            return { key: k, key_len: k.length, value: v, value_len: v.length };
        });
        check(native.set_batch(pointerOf(this), pairs, pairs.length));
    }

    deleteBatch(keys) {
        const spans = list(keys, 'the keys').map(span);
        check(native.delete_batch(pointerOf(this), spans, spans.length));
    }

    deletePrefix(prefix) {
        const p = bytes(prefix, 'prefix');
        check(native.delete_prefix(pointerOf(this), p, p.length));
    }

    batch() {
        return new Batch(this);
    }

    write(batch) {
        if (!(batch instanceof Batch)) throw new TypeError('write takes a Batch');
        const store = pointerOf(this);
        return withNative(
            operationsOf(batch),
            (pointer) => check(native.write(store, pointer), MISMATCH) === OK,
        );
    }

    // ----------------------------------------------------------------- views

    view({ read = false, write = false }) {
        const rights = (read ? VIEW_READ : 0) | (write ? VIEW_WRITE : 0);
        return this.#opened((out) => native.store_view(pointerOf(this), rights, out));
    }

    scope(prefix) {
        const p = bytes(prefix, 'prefix');
        return this.#opened((out) => native.store_scope(pointerOf(this), p, p.length, out));
    }

    snapshot() {
        return this.#opened((out) => native.store_snapshot(pointerOf(this), out));
    }

    #opened(open) {
        const out = [null];
        check(open(out));
        return new Store(internal, out[0]);
    }

    // ----------------------------------------------------------- maintenance

    sync() {
        check(native.sync(pointerOf(this)));
    }

    compact() {
        check(native.compact(pointerOf(this)));
    }

    refresh() {
        check(native.refresh(pointerOf(this)));
    }

    checkpoint(path) {
        check(native.checkpoint(pointerOf(this), text(path, 'path')));
    }

    stats() {
        const figures = {};
        check(native.store_stats(pointerOf(this), figures, sizeof('kvds_stats')));
        return Object.fromEntries(
            Object.entries(figures).map(([name, figure]) => [camelCase(name), Number(figure)]),
        );
    }

    property(name) {
        const out = {};
        if (
            check(native.store_property(pointerOf(this), text(name, 'name'), out), NOT_FOUND) !== OK
        )
            return undefined;
        try {
            return copy(out.data, out.len).toString();
        } finally {
            native.value_release(out);
        }
    }
}

// Sets a key with one of two functions: without a time to live, or with it.
function setWith(plain, timed, store, key, value, { ttl = Infinity } = {}) {
    const [k, v, left] = [bytes(key), bytes(value, 'value'), milliseconds(ttl)];
    return left === 0
        ? plain(store, k, k.length, v, v.length)
        : timed(store, k, k.length, v, v.length, left);
}

// Returns a copy of one kvds_value of an array, and releases it.
function take(value, status) {
    if (status !== OK) return undefined;
    try {
        return copy(value.readBigUInt64LE(0), Number(value.readBigUInt64LE(8)));
    } finally {
        native.value_release(value);
    }
}

background(Store, { retain: native.store_retain, release: native.store_release }, [
    'get',
    'getString',
    'getMany',
    'has',
    'set',
    'delete',
    'setNx',
    'expire',
    'ttl',
    'compareAndSwap',
    'compareAndDelete',
    'add',
    'setBatch',
    'deleteBatch',
    'deletePrefix',
    'write',
    'sync',
    'compact',
    'refresh',
    'checkpoint',
]);
