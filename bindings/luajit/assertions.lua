-- What the tests assert with.

local ffi = require 'ffi'
local kvds = require 'kvds'

ffi.cdef [[
struct kvds_test_pollfd { int fd; short events; short revents; };
int poll(struct kvds_test_pollfd *fds, unsigned long count, int timeout);
]]

local function fails(code, text, call, ...)
    local fine, failure = pcall(call, ...)
    assert(not fine, 'this must fail: ' .. text)
    assert(type(failure) == 'table' and failure.code == code, tostring(failure))
    assert(tostring(failure):find(text, 1, true), tostring(failure))
end

-- Calls a test with a memory store, and with a disk store.
local function on_each(options, test)
    for _, backend in ipairs {'memory', 'disk'} do
        local directory = os.tmpname()
        os.remove(directory)
        local distributor = kvds.distributor(directory, options)
        local store = distributor:get_or_create('store', backend)
        test(store)
        store:release()
        distributor:release()
        os.execute("rm -rf '" .. directory .. "'")
    end
end

-- Waits until a function returns true, with a limit that no slow machine reaches.
local function wait_until(holds)
    local limit = os.time() + 60
    while not holds() do
        assert(os.time() <= limit, 'this takes too long')
        ffi.C.poll(nil, 0, 10)
    end
end

return {fails = fails, on_each = on_each, wait_until = wait_until}
