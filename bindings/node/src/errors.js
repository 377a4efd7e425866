// The error that is thrown if a call fails.

import { OK } from './declarations.js';
import { native } from './native.js';

/** A call failed. `status` is the library's, `code` is the status's name, such as "KVDS_LOCKED". */
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

/** Returns OK and the statuses that the caller expects, and throws everything else. */
export function check(status, ...expected) {
    if (status === OK || expected.includes(status)) return status;
    throw new KvdsError(status, status < 0 ? native.last_error() : native.status_name(status));
}
