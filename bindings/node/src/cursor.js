// Iterates the keys of a store in order: with a cursor, or with for...of.

import { bytes, copy } from './bytes.js';
import { NOT_FOUND, OK } from './declarations.js';
import { check } from './errors.js';
import { Handle, internal, pointerOf } from './handle.js';
import { native } from './native.js';
import { rangeOf } from './range.js';
import { timeLeft } from './ttl.js';

export class Cursor extends Handle {
    constructor(token, pointer) {
        super(token, pointer, native.cursor_free);
    }

    first() {
        return this.#moved(native.cursor_first(pointerOf(this)));
    }

    last() {
        return this.#moved(native.cursor_last(pointerOf(this)));
    }

    seek(key) {
        const k = bytes(key);
        return this.#moved(native.cursor_seek(pointerOf(this), k, k.length));
    }

    next() {
        return this.#moved(native.cursor_next(pointerOf(this)));
    }

    prev() {
        return this.#moved(native.cursor_prev(pointerOf(this)));
    }

    get valid() {
        return native.cursor_valid(pointerOf(this)) === 1;
    }

    get key() {
        return this.#shown(native.cursor_key);
    }

    get value() {
        return this.#shown(native.cursor_value);
    }

    ttl() {
        const out = [0];
        const status = native.cursor_ttl(pointerOf(this), out);
        return check(status, NOT_FOUND) === OK ? timeLeft(out) : undefined;
    }

    #moved(status) {
        return check(status, NOT_FOUND) === OK;
    }

    #shown(part) {
        const out = {};
        return check(part(pointerOf(this), out), NOT_FOUND) === OK
            ? copy(out.data, out.len)
            : undefined;
    }
}

/** A cursor over the keys of a store that are in a range. */
export function openCursor(store, range) {
    const out = [null];
    check(native.cursor_new(store, rangeOf(range), out));
    return new Cursor(internal, out[0]);
}

// The prototype of the language's iterators: it makes a scan iterable, and from Node 22 on it has
// map, filter and others.
function Iterator() {}
Iterator.prototype = Object.getPrototypeOf(Object.getPrototypeOf([].values()));

/** Iterates a store as of the creation of the iterator. Frees the cursor at the end. */
export class Scan extends Iterator {
    #cursor;
    #entry;
    #move;
    #started = false;

    constructor(store, { reverse = false, ...range }, entry) {
        super();
        this.#cursor = openCursor(store, range);
        this.#entry = entry;
        this.#move = reverse ? ['last', 'prev'] : ['first', 'next'];
    }

    next() {
        if (this.#cursor.released) return { done: true, value: undefined };
        try {
            if (this.#cursor[this.#move[Number(this.#started)]]()) {
                this.#started = true;
                return { done: false, value: this.#entry(this.#cursor) };
            }
        } catch (error) {
            this.#cursor.release();
            throw error;
        }
        return this.return();
    }

    return(value) {
        this.#cursor.release();
        return { done: true, value };
    }

    [Symbol.dispose]() {
        this.#cursor.release();
    }
}
