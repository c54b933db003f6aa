// The main job: the sample sub-task of `make run` becomes a pull request, and what is claimed about it
// is looked at from outside: in Jira, in a new clone, in the run's rows.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { SAMPLE, git, sampleIssues } from '../sample/sample.mjs';
import { TREE, assert, finishTests, test, world } from './harness.mjs';

const w = await world({
	repos: { DEMO: { folder: join(TREE, 'tests/sample/project'), name: SAMPLE.name } },
	issues: sampleIssues(), scripts: [SAMPLE.scripts],
});
const scratch = join(w.state, 'scratch');
const npmEnv = { ...process.env, CI: 'true' };
let run;

/** Files of a tree or commit of a repository, unpacked. */
function unpack(repository, id, name) {
	const folder = join(scratch, name);
	mkdirSync(folder, { recursive: true });
	execFileSync('sh', ['-c', 'git --git-dir="$1" archive "$2" | tar -x -C "$3"', 'sh', repository, id, folder]);
	return folder;
}

function npm(folder, ...args) {
	try {
		return { code: 0, out: execFileSync('npm', args, { cwd: folder, env: npmEnv, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }) };
	} catch (e) {
		return { code: e.status, out: `${e.stdout}${e.stderr}` };
	}
}

await test('the assigned sub-task is completed with a pull request', async () => {
	const id = await w.assign(SAMPLE.key);
	run = await w.waitRun(id);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(run.run_id, 1);
	assert.match(run.pr_url, /^http.*\/pull\/1$/);
	assert.equal(run.branch, SAMPLE.branch);
});

await test('its metrics have tokens, cached tokens and cost', async () => {
	const m = run.metrics;
	for (const name of ['total_input_tokens', 'total_output_tokens', 'cached_tokens', 'estimated_cost', 'duration_seconds', 'files_changed', 'lines_added']) {
		assert.ok(m[name] > 0, `${name} is ${m[name]}`);
	}
	assert.equal(m.self_heal_attempts, 1);
	assert.equal(m.success, true);
});

await test('Jira has the pull request in a comment, the new status and the person', async () => {
	const issue = await w.jiraIssue(SAMPLE.key);
	const comments = await w.comments(SAMPLE.key);
	assert.ok(comments.some((text) => text.includes(run.pr_url)), JSON.stringify(comments));
	assert.equal(issue.status, 'In Testing');
	assert.equal(issue.assignee, '5b10ac8d82e05b22cc7d4ef5');
});

await test('the branch, cloned anew, installs and passes its tests outside the worker', async () => {
	git(w.state, 'clone', '--quiet', '--branch', SAMPLE.branch, w.repos.DEMO.bare, join(scratch, 'clone'));
	const clone = join(scratch, 'clone');
	assert.match(git(clone, 'log', '-1', '--format=%s'), /^DEMO-2: /);
	assert.equal(git(clone, 'diff', '--name-only', 'origin/main', 'HEAD'), 'src/index.ts\nsrc/slugify.ts\ntest/slugify.test.ts');
	const installed = npm(clone, 'ci', '--ignore-scripts');
	assert.equal(installed.code, 0, installed.out);
	const tested = npm(clone, 'test');
	assert.equal(tested.code, 0, tested.out);
	assert.match(tested.out, /pass 6/);
});

await test('the tree at the rollback tag lacks the change', async () => {
	const tags = git(w.repos.DEMO.bare, 'tag', '--list', 'rollback/*').split('\n');
	assert.equal(tags.length, 1);
	assert.match(tags[0], /^rollback\/demo-2\/\d{8}-\d{6}$/);
	assert.equal(git(w.repos.DEMO.bare, 'cat-file', '-t', tags[0]), 'tag');
	assert.ok(!git(w.repos.DEMO.bare, 'ls-tree', '-r', '--name-only', tags[0]).includes('slugify'));
	assert.ok(git(w.repos.DEMO.bare, 'ls-tree', '-r', '--name-only', SAMPLE.branch).includes('src/slugify.ts'));
});

