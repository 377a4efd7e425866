// The system calls that wait for descriptors.

import koffi from 'koffi';

const libc = koffi.load(null);

const IN = 0x1;
const ONE_SHOT = 1 << 30;
const ADD = 1;
const REMOVE = 2;

// The kernel's struct has no padding on x86-64, and only there.
const declare = process.arch === 'x64' ? koffi.pack : koffi.struct;
const SIZE = koffi.sizeof(declare('epoll_event', { events: 'uint32_t', data: 'uint64_t' }));
const DATA = SIZE - 8;
const MAXIMUM = 64;

const create = libc.func('int epoll_create1(int flags)');
const control = libc.func('int epoll_ctl(int epoll, int action, int fd, epoll_event *event)');
const wait = libc.func('int epoll_wait(int epoll, _Out_ void *events, int maximum, int timeout)');

/** Returns a new epoll descriptor, which programs that this one starts do not inherit. */
export function createEpoll() {
    const epoll = create(0o2000000);
    if (epoll < 0) throw new Error('kvds: there are too many open files to wait for a watch');
    return epoll;
}

/** Waits, once, until a descriptor is readable. `ready` then returns the number. */
export function add(epoll, descriptor, number) {
    const event = { events: IN | ONE_SHOT, data: number };
    if (control(epoll, ADD, descriptor, event) < 0)
        throw new Error('kvds: the system cannot wait for the descriptor of a watch');
}

/** Removes a descriptor. */
export function remove(epoll, descriptor) {
    control(epoll, REMOVE, descriptor, null);
}

/** Returns the numbers of readable descriptors, after this many milliseconds at most. */
export function ready(epoll, timeout) {
    const events = Buffer.alloc(SIZE * MAXIMUM);
    const count = Math.max(0, wait(epoll, events, MAXIMUM, timeout));
    return Array.from({ length: count }, (_, i) =>
        Number(events.readBigUInt64LE(SIZE * i + DATA)),
    );
}
