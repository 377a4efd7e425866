import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import test from 'node:test';
import { Distributor, KvdsError, Store } from 'kvds';
import { directory } from './directory.js';

const fails =
    (code, text = /./) =>
    (error) =>
        error instanceof KvdsError && error.code === code && text.test(error.message);

test('one store for one name, as long as a reference is held', () => {
    const distributor = new Distributor();
    assert.equal(distributor.get('a', 'memory'), undefined);
    const first = distributor.getOrCreate('a', 'memory');
    const second = distributor.get('a', 'memory');
    first.set('key', 'value');
    assert.equal(second.getString('key'), 'value');
    assert.deepEqual(distributor.stores(), [{ id: 'a', backend: 'memory', tag: 0n, refCount: 2 }]);
    assert.equal(distributor.storeCount, 1);
    first.release();
    second.release();
    assert.equal(distributor.storeCount, 0);
    assert.equal(distributor.release(), 0);
});

test('a store is opened by its path', (t) => {
    const path = `${directory(t)}/rm 2`;
    assert.throws(
        () => Store.open(path, { createIfMissing: false }),
        fails('KVDS_NOT_FOUND', /rm 2/),
    );
    const store = Store.open(path, { durability: 'sync' });
    store.set('a', '1');
    assert.deepEqual([store.id, store.backend, store.tag], [path, 'disk', 0n]);
    assert.throws(() => Store.open(path), fails('KVDS_LOCKED', /rm 2/));
    store.release();
    const reader = Store.open(path, { readOnly: true });
    assert.equal(reader.getString('a'), '1');
    reader.release();
    assert.throws(() => Store.open(''), fails('KVDS_INVALID_ARGUMENT', /path/));
    assert.throws(() => Store.open('a\0b'), fails('KVDS_INVALID_ARGUMENT', /NUL/));
    assert.throws(
        () => Store.open(path, { durabilty: 'sync' }),
        fails('KVDS_INVALID_ARGUMENT', /durabilty/),
    );
});

test('ids of memory stores may be long', () => {
    const distributor = new Distributor();
    for (const id of ['ü'.repeat(1000), '/'.repeat(65536)]) {
        const store = distributor.getOrCreate(id, 'memory');
        assert.equal(store.id, id);
        store.release();
    }
    distributor.release();
});

test('options have the spelling of JavaScript, and wrong ones are errors', (t) => {
    const path = directory(t);
    assert.throws(
        () => new Distributor(path, { durabilty: 'sync' }),
        fails('KVDS_INVALID_ARGUMENT', /durabilty/),
    );
    assert.throws(
        () => new Distributor(path, { durability: 'maybe' }),
        fails('KVDS_INVALID_ARGUMENT', /maybe/),
    );
    const all = {
        durability: 'sync',
        blockCacheBytes: '8M',
        writeBufferBytes: 1 << 23,
        memoryLimitBytes: 1000n,
        compression: 'zstd',
        readOnly: false,
        createIfMissing: true,
        keepStores: true,
        maxOpenFiles: -1,
    };
    const distributor = new Distributor(path, { ...all, compression: undefined });
    const store = distributor.getOrCreate('a', 'memory');
    assert.throws(() => store.set('key', Buffer.alloc(1000)), fails('KVDS_NO_MEMORY'));
    store.release();
    assert.equal(distributor.storeCount, 1, 'kept by the option keepStores');
    assert.equal(distributor.evict('a', 'memory'), true);
    assert.equal(distributor.evict('a', 'memory'), false);
    distributor.release();
    new Distributor(path, all).release();
    const careful = new Distributor(path, { createIfMissing: false });
    assert.throws(() => careful.getOrCreate('none', 'disk'), fails('KVDS_NOT_FOUND', /none/));
    careful.release();
});

test('bad names, backends and paths are errors', (t) => {
    const distributor = new Distributor(directory(t));
    t.after(() => distributor.release());
    assert.throws(() => distributor.getOrCreate('', 'memory'), fails('KVDS_INVALID_ARGUMENT'));
    assert.throws(
        () => distributor.getOrCreate('a\0b', 'memory'),
        fails('KVDS_INVALID_ARGUMENT', /NUL/),
    );
    assert.throws(
        () => distributor.getOrCreate('a', 'tape'),
        fails('KVDS_INVALID_ARGUMENT', /memory, disk or cluster/),
    );
    assert.throws(() => distributor.getOrCreate(1, 'memory'), TypeError);
    assert.throws(() => new Distributor(1), TypeError);
    assert.throws(
        () => new Distributor().getOrCreate('a', 'disk'),
        fails('KVDS_INVALID_ARGUMENT', /path/),
    );
});

