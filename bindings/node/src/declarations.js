// Generated from abi/api.json by `cargo xtask declarations`. Do not edit.

// The constants of kvds.h, without KVDS_.
export const VERSION_MAJOR = 0;
export const VERSION_MINOR = 1;
export const VERSION_PATCH = 0;
export const OK = 0;
export const NOT_FOUND = 1;
export const EXISTS = 2;
export const MISMATCH = 3;
export const STOPPED = 4;
export const TRUNCATED = 5;
export const INVALID_ARGUMENT = -1;
export const CLOSED = -2;
export const DENIED = -3;
export const LOCKED = -4;
export const IO = -5;
export const NO_SPACE = -6;
export const CORRUPTION = -7;
export const NO_MEMORY = -8;
export const UNSUPPORTED = -9;
export const BUSY = -10;
export const UNKNOWN_OUTCOME = -11;
export const FORKED = -12;
export const INTERNAL = -13;
export const EXPIRED = -14;
export const MAX_KEY_LEN = 65536;
export const MAX_VALUE_LEN = 1073741824;
export const DURABILITY_PROCESS = 0;
export const DURABILITY_SYNC = 1;
export const DURABILITY_NONE = 2;
export const COMPRESSION_NONE = 0;
export const COMPRESSION_LZ4 = 1;
export const COMPRESSION_ZSTD = 2;
export const MEMORY = 0;
export const DISK = 1;
export const CLUSTER = 2;
export const MAX_TTL_MS = 3155760000000;
export const CHANGE_SET = 0;
export const CHANGE_DELETE = 1;
export const CHANGE_DELETE_RANGE = 2;
export const VIEW_READ = 1;
export const VIEW_WRITE = 2;
export const LOSS_NONE = 0;
export const LOSS_PAIRS = 1;
export const LOSS_TTLS = 2;
export const LOG_ERROR = 0;
export const LOG_WARN = 1;
export const LOG_INFO = 2;
export const LOG_DEBUG = 3;

