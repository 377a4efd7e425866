-- Years of birth, in a memory store: get, set, iterate with a callback, retain and release.
--
--     KVDS_LIBRARY=.../libkvds.so luajit example.lua

local kvds = require 'kvds'

local distributor = kvds.distributor()
local born = distributor:get_or_create('born', 'memory')

born:set('ada', '1815')
born:set('alan', '1912')
born:set('grace', '1906')
print('ada was born in ' .. born:get('ada'))
print('edsger is ' .. (born:get('edsger') or 'not there'))

-- Every key that begins with "a", in order. A callback that returns false ends it.
born:iterate('a', function(key, value)
    print(key .. ': ' .. value)
end)

-- The same as a loop, over any range.
for key in born:pairs {start = 'alan'} do
    print(key)
end

-- A second reference keeps the store and its data when the first is released.
local again = born:retain()
print('references left: ' .. born:release())
print('grace was born in ' .. again:get('grace'))

-- A released store cannot be used: the call raises an error with a text and a code.
local fine, failure = pcall(born.get, born, 'ada')
print(fine, failure.code, failure)

print('references left: ' .. again:release())
print('stores: ' .. distributor:store_count())
distributor:release()
