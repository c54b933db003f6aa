// A retry by a person is an order: the run takes back the issue that its own report had given away, in
// Jira and in the status it is worked in, works it, and counts its limits anew. What a person has done
// with the issue since counts more. And an end that was decided before a kill stays as it was.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { git } from '../sample/sample.mjs';
import { AI_ACCOUNT, HUMAN_ACCOUNT, STATE, assert, create, finish, finishTests, goodTurns, replace, test, tinyProject, until, view, world } from './harness.mjs';

const faults = join(STATE, 'test/retry-faults');
rmSync(faults, { recursive: true, force: true });
mkdirSync(faults, { recursive: true });
const w = await world({
	repos: { RE: { files: tinyProject() } },
	settings: { AIRUNNER_MAX_TURNS: 4, AIRUNNER_HEAL_ROUNDS: 1 },
	extraEnv: (letter) => (letter === 'W' ? { AIRUNNER_FAULT: `dir@${faults}` } : {}),
});
const { bare } = w.repos.RE;
const retry = async (id, mode, key) => {
	const answer = await w.api(`/api/runs/${id}/retry`, { method: 'POST', body: mode ? { mode } : undefined });
	assert.equal(answer.status, 200, `${key}: ${answer.text}`);
	return w.waitRun(id);
};
const assertReported = async (key, run) => {
	assert.equal(run.status, 'completed', run.last_error);
	const issue = await w.jiraIssue(key);
	assert.equal(issue.status, 'In Testing');
	assert.equal(issue.assignee, HUMAN_ACCOUNT);
	const made = (await w.requests('?service=github&method=POST')).filter((r) => /\/pulls$/.test(r.path) && r.status === 201 && JSON.stringify(r.body).includes(`ai/${key.toLowerCase()}"`));
	assert.equal(made.length, 1, 'pull requests');
};
/** Turns that never end: the limit of four does. */
const endless = (key) => [create('a.md', `A note for ${key}.\n`), view('a.md'), replace('a.md', 'A note', 'Two notes'), view('src.js')];

await test('restart of a blocked run takes the issue back and works it', async () => {
	await w.script('RE-1', endless('RE-1'));
	await w.issue('RE-1');
	const id = await w.assign('RE-1');
	assert.equal((await w.waitRun(id)).status, 'blocked');
	assert.equal((await w.jiraIssue('RE-1')).status, 'Blocked');
	await w.script('RE-1', goodTurns('b.md'));
	const run = await retry(id, 'restart', 'RE-1');
	await assertReported('RE-1', run);
	assert.match(JSON.stringify(run.events), /Took RE-1 back: in In Progress, assigned to the AI account/);
	const changes = (await w.jiraIssue('RE-1')).changelog.flatMap((c) => c.items.map((i) => `${i.field}: ${i.toString}`));
	assert.equal(changes.filter((c) => c === 'status: In Progress').length, 1);
});

await test('continue of a run whose work is done changes nothing and says so', async () => {
	const [{ id }] = await w.sql("SELECT id FROM runs WHERE issue_key = 'RE-1'");
	const before = await w.jiraIssue('RE-1');
	const run = await retry(Number(id), 'continue', 'RE-1');
	assert.equal(run.status, 'cancelled');
	assert.match(run.reason, /nothing is left to go on with/);
	assert.deepEqual(await w.jiraIssue('RE-1'), before);
});

await test('continue after a limit goes on in the same conversation, with the limit counted anew', async () => {
	await w.script('RE-2', [...endless('RE-2'), create('b.md', 'x\n'), finish('Done at last.')]);
	await w.issue('RE-2');
	const id = await w.assign('RE-2');
	const first = await w.waitRun(id);
	assert.equal(first.status, 'blocked');
	assert.match(first.last_error, /limit of 4 turns/);
	assert.match(git(bare, 'log', '-1', '--format=%s', 'ai/re-2'), /\(incomplete\)/);
	const run = await retry(id, 'continue', 'RE-2');
	await assertReported('RE-2', run);
	const [{ n, convs }] = await w.sql(`SELECT COUNT(*) AS n, MAX(conv) AS convs FROM run_messages WHERE run_id = ${id} AND role = 'assistant'`);
	assert.deepEqual([n, convs], ['6', '1']);
	assert.equal(git(bare, 'show', 'ai/re-2:a.md'), 'Two notes for RE-2.');
	assert.equal(git(bare, 'show', 'ai/re-2:b.md'), 'x');
	assert.equal(git(bare, 'rev-list', '--count', 'main..ai/re-2'), '2', 'on top of what was kept');
	const [pull] = (await w.control('/github/pulls')).filter((p) => JSON.stringify(p).includes('ai/re-2"'));
	assert.doesNotMatch(pull.title, /incomplete/);
});

