// Makes calls outside of the main thread, so that a slow disk does not block it. A worker makes the
// same call on the same handle. It reads the error text too, which the library keeps per thread.

import { Worker } from 'node:worker_threads';
import { Batch, operationsOf } from './batch.js';
import { KvdsError } from './errors.js';
import { pointerOf } from './handle.js';
import { path } from './native.js';

// As many as Node has for file system calls.
const WORKERS = 4;
const workers = [];

class BackgroundWorker {
    #worker;
    #waiting = new Map();
    #last = 0;

    constructor() {
        // The same library, without those options of node that say what the main thread runs.
        this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
            env: { ...process.env, KVDS_LIBRARY: path },
            execArgv: [],
        });
        this.#worker.on('message', ({ number, ...answer }) => this.#finish(number, answer));
        this.#worker.on('error', (error) => {
            workers.splice(workers.indexOf(this), 1);
            for (const number of [...this.#waiting.keys()]) this.#finish(number, { error });
        });
        this.#worker.unref();
    }

    get load() {
        return this.#waiting.size;
    }

    run(job) {
        return new Promise((resolve, reject) => {
            const number = ++this.#last;
            // This throws if an argument cannot be sent. Then no result will come.
            this.#worker.postMessage({ number, ...job });
            this.#waiting.set(number, { resolve, reject });
            this.#worker.ref();
        });
    }

    #finish(number, { error, status, result }) {
        const { resolve, reject } = this.#waiting.get(number);
        this.#waiting.delete(number);
        // The program may end when no call is pending.
        if (this.#waiting.size === 0) this.#worker.unref();
        if (error === undefined) resolve(result);
        else reject(status === undefined ? error : new KvdsError(status, error.message));
    }
}

// The least busy worker, or a new one if all are busy and the limit is not reached.
function leastBusy() {
    const [chosen] = [...workers].sort((a, b) => a.load - b.load);
    if (chosen?.load === 0 || workers.length === WORKERS) return chosen;
    const added = new BackgroundWorker();
    workers.push(added);
    return added;
}

/** Returns a copy of arguments or results that can be sent to another thread. */
export function portable(given) {
    if (given instanceof Batch)
        return { operations: operationsOf(given).map((operation) => [...operation]) };
    if (given instanceof Uint8Array) return Uint8Array.from(given);
    if (typeof given === 'object' && typeof given?.[Symbol.iterator] === 'function')
        return Array.from(given, portable);
    return given;
}

function arrived(result) {
    if (result instanceof Uint8Array)
        return Buffer.from(result.buffer, result.byteOffset, result.byteLength);
    if (Array.isArray(result)) return result.map(arrived);
    if (typeof result !== 'object' || result === null) return result;
    return Object.fromEntries(
        Object.entries(result).map(([name, member]) => [name, arrived(member)]),
    );
}

/** Returns a function that calls a function of worker.js in the background. */
export function inBackground(name) {
    return async (...given) => arrived(await leastBusy().run({ name, args: given.map(portable) }));
}

/**
 * Adds a method `nameAsync` to `Class` for each of these. It retains the handle during the call, so
 * the program may release it in the meantime.
 */
export function background(Class, { retain, release, wrap = arrived }, names) {
    for (const name of names) {
        const method = async function (...given) {
            const args = given.map(portable);
            const pointer = retain(pointerOf(this));
            try {
                return wrap(await leastBusy().run({ kind: Class.name, pointer, name, args }));
            } finally {
                release(pointer);
            }
        };
        Object.defineProperty(Class.prototype, `${name}Async`, {
            value: method,
            writable: true,
            configurable: true,
        });
    }
}
