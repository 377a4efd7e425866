// Conversions of keys and values, which are bytes, of ids and paths, which are text, and of
// numbers.

import koffi from 'koffi';
import { INVALID_ARGUMENT } from './declarations.js';
import { KvdsError } from './errors.js';

// A string with half a surrogate pair has no UTF-8. Encoding would silently replace it by
// another string.
function wellFormed(text, what) {
    if (/\p{Surrogate}/u.test(text)) {
        throw new KvdsError(
            INVALID_ARGUMENT,
            `the ${what} is a string with a lone surrogate, which UTF-8 cannot hold`,
        );
    }
    return text;
}

const typeOf = (given) => (given === null ? 'null' : typeof given);

/** Returns the bytes of a key or value that was given as bytes or as a string. */
export function bytes(given, what = 'key') {
    if (typeof given === 'string') return Buffer.from(wellFormed(given, what));
    if (given instanceof Uint8Array) return given;
    throw new TypeError(
        `the ${what} must be a string or a Uint8Array, not ${typeOf(given)}`,
    );
}

/** Returns the elements of an iterable. A string, which iterates characters, is an error. */
export function list(given, what) {
    if (typeof given === 'string' || typeof given?.[Symbol.iterator] !== 'function') {
        throw new TypeError(
            `${what} must be an array or another iterable, not ${typeOf(given)}`,
        );
    }
    return Array.from(given);
}

/** Returns an id, path or name for C, which reads up to the first NUL. */
export function text(given, what) {
    if (typeof given !== 'string')
        throw new TypeError(`the ${what} must be a string, not ${typeof given}`);
    if (given.includes('\0')) throw new KvdsError(INVALID_ARGUMENT, `the ${what} has a NUL in it`);
    return wellFormed(given, what);
}

/** Returns an integer of 64 bits that was given as a number or as a bigint. */
export function int64(given) {
    const number = typeof given === 'number' && Number.isSafeInteger(given) ? BigInt(given) : given;
    if (typeof number !== 'bigint' || BigInt.asIntN(64, number) !== number) {
        throw new RangeError(`${given} is not a safe integer or a bigint of 64 bits`);
    }
    return number;
}

/** Returns a copy of bytes that the library owns. */
export function copy(pointer, length) {
    if (length === 0) return Buffer.alloc(0);
    const { buffer, byteOffset, byteLength } = koffi.decode(pointer, 'uint8_t', length);
    return Buffer.from(buffer, byteOffset, byteLength);
}
