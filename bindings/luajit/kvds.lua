--- kvds for LuaJIT: ordered key-value stores in memory and on disk.
--
-- Keys, values and prefixes are strings of any bytes. A plain "no" is an answer (nil or false); a failure is an error with a
-- table {status = -4, code = "KVDS_LOCKED", message = ...} that tostring turns into its message. What owns something of the
-- library is given up by release, or by the garbage collector, which may be late; after a release its methods raise an error.

local ffi = require 'ffi'

-- The part of include/kvds.h that is used here. A type can be declared once, and this module be loaded again.
if not pcall(ffi.typeof, 'kvds_value') then ffi.cdef [[
typedef struct kvds_batch kvds_batch;
typedef struct kvds_cursor kvds_cursor;
typedef struct kvds_distributor kvds_distributor;
typedef struct kvds_options kvds_options;
typedef struct kvds_store kvds_store;
typedef int32_t kvds_status;
typedef int32_t kvds_backend;
typedef struct kvds_value { const void *data; size_t len; void *owner; } kvds_value;
typedef struct kvds_bytes { const void *data; size_t len; } kvds_bytes;
typedef struct kvds_pair { const void *key; size_t key_len; const void *value; size_t value_len; } kvds_pair;
typedef struct kvds_range {
    const void *prefix; size_t prefix_len;
    const void *start; size_t start_len;
    const void *end; size_t end_len;
} kvds_range;
typedef int (*kvds_visit)(void *user_data, const void *key, size_t key_len, const void *value, size_t value_len);

const char *kvds_version(void);
const char *kvds_status_name(kvds_status status);
const char *kvds_last_error(void);
void kvds_value_release(kvds_value *value);

kvds_options *kvds_options_new(void);
void kvds_options_free(kvds_options *options);
kvds_status kvds_options_set(kvds_options *options, const char *name, const char *value);

kvds_status kvds_distributor_open(const char *base_path, const kvds_options *options, kvds_distributor **out);
int64_t kvds_distributor_release(kvds_distributor *distributor);
kvds_status kvds_distributor_get_or_create(const kvds_distributor *distributor, const char *id, kvds_backend backend,
                                           kvds_store **out);
kvds_status kvds_distributor_get(const kvds_distributor *distributor, const char *id, kvds_backend backend, kvds_store **out);
kvds_status kvds_distributor_shutdown(const kvds_distributor *distributor);
size_t kvds_distributor_store_count(const kvds_distributor *distributor);

kvds_status kvds_store_open(const char *path, const kvds_options *options, kvds_store **store);
kvds_store *kvds_store_retain(kvds_store *store);
int64_t kvds_store_release(kvds_store *store);
int64_t kvds_store_ref_count(const kvds_store *store);
uint64_t kvds_store_tag(const kvds_store *store);
const char *kvds_store_id(const kvds_store *store);
kvds_backend kvds_store_backend(const kvds_store *store);
int kvds_is_open(const kvds_store *store);
kvds_status kvds_close(const kvds_store *store);

kvds_status kvds_get(const kvds_store *store, const void *key, size_t key_len, kvds_value *out);
kvds_status kvds_exists(const kvds_store *store, const void *key, size_t key_len);
kvds_status kvds_multi_get(const kvds_store *store, const kvds_bytes *keys, size_t count, kvds_value *values,
                           kvds_status *statuses);
kvds_status kvds_iterate(const kvds_store *store, const void *prefix, size_t prefix_len, kvds_visit callback, void *user_data);
kvds_status kvds_set(const kvds_store *store, const void *key, size_t key_len, const void *value, size_t value_len);
kvds_status kvds_del(const kvds_store *store, const void *key, size_t key_len);
kvds_status kvds_set_batch(const kvds_store *store, const kvds_pair *pairs, size_t count);
kvds_status kvds_delete_batch(const kvds_store *store, const kvds_bytes *keys, size_t count);
kvds_status kvds_set_nx(const kvds_store *store, const void *key, size_t key_len, const void *value, size_t value_len);
kvds_status kvds_compare_and_swap(const kvds_store *store, const void *key, size_t key_len,
                                  const void *expected, size_t expected_len, const void *value, size_t value_len);
kvds_status kvds_compare_and_delete(const kvds_store *store, const void *key, size_t key_len,
                                    const void *expected, size_t expected_len);
kvds_status kvds_add(const kvds_store *store, const void *key, size_t key_len, int64_t delta, int64_t *result);
kvds_status kvds_delete_prefix(const kvds_store *store, const void *prefix, size_t prefix_len);

kvds_batch *kvds_batch_new(void);
void kvds_batch_free(kvds_batch *batch);
kvds_status kvds_batch_set(kvds_batch *batch, const void *key, size_t key_len, const void *value, size_t value_len);
kvds_status kvds_batch_del(kvds_batch *batch, const void *key, size_t key_len);
kvds_status kvds_batch_expect(kvds_batch *batch, const void *key, size_t key_len, const void *value, size_t value_len);
kvds_status kvds_batch_expect_absent(kvds_batch *batch, const void *key, size_t key_len);
kvds_status kvds_write(const kvds_store *store, const kvds_batch *batch);

kvds_status kvds_cursor_new(const kvds_store *store, const kvds_range *range, kvds_cursor **out);
void kvds_cursor_free(kvds_cursor *cursor);
kvds_status kvds_cursor_first(kvds_cursor *cursor);
kvds_status kvds_cursor_last(kvds_cursor *cursor);
kvds_status kvds_cursor_seek(kvds_cursor *cursor, const void *key, size_t key_len);
kvds_status kvds_cursor_next(kvds_cursor *cursor);
kvds_status kvds_cursor_prev(kvds_cursor *cursor);
kvds_status kvds_cursor_key(const kvds_cursor *cursor, kvds_bytes *key);
kvds_status kvds_cursor_value(const kvds_cursor *cursor, kvds_bytes *value);

kvds_status kvds_store_view(const kvds_store *store, int rights, kvds_store **out);
kvds_status kvds_store_scope(const kvds_store *store, const void *prefix, size_t prefix_len, kvds_store **out);
kvds_status kvds_store_snapshot(const kvds_store *store, kvds_store **out);
kvds_status kvds_sync(const kvds_store *store);
kvds_status kvds_compact(const kvds_store *store);
kvds_status kvds_refresh(const kvds_store *store);
kvds_status kvds_store_property(const kvds_store *store, const char *name, kvds_value *out);
]] end

