// kvds for Node: ordered key-value stores in memory, on disk and in etcd. index.d.ts documents the
// interface, and README.md is an introduction.

export { Batch } from './src/batch.js';
export { Cursor } from './src/cursor.js';
export { salvage, salvageAsync, verify, verifyAsync } from './src/damage.js';
export { Distributor } from './src/distributor.js';
export { KvdsError } from './src/errors.js';
export { Store } from './src/store.js';
export { version } from './src/native.js';
export { Watch } from './src/watch.js';
