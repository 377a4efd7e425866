-- Tests damaged stores.

local fails = require('assertions').fails
local kvds = require 'kvds'

local COUNT = 2000
local function key(number) return ('key%04d'):format(number) end
local function value(number) return 'value ' .. number end

local directory = os.tmpname()
os.remove(directory)
local path, target, new = directory .. '/store', directory .. '/above/target', directory .. '/new'

local store = kvds.open(path)
for i = 1, COUNT do store:set(key(i), value(i)) end
store:expire(key(1), 3600)
store:compact()
assert(#kvds.verify(path) == 0, 'a store may be open')
store:release()

-- A whole store has no damage.
local calls = 0
local whole = kvds.verify(path, {max_open_files = 100}, function(damage, done, total)
    assert(damage == nil and done <= total)
    calls = calls + 1
end)
assert(#whole == 0 and calls > 0)

-- Changes a byte in the middle of the largest table file.
local listing = io.popen("ls -S '" .. path .. "'/*.sst")
local table_file = listing:read '*l'
listing:close()
local file = assert(io.open(table_file, 'r+b'))
local middle = math.floor(file:seek 'end' / 2)
file:seek('set', middle)
local byte = file:read(1):byte()
file:seek('set', middle)
file:write(string.char((byte + 1) % 256))
file:close()

-- What can be read is saved.
local seen
local found = kvds.verify(path, nil, function(damage) seen = damage or seen end)
local damage = found[1]
assert(#found == 1 and seen == damage)
assert(damage.file == table_file and damage.loss == 'pairs' and damage.problem ~= '')
assert(damage.first < damage.last)
local saved = kvds.salvage(path, target)
assert(#saved.damages == 1 and saved.damages[1].problem == damage.problem)
assert(saved.lost >= 0 and saved.ttls_lost == 0)
assert(saved.pairs > 0 and saved.pairs < COUNT)
store = kvds.open(target)
local count = 0
for i = 1, COUNT do
    local got = store:get(key(i))
    assert(got == value(i) or got == nil and damage.first <= key(i) and key(i) <= damage.last)
    count = count + (got and 1 or 0)
end
assert(count == saved.pairs)
assert(store:ttl(key(1)) <= 3600 and store:ttl(key(COUNT)) == math.huge)
fails('KVDS_LOCKED', target, kvds.salvage, target, new)
store:release()

-- The callback stops both, and its errors are raised again. This repeats until a leak of callbacks
-- would fail.
calls = 0
local function stop()
    calls = calls + 1
    return false
end
assert(#kvds.verify(path, nil, stop) == 0 and kvds.salvage(path, new, nil, stop) == false)
assert(#kvds.verify(path, nil, function(damage) return damage == nil end) == 1)
for _ = 1, 2000 do
    local fine, problem = pcall(kvds.verify, path, nil, function()
        calls = calls + 1
        error({mine = true})
    end)
    assert(not fine and problem.mine)
end
assert(not pcall(kvds.salvage, path, new, nil, error) and calls == 2002)

-- Wrong calls.
assert(kvds.verify(new) == nil and kvds.salvage(new, new) == nil)
fails('KVDS_INVALID_ARGUMENT', 'exists', kvds.salvage, path, path)
fails('KVDS_INVALID_ARGUMENT', 'NUL', kvds.verify, 'a\0b')
fails('KVDS_INVALID_ARGUMENT', 'durabilty', kvds.verify, path, {durabilty = 'sync'})
assert(os.execute("test -e '" .. new .. "'") ~= 0, 'nothing was made')

os.execute("rm -r '" .. directory .. "'")
print 'damage_test: passed'