local named = os.getenv 'KVDS_LIBRARY' or ''
local library = ffi.load(named ~= '' and named or 'libkvds.so.0')

local OK, NOT_FOUND, EXISTS, MISMATCH, STOPPED = 0, 1, 2, 3, 4
local INVALID_ARGUMENT, CLOSED = -1, -2
local BACKENDS = {memory = 0, disk = 1, [0] = 'memory', [1] = 'disk'}
local VIEW_READ, VIEW_WRITE = 1, 2

-- ---------------------------------------------------------------------- errors and arguments

local Failure = {__tostring = function(failure) return failure.message end}

local function fail(status, message)
    error(setmetatable({status = status, code = ffi.string(library.kvds_status_name(status)), message = message}, Failure), 0)
end

-- Passes on OK and the plain "no"s, and raises failures.
local function check(status)
    if status < 0 then fail(status, ffi.string(library.kvds_last_error())) end
    return status
end

-- What a comparison answers: true, false if there is another value, nil if there is none.
local function compared(status)
    if check(status) == NOT_FOUND then return nil end
    return status == OK
end

-- Bytes are strings. A number would do for LuaJIT, as a string that depends on its format.
local function bytes(given, what)
    if type(given) ~= 'string' then
        fail(INVALID_ARGUMENT, ('the %s must be a string, not %s'):format(what, type(given)))
    end
    return given, #given
