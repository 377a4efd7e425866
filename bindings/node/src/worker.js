// The worker of background.js: makes calls on handles that the main thread keeps alive.

import { parentPort } from 'node:worker_threads';
import { portable } from './background.js';
import { Batch } from './batch.js';
import { Distributor } from './distributor.js';
import { borrow, detach } from './handle.js';
import { Store } from './store.js';

const CLASSES = { Distributor, Store };

parentPort.on('message', ({ number, kind, pointer, name, args }) => {
    try {
        const handle = borrow(CLASSES[kind], pointer);
        const result = handle[name](
            ...args.map((arg) => (arg?.operations ? new Batch(null, arg.operations) : arg)),
        );
        // An opened store is sent as its pointer, together with the reference.
        parentPort.postMessage({
            number,
            result: result instanceof Store ? detach(result) : portable(result),
        });
    } catch (error) {
        parentPort.postMessage({ number, error, status: error.status });
    }
});
