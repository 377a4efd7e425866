--- What the parts of kvds.lua share: the loaded library, errors, arguments and handles.

local ffi = require 'ffi'
local declarations = require 'kvds.declarations'

local named = os.getenv 'KVDS_LIBRARY' or ''
local library = ffi.load(named ~= '' and named or 'libkvds.so.0')

local OK, NOT_FOUND = declarations.OK, declarations.NOT_FOUND
local INVALID_ARGUMENT, CLOSED = declarations.INVALID_ARGUMENT, declarations.CLOSED
local MAX_TTL_MS = declarations.MAX_TTL_MS
local BACKENDS = {}
for _, name in ipairs {'memory', 'disk', 'cluster'} do
    local number = declarations[name:upper()]
    BACKENDS[name], BACKENDS[number] = number, name
end

-- ---------------------------------------------------------------------- errors and arguments

local Failure = {__tostring = function(failure) return failure.message end}

local function fail(status, message)
    local code = ffi.string(library.kvds_status_name(status))
    error(setmetatable({status = status, code = code, message = message}, Failure), 0)
end

-- Raises errors. Returns success and expected negative results.
local function check(status)
    if status < 0 then fail(status, ffi.string(library.kvds_last_error())) end
    return status
end

-- Returns true, false if there is another value, and nil if there is none.
local function compared(status)
    if check(status) == NOT_FOUND then return nil end
    return status == OK
end

-- Returns bytes and their length. LuaJIT would take a number too, as a string of some format.
local function bytes(given, what)
    if type(given) ~= 'string' then
        fail(INVALID_ARGUMENT, ('the %s must be a string, not %s'):format(what, type(given)))
    end
    return given, #given
end

-- Returns the length of a list. A gap or a named member, which ipairs would skip, is an error.
local function length(given, what)
    local count = 0
    if type(given) == 'table' then
        for _ in pairs(given) do count = count + 1 end
    end
    if type(given) ~= 'table' or count ~= #given then
        local message = 'the %s must be a list: a table from 1 to its length and with nothing else'
        fail(INVALID_ARGUMENT, message:format(what))
    end
    return count
end

-- Returns text that C can read: a NUL would end it.
local function text(given, what)
    if bytes(given, what):find('\0', 1, true) then
        fail(INVALID_ARGUMENT, ('the %s contains a NUL'):format(what))
    end
    return given
end

-- Returns a time in seconds as milliseconds, rounded up, if it is not below 0.
local function milliseconds(seconds, what)
    if type(seconds) ~= 'number' or not (seconds >= 0) then
        local message = 'the %s must be a number of seconds, not %s'
        fail(INVALID_ARGUMENT, message:format(what, tostring(seconds)))
    end
    return math.ceil(seconds * 1000)
end

-- Returns a time to live in milliseconds. Refuses 0, which the library takes for no limit.
local function time_to_live(seconds)
    local ms = milliseconds(seconds, 'time to live')
    if ms == 0 or ms > MAX_TTL_MS then
        local message = 'a time to live is more than 0 seconds and at most 100 years, not %s'
        fail(INVALID_ARGUMENT, message:format(tostring(seconds)))
    end
    return ms
end

-- Returns the time that a key has left for the library, which takes 0 for no limit.
local function time_left(seconds) return seconds == math.huge and 0 or time_to_live(seconds) end

-- Calls a function that stores milliseconds through its last parameter. Returns them as seconds,
-- math.huge for a key that never expires, or nil if there is no key.
local function seconds_left(call, ...)
    local left = ffi.new 'int64_t[1]'
    local arguments = {...}
    arguments[#arguments + 1] = left
    if check(call(unpack(arguments))) ~= OK then return nil end
    return left[0] < 0 and math.huge or tonumber(left[0]) / 1000
end

-- Returns the kvds_range of {prefix =, start =, ["end"] =}. The table must outlive it.
local function range_of(range)
    local made = ffi.new 'kvds_range'
    made.prefix, made.prefix_len = bytes(range.prefix or '', 'prefix')
    made.start, made.start_len = bytes(range.start or '', 'start')
    made['end'], made.end_len = bytes(range['end'] or '', 'end')
    return made
end

-- Returns the number of a backend.
local function backend_of(name)
    if type(name) ~= 'string' or not BACKENDS[name] then
        local message = 'the backend must be "memory", "disk" or "cluster", not %s'
        fail(INVALID_ARGUMENT, message:format(tostring(name)))
    end
    return BACKENDS[name]
end

-- Returns the name of a backend.
local function backend_name(number) return BACKENDS[number] end

-- Returns the status, and the pointer that the call stores through its last parameter.
local function opened(type, open, ...)
    local out = ffi.new(type .. ' *[1]')
    local arguments = {...}
    arguments[#arguments + 1] = out
    return check(open(unpack(arguments))), out[0]
end

-- Returns options of the library.
local function options_of(options)
    local made = ffi.gc(library.kvds_options_new(), library.kvds_options_free)
    for name, value in pairs(options or {}) do
        name, value = text(name, 'name of an option'), text(tostring(value), 'value of an option')
        check(library.kvds_options_set(made, name, value))
    end
    return made
end

-- Makes a call with a C function that calls `callback`, and returns 0 if it returns false, else 1.
-- An error must not leave a C callback: it is raised when the call has returned. C cannot call back
-- into compiled code: the caller turns the compiler off for itself and for `call`.
local function calling_back(type, callback, call)
    local fine, problem = true, nil
    local relay = ffi.cast(type, function(...)
        local go_on
        fine, go_on = pcall(callback, ...)
        if not fine then problem = go_on end
        return fine and go_on ~= false and 1 or 0
    end)
    local called, status = pcall(call, relay)
    relay:free()
    if not called then error(status, 0) end
    if not fine then error(problem, 0) end
    return status
end
jit.off(calling_back, true)

-- ------------------------------------------------------------------------------- handles

-- Returns an object that owns `pointer`. Its release, or the garbage collector, calls `free`.
local function handle(class, pointer, free)
    return setmetatable({pointer = ffi.gc(pointer, free), free = free}, class)
end

local function pointer_of(object)
    local pointer = rawget(object, 'pointer')
    if pointer == nil then
        fail(CLOSED, ('this %s was released'):format(getmetatable(object).name))
    end
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

return {
    library = library,
    backend_of = backend_of,
    backend_name = backend_name,
    bytes = bytes,
    calling_back = calling_back,
    check = check,
    class = class,
    compared = compared,
    fail = fail,
    handle = handle,
    length = length,
    milliseconds = milliseconds,
    opened = opened,
    options_of = options_of,
    pointer_of = pointer_of,
    range_of = range_of,
    seconds_left = seconds_left,
    text = text,
    time_left = time_left,
    time_to_live = time_to_live,
}
