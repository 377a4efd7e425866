--- kvds for LuaJIT: ordered key-value stores in memory, on disk and in etcd.
--
-- Keys, values and prefixes are strings of any bytes. An expected negative result is nil or false.
-- An error is raised as a table {status = -4, code = "KVDS_LOCKED", message = ...} that tostring
-- turns into its message. Distributors, stores, cursors, watches and batches own memory of the
-- library: release frees it, and the garbage collector does so later. After a release their methods
-- raise an error.

local ffi = require 'ffi'
local declarations = require 'kvds.declarations'
local damage = require 'kvds.damage'
local internal = require 'kvds.internal'

local library, check, fail = internal.library, internal.check, internal.fail
local bytes, text, length, opened = internal.bytes, internal.text, internal.length, internal.opened
local calling_back = internal.calling_back
local class, handle, pointer_of = internal.class, internal.handle, internal.pointer_of
local options_of, range_of = internal.options_of, internal.range_of
local seconds_left = internal.seconds_left
local time_left, time_to_live = internal.time_left, internal.time_to_live

local OK, INVALID_ARGUMENT = declarations.OK, declarations.INVALID_ARGUMENT
local VIEW_READ, VIEW_WRITE = declarations.VIEW_READ, declarations.VIEW_WRITE

-- ------------------------------------------------------------------------------- batches

--- Operations, and expectations about the data before them, that store:write applies in one step.
local Batch = class 'batch'

--- Adds an operation that sets `key`. Returns the batch, as all these functions do.
function Batch:set(key, value)
    local k, k_len = bytes(key, 'key')
    check(library.kvds_batch_set(pointer_of(self), k, k_len, bytes(value, 'value')))
    return self
end

--- Adds an operation that sets `key` for a time, in seconds from each write on.
function Batch:set_ttl(key, value, ttl)
    local k, k_len = bytes(key, 'key')
    local v, v_len = bytes(value, 'value')
    check(library.kvds_batch_set_ttl(pointer_of(self), k, k_len, v, v_len, time_to_live(ttl)))
    return self
end

--- Adds an operation that replaces the time that `key` has left, in seconds from each write on. It
-- does nothing to a key that does not exist. With math.huge, the key never expires.
function Batch:expire(key, ttl)
    local k, k_len = bytes(key, 'key')
    check(library.kvds_batch_expire(pointer_of(self), k, k_len, time_left(ttl)))
    return self
end

--- Adds an operation that deletes `key`.
function Batch:delete(key)
    check(library.kvds_batch_del(pointer_of(self), bytes(key, 'key')))
    return self
end

--- Adds the expectation that the value of `key` is `value` before the batch.
function Batch:expect(key, value)
    local k, k_len = bytes(key, 'key')
    check(library.kvds_batch_expect(pointer_of(self), k, k_len, bytes(value, 'value')))
    return self
end

--- Adds the expectation that `key` does not exist before the batch.
function Batch:expect_absent(key)
    check(library.kvds_batch_expect_absent(pointer_of(self), bytes(key, 'key')))
    return self
end

-- ------------------------------------------------------------------------------- cursors

--- A position in a range of keys, as of its creation. Moves return whether it is on an entry.
local Cursor = class 'cursor'

--- Moves to the first entry.
function Cursor:first() return check(library.kvds_cursor_first(pointer_of(self))) == OK end

--- Moves to the last entry.
function Cursor:last() return check(library.kvds_cursor_last(pointer_of(self))) == OK end

--- Moves to the first entry whose key is `key` or greater.
function Cursor:seek(key)
    return check(library.kvds_cursor_seek(pointer_of(self), bytes(key, 'key'))) == OK
end

--- Moves to the next entry.
function Cursor:next() return check(library.kvds_cursor_next(pointer_of(self))) == OK end

--- Moves to the previous entry.
function Cursor:prev() return check(library.kvds_cursor_prev(pointer_of(self))) == OK end

