// `make run`: builds, starts everything on loopback below var/, hands the sample through as a user
// would (Jira assigns it and sends its webhook), prints each stage as it happens, and goes on until
// Ctrl-C. Services with keys in AIRUNNER_ENV_FILE (default .env) or the environment are used as they
// are, the others are stand-ins.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { STATE, TREE } from '../paths.mjs';
import { SAMPLE, sampleIssues, sampleRepos, sampleRepository } from '../sample/sample.mjs';
import { callerValues } from './settings.mjs';
import { Stack, tryPort } from './stack.mjs';
import { SERVICES, keptSecret, standinConfig, standinSettings } from './standins.mjs';

const BUILD = resolve(TREE, process.env.AIRUNNER_BUILD ?? 'build');
const FINAL = ['completed', 'failed', 'blocked', 'cancelled'];
const began = Date.now();

let stack = null;
let child = null;
let stopping = null;

const say = (text) => console.log(text);
const shown = (path) => (path.startsWith(`${TREE}/`) ? relative(TREE, path) : path);

function fail(text) {
	console.error(`make run: ${text}`);
	process.exit(1);
}

function stop(signal) {
	stopping ??= (async () => {
		say(`\n${signal}: stopping`);
		child?.kill('SIGTERM');
		await stack?.stop();
		process.exit(0);
	})();
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop(signal));
process.stdout.on('error', () => {}); // the reader of our words may go before us

function build() {
	return new Promise((done) => {
		child = spawn('make', ['--silent', '--no-print-directory', `-j${cpus().length}`, `BUILD=${relative(TREE, BUILD)}`, 'programs', 'standin'], {
			cwd: TREE, stdio: ['ignore', 'inherit', 'inherit'], detached: false,
		});
		child.on('exit', (code) => {
			child = null;
			if (code !== 0 && !stopping) fail('the build failed, see above');
			done();
		});
	});
}

/** What the user has configured, read by the programs' own parser: name -> {value, source}. */
function configured(envFile) {
	const ran = spawnSync(join(BUILD, 'airunnerctl'), [...(envFile ? ['--env-file', envFile] : []), 'config', 'check'], {
		cwd: TREE, encoding: 'utf8', env: { ...process.env, AIRUNNER_SHARE_DIR: join(BUILD, 'share/airunner') },
	});
	const found = new Map();
	for (const line of ran.stdout.split('\n')) {
		const match = /^([A-Z][A-Z0-9_]+) +(.*?) +(\S.*)$/.exec(line);
		if (match && !/ default$/.test(line)) found.set(match[1], { value: match[2], source: match[3] });
	}
	// Missing settings are expected here; a mistake in the file is not.
	if (found.size === 0 && ran.status !== 0 && !/^[A-Z]/m.test(ran.stdout)) fail(ran.stderr.trim() || 'airunnerctl config check failed');
	return found;
}

