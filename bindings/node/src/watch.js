// Watches: the writes to a range of keys, in their order.

import { copy, int64 } from './bytes.js';
import { CHANGE_DELETE, CHANGE_SET, IO, NOT_FOUND, OK } from './declarations.js';
import { check, KvdsError } from './errors.js';
import { Handle, internal, pointerOf } from './handle.js';
import { native } from './native.js';
import { rangeOf } from './range.js';
import { readable } from './readable.js';

export class Watch extends Handle {
    #descriptor;
    #last = Promise.resolve();
    #wake;

    constructor(token, pointer) {
        super(token, pointer, native.watch_free);
        // Before the first change is asked for: the library reports what happens afterwards.
        this.#descriptor = native.watch_fd(pointer);
        if (this.#descriptor < 0) throw new KvdsError(IO, native.last_error());
    }

    poll() {
        const change = {};
        const status = native.watch_next(pointerOf(this), 0, change);
        return check(status, NOT_FOUND) === OK ? changeOf(change) : undefined;
    }

    next() {
        // Calls wait for each other, as those of an asynchronous generator do.
        const result = this.#last.then(() => this.#wait());
        this.#last = result.catch(() => {});
        return result;
    }

    async return(value) {
        this.release();
        return { done: true, value };
    }

    [Symbol.asyncIterator]() {
        return this;
    }

    close() {
        this.release();
    }

    release() {
        // The descriptor must not be closed while another thread waits for it.
        this.#wake?.();
        return super.release();
    }

    async #wait() {
        while (!this.released) {
            const value = this.poll();
            if (value !== undefined) return { done: false, value };
            const { promise, end } = readable(this.#descriptor);
            this.#wake = end;
            try {
                await promise;
            } finally {
                this.#wake = undefined;
            }
        }
        return { done: true, value: undefined };
    }
}

/** Watches the keys of a store that are in a range. */
export function openWatch(store, { after, ...range }) {
    const out = [null];
    const bounds = rangeOf(range);
    check(
        after === undefined
            ? native.watch_new(store, bounds, out)
            : native.watch_from(store, bounds, int64(after), out),
    );
    return new Watch(internal, out[0]);
}

function changeOf({ kind, last, sequence, key, key_len, value, value_len }) {
    const where = { key: copy(key, key_len), sequence: BigInt(sequence), last: last === 1 };
    const other = copy(value, value_len);
    if (kind === CHANGE_SET) return { kind: 'set', value: other, ...where };
    if (kind === CHANGE_DELETE) return { kind: 'delete', ...where };
    return { kind: 'deleteRange', end: other.length === 0 ? undefined : other, ...where };
}
