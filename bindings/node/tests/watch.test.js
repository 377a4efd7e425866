import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Distributor, KvdsError, Watch } from 'kvds';
import { directory } from './directory.js';

const fails =
    (code, text = /./) =>
    (error) =>
        error instanceof KvdsError && error.code === code && text.test(error.message);

// Defines a test for each backend whose stores are in this process. A watch that waits forever
// fails it.
function onBoth(name, run, options = {}) {
    for (const backend of ['memory', 'disk']) {
        test(`${name} (${backend})`, { timeout: 120_000 }, async (t) => {
            const distributor = new Distributor(directory(t), options);
            t.after(() => distributor.release());
            const s = distributor.getOrCreate('store', backend);
            t.after(() => s.release());
            await run(s, backend);
        });
    }
}

function pending(watch) {
    const changes = [];
    for (let change; (change = watch.poll()) !== undefined; ) changes.push(change);
    return changes;
}

const short = ({ kind, key, value, end }) => {
    const other = value === undefined ? '' : `=${value}`;
    return `${kind} ${key}${other}${end === undefined ? '' : `..${end}`}`;
};

onBoth('every write is seen once and in order', async (s) => {
    s.set('before', '');
    const watch = s.watch();
    s.set('a', '1');
    s.set('empty', '');
    s.delete('a');
    s.batch().set('b', '2').set('c', '3', { ttl: 3_600_000 }).write();
    const [one, two] = [watch.poll(), watch.poll()];
    assert.deepEqual(one, {
        kind: 'set',
        key: Buffer.from('a'),
        value: Buffer.from('1'),
        sequence: one.sequence,
        last: true,
    });
    assert.ok(two.sequence > one.sequence && one.sequence > 0n);
    assert.equal(short(two), 'set empty=');
    assert.equal(short(watch.poll()), 'delete a');
    const batch = pending(watch);
    assert.equal(new Set(batch.map(({ sequence }) => sequence)).size, 1);
    assert.deepEqual(
        batch.map(({ key, last }) => [`${key}`, last]),
        [
            ['b', false],
            ['c', true],
        ],
    );
    assert.equal(watch.poll(), undefined);
    watch.close();
});

test('a deleted prefix is a range', (t) => {
    const distributor = new Distributor();
    t.after(() => distributor.release());
    const s = distributor.getOrCreate('store', 'memory');
    const [all, some] = [s.watch(), s.watch({ prefix: 'b' })];
    s.deletePrefix('b');
    s.deletePrefix('');
    assert.deepEqual(pending(all).map(short), ['deleteRange b..c', 'deleteRange ']);
    assert.deepEqual(pending(some).map(short), ['deleteRange b..c', 'deleteRange b..c']);
    s.release();
});

onBoth('a copy follows the store', async (s) => {
    s.setBatch(Array.from({ length: 500 }, (_, n) => [`${n}`.padStart(3, '0'), 'old']));
    const watch = s.watch();
    const copy = new Map([...s].map(([key, value]) => [`${key}`, `${value}`]));
    s.deletePrefix('00');
    s.set('000', 'new');
    s.deletePrefix('4');
    for (const { kind, key, value, end } of pending(watch)) {
        if (kind === 'set') copy.set(`${key}`, `${value}`);
        else if (kind === 'delete') copy.delete(`${key}`);
        else
            for (const each of copy.keys())
                if (each >= `${key}` && (!end || each < `${end}`)) copy.delete(each);
    }
    assert.deepEqual(
        [...copy].sort(),
        [...s].map(([key, value]) => [`${key}`, `${value}`]),
    );
    assert.equal(copy.size, 391);
    watch.close();
});

onBoth('a watch has a range', async (s) => {
    const watches = [{ prefix: 'b' }, { start: 'b', end: 'd' }].map((range) => s.watch(range));
    const scope = s.scope('b');
    watches.push(scope.watch());
    for (const key of ['a', 'b', 'bb', 'c', 'd']) s.set(key, '');
    const keys = watches.map((watch) => pending(watch).map(({ key }) => `${key}`));
    assert.deepEqual(keys, [
        ['b', 'bb'],
        ['b', 'bb', 'c'],
        ['', 'b'],
    ]);
    assert.throws(() => s.watch({ prefix: 1 }), TypeError);
    watches.forEach((watch) => watch.release());
    scope.release();
});

onBoth('a watch continues after an earlier one', async (s) => {
    const first = s.watch();
    s.set('a', '1');
    s.set('b', '2');
    const { sequence } = first.poll();
    const second = s.watch({ after: sequence });
    assert.deepEqual(pending(second).map(short), ['set b=2']);
    assert.throws(() => s.watch({ after: 0.5 }), RangeError);
    first.close();
    second.close();
    const third = s.watch();
    assert.throws(() => s.watch({ after: sequence }), fails('KVDS_EXPIRED'));
    third.close();
});

