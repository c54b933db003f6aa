// The webhook's front door: real Jira bodies, signatures, ages, sizes, methods, through nginx.
import { createHmac } from 'node:crypto';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SPECS } from '../paths.mjs';
import { keptSecret } from '../run/standins.mjs';
import { assert, finishTests, skip, test, world } from './harness.mjs';

const w = await world({ worker: false, settings: { AIRUNNER_WEBHOOK_MAX_AGE_S: 0 } });
const aged = await world({ worker: false, suffix: '-aged' });
const secret = keptSecret(w.state, 'jira-webhook-secret');
const agedSecret = keptSecret(aged.state, 'jira-webhook-secret');

const signature = (body, key) => `sha256=${createHmac('sha256', key).update(body).digest('hex')}`;

async function post(to, body, headers, path = '/webhook/jira') {
	const answer = await fetch(to.url + path, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
	const text = await answer.text();
	return { status: answer.status, type: answer.headers.get('content-type'), json: text.startsWith('{') ? JSON.parse(text) : null, text };
}
const signed = (to, key, body, headers = {}) => post(to, body, { 'x-hub-signature': signature(body, key), ...headers });
const flat = (more) => JSON.stringify({ event_type: 'issue_assigned', issue_key: 'HOOK-1', ...more });
const runs = async (to) => Number((await to.sql('SELECT COUNT(*) AS n FROM runs'))[0].n);

const bodies = join(SPECS, 'jira-webhooks');
if (existsSync(bodies)) {
	await test('of 55 real bodies 52 are taken, and 3 comment bodies without an issue are told what is missing', async () => {
		const files = readdirSync(bodies).filter((name) => name.endsWith('.json'));
		assert.equal(files.length, 55);
		const runOf = new Map();
		const refused = [];
		for (const file of files) {
			const answer = await signed(w, secret, readFileSync(join(bodies, file)));
			if (answer.status === 200) {
				assert.equal(answer.json.ok, true);
				assert.ok(answer.json.run_id > 0);
				const { issue } = JSON.parse(readFileSync(join(bodies, file), 'utf8'));
				const before = runOf.get(issue.key ?? issue.id);
				if (before) assert.equal(answer.json.run_id, before, `${file}: another run for the same issue`);
				runOf.set(issue.key ?? issue.id, answer.json.run_id);
			} else {
				assert.equal(answer.status, 400, `${file}: ${answer.text}`);
				assert.match(answer.json.error, /issue/i);
				refused.push(file);
			}
		}
		assert.equal(refused.length, 3, refused.join(', '));
		assert.ok(refused.every((file) => file.includes('comment')));
		assert.equal(await runs(w), new Set(runOf.values()).size);
	});
} else skip('of 55 real bodies 52 are taken', `${SPECS}/jira-webhooks is not there`);

await test('the issue key is found in the four places the Python system looked', async () => {
	const seen = [];
	for (const body of [{ issue_key: 'PLACE-1' }, { issueKey: 'PLACE-2' }, { issue: { key: 'PLACE-3' } }, { issue: { id: '10044' } }]) {
		const answer = await signed(w, secret, JSON.stringify(body));
		assert.equal(answer.status, 200, answer.text);
		seen.push(answer.json.run_id);
	}
	const rows = await w.sql(`SELECT issue_key, repo_id FROM runs WHERE id IN (${seen.join(',')}) ORDER BY id`);
	assert.deepEqual(rows.map((row) => row.issue_key), ['PLACE-1', 'PLACE-2', 'PLACE-3', '10044']);
});

await test('the secret in its own header is taken as the Python system took it', async () => {
	const answer = await post(w, flat({ issue_key: 'PLAIN-1' }), { 'x-moveware-webhook-secret': secret });
	assert.equal(answer.status, 200, answer.text);
});

await test('wrong, missing, short and foreign signatures are refused and leave nothing', async () => {
	const before = await runs(w);
	const body = flat({ issue_key: 'EVIL-1' });
	const good = signature(body, secret);
	const cases = {
		'no header': {},
		'wrong secret': { 'x-moveware-webhook-secret': `${secret}x` },
		'prefix of the secret': { 'x-moveware-webhook-secret': secret.slice(0, -1) },
		'empty secret': { 'x-moveware-webhook-secret': '' },
		'signature by another secret': { 'x-hub-signature': signature(body, 'other') },
		'signature of another body': { 'x-hub-signature': signature(`${body} `, secret) },
		'short signature': { 'x-hub-signature': good.slice(0, -2) },
		'another algorithm': { 'x-hub-signature': `sha1=${createHmac('sha1', secret).update(body).digest('hex')}` },
		'no algorithm': { 'x-hub-signature': good.slice(7) },
		'one digit changed': { 'x-hub-signature': good.slice(0, -1) + (good.endsWith('0') ? '1' : '0') },
		'right secret, wrong signature': { 'x-moveware-webhook-secret': `${secret} `.trim().toUpperCase(), 'x-hub-signature': 'sha256=' },
	};
	for (const [what, headers] of Object.entries(cases)) {
		const answer = await post(w, body, headers);
		assert.equal(answer.status, 401, `${what}: ${answer.status} ${answer.text}`);
		assert.match(answer.type, /application\/problem\+json/);
		assert.ok(answer.json.error && answer.json.title, answer.text);
	}
	assert.equal(await runs(w), before);
	assert.equal((await w.sql("SELECT COUNT(*) AS n FROM deliveries WHERE issue_key = 'EVIL-1'"))[0].n, '0');
});

await test('an empty JIRA_WEBHOOK_SECRET refuses everything', async () => {
	const body = flat({ issue_key: 'EMPTY-1' });
	for (const headers of [{ HTTP_X_MOVEWARE_WEBHOOK_SECRET: '' }, { HTTP_X_HUB_SIGNATURE: signature(body, '') }]) {
		const env = { ...w.programEnv('H', 'hook'), JIRA_WEBHOOK_SECRET: '', REQUEST_METHOD: 'POST', PATH_INFO: '/webhook/jira', SCRIPT_NAME: '',
			REQUEST_URI: '/webhook/jira', CONTENT_TYPE: 'application/json', CONTENT_LENGTH: String(body.length), ...headers };
		delete env.JIRA_WEBHOOK_SECRET_FILE;
		const out = await new Promise((resolve) => {
			const child = execFile(join(w.build, 'airunner-webhook'), { env }, (_, stdout, stderr) => resolve(stdout + stderr));
			child.stdin.on('error', () => {});
			child.stdin.end(body);
		});
		assert.match(out, /^Status: 401/m, out);
	}
});

await test('what is no JSON object with an issue is a 400 that says so', async () => {
	for (const body of ['', 'hello', '[]', '{}', '{"issue":{}}', '{"issue_key":""}', '{"issue_key":"no key at all"}', `{"a":${'['.repeat(3000)}`, '{"issue_key":"A-1","issue_key":"A-2"}', '{"issue_key":"A-\u0000"}']) {
		const answer = await signed(w, secret, body);
		assert.equal(answer.status, 400, `${body.slice(0, 40)}: ${answer.status} ${answer.text}`);
		assert.ok(answer.json.error, answer.text);
	}
});

await test('2 MiB are taken, more is 413, and other methods are 405', async () => {
	const big = (n) => JSON.stringify({ issue_key: 'BIG-1', pad: 'x'.repeat(n) });
	assert.equal((await signed(w, secret, big(2 * 1024 * 1024 - 100))).status, 200);
	assert.equal((await signed(w, secret, big(2 * 1024 * 1024 + 1))).status, 413);
	const got = await fetch(`${w.url}/webhook/jira`);
	assert.equal(got.status, 405);
	assert.match(got.headers.get('allow') ?? '', /POST/);
});

await test('a body older than a day is refused, one without a timestamp is not', async () => {
	const hours = (n) => Date.now() - n * 3600 * 1000;
	assert.equal((await signed(aged, agedSecret, flat({ issue_key: 'AGE-1', timestamp: hours(23) }))).status, 200);
	const old = await signed(aged, agedSecret, flat({ issue_key: 'AGE-2', timestamp: hours(25) }));
	assert.ok(old.status >= 400 && old.status < 500, old.text);
	assert.equal((await signed(aged, agedSecret, flat({ issue_key: 'AGE-3' }))).status, 200);
});

await finishTests();
