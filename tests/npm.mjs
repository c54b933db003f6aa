// The npm packages of the tests: installed by npm ci into build/npm (pinned by package-lock.json),
// loaded from there by name.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { NPM, TREE } from './paths.mjs';

/** Installs what `from` locks into `to`, when the lock file has changed since the last time. */
export function npmInstall(from = join(TREE, 'tests'), to = NPM) {
	const files = ['package.json', 'package-lock.json', '.npmrc'];
	const wanted = files.map((name) => readFileSync(join(from, name), 'utf8')).join('\0');
	const stamp = join(to, '.installed');
	if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
	mkdirSync(to, { recursive: true });
	for (const name of files) copyFileSync(join(from, name), join(to, name));
	const ran = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: to, encoding: 'utf8' });
	if (ran.status !== 0) throw new Error(`npm ci: ${ran.error ?? ''}${ran.stdout}${ran.stderr}`);
	writeFileSync(stamp, wanted);
}

export const npmFolder = (name) => join(NPM, 'node_modules', name);

/** The module of an installed package, whether it is an ES or a CommonJS one. */
export async function npmImport(name, from = NPM) {
	const file = createRequire(join(from, 'package.json')).resolve(name);
	return import(pathToFileURL(file).href);
}