--- Returns the key and the value of the current entry, or nil.
function Cursor:entry()
    local key, value = ffi.new 'kvds_bytes', ffi.new 'kvds_bytes'
    if check(library.kvds_cursor_key(pointer_of(self), key)) ~= OK then return nil end
    check(library.kvds_cursor_value(pointer_of(self), value))
    return ffi.string(key.data, key.len), ffi.string(value.data, value.len)
end

--- Returns the seconds that the current entry has left, math.huge if it never expires, or nil if
-- there is none.
function Cursor:ttl() return seconds_left(library.kvds_cursor_ttl, pointer_of(self)) end

-- ------------------------------------------------------------------------------- watches

--- The writes to a range of keys since its creation, in their order.
--
-- A change is a table. Its `kind` is "set", also if the time to live of the key was changed;
-- "delete", also of a key that has expired; or "delete_range". Disk stores report each key of a
-- small range instead, and cluster stores of any. Its `key` is the first one of a deleted range,
-- and its `value` is there if the key was set. Its `end` is that of a deleted range, exclusive, or
-- nil if it is the end of the watched range. Its `sequence` is the number of the write, and later
-- writes have larger ones. Its `last` is whether it is the last change of its write: a batch has
-- several.
--
-- A watch keeps no store alive. When the store is closed or its last reference is released, `next`
-- raises KVDS_CLOSED.
local Watch = class 'watch'

local KINDS = {
    [declarations.CHANGE_SET] = 'set',
    [declarations.CHANGE_DELETE] = 'delete',
    [declarations.CHANGE_DELETE_RANGE] = 'delete_range',
}

-- How long a call of the library waits, in milliseconds, before Lua handles Ctrl-C.
local SLICE = 100

local function next_change(watch, timeout)
    local change = ffi.new 'kvds_change'
    if check(library.kvds_watch_next(pointer_of(watch), timeout, change)) ~= OK then return nil end
    local kind, other = KINDS[change.kind], ffi.string(change.value, change.value_len)
    return {
        kind = kind,
        key = ffi.string(change.key, change.key_len),
        value = kind == 'set' and other or nil,
        ['end'] = kind == 'delete_range' and other ~= '' and other or nil,
        sequence = tonumber(change.sequence),
        last = change.last == 1,
    }
end

--- Waits for the next change, and returns it, or nil if there is none within `timeout` seconds.
-- Without a timeout it waits without a limit. Raises KVDS_EXPIRED once if changes were missed: read
-- the range again, and continue with the watch.
function Watch:next(timeout)
    if timeout then return next_change(self, internal.milliseconds(timeout, 'timeout')) end
    local change
    repeat change = next_change(self, SLICE) until change
    return change
end
-- Compiled code does not notice Ctrl-C.
jit.off(Watch.next)

--- Returns an iterator: `for change in watch:changes(timeout) do`. The loop ends if there is no
-- change within `timeout` seconds; without a timeout it does not end.
function Watch:changes(timeout)
    return function() return self:next(timeout) end
end

--- Returns a descriptor for poll() and event loops. It is readable while there may be a change:
-- then call `next(0)` until it returns nil. It belongs to the watch, so do not read or close it.
function Watch:fd()
    local descriptor = library.kvds_watch_fd(pointer_of(self))
    if descriptor < 0 then check(declarations.IO) end
    return descriptor
end

-- -------------------------------------------------------------------------------- stores

--- One counted reference to a store, or to a view of one.
local Store = class 'store'

local function store(pointer) return handle(Store, pointer, library.kvds_store_release) end

--- Returns one more reference, as an object of its own.
function Store:retain() return store(library.kvds_store_retain(pointer_of(self))) end

--- Returns the number of references.
function Store:ref_count() return tonumber(library.kvds_store_ref_count(pointer_of(self))) end

--- Returns the id that the store was asked for by.
function Store:id() return ffi.string(library.kvds_store_id(pointer_of(self))) end

--- Returns "memory", "disk" or "cluster".
function Store:backend()
    return internal.backend_name(library.kvds_store_backend(pointer_of(self)))
end

