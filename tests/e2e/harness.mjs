// What the end-to-end tests share: a world (a whole stack with stand-ins below var/test/NAME), scripts
// for the model, repositories, and words for what is asserted. Every file runs alone:
// `node tests/e2e/10-main.mjs` (as root it goes on as the user that `make test` works as).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { BUILD, STATE, TREE, removeTree } from '../paths.mjs';
import { sanitizerEnv, sanitizerReports } from '../run/sanitizer.mjs';
import { Stack, sleep, until } from '../run/stack.mjs';
import { AI_ACCOUNT, HUMAN_ACCOUNT, keptSecret, standinConfig, standinSettings } from '../run/standins.mjs';
import { makeRepository } from '../sample/sample.mjs';
import { afterEach, done, skip, test } from '../tap.mjs';

if (process.getuid() === 0) {
	const again = spawnSync(join(TREE, 'tests/run/as-user.sh'), [process.execPath, ...process.argv.slice(1)], { stdio: 'inherit' });
	process.exit(again.status ?? 1);
}
if (!existsSync(join(BUILD, 'airunner-api'))) {
	console.error(`${BUILD}/airunner-api is missing: make SAN=1, or set AIRUNNER_BUILD=build`);
	process.exit(1);
}

const name = basename(process.argv[1], '.mjs');
const reports = process.env.AIRUNNER_SANITIZER_DIR ?? join(STATE, 'test/sanitizer', name);
mkdirSync(reports, { recursive: true });
if (!process.env.AIRUNNER_SANITIZER_DIR) {
	rmSync(reports, { recursive: true, force: true });
	mkdirSync(reports, { recursive: true });
	Object.assign(process.env, sanitizerEnv(reports));
}
const seen = new Set();
afterEach(() => {
	const texts = sanitizerReports(reports, seen);
	if (texts.length > 0) throw new Error(`sanitizer report:\n${texts.join('\n').slice(0, 6000)}`);
});

const worlds = [];

/** Settings that make tests quick without changing what is tested. */
const QUICK = { AIRUNNER_RETRY_BASE_MS: 20, AIRUNNER_POLL_MS: 200, AIRUNNER_RECONCILE_S: 0, AIRUNNER_OUTSIDE_PATIENCE_S: 0, LOG_LEVEL: 'DEBUG' };
const ALL = ['jira', 'github', 'anthropic', 'openai'];

export class World extends Stack {
	/**
	 * @param options
	 *   repos     {PROJECT: {folder | files, name, url}}: repositories made of these files; url instead
	 *             of the local path in repos.json
	 *   issues    Jira's at the start          scripts   the model's at the start
	 *   settings  of the programs (object)     worker    false: none is started
	 *   suffix    tells several worlds of one test file apart
	 */
	constructor({ repos = {}, issues = [], scripts = [], settings = {}, suffix = '', ...rest } = {}) {
		const state = join(STATE, 'test', `${name}${suffix}`);
		removeTree(state);
		mkdirSync(state, { recursive: true });
		super({
			state, build: BUILD, say: (text) => console.log(`# ${text}`),
			standin: (self) => {
				const file = join(state, 'run/scripts.json');
				writeFileSync(file, JSON.stringify(scripts.filter((s) => typeof s !== 'string')));
				return standinConfig({
					stack: self, issues, githubToken: settings.GH_TOKEN, scripts: [...scripts.filter((s) => typeof s === 'string'), file],
					repositories: Object.fromEntries(Object.values(self.repos).map((r) => [`test/${r.name}`, r.bare])),
				});
			},
			settings: (self) => ({
				...QUICK, ...standinSettings(ALL, self.standinUrl, state),
				JIRA_WEBHOOK_SECRET: keptSecret(state, 'jira-webhook-secret'),
				REPOS_CONFIG_PATH: join(state, 'run/repos.json'), ...settings,
			}),
			...rest,
		});
		this.repos = {};
		for (const [project, repo] of Object.entries(repos)) this.#repository(project, repo);
		worlds.push(this);
	}

