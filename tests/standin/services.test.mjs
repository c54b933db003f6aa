// Jira, its webhooks, and GitHub in the stand-in, with plain requests. Prints TAP. Env: STANDIN_BIN.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, sleep, start } from './standin.mjs';

// ---- what receives the webhooks: answers from a list of statuses, then 200 ----

const received = [];
let statuses = [];
const receiver = createServer((request, response) => {
	const parts = [];
	request.on('data', (p) => parts.push(p));
	request.on('end', () => {
		received.push({ headers: request.headers, raw: Buffer.concat(parts) });
		response.writeHead(statuses.shift() ?? 200, { 'content-type': 'application/json' });
		response.end(JSON.stringify({ ok: true, run_id: received.length }));
	});
});
await new Promise((done) => receiver.listen(0, '127.0.0.1', done));
receiver.unref();

const secret = "It's a Secret to Everybody";
const standin = await start({
	jira: {
		email: 'ai@example.com', token: 'jira-token', ai_account: 'ai-1', human_account: 'human-1', webhook_secret: secret,
		webhook_url: `http://127.0.0.1:${receiver.address().port}/webhook/jira`, webhook_retry_ms: 20,
		issues: [
			{ key: 'DEMO-1', type: 'Story', status: 'In Progress', summary: 'The story' },
			{ key: 'DEMO-2', type: 'Sub-task', parent: 'DEMO-1', status: 'In Progress', summary: 'The "sub-task"',
				description: '# Task\nDo *it*.\n- one\n- two\n```js\nlet a;\n```', labels: ['high'], comments: ['first'] },
			{ key: 'DEMO-3', summary: 'secret', hidden: true },
		],
	},
	github: { token: 'gh-token' },
});
const { base, control } = standin;

async function jira(method, path, body, headers = {}) {
	const answer = await fetch(`${base}/jira/rest/api/3${path}`, {
		method,
		headers: { authorization: `Basic ${btoa('ai@example.com:jira-token')}`, ...(body && { 'content-type': 'application/json' }), ...headers },
		body: body && JSON.stringify(body),
	});
	const text = await answer.text();
	return { status: answer.status, headers: answer.headers, json: text ? JSON.parse(text) : null };
}
const doc = (...content) => ({ type: 'doc', version: 1, content });
const text = (t, ...marks) => ({ type: 'text', text: t, ...(marks.length && { marks: marks.map((type) => ({ type })) }) });
const para = (...content) => ({ type: 'paragraph', content });

// ---- GitHub: a bare repository with branches ----