onBoth(
    'missed changes are an error once, and the watch continues',
    async (s) => {
        const watch = s.watch();
        const value = 'x'.repeat(100);
        for (let n = 0; n < 100; n++) s.set(`${n}`, value);
        const loop = async () => {
            for await (const change of watch) return short(change);
        };
        await assert.rejects(loop, fails('KVDS_EXPIRED'));
        assert.equal(watch.released, false);
        setTimeout(() => s.set('a', '1'), 20);
        assert.equal(await loop(), 'set a=1');
        assert.equal(watch.released, true, 'a loop that is left frees its watch');
    },
    { watchBufferBytes: 4096 },
);

onBoth('a loop waits without blocking, until it is left', async (s) => {
    const seen = [];
    const writer = (async () => {
        for (const key of ['a', 'b', 'c', 'd']) {
            await sleep(20);
            s.set(key, '');
        }
    })();
    for await (const { key } of s.watch()) if (seen.push(`${key}`) === 3) break;
    assert.deepEqual(seen, ['a', 'b', 'c']);
    await writer;
});

onBoth('an expired key is deleted', async (s) => {
    const watch = s.watch();
    s.set('a', '1', { ttl: 50 });
    const seen = [];
    for await (const change of watch) if (seen.push(short(change)) === 2) break;
    assert.deepEqual(seen, ['set a=1', 'delete a']);
});

onBoth('many watches wait at the same time, and calls of one wait for each other', async (s) => {
    const watches = Array.from({ length: 100 }, (_, n) => s.watch({ prefix: `${n}/` }));
    const next = watches.map((watch) => watch.next());
    const more = watches.map((watch) => watch.next());
    await sleep(20);
    for (const [n] of watches.entries()) s.batch().set(`${n}/1`, '').set(`${n}/2`, '').write();
    const keys = async (results) => (await Promise.all(results)).map(({ value }) => `${value.key}`);
    assert.deepEqual(await keys(next), Array.from(watches, (_, n) => `${n}/1`));
    assert.deepEqual(await keys(more), Array.from(watches, (_, n) => `${n}/2`));
    watches.forEach((watch) => watch.close());
});

onBoth('close ends a loop, and the end of the store fails it', async (s) => {
    const watch = s.watch();
    setTimeout(() => watch.close(), 20);
    for await (const _ of watch) assert.fail('there was no change');
    assert.equal(watch.released, true);
    assert.deepEqual(await watch.next(), { done: true, value: undefined });
    assert.throws(() => watch.poll(), fails('KVDS_CLOSED', /Watch was released/));
    watch.close();
    const others = [s.watch(), s.watch()];
    const waits = [others[0].next(), others[1].next()];
    others[1].close();
    assert.deepEqual(await waits[1], { done: true, value: undefined });
    setTimeout(() => s.close(), 20);
    await assert.rejects(waits[0], fails('KVDS_CLOSED', /the store was closed/));
    await assert.rejects(others[0].next(), fails('KVDS_CLOSED'));
    others[0].close();
});

onBoth('watches that come and go get no changes of each other', async (s) => {
    for (let n = 0; n < 50; n++) {
        const [left, kept] = [s.watch({ prefix: 'a' }), s.watch({ prefix: `${n}` })];
        const wait = [left.next(), kept.next()];
        await sleep(n % 3);
        s.set('a', '');
        left.close();
        const reused = s.watch({ prefix: `${n}` });
        const more = reused.next();
        s.set(`${n}`, '');
        assert.equal(short((await wait[1]).value), `set ${n}=`);
        assert.equal(short((await more).value), `set ${n}=`);
        await wait[0];
        kept.close();
        reused.close();
    }
});

onBoth('snapshots cannot be watched, and a watch is not made with new', async (s) => {
    const [snapshot, writer] = [s.snapshot(), s.view({ write: true })];
    assert.throws(() => snapshot.watch(), fails('KVDS_UNSUPPORTED'));
    assert.throws(() => writer.watch(), fails('KVDS_DENIED'));
    assert.throws(() => new Watch(1n), TypeError);
    snapshot.release();
    writer.release();
});

test('a program that waits for a change does not end, and process.exit ends it', () => {
    const program = `
        import { Distributor } from 'kvds';
        const store = new Distributor().getOrCreate('a', 'memory');
        const watch = store.watch();
        setTimeout(() => store.set('key', 'value'), 50).unref();
        setTimeout(() => {}, 10);
        const { value } = await watch.next();
        console.log(String(value.key));
        const open = store.watch();
        if (process.argv.length > 1) {
            setTimeout(() => process.exit(), 50);
            await open.next();
        }`;
    for (const args of [[], ['exit']]) {
        const { stdout, stderr, status } = spawnSync(
            process.execPath,
            ['--input-type=module', '-e', program, ...args],
            { cwd: new URL('.', import.meta.url), encoding: 'utf8', timeout: 60_000 },
        );
        assert.deepEqual({ stdout, stderr, status }, { stdout: 'key\n', stderr: '', status: 0 });
    }
});