/** Declares the types of kvds.h. */
export function declareTypes(koffi) {
    koffi.alias('kvds_status', 'int32_t');
    koffi.struct('kvds_bytes', {
        data: 'const void *',
        len: 'size_t',
    });
    koffi.struct('kvds_pair', {
        key: 'const void *',
        key_len: 'size_t',
        value: 'const void *',
        value_len: 'size_t',
    });
    koffi.struct('kvds_range', {
        prefix: 'const void *',
        prefix_len: 'size_t',
        start: 'const void *',
        start_len: 'size_t',
        end: 'const void *',
        end_len: 'size_t',
    });
    koffi.struct('kvds_value', {
        data: 'const void *',
        len: 'size_t',
        owner: 'void *',
    });
    koffi.opaque('kvds_options');
    koffi.alias('kvds_durability', 'int32_t');
    koffi.alias('kvds_compression', 'int32_t');
    koffi.opaque('kvds_distributor');
    koffi.opaque('kvds_store');
    koffi.alias('kvds_backend', 'int32_t');
    koffi.proto(`
        int kvds_store_visit(uintptr_t user_data, const char *id, kvds_backend backend,
            uint64_t tag, int64_t ref_count)`);
    koffi.proto(`
        int kvds_visit(uintptr_t user_data, const void *key, size_t key_len, const void *value,
            size_t value_len)`);
    koffi.opaque('kvds_batch');
    koffi.opaque('kvds_cursor');
    koffi.struct('kvds_change', {
        kind: 'int',
        last: 'int',
        sequence: 'uint64_t',
        key: 'const void *',
        key_len: 'size_t',
        value: 'const void *',
        value_len: 'size_t',
    });
    koffi.opaque('kvds_watch');
    koffi.struct('kvds_damage', {
        file: 'const char *',
        problem: 'const char *',
        loss: 'int',
        first: 'const void *',
        first_len: 'size_t',
        last: 'const void *',
        last_len: 'size_t',
    });
    koffi.proto(`
        int kvds_damage_visit(uintptr_t user_data, const kvds_damage *damage, uint64_t bytes_done,
            uint64_t bytes_total)`);
    koffi.struct('kvds_salvaged', {
        pairs: 'uint64_t',
        lost: 'uint64_t',
        ttls_lost: 'uint64_t',
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
    koffi.alias('kvds_log_level', 'int32_t');
    koffi.proto(`
        void kvds_log(uintptr_t user_data, kvds_log_level level, const char *text)`);
    koffi.proto(`
        void kvds_death(uintptr_t user_data, uint64_t tag, const char *id, kvds_backend backend)`);
    koffi.proto(`
        void kvds_user_data_free(uintptr_t user_data)`);
}

/** The functions of kvds.h. User data is a number. */
export const FUNCTIONS = `
const char *kvds_version(void);

const char *kvds_status_name(kvds_status status);
const char *kvds_last_error(void);

void kvds_value_release(_Inout_ kvds_value *value);

kvds_options *kvds_options_new(void);
void kvds_options_free(kvds_options *options);
kvds_status kvds_options_set(kvds_options *options, const char *name, const char *value);
kvds_status kvds_options_set_durability(kvds_options *options, kvds_durability durability);
kvds_status kvds_options_set_block_cache_bytes(kvds_options *options, uint64_t bytes);
kvds_status kvds_options_set_write_buffer_bytes(kvds_options *options, uint64_t bytes);
kvds_status kvds_options_set_memory_limit_bytes(kvds_options *options, uint64_t bytes);
kvds_status kvds_options_set_compression(kvds_options *options, kvds_compression compression);
kvds_status kvds_options_set_read_only(kvds_options *options, int read_only);
kvds_status kvds_options_set_create_if_missing(kvds_options *options, int create);
kvds_status kvds_options_set_keep_stores(kvds_options *options, int keep);
kvds_status kvds_options_set_max_open_files(kvds_options *options, int64_t files);
kvds_status kvds_options_set_watch_buffer_bytes(kvds_options *options, uint64_t bytes);
kvds_status kvds_options_set_cluster(kvds_options *options, const char *url);
kvds_status kvds_options_set_cluster_tls(kvds_options *options, const char *ca, const char *cert,
    const char *key);
kvds_status kvds_options_set_cluster_login(kvds_options *options, const char *user,
    const char *password);
kvds_status kvds_options_set_cluster_timeout_ms(kvds_options *options, uint64_t milliseconds);

kvds_distributor *kvds_distributor_new(const char *base_path);
kvds_status kvds_distributor_open(const char *base_path, const kvds_options *options,
    _Out_ kvds_distributor **out);
kvds_distributor *kvds_distributor_retain(kvds_distributor *distributor);
int64_t kvds_distributor_release(kvds_distributor *distributor);
int64_t kvds_distributor_ref_count(const kvds_distributor *distributor);
kvds_status kvds_distributor_get_or_create(kvds_distributor *distributor, const char *id,
    kvds_backend backend, _Out_ kvds_store **out);
kvds_status kvds_distributor_get(kvds_distributor *distributor, const char *id,
    kvds_backend backend, _Out_ kvds_store **out);
kvds_status kvds_distributor_evict(kvds_distributor *distributor, const char *id,
    kvds_backend backend);
kvds_status kvds_distributor_destroy(kvds_distributor *distributor, const char *id,
    kvds_backend backend);
kvds_status kvds_distributor_destroy_store(kvds_distributor *distributor, const char *id);
kvds_status kvds_distributor_shutdown(kvds_distributor *distributor);
size_t kvds_distributor_store_count(const kvds_distributor *distributor);
kvds_status kvds_distributor_for_each(const kvds_distributor *distributor,
    kvds_store_visit *callback, uintptr_t user_data);

kvds_status kvds_store_open(const char *path, const kvds_options *options,
    _Out_ kvds_store **store);
kvds_store *kvds_store_retain(kvds_store *store);
int64_t kvds_store_release(kvds_store *store);
int64_t kvds_store_ref_count(const kvds_store *store);
uint64_t kvds_store_tag(const kvds_store *store);
const char *kvds_store_id(const kvds_store *store);
kvds_backend kvds_store_backend(const kvds_store *store);
int kvds_is_open(const kvds_store *store);
kvds_status kvds_close(kvds_store *store);

kvds_status kvds_get(const kvds_store *store, const void *key, size_t key_len,
    _Out_ kvds_value *out);
kvds_status kvds_get_into(const kvds_store *store, const void *key, size_t key_len, void *buffer,
    size_t capacity, _Out_ size_t *len);
kvds_status kvds_exists(const kvds_store *store, const void *key, size_t key_len);
kvds_status kvds_multi_get(const kvds_store *store, const kvds_bytes *keys, size_t count,
    _Out_ kvds_value *values, _Out_ kvds_status *statuses);
kvds_status kvds_iterate(const kvds_store *store, const void *prefix, size_t prefix_len,
    kvds_visit *callback, uintptr_t user_data);

kvds_status kvds_set(kvds_store *store, const void *key, size_t key_len, const void *value,
    size_t value_len);
kvds_status kvds_del(kvds_store *store, const void *key, size_t key_len);
kvds_status kvds_set_batch(kvds_store *store, const kvds_pair *pairs, size_t count);
kvds_status kvds_delete_batch(kvds_store *store, const kvds_bytes *keys, size_t count);
kvds_status kvds_set_nx(kvds_store *store, const void *key, size_t key_len, const void *value,
    size_t value_len);
kvds_status kvds_compare_and_swap(kvds_store *store, const void *key, size_t key_len,
    const void *expected, size_t expected_len, const void *value, size_t value_len);
kvds_status kvds_compare_and_delete(kvds_store *store, const void *key, size_t key_len,
    const void *expected, size_t expected_len);
kvds_status kvds_add(kvds_store *store, const void *key, size_t key_len, int64_t delta,
    _Out_ int64_t *result);
kvds_status kvds_delete_prefix(kvds_store *store, const void *prefix, size_t prefix_len);

kvds_batch *kvds_batch_new(void);
void kvds_batch_free(kvds_batch *batch);
void kvds_batch_clear(kvds_batch *batch);
size_t kvds_batch_count(const kvds_batch *batch);
kvds_status kvds_batch_set(kvds_batch *batch, const void *key, size_t key_len, const void *value,
    size_t value_len);
kvds_status kvds_batch_del(kvds_batch *batch, const void *key, size_t key_len);
kvds_status kvds_batch_expect(kvds_batch *batch, const void *key, size_t key_len, const void *value,
    size_t value_len);
kvds_status kvds_batch_expect_absent(kvds_batch *batch, const void *key, size_t key_len);
kvds_status kvds_write(kvds_store *store, const kvds_batch *batch);

kvds_status kvds_set_ttl(kvds_store *store, const void *key, size_t key_len, const void *value,
    size_t value_len, uint64_t ttl_ms);
kvds_status kvds_set_nx_ttl(kvds_store *store, const void *key, size_t key_len, const void *value,
    size_t value_len, uint64_t ttl_ms);
kvds_status kvds_expire(kvds_store *store, const void *key, size_t key_len, uint64_t ttl_ms);
kvds_status kvds_batch_set_ttl(kvds_batch *batch, const void *key, size_t key_len,
    const void *value, size_t value_len, uint64_t ttl_ms);
kvds_status kvds_batch_expire(kvds_batch *batch, const void *key, size_t key_len, uint64_t ttl_ms);
kvds_status kvds_ttl(const kvds_store *store, const void *key, size_t key_len,
    _Out_ int64_t *left_ms);

kvds_status kvds_cursor_new(const kvds_store *store, const kvds_range *range,
    _Out_ kvds_cursor **out);
void kvds_cursor_free(kvds_cursor *cursor);
kvds_status kvds_cursor_first(kvds_cursor *cursor);
kvds_status kvds_cursor_last(kvds_cursor *cursor);
kvds_status kvds_cursor_seek(kvds_cursor *cursor, const void *key, size_t key_len);
kvds_status kvds_cursor_next(kvds_cursor *cursor);
kvds_status kvds_cursor_prev(kvds_cursor *cursor);
int kvds_cursor_valid(const kvds_cursor *cursor);
kvds_status kvds_cursor_key(const kvds_cursor *cursor, _Out_ kvds_bytes *key);
kvds_status kvds_cursor_value(const kvds_cursor *cursor, _Out_ kvds_bytes *value);
kvds_status kvds_cursor_ttl(kvds_cursor *cursor, _Out_ int64_t *left_ms);

kvds_status kvds_watch_new(const kvds_store *store, const kvds_range *range,
    _Out_ kvds_watch **out);
kvds_status kvds_watch_from(const kvds_store *store, const kvds_range *range, uint64_t sequence,
    _Out_ kvds_watch **out);
kvds_status kvds_watch_next(kvds_watch *watch, int64_t timeout_ms, _Out_ kvds_change *change);
int kvds_watch_fd(kvds_watch *watch);
void kvds_watch_free(kvds_watch *watch);

kvds_status kvds_store_view(kvds_store *store, int rights, _Out_ kvds_store **out);
kvds_status kvds_store_scope(kvds_store *store, const void *prefix, size_t prefix_len,
    _Out_ kvds_store **out);
kvds_status kvds_store_snapshot(const kvds_store *store, _Out_ kvds_store **out);

kvds_status kvds_sync(kvds_store *store);
kvds_status kvds_compact(kvds_store *store);
kvds_status kvds_refresh(kvds_store *store);
kvds_status kvds_checkpoint(const kvds_store *store, const char *path);

kvds_status kvds_verify(const char *path, const kvds_options *options, kvds_damage_visit *callback,
    uintptr_t user_data);
kvds_status kvds_salvage(const char *path, const char *target, const kvds_options *options,
    kvds_damage_visit *callback, uintptr_t user_data, _Out_ kvds_salvaged *salvaged);

kvds_status kvds_store_stats(const kvds_store *store, _Out_ kvds_stats *stats, size_t size);
kvds_status kvds_store_property(const kvds_store *store, const char *name, _Out_ kvds_value *out);
kvds_status kvds_set_log_callback(kvds_log_level level, kvds_log *callback, uintptr_t user_data);

kvds_status kvds_distributor_observe(kvds_distributor *distributor, kvds_death *on_death,
    uintptr_t user_data, kvds_user_data_free *user_data_free, _Out_ uint64_t *observer_id);
kvds_status kvds_distributor_unobserve(kvds_distributor *distributor, uint64_t observer_id);
`;