const git = (...args) => execFileSync('git', ['-c', 'user.name=n', '-c', 'user.email=n@example.com', '-c', 'init.defaultBranch=main', ...args],
	{ cwd: standin.dir, stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' }).trim();
const in_work = (...args) => git('-C', 'work', ...args);
git('init', '-q', '--bare', 'bare.git');
git('clone', '-q', 'bare.git', 'work');
in_work('checkout', '-q', '-b', 'main');
writeFileSync(join(standin.dir, 'work', 'a'), 'one\n');
in_work('add', '.');
in_work('commit', '-qm', 'one');
in_work('push', '-q', 'origin', 'main', 'main:same');
in_work('checkout', '-q', '-b', 'ai/demo-2');
writeFileSync(join(standin.dir, 'work', 'a'), 'one\ntwo\n');
in_work('commit', '-qam', 'two');
await control('PATCH', '/config', { github: { repos: { 'own/rep': join(standin.dir, 'bare.git') } } });

async function github(method, path, body, headers = {}) {
	const answer = await fetch(`${base}/github${path}`, {
		method,
		headers: { authorization: 'Bearer gh-token', 'user-agent': 'test', 'x-github-api-version': '2022-11-28', ...headers },
		body: body && JSON.stringify(body),
	});
	return { status: answer.status, headers: answer.headers, json: await answer.json().catch(() => null) };
}
const pull = (more) => github('POST', '/repos/own/rep/pulls', { title: 'T', head: 'ai/demo-2', base: 'main', body: 'b', draft: true, ...more });

const tests = {
	async jira_wants_the_right_account() {
		assert.equal((await jira('GET', '/myself')).json.accountId, 'ai-1');
		assert.equal((await jira('GET', '/myself', null, { authorization: `Basic ${btoa('ai@example.com:x')}` })).status, 401);
		assert.equal((await jira('GET', '/myself', null, { authorization: '' })).status, 401);
	},
	async jira_shows_an_issue_with_parent_status_and_document() {
		const { json } = await jira('GET', '/issue/DEMO-2');
		const f = json.fields;
		assert.equal(f.parent.key, 'DEMO-1');
		assert.equal(f.status.statusCategory.key, 'indeterminate');
		assert.deepEqual([f.issuetype.subtask, f.issuetype.hierarchyLevel], [true, -1]);
		assert.deepEqual(f.description.content.map((n) => n.type), ['heading', 'paragraph', 'bulletList', 'codeBlock']);
		assert.equal(f.comment.comments[0].body.content[0].content[0].text, 'first');
		assert.deepEqual(Object.keys((await jira('GET', `/issue/${json.id}?fields=summary,status`)).json.fields), ['summary', 'status']);
		assert.equal((await jira('GET', '/issue/DEMO-1')).json.fields.subtasks[0].key, 'DEMO-2');
	},
	async jira_hides_unknown_and_hidden_issues_alike() {
		for (const key of ['DEMO-3', 'DEMO-999']) {
			const { status, json } = await jira('GET', `/issue/${key}`);
			assert.equal(status, 404);
			assert.match(json.errorMessages[0], /does not exist or you do not have permission/);
		}
	},
	async jira_takes_documents_and_nothing_else() {
		const post = (body) => jira('POST', '/issue/DEMO-2/comment', { body });
		const plain = await post('a string');
		assert.equal(plain.status, 400);
		assert.match(plain.json.errors.comment, /Operation value must be an Atlassian Document/);
		const bad = [doc(para(text(''))), doc({ type: 'invented' }), doc(para(text('a', 'code', 'strong'))), doc(text('bare')),
			doc({ type: 'heading', attrs: { level: 7 }, content: [text('a')] }), doc({ type: 'bulletList', content: [] }),
			doc({ type: 'bulletList', content: [{ type: 'listItem', content: [{ type: 'heading', attrs: { level: 1 }, content: [text('a')] }] }] }),
			doc({ type: 'codeBlock', content: [text('a', 'strong')] }), doc({ ...para(text('a')), extra: 1 }), doc({ type: 'codeBlock', attrs: { lang: 'c' } }),
			{ type: 'doc', content: [] }, doc(para(text('x'.repeat(32768))))];
		for (const body of bad)
			assert.equal((await post(body)).status, 400, JSON.stringify(body).slice(0, 200));
		const good = [doc(), doc(para()), doc(para(text('a', 'strong', 'em'), { type: 'hardBreak' }, text('b', 'code'))),
			doc({ type: 'codeBlock' }), doc({ type: 'panel', attrs: { panelType: 'info' }, content: [para(text('a'))] }),
			doc({ type: 'table', content: [{ type: 'tableRow', content: [{ type: 'tableCell', content: [para(text('a'))] }] }] }), doc(para(text('x'.repeat(32767))))];
		for (const body of good)
			assert.equal((await post(body)).status, 201, JSON.stringify(body).slice(0, 200));
	},
	async jira_comments_are_listed_edited_and_deleted() {
		const { json } = await jira('POST', '/issue/DEMO-2/comment', { body: doc(para(text('newest'))) });
		const list = await jira('GET', '/issue/DEMO-2/comment?orderBy=-created&maxResults=1');
		assert.deepEqual([list.json.comments.length, list.json.comments[0].id], [1, json.id]);
		assert.ok(list.json.total > 1);
		await jira('PUT', `/issue/DEMO-2/comment/${json.id}`, { body: doc(para(text('edited'))) });
		assert.equal((await control('GET', '/jira/issues/DEMO-2')).comments.at(-1).text, 'edited');
		assert.equal((await jira('DELETE', `/issue/DEMO-2/comment/${json.id}`)).status, 204);
		assert.equal((await jira('GET', `/issue/DEMO-2/comment/${json.id}`)).status, 404);
	},
	async jira_moves_by_transition_id_whose_name_is_not_the_status() {
		const { json } = await jira('GET', '/issue/DEMO-2/transitions');
		const t = json.transitions.find((x) => x.to.name === 'In Testing');
		assert.notEqual(t.name, 'In Testing');
		assert.equal((await jira('POST', '/issue/DEMO-2/transitions', { transition: { id: t.id } })).status, 204);
		assert.equal((await control('GET', '/jira/issues/DEMO-2')).status, 'In Testing');
		assert.match((await jira('POST', '/issue/DEMO-2/transitions', { transition: { id: '999' } })).json.errorMessages[0], /'999' is not valid/);
	},
	async jira_workflow_limits_transitions() {
		await control('PATCH', '/config', { jira: { workflow: { 'In Testing': ['Done'] } } });
		assert.deepEqual((await jira('GET', '/issue/DEMO-2/transitions')).json.transitions.map((t) => t.to.name), ['Done']);
		assert.equal((await jira('POST', '/issue/DEMO-2/transitions', { transition: { id: '41' } })).status, 400);
		await control('PATCH', '/config', { jira: { workflow: null } });
	},
	async jira_assigns_known_accounts() {
		assert.equal((await jira('PUT', '/issue/DEMO-2/assignee', { accountId: 'human-1' })).status, 204);
		assert.equal((await jira('GET', '/issue/DEMO-2')).json.fields.assignee.accountId, 'human-1');
		assert.equal((await jira('PUT', '/issue/DEMO-2/assignee', { accountId: 'nobody' })).status, 404);
		assert.equal((await jira('PUT', '/issue/DEMO-2/assignee', { accountId: null })).status, 204);
	},
	async jira_search_lags_behind_writes() {
		const search = (jql, more) => jira('POST', '/search/jql', { jql, fields: ['summary'], ...more });
		assert.deepEqual((await search('parent = DEMO-1 AND type = Sub-task')).json.issues.map((i) => i.key), ['DEMO-2']);
		await control('PATCH', '/config', { jira: { search_lag_ms: 60000 } });
		const made = await jira('POST', '/issue', { fields: { project: { key: 'DEMO' }, issuetype: { id: '10001' }, summary: 'New', labels: ['unique-1'] } });
		assert.equal(made.status, 201);
		assert.equal((await search('labels = "unique-1"')).json.issues.length, 0);
		assert.equal((await search('labels = "unique-1"', { reconcileIssues: [Number(made.json.id)] })).json.issues.length, 1);
		await control('PATCH', '/config', { jira: { search_lag_ms: 0 } });
		assert.equal((await search('labels in ("unique-1", other)')).json.issues[0].key, made.json.key);
		assert.equal((await search('nonsense = 1')).status, 400);
		assert.equal((await search('')).status, 400);
	},
	async jira_signs_webhooks_over_the_raw_body() {
		received.length = 0;
		const { webhooks, assignee } = await control('POST', '/jira/issues/DEMO-2/act', { assignee: 'ai' });
		assert.equal(assignee, 'ai-1');
		assert.deepEqual(webhooks.map((w) => [w.status, w.answer.run_id]), [[200, 1]]);
		const { headers, raw } = received[0];
		assert.equal(headers['x-hub-signature'], `sha256=${createHmac('sha256', secret).update(raw).digest('hex')}`);
		assert.equal(headers['x-atlassian-webhook-identifier'], webhooks[0].identifier);
		assert.equal(headers['x-atlassian-webhook-retry'], undefined);
		const body = JSON.parse(raw);
		assert.deepEqual([body.webhookEvent, body.issue_event_type_name, body.issue.key], ['jira:issue_updated', 'issue_assigned', 'DEMO-2']);
		assert.equal(body.user.accountId, 'human-1');
		assert.equal(typeof body.issue.fields.description, 'string');
		assert.deepEqual(body.changelog.items.map((i) => [i.fieldId, i.to]), [['assignee', 'ai-1']]);
	},
	async jira_retries_webhooks_with_the_same_identifier() {
		received.length = 0;
		statuses = [503, 429];
		const { webhooks } = await control('POST', '/jira/issues/DEMO-2/act', { comment: 'again' });
		assert.deepEqual(webhooks[0].statuses, [503, 429, 200]);
		assert.equal(new Set(received.map((r) => r.headers['x-atlassian-webhook-identifier'])).size, 1);
		assert.deepEqual(received.map((r) => r.headers['x-atlassian-webhook-retry']), [undefined, '1', '2']);
		assert.equal(JSON.parse(received[0].raw).comment.body, 'again');
		statuses = [401];
		assert.deepEqual((await control('POST', '/jira/issues/DEMO-2/act', { labels: ['low'] })).webhooks[0].statuses, [401]);
	},
	async jira_automation_sends_the_flat_body() {
		received.length = 0;
		await control('POST', '/jira/automation/DEMO-2', { event_type: 'plan_approved', from_status: 'Backlog' });
		assert.equal(received[0].headers['x-moveware-webhook-secret'], secret);
		assert.equal(received[0].headers['x-atlassian-webhook-identifier'], undefined);
		const body = JSON.parse(received[0].raw);
		assert.deepEqual([body.event_type, body.issue_key, body.parent_key, body.from_status], ['plan_approved', 'DEMO-2', 'DEMO-1', 'Backlog']);
	},
	async jira_echoes_the_ai_accounts_writes_only_on_request() {
		received.length = 0;
		const write = () => jira('POST', '/issue/DEMO-2/comment', { body: doc(para(text('by the machine'))) });
		await write();
		await control('PATCH', '/config', { jira: { echo_webhooks: true } });
		await write();
		await control('PATCH', '/config', { jira: { echo_webhooks: false } });
		for (let i = 0; i < 100 && received.length === 0; i++) await sleep(20);
		assert.equal(received.length, 1);
		assert.equal(JSON.parse(received[0].raw).comment.author.accountId, 'ai-1');
	},
	async github_wants_token_and_user_agent() {
		assert.equal((await github('GET', '/repos/own/rep')).json.full_name, 'own/rep');
		assert.equal((await github('GET', '/repos/own/rep', null, { authorization: 'Bearer x' })).json.message, 'Bad credentials');
		assert.equal((await github('GET', '/repos/own/none')).status, 404);
		assert.equal((await github('GET', '/user')).headers.get('x-github-api-version-selected'), '2022-11-28');
	},
	async github_refuses_a_branch_that_the_remote_lacks() {
		const { status, json } = await pull();
		assert.equal(status, 422);
		assert.deepEqual(json.errors[0], { resource: 'PullRequest', code: 'invalid', field: 'head' });
		in_work('push', '-q', 'origin', 'ai/demo-2');
		assert.equal((await pull({ base: 'nope' })).json.errors[0].field, 'base');
		assert.match((await pull({ head: 'same' })).json.errors[0].message, /No commits between main and same/);
	},
	async github_makes_one_draft_and_finds_it_again() {
		const { status, json } = await pull();
		assert.equal(status, 201);
		assert.deepEqual([json.number, json.draft, json.state, json.commits, json.additions], [1, true, 'open', 1, 1]);
		assert.equal(json.head.sha, in_work('rev-parse', 'ai/demo-2'));
		assert.match((await pull()).json.errors[0].message, /A pull request already exists for own:ai\/demo-2/);
		const list = (query) => github('GET', `/repos/own/rep/pulls?${query}`);
		assert.equal((await list('head=own:ai/demo-2&state=open')).json[0].number, 1);
		assert.equal((await list('head=own:main')).json.length, 0);
		assert.equal((await list('state=closed')).json.length, 0);
		assert.match(await (await fetch(json.html_url)).text(), /T #1 \(open, draft\)/);
	},
	async github_changes_title_and_body_but_not_draft() {
		const { json } = await github('PATCH', '/repos/own/rep/pulls/1', { title: 'New', body: 'text', draft: false });
		assert.deepEqual([json.title, json.body, json.draft], ['New', 'text', true]);
		assert.equal((await control('GET', '/github/pulls'))[0].title, 'New');
		await control('PATCH', '/config', { github: { drafts: false } });
		in_work('push', '-q', 'origin', 'ai/demo-2:ai/other');
		assert.match((await pull({ head: 'ai/other' })).json.message, /Draft pull requests are not supported/);
		assert.equal((await pull({ head: 'ai/other', draft: false })).status, 201);
	},
	async faults_strike_as_often_as_told_and_can_come_after_the_work() {
		await control('POST', '/faults', [{ service: 'jira', method: 'POST', path_contains: '/comment', kind: 'status', status: 502, after: true },
			{ service: 'jira', path_contains: '/myself', kind: 'wrong_json', skip: 1 }]);
		const before = (await control('GET', '/jira/issues/DEMO-1')).comments.length;
		assert.equal((await jira('POST', '/issue/DEMO-1/comment', { body: doc(para(text('once'))) }).catch((e) => e)).status, 502);
		assert.equal((await control('GET', '/jira/issues/DEMO-1')).comments.length, before + 1);
		assert.equal((await jira('GET', '/myself')).status, 200);
		await assert.rejects(jira('GET', '/myself'), SyntaxError);
		assert.equal((await jira('GET', '/myself')).status, 200);
	},
	async a_stall_is_felt_and_ends() {
		await control('POST', '/faults', { service: 'jira', kind: 'stall', seconds: 0.4, after_bytes: 10 });
		const from = Date.now();
		assert.equal((await jira('GET', '/myself')).status, 200);
		assert.ok(Date.now() - from >= 390);
	},
	async the_log_masks_secrets_and_keeps_order() {
		await control('DELETE', '/log');
		await jira('GET', '/myself');
		await github('GET', '/user');
		const log = await control('GET', '/log');
		assert.deepEqual(log.map((e) => [e.service, e.path, e.status]), [['jira', '/jira/rest/api/3/myself', 200], ['github', '/github/user', 200]]);
		assert.equal(JSON.stringify(log).includes('gh-token'), false);
		assert.equal(log[1].headers.authorization, '(present)');
	},
	async reset_begins_anew() {
		await control('POST', '/reset');
		assert.equal((await control('GET', '/github/pulls')).length, 0);
		assert.equal((await control('GET', '/jira/issues/DEMO-2')).comments.length, 1);
		assert.equal((await control('GET', '/log')).length, 0);
	},
};

await run(tests, standin.stop);
