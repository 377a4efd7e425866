// Finds the shared library and loads it.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';
import { declareTypes, FUNCTIONS } from './declarations.js';

const SYSTEM = 'libkvds.so.0';

// Loads the library of $KVDS_LIBRARY, else that of the package, else the system's. If
// $KVDS_LIBRARY does not load, that is an error, and no other library is tried.
function find() {
    const named = process.env.KVDS_LIBRARY;
    const own = ['libkvds.so.0', 'libkvds.so'].map((name) =>
        fileURLToPath(new URL(`../${name}`, import.meta.url)),
    );
    const path = named || own.find((file) => existsSync(file)) || SYSTEM;
    try {
        return { path, library: koffi.load(path) };
    } catch (cause) {
        const looked = named
            ? `$KVDS_LIBRARY names ${named}`
            : `looked for $KVDS_LIBRARY (not set), ${own.join(', ')} and the system's ${SYSTEM}`;
        throw new Error(`kvds: cannot load the library: ${looked}: ${cause.message}`, { cause });
    }
}

const { path, library } = find();

declareTypes(koffi);

/**
 * The functions of the library, by their names without `kvds_`. Handles are BigInts.
 *
 * Each is looked up when it is first used, because an older library lacks newer functions.
 */
export const native = {};
for (const declaration of FUNCTIONS.split(';')
    .map((text) => text.trim())
    .filter(Boolean)) {
    const [, name] = /kvds_(\w+)\(/.exec(declaration);
    const get = () => {
        const value = library.func(declaration);
        Object.defineProperty(native, name, { value });
        return value;
    };
    Object.defineProperty(native, name, { get, configurable: true });
}

/** The path that the library was loaded from. */
export { path };

/** Returns the size of a struct in bytes. */
export const sizeof = koffi.sizeof;

/** Returns a C function that calls a callback, valid as long as the process lives. */
export const register = koffi.register;

/** Returns the version of the library that is running, such as "0.1.0". */
export function version() {
    return native.version();
}
