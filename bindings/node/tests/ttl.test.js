import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Batch, Distributor, KvdsError } from 'kvds';
import { directory } from './directory.js';

// A time that no test reaches.
const LONG = 3_600_000;

// Waits for what happens 2 seconds late at most, with time for a slow machine.
async function until(condition) {
    for (const end = Date.now() + 60_000; !condition(); await sleep(20))
        assert.ok(Date.now() < end, 'it takes too long');
}

const isAbout = (left, expected) => left > expected - 60_000 && left <= expected;
const keys = (s) => [...s.keys()].map(String);

// Defines a test for each backend whose stores are in this process.
function onBoth(name, run) {
    for (const backend of ['memory', 'disk']) {
        test(`${name} (${backend})`, async (t) => {
            const distributor = new Distributor(directory(t));
            const s = distributor.getOrCreate('store', backend);
            t.after(() => {
                s.release();
                distributor.release();
            });
            await run(s);
        });
    }
}

onBoth('a key is there for its time and then gone', async (s) => {
    const began = performance.now();
    const elapsed = () => performance.now() - began;
    s.set('a', '1', { ttl: 200 });
    s.set('kept', '2');
    assert.ok(s.has('a') || elapsed() >= 200);
    await until(() => !s.has('a'));
    assert.ok(elapsed() >= 200);
    assert.deepEqual(keys(s), ['kept']);
    assert.equal(s.ttl('a'), undefined);
    assert.equal(s.expire('a', LONG), false);
});

onBoth('the time left, renewed and ended', async (s) => {
    s.set('a', '1', { ttl: LONG });
    assert.ok(isAbout(s.ttl('a'), LONG));
    s.set('a', '2');
    assert.equal(s.ttl('a'), Infinity, 'a set without a time to live ends it');
    assert.equal(s.expire('a', 2 * LONG), true);
    assert.ok(isAbout(s.ttl('a'), 2 * LONG));
    assert.equal(s.expire('a', Infinity), true);
    assert.equal(s.ttl('a'), Infinity);
    assert.equal(s.getString('a'), '2');
    s.set('a', '3', { ttl: Infinity });
    assert.equal(s.ttl('a'), Infinity);
});

onBoth('a lock that frees itself', async (s) => {
    assert.equal(s.setNx('lock', 'one', { ttl: 200 }), true);
    assert.equal(s.setNx('other', '', { ttl: LONG }), true);
    assert.equal(s.setNx('other', '', { ttl: 1 }), false);
    assert.ok(isAbout(s.ttl('other'), LONG), 'nothing was changed');
    await until(() => s.setNx('lock', 'two', { ttl: LONG }));
    assert.equal(s.batch().expect('lock', 'two').expire('lock', 2 * LONG).write(), true);
    assert.ok(isAbout(s.ttl('lock'), 2 * LONG));
});

onBoth('times to live in a batch', async (s) => {
    s.set('ends', '', { ttl: LONG });
    const batch = new Batch()
        .expectAbsent('short')
        .set('short', '1', { ttl: 200 })
        .set('long', '2', { ttl: LONG })
        .set('kept', '3')
        .expire('ends', Infinity)
        .expire('none', 1);
    assert.equal(batch.size, 5);
    assert.equal(s.write(batch), true);
    assert.ok(isAbout(s.ttl('long'), LONG));
    assert.equal(s.ttl('kept'), Infinity);
    assert.equal(s.ttl('ends'), Infinity);
    await until(() => !s.has('short'));
    assert.deepEqual(keys(s), ['ends', 'kept', 'long']);
});

onBoth('times to live in the background', async (s) => {
    await s.setAsync('a', '1', { ttl: LONG });
    assert.ok(isAbout(await s.ttlAsync('a'), LONG));
    assert.equal(await s.expireAsync('a', Infinity), true);
    assert.equal(await s.ttlAsync('a'), Infinity);
    assert.equal(await s.setNxAsync('a', '1', { ttl: LONG }), false);
    assert.equal(await s.batch().set('b', '2', { ttl: LONG }).expire('a', LONG).writeAsync(), true);
    assert.ok(isAbout(s.ttl('a'), LONG) && isAbout(s.ttl('b'), LONG));
    assert.equal(await s.ttlAsync('none'), undefined);
    await assert.rejects(s.setAsync('a', '', { ttl: 0 }), KvdsError);
});

onBoth('a time to live is positive and at most 100 years', async (s) => {
    s.set('a', '1');
    const calls = (ttl) => [
        () => s.set('a', '', { ttl }),
        () => s.setNx('b', '', { ttl }),
        () => s.expire('a', ttl),
        () => s.batch().set('a', '', { ttl }),
        () => s.batch().expire('a', ttl),
    ];
    const invalid = (error) =>
        error.code === 'KVDS_INVALID_ARGUMENT' && /more than 0 and at most/.test(error.message);
    for (const ttl of [0, -1, NaN, -Infinity, 3155760000001])
        for (const call of calls(ttl)) assert.throws(call, invalid);
    for (const ttl of ['1', null, 1n])
        for (const call of calls(ttl)) assert.throws(call, TypeError);
    assert.equal(s.ttl('a'), Infinity);
    s.set('a', '', { ttl: 3155760000000 });
    s.set('a', '', { ttl: 0.001 });
});