await test('continue after failing checks gets heal rounds anew', async () => {
	await w.script('RE-3', [replace('src.js', '42', '1'), finish('One.'), replace('src.js', '1;', '2;'), finish('Two.'), replace('src.js', '2;', '42;'), create('c.md', 'x\n'), finish('Three.')]);
	await w.issue('RE-3');
	const id = await w.assign('RE-3');
	const first = await w.waitRun(id);
	assert.equal(first.status, 'failed');
	assert.match(first.last_error, /after 1 heal rounds/);
	await assertReported('RE-3', await retry(id, 'continue', 'RE-3'));
});

await test('an issue that a person has moved on is left alone, and the run says so', async () => {
	await w.script('RE-4', endless('RE-4'));
	await w.issue('RE-4');
	const id = await w.assign('RE-4');
	assert.equal((await w.waitRun(id)).status, 'blocked');
	await w.control('/jira/issues/RE-4/act', { status: 'Done' });
	for (const mode of ['restart', 'continue']) {
		const run = await retry(id, mode, 'RE-4');
		assert.equal(run.status, 'cancelled');
		assert.match(run.reason, /RE-4 is in Done, assigned to .*: a person moved it since the run ended/);
	}
	const issue = await w.jiraIssue('RE-4');
	assert.deepEqual([issue.status, issue.assignee], ['Done', HUMAN_ACCOUNT]);
	assert.equal((await w.comments('RE-4')).length, 1);
});

await test('killed while it takes the issue back, it takes it back once', async () => {
	await w.script('RE-5', endless('RE-5'));
	await w.issue('RE-5');
	const id = await w.assign('RE-5');
	assert.equal((await w.waitRun(id)).status, 'blocked');
	writeFileSync(join(faults, 'RE-5'), 'kill@outbox.retake-assign.done:1\nkill@outbox.retake-status.done:1\n');
	await w.script('RE-5', goodTurns('b.md'));
	await assertReported('RE-5', await retry(id, 'restart', 'RE-5'));
	assert.ok(!existsSync(join(faults, 'RE-5')), 'it was killed twice');
	const changes = (await w.jiraIssue('RE-5')).changelog.flatMap((c) => c.items.map((i) => `${i.field}: ${i.to}`));
	assert.equal(changes.filter((c) => c === `assignee: ${AI_ACCOUNT}`).length, 2, 'by the person, and once by us');
});

await test('an end that was decided before a kill stays as it was', async () => {
	for (const [i, point] of ['end.decided:1', 'step.commit.ended:1', 'report.stored:1', 'outbox.trouble.sent:1', 'run.close.before:1'].entries()) {
		const key = `RE-6${i}`;
		writeFileSync(join(faults, key), `kill@${point}\n`);
		await w.script(key, [...endless(key), finish('Not to be heard.')]);
		await w.issue(key);
		const id = await w.assign(key);
		const run = await w.waitRun(id);
		assert.equal(run.status, 'blocked', `${point}: ${run.last_error}`);
		assert.match(run.last_error, /limit of 4 turns/);
		await until('the report is there', 20000, async () => {
			await w.sql("UPDATE outbox SET send_until = NOW(3) WHERE state = 'sending' AND send_until < NOW(3) + INTERVAL 28 SECOND");
			return (await w.sql(`SELECT id FROM outbox WHERE run_id = ${id} AND state <> 'done'`)).length === 0;
		}, 100);
		assert.equal((await w.comments(key)).length, 1, point);
		assert.equal((await w.sql(`SELECT id FROM run_steps WHERE run_id = ${id} AND step = 'end'`)).length, 1);
		assert.match(git(bare, 'log', '-1', '--format=%s', `ai/${key.toLowerCase()}`), /\(incomplete\)/);
		assert.deepEqual(await w.sql(`SELECT kind FROM artifacts WHERE run_id = ${id} GROUP BY kind, name, part HAVING COUNT(*) > 1`), []);
		assert.equal((await w.sql(`SELECT fence FROM runs WHERE id = ${id}`))[0].fence, '2', `${point}: it was killed once`);
	}
});

await finishTests();