await test('the first edit, kept in the run\'s rows, fails the type check', async () => {
	const [first] = await w.sql("SELECT result FROM run_steps WHERE run_id = 1 AND step = 'verify' ORDER BY id LIMIT 1");
	const { tree, ok } = JSON.parse(first.result);
	assert.equal(ok, false);
	const rows = await w.sql('SELECT DISTINCT tree FROM run_messages WHERE run_id = 1 AND tree IS NOT NULL ORDER BY seq');
	assert.ok(rows.some((row) => row.tree === tree), 'the snapshots of the conversation do not hold it');
	const folder = unpack(join(w.repos.DEMO.workdir, 'store.git'), tree, 'first');
	assert.equal(npm(folder, 'ci', '--ignore-scripts').code, 0);
	const checked = npm(folder, 'exec', '--offline', '--', 'tsc', '--noEmit');
	assert.notEqual(checked.code, 0);
	assert.match(checked.out, /src\/slugify\.ts\(5,\d+\): error TS2322/);
});

await test('category and hint of that failure are in the run\'s events', async () => {
	const events = await w.events(1);
	const found = events.find((event) => JSON.stringify(event.meta).includes('type_error'));
	assert.ok(found, events.map((e) => `${e.stage}: ${e.message} ${JSON.stringify(e.meta)}`).join('\n'));
	assert.match(JSON.stringify(found.meta), /"hint": ?"[^"]{20,}/);
	const stages = new Set(events.map((event) => event.stage));
	for (const stage of ['claimed', 'analyzing', 'executing', 'verifying', 'committing', 'completed']) {
		assert.ok(stages.has(stage), `no event of stage ${stage}: ${[...stages]}`);
	}
});

await test('the pull request is a draft from the Story\'s branch to main and says what was done', async () => {
	const [created] = (await w.requests('?service=github&method=POST')).filter((r) => /\/pulls$/.test(r.path));
	const body = typeof created.body === 'string' ? JSON.parse(created.body) : created.body;
	assert.equal(body.head.replace(/^.*:/, ''), SAMPLE.branch);
	assert.equal(body.base, 'main');
	assert.equal(body.draft, true);
	assert.match(body.title, /^DEMO-[12]: /);
	assert.match(body.body, /DEMO-2/);
});

await test('every turn is a row, and the model was never sent a changed conversation', async () => {
	const rows = await w.sql('SELECT conv, seq, role, read_tokens FROM run_messages WHERE run_id = 1 ORDER BY conv, seq');
	assert.equal(rows[0].role, 'prefix');
	assert.equal(rows.filter((row) => row.role === 'assistant').length, 8);
	const calls = await w.requests('?service=anthropic');
	assert.deepEqual(calls.filter((call) => call.status !== 200).map((call) => call.note), []);
	assert.equal(calls.length, 8);
	assert.ok(rows.filter((row) => row.role === 'assistant').slice(1).every((row) => Number(row.read_tokens) > 0), 'a turn read nothing from the cache');
});

await test('a command of the model\'s was refused the network', async () => {
	const [row] = await w.sql("SELECT content FROM run_messages WHERE run_id = 1 AND role = 'user' AND content LIKE '%network re%'");
	assert.match(row.content, /network refused: E/);
	assert.doesNotMatch(row.content, /network reached/);
});

await test('every write to Jira and the forge stands in the outbox as done', async () => {
	const rows = await w.sql('SELECT effect_key, kind, state FROM outbox WHERE run_id = 1');
	assert.ok(rows.length >= 4, JSON.stringify(rows));
	assert.deepEqual(rows.filter((row) => row.state !== 'done'), []);
	assert.equal(new Set(rows.map((row) => row.effect_key)).size, rows.length);
	const writes = (await w.requests()).filter((r) => ['jira', 'github'].includes(r.service) && r.method !== 'GET');
	assert.equal(writes.length, rows.length, JSON.stringify(writes.map((r) => `${r.method} ${r.path}`)));
});

await test('the webhook that our own changes cause does no second work', async () => {
	const before = await w.sql('SELECT COUNT(*) AS n FROM runs');
	const later = await w.control(`/jira/issues/${SAMPLE.key}/act`, { comment: 'Thank you!' });
	assert.equal(later.webhooks[0].status, 200);
	const [row] = await w.sql('SELECT MAX(id) AS id FROM runs');
	const noop = await w.waitRun(Number(row.id));
	assert.equal(noop.status, 'completed');
	assert.ok(!noop.pr_url, 'a NOOP has no pull request');
	assert.equal((await w.requests('?service=anthropic')).length, 8);
	assert.ok(Number(before[0].n) >= 1);
});

await finishTests();
