// Options, as distributors and stores take them.

import { text } from './bytes.js';
import { check } from './errors.js';
import { native } from './native.js';

const snakeCase = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Calls `use` with options of the library, and frees them. */
export function withOptions(options, use) {
    const pointer = native.options_new();
    try {
        for (const [name, value] of Object.entries(options)) {
            if (value === undefined) continue;
            check(
                native.options_set(
                    pointer,
                    text(snakeCase(name), 'name of an option'),
                    text(String(value), `option ${name}`),
                ),
            );
        }
        return use(pointer);
    } finally {
        native.options_free(pointer);
    }
}