--- Returns the number of the store, unique in its distributor.
function Store:tag() return tonumber(library.kvds_store_tag(pointer_of(self))) end

--- Returns whether the store can be used.
function Store:is_open() return library.kvds_is_open(pointer_of(self)) == 1 end

--- Closes the store for every holder.
function Store:close() check(library.kvds_close(pointer_of(self))) end

--- Returns the value of `key`, or nil.
function Store:get(key)
    local value = ffi.new 'kvds_value'
    local k, k_len = bytes(key, 'key')
    if check(library.kvds_get(pointer_of(self), k, k_len, value)) ~= OK then return nil end
    local copy = ffi.string(value.data, value.len)
    library.kvds_value_release(value)
    return copy
end

--- Returns whether `key` exists.
function Store:exists(key)
    return check(library.kvds_exists(pointer_of(self), bytes(key, 'key'))) == OK
end

-- Returns an array of kvds_bytes for a list of strings. The strings must outlive it.
local function spans(keys)
    local count = length(keys, 'keys')
    local made = ffi.new('kvds_bytes[?]', count)
    for i = 1, count do made[i - 1].data, made[i - 1].len = bytes(keys[i], 'key') end
    return made, count
end

--- Returns a table from those of the keys that exist to their values, from one snapshot.
function Store:multi_get(keys)
    local k, count = spans(keys)
    local values, statuses = ffi.new('kvds_value[?]', count), ffi.new('kvds_status[?]', count)
    check(library.kvds_multi_get(pointer_of(self), k, count, values, statuses))
    local found = {}
    for i = 1, count do
        local key = keys[i]
        local value = values[i - 1]
        if statuses[i - 1] == OK then found[key] = ffi.string(value.data, value.len) end
        library.kvds_value_release(value)
    end
    return found
end

--- Calls `callback(key, value)` for every pair whose key begins with `prefix`, in order, from one
-- snapshot, until it returns false. Returns whether the end was reached. An error in the callback
-- ends the iteration and is raised again.
function Store:iterate(prefix, callback)
    local p, p_len = bytes(prefix, 'prefix')
    local function visit(_, key, key_len, value, value_len)
        return callback(ffi.string(key, key_len), ffi.string(value, value_len))
    end
    return calling_back('kvds_visit', visit, function(visit)
        return check(library.kvds_iterate(pointer_of(self), p, p_len, visit, nil))
    end) == OK
end
jit.off(Store.iterate, true)

--- Sets `key`.
function Store:set(key, value)
    local k, k_len = bytes(key, 'key')
    check(library.kvds_set(pointer_of(self), k, k_len, bytes(value, 'value')))
end

--- Deletes `key`. Returns whether it existed.
function Store:delete(key)
    return check(library.kvds_del(pointer_of(self), bytes(key, 'key'))) == OK
end

--- Sets `key` if it does not exist. Returns whether it did so.
function Store:set_nx(key, value)
    local k, k_len = bytes(key, 'key')
    return check(library.kvds_set_nx(pointer_of(self), k, k_len, bytes(value, 'value'))) == OK
end

--- Sets `key` for a time, in seconds. The key is deleted at most a tenth of that time and 2 seconds
-- later. A `set` ends the time.
function Store:set_ttl(key, value, ttl)
    local k, k_len = bytes(key, 'key')
    local v, v_len = bytes(value, 'value')
    check(library.kvds_set_ttl(pointer_of(self), k, k_len, v, v_len, time_to_live(ttl)))
end

--- Sets `key` for a time, in seconds, if it does not exist: a lock that frees itself. Returns
-- whether it did so. The owner renews it with a batch that expects its own value, and `expire`.
function Store:set_nx_ttl(key, value, ttl)
    local k, k_len = bytes(key, 'key')
    local v, v_len = bytes(value, 'value')
    local set = library.kvds_set_nx_ttl
    return check(set(pointer_of(self), k, k_len, v, v_len, time_to_live(ttl))) == OK
end

