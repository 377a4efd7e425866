// Compiled with tsc --strict and never run: correct uses of every type, and lines that must not
// compile.

import { Batch, Cursor, Distributor, KvdsError, Store, version, Watch } from '../index.js';
import { salvage, salvageAsync, verify, verifyAsync } from '../index.js';
import type { Change, Damage, Death, Options, ScanRange, Stats, StoreInfo } from '../index.js';

export async function use(): Promise<void> {
    const options: Options = {
        durability: 'sync',
        blockCacheBytes: '32M',
        memoryLimitBytes: 1n,
        readOnly: false,
        cluster: 'etcd://localhost',
        clusterCa: 'ca.pem',
        clusterTimeoutMs: 5000,
        watchBufferBytes: '1M',
    };
    using distributor = new Distributor('data', options);
    using store: Store = distributor.getOrCreate('users', 'disk');
    using maybe: Store | undefined = distributor.get('users', 'memory');
    using observer = distributor.observe((death: Death) =>
        console.log(death.id, death.backend, death.tag),
    );
    const text: string = version();
    const destroyed: boolean =
        distributor.destroy('a', 'cluster') || (await distributor.destroyAsync('a', 'disk'));

    store.set('key', new Uint8Array([1]));
    const value: Buffer | undefined = store.get(Buffer.from('key'));
    const many: (Buffer | undefined)[] = store.getMany(new Set(['a', 'b']));
    const swapped: boolean | undefined = store.compareAndSwap('a', 'b', 'c');
    const sum: bigint = store.add('n', 1);
    store.setBatch(new Map([['a', 'b']]));
    store.setBatch(Object.entries({ a: 'b' }));
    const range: ScanRange = { prefix: 'a', start: 'b', end: 'c', reverse: true };
    for (const [key, value] of store.scan(range)) console.log(key.length, value.length);
    for (const key of store.keys()) console.log(key.toString('hex'));
    for (const [key] of store) console.log(key);
    const done: boolean = store.forEach('', (key, value) => key.equals(value));
    const batch: Batch = store.batch().set('a', 'b').delete('c').expect('d', 'e').expectAbsent('f');
    const written: boolean = store.write(new Batch().clear()) && (await batch.writeAsync());
    using cursor: Cursor = store.cursor({ start: 'a' });
    const moved: boolean = cursor.seek('b') && cursor.valid;
    const timed: number | undefined = cursor.ttl();
    using view: Store = store.view({ read: true }).scope('a').snapshot();
    const stats: Stats = store.stats();
    const stores: StoreInfo[] = distributor.stores();
    store.set('key', 'value', { ttl: 1000 });
    const locked: boolean = await store.setNxAsync('lock', 'me', { ttl: 1000 });
    const renewed: boolean = store.batch().expire('lock', Infinity).write() && store.expire('a', 1);
    const left: number | undefined = (await store.ttlAsync('lock')) ?? store.ttl('lock');
    using watch: Watch = store.watch({ prefix: 'a', after: 5n });
    for await (const change of watch) {
        if (change.kind === 'set') console.log(change.value.length, change.key, change.last);
        else if (change.kind === 'deleteRange') console.log(change.end?.length);
    }
    const change: Change | undefined = watch.poll();
    const later: Buffer | undefined = await store.getAsync('key');
    const opened: Store = await distributor.getOrCreateAsync('users', 'disk');
    const damages: Damage[] = verify('data/users', {}, (damage, done, total) => {
        console.log(damage?.file, damage?.problem, damage?.first?.length, done / total);
        return damage?.loss !== 'pairs';
    });
    const saved: number | undefined = salvage('data/users', 'saved', options, () => {})?.lost;
    const again: number = (await salvageAsync('data/users', 'again')).ttlsLost;
    damages.push(...(await verifyAsync('data/users', options)));
    try {
        await store.checkpointAsync('copy');
    } catch (error) {
        if (error instanceof KvdsError && error.code === 'KVDS_NO_SPACE')
            console.log(error.status.toFixed());
    }
    console.log(
        text,
        maybe,
        observer,
        value,
        many,
        swapped,
        sum,
        done,
        written,
        moved,
        timed,
        view,
        stats,
        stores,
        later,
        locked,
        renewed,
        left,
        change,
        opened,
        saved,
        again,
    );

    // @ts-expect-error A backend is one of two.
    distributor.getOrCreate('users', 'tape');
    // @ts-expect-error There is no such option.
    new Distributor('data', { durabilty: 'sync' });
    // @ts-expect-error A call in the background takes no callback.
    await verifyAsync('data/users', {}, () => true);
    // @ts-expect-error A value is no number.
    store.set('key', 1);
    // @ts-expect-error Stores come from distributors.
    new Store();
    // @ts-expect-error Only a change that sets has a value.
    console.log(change?.value);
    // @ts-expect-error A value may be absent.
    store.get('key').length;
    // @ts-expect-error No status has this name.
    console.log((null as unknown as KvdsError).code === 'KVDS_LOCKD');
}
