// The script that every binding runs: ../../conformance.json, which README.md beside it describes.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { Batch, Distributor, KvdsError } from 'kvds';
import { directory } from './directory.js';

const { steps } = JSON.parse(readFileSync(new URL('../../conformance.json', import.meta.url)));

// Bytes of the script: a string whose characters are bytes, or such a string and a number of
// repetitions.
const bytes = (given) =>
    Buffer.from(typeof given === 'string' ? given : given[0].repeat(given[1]), 'latin1');
const pairs = (given) => given.map((pair) => pair.map(bytes));

const no = (status) => (answer) => (answer ? 'KVDS_OK' : status);
const absent = no('KVDS_NOT_FOUND');
const compared = (answer) =>
    answer === undefined ? 'KVDS_NOT_FOUND' : answer ? 'KVDS_OK' : 'KVDS_MISMATCH';
const HOUR = 3_600_000;
const timed = (left) => ({
    status: absent(left !== undefined),
    number: left === Infinity ? -1 : Math.round(left / HOUR),
});
const OPERATIONS = { set: 'set', del: 'delete', expect: 'expect', expect_absent: 'expectAbsent' };

function iterate(store, { prefix, stop_after: last }) {
    const shown = [];
    const whole = store.forEach(bytes(prefix), (key, value) => shown.push([key, value]) !== last);
    const scanned = [];
    for (const pair of store.scan({ prefix: bytes(prefix) })) {
        if (scanned.push(pair) === last) break;
    }
    assert.deepEqual(scanned, shown, 'scan shows what forEach shows');
    return { status: whole ? 'KVDS_OK' : 'KVDS_STOPPED', pairs: shown };
}

function multiGet(store, keys) {
    const values = store.getMany(keys);
    return {
        pairs: keys.map((key, i) => [key, values[i]]).filter(([, value]) => value !== undefined),
    };
}

function moved(cursor, stands) {
    assert.equal(cursor.valid, stands);
    return stands ? { pair: [cursor.key, cursor.value] } : { status: 'KVDS_NOT_FOUND' };
}

function batch(operations) {
    return operations.reduce(
        (made, [name, ...parts]) => made[OPERATIONS[name]](...parts.map(bytes)),
        new Batch(),
    );
}

