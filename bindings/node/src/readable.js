// Waits until descriptors of watches are readable. One thread waits for all of them, so that a
// watch blocks neither the main thread nor the workers of background.js.

import { Worker } from 'node:worker_threads';
import { add, createEpoll, remove } from './epoll.js';

const waiting = new Map();
// How many descriptors the worker waits for: it rests at 0.
const count = new Int32Array(new SharedArrayBuffer(4));
let last = 0;
let epoll;
let worker;

function started() {
    epoll ??= createEpoll();
    worker = new Worker(new URL('./readable_worker.js', import.meta.url), {
        workerData: { epoll, count },
        execArgv: [],
    });
    worker.on('message', (numbers) => numbers.forEach((number) => waiting.get(number)?.end()));
    worker.on('error', (error) => {
        worker = undefined;
        for (const { end } of [...waiting.values()]) end(error);
    });
    worker.unref();
    return worker;
}

/**
 * Waits until `descriptor` is readable. Returns a promise, and a function that ends it earlier, to
 * be called before the descriptor is closed. The program does not end in the meantime.
 */
export function readable(descriptor) {
    const number = ++last;
    const thread = worker ?? started();
    add(epoll, descriptor, number);
    let end;
    const promise = new Promise((resolve, reject) => {
        end = (error) => {
            if (!waiting.delete(number)) return;
            remove(epoll, descriptor);
            if (Atomics.sub(count, 0, 1) === 1) thread.unref();
            if (error === undefined) resolve();
            else reject(error);
        };
    });
    waiting.set(number, { end });
    if (Atomics.add(count, 0, 1) === 0) {
        thread.ref();
        thread.postMessage('wait');
    }
    return { promise, end: () => end() };
}
