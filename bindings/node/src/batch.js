// Operations, and expectations about the data before them, that a store applies in one step.

import { bytes } from './bytes.js';
import { check } from './errors.js';
import { native } from './native.js';

const ADD = {
    set: native.batch_set,
    delete: native.batch_del,
    expect: native.batch_expect,
    expectAbsent: native.batch_expect_absent,
};
const ADD_KEY_ONLY = new Set(['delete', 'expectAbsent']);

/** The list of `[operation, key, value]` that a batch holds. */
export let operationsOf;

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
        return this.#operations.filter(([name]) => name === 'set' || name === 'delete').length;
    }

    set(key, value) {
        return this.#add('set', key, value);
    }

    delete(key) {
        return this.#add('delete', key);
    }

    expect(key, value) {
        return this.#add('expect', key, value);
    }

    expectAbsent(key) {
        return this.#add('expectAbsent', key);
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

    // Keeps copies, so the caller may change its buffers, as after every other call.
    #add(name, key, value) {
        const operation = [name, Uint8Array.from(bytes(key))];
        if (!ADD_KEY_ONLY.has(name)) operation.push(Uint8Array.from(bytes(value, 'value')));
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
            check(ADD[name](pointer, ...parts.flatMap((part) => [part, part.length])));
        }
        return use(pointer);
    } finally {
        native.batch_free(pointer);
    }
}
