import assert from 'node:assert/strict';
import test from 'node:test';
import { Batch, Cursor, Distributor, KvdsError, Store } from 'kvds';
import { directory } from './directory.js';

const fails =
    (code, text = /./) =>
    (error) =>
        error instanceof KvdsError &&
        error.code === code &&
        error.status < 0 &&
        text.test(error.message);

function store(t, backend = 'memory') {
    const distributor = new Distributor(backend === 'disk' ? directory(t) : null);
    const made = distributor.getOrCreate('store', backend);
    t.after(() => {
        made.release();
        distributor.release();
    });
    return made;
}

const strings = (pairs) => [...pairs].map(([key, value]) => `${key}=${value}`);

test('strings and bytes are the same keys and values', (t) => {
    const s = store(t);
    s.set('ключ', 'значение');
    assert.equal(s.get(new TextEncoder().encode('ключ')).toString(), 'значение');
    assert.equal(s.getString(Buffer.from('ключ')), 'значение');
    assert.equal(s.getString('none'), undefined);
    s.set(Uint8Array.of(0, 255).subarray(1), Uint8Array.of(1, 2, 3).subarray(1, 2));
    assert.deepEqual(s.get(Uint8Array.of(255)), Buffer.of(2));
});

test('what is neither a string nor bytes, or no UTF-8, is an error and changes nothing', (t) => {
    const s = store(t);
    for (const wrong of [1, null, undefined, {}, [1], new Uint16Array(1), 1n]) {
        assert.throws(() => s.set('key', wrong), TypeError);
        assert.throws(() => s.get(wrong), TypeError);
    }
    assert.throws(() => s.set('\ud800', 'x'), fails('KVDS_INVALID_ARGUMENT', /surrogate/));
    assert.throws(
        () =>
            s.setBatch([
                ['a', 'b'],
                ['c', 1],
            ]),
        TypeError,
    );
    assert.deepEqual([...s], []);
});

test('what is no list of keys or pairs is a TypeError, and nothing is changed', (t) => {
    const s = store(t);
    s.setBatch([
        ['a', '1'],
        ['b', '2'],
    ]);
    for (const wrong of ['ab', '', { a: '3' }, 1, null, undefined]) {
        assert.throws(() => s.setBatch(wrong), TypeError);
        assert.throws(() => s.deleteBatch(wrong), TypeError);
        assert.throws(() => s.getMany(wrong), TypeError);
    }
    assert.throws(() => s.setBatch(['ab']), TypeError);
    assert.throws(() => s.deleteBatch(['a', , 'b']), TypeError);
    assert.deepEqual(strings(s), ['a=1', 'b=2']);
});

test('a value is a copy: neither side sees what the other does to it', (t) => {
    const s = store(t);
    const given = Buffer.from('given');
    const operations = s.batch().set('batch', given);
    s.set('key', given);
    given.fill('x');
    operations.write();
    assert.equal(s.getString('batch'), 'given');
    s.get('key').fill('y');
    assert.equal(s.getString('key'), 'given');
});

test('values of all lengths are returned whole', (t) => {
    const s = store(t);
    for (const length of [0, 1, 4095, 4096, 4097, 1 << 20]) {
        const value = Buffer.alloc(length, 'abc');
        s.set('key', value);
        assert.deepEqual(s.get('key'), value);
        assert.deepEqual(s.getMany(['key', 'none']), [value, undefined]);
        assert.deepEqual([...s], [[Buffer.from('key'), value]]);
    }
});

test('values that were read are released', (t) => {
    const s = store(t);
    const megabyte = 1 << 20;
    const before = process.memoryUsage().rss;
    // A value that is not released stays in memory when it is overwritten: 512 MB here.
    for (let i = 0; i < 64; i++) {
        s.set('key', Buffer.alloc(8 * megabyte, i));
        s.getMany(['key']);
        globalThis.gc();
    }
    const grown = (process.memoryUsage().rss - before) / megabyte;
    assert.ok(grown < 256, `${grown} MB were kept`);
});

