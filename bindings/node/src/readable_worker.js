// The worker of readable.js. It waits in short calls, so that the program can end.

import { parentPort, workerData } from 'node:worker_threads';
import { ready } from './epoll.js';

const { epoll, count } = workerData;
const SLICE_MS = 100;

parentPort.on('message', () => {
    while (Atomics.load(count, 0) > 0) {
        const numbers = ready(epoll, SLICE_MS);
        if (numbers.length > 0) parentPort.postMessage(numbers);
    }
});
