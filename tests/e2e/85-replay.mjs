// airunnerctl replay: a finished run's files are built again from its record alone, with every kind
// of change in it; a damaged record is noticed and its turn named.
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { git } from '../sample/sample.mjs';
import { BUILD } from '../paths.mjs';
import { STATE, TREE, assert, bash, create, finish, finishTests, replace, test, tinyProject, world } from './harness.mjs';

const faults = join(STATE, 'test/replay-faults'); // orders to kill a run at a named point: worker/fault.h
rmSync(faults, { recursive: true, force: true });
mkdirSync(faults, { recursive: true });
const w = await world({
	repos: { REP: { files: tinyProject() } },
	extraEnv: (letter) => (letter === 'W' ? { AIRUNNER_FAULT: `dir@${faults}` } : {}),
});

function replay(id) {
	const done = spawnSync(join(BUILD, 'airunnerctl'), ['replay', String(id)], { cwd: TREE, env: w.programEnv('W', 'worker'), encoding: 'utf8' });
	return { code: done.status, out: done.stdout, err: done.stderr };
}

const turns = [
	create('notes.md', 'A note.\n'),
	bash("printf '\\000\\001\\377\\n\\nbin' >bin.dat; mkdir -p deep/er; ln -s ../notes.md deep/link; printf 'no end' >'deep/er/odd name ä'"),
	replace('notes.md', 'A note', 'Two notes'),
	bash('mv notes.md deep/moved.md; chmod +x test.js; : >empty; sed -i s/42/41/ src.js'),
	bash('rm -rf deep/er empty; rm -f deep/link; mkdir empty; echo inside >empty/file'),
	finish('First half.'), // the test fails: a heal round follows
	replace('src.js', '41', '42'),
	{ tools: [{ name: 'bash', input: { command: 'node --test test.js' } }, { name: 'bash', input: { command: 'head -c 300000 /dev/urandom >noise.bin' } }] },
	finish('All of it.'),
	finish('Nothing to check in noise.'),
];

let run;
await test('a run with binary files, links, modes, moves and deletions is worked and healed', async () => {
	run = await w.work('REP-1', turns);
	assert.equal(run.status, 'completed', run.last_error);
	const [{ rounds }] = await w.sql(`SELECT MAX(round) AS rounds FROM run_steps WHERE run_id = ${run.run_id}`);
	assert.equal(Number(rounds), 1);
});

await test('its replay, without model, command or network, gives the identical tree', async () => {
	const before = (await w.requests('')).length;
	const { code, out, err } = replay(run.run_id);
	assert.equal(code, 0, `${out}${err}`);
	const commit = git(w.repos.REP.bare, 'rev-parse', `${run.branch}^{tree}`);
	assert.ok(out.endsWith(`the commit's tree is this one\nidentical tree ${commit}\n`), out);
	assert.match(out, /^1\.2 +create +\d+ fresh +\d+ written +\d+ read +\d+ out +0\.\d{6} USD +[0-9a-f]{40}$/m);
	assert.equal((await w.requests('')).length, before, 'something outside was asked');
	console.log(`# ${out.split('\n').slice(-4, -1).join('; ')}`);
});

await test('the trees are built, not looked up: it needs the base only', async () => {
	const store = join(w.repos.REP.workdir, 'store.git');
	rmSync(store, { recursive: true, force: true });
	git(w.state, 'clone', '--quiet', '--bare', '--single-branch', '--no-tags', '--branch', 'main', w.repos.REP.bare, store);
	const { code, out, err } = replay(run.run_id);
	assert.equal(code, 0, `${out}${err}`);
	assert.match(out, /identical tree [0-9a-f]{40}\n$/);
});

await test('a run that was killed between two turns is replayed as well, and what was undone is no part of it', async () => {
	await w.script('REP-2', [create('a.md', 'a\n'), bash('echo b >>b.md'), bash('test -s b.md || echo b >>b.md'), finish()]);
	await w.issue('REP-2');
	writeFileSync(join(faults, 'REP-2'), 'kill@tool.bash.noted:1\nkill@llm.asking:1\n');
	const id = await w.assign('REP-2');
	const again = await w.waitRun(id);
	assert.equal(again.status, 'completed', again.last_error);
	const [{ crashes }] = await w.sql(`SELECT COUNT(*) AS crashes FROM run_steps WHERE run_id = ${id} AND outcome = 'crashed'`);
	assert.equal(Number(crashes), 2);
	assert.equal(git(w.repos.REP.bare, 'show', `${again.branch}:b.md`), 'b');
	const { code, out, err } = replay(id);
	assert.equal(code, 0, `${out}${err}`);
	assert.ok(out.includes(`identical tree ${git(w.repos.REP.bare, 'rev-parse', `${again.branch}^{tree}`)}`), out);
});

/** Changes one turn's record and answers what the replay says. */
async function damaged(name, change) {
	const [row] = await w.sql(`SELECT id, HEX(content) AS content, bytes FROM artifacts WHERE run_id = ${run.run_id} AND kind = 'turn_change' AND name = '${name}' AND part = 0`);
	await change(Number(row.id));
	const said = replay(run.run_id);
	await w.sql(`UPDATE artifacts SET content = X'${row.content}', bytes = ${row.bytes}, kind = 'turn_change' WHERE id = ${Number(row.id)}`);
	return said;
}

await test('a record that is damaged, gone or of another turn is noticed, and its turn is named', async () => {
	const names = (await w.sql(`SELECT name FROM artifacts WHERE run_id = ${run.run_id} AND kind = 'turn_change' AND part = 0 ORDER BY id`)).map((row) => row.name);
	assert.ok(names.length >= 6, String(names));
	const [first, second] = names;
	const turn = (name) => name.replace(/\d+$/, (seq) => String(Number(seq) - 1));
	const gone = await damaged(second, (id) => w.sql(`UPDATE artifacts SET kind = 'gone' WHERE id = ${id}`));
	assert.equal(gone.code, 1);
	assert.match(gone.err, new RegExp(`turn ${turn(second)}: .*not recorded`));
	const broken = await damaged(second, (id) => w.sql(`UPDATE artifacts SET content = X'00112233' WHERE id = ${id}`));
	assert.equal(broken.code, 1);
	assert.match(broken.err, new RegExp(`turn ${turn(second)}: .*damaged`));
	const forged = Buffer.from('airunner-change 1 x');
	const other = await damaged(first, (id) => w.sql(`UPDATE artifacts SET bytes = ${forged.length}, content = X'${deflateSync(forged).toString('hex')}' WHERE id = ${id}`));
	assert.equal(other.code, 1);
	assert.match(other.err, new RegExp(`turn ${turn(first)}: `));
	const swapped = await damaged(second, (id) => w.sql(`UPDATE artifacts a JOIN artifacts b ON b.run_id = a.run_id AND b.kind = a.kind AND b.name = '${first}' SET a.content = b.content, a.bytes = b.bytes WHERE a.id = ${id}`));
	assert.equal(swapped.code, 1);
	assert.match(swapped.err, new RegExp(`turn ${turn(second)}: (its change begins from tree|it had tree)`));
	assert.equal(replay(run.run_id).code, 0, 'put back it is whole again');
});

await test('no such run, and no number, are told', async () => {
	assert.match(replay(9999).err, /there is no run 9999/);
	assert.equal(replay('x').code, 2);
});

await finishTests();
