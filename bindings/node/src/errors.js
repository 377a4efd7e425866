// Statuses, and the error that a failure becomes.

import { native } from './native.js';

export const OK = 0;
export const NOT_FOUND = 1;
export const EXISTS = 2;
export const MISMATCH = 3;
export const STOPPED = 4;
export const TRUNCATED = 5;
export const INVALID_ARGUMENT = -1;
export const CLOSED = -2;

/** A failure. `status` is the library's number for it, `code` that number's name, such as "KVDS_LOCKED". */
export class KvdsError extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
        this.code = native.status_name(status);
    }

    get name() {
        return 'KvdsError';
    }
}

/** Passes on OK and the plain "no"s that the caller expects, and throws everything else. */
export function check(status, ...expected) {
    if (status === OK || expected.includes(status)) return status;
    throw new KvdsError(status, status < 0 ? native.last_error() : native.status_name(status));
}
