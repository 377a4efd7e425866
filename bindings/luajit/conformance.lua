-- The script that every binding runs: ../conformance.json, which README.md beside it describes.
--
--     luajit conformance.lua BACKEND DIRECTORY [URL OF A NEW NAMESPACE]

local backend, directory, cluster = ...
local json = require 'dkjson'
local kvds = require 'kvds'

local file = assert(io.open '../conformance.json')
local script = assert(json.decode(file:read '*a'))
file:close()

-- Bytes of the script: a string whose characters are bytes (U+0080 to U+00FF arrive as two bytes of
-- UTF-8), or such a string and a number of repetitions.
local function bytes(given)
    if type(given) == 'table' then return bytes(given[1]):rep(given[2]) end
    return (given:gsub('([\194\195])(.)', function(high, low)
        return string.char((high:byte() - 194) * 64 + low:byte())
    end))
end

local function map(list, f)
    local made = {}
    for i, each in ipairs(list) do made[i] = f(each) end
    return made
end

local function pair(given) return map(given, bytes) end

-- Returns a value as text, for comparisons and messages.
local function shown(value)
    if type(value) == 'string' then return ('%q'):format(value) end
    if type(value) ~= 'table' then return tostring(value) end
    return '{' .. table.concat(map(value, shown), ', ') .. '}'
end

local function no(status)
    return function(answer) return {status = answer and 'KVDS_OK' or status} end
end
local absent = no 'KVDS_NOT_FOUND'

local function compared(answer)
    return {status = answer and 'KVDS_OK' or answer == nil and 'KVDS_NOT_FOUND' or 'KVDS_MISMATCH'}
end

local function moved(cursor, stands)
    local key, value = cursor:entry()
    assert((key ~= nil) == stands, 'the cursor stands where its move says')
    return stands and {pair = {key, value}} or {status = 'KVDS_NOT_FOUND'}
end

-- Returns a time to live in whole hours, the unit of the script.
local function hours(left)
    if left == nil then return absent(false) end
    return {number = left == math.huge and -1 or math.floor(left / 3600 + 0.5)}
end

