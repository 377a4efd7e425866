// Ranges of keys, as the library takes them.

import { bytes } from './bytes.js';

/** Returns the kvds_range of these bounds. */
export function rangeOf({ prefix = '', start = '', end = '' } = {}) {
    const range = {};
    for (const [name, given] of Object.entries({ prefix, start, end })) {
        range[name] = bytes(given, name);
        range[`${name}_len`] = range[name].length;
    }
    return range;
}
