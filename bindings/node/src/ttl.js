// Times to live, as the library takes them.

import { INVALID_ARGUMENT, MAX_TTL_MS } from './declarations.js';
import { KvdsError } from './errors.js';

/** Returns the milliseconds of a time to live; 0 for Infinity, as the library takes it. */
export function milliseconds(ttl) {
    if (ttl === Infinity) return 0;
    if (typeof ttl !== 'number')
        throw new TypeError(`the time to live must be a number, not ${typeof ttl}`);
    if (!(ttl > 0 && ttl <= MAX_TTL_MS)) {
        throw new KvdsError(
            INVALID_ARGUMENT,
            `the time to live must be more than 0 and at most ${MAX_TTL_MS} ms, not ${ttl}`,
        );
    }
    return Math.ceil(ttl);
}

/** Returns the milliseconds that the library has stored; Infinity for a key that never expires. */
export function timeLeft([left]) {
    return left < 0 ? Infinity : Number(left);
}
