// Damaged stores: what is damaged, and what can still be read.

import koffi from 'koffi';
import { inBackground } from './background.js';
import { copy, text } from './bytes.js';
import {
    CORRUPTION,
    LOSS_NONE,
    LOSS_PAIRS,
    LOSS_TTLS,
    NOT_FOUND,
    OK,
    STOPPED,
} from './declarations.js';
import { check, KvdsError } from './errors.js';
import { native } from './native.js';
import { withOptions } from './options.js';

const LOSSES = { [LOSS_NONE]: 'none', [LOSS_PAIRS]: 'pairs', [LOSS_TTLS]: 'ttls' };

/** Verifies every checksum of the disk store in the directory `path`. Returns all damages. */
export function verify(path, options = {}, callback) {
    const damages = [];
    const place = text(path, 'path');
    reported(place, options, callback, damages, (settings, visit) => {
        const status = native.verify(place, settings, visit, 0);
        return status === CORRUPTION && damages.length > 0 ? OK : status;
    });
    return damages;
}

/** Copies what can be read of a damaged disk store into a new one. */
export function salvage(path, target, options = {}, callback) {
    const [damages, saved] = [[], {}];
    const [from, to] = [text(path, 'path'), text(target, 'target')];
    const status = reported(from, options, callback, damages, (settings, visit) =>
        native.salvage(from, to, settings, visit, 0, saved),
    );
    if (status === STOPPED) return undefined;
    const [pairs, lost, ttlsLost] = [saved.pairs, saved.lost, saved.ttls_lost].map(Number);
    return { pairs, lost, ttlsLost, damages };
}

export const verifyAsync = inBackground('verify');
export const salvageAsync = inBackground('salvage');

// Makes a call with options, and with a callback that collects the damages. Returns the status.
function reported(path, options, callback, damages, call) {
    if (callback !== undefined && typeof callback !== 'function')
        throw new TypeError('the callback must be a function');
    // An exception must not pass the library: it stops the call and is thrown afterwards.
    let thrown;
    const visit = (_, pointer, done, total) => {
        try {
            const damage = pointer ? damageOf(koffi.decode(pointer, 'kvds_damage')) : undefined;
            if (damage) damages.push(damage);
            return callback?.(damage, Number(done), Number(total)) === false ? 0 : 1;
        } catch (error) {
            thrown = { error };
            return 0;
        }
    };
    return withOptions(options, (settings) => {
        const status = call(settings, visit);
        if (thrown) throw thrown.error;
        if (status === NOT_FOUND)
            throw new KvdsError(NOT_FOUND, `there is no store in "${path}"`);
        return check(status, STOPPED);
    });
}

function damageOf({ file, problem, loss, first, first_len, last, last_len }) {
    return {
        file,
        problem,
        loss: LOSSES[loss],
        first: first ? copy(first, Number(first_len)) : undefined,
        last: last ? copy(last, Number(last_len)) : undefined,
    };
}
