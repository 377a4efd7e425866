// The shared library: finds it, loads it and declares its functions as include/kvds.h does.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';

const SYSTEM = 'libkvds.so.0';

// The first of these that is there is loaded: the one that the user names, the one that the package brings along, the
// system's. A library that was named and does not load is an error: another one in its place would be a surprise.
function find() {
    const named = process.env.KVDS_LIBRARY;
    const own = ['libkvds.so.0', 'libkvds.so'].map((name) => fileURLToPath(new URL(`../${name}`, import.meta.url)));
    const path = named || own.find((file) => existsSync(file)) || SYSTEM;
    try {
        return { path, library: koffi.load(path) };
    } catch (cause) {
        const looked = named
            ? `$KVDS_LIBRARY names ${named}`
            : `looked for $KVDS_LIBRARY (not set), ${own.join(', ')} and the system's ${SYSTEM}`;
        throw new Error(`kvds: cannot load the library: ${looked}: ${cause.message}`, { cause });
    }
}

const { path, library } = find();

koffi.pointer('kvds_distributor', koffi.opaque());
koffi.pointer('kvds_options', koffi.opaque());
koffi.pointer('kvds_store', koffi.opaque());
koffi.pointer('kvds_batch', koffi.opaque());
koffi.pointer('kvds_cursor', koffi.opaque());
koffi.struct('kvds_bytes', { data: 'const void *', len: 'size_t' });
koffi.struct('kvds_value', { data: 'const void *', len: 'size_t', owner: 'void *' });
koffi.struct('kvds_pair', { key: 'const void *', key_len: 'size_t', value: 'const void *', value_len: 'size_t' });
koffi.struct('kvds_range', {
    prefix: 'const void *',
    prefix_len: 'size_t',
    start: 'const void *',
    start_len: 'size_t',
    end: 'const void *',
    end_len: 'size_t',
});
koffi.struct('kvds_stats', {
    keys: 'uint64_t',
    bytes: 'uint64_t',
    reads: 'uint64_t',
    writes: 'uint64_t',
    hits: 'uint64_t',
    disk_bytes: 'uint64_t',
    memory_bytes: 'uint64_t',
});
koffi.proto('int kvds_visit(uintptr_t user, const void *key, size_t key_len, const void *value, size_t value_len)');
koffi.proto('int kvds_store_visit(uintptr_t user, const char *id, int32_t backend, uint64_t tag, int64_t ref_count)');
koffi.proto('void kvds_death(uintptr_t user, uint64_t tag, const char *id, int32_t backend)');
koffi.proto('void kvds_user_data_free(uintptr_t user)');