test('scans go both ways, within bounds, in a snapshot', (t) => {
    const s = store(t);
    s.setBatch(
        new Map([
            ['a1', '1'],
            ['a2', '2'],
            ['a3', '3'],
            ['b1', '4'],
        ]),
    );
    assert.deepEqual(strings(s), ['a1=1', 'a2=2', 'a3=3', 'b1=4']);
    assert.deepEqual(strings(s.scan({ prefix: 'a', start: 'a2' })), ['a2=2', 'a3=3']);
    assert.deepEqual(strings(s.scan({ end: 'a3', reverse: true })), ['a2=2', 'a1=1']);
    assert.deepEqual([...s.keys({ prefix: 'b' })].map(String), ['b1']);
    const before = s.scan();
    s.deletePrefix('');
    assert.equal([...before].length, 4);
    assert.deepEqual([...s.scan({ prefix: 'z' })], []);
});

test('a loop that is left, by break or by an exception, frees its cursor', (t) => {
    const s = store(t);
    s.setBatch(Object.entries({ a: '1', b: '2' }));
    let freed = 0;
    const release = Cursor.prototype.release;
    t.mock.method(Cursor.prototype, 'release', function () {
        if (!this.released) freed += 1;
        return release.call(this);
    });
    for (const _ of s) break;
    assert.equal(freed, 1);
    assert.throws(() => {
        for (const _ of s) throw new Error('enough');
    }, /enough/);
    assert.equal(freed, 2);
    for (const _ of s);
    assert.equal(freed, 3);
    const scan = s.scan();
    scan.return();
    assert.equal(freed, 4);
    assert.deepEqual(scan.next(), { done: true, value: undefined });
    s.scan()[Symbol.dispose]();
    assert.equal(freed, 5);
});

test('forEach stops at false, passes an exception on, and its callback may write', (t) => {
    const s = store(t);
    s.setBatch([
        ['a', '1'],
        ['b', '2'],
        ['c', '3'],
    ]);
    const seen = [];
    assert.equal(
        s.forEach('', (key) => seen.push(String(key)) < 2),
        false,
    );
    assert.deepEqual(seen, ['a', 'b']);
    const error = new Error('from the callback');
    assert.throws(
        () =>
            s.forEach('', () => {
                throw error;
            }),
        (thrown) => thrown === error,
    );
    assert.equal(
        s.forEach('', (key, value) => void s.set(Buffer.concat([key, key]), value)),
        true,
    );
    assert.deepEqual([...s.keys()].map(String), ['a', 'aa', 'b', 'bb', 'c', 'cc']);
});

test('the store may be released inside its own iteration', () => {
    const distributor = new Distributor();
    const s = distributor.getOrCreate('store', 'memory');
    s.setBatch([
        ['a', '1'],
        ['b', '2'],
    ]);
    const seen = [];
    s.forEach('', (key, value) => {
        s.release();
        seen.push(`${key}=${value}`);
    });
    assert.deepEqual(seen, ['a=1', 'b=2']);
    distributor.release();
});

test('a batch is applied whole or not at all', (t) => {
    const s = store(t);
    const batch = s.batch().expectAbsent('a').set('a', '1').set('b', '2').delete('c');
    assert.equal(batch.size, 3);
    assert.equal(batch.write(), true);
    assert.equal(batch.write(), false);
    assert.equal(s.write(new Batch().expect('a', '2').delete('a')), false);
    assert.equal(s.write(new Batch().expect('a', '1').delete('a')), true);
    assert.deepEqual(strings(s), ['b=2']);
    assert.equal(batch.clear().size, 0);
    assert.throws(() => new Batch().write(), /store\.write/);
    assert.throws(() => s.write({}), TypeError);
    assert.throws(
        () => s.batch().set('b', '3').set(Buffer.alloc(65537), '').write(),
        fails('KVDS_INVALID_ARGUMENT', /65536/),
    );
    assert.equal(s.getString('b'), '2');
});

