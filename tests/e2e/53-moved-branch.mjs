// Others push to the branch between checkout and push: a clean merge is checked anew and pushed, also
// after a kill; a conflict ends the run blocked with the files' names, and its work is kept on a
// branch of its own.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { git } from '../sample/sample.mjs';
import { STATE, assert, create, finish, finishTests, replace, test, tinyProject, until, world, writeFiles } from './harness.mjs';

const faults = join(STATE, 'test/moved-branch-faults');
rmSync(faults, { recursive: true, force: true });
mkdirSync(faults, { recursive: true });
const slow = { ...tinyProject(), 'test.js': `${tinyProject()['test.js']}test('slow', () => new Promise((resolve) => { setTimeout(resolve, 1500); }));\n` };
const w = await world({
	repos: { MB: { files: slow } },
	extraEnv: (letter) => (letter === 'W' ? { AIRUNNER_FAULT: `dir@${faults}` } : {}),
});
const { bare } = w.repos.MB;

/** A person commits these files to the branch (made from main when it is not there). */
function others(branch, files) {
	const folder = join(w.state, 'others');
	rmSync(folder, { recursive: true, force: true });
	git(w.state, 'clone', '-q', bare, folder);
	const there = git(bare, 'branch', '--list', branch) !== '';
	git(folder, 'checkout', '-q', ...(there ? [branch] : ['-b', branch]));
	writeFiles(folder, files);
	git(folder, 'add', '-A');
	git(folder, '-c', 'user.name=Person', '-c', 'user.email=p@example.com', 'commit', '-qm', 'by a person');
	git(folder, 'push', '-q', 'origin', branch);
	return git(bare, 'rev-parse', branch);
}

const testing = (id, n) => until(`run ${id} tests`, 60000, async () => (
	(await w.sql(`SELECT id FROM run_steps WHERE run_id = ${id} AND step = 'test'`)).length >= n), 20);
const steps = async (id, step) => (await w.sql(`SELECT outcome, result FROM run_steps WHERE run_id = ${id} AND step = '${step}' ORDER BY id`));

/** What must hold of a branch that was merged: ours on top of theirs, its tree the one that was verified and tested. */
async function assertMerged(key, id, theirs) {
	const branch = `ai/${key.toLowerCase()}`;
	const head = git(bare, 'rev-parse', branch);
	assert.equal(git(bare, 'rev-parse', `${branch}~1`), theirs);
	assert.equal(git(bare, 'rev-list', '--count', `${theirs}..${branch}`), '1');
	const verified = JSON.parse((await steps(id, 'verify')).at(-1).result).tree;
	const tested = JSON.parse((await steps(id, 'test')).at(-1).result).tree;
	assert.equal(git(bare, 'rev-parse', `${head}^{tree}`), verified);
	assert.equal(tested, verified);
	const tags = git(bare, 'tag', '--list', `rollback/${key.toLowerCase()}/*`).split('\n');
	assert.equal(tags.length, 1);
	assert.equal(git(bare, 'rev-parse', `${tags[0]}^{commit}`), theirs, 'the tag is on the commit before the change');
	assert.equal((await w.comments(key)).length, 1);
}

await test('others moved it: a clean merge goes through verify and test again', async () => {
	await w.script('MB-2', [create('ours.md', 'ours\n'), finish('Added a file.')]);
	await w.issue('MB-2');
	const id = await w.assign('MB-2');
	await testing(id, 1);
	const theirs = others('ai/mb-2', { 'theirs.md': 'theirs\n' });
	const run = await w.waitRun(id);
	assert.equal(run.status, 'completed', run.last_error);
	await assertMerged('MB-2', id, theirs);
	assert.equal((await steps(id, 'test')).length, 2);
	assert.deepEqual((await steps(id, 'push')).map((row) => row.outcome), ['merged', 'ok']);
	assert.match(JSON.stringify(run.events), /was changed by others meanwhile: merged with/);
});

await test('killed in and after the merge the run goes on all the same', async () => {
	for (const [i, point] of ['git.merged:1', 'step.push.ended:1', 'step.verify.begun:2', 'step.push.worked:1'].slice(0, process.env.SOAK === '1' ? 4 : 2).entries()) {
		const key = `MB-1${i}`;
		writeFileSync(join(faults, key), `kill@${point}\n`);
		await w.script(key, [create('ours.md', 'ours\n'), finish('Added a file.')]);
		await w.issue(key);
		const id = await w.assign(key);
		await testing(id, 1);
		const theirs = others(`ai/${key.toLowerCase()}`, { 'theirs.md': 'theirs\n' });
		const run = await w.waitRun(id);
		assert.equal(run.status, 'completed', `${point}: ${run.last_error}`);
		await assertMerged(key, id, theirs);
		const [{ fence }] = await w.sql(`SELECT fence FROM runs WHERE id = ${id}`);
		assert.equal(Number(fence), 2, `${point}: it was killed once`);
	}
});

await test('a merge whose result fails the tests goes back to the model', async () => {
	const text = (answer) => `exports.answer = () => ${answer};\n`;
	await w.script('MB-3', [create('wish.txt', 'no\n'), finish('Added a file.'), replace('wish.txt', 'no', 'yes'), finish('Made it a yes.')]);
	await w.issue('MB-3');
	const id = await w.assign('MB-3');
	await testing(id, 1);
	const theirs = others('ai/mb-3', { 'test.js': `${slow['test.js']}test('a wish', () => { const fs = require('node:fs'); if (fs.existsSync(__dirname + '/wish.txt')) assert.equal(fs.readFileSync(__dirname + '/wish.txt', 'utf8'), 'yes\\n'); });\n`, 'theirs.js': text(1) });
	const run = await w.waitRun(id);
	assert.equal(run.status, 'completed', run.last_error);
	await assertMerged('MB-3', id, theirs);
	assert.equal(git(bare, 'show', 'ai/mb-3:wish.txt'), 'yes');
	assert.equal(run.metrics.self_heal_attempts, 1);
});

await test('a conflict blocks the run with the names of the files, and keeps its work elsewhere', async () => {
	await w.script('MB-4', [create('same.md', 'ours\n'), create('b.md', 'ours\n'), finish('Added files.')]);
	await w.issue('MB-4');
	const id = await w.assign('MB-4');
	await testing(id, 1);
	const theirs = others('ai/mb-4', { 'same.md': 'theirs\n', 'b.md': 'theirs\n' });
	const run = await w.waitRun(id);
	assert.equal(run.status, 'blocked', run.last_error);
	assert.match(run.last_error, /conflicts in b\.md, same\.md/);
	assert.equal(git(bare, 'rev-parse', 'ai/mb-4'), theirs);
	assert.equal(git(bare, 'show', `ai/mb-4-incomplete-${id}:same.md`), 'ours');
	const [comment] = await w.comments('MB-4');
	assert.match(comment, /Merge the two by hand/);
	assert.match(comment, new RegExp(`ai/mb-4-incomplete-${id}`));
	assert.equal((await w.jiraIssue('MB-4')).status, 'Blocked');
});

await finishTests();
