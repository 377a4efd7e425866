--- Damaged stores. kvds.lua returns these functions as its own.

local ffi = require 'ffi'
local declarations = require 'kvds.declarations'
local internal = require 'kvds.internal'

local library, check, text = internal.library, internal.check, internal.text
local calling_back, options_of = internal.calling_back, internal.options_of
local OK = declarations.OK
local NOT_FOUND, CORRUPTION = declarations.NOT_FOUND, declarations.CORRUPTION

local LOSSES = {
    [declarations.LOSS_NONE] = 'none',
    [declarations.LOSS_PAIRS] = 'pairs',
    [declarations.LOSS_TTLS] = 'ttls',
}

-- Returns a copy of a kvds_damage.
local function damage_of(damage)
    local function bound(key, len) return key ~= nil and ffi.string(key, len) or nil end
    return {
        file = ffi.string(damage.file),
        problem = ffi.string(damage.problem),
        loss = LOSSES[damage.loss],
        first = bound(damage.first, damage.first_len),
        last = bound(damage.last, damage.last_len),
    }
end

-- Makes a call with a C function that collects the damages, and calls `callback` if there is one.
local function reported(callback, call)
    local damages = {}
    local function visit(_, pointer, done, total)
        local damage = pointer ~= nil and damage_of(pointer) or nil
        damages[#damages + 1] = damage
        return not callback or callback(damage, tonumber(done), tonumber(total))
    end
    return calling_back('kvds_damage_visit', visit, function(relay) return call(relay, damages) end)
end

--- Reads all files of the disk store in the directory `path`, and verifies every checksum. Returns
-- a list of all damages, which is empty if there is none, or nil if there is no store. The store
-- may be open, also in another process. It is not changed. `options` has the options of
-- kvds_options_set.
--
-- A damage is a table. Its `file` is the damaged one, or the store's directory if no single file is
-- damaged. Its `problem` is a sentence that says what is damaged, and where in the file. Its `loss`
-- is "none" if what is damaged can be derived from the rest, or "pairs" or "ttls" if pairs or times
-- to live are lost, or may be. The loss affects no key before `first` and none after `last`; these
-- are nil if that is not known.
--
-- `callback(damage, bytes_done, bytes_total)` is called for each damage, and with nil for progress.
-- The bytes are an estimate of the work. If it returns false, the call ends and returns the damages
-- found so far. An error in it ends the call and is raised again.
local function verify(path, options, callback)
    local made = options_of(options)
    path = text(path, 'path')
    return reported(callback, function(visit, damages)
        local status = library.kvds_verify(path, made, visit, nil)
        if status ~= CORRUPTION or #damages == 0 then check(status) end
        return status ~= NOT_FOUND and damages or nil
    end)
end
jit.off(verify, true)

--- Copies what can be read of the damaged store in the directory `path` into a new store in the
-- directory `target`, which must not exist. Returns nil if there is no store. Raises
-- KVDS_CORRUPTION if too little is left.
--
-- No copied pair is older than the last state of the damaged store; kvds.h documents two
-- exceptions, which are reported as damages. The damaged store must not be open, and is not
-- changed.
--
-- The result is a table. Its `pairs` is how many pairs were copied. Its `lost` is how many keys
-- were left out because only a value was found that may be an older one; keys of which nothing was
-- found are not counted. Its `ttls_lost` is how many copied pairs may have had a time to live that
-- cannot be read. Its `damages` are those of verify, and so is the callback. Returns false if
-- the callback stopped the call: then there is no new store.
local function salvage(path, target, options, callback)
    local made, saved = options_of(options), ffi.new 'kvds_salvaged'
    path, target = text(path, 'path'), text(target, 'target')
    return reported(callback, function(visit, damages)
        local status = check(library.kvds_salvage(path, target, made, visit, nil, saved))
        if status == NOT_FOUND then return nil end
        return status == OK and {
            pairs = tonumber(saved.pairs),
            lost = tonumber(saved.lost),
            ttls_lost = tonumber(saved.ttls_lost),
            damages = damages,
        }
    end)
end
jit.off(salvage, true)

return {salvage = salvage, verify = verify}