const DECLARATIONS = [
    'const char *kvds_version()',
    'const char *kvds_status_name(int32_t status)',
    'const char *kvds_last_error()',
    'void kvds_value_release(_Inout_ kvds_value *value)',

    'kvds_options kvds_options_new()',
    'void kvds_options_free(kvds_options options)',
    'int32_t kvds_options_set(kvds_options options, const char *name, const char *value)',

    'int32_t kvds_distributor_open(const char *path, kvds_options options, _Out_ kvds_distributor *out)',
    'kvds_distributor kvds_distributor_retain(kvds_distributor distributor)',
    'int64_t kvds_distributor_release(kvds_distributor distributor)',
    'int64_t kvds_distributor_ref_count(kvds_distributor distributor)',
    'int32_t kvds_distributor_get_or_create(kvds_distributor distributor, const char *id, int32_t backend, _Out_ kvds_store *out)',
    'int32_t kvds_distributor_get(kvds_distributor distributor, const char *id, int32_t backend, _Out_ kvds_store *out)',
    'int32_t kvds_distributor_evict(kvds_distributor distributor, const char *id, int32_t backend)',
    'int32_t kvds_distributor_destroy_store(kvds_distributor distributor, const char *id)',
    'int32_t kvds_distributor_shutdown(kvds_distributor distributor)',
    'size_t kvds_distributor_store_count(kvds_distributor distributor)',
    'int32_t kvds_distributor_for_each(kvds_distributor distributor, kvds_store_visit *visit, uintptr_t user)',
    'int32_t kvds_distributor_observe(kvds_distributor distributor, kvds_death *death, uintptr_t user, ' +
        'kvds_user_data_free *free, _Out_ uint64_t *observer)',
    'int32_t kvds_distributor_unobserve(kvds_distributor distributor, uint64_t observer)',

    'int32_t kvds_store_open(const char *path, kvds_options options, _Out_ kvds_store *store)',
    'kvds_store kvds_store_retain(kvds_store store)',
    'int64_t kvds_store_release(kvds_store store)',
    'int64_t kvds_store_ref_count(kvds_store store)',
    'uint64_t kvds_store_tag(kvds_store store)',
    'const char *kvds_store_id(kvds_store store)',
    'int32_t kvds_store_backend(kvds_store store)',
    'int kvds_is_open(kvds_store store)',
    'int32_t kvds_close(kvds_store store)',
    'int32_t kvds_get_into(kvds_store store, const void *key, size_t key_len, void *buffer, size_t capacity, _Out_ size_t *len)',
    'int32_t kvds_exists(kvds_store store, const void *key, size_t key_len)',
    'int32_t kvds_multi_get(kvds_store store, const kvds_bytes *keys, size_t count, void *values, void *statuses)',
    'int32_t kvds_iterate(kvds_store store, const void *prefix, size_t prefix_len, kvds_visit *visit, uintptr_t user)',
    'int32_t kvds_set(kvds_store store, const void *key, size_t key_len, const void *value, size_t value_len)',
    'int32_t kvds_del(kvds_store store, const void *key, size_t key_len)',
    'int32_t kvds_set_batch(kvds_store store, const kvds_pair *pairs, size_t count)',
    'int32_t kvds_delete_batch(kvds_store store, const kvds_bytes *keys, size_t count)',
    'int32_t kvds_set_nx(kvds_store store, const void *key, size_t key_len, const void *value, size_t value_len)',
    'int32_t kvds_compare_and_swap(kvds_store store, const void *key, size_t key_len, ' +
        'const void *expected, size_t expected_len, const void *value, size_t value_len)',
    'int32_t kvds_compare_and_delete(kvds_store store, const void *key, size_t key_len, const void *expected, size_t expected_len)',
    'int32_t kvds_add(kvds_store store, const void *key, size_t key_len, int64_t delta, _Out_ int64_t *result)',
    'int32_t kvds_delete_prefix(kvds_store store, const void *prefix, size_t prefix_len)',

    'kvds_batch kvds_batch_new()',
    'void kvds_batch_free(kvds_batch batch)',
    'int32_t kvds_batch_set(kvds_batch batch, const void *key, size_t key_len, const void *value, size_t value_len)',
    'int32_t kvds_batch_del(kvds_batch batch, const void *key, size_t key_len)',
    'int32_t kvds_batch_expect(kvds_batch batch, const void *key, size_t key_len, const void *value, size_t value_len)',
    'int32_t kvds_batch_expect_absent(kvds_batch batch, const void *key, size_t key_len)',
    'int32_t kvds_write(kvds_store store, kvds_batch batch)',

    'int32_t kvds_cursor_new(kvds_store store, const kvds_range *range, _Out_ kvds_cursor *out)',
    'void kvds_cursor_free(kvds_cursor cursor)',
    'int32_t kvds_cursor_first(kvds_cursor cursor)',
    'int32_t kvds_cursor_last(kvds_cursor cursor)',
    'int32_t kvds_cursor_seek(kvds_cursor cursor, const void *key, size_t key_len)',
    'int32_t kvds_cursor_next(kvds_cursor cursor)',
    'int32_t kvds_cursor_prev(kvds_cursor cursor)',
    'int kvds_cursor_valid(kvds_cursor cursor)',
    'int32_t kvds_cursor_key(kvds_cursor cursor, _Out_ kvds_bytes *key)',
    'int32_t kvds_cursor_value(kvds_cursor cursor, _Out_ kvds_bytes *value)',

    'int32_t kvds_store_view(kvds_store store, int rights, _Out_ kvds_store *out)',
    'int32_t kvds_store_scope(kvds_store store, const void *prefix, size_t prefix_len, _Out_ kvds_store *out)',
    'int32_t kvds_store_snapshot(kvds_store store, _Out_ kvds_store *out)',
    'int32_t kvds_sync(kvds_store store)',
    'int32_t kvds_compact(kvds_store store)',
    'int32_t kvds_refresh(kvds_store store)',
    'int32_t kvds_checkpoint(kvds_store store, const char *path)',
    'int32_t kvds_store_stats(kvds_store store, _Out_ kvds_stats *stats, size_t size)',
    'int32_t kvds_store_property(kvds_store store, const char *name, _Out_ kvds_value *out)',
];

/** The functions of the library, by their names without `kvds_`. Handles are BigInts. */
export const native = Object.fromEntries(
    DECLARATIONS.map((declaration) => [/kvds_(\w+)\(/.exec(declaration)[1], library.func(declaration)]),
);

/** Where the library was loaded from. */
export { path };

/** The size of a struct in bytes. */
export const sizeof = koffi.sizeof;

/** A C function that calls `callback`, for as long as the process lives. */
export const register = koffi.register;

/** The version of the library that is running, such as "0.1.0". */
export function version() {
    return native.version();
}
