import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import test from 'node:test';
import { KvdsError, salvage, salvageAsync, Store, verify, verifyAsync } from 'kvds';
import { directory } from './directory.js';

const KEYS = Array.from({ length: 2000 }, (_, i) => `key${String(i).padStart(4, '0')}`);

const fails =
    (code, text = /./) =>
    (error) =>
        error instanceof KvdsError && error.code === code && text.test(error.message);

// Returns the paths of a closed disk store and of its table file. Its first key expires.
function wholeStore(t) {
    const path = `${directory(t)}/store`;
    const store = Store.open(path);
    store.setBatch(KEYS.map((key) => [key, `value of ${key}`]));
    store.expire(KEYS[0], 3_600_000);
    store.compact();
    assert.deepEqual(verify(path), []);
    store.release();
    const tables = readdirSync(path)
        .filter((name) => name.endsWith('.sst'))
        .map((name) => `${path}/${name}`)
        .sort((a, b) => statSync(b).size - statSync(a).size);
    return { path, table: tables[0], target: `${path}-new/target` };
}

// The same with a changed byte in the table file.
function damagedStore(t) {
    const made = wholeStore(t);
    const content = readFileSync(made.table);
    content[content.length >> 1] ^= 1;
    writeFileSync(made.table, content);
    return made;
}

test('a whole store has no damage', (t) => {
    const { path } = wholeStore(t);
    const calls = [];
    assert.deepEqual(
        verify(path, { maxOpenFiles: 100 }, (...call) => void calls.push(call)),
        [],
    );
    assert.ok(calls.length > 0);
    for (const [damage, done, total] of calls) assert.ok(damage === undefined && done <= total);
});

test('what can be read is saved', (t) => {
    const { path, table, target } = damagedStore(t);
    const seen = [];
    const found = verify(path, undefined, (damage) => {
        if (damage) seen.push(damage);
    });
    const [{ file, problem, loss, first, last }] = found;
    assert.deepEqual(seen, found);
    assert.equal(found.length, 1);
    assert.deepEqual([file, loss], [table, 'pairs']);
    assert.notEqual(problem, '');
    assert.ok(first.compare(last) < 0);

    const saved = salvage(path, target);
    assert.deepEqual(saved.damages, found);
    assert.equal(saved.ttlsLost, 0);
    assert.ok(saved.lost >= 0 && saved.pairs > 0 && saved.pairs < KEYS.length);
    const store = Store.open(target);
    t.after(() => store.release());
    assert.equal([...store].length, saved.pairs);
    for (const key of KEYS) {
        if (store.has(key)) assert.equal(store.getString(key), `value of ${key}`);
        else assert.ok(String(first) <= key && key <= String(last));
    }
    assert.ok(store.ttl(KEYS[0]) <= 3_600_000);
    assert.equal(store.ttl(KEYS.at(-1)), Infinity);
    assert.throws(() => salvage(target, `${target}-new`), fails('KVDS_LOCKED', new RegExp(target)));
});

test('the callback stops both', (t) => {
    const { path, target } = damagedStore(t);
    let calls = 0;
    const stop = () => ++calls < 0;
    assert.deepEqual(verify(path, {}, stop), []);
    assert.equal(salvage(path, target, {}, stop), undefined);
    assert.equal(calls, 2);
    assert.equal(existsSync(target), false);
    assert.equal(verify(path, {}, (damage) => damage === undefined).length, 1);
});

test('an exception of the callback ends the call and is thrown again', (t) => {
    const { path, target } = damagedStore(t);
    const mine = new Error('mine');
    let calls = 0;
    const fail = () => {
        calls++;
        throw mine;
    };
    assert.throws(() => verify(path, {}, fail), mine);
    assert.throws(() => salvage(path, target, {}, fail), mine);
    assert.equal(calls, 2);
    assert.equal(existsSync(target), false);
});

test('both have the same results in the background', async (t) => {
    const { path, target } = damagedStore(t);
    const found = await verifyAsync(path, { maxOpenFiles: 100 });
    assert.deepEqual(found, verify(path));
    const { pairs, damages } = await salvageAsync(path, target);
    assert.deepEqual(damages, found);
    assert.equal(salvage(path, `${target}2`).pairs, pairs);
    await assert.rejects(verifyAsync(`${path}2`), fails('KVDS_NOT_FOUND', /store2/));
    await assert.rejects(salvageAsync(path, target), fails('KVDS_INVALID_ARGUMENT', /exists/));
});

test('wrong calls throw', (t) => {
    const { path, target } = wholeStore(t);
    assert.throws(() => verify(target), fails('KVDS_NOT_FOUND', /there is no store in ".*target"/));
    assert.throws(() => salvage(target, target), fails('KVDS_NOT_FOUND', /target/));
    assert.throws(() => salvage(path, path), fails('KVDS_INVALID_ARGUMENT', /exists/));
    assert.throws(() => verify('a\0b'), fails('KVDS_INVALID_ARGUMENT', /NUL/));
    assert.throws(
        () => verify(path, { durabilty: 'sync' }),
        fails('KVDS_INVALID_ARGUMENT', /durabilty/),
    );
    assert.throws(() => verify(path, {}, 1), TypeError);
    assert.throws(() => salvage(path), TypeError);
});
