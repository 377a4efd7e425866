// Operations, and expectations about the data before them, that a store applies in one step.

import { bytes } from './bytes.js';
import { check } from './errors.js';
import { native } from './native.js';
import { milliseconds } from './ttl.js';

const ADD = {
    set: native.batch_set,
    setTtl: native.batch_set_ttl,
    expire: native.batch_expire,
    delete: native.batch_del,
    expect: native.batch_expect,
    expectAbsent: native.batch_expect_absent,
};

/** The list of `[operation, key, value, time to live]` that a batch holds, as far as they apply. */
export let operationsOf;

// A copy, so that the caller may change its buffers, as after every other call.
const kept = (given, what) => Uint8Array.from(bytes(given, what));

export class Batch {
    #store;
    #operations;

    static {
        operationsOf = (batch) => batch.#operations;
    }

    constructor(store = null, operations = []) {
        this.#store = store;
        this.#operations = operations;
    }

    get size() {
        return this.#operations.filter(([name]) => !name.startsWith('expect')).length;
    }

    set(key, value, { ttl = Infinity } = {}) {
        const left = milliseconds(ttl);
        const [k, v] = [kept(key), kept(value, 'value')];
        return left === 0 ? this.#add('set', k, v) : this.#add('setTtl', k, v, left);
    }

    delete(key) {
        return this.#add('delete', kept(key));
    }

    expire(key, ttl) {
        return this.#add('expire', kept(key), milliseconds(ttl));
    }

    expect(key, value) {
        return this.#add('expect', kept(key), kept(value, 'value'));
    }

    expectAbsent(key) {
        return this.#add('expectAbsent', kept(key));
    }

    clear() {
        this.#operations = [];
        return this;
    }

    write() {
        return this.#target().write(this);
    }

    async writeAsync() {
        return this.#target().writeAsync(this);
    }

    #add(...operation) {
        this.#operations.push(operation);
        return this;
    }

    #target() {
        if (this.#store === null)
            throw new TypeError('this batch was made without a store: use store.write(batch)');
        return this.#store;
    }
}

/** Creates a batch of the library from these operations, and frees it after `use`. */
export function withNative(operations, use) {
    const pointer = native.batch_new();
    try {
        for (const [name, ...parts] of operations) {
            const args = parts.flatMap((part) =>
                typeof part === 'number' ? [part] : [part, part.length],
            );
            check(ADD[name](pointer, ...args));
        }
        return use(pointer);
    } finally {
        native.batch_free(pointer);
    }
}
