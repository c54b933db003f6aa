// Where things lie, for launcher and tests.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const TREE = resolve(dirname(fileURLToPath(import.meta.url)), '..');
/** The programs under test: the sanitizer build in tests, the plain one in `make run`. */
export const BUILD = resolve(TREE, process.env.AIRUNNER_BUILD ?? 'build-san');
export const NPM = join(TREE, 'build/npm');
export const STATE = resolve(TREE, process.env.AIRUNNER_STATE_DIR ?? 'var');
/** Machine-readable wire specifications; not part of the repository, tests that need them may skip. */
export const SPECS = resolve(TREE, process.env.AIRUNNER_SPECS ?? '../shared/specs');

/** Removes a folder even where a test has taken away its own right to write. */
export function removeTree(path) {
	if (!existsSync(path)) return;
	spawnSync('chmod', ['-R', 'u+rwX', path]);
	rmSync(path, { recursive: true, force: true });
}
