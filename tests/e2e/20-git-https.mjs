// Push and fetch by https: nginx with git http-backend (fcgiwrap) on loopback, a certificate authority
// of its own, a token wanted. Right token, wrong token, and a server that refuses the push.
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { git } from '../sample/sample.mjs';
import { gitServer } from './git-server.mjs';
import { STATE, assert, filesWith, finishTests, goodTurns, sleep, test, tinyProject, until, world } from './harness.mjs';

const TOKEN = `ghp_${randomBytes(20).toString('hex')}`;
const folder = join(STATE, 'test/20-git-server');
const server = await gitServer(folder, TOKEN);
const urlOf = (name) => `https://127.0.0.1:${server.port}/test/${name}.git`;
const repo = (name) => ({ files: tinyProject(), name, bare: join(folder, 'repos/test', `${name}.git`), url: urlOf(name) });
const https = (token) => ({ GH_TOKEN: token, AIRUNNER_CA_FILE: join(folder, 'ca.pem') });
const w = await world({ repos: { GOOD: repo('good'), HOOK: repo('hook') }, settings: https(TOKEN) });
for (const name of ['good', 'hook']) git(join(folder, 'repos/test', `${name}.git`), 'config', 'http.receivepack', 'true');

/** Command lines and environments of all processes that we may read, while `body` runs. */
async function watchProcesses(body) {
	const found = new Set();
	let on = true;
	const watch = (async () => {
		while (on) {
			for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
				for (const file of ['cmdline', 'environ']) {
					try {
						const text = readFileSync(`/proc/${pid}/${file}`, 'latin1');
						if (text.includes(TOKEN) && Number(pid) !== process.pid) found.add(`${file} of ${text.slice(0, 60)}`);
					} catch { /* gone, or not ours */ }
				}
			}
			await sleep(20);
		}
	})();
	await body();
	on = false;
	await watch;
	return [...found];
}

await test('with the right token the branch arrives and the pull request is opened', async () => {
	const leaks = await watchProcesses(async () => {
		const run = await w.work('GOOD-1', goodTurns());
		assert.equal(run.status, 'completed', run.last_error);
		assert.ok(run.pr_url);
	});
	const bare = w.repos.GOOD.bare;
	assert.equal(git(bare, 'diff', '--name-only', 'main', 'ai/good-1'), 'notes.md');
	assert.match(git(bare, 'tag', '--list'), /^rollback\/good-1\//);
	assert.match(server.accessLog(), /x-access-token .*POST \/test\/good\.git\/git-receive-pack.* 200 /);
	assert.deepEqual(leaks, [], 'the token was seen in a process list');
});

await test('a refusal by the pre-receive hook ends blocked with the server\'s words', async () => {
	const hook = join(w.repos.HOOK.bare, 'hooks/pre-receive');
	mkdirSync(join(hook, '..'), { recursive: true });
	writeFileSync(hook, '#!/bin/sh\necho "Branches need a ticket from the release office." >&2\nexit 1\n');
	chmodSync(hook, 0o755);
	const run = await w.work('HOOK-1', goodTurns());
	assert.equal(run.status, 'blocked', run.last_error);
	assert.match(run.last_error, /Branches need a ticket from the release office/);
	assert.match((await w.comments('HOOK-1')).join('\n'), /Branches need a ticket from the release office/);
	assert.equal((await w.jiraIssue('HOOK-1')).status, 'Blocked');
	assert.match(w.logText('worker'), /Branches need a ticket from the release office/);
	assert.equal(git(w.repos.HOOK.bare, 'branch', '--list', 'ai/*'), '');
	assert.equal((await w.work('GOOD-2', goodTurns('next.md'))).status, 'completed');
});

await test('the token is in no file but the credential\'s own, in no log and in no prompt', async () => {
	assert.ok(existsSync(join(w.secrets, 'GH_TOKEN')));
	assert.deepEqual(filesWith(w.state, TOKEN, [join(w.secrets, 'GH_TOKEN'), join(w.state, 'run/standin.json')]), []);
	assert.deepEqual(filesWith(folder, TOKEN), []);
	for (const request of await w.requests()) {
		if (request.service !== 'github') assert.ok(!JSON.stringify(request).includes(TOKEN), `${request.service} ${request.path}`);
	}
	const rows = await w.sql("SELECT COUNT(*) AS n FROM run_messages WHERE content LIKE '%ghp\\_%'");
	assert.equal(rows[0].n, '0');
});

const wrong = await world({ repos: { WRONG: { ...repo('wrong') } }, settings: https('ghp_wrong'), suffix: '-wrong' });

await test('a wrong token ends after one retry, and says what to do', async () => {
	const run = await wrong.work('WRONG-1', goodTurns());
	assert.ok(['failed', 'blocked'].includes(run.status), run.status);
	assert.match(run.last_error, /GH_TOKEN|token/i);
	const tries = server.accessLog().split('\n').filter((line) => line.includes('/test/wrong.git/'));
	assert.ok(tries.length >= 1 && tries.length <= 4, `${tries.length} requests:\n${tries.join('\n')}`);
	assert.ok(tries.filter((line) => line.includes(' x-access-token ')).length <= 2, tries.join('\n'));
	assert.match((await wrong.comments('WRONG-1')).join('\n'), /token/i);
});

await server.stop();
await finishTests();
