-- Tests watches, on memory and disk.

local ffi = require 'ffi'
local assertions = require 'assertions'
local kvds = require 'kvds'

local fails, on_each = assertions.fails, assertions.on_each

-- Returns a change as text, without the number of its write.
local function shown(change)
    local text = change.kind .. ' ' .. change.key
    if change.value then text = text .. '=' .. change.value end
    if change['end'] then text = text .. '..' .. change['end'] end
    return change.last and text .. '.' or text
end

-- Tests the pending changes of a watch.
local function shows(watch, wanted)
    local changes = {}
    for change in watch:changes(0) do changes[#changes + 1] = shown(change) end
    assert(table.concat(changes, ' ') == wanted, table.concat(changes, ' '))
end

on_each(nil, function(store)
    -- A watch reports the writes since its creation.
    store:set('before', '')
    local all = store:watch()
    store:set('a', '1')
    store:set('', '')
    store:delete 'a'
    shows(all, 'set a=1. set =. delete a.')
    assert(all:next(0.001) == nil)
    for _, wrong in ipairs {-1, 0 / 0, '1'} do
        fails('KVDS_INVALID_ARGUMENT', 'the timeout must be a number', all.next, all, wrong)
    end

    -- The changes of a batch have one number, which the next write exceeds.
    store:write(kvds.batch():set('c', '\0\255'):delete 'd')
    store:expire('c', 0.001)
    local changes = {all:next(60), all:next(), all:next(), all:next(60)}
    for i, wanted in ipairs {'set c=\0\255', 'delete d.', 'set c=\0\255.', 'delete c.'} do
        assert(shown(changes[i]) == wanted, shown(changes[i]))
    end
    assert(changes[1].sequence == changes[2].sequence)
    assert(changes[2].sequence < changes[3].sequence)
    assert(changes[3].sequence < changes[4].sequence)

    -- A watch continues after another one.
    local after = changes[3].sequence
    local second = store:watch {after = after}
    all:release()
    shows(second, 'delete c.')
    second:release()
    fails('KVDS_EXPIRED', '', store.watch, store, {after = after})
    fails('KVDS_INVALID_ARGUMENT', 'the number of a write', store.watch, store, {after = 'a'})
    fails('KVDS_INVALID_ARGUMENT', 'the prefix', store.watch, store, {prefix = 1})

    -- A watch has a range, and that of a scope has its keys.
    local part = store:watch {prefix = 'b', start = 'ba', ['end'] = 'bc'}
    local scoped = store:scope('b'):watch()
    for _, key in ipairs {'a', 'b', 'bb', 'bc', 'c'} do store:set(key, '') end
    store:write(kvds.batch():set('ba', ''):set('c', ''))
    shows(part, 'set bb=. set ba=.')
    shows(scoped, 'set =. set b=. set c=. set a=.')
    part:release()
    scoped:release()

    -- A deleted prefix is a range. Disk stores delete the keys of a smaller one one by one.
    for prefix, wanted in pairs {b = 'delete_range b..c.', [''] = 'delete_range .'} do
        local many = {}
        for i = 1, 1100 do many[i] = {'b' .. 1000 + i, ''} end
        store:set_batch(many)
        all, part = store:watch(), store:watch {prefix = 'b1'}
        store:delete_prefix(prefix)
        shows(all, wanted)
        shows(part, 'delete_range b1..b2.')
    end

    -- The descriptor is readable while there may be a change.
    local polled = ffi.new('struct kvds_test_pollfd', {all:fd(), 1})
    assert(ffi.C.poll(polled, 1, 0) == 0)
    store:set('a', '1')
    assert(ffi.C.poll(polled, 1, 60000) == 1)
    shows(all, 'set a=1.')
    assert(ffi.C.poll(polled, 1, 0) == 0)

    all:release()
    fails('KVDS_CLOSED', 'this watch was released', all.next, all)
    fails('KVDS_CLOSED', 'this watch was released', all.fd, all)
    local snapshot = store:snapshot()
    fails('KVDS_UNSUPPORTED', '', snapshot.watch, snapshot)
end)

-- A watch ends with its store.
for _, ending in ipairs {'close', 'release'} do
    on_each(nil, function(store)
        local watch = store:watch()
        store[ending](store)
        fails('KVDS_CLOSED', 'closed', watch.next, watch)
        fails('KVDS_CLOSED', 'closed', watch.next, watch, 0)
    end)
end

-- A watch that is too slow has missed changes, and continues.
on_each({watch_buffer_bytes = 4096}, function(store)
    local watch = store:watch()
    store:set('first', '')
    local after = watch:next().sequence
    for _ = 1, 100 do store:set('key', ('v'):rep(100)) end
    fails('KVDS_EXPIRED', '', watch.next, watch)
    store:set('later', '')
    shows(watch, 'set later=.')
    fails('KVDS_EXPIRED', '', store.watch, store, {after = after})
end)
print 'watch_test: passed'
