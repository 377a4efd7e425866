// The base of all objects that own a handle of the library. It is released once: by `release`, by
// `using`, or by the garbage collector. It is not used afterwards.

import { CLOSED } from './declarations.js';
import { KvdsError } from './errors.js';

/** Only this package creates handles: a constructor throws without this argument. */
export const internal = Symbol('kvds');

const forgotten = new FinalizationRegistry(({ pointer, free }) => free(pointer));

/** Returns the pointer of a handle; throws if it was released. */
export let pointerOf;

/** Takes the pointer out of a handle, which then counts as released; null the second time. */
export let detach;

export class Handle {
    #pointer;
    #free;

    static {
        pointerOf = (handle) => {
            if (handle.#pointer === null) {
                throw new KvdsError(CLOSED, `this ${handle.constructor.name} was released`);
            }
            return handle.#pointer;
        };
        detach = (handle) => {
            const pointer = handle.#pointer;
            handle.#pointer = null;
            forgotten.unregister(handle);
            return pointer;
        };
    }

    constructor(token, pointer, free) {
        if (token !== internal) throw new TypeError(`a ${new.target.name} is not made with new`);
        this.#pointer = pointer;
        this.#free = free;
        forgotten.register(this, { pointer, free }, this);
    }

    get released() {
        return this.#pointer === null;
    }

    release() {
        const pointer = detach(this);
        return pointer === null ? 0 : Number(this.#free(pointer) ?? 0);
    }

    [Symbol.dispose]() {
        this.release();
    }
}

/** Returns a handle that does not own its pointer. It has only the private members of a Handle. */
export function borrow(Class, pointer) {
    const handle = Reflect.construct(Handle, [internal, pointer, () => {}], Class);
    forgotten.unregister(handle);
    return handle;
}
