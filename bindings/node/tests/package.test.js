// Tests the package: finding the library, the example in README.md, and the types.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import * as kvds from 'kvds';
import * as declarations from '../src/declarations.js';
import { native } from '../src/native.js';
import { directory } from './directory.js';

const here = new URL('.', import.meta.url);
const read = (path) => readFileSync(new URL(path, here), 'utf8');
const symbol = (key) => (key === Symbol.dispose ? '[Symbol.dispose]' : `[${key.description}]`);
const run = (program, options = {}) =>
    spawnSync(process.execPath, ['--input-type=module', '-e', program], {
        cwd: here,
        encoding: 'utf8',
        ...options,
    });

test('the version is that of the package', () => {
    assert.equal(kvds.version(), JSON.parse(read('../package.json')).version);
});

test('every function of kvds.h can be called, and every constant is a number', () => {
    const names = Object.getOwnPropertyNames(native);
    for (const name of names) assert.equal(typeof native[name], 'function', name);
    assert.equal(names.length, declarations.FUNCTIONS.match(/;/g).length);
    assert.equal(native.status_name(declarations.INTERNAL), 'KVDS_INTERNAL');
});

test('the error for a missing library names it', () => {
    const { stderr, status } = run("import 'kvds'", {
        env: { ...process.env, KVDS_LIBRARY: '/nowhere/libkvds.so' },
    });
    assert.equal(status, 1);
    assert.match(stderr, /cannot load the library: \$KVDS_LIBRARY names \/nowhere\/libkvds\.so/);
});

test('without $KVDS_LIBRARY, the error says where the library was looked for', () => {
    const { stderr, status } = run("import 'kvds'", {
        env: { PATH: process.env.PATH, LD_LIBRARY_PATH: '' },
    });
    // Where the system has the library, there is no error.
    const here = /looked for \$KVDS_LIBRARY \(not set\), \S+\/libkvds\.so\.0, \S+ and/;
    const system = /and the system's libkvds\.so\.0/;
    if (status !== 0) {
        assert.match(stderr, here);
        assert.match(stderr, system);
    }
});

test('a library in the directory of the package is loaded, by worker threads too', (t) => {
    const path = directory(t);
    const root = fileURLToPath(new URL('..', here));
    for (const name of ['index.js', 'src', 'package.json'])
        cpSync(`${root}/${name}`, `${path}/${name}`, { recursive: true });
    symlinkSync(
        dirname(dirname(createRequire(import.meta.url).resolve('koffi'))),
        `${path}/node_modules`,
    );
    symlinkSync(process.env.KVDS_LIBRARY, `${path}/libkvds.so`);
    const program = `
        import { Distributor, version } from 'kvds';
        const store = await new Distributor().getOrCreateAsync('a', 'memory');
        console.log(version(), await store.hasAsync('key'));`;
    const { stdout, stderr, status } = run(program, { cwd: path, env: { PATH: process.env.PATH } });
    assert.deepEqual(
        { stdout, stderr, status },
        { stdout: `${kvds.version()} false\n`, stderr: '', status: 0 },
    );
});

test('the example of README.md prints what README.md says', (t) => {
    const readme = read('../README.md');
    const [, program] = /```js\n([^]*?)```/.exec(readme);
    const [, output] = /```text\n([^]*?)```/.exec(readme);
    const data = JSON.stringify(directory(t));
    const { stdout, stderr, status } = run(program.replace("'data'", data));
    assert.deepEqual({ stdout, stderr, status }, { stdout: output, stderr: '', status: 0 });
});

test('index.d.ts names every member that there is, and no other', () => {
    const types = read('../index.d.ts');
    for (const name of ['Distributor', 'Store', 'Cursor', 'Watch', 'Batch']) {
        const [, body] = new RegExp(`export class ${name}[^{]*{([^]*?)\n}`).exec(types);
        const typed = [
            ...body.matchAll(/^    (?:private |readonly )?(\w+|\[Symbol\.\w+\])[(:]/gm),
        ].map(([, member]) => member);
        const members = new Set();
        for (
            let proto = kvds[name].prototype;
            proto !== Object.prototype;
            proto = Object.getPrototypeOf(proto)
        ) {
            for (const key of Reflect.ownKeys(proto))
                members.add(typeof key === 'symbol' ? symbol(key) : key);
        }
        assert.deepEqual(new Set(typed), members, name);
    }
});
