-- Tests times to live, on memory and disk.

local assertions = require 'assertions'
local kvds = require 'kvds'

local fails, wait_until = assertions.fails, assertions.wait_until
local HOUR, YEARS, NEVER = 3600, 36525 * 24 * 3600, math.huge

assertions.on_each(nil, function(store)
    local function left(key, low, high)
        local left = store:ttl(key)
        assert(left > low and left <= high, left)
    end

    -- A key is gone after its time. The rest of a millisecond counts as one.
    store:set_ttl('short', '', 0.0001)
    store:set_ttl('long', 'value', HOUR)
    assert(store:ttl 'none' == nil)
    wait_until(function() return not store:exists 'short' end)
    assert(store:ttl 'short' == nil and store:get 'long' == 'value')
    left('long', 0, HOUR)

    -- A time is renewed, and ends.
    assert(store:expire('long', 2 * HOUR) == true)
    left('long', HOUR, 2 * HOUR)
    assert(store:expire('long', NEVER) == true and store:ttl 'long' == NEVER)
    store:set_ttl('long', '', HOUR)
    store:set('long', 'value')
    assert(store:ttl 'long' == NEVER and store:expire('none', HOUR) == false)

    -- A lock frees itself, and its owner renews it.
    assert(store:set_nx_ttl('lock', 'one', HOUR) == true)
    assert(store:set_nx_ttl('lock', 'two', 0.001) == false)
    local renewal = kvds.batch():expect('lock', 'one'):expire('lock', 2 * HOUR)
    assert(store:write(renewal))
    left('lock', HOUR, 2 * HOUR)
    store:expire('lock', 0.001)
    wait_until(function() return store:set_nx_ttl('lock', 'two', HOUR) end)
    assert(not store:write(renewal))

    -- A batch sets times.
    store:set_batch {{'old', ''}, {'forever', ''}}
    local batch = kvds.batch():set_ttl('short', '', 0.001):set_ttl('kept', '', 0.001)
    batch:expire('kept', NEVER):expire('old', 0.001):expire('none', 1)
    assert(store:write(batch))
    wait_until(function() return not store:exists 'short' and not store:exists 'old' end)
    assert(store:ttl 'kept' == NEVER and store:ttl 'forever' == NEVER and store:ttl 'none' == nil)

    -- A wrong time is an error, and changes nothing.
    local function wrong(ttl)
        local function refused(call, ...)
            fails('KVDS_INVALID_ARGUMENT', 'time to live', call, ...)
        end
        refused(store.set_ttl, store, 'wrong', '', ttl)
        refused(store.set_nx_ttl, store, 'wrong', '', ttl)
        refused(store.expire, store, 'kept', ttl)
        refused(batch.set_ttl, batch, 'wrong', '', ttl)
        refused(batch.expire, batch, 'kept', ttl)
    end
    for _, ttl in ipairs {0, -1, YEARS + 1, 0 / 0, -NEVER, '1', false} do wrong(ttl) end
    wrong(nil)
    fails('KVDS_INVALID_ARGUMENT', 'time to live', store.set_ttl, store, 'wrong', '', NEVER)
    assert(store:get 'wrong' == nil and store:ttl 'kept' == NEVER)
    store:set_ttl('right', '', YEARS)
end)
print 'ttl_test: passed'