test('sums have 64 bits, and deltas that do not are refused', (t) => {
    const s = store(t);
    assert.equal(s.add('n'), 1n);
    assert.equal(s.add('n', -3), -2n);
    assert.equal(s.add('n', 2n ** 63n - 1n), 2n ** 63n - 3n);
    assert.equal(s.add('m', -(2n ** 63n)), -(2n ** 63n));
    for (const wrong of [2n ** 63n, 2 ** 53, 0.5, NaN, '1'])
        assert.throws(() => s.add('n', wrong), RangeError);
    assert.throws(() => s.add('n', 3), fails('KVDS_INVALID_ARGUMENT'));
});

test('views, scopes and snapshots', (t) => {
    const s = store(t);
    s.set('u/ada', '1815');
    const [scope, snapshot, reader] = [s.scope('u/'), s.snapshot(), s.view({ read: true })];
    scope.set('alan', '1912');
    assert.equal(s.getString('u/alan'), '1912');
    assert.equal(snapshot.has('u/alan'), false);
    assert.throws(() => reader.set('x', ''), fails('KVDS_DENIED'));
    assert.throws(() => s.view({}), fails('KVDS_INVALID_ARGUMENT'));
    for (const view of [scope, snapshot, reader]) assert.equal(view.release(), 0);
});

test('statistics and properties', (t) => {
    const s = store(t);
    s.set('key', 'value');
    s.get('key');
    const { memoryBytes, ...figures } = s.stats();
    assert.deepEqual(figures, { keys: 1, bytes: 8, reads: 1, writes: 1, hits: 1, diskBytes: 0 });
    assert.ok(memoryBytes >= 8);
    assert.equal(s.property('kvds.keys'), '1');
    assert.equal(s.property('kvds.none'), undefined);
    assert.throws(() => s.property('a\0b'), fails('KVDS_INVALID_ARGUMENT', /NUL/));
});

test('a checkpoint is a store', (t) => {
    const path = directory(t);
    const s = store(t, 'disk');
    s.set('key', 'value');
    s.sync();
    s.compact();
    s.refresh();
    s.checkpoint(`${path}/copy`);
    assert.throws(() => s.checkpoint(`${path}/copy`), fails('KVDS_INVALID_ARGUMENT', /copy/));
    const distributor = new Distributor(path, { readOnly: true });
    const copy = distributor.getOrCreate('copy', 'disk');
    assert.equal(copy.getString('key'), 'value');
    copy.release();
    distributor.release();
});

test('objects are released once, and throw afterwards', (t) => {
    const s = store(t);
    const again = s.retain();
    assert.equal(s.refCount, 2);
    assert.equal(again.release(), 1);
    assert.equal(again.release(), 0);
    assert.equal(s.refCount, 1);
    assert.equal(again.released, true);
    assert.equal(again.isOpen, false);
    const calls = [
        () => again.get('a'),
        () => again.set('a', ''),
        () => again.retain(),
        () => again.scan(),
        () => again.close(),
        () => again.id,
        () => again.forEach('', () => {}),
        () => again.snapshot(),
        () => again.stats(),
        () => again.write(new Batch()),
    ];
    for (const call of calls) assert.throws(call, fails('KVDS_CLOSED', /Store was released/));
    const cursor = s.cursor();
    cursor[Symbol.dispose]();
    for (const call of [() => cursor.first(), () => cursor.key, () => cursor.valid]) {
        assert.throws(call, fails('KVDS_CLOSED', /Cursor was released/));
    }
    s.set('a', '');
    s.close();
    assert.throws(() => s.get('a'), fails('KVDS_CLOSED', /closed/));
});

test('programs cannot construct stores and cursors', () => {
    assert.throws(() => new Store(1n), TypeError);
    assert.throws(() => new Cursor(1n, 2n), TypeError);
});

test('the garbage collector releases unreachable objects', async (t) => {
    const distributor = new Distributor();
    t.after(() => distributor.release());
    (() => distributor.getOrCreate('forgotten', 'memory').scan().next())();
    // Finalizers run some time after a collection; a test that waits for them ends when they did.
    while (distributor.storeCount > 0) {
        globalThis.gc();
        await new Promise(setImmediate);
    }
});