--- Replaces the time that `key` has left, in seconds. With math.huge, the key never expires.
-- Returns whether the key exists.
function Store:expire(key, ttl)
    local k, k_len = bytes(key, 'key')
    return check(library.kvds_expire(pointer_of(self), k, k_len, time_left(ttl))) == OK
end

--- Returns the seconds that `key` has left, math.huge if it never expires, or nil if it does not
-- exist.
function Store:ttl(key)
    local k, k_len = bytes(key, 'key')
    return seconds_left(library.kvds_ttl, pointer_of(self), k, k_len)
end

--- Sets `key` if its value is `expected`. Returns true if it did so, false if the key has another
-- value, and nil if it does not exist.
function Store:compare_and_swap(key, expected, value)
    local k, k_len = bytes(key, 'key')
    local e, e_len = bytes(expected, 'expected value')
    local v, v_len = bytes(value, 'value')
    local swap = library.kvds_compare_and_swap
    return internal.compared(swap(pointer_of(self), k, k_len, e, e_len, v, v_len))
end

--- Deletes `key` if its value is `expected`. Returns the same as compare_and_swap.
function Store:compare_and_delete(key, expected)
    local k, k_len = bytes(key, 'key')
    local e, e_len = bytes(expected, 'expected value')
    return internal.compared(library.kvds_compare_and_delete(pointer_of(self), k, k_len, e, e_len))
end

--- Adds a whole number (of 64 bits as 1LL) to the decimal number stored under `key`. Returns the
-- sum as an int64_t.
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
        if type(pair) ~= 'table' then
            fail(INVALID_ARGUMENT, ('a pair must be a table, not %s'):format(type(pair)))
        end
        made[i - 1].key, made[i - 1].key_len = bytes(pair[1], 'key')
        made[i - 1].value, made[i - 1].value_len = bytes(pair[2], 'value')
    end
    check(library.kvds_set_batch(pointer_of(self), made, count))
end

--- Deletes a list of keys, all or none. Keys that do not exist are skipped.
function Store:delete_batch(keys)
    check(library.kvds_delete_batch(pointer_of(self), spans(keys)))
end

--- Deletes every key that begins with `prefix`, in one atomic step.
function Store:delete_prefix(prefix)
    check(library.kvds_delete_prefix(pointer_of(self), bytes(prefix, 'prefix')))
end

--- Applies a batch in one atomic step. Returns false, and changes nothing, if an expectation does
-- not hold.
function Store:write(batch)
    return check(library.kvds_write(pointer_of(self), pointer_of(batch))) == OK
end

--- Returns a cursor over a range {prefix =, start =, ["end"] =}. A bound that is left out is none.
function Store:cursor(range)
    local made = range_of(range or {})
    local _, pointer = opened('kvds_cursor', library.kvds_cursor_new, pointer_of(self), made)
    return handle(Cursor, pointer, library.kvds_cursor_free)
end

--- Returns a watch of a range {prefix =, start =, ["end"] =}, from now on. A bound that is left out
-- is none.
--
-- With `after` in the range, the number of a change that was the last of its write, the watch
-- continues after that write. It raises KVDS_EXPIRED if the store no longer has that history: a
-- memory or disk store keeps it only while it has a watch. Create the new watch before the old one
-- is released.
function Store:watch(range)
    range = range or {}
    local open = range.after and library.kvds_watch_from or library.kvds_watch_new
    if range.after and type(range.after) ~= 'number' then
        local message = 'the number of a write must be a number, not %s'
        fail(INVALID_ARGUMENT, message:format(type(range.after)))
    end
    local made, store = range_of(range), pointer_of(self)
    local _, pointer = opened('kvds_watch', open, store, made, range.after)
    return handle(Watch, pointer, library.kvds_watch_free)
end

--- Returns an iterator: `for key, value in store:pairs {prefix = 'a'} do`.
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

--- Returns a view that permits what `rights` names: {read = true}, {write = true} or both.
function Store:view(rights)
    local bits = (rights.read and VIEW_READ or 0) + (rights.write and VIEW_WRITE or 0)
    local _, pointer = opened('kvds_store', library.kvds_store_view, pointer_of(self), bits)
    return store(pointer)
