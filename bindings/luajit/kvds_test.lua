-- Tests what only LuaJIT has: errors, released objects, callbacks, and the garbage collector.

local fails = require('assertions').fails
local kvds = require 'kvds'

local distributor = kvds.distributor()
local store = distributor:get_or_create('store', 'memory')
assert(kvds.version():match '^%d+%.%d+%.%d+$')

-- The constants are those of kvds.h.
local ffi = require 'ffi'
local library = require('kvds.internal').library
local internal = require('kvds.declarations').INTERNAL
assert(ffi.string(library.kvds_status_name(internal)) == 'KVDS_INTERNAL')

-- Bad arguments raise errors and change nothing.
fails('KVDS_INVALID_ARGUMENT', 'the value must be a string, not number', store.set, store, 'key', 1)
fails('KVDS_INVALID_ARGUMENT', 'the key must be a string, not nil', store.get, store)
store:set_batch {{'', 'empty'}, {'a', '1'}}
for _, wrong in ipairs {{'a', nil, 'b'}, {a = 'b'}, {[2] = 'a'}, {'a', n = 1}} do
    fails('KVDS_INVALID_ARGUMENT', 'the keys must be a list', store.delete_batch, store, wrong)
    fails('KVDS_INVALID_ARGUMENT', 'the keys must be a list', store.multi_get, store, wrong)
end
local gap = {{'', 'b'}, nil, {'a', '2'}}
fails('KVDS_INVALID_ARGUMENT', 'the pairs must be a list', store.set_batch, store, gap)
fails('KVDS_INVALID_ARGUMENT', 'the pairs must be a list', store.set_batch, store, {a = 'b'})
fails('KVDS_INVALID_ARGUMENT', 'the pairs must be a list', store.set_batch, store, 'ab')
fails('KVDS_INVALID_ARGUMENT', 'a pair must be a table, not string', store.set_batch, store, {'ab'})
assert(store:get '' == 'empty' and store:get 'a' == '1' and store:property 'kvds.keys' == '2')
store:delete_batch {'', 'a'}
store:delete_batch {}
fails('KVDS_INVALID_ARGUMENT', 'NUL', distributor.get_or_create, distributor, 'a\0b', 'memory')
fails('KVDS_INVALID_ARGUMENT', 'not tape', distributor.get_or_create, distributor, 'a', 'tape')
fails('KVDS_INVALID_ARGUMENT', 'not 0.5', store.add, store, 'n', 0.5)
fails('KVDS_INVALID_ARGUMENT', 'not 1', store.add, store, 'n', '1')
fails('KVDS_INVALID_ARGUMENT', 'durabilty', kvds.distributor, nil, {durabilty = 'sync'})
fails('KVDS_INVALID_ARGUMENT', 'path', distributor.get_or_create, distributor, 'a', 'disk')
-- A build without cluster stores says so.
for _, name in ipairs {'get_or_create', 'get', 'destroy'} do
    local fine, failure = pcall(distributor[name], distributor, 'a', 'cluster')
    assert(not fine and tostring(failure):find('cluster', 1, true), tostring(failure))
    local code = failure.code
    assert(code == 'KVDS_INVALID_ARGUMENT' or code == 'KVDS_UNSUPPORTED', code)
end
fails('KVDS_BUSY', 'store', distributor.destroy, distributor, 'store', 'memory')
fails('KVDS_INVALID_ARGUMENT', 'not tape', distributor.destroy, distributor, 'a', 'tape')
assert(distributor:destroy('other', 'memory') == false)
kvds.distributor(nil, {
    cluster = 'etcds://a,b:1/c', cluster_ca = 'ca', cluster_cert = 'cert', cluster_key = 'key',
    cluster_user = 'user', cluster_password = 'password', cluster_timeout_ms = 100,
}):release()
assert(store:property 'kvds.keys' == '0')
local options = {durability = 'sync', keep_stores = true, memory_limit_bytes = 1024}
kvds.distributor(nil, options):release()

-- A store is opened by its path.
local directory = os.tmpname()
os.remove(directory)
local path = directory .. '/rm 2'
assert(kvds.open(path, {create_if_missing = 0}) == nil)
local by_path = kvds.open(path, {durability = 'sync'})
by_path:set('a', '1')
assert(by_path:id() == path and by_path:backend() == 'disk' and by_path:tag() == 0)
fails('KVDS_LOCKED', 'rm 2', kvds.open, path)
by_path:release()
by_path = kvds.open(path, {read_only = 1})
assert(by_path:get 'a' == '1')
by_path:release()
assert(os.execute("rm -r '" .. directory .. "'"))
fails('KVDS_INVALID_ARGUMENT', 'path', kvds.open, '')
fails('KVDS_INVALID_ARGUMENT', 'NUL', kvds.open, 'a\0b')
fails('KVDS_INVALID_ARGUMENT', 'durabilty', kvds.open, path, {durabilty = 'sync'})

-- Ids of memory stores are any bytes.
for _, id in ipairs {'\255', 'caf\233', ('/'):rep(65536)} do
    local named = distributor:get_or_create(id, 'memory')
    assert(named:id() == id)
    named:release()
end

-- A callback's error ends the iteration and is raised again. This repeats until a leak of callbacks
-- would fail.
store:set_batch {{'a', '1'}, {'b', '2'}}
for _ = 1, 5000 do
    local shown = 0
    local fine, problem = pcall(store.iterate, store, '', function()
        shown = shown + 1
        error({mine = true})
    end)
    assert(not fine and problem.mine and shown == 1)
end

-- The callback may use the store, and iterate it too. Compiled code calls back as well.
local pairs_seen = 0
for _ = 1, 200 do
    store:iterate('', function(key)
        store:iterate('', function(inner, value)
            assert(store:get(inner) == value)
            pairs_seen = pairs_seen + 1
        end)
        return key ~= 'b'
    end)
end
assert(pairs_seen == 800)

-- Objects are released once, and raise an error when they are used afterwards.
local again = store:retain()
assert(again:release() == 1 and again:release() == 0 and store:ref_count() == 1)
fails('KVDS_CLOSED', 'this store was released', again.get, again, 'a')
fails('KVDS_CLOSED', 'this store was released', again.iterate, again, '', print)
local cursor = store:cursor()
cursor:release()
fails('KVDS_CLOSED', 'this cursor was released', cursor.first, cursor)
local batch = kvds.batch()
batch:release()
fails('KVDS_CLOSED', 'this batch was released', store.write, store, batch)

-- The garbage collector releases unreachable objects, also the cursor of a loop that was left.
do
    local forgotten = store:retain()
    for _ in forgotten:pairs() do break end
    assert(store:ref_count() == 2)
end
forgotten = nil
collectgarbage()
collectgarbage()
assert(store:ref_count() == 1)

-- The module can be loaded again. An empty $KVDS_LIBRARY is none: it is the system's library then,
-- which the loader looks for here.
package.loaded.kvds = nil
assert(require('kvds') ~= kvds)
local named = os.getenv 'KVDS_LIBRARY'
local system = "KVDS_LIBRARY= LD_LIBRARY_PATH='%s' luajit -e \"require 'kvds'\""
system = system:format(named:match '^(.*)/')
assert(os.execute(system) == 0)

assert(store:release() == 0 and distributor:store_count() == 0)
assert(distributor:release() == 0)
print 'kvds_test: passed'