local function iterate(store, step)
    local seen, looped = {}, {}
    local whole = store:iterate(bytes(step.prefix), function(key, value)
        seen[#seen + 1] = {key, value}
        return #seen ~= step.stop_after
    end)
    for key, value in store:pairs {prefix = bytes(step.prefix)} do
        looped[#looped + 1] = {key, value}
        if #looped == step.stop_after then break end
    end
    assert(shown(looped) == shown(seen), 'a loop shows what iterate shows')
    return {status = whole and 'KVDS_OK' or 'KVDS_STOPPED', pairs = seen}
end

local function multi_get(store, keys)
    local found, listed = store:multi_get(keys), {}
    for _, key in ipairs(keys) do
        if found[key] then listed[#listed + 1] = {key, found[key]} end
    end
    return {pairs = listed}
end

local function batch(operations)
    local made = kvds.batch()
    for _, operation in ipairs(operations) do
        local name, key, value = unpack(operation)
        local add = made[name == 'del' and 'delete' or name]
        add(made, bytes(key), value and bytes(value))
    end
    return made
end

local distributor = kvds.distributor(directory, {cluster = cluster})

-- Each makes the call of a step (s) on its store or cursor (o), and returns its result as members
-- of a step, or nothing.
local calls = {
    distributor_store_count = function() return {number = distributor:store_count()} end,
    distributor_get = function(_, s)
        local made = distributor:get(s.id, backend)
        return {made = made, status = made and 'KVDS_OK' or 'KVDS_NOT_FOUND'}
    end,
    distributor_get_or_create = function(_, s)
        return {made = distributor:get_or_create(s.id, backend)}
    end,
    distributor_shutdown = function() distributor:shutdown() end,
    store_id = function(o) return {value = o:id()} end,
    store_backend = function(o) assert(o:backend() == backend) end,
    store_tag = function(o) return {number = o:tag()} end,
    store_ref_count = function(o) return {number = o:ref_count()} end,
    store_retain = function(o) return {made = o:retain()} end,
    store_release = function(o) return {number = o:release()} end,
    store_view = function(o, s) return {made = o:view {[s.rights] = true}} end,
    store_scope = function(o, s) return {made = o:scope(bytes(s.prefix))} end,
    store_snapshot = function(o) return {made = o:snapshot()} end,
    store_property = function(o, s) return absent(o:property(s.property)) end,
    is_open = function(o) return {number = o:is_open() and 1 or 0} end,
    close = function(o) o:close() end,
    sync = function(o) o:sync() end,
    compact = function(o) o:compact() end,
    refresh = function(o) o:refresh() end,
    get = function(o, s)
        local value = o:get(bytes(s.key))
        return {status = value and 'KVDS_OK' or 'KVDS_NOT_FOUND', value = value}
    end,
    exists = function(o, s) return absent(o:exists(bytes(s.key))) end,
    multi_get = function(o, s) return multi_get(o, map(s.keys, bytes)) end,
    iterate = iterate,
    set = function(o, s) o:set(bytes(s.key), bytes(s.value)) end,
    del = function(o, s) return absent(o:delete(bytes(s.key))) end,
    set_ttl = function(o, s) o:set_ttl(bytes(s.key), bytes(s.value), 3600 * s.hours) end,
    ttl = function(o, s) return hours(o:ttl(bytes(s.key))) end,
    set_nx = function(o, s) return no 'KVDS_EXISTS' (o:set_nx(bytes(s.key), bytes(s.value))) end,
    compare_and_swap = function(o, s)
        return compared(o:compare_and_swap(bytes(s.key), bytes(s.expected), bytes(s.value)))
    end,
    compare_and_delete = function(o, s)
        return compared(o:compare_and_delete(bytes(s.key), bytes(s.expected)))
    end,
    add = function(o, s)
        local sum = o:add(bytes(s.key), assert(loadstring('return ' .. s.delta .. 'LL'))())
        return {value = tostring(sum):match '^-?%d+'}
    end,
    set_batch = function(o, s) o:set_batch(map(s.pairs, pair)) end,
    delete_batch = function(o, s) o:delete_batch(map(s.keys, bytes)) end,
    delete_prefix = function(o, s) o:delete_prefix(bytes(s.prefix)) end,
    write = function(o, s) return no 'KVDS_MISMATCH' (o:write(batch(s.batch))) end,
    cursor_new = function(o, s)
        local range = {}
        for _, bound in ipairs {'prefix', 'start', 'end'} do
            range[bound] = s[bound] and bytes(s[bound])
        end
        return {made = o:cursor(range)}
    end,
    cursor_ttl = function(o) return hours(o:ttl()) end,
    cursor_free = function(o) o:release() end,
    cursor_first = function(o) return moved(o, o:first()) end,
    cursor_last = function(o) return moved(o, o:last()) end,
    cursor_next = function(o) return moved(o, o:next()) end,
    cursor_prev = function(o) return moved(o, o:prev()) end,
    cursor_seek = function(o, s) return moved(o, o:seek(bytes(s.key))) end,
}

-- The expected members of the result. The value and the pairs of a call that writes are its
-- arguments.
local expected = {
    number = function(number) return number end,
    value = bytes,
    pair = pair,
    pairs = function(pairs) return map(pairs, pair) end,
}
local arguments = {
    set = true, set_ttl = true, set_nx = true, compare_and_swap = true, set_batch = true,
}

local named, section = {}, nil
for i, step in ipairs(script.steps) do
    if step.op == 'section' then
        section = step.name
    else
        local where = ('step %d (%s): %s: '):format(i - 1, section, step.op)
        local call = assert(calls[step.op], where .. 'no such operation is known')
        local fine, answer = pcall(call, named[step.store or step.cursor], step)
        if fine then
            answer = answer or {}
            answer.status = answer.status or 'KVDS_OK'
        else
            if type(answer) ~= 'table' then error(where .. tostring(answer), 0) end
            assert(answer.message ~= '', where .. 'a failure has a text')
            answer = {status = answer.code}
        end
        if step.as then named[step.as] = answer.made end
        local function must(what, got, wanted)
            if shown(got) ~= shown(wanted) then
                local text = '%s%s is %s, and must be %s'
                error(text:format(where, what, shown(got), shown(wanted)), 0)
            end
        end
        must('the status', answer.status, step.status or 'KVDS_OK')
        for member, read in pairs(expected) do
            if step[member] and not arguments[step.op] then
                must('the ' .. member, answer[member], read(step[member]))
            end
        end
    end
end
distributor:release()
print(('conformance on %s: %d steps'):format(backend, #script.steps))
