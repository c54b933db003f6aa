// Rules of the house that a program can check: who includes whom, where SQL and environment may be.
// Run by `make test` and `make lint`.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TREE } from '../paths.mjs';
import { done, test } from '../tap.mjs';

const MAY_INCLUDE = { lib: ['lib', 'gen'], cgi: ['cgi', 'lib'], worker: ['worker', 'lib'] };
// A statement inside a string literal; words in prose have no such neighbours.
const SQL = /"[^"]*\b(SELECT\s[^"]*\bFROM|INSERT\s+(IGNORE\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|REPLACE\s+INTO|CALL\s+\w+\s*\()/i;
// The migrator's own bookkeeping has to exist before any statement of queries.sql can be prepared.
const SQL_ALLOWED = new Set(['lib/migrate.c']);
const ENVIRONMENT = /\b(getenv|secure_getenv|setenv|putenv)\s*\(/;

function sources(folder) {
	return readdirSync(join(TREE, folder), { withFileTypes: true }).flatMap((entry) => {
		const path = `${folder}/${entry.name}`;
		if (entry.isDirectory()) return sources(path);
		return /\.[ch]$/.test(entry.name) ? [path] : [];
	});
}

const stripComments = (text) => text.replace(/\/\*[\s\S]*?\*\//g, (c) => c.replace(/[^\n]/g, ' ')).replace(/\/\/.*$/gm, '');
const exists = new Set(readdirSync(TREE));
const files = Object.keys(MAY_INCLUDE).filter((folder) => exists.has(folder)).flatMap(sources);

/** Lines of all files for which `wrong(line, file)` answers a text. */
function complaints(wrong) {
	return files.flatMap((file) => stripComments(readFileSync(join(TREE, file), 'utf8')).split('\n')
		.map((line, i) => {
			const text = wrong(line, file);
			return text ? `${file}:${i + 1}: ${text}` : null;
		}).filter(Boolean));
}

function expectNone(list) {
	if (list.length > 0) throw new Error(list.join('\n'));
}

await test('there are sources to look at', () => {
	if (files.length < 30) throw new Error(`only ${files.length} files found`);
});
await test('lib includes only lib, cgi and worker include lib and themselves', () => expectNone(complaints((line, file) => {
	const match = /^\s*#\s*include\s+"([^"]+)"/.exec(line);
	if (!match) return null;
	const allowed = MAY_INCLUDE[file.split('/')[0]];
	return allowed.includes(match[1].split('/')[0]) ? null : `includes ${match[1]}`;
})));
await test('no C file holds SQL', () => expectNone(complaints((line, file) => (
	SQL.test(line) && !SQL_ALLOWED.has(file) ? line.trim() : null))));
await test('lib reads the environment only in its settings', () => expectNone(complaints((line, file) => (
	file.startsWith('lib/') && file !== 'lib/settings.c' && ENVIRONMENT.test(line) ? line.trim() : null))));
await test('lib never ends the process but when memory is out', () => expectNone(complaints((line, file) => (
	file.startsWith('lib/') && /\b(exit|_exit|quick_exit)\s*\(/.test(line) ? line.trim() : null))));
done();