// Each makes the call of a step and returns its result: members of the step, or the source of its
// status.
const CALLS = {
    distributor_store_count: ({ distributor }) => ({ number: distributor.storeCount }),
    distributor_get: ({ distributor, backend }, { id }) => ({
        made: distributor.get(id, backend) ?? null,
    }),
    distributor_get_or_create: ({ distributor, backend }, { id }) => ({
        made: distributor.getOrCreate(id, backend),
    }),
    distributor_shutdown: ({ distributor }) => distributor.shutdown(),
    store_id: ({ store }) => ({ value: Buffer.from(store.id) }),
    store_backend: ({ store, backend }) => assert.equal(store.backend, backend),
    store_tag: ({ store }) => ({ number: Number(store.tag) }),
    store_ref_count: ({ store }) => ({ number: store.refCount }),
    store_retain: ({ store }) => ({ made: store.retain() }),
    store_release: ({ store }) => ({ number: store.release() }),
    store_view: ({ store }, { rights }) => ({ made: store.view({ [rights]: true }) }),
    store_scope: ({ store }, { prefix }) => ({ made: store.scope(bytes(prefix)) }),
    store_snapshot: ({ store }) => ({ made: store.snapshot() }),
    store_property: ({ store }, { property }) => ({
        status: absent(store.property(property) !== undefined),
    }),
    is_open: ({ store }) => ({ number: Number(store.isOpen) }),
    close: ({ store }) => store.close(),
    sync: ({ store }) => store.sync(),
    compact: ({ store }) => store.compact(),
    refresh: ({ store }) => store.refresh(),
    get: ({ store }, { key }) => {
        const value = store.get(bytes(key));
        return { status: absent(value !== undefined), value };
    },
    exists: ({ store }, { key }) => ({ status: absent(store.has(bytes(key))) }),
    multi_get: ({ store }, { keys }) => multiGet(store, keys.map(bytes)),
    iterate: ({ store }, step) => iterate(store, step),
    set: ({ store }, { key, value }) => store.set(bytes(key), bytes(value)),
    set_ttl: ({ store }, { key, value, hours }) =>
        store.set(bytes(key), bytes(value), { ttl: hours * HOUR }),
    ttl: ({ store }, { key }) => timed(store.ttl(bytes(key))),
    del: ({ store }, { key }) => ({ status: absent(store.delete(bytes(key))) }),
    set_nx: ({ store }, { key, value }) => ({
        status: no('KVDS_EXISTS')(store.setNx(bytes(key), bytes(value))),
    }),
    compare_and_swap: ({ store }, { key, expected, value }) => ({
        status: compared(store.compareAndSwap(bytes(key), bytes(expected), bytes(value))),
    }),
    compare_and_delete: ({ store }, { key, expected }) => ({
        status: compared(store.compareAndDelete(bytes(key), bytes(expected))),
    }),
    add: ({ store }, { key, delta }) => ({
        value: Buffer.from(String(store.add(bytes(key), BigInt(delta)))),
    }),
    set_batch: ({ store }, step) => store.setBatch(pairs(step.pairs)),
    delete_batch: ({ store }, { keys }) => store.deleteBatch(keys.map(bytes)),
    delete_prefix: ({ store }, { prefix }) => store.deletePrefix(bytes(prefix)),
    write: ({ store }, step) => ({ status: no('KVDS_MISMATCH')(store.write(batch(step.batch))) }),
    cursor_new: ({ store }, { prefix = '', start = '', end = '' }) => ({
        made: store.cursor({ prefix: bytes(prefix), start: bytes(start), end: bytes(end) }),
    }),
    cursor_ttl: ({ cursor }) => timed(cursor.ttl()),
    cursor_free: ({ cursor }) => void cursor.release(),
    cursor_first: ({ cursor }) => moved(cursor, cursor.first()),
    cursor_last: ({ cursor }) => moved(cursor, cursor.last()),
    cursor_next: ({ cursor }) => moved(cursor, cursor.next()),
    cursor_prev: ({ cursor }) => moved(cursor, cursor.prev()),
    cursor_seek: ({ cursor }, { key }) => moved(cursor, cursor.seek(bytes(key))),
};

function answer(call, context, step) {
    try {
        const given = call(context, step);
        return { status: given?.made === null ? 'KVDS_NOT_FOUND' : 'KVDS_OK', ...given };
    } catch (error) {
        if (!(error instanceof KvdsError)) throw error;
        assert.notEqual(error.message, '', 'a failure has a text');
        return { status: error.code };
    }
}

const server = process.env.KVDS_TEST_CLUSTER?.replace(/\/+$/, '');

for (const backend of ['memory', 'disk', 'cluster']) {
    const skip = backend === 'cluster' && !server && 'KVDS_TEST_CLUSTER is not set';
    test(`conformance on ${backend}`, { skip }, (t) => {
        // A namespace of its own, as the script expects no store to exist.
        const cluster = backend === 'cluster' ? `${server}/node-${randomUUID()}` : undefined;
        const distributor = new Distributor(directory(t), { cluster });
        t.after(() => distributor.release());
        const named = new Map();
        let section;
        steps.forEach((step, i) => {
            if (step.op === 'section') {
                section = step.name;
                return;
            }
            const where = `step ${i} (${section}): ${step.op}`;
            const call = CALLS[step.op];
            assert.ok(call, `${where}: no such operation is known`);
            const context = {
                distributor,
                backend,
                store: named.get(step.store),
                cursor: named.get(step.cursor),
            };
            const got = answer(call, context, step);
            if (step.as !== undefined) named.set(step.as, got.made);
            assert.equal(got.status, step.status ?? 'KVDS_OK', where);
            if (step.number !== undefined) assert.equal(got.number, step.number, where);
            if (step.pair !== undefined) assert.deepEqual(got.pair, step.pair.map(bytes), where);
            // The value and the pairs of a call that writes are its arguments.
            if (step.value !== undefined && 'value' in got)
                assert.deepEqual(got.value, bytes(step.value), where);
            if (step.pairs !== undefined && 'pairs' in got)
                assert.deepEqual(got.pairs, pairs(step.pairs), where);
        });
    });
}