end

-- The length of a list, which is all that is in it: a hole or a name would be passed over.
local function length(given, what)
    local count = 0
    if type(given) == 'table' then
        for _ in pairs(given) do count = count + 1 end
    end
    if type(given) ~= 'table' or count ~= #given then
        fail(INVALID_ARGUMENT, ('the %s must be a list: a table with all from 1 to its length and nothing else'):format(what))
    end
    return count
end

-- Text, which C reads up to its first NUL.
local function text(given, what)
    if bytes(given, what):find('\0', 1, true) then fail(INVALID_ARGUMENT, ('the %s has a NUL in it'):format(what)) end
    return given
end

local function backend_of(name)
    if type(name) ~= 'string' or not BACKENDS[name] then
        fail(INVALID_ARGUMENT, ('the backend must be "memory" or "disk", not %s'):format(tostring(name)))
    end
    return BACKENDS[name]
end

-- A pointer that the library gives through its last parameter.
local function opened(type, open, ...)
    local out = ffi.new(type .. ' *[1]')
    local arguments = {...}
    arguments[#arguments + 1] = out
    return check(open(unpack(arguments))), out[0]
end

-- ------------------------------------------------------------------------------- handles

-- An object for `pointer`, which `free` gives up: when it is called, or when the object is garbage.
local function handle(class, pointer, free)
    return setmetatable({pointer = ffi.gc(pointer, free), free = free}, class)
end

local function pointer_of(object)
    local pointer = rawget(object, 'pointer')
    if pointer == nil then fail(CLOSED, ('this %s was released'):format(getmetatable(object).name)) end
    return pointer
end

local function release(object)
    local pointer = rawget(object, 'pointer')
    if pointer == nil then return 0 end
    object.pointer = nil
    return tonumber(object.free(ffi.gc(pointer, nil)) or 0)
end

local function class(name)
    local made = {name = name, release = release}
    made.__index = made
    return made
end

-- ------------------------------------------------------------------------------- batches

--- Operations, and expectations of what is there before them, that store:write applies in one step.
local Batch = class 'batch'

--- Adds the operation to set `key`. Returns the batch, as the three that follow do.
function Batch:set(key, value)
    local k, k_len = bytes(key, 'key')
    check(library.kvds_batch_set(pointer_of(self), k, k_len, bytes(value, 'value')))
    return self
end

--- Adds the operation to remove `key`.
function Batch:delete(key)
    check(library.kvds_batch_del(pointer_of(self), bytes(key, 'key')))
    return self
end

--- Adds the expectation that `key` has this value before the batch.
function Batch:expect(key, value)
    local k, k_len = bytes(key, 'key')
    check(library.kvds_batch_expect(pointer_of(self), k, k_len, bytes(value, 'value')))
    return self
end

--- Adds the expectation that `key` is not there before the batch.
function Batch:expect_absent(key)
    check(library.kvds_batch_expect_absent(pointer_of(self), bytes(key, 'key')))
    return self
end

-- ------------------------------------------------------------------------------- cursors

--- A position in a range of keys, over the moment it was made. Moves answer whether it then stands on a key.
local Cursor = class 'cursor'

--- To the first key.
function Cursor:first() return check(library.kvds_cursor_first(pointer_of(self))) == OK end

--- To the last key.
function Cursor:last() return check(library.kvds_cursor_last(pointer_of(self))) == OK end

--- To the first key that is `key` or greater.
function Cursor:seek(key) return check(library.kvds_cursor_seek(pointer_of(self), bytes(key, 'key'))) == OK end

--- One key on.
function Cursor:next() return check(library.kvds_cursor_next(pointer_of(self))) == OK end

--- One key back.
function Cursor:prev() return check(library.kvds_cursor_prev(pointer_of(self))) == OK end

--- The key and the value that it stands on, or nothing.
function Cursor:entry()
    local key, value = ffi.new 'kvds_bytes', ffi.new 'kvds_bytes'
    if check(library.kvds_cursor_key(pointer_of(self), key)) ~= OK then return nil end
    check(library.kvds_cursor_value(pointer_of(self), value))
    return ffi.string(key.data, key.len), ffi.string(value.data, value.len)
end

-- -------------------------------------------------------------------------------- stores

--- A store, or a view of one: one counted reference.
local Store = class 'store'

local function store(pointer) return handle(Store, pointer, library.kvds_store_release) end

--- One more reference, an object of its own.
function Store:retain() return store(library.kvds_store_retain(pointer_of(self))) end

--- How many references there are.
function Store:ref_count() return tonumber(library.kvds_store_ref_count(pointer_of(self))) end

--- The name that the store was asked for by.
function Store:id() return ffi.string(library.kvds_store_id(pointer_of(self))) end

--- "memory" or "disk".
function Store:backend() return BACKENDS[library.kvds_store_backend(pointer_of(self))] end

--- The number of the store, unique in its distributor.
function Store:tag() return tonumber(library.kvds_store_tag(pointer_of(self))) end

--- Whether the store can be used.
function Store:is_open() return library.kvds_is_open(pointer_of(self)) == 1 end

--- Closes the store for every holder.
function Store:close() check(library.kvds_close(pointer_of(self))) end

--- The value of `key`, or nil.
function Store:get(key)
    local value = ffi.new 'kvds_value'
    local k, k_len = bytes(key, 'key')
    if check(library.kvds_get(pointer_of(self), k, k_len, value)) ~= OK then return nil end
    local copy = ffi.string(value.data, value.len)
    library.kvds_value_release(value)
    return copy
end

--- Whether `key` is there.
function Store:exists(key) return check(library.kvds_exists(pointer_of(self), bytes(key, 'key'))) == OK end

-- An array of kvds_bytes for a list of strings, which must live as long as it is used.
local function spans(keys)
    local count = length(keys, 'keys')
    local made = ffi.new('kvds_bytes[?]', count)
    for i = 1, count do made[i - 1].data, made[i - 1].len = bytes(keys[i], 'key') end
    return made, count
end

--- The values of a list of keys, as of one moment: a table from the keys that are there to their values.
function Store:multi_get(keys)
    local k, count = spans(keys)
    local values, statuses = ffi.new('kvds_value[?]', count), ffi.new('kvds_status[?]', count)
    check(library.kvds_multi_get(pointer_of(self), k, count, values, statuses))
    local found = {}
    for i = 1, count do
        local key = keys[i]
        if statuses[i - 1] == OK then found[key] = ffi.string(values[i - 1].data, values[i - 1].len) end
        library.kvds_value_release(values[i - 1])
    end
    return found
end

--- Shows every pair whose key begins with `prefix` to `callback(key, value)`, in order, as of one moment, until it returns
-- false. Returns whether the end was reached. An error in the callback ends the iteration and is raised again.
function Store:iterate(prefix, callback)
    local p, p_len = bytes(prefix, 'prefix')
    local fine, problem = true, nil
    -- An error must not leave a C callback: it is kept until the library has returned.
    local visit = ffi.cast('kvds_visit', function(_, key, key_len, value, value_len)
        local go_on
        fine, go_on = pcall(callback, ffi.string(key, key_len), ffi.string(value, value_len))
        if not fine then problem = go_on end
        return fine and go_on ~= false and 1 or 0
    end)
    local called, status = pcall(library.kvds_iterate, pointer_of(self), p, p_len, visit, nil)
    visit:free()
    if not called then error(status, 0) end
    if not fine then error(problem, 0) end
    return check(status) == OK
end
-- Compiled code cannot be called back into.
jit.off(Store.iterate)

--- Sets `key`.
function Store:set(key, value)
    local k, k_len = bytes(key, 'key')
    check(library.kvds_set(pointer_of(self), k, k_len, bytes(value, 'value')))
end

--- Removes `key`; answers whether it was there.
function Store:delete(key) return check(library.kvds_del(pointer_of(self), bytes(key, 'key'))) == OK end

--- Sets `key` if it is not there; answers whether it did.
function Store:set_nx(key, value)
    local k, k_len = bytes(key, 'key')
    return check(library.kvds_set_nx(pointer_of(self), k, k_len, bytes(value, 'value'))) == OK
end

--- Sets `key` if its value is `expected`: true; false if it has another one, nil if it is not there.
function Store:compare_and_swap(key, expected, value)
    local k, k_len = bytes(key, 'key')
    local e, e_len = bytes(expected, 'expected value')
    return compared(library.kvds_compare_and_swap(pointer_of(self), k, k_len, e, e_len, bytes(value, 'value')))
end

--- Removes `key` if its value is `expected`; answers as compare_and_swap does.
function Store:compare_and_delete(key, expected)
    local k, k_len = bytes(key, 'key')
    return compared(library.kvds_compare_and_delete(pointer_of(self), k, k_len, bytes(expected, 'expected value')))
end

--- Adds a whole number (of 64 bits as 1LL) to the decimal number that `key` has as its value. Returns the sum as an int64_t.
function Store:add(key, delta)
    local whole = type(delta) == 'number' and delta % 1 == 0 and math.abs(delta) <= 2 ^ 53
    if not whole and not ffi.istype('int64_t', delta) then
        fail(INVALID_ARGUMENT, ('the delta must be a whole number, not %s'):format(tostring(delta)))
    end
    local sum = ffi.new 'int64_t[1]'
    local k, k_len = bytes(key, 'key')
    check(library.kvds_add(pointer_of(self), k, k_len, delta, sum))
    return sum[0]
end

--- Sets a list of {key, value}, all or none.
function Store:set_batch(pairs)
    local count = length(pairs, 'pairs')
    local made = ffi.new('kvds_pair[?]', count)
    for i = 1, count do
        local pair = pairs[i]
        if type(pair) ~= 'table' then fail(INVALID_ARGUMENT, ('a pair must be a table, not %s'):format(type(pair))) end
        made[i - 1].key, made[i - 1].key_len = bytes(pair[1], 'key')
        made[i - 1].value, made[i - 1].value_len = bytes(pair[2], 'value')
    end
    check(library.kvds_set_batch(pointer_of(self), made, count))
end

--- Removes a list of keys, all or none. Absent ones are fine.
function Store:delete_batch(keys) check(library.kvds_delete_batch(pointer_of(self), spans(keys))) end

--- Removes every key that begins with `prefix`, in one step.
function Store:delete_prefix(prefix) check(library.kvds_delete_prefix(pointer_of(self), bytes(prefix, 'prefix'))) end

--- Applies a batch in one step; false, and nothing is changed, if something is not as it expects.
function Store:write(batch) return check(library.kvds_write(pointer_of(self), pointer_of(batch))) == OK end

--- A cursor over the keys of a range {prefix =, start =, ["end"] =}; what is left out is no bound.
function Store:cursor(range)
    range = range or {}
    local made = ffi.new 'kvds_range'
    made.prefix, made.prefix_len = bytes(range.prefix or '', 'prefix')
    made.start, made.start_len = bytes(range.start or '', 'start')
    made['end'], made.end_len = bytes(range['end'] or '', 'end')
    local _, pointer = opened('kvds_cursor', library.kvds_cursor_new, pointer_of(self), made)
    return handle(Cursor, pointer, library.kvds_cursor_free)
end

--- For loops: `for key, value in store:pairs {prefix = 'a'} do`.
function Store:pairs(range)
    local cursor = self:cursor(range)
    local move = cursor.first
    return function()
        if not cursor then return nil end
        if move(cursor) then
            move = cursor.next
            return cursor:entry()
        end
        cursor = cursor:release() and nil
    end
end

--- A view that allows what `rights` names: {read = true}, {write = true} or both.
function Store:view(rights)
    local bits = (rights.read and VIEW_READ or 0) + (rights.write and VIEW_WRITE or 0)
    local _, pointer = opened('kvds_store', library.kvds_store_view, pointer_of(self), bits)
    return store(pointer)
end

--- A view of the keys that begin with `prefix`, which they don't have in it.
function Store:scope(prefix)
    local _, pointer = opened('kvds_store', library.kvds_store_scope, pointer_of(self), bytes(prefix, 'prefix'))
    return store(pointer)
end

--- A view of the store as it is now.
function Store:snapshot()
    local _, pointer = opened('kvds_store', library.kvds_store_snapshot, pointer_of(self))
    return store(pointer)
end

--- Makes all that was written survive a power cut.
function Store:sync() check(library.kvds_sync(pointer_of(self))) end

--- Gives back disk space that is free.
function Store:compact() check(library.kvds_compact(pointer_of(self))) end

--- Has a store that was opened with the option read_only show what was written since.
function Store:refresh() check(library.kvds_refresh(pointer_of(self))) end

--- What is known under a name such as "kvds.keys", as a string, or nil.
function Store:property(name)
    local value = ffi.new 'kvds_value'
    if check(library.kvds_store_property(pointer_of(self), text(name, 'name'), value)) ~= OK then return nil end
    local copy = ffi.string(value.data, value.len)
    library.kvds_value_release(value)
    return copy
end

-- --------------------------------------------------------------------------- distributor

--- Hands out stores by name.
local Distributor = class 'distributor'

--- The live store called `id` on "memory" or "disk", made if there is none; nil if the options say not to make it.
function Distributor:get_or_create(id, backend)
    local open = library.kvds_distributor_get_or_create
    local status, pointer = opened('kvds_store', open, pointer_of(self), text(id, 'id'), backend_of(backend))
    return status == OK and store(pointer) or nil
end

--- The live store called `id`, or nil.
function Distributor:get(id, backend)
    local open = library.kvds_distributor_get
    local status, pointer = opened('kvds_store', open, pointer_of(self), text(id, 'id'), backend_of(backend))
    return status == OK and store(pointer) or nil
end

--- Closes every live store and hands out none any more.
function Distributor:shutdown() check(library.kvds_distributor_shutdown(pointer_of(self))) end

--- How many stores live.
function Distributor:store_count() return tonumber(library.kvds_distributor_store_count(pointer_of(self))) end

-- --------------------------------------------------------------------------- the module

local kvds = {}

-- Options of the library.
local function options_of(options)
    local made = ffi.gc(library.kvds_options_new(), library.kvds_options_free)
    for name, value in pairs(options or {}) do
        check(library.kvds_options_set(made, text(name, 'name of an option'), text(tostring(value), 'value of an option')))
    end
    return made
end

--- A distributor with disk stores under the directory `path` (nil for memory stores only). `options` is a table of what
-- kvds_options_set takes, such as {durability = 'sync'}.
function kvds.distributor(path, options)
    local made = options_of(options)
    local _, pointer = opened('kvds_distributor', library.kvds_distributor_open, path and text(path, 'path') or '', made)
    return handle(Distributor, pointer, library.kvds_distributor_release)
end

--- The disk store in exactly the directory `path`, without a distributor, created if it is missing; nil if the options, which
-- are those of a distributor, say not to.
function kvds.open(path, options)
    local made = options_of(options)
    local status, pointer = opened('kvds_store', library.kvds_store_open, text(path, 'path'), made)
    return status == OK and store(pointer) or nil
end

--- An empty batch.
function kvds.batch() return handle(Batch, library.kvds_batch_new(), library.kvds_batch_free) end

--- The version of the library that is running.
function kvds.version() return ffi.string(library.kvds_version()) end

return kvds