test('a disk store is there again, is locked to others, and is destroyed on demand', (t) => {
    const path = directory(t);
    const distributor = new Distributor(path);
    const other = new Distributor(path);
    t.after(() => [distributor, other].forEach((each) => each.release()));
    const store = distributor.getOrCreate('a', 'disk');
    store.set('key', 'value');
    assert.throws(() => other.getOrCreate('a', 'disk'), fails('KVDS_LOCKED'));
    assert.throws(() => distributor.destroyStore('a'), fails('KVDS_BUSY'));
    // An iteration that has not ended keeps the files.
    store.forEach('', () => false);
    assert.throws(
        () =>
            store.forEach('', () => {
                throw new Error('enough');
            }),
        /enough/,
    );
    for (const _ of store) break;
    store.release();
    const again = other.getOrCreate('a', 'disk');
    assert.equal(again.getString('key'), 'value');
    again.release();
    assert.equal(distributor.destroyStore('a'), true);
    assert.equal(distributor.destroyStore('a'), false);
    assert.equal(existsSync(`${path}/a`), false);
});

test('destroy takes a backend', async (t) => {
    const path = directory(t);
    const distributor = new Distributor(path);
    t.after(() => distributor.release());
    const store = distributor.getOrCreate('a', 'disk');
    assert.throws(() => distributor.destroy('a', 'disk'), fails('KVDS_BUSY'));
    store.release();
    assert.equal(distributor.destroy('a', 'memory'), false);
    assert.equal(distributor.destroy('a', 'disk'), true);
    assert.equal(await distributor.destroyAsync('a', 'disk'), false);
    assert.equal(existsSync(`${path}/a`), false);
    assert.throws(() => distributor.destroy('a', 'tape'), fails('KVDS_INVALID_ARGUMENT'));
});

test('a cluster store needs the option cluster', (t) => {
    const distributor = new Distributor();
    t.after(() => distributor.release());
    // A build without cluster stores says so.
    const missing = (error) =>
        ['KVDS_INVALID_ARGUMENT', 'KVDS_UNSUPPORTED'].includes(error.code) &&
        error.message.includes('cluster');
    assert.throws(() => distributor.getOrCreate('a', 'cluster'), missing);
    assert.throws(() => distributor.destroy('a', 'cluster'), missing);
    const options = {
        cluster: 'etcds://a,b:1/c',
        clusterCa: 'ca.pem',
        clusterCert: 'cert.pem',
        clusterKey: 'key.pem',
        clusterUser: 'user',
        clusterPassword: 'password',
        clusterTimeoutMs: 100,
    };
    new Distributor(null, options).release();
    assert.throws(
        () => new Distributor(null, { clusterTimeoutMs: 99 }),
        fails('KVDS_INVALID_ARGUMENT', /milliseconds from 100/),
    );
});

test('shutdown closes all stores', () => {
    const distributor = new Distributor();
    const store = distributor.getOrCreate('a', 'memory');
    distributor.shutdown();
    assert.equal(store.isOpen, false);
    assert.throws(() => store.get('key'), fails('KVDS_CLOSED'));
    assert.throws(() => distributor.getOrCreate('a', 'memory'), fails('KVDS_CLOSED'));
    store.release();
    distributor.release();
    assert.throws(() => distributor.storeCount, fails('KVDS_CLOSED', /Distributor was released/));
});

test('observers are called inside the last release, until they stop', () => {
    const distributor = new Distributor();
    const heard = [];
    const observer = distributor.observe((death) => heard.push(death));
    const once = distributor.observe(() => once.stop());
    const silent = distributor.observe(() => assert.fail('it was stopped'));
    silent[Symbol.dispose]();
    silent.stop();
    const store = distributor.getOrCreate('a', 'memory');
    const again = store.retain();
    store.release();
    assert.deepEqual(heard, []);
    again.release();
    assert.deepEqual(heard, [{ id: 'a', backend: 'memory', tag: 0n }]);
    // The death of a store that outlives its distributor is observed, and the observer can stop.
    const late = distributor.getOrCreate('b', 'memory');
    const quiet = distributor.observe(() => assert.fail('it was stopped'));
    distributor.release();
    quiet.stop();
    late.release();
    assert.deepEqual(
        heard.map(({ id }) => id),
        ['a', 'b'],
    );
    observer.stop();
    assert.throws(() => distributor.observe(() => {}), fails('KVDS_CLOSED'));
    assert.throws(() => new Distributor().observe('no function'), TypeError);
});

test('what an observer throws is an uncaught exception, and the release continues', async () => {
    const distributor = new Distributor();
    distributor.observe(() => {
        throw new Error('from the observer');
    });
    const store = distributor.getOrCreate('a', 'memory');
    const caught = new Promise((resolve) => {
        process.setUncaughtExceptionCaptureCallback(resolve);
    });
    assert.equal(store.release(), 0);
    assert.match((await caught).message, /from the observer/);
    process.setUncaughtExceptionCaptureCallback(null);
    distributor.release();
});
