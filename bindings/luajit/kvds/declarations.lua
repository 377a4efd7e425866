-- Generated from abi/api.json by `cargo xtask declarations`. Do not edit.

local ffi = require 'ffi'

-- A type can be declared only once, but this module may be loaded again.
if not pcall(ffi.typeof, 'kvds_value') then ffi.cdef [[
const char *kvds_version(void);

typedef int32_t kvds_status;
const char *kvds_status_name(kvds_status status);
const char *kvds_last_error(void);

typedef struct kvds_bytes {
    const void *data;
    size_t len;
} kvds_bytes;
typedef struct kvds_pair {
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
} kvds_pair;
typedef struct kvds_range {
    const void *prefix;
    size_t prefix_len;
    const void *start;
    size_t start_len;
    const void *end;
    size_t end_len;
} kvds_range;
typedef struct kvds_value {
    const void *data;
    size_t len;
    void *owner;
} kvds_value;
void kvds_value_release(kvds_value *value);

typedef struct kvds_options kvds_options;
kvds_options *kvds_options_new(void);
void kvds_options_free(kvds_options *options);
kvds_status kvds_options_set(kvds_options *options, const char *name, const char *value);
typedef int32_t kvds_durability;
kvds_status kvds_options_set_durability(kvds_options *options, kvds_durability durability);
kvds_status kvds_options_set_block_cache_bytes(kvds_options *options, uint64_t bytes);
kvds_status kvds_options_set_write_buffer_bytes(kvds_options *options, uint64_t bytes);
kvds_status kvds_options_set_memory_limit_bytes(kvds_options *options, uint64_t bytes);
typedef int32_t kvds_compression;
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

typedef struct kvds_distributor kvds_distributor;
typedef struct kvds_store kvds_store;
typedef int32_t kvds_backend;
kvds_distributor *kvds_distributor_new(const char *base_path);
kvds_status kvds_distributor_open(const char *base_path, const kvds_options *options,
    kvds_distributor **out);
kvds_distributor *kvds_distributor_retain(kvds_distributor *distributor);
int64_t kvds_distributor_release(kvds_distributor *distributor);
int64_t kvds_distributor_ref_count(const kvds_distributor *distributor);
kvds_status kvds_distributor_get_or_create(kvds_distributor *distributor, const char *id,
    kvds_backend backend, kvds_store **out);
kvds_status kvds_distributor_get(kvds_distributor *distributor, const char *id,
    kvds_backend backend, kvds_store **out);
kvds_status kvds_distributor_evict(kvds_distributor *distributor, const char *id,
    kvds_backend backend);
kvds_status kvds_distributor_destroy(kvds_distributor *distributor, const char *id,
    kvds_backend backend);
kvds_status kvds_distributor_destroy_store(kvds_distributor *distributor, const char *id);
kvds_status kvds_distributor_shutdown(kvds_distributor *distributor);
size_t kvds_distributor_store_count(const kvds_distributor *distributor);
typedef int (*kvds_store_visit)(void *user_data, const char *id, kvds_backend backend, uint64_t tag,
    int64_t ref_count);
kvds_status kvds_distributor_for_each(const kvds_distributor *distributor,
    kvds_store_visit callback, void *user_data);

kvds_status kvds_store_open(const char *path, const kvds_options *options, kvds_store **store);
kvds_store *kvds_store_retain(kvds_store *store);
int64_t kvds_store_release(kvds_store *store);
int64_t kvds_store_ref_count(const kvds_store *store);
uint64_t kvds_store_tag(const kvds_store *store);
const char *kvds_store_id(const kvds_store *store);
kvds_backend kvds_store_backend(const kvds_store *store);
int kvds_is_open(const kvds_store *store);
kvds_status kvds_close(kvds_store *store);

kvds_status kvds_get(const kvds_store *store, const void *key, size_t key_len, kvds_value *out);
kvds_status kvds_get_into(const kvds_store *store, const void *key, size_t key_len, void *buffer,
    size_t capacity, size_t *len);
kvds_status kvds_exists(const kvds_store *store, const void *key, size_t key_len);
kvds_status kvds_multi_get(const kvds_store *store, const kvds_bytes *keys, size_t count,
    kvds_value *values, kvds_status *statuses);
typedef int (*kvds_visit)(void *user_data, const void *key, size_t key_len, const void *value,
    size_t value_len);
kvds_status kvds_iterate(const kvds_store *store, const void *prefix, size_t prefix_len,
    kvds_visit callback, void *user_data);

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
    int64_t *result);
kvds_status kvds_delete_prefix(kvds_store *store, const void *prefix, size_t prefix_len);

typedef struct kvds_batch kvds_batch;
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
kvds_status kvds_ttl(const kvds_store *store, const void *key, size_t key_len, int64_t *left_ms);

typedef struct kvds_cursor kvds_cursor;
kvds_status kvds_cursor_new(const kvds_store *store, const kvds_range *range, kvds_cursor **out);
void kvds_cursor_free(kvds_cursor *cursor);
kvds_status kvds_cursor_first(kvds_cursor *cursor);
kvds_status kvds_cursor_last(kvds_cursor *cursor);
kvds_status kvds_cursor_seek(kvds_cursor *cursor, const void *key, size_t key_len);
kvds_status kvds_cursor_next(kvds_cursor *cursor);
kvds_status kvds_cursor_prev(kvds_cursor *cursor);
int kvds_cursor_valid(const kvds_cursor *cursor);
kvds_status kvds_cursor_key(const kvds_cursor *cursor, kvds_bytes *key);
kvds_status kvds_cursor_value(const kvds_cursor *cursor, kvds_bytes *value);
kvds_status kvds_cursor_ttl(kvds_cursor *cursor, int64_t *left_ms);

typedef struct kvds_change {
    int kind;
    int last;
    uint64_t sequence;
    const void *key;
    size_t key_len;
    const void *value;
    size_t value_len;
} kvds_change;
typedef struct kvds_watch kvds_watch;
kvds_status kvds_watch_new(const kvds_store *store, const kvds_range *range, kvds_watch **out);
kvds_status kvds_watch_from(const kvds_store *store, const kvds_range *range, uint64_t sequence,
    kvds_watch **out);
kvds_status kvds_watch_next(kvds_watch *watch, int64_t timeout_ms, kvds_change *change);
int kvds_watch_fd(kvds_watch *watch);
void kvds_watch_free(kvds_watch *watch);

kvds_status kvds_store_view(kvds_store *store, int rights, kvds_store **out);
kvds_status kvds_store_scope(kvds_store *store, const void *prefix, size_t prefix_len,
    kvds_store **out);
kvds_status kvds_store_snapshot(const kvds_store *store, kvds_store **out);

kvds_status kvds_sync(kvds_store *store);
kvds_status kvds_compact(kvds_store *store);
kvds_status kvds_refresh(kvds_store *store);
kvds_status kvds_checkpoint(const kvds_store *store, const char *path);

typedef struct kvds_damage {
    const char *file;
    const char *problem;
    int loss;
    const void *first;
    size_t first_len;
    const void *last;
    size_t last_len;
} kvds_damage;
typedef int (*kvds_damage_visit)(void *user_data, const kvds_damage *damage, uint64_t bytes_done,
    uint64_t bytes_total);
typedef struct kvds_salvaged {
    uint64_t pairs;
    uint64_t lost;
    uint64_t ttls_lost;
} kvds_salvaged;
kvds_status kvds_verify(const char *path, const kvds_options *options, kvds_damage_visit callback,
    void *user_data);
kvds_status kvds_salvage(const char *path, const char *target, const kvds_options *options,
    kvds_damage_visit callback, void *user_data, kvds_salvaged *salvaged);

typedef struct kvds_stats {
    uint64_t keys;
    uint64_t bytes;
    uint64_t reads;
    uint64_t writes;
    uint64_t hits;
    uint64_t disk_bytes;
    uint64_t memory_bytes;
} kvds_stats;
kvds_status kvds_store_stats(const kvds_store *store, kvds_stats *stats, size_t size);
kvds_status kvds_store_property(const kvds_store *store, const char *name, kvds_value *out);
typedef int32_t kvds_log_level;
typedef void (*kvds_log)(void *user_data, kvds_log_level level, const char *text);
kvds_status kvds_set_log_callback(kvds_log_level level, kvds_log callback, void *user_data);

typedef void (*kvds_death)(void *user_data, uint64_t tag, const char *id, kvds_backend backend);
typedef void (*kvds_user_data_free)(void *user_data);
kvds_status kvds_distributor_observe(kvds_distributor *distributor, kvds_death on_death,
    void *user_data, kvds_user_data_free user_data_free, uint64_t *observer_id);
kvds_status kvds_distributor_unobserve(kvds_distributor *distributor, uint64_t observer_id);
]] end

