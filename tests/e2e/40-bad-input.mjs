// Bad input: each case ends as a failed or blocked run with a reason a person can act on, in the run,
// in Jira and in the log; the worker goes on with the next run.
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { git } from '../sample/sample.mjs';
import { assert, bash, create, finish, finishTests, goodTurns, replace, say, test, tinyProject, until, use, world } from './harness.mjs';

const w = await world({
	repos: {
		GOOD: { files: tinyProject(), name: 'good' },
		GONE: { name: 'gone' },
		SHUT: { files: tinyProject(), name: 'shut' },
		ODD: { files: tinyProject(), name: 'odd' },
		LOOP: { files: tinyProject(), name: 'loop' },
		SLOW: { files: tinyProject(), name: 'slow' },
	},
	settings: {
		AIRUNNER_MAX_TURNS: 12, AIRUNNER_NOTICE_TURNS: 8, AIRUNNER_TEST_TIMEOUT_S: 8, AIRUNNER_QUICK_TEST_TIMEOUT_S: 8,
		AIRUNNER_COMMAND_TIMEOUT_S: 1, AIRUNNER_HEAL_ROUNDS: 1, AIRUNNER_LLM_STALL_S: 5, AIRUNNER_LLM_TIMEOUT_S: 20,
	},
});
let good = 0;

/**
 * One case: the run ends in one of `states`, its reason matches `words` in the run, in Jira (a comment,
 * and the issue is with the person, Blocked) and in the log, and the next run completes.
 */
async function badInput(name, key, { states = ['failed', 'blocked'], words, jira = true, prepare = async () => {}, turns = goodTurns(), script = {}, assign, timeoutMs }) {
	let ended = {};
	await test(name, async () => {
		await prepare();
		if (turns) await w.script(key, turns, script);
		if (jira) await w.issue(key);
		const logged = w.logText('worker').length;
		const id = assign ? await assign() : await w.assign(key);
		const run = await w.waitRun(id, undefined, timeoutMs ?? 60000);
		assert.ok(states.includes(run.status), `${run.status}: ${run.last_error}`);
		assert.match(run.last_error ?? '', words);
		if (jira) {
			const issue = await until('Jira says so', 10000, async () => {
				const now = await w.jiraIssue(key);
				return now.comments.length > 0 ? now : null;
			});
			assert.match(issue.comments.map((c) => c.text).join('\n'), words);
			assert.equal(issue.status, 'Blocked');
			assert.equal(issue.assignee, '5b10ac8d82e05b22cc7d4ef5');
		}
		assert.match(w.logText('worker').slice(logged), words);
		good += 1;
		const next = await w.work(`GOOD-${good}`, goodTurns());
		assert.equal(next.status, 'completed', `the next run: ${next.last_error}`);
		ended = run;
	});
	return ended;
}

const webhook = (key) => async () => {
	const { keptSecret } = await import('../run/standins.mjs');
	const answer = await fetch(`${w.url}/webhook/jira`, {
		method: 'POST', body: JSON.stringify({ event_type: 'issue_assigned', issue_key: key }),
		headers: { 'x-moveware-webhook-secret': keptSecret(w.state, 'jira-webhook-secret') },
	});
	return (await answer.json()).run_id;
};

await badInput('an issue that Jira does not know', 'GOOD-404', { jira: false, turns: null, assign: webhook('GOOD-404'), words: /GOOD-404.*(does not exist|not see)/s });
await badInput('an issue whose project is routed to no repository', 'NOWHERE-1', { words: /NOWHERE.*(repos\.json|repository)/s });
await badInput('a repository that is not there', 'GONE-1', { words: /gone/ });
await badInput('a repository that takes no push', 'SHUT-1', {
	words: /shut.*(denied|permission|refused|cannot|failed)/is,
	prepare: async () => {
		for (const folder of ['refs/heads', 'refs/tags', 'objects']) chmodSync(join(w.repos.SHUT.bare, folder), 0o555);
	},
});
await badInput('a model that answers with words instead of work', 'ODD-1', { turns: [say('I would rather not.')], script: { then: 'repeat_last' }, words: /model|turns|answer/i });
await badInput('a model that calls tools that do not exist with broken input', 'ODD-2', { turns: [use('launch_rocket', { when: 7 })], script: { then: 'repeat_last' }, words: /launch_rocket/ });
await badInput('a model whose answer breaks off again and again', 'ODD-3', {
	turns: [{ ...create('x.md', 'x'.repeat(400)), cut_input: true }], script: { then: 'repeat_last' }, words: /answer|turn|Claude|Anthropic|model/i,
});
await badInput('a model that refuses the request for good', 'ODD-4', { turns: [{ text: 'no', fault: { kind: 'status', status: 400, count: -1 } }], words: /400|invalid/i });
await badInput('a model that looks at the same file for ever', 'LOOP-1', { turns: [use('view', { path: 'src.js' })], script: { then: 'repeat_last' }, words: /same result: view|12 turns/ });
await badInput('a model whose command never ends and that never finishes', 'LOOP-2', { turns: [bash('sleep 600')], script: { then: 'repeat_last' }, words: /does not get on|12 turns/, timeoutMs: 120000 });
const wandering = await badInput('a model that always does something new and never finishes', 'LOOP-4', {
	states: ['blocked'], turns: Array.from({ length: 30 }, (_, n) => create(`file-${n}.md`, 'x\n')), words: /12 turns|turns.*12/,
});
await test('the work of a run that passed its limit is kept as a draft', async () => {
	const branch = git(w.repos.LOOP.bare, 'branch', '--list', 'ai/loop-4', '--format=%(refname:short)');
	assert.equal(branch, 'ai/loop-4');
	assert.match(git(w.repos.LOOP.bare, 'ls-tree', '--name-only', branch), /file-5\.md/);
	const run = await w.api(`/api/runs/${wandering.run_id}`);
	assert.ok(run.json.pr_url, 'no pull request');
	assert.ok((await w.control('/github/pulls')).find((pull) => pull.head.ref === 'ai/loop-4' || pull.head === 'ai/loop-4')?.draft);
});
await badInput('a model that finishes with nothing changed', 'LOOP-3', { turns: [finish('Nothing to do.')], words: /chang/i });
await badInput('tests that hang since the edit', 'SLOW-1', {
	turns: [replace('src.js', '() => 42', '() => { for (;;); }'), finish(), create('more.md', 'y\n'), finish('Not my fault.')], words: /8 s|time/i, timeoutMs: 120000,
});

await finishTests();
