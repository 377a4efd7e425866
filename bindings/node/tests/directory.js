// Creates an empty directory for a test, and removes it afterwards.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function directory(test) {
    const path = mkdtempSync(join(tmpdir(), 'kvds-node-'));
    test.after(() => rmSync(path, { recursive: true }));
    return path;
}