-- The constants of kvds.h, without KVDS_.
return {
    VERSION_MAJOR = 0,
    VERSION_MINOR = 1,
    VERSION_PATCH = 0,
    OK = 0,
    NOT_FOUND = 1,
    EXISTS = 2,
    MISMATCH = 3,
    STOPPED = 4,
    TRUNCATED = 5,
    INVALID_ARGUMENT = -1,
    CLOSED = -2,
    DENIED = -3,
    LOCKED = -4,
    IO = -5,
    NO_SPACE = -6,
    CORRUPTION = -7,
    NO_MEMORY = -8,
    UNSUPPORTED = -9,
    BUSY = -10,
    UNKNOWN_OUTCOME = -11,
    FORKED = -12,
    INTERNAL = -13,
    EXPIRED = -14,
    MAX_KEY_LEN = 65536,
    MAX_VALUE_LEN = 1073741824,
    DURABILITY_PROCESS = 0,
    DURABILITY_SYNC = 1,
    DURABILITY_NONE = 2,
    COMPRESSION_NONE = 0,
    COMPRESSION_LZ4 = 1,
    COMPRESSION_ZSTD = 2,
    MEMORY = 0,
    DISK = 1,
    CLUSTER = 2,
    MAX_TTL_MS = 3155760000000,
    CHANGE_SET = 0,
    CHANGE_DELETE = 1,
    CHANGE_DELETE_RANGE = 2,
    VIEW_READ = 1,
    VIEW_WRITE = 2,
    LOSS_NONE = 0,
    LOSS_PAIRS = 1,
    LOSS_TTLS = 2,
    LOG_ERROR = 0,
    LOG_WARN = 1,
    LOG_INFO = 2,
    LOG_DEBUG = 3,
}