/** nginx's port: the worker does not read it, so it is not among what `config check` shows. */
function wantedPort(user, envFile) {
	const inFile = envFile && /^\s*(?:export\s+)?LISTEN_PORT\s*=\s*["']?(\d+)/m.exec(readFileSync(envFile, 'utf8'));
	return Number(user.get('LISTEN_PORT')?.value ?? process.env.LISTEN_PORT ?? inFile?.[1] ?? 8088);
}

async function port(wanted) {
	try {
		return await tryPort(wanted);
	} catch (e) {
		return fail(`port ${wanted} of 127.0.0.1 cannot be used (${e.code === 'EADDRINUSE' ? 'another program listens there' : e.message}); choose one with LISTEN_PORT=…`);
	}
}

const two = (seconds) => `${seconds.toFixed(1).padStart(6)} s`;

/** Prints the run's events as they come; answers the run when it has ended. */
async function follow(runId) {
	const from = Date.now();
	let printed = 0;
	for (;;) {
		const { status, json } = await stack.api(`/api/runs/${runId}`).catch(() => ({}));
		if (status === 200) {
			for (const event of json.events.slice(printed)) {
				say(`${two((Date.now() - from) / 1000)}  ${(event.stage ?? event.meta?.stage ?? '').padEnd(10)} ${event.message.replace(/\n/g, '\n                      ')}`);
			}
			printed = json.events.length;
			if (FINAL.includes(json.status)) return json;
		}
		await new Promise((next) => setTimeout(next, 250));
	}
}

async function newestRun(issueKey) {
	const rows = await stack.sql(`SELECT id, status FROM runs WHERE issue_key = '${issueKey}' ORDER BY id DESC LIMIT 1`);
	return rows[0] ?? null;
}

async function sample() {
	const earlier = await newestRun(SAMPLE.key);
	if (earlier?.status === 'completed') {
		const { json } = await stack.api(`/api/runs/${earlier.id}`);
		say(`sample: ${SAMPLE.key} was done by run ${earlier.id} (${json.pr_url}); remove ${shown(STATE)}/ to see it again`);
		return;
	}
	let runId = ['queued', 'running'].includes(earlier?.status) ? earlier.id : null;
	if (!runId) {
		say(`sample: Jira assigns ${SAMPLE.key} "Add a slugify helper" to the AI account`);
		const answer = await stack.control(`/jira/issues/${SAMPLE.key}/act`, { assignee: 'ai' });
		const taken = (answer.webhooks ?? []).filter((hook) => hook.status === 200);
		if (taken.length === 0) {
			say(`sample: the webhook was not taken: ${JSON.stringify(answer.webhooks)}`);
			return;
		}
		runId = (await newestRun(SAMPLE.key)).id;
		say(`sample: its signed webhook went through nginx and became run ${runId}`);
	} else {
		say(`sample: run ${runId} is ${earlier.status}, left from the last time`);
	}
	const run = await follow(runId);
	const m = run.metrics ?? {};
	const [probe] = await stack.sql(`SELECT REGEXP_SUBSTR(CONVERT(content USING utf8mb4), 'network (refused: [A-Z]+|reached)') AS words
		FROM run_messages WHERE run_id = ${Number(runId)} AND role = 'user' AND content LIKE '%network re%' LIMIT 1`);
	if (probe) say(`sample: a command of the model's tried to leave its sandbox: ${probe.words}`);
	say(`sample: run ${runId} is ${run.status}${run.pr_url ? `: ${run.pr_url}` : ''}${run.last_error ? `: ${run.last_error}` : ''}`);
	say(`sample: ${m.total_input_tokens} tokens in, ${m.cached_tokens} of them from the cache, ${m.total_output_tokens} out, ${m.estimated_cost} USD`);
}

function settingsOf(user, standins) {
	const settings = standins.includes('jira') ? { JIRA_WEBHOOK_SECRET: keptSecret(STATE, 'jira-webhook-secret') } : {};
	Object.assign(settings, standinSettings(standins, stack.standinUrl, STATE));
	if (standins.includes('jira') && !user.has('REPOS_CONFIG_PATH') && !user.has('REPO_SSH')) {
		const file = join(STATE, 'run/repos.json');
		writeFileSync(file, JSON.stringify(sampleRepos(sampleRepository(STATE), join(STATE, 'demo/work')), null, '\t'));
		settings.REPOS_CONFIG_PATH = file;
	}
	return settings;
}

async function main() {
	const named = process.env.AIRUNNER_ENV_FILE;
	const envFile = resolve(TREE, named ?? '.env');
	if (named && !existsSync(envFile)) fail(`AIRUNNER_ENV_FILE names ${named}, which does not exist`);
	const useFile = existsSync(envFile) ? envFile : null;
	await build();
	if (stopping) return;
	const user = configured(useFile);
	const standins = Object.keys(SERVICES).filter((name) => !SERVICES[name].configured.every((setting) => user.has(setting)));
	const from = Date.now();
	stack = new Stack({
		state: STATE, build: BUILD, durable: true, say,
		port: await port(wantedPort(user, useFile)),
		extraEnv: (letter) => ({ ...callerValues(letter), ...(useFile ? { AIRUNNER_ENV_FILE: useFile } : {}) }),
		standin: standins.length > 0 ? (self) => standinConfig({
			stack: self, issues: sampleIssues(), scripts: [SAMPLE.scripts], keep: true,
			repositories: { [`${SAMPLE.owner}/${SAMPLE.name}`]: sampleRepository(STATE) },
		}) : null,
	});
	stack.settings = () => settingsOf(user, standins);
	const real = Object.keys(SERVICES).filter((name) => !standins.includes(name));
	say(`starting below ${shown(STATE)}/; stand-ins: ${standins.join(', ') || 'none'}${real.length ? `; real: ${real.join(', ')}` : ''}`);
	await stack.start();
	say(`API token: ${shown(join(STATE, 'token'))}; logs: ${shown(join(STATE, 'log'))}/; started in ${((Date.now() - from) / 1000).toFixed(1)} s (${((Date.now() - began) / 1000).toFixed(1)} s with the build)`);
	say(`sign in (once, within 10 minutes): ${await stack.signinLink()}`);
	say(`ready ${stack.url}`);
	if (process.env.AIRUNNER_SAMPLE === '0') say('AIRUNNER_SAMPLE=0: nothing is submitted');
	else if (!standins.includes('jira')) say('Jira is a real one: assign an issue to the AI account there; the sample is not submitted');
	else await sample();
	say('Ctrl-C stops it all');
}

// The parts run on without keeping us alive by themselves.
const alive = setInterval(() => {}, 1 << 30);
try {
	await main();
} catch (e) {
	if (!stopping) {
		clearInterval(alive);
		await stack?.stop();
		fail(e.message);
	}
}
