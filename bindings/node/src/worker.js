// The worker of background.js: makes calls on handles that the main thread keeps alive, and calls
// of functions that need no handle.

import { parentPort } from 'node:worker_threads';
import { portable } from './background.js';
import { Batch } from './batch.js';
import { salvage, verify } from './damage.js';
import { Distributor } from './distributor.js';
import { borrow, detach } from './handle.js';
import { Store } from './store.js';

const CLASSES = { Distributor, Store };
const FUNCTIONS = { salvage, verify };

parentPort.on('message', ({ number, kind, pointer, name, args }) => {
    try {
        const callee = kind ? borrow(CLASSES[kind], pointer) : FUNCTIONS;
        const result = callee[name](
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
