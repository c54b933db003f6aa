// What a run has done outside, judged: each effect exactly once. Used by the fault harnesses
// (tests/e2e/9x-*.mjs).
import { sleep } from '../run/parts.mjs';
import { git } from '../sample/sample.mjs';

const lines = (text) => text.split('\n').filter(Boolean);

/** Identical requests to the model of one run, beyond the first, that were answered whole. */
export async function askedTwice(w, key) {
	const asked = (await w.requests('?service=anthropic&method=POST'))
		.filter((r) => r.status === 200 && JSON.stringify(r.body).includes(`Please do ${key}.`))
		.map((r) => (typeof r.body === 'string' ? r.body : JSON.stringify(r.body)));
	return asked.length - new Set(asked).size;
}

/** What stands outside of one run: counts of its effects. */
export async function effectsOf(w, { key, id, bare }) {
	const branch = `ai/${key.toLowerCase()}`;
	const jira = await w.requests(`?service=jira&path_contains=${key}`);
	const pulls = (await w.requests('?service=github&method=POST'))
		.filter((r) => /\/pulls$/.test(r.path) && r.status === 201 && JSON.stringify(r.body).includes(`"${branch}"`));
	const there = git(bare, 'branch', '--list', branch) !== '';
	return {
		comments: (await w.comments(key)).filter((text) => text.includes(`run ${id} ·`)).length,
		transitions: jira.filter((r) => r.method === 'POST' && r.path.endsWith('/transitions') && r.status < 300).length,
		tags: lines(git(bare, 'tag', '--list', `rollback/${key.toLowerCase()}/*`)).length,
		commits: there ? Number(git(bare, 'rev-list', '--count', `main..${branch}`)) : 0,
		pulls: pulls.length,
	};
}

/** What a run left in the outbox is sent by the drainer: waits until it has been. */
export async function settled(w, id, timeoutMs = 60000) {
	for (const end = Date.now() + timeoutMs; Date.now() < end; await sleep(100)) {
		const open = await w.sql(`SELECT id FROM outbox WHERE run_id = ${id} AND state IN ('waiting', 'sending')`);
		if (open.length === 0) return;
		// A call whose end is not known is looked up after 30 s; nobody needs to wait so long here.
		await w.sql(`UPDATE outbox SET send_until = NOW(3) WHERE run_id = ${id} AND state = 'waiting' AND send_until > NOW(3)`);
	}
}

/**
 * Everything that is wrong with the end of a run that was to complete, as words.
 * @param askedTwice how many answers may have been asked for twice; null: any
 */
export async function wrongEnd(w, { key, id, bare, row, askedTwice: wanted = 0 }) {
	const wrong = [];
	await settled(w, id);
	const expect = (what, is, right) => is === right || wrong.push(`${what}: ${is}, not ${right}`);
	expect(`status (${row.reason ?? ''})`, row.status, 'completed');
	for (const [what, n] of Object.entries(await effectsOf(w, { key, id, bare }))) expect(what, n, 1);
	expect('status in Jira', (await w.jiraIssue(key)).status, 'In Testing');
	const open = await w.sql(`SELECT effect_key, state FROM outbox WHERE run_id = ${id} AND state <> 'done'`);
	expect('open outbox rows', JSON.stringify(open), '[]');
	if (wanted !== null) expect('answers asked for twice', await askedTwice(w, key), wanted);
	return wrong;
}
