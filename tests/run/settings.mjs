// Which program is given which setting: read from the same table that the programs are built from
// (lib/settings_table.h), so that the launcher hands no program what it does not read.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { TREE } from '../paths.mjs';

const LINE = /^SETTING\((\w+),\s*\w+,\s*"[^"]*",\s*"[^"]*",\s*"(\w*)",\s*([\w|]+),/;

/** name -> {who: "WPC", secret} */
export const SETTINGS = new Map(readFileSync(join(TREE, 'lib/settings_table.h'), 'utf8').split('\n')
	.map((line) => LINE.exec(line)).filter(Boolean)
	.map(([, name, who, flags]) => [name, { who, secret: flags.includes('SET_SECRET') }]));

/** A 0600 file in `folder` that holds a secret; answers its path. */
export function secretFile(folder, name, value) {
	mkdirSync(folder, { recursive: true, mode: 0o700 });
	const path = join(folder, name);
	writeFileSync(path, value, { mode: 0o600 });
	return path;
}

/**
 * The environment of one program: `base`, and of `values` what its letter (H, P, W, C) reads; secrets
 * go in as NAME_FILE.
 */
export function programEnv(base, letter, values, secretsFolder) {
	const env = { ...base };
	for (const [name, value] of Object.entries(values)) {
		const setting = SETTINGS.get(name);
		if (!setting) throw new Error(`no such setting: ${name}`);
		if (value === undefined || !setting.who.includes(letter)) continue;
		if (setting.secret && value !== '') env[`${name}_FILE`] = secretFile(secretsFolder, name, value);
		else env[name] = String(value);
	}
	return env;
}

/** Settings (and their NAME_FILE forms) that the caller's own environment holds. */
export function callerValues(letter) {
	const found = {};
	for (const [name, { who }] of SETTINGS) {
		if (!who.includes(letter)) continue;
		for (const key of [name, `${name}_FILE`]) {
			if (process.env[key] !== undefined) found[key] = process.env[key];
		}
	}
	return found;
}
