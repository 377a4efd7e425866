// Returns stores by name.

import { background } from './background.js';
import { text } from './bytes.js';
import { INVALID_ARGUMENT, NOT_FOUND, OK } from './declarations.js';
import { check, KvdsError } from './errors.js';
import { Handle, internal, pointerOf } from './handle.js';
import { native, register } from './native.js';
import { withOptions } from './options.js';
import { backendName, BACKENDS, Store } from './store.js';

function backendOf(name) {
    if (Object.hasOwn(BACKENDS, name)) return BACKENDS[name];
    const names = Object.keys(BACKENDS).join(', ').replace(/, (\w+)$/, ' or $1');
    throw new KvdsError(INVALID_ARGUMENT, `the backend must be ${names}, not ${String(name)}`);
}

function open(path, options) {
    const out = [null];
    withOptions(options, (pointer) =>
        check(native.distributor_open(path === null ? null : text(path, 'path'), pointer, out)),
    );
    return out[0];
}

export class Distributor extends Handle {
    constructor(path = null, options = {}) {
        super(internal, open(path, options), native.distributor_release);
    }

    getOrCreate(id, backend) {
        const out = [null];
        const status = native.distributor_get_or_create(
            pointerOf(this),
            text(id, 'id'),
            backendOf(backend),
            out,
        );
        if (check(status, NOT_FOUND) === OK) return new Store(internal, out[0]);
        throw new KvdsError(
            NOT_FOUND,
            `there is no ${backend} store "${id}", and the options say not to make one`,
        );
    }

    get(id, backend) {
        const out = [null];
        const status = native.distributor_get(
            pointerOf(this),
            text(id, 'id'),
            backendOf(backend),
            out,
        );
        return check(status, NOT_FOUND) === OK ? new Store(internal, out[0]) : undefined;
    }

    evict(id, backend) {
        return (
            check(
                native.distributor_evict(pointerOf(this), text(id, 'id'), backendOf(backend)),
                NOT_FOUND,
            ) === OK
        );
    }

    destroy(id, backend) {
        return (
            check(
                native.distributor_destroy(pointerOf(this), text(id, 'id'), backendOf(backend)),
                NOT_FOUND,
            ) === OK
        );
    }

    destroyStore(id) {
        return (
            check(native.distributor_destroy_store(pointerOf(this), text(id, 'id')), NOT_FOUND) ===
            OK
        );
    }

    shutdown() {
        check(native.distributor_shutdown(pointerOf(this)));
    }

    get storeCount() {
        return Number(native.distributor_store_count(pointerOf(this)));
    }

    get refCount() {
        return Number(native.distributor_ref_count(pointerOf(this)));
    }

    stores() {
        const stores = [];
        const visit = (_, id, backend, tag, refCount) =>
            stores.push({
                id,
                backend: backendName(backend),
                tag: BigInt(tag),
                refCount: Number(refCount),
            });
        check(native.distributor_for_each(pointerOf(this), visit, 0));
        return stores;
    }

    observe(callback) {
        if (typeof callback !== 'function') throw new TypeError('the callback must be a function');
        return new Observer(this, callback);
    }
}

// Observers outlive their distributor while stores of it are live, and the library calls a function
// when an observer is removed. All observers share two C functions, and a number identifies the
// callback.
const callbacks = new Map();
let lastNumber = 0;
let trampolines;

function makeTrampolines() {
    const death = (number, tag, id, backend) => {
        try {
            callbacks.get(Number(number))?.({
                id,
                backend: backendName(backend),
                tag: BigInt(tag),
            });
        } catch (error) {
            // An exception must not pass the library. It becomes an uncaught exception.
            process.nextTick(() => {
                throw error;
            });
        }
    };
    const free = (number) => callbacks.delete(Number(number));
    return {
        death: register(death, 'kvds_death *'),
        free: register(free, 'kvds_user_data_free *'),
    };
}

class Observer {
    #distributor;
    #number = ++lastNumber;
    #id = [0];

    constructor(distributor, callback) {
        trampolines ??= makeTrampolines();
        const pointer = pointerOf(distributor);
        callbacks.set(this.#number, callback);
        check(
            native.distributor_observe(
                pointer,
                trampolines.death,
                this.#number,
                trampolines.free,
                this.#id,
            ),
        );
        this.#distributor = distributor;
    }

    stop() {
        // Without the distributor the observer cannot be removed. Not calling the callback has the
        // same effect.
        if (this.#distributor.released) callbacks.delete(this.#number);
        else
            check(
                native.distributor_unobserve(pointerOf(this.#distributor), this.#id[0]),
                NOT_FOUND,
            );
    }

    [Symbol.dispose]() {
        this.stop();
    }
}

const wrap = (result) => (typeof result === 'bigint' ? new Store(internal, result) : result);
background(
    Distributor,
    { retain: native.distributor_retain, release: native.distributor_release, wrap },
    ['getOrCreate', 'destroy', 'destroyStore'],
);