	#repository(project, { folder, files, name: repoName = project.toLowerCase(), url, bare, owner = 'test', workdir = join(this.state, 'work', repoName) }) {
		const path = bare ?? join(this.state, 'repos', `${repoName}.git`);
		if (files) {
			folder = join(this.state, 'files', repoName);
			writeFiles(folder, files);
		}
		if (folder) makeRepository(folder, path);
		this.repos[project] = { name: repoName, bare: path, url: url ?? path, owner, workdir };
	}

	/** Brings it all up. */
	async open() {
		mkdirSync(join(this.state, 'run'), { recursive: true });
		writeFileSync(join(this.state, 'run/repos.json'), JSON.stringify({
			projects: Object.entries(this.repos).map(([key, repo]) => ({
				jira_project_key: key, jira_project_name: key, repo_ssh: repo.url, repo_workdir: repo.workdir,
				base_branch: 'main', repo_owner_slug: repo.owner, repo_name: repo.name,
			})),
		}));
		await this.start();
		return this;
	}

	/** A Task in progress that nobody has yet. */
	issue(key, more = {}) {
		return this.control('/jira/issues', {
			key, type: 'Task', status: 'In Progress', summary: `Work on ${key}`, description: `Please do ${key}.`, ...more,
		});
	}

	/** Jira assigns the issue to the AI account and sends its webhook; answers the run's id. */
	async assign(key, more = {}) {
		const answer = await this.control(`/jira/issues/${key}/act`, { assignee: 'ai', ...more });
		const taken = (answer.webhooks ?? []).find((hook) => hook.status === 200);
		assert.ok(taken, `webhook for ${key} was not taken: ${JSON.stringify(answer.webhooks)}`);
		const [row] = await this.sql(`SELECT MAX(id) AS id FROM runs WHERE issue_key = '${key}'`);
		return Number(row.id);
	}

	/** Issue, script and run in one: answers the ended run. */
	async work(key, turns, { issue = {}, script = {}, timeoutMs } = {}) {
		if (turns) await this.script(key, turns, script);
		await this.issue(key, issue);
		return this.waitRun(await this.assign(key), undefined, timeoutMs);
	}

	/** What the model says when the first user message names the issue. */
	script(key, turns, more = {}) {
		return this.control('/script', { name: key, match: key, turns, ...more });
	}

	jiraIssue(key) {
		return this.control(`/jira/issues/${key}`);
	}

	/** Texts of the comments by the AI account. */
	async comments(key) {
		return (await this.jiraIssue(key)).comments.filter((c) => c.author === AI_ACCOUNT).map((c) => c.text);
	}

	events(runId) {
		return this.sql(`SELECT level, stage, message, meta FROM run_events WHERE run_id = ${Number(runId)} ORDER BY id`)
			.then((rows) => rows.map((row) => ({ ...row, meta: row.meta ? JSON.parse(row.meta) : {} })));
	}

	requests(query = '') {
		return this.control(`/log${query}`);
	}
}

export const world = (options) => new World(options).open();

export function writeFiles(folder, files) {
	for (const [path, text] of Object.entries(files)) {
		mkdirSync(join(folder, path, '..'), { recursive: true });
		writeFileSync(join(folder, path), text);
	}
}

/** A package without dependencies whose test passes while src.js says so. */
export const tinyProject = () => ({
	'package.json': `${JSON.stringify({ name: 'tiny', version: '1.0.0', private: true, scripts: { test: 'node --test test.js' } }, null, 2)}\n`,
	'src.js': 'exports.answer = () => 42;\n',
	'test.js': "const assert = require('node:assert');\nconst { test } = require('node:test');\nconst { answer } = require('./src.js');\ntest('the answer', () => assert.strictEqual(answer(), 42));\n",
});

/** Turns of a model's script. */
export const say = (text) => ({ text });
export const use = (tool, input, text = undefined) => ({ ...(text ? { text } : {}), tools: [{ name: tool, input }] });
export const view = (path) => use('view', { path });
export const create = (path, text) => use('create', { path, text });
export const replace = (path, old, text) => use('str_replace', { path, old, new: text });
export const bash = (command) => use('bash', { command });
/** After a check, as an honest model does: without one finish is asked for twice. */
export const finish = (summary = 'Done as asked.') => ({ tools: [
	{ name: 'bash', input: { command: 'node --check *.js' } }, { name: 'finish', input: { summary } },
] });
/** A harmless change that ends well in the tiny project. */
export const goodTurns = (file = 'notes.md') => [create(file, 'A note.\n'), finish('Added a note.')];

/** Every file below `folder` that holds `needle`, but those in `except`. */
export function filesWith(folder, needle, except = []) {
	return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
		const path = join(folder, entry.name);
		if (except.some((e) => path.startsWith(e))) return [];
		if (entry.isDirectory()) return filesWith(path, needle, except);
		return entry.isFile() && readFileSync(path).includes(needle) ? [path] : [];
	});
}

/** Ends the file: stops the worlds, and counts that as a test of its own. */
export async function finishTests() {
	for (const each of worlds) {
		await test(`everything of ${basename(each.state)} stops and nothing died or stayed behind`, async () => {
			await each.stop();
			assert.deepEqual(each.troubles(), []);
		});
	}
	done();
}

export { AI_ACCOUNT, HUMAN_ACCOUNT, STATE, TREE, assert, skip, sleep, test, until };