end

--- Returns a view of the keys that begin with `prefix`. Its keys are without the prefix.
function Store:scope(prefix)
    local p, p_len = bytes(prefix, 'prefix')
    local _, pointer = opened('kvds_store', library.kvds_store_scope, pointer_of(self), p, p_len)
    return store(pointer)
end

--- Returns a read-only view of the store that no later write changes.
function Store:snapshot()
    local _, pointer = opened('kvds_store', library.kvds_store_snapshot, pointer_of(self))
    return store(pointer)
end

--- Makes every acknowledged write survive a power failure.
function Store:sync() check(library.kvds_sync(pointer_of(self))) end

--- Reclaims the disk space of overwritten and deleted entries.
function Store:compact() check(library.kvds_compact(pointer_of(self))) end

--- Shows what another process has written to a store that was opened with the option read_only.
function Store:refresh() check(library.kvds_refresh(pointer_of(self))) end

--- Returns a property, such as "kvds.keys", as text, or nil.
function Store:property(name)
    local value = ffi.new 'kvds_value'
    local status = check(library.kvds_store_property(pointer_of(self), text(name, 'name'), value))
    if status ~= OK then return nil end
    local copy = ffi.string(value.data, value.len)
    library.kvds_value_release(value)
    return copy
end

-- --------------------------------------------------------------------------- distributor

--- Returns stores by name.
local Distributor = class 'distributor'

local function found(distributor, open, id, backend)
    local pointer, number = pointer_of(distributor), internal.backend_of(backend)
    local status, found = opened('kvds_store', open, pointer, text(id, 'id'), number)
    return status == OK and store(found) or nil
end

--- Returns the live store `id` on "memory", "disk" or "cluster", or creates or opens it. Returns
-- nil if the options forbid creating it.
function Distributor:get_or_create(id, backend)
    return found(self, library.kvds_distributor_get_or_create, id, backend)
end

--- Returns the live store `id`, or nil.
function Distributor:get(id, backend)
    return found(self, library.kvds_distributor_get, id, backend)
end

--- Deletes the files of a disk store, or the keys of a cluster store, that is not live in this
-- distributor. Returns whether there was one.
function Distributor:destroy(id, backend)
    local number = internal.backend_of(backend)
    return check(library.kvds_distributor_destroy(pointer_of(self), text(id, 'id'), number)) == OK
end

--- Closes every live store. Later calls that ask for a store raise an error.
function Distributor:shutdown() check(library.kvds_distributor_shutdown(pointer_of(self))) end

--- Returns the number of live stores.
function Distributor:store_count()
    return tonumber(library.kvds_distributor_store_count(pointer_of(self)))
end

-- --------------------------------------------------------------------------- the module

local kvds = {salvage = damage.salvage, verify = damage.verify}

--- Creates a distributor whose disk stores are under the directory `path`; nil for no disk stores.
-- `options` has the options of kvds_options_set, such as {durability = 'sync'} or
-- {cluster = 'etcd://host:2379/namespace'}.
function kvds.distributor(path, options)
    local made = options_of(options)
    local base = path and text(path, 'path') or ''
    local _, pointer = opened('kvds_distributor', library.kvds_distributor_open, base, made)
    return handle(Distributor, pointer, library.kvds_distributor_release)
end

--- Opens the disk store in exactly the directory `path`, without a distributor. `options` has the
-- options of kvds_options_set. Returns nil if there is no store and the options forbid creating it.
function kvds.open(path, options)
    local made = options_of(options)
    local status, pointer = opened('kvds_store', library.kvds_store_open, text(path, 'path'), made)
    return status == OK and store(pointer) or nil
end

--- Creates an empty batch.
function kvds.batch() return handle(Batch, library.kvds_batch_new(), library.kvds_batch_free) end

--- Returns the version of the library that is running.
function kvds.version() return ffi.string(library.kvds_version()) end

return kvds
