import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { Distributor, KvdsError } from 'kvds';
import { directory } from './directory.js';

const fails =
    (code, text = /./) =>
    (error) =>
        error instanceof KvdsError && error.code === code && text.test(error.message);

test('every call has the same results in the background', async (t) => {
    const path = directory(t);
    const distributor = new Distributor(path);
    t.after(() => distributor.release());
    const s = await distributor.getOrCreateAsync('a', 'disk');
    await s.setAsync('ada', Buffer.from('1815'));
    assert.deepEqual(await s.getAsync('ada'), Buffer.from('1815'));
    assert.equal(await s.getStringAsync('ada'), '1815');
    assert.equal(await s.getAsync('none'), undefined);
    assert.equal(await s.hasAsync('ada'), true);
    await s.setBatchAsync(
        new Map([
            ['a', '1'],
            ['b', '2'],
            ['c', '3'],
        ]),
    );
    const many = await s.getManyAsync(new Set(['a', 'none', Buffer.from('b')]));
    assert.deepEqual(many, [Buffer.from('1'), undefined, Buffer.from('2')]);
    assert.equal(await s.deleteAsync('none'), false);
    assert.equal(await s.setNxAsync('a', 'x'), false);
    assert.equal(await s.compareAndSwapAsync('a', '1', '4'), true);
    assert.equal(await s.compareAndDeleteAsync('none', ''), undefined);
    assert.equal(await s.addAsync('n', 5n), 5n);
    await s.deleteBatchAsync(['b', 'n']);
    await s.deletePrefixAsync('c');
    assert.equal(await s.batch().expect('a', '4').set('d', '5').writeAsync(), true);
    assert.equal(await s.batch().expectAbsent('a').set('d', '6').writeAsync(), false);
    assert.deepEqual(
        [...s].map(([key, value]) => `${key}=${value}`),
        ['a=4', 'ada=1815', 'd=5'],
    );
    await s.syncAsync();
    await s.compactAsync();
    await s.refreshAsync();
    await s.checkpointAsync(`${path}/copy`);
    s.release();
    assert.equal(await distributor.destroyStoreAsync('copy'), true);
});

test('failures are rejections with the text of the library', async (t) => {
    const path = directory(t);
    const distributor = new Distributor(path);
    const s = distributor.getOrCreate('a', 'disk');
    await assert.rejects(s.checkpointAsync(path), fails('KVDS_INVALID_ARGUMENT', new RegExp(path)));
    await assert.rejects(s.getAsync(1), TypeError);
    await assert.rejects(s.addAsync('n', 0.5), RangeError);
    for (const wrong of ['ab', { ada: '1815' }]) {
        await assert.rejects(s.setBatchAsync(wrong), TypeError);
        await assert.rejects(s.deleteBatchAsync(wrong), TypeError);
    }
    await assert.rejects(
        s.setAsync(Buffer.alloc(65537), ''),
        fails('KVDS_INVALID_ARGUMENT', /65536/),
    );
    s.release();
    await assert.rejects(s.getAsync('a'), fails('KVDS_CLOSED', /released/));
    distributor.release();
});

test('the store may be released and the buffers changed while a call runs', async () => {
    const distributor = new Distributor();
    const s = distributor.getOrCreate('a', 'memory');
    const other = s.retain();
    const key = Buffer.from('key');
    const value = Buffer.alloc(1 << 20, 'v');
    const writing = s.setAsync(key, value);
    const reading = Promise.all(Array.from({ length: 20 }, () => s.hasAsync('none')));
    key.fill('x');
    value.fill('x');
    assert.equal(s.release(), 1 + 21, 'every call keeps the store until it returns');
    await writing;
    assert.deepEqual(other.get('key'), Buffer.alloc(1 << 20, 'v'));
    assert.deepEqual(await reading, Array(20).fill(false));
    assert.equal(other.refCount, 1);
    other.release();
    assert.equal(distributor.storeCount, 0);
    distributor.release();
});

test('a program ends when its calls have returned, whatever else is open', () => {
    const program = `
        import { Distributor } from 'kvds';
        const store = new Distributor().getOrCreate('a', 'memory');
        store.setAsync('key', 'value').then(() => console.log(store.getString('key')));`;
    const { stdout, stderr, status } = spawnSync(
        process.execPath,
        ['--input-type=module', '-e', program],
        {
            cwd: new URL('.', import.meta.url),
            encoding: 'utf8',
        },
    );
    assert.deepEqual({ stdout, stderr, status }, { stdout: 'value\n', stderr: '', status: 0 });
});

test('an argument that cannot be sent to a thread rejects, and keeps nothing alive', () => {
    const program = `
        import { Distributor } from 'kvds';
        const store = new Distributor().getOrCreate('a', 'memory');
        await store.setAsync('key', () => {}).catch((error) => console.log(error.name));
        console.log(store.refCount);`;
    const { stdout, stderr, status } = spawnSync(
        process.execPath,
        ['--input-type=module', '-e', program],
        {
            cwd: new URL('.', import.meta.url),
            encoding: 'utf8',
            timeout: 60_000,
        },
    );
    assert.deepEqual(
        { stdout, stderr, status },
        { stdout: 'DataCloneError\n1\n', stderr: '', status: 0 },
    );
});
