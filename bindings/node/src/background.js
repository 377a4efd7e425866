// Calls made off the main thread, so that a slow disk holds up nothing else. A worker makes the
// same call on the same handle, and so the text of its failure, which the library keeps for the
// thread that made the call, is at hand there.

import { Worker } from 'node:worker_threads';
import { Batch, operationsOf } from './batch.js';
import { KvdsError } from './errors.js';
import { pointerOf } from './handle.js';
import { path } from './native.js';

// As many as Node has for its own file system calls.
const WORKERS = 4;
const workers = [];

class BackgroundWorker {
    #worker;
    #waiting = new Map();
    #last = 0;

    constructor() {
        // The same library, and none of the options of node that say what the main thread should
        // run.
        this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
            env: { ...process.env, KVDS_LIBRARY: path },
            execArgv: [],
        });
        this.#worker.on('message', ({ number, ...answer }) => this.#settle(number, answer));
        this.#worker.on('error', (error) => {
            workers.splice(workers.indexOf(this), 1);
            for (const number of [...this.#waiting.keys()]) this.#settle(number, { error });
        });
        this.#worker.unref();
    }

    get load() {
        return this.#waiting.size;
    }

    run(job) {
        return new Promise((resolve, reject) => {
            const number = ++this.#last;
            // This throws if an argument cannot be sent: then there is nothing to wait for.
            this.#worker.postMessage({ number, ...job });
            this.#waiting.set(number, { resolve, reject });
            this.#worker.ref();
        });
    }

    #settle(number, { error, status, result }) {
        const { resolve, reject } = this.#waiting.get(number);
        this.#waiting.delete(number);
        // A program ends when nothing is waited for any more.
        if (this.#waiting.size === 0) this.#worker.unref();
        if (error === undefined) resolve(result);
        else reject(status === undefined ? error : new KvdsError(status, error.message));
    }
}

// The one with the least to do; a new one if all have something to do and there may be more.
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
    return Array.isArray(result) ? result.map(arrived) : result;
}

/**
 * Gives `Class` a method `nameAsync` beside each of these. The handle is retained for the time of
 * the call, so that releasing it meanwhile does no harm.
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
