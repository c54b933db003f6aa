// The agent loop: a scripted run of 20 and of 120 turns by the real worker, with database, snapshots,
// limits and log on, and the same answers replayed to a bare libcurl loop (build/bench/loop) in turn.
import { execFile, spawn } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, readFileSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BUILD, TREE } from '../paths.mjs';
import { ms, p50, percentile, ratio, table } from './figures.mjs';
import { Proxy } from './proxy.mjs';

const REPEATS = 2;
const FILES = 45;
const LINES = 200;
const KINDS = ['view', 'str_replace', 'bash'];

const fileName = (i) => `src/part${i % FILES}.txt`;
const lineText = (n) => `line ${n} of text`;
export const files = () => ({
	'README.md': 'A repository without checks.\n',
	...Object.fromEntries(Array.from({ length: FILES }, (_, i) => [fileName(i),
		Array.from({ length: LINES }, (__, n) => `${lineText(n)}\n`).join('')])),
});

/** read a 200-line file, edit it, grep by bash; over and over, never the same twice. */
export function turns(count) {
	return Array.from({ length: count }, (_, i) => {
		const path = fileName(Math.floor(i / 3));
		const input = [{ path }, { path, old: `${lineText(i)}\n`, new: `changed ${i}\n` }, { command: `grep -n 'line ${i} ' ${path}` }][i % 3];
		return { tools: [{ name: KINDS[i % 3], input }] };
	}).concat({ tools: [{ name: 'bash', input: { command: 'test -s README.md' } }, { name: 'finish', input: { summary: 'Changed some lines.' } }] });
}

/** The process that works the run: a child of the one that was started for it. */
function runProcess(parent) {
	return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
		try {
			return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) \S /s, '').split(' ')[0]) === parent;
		} catch {
			return false;
		}
	});
}

/** p50 of writing a page through to where the data lies, ms: what of a turn is the disk's. */
function syncMs(state) {
	const file = openSync(join(state, 'sync'), 'w');
	const took = Array.from({ length: 200 }, (_, i) => {
		const from = process.hrtime.bigint();
		writeSync(file, Buffer.alloc(4096, i), 0, 4096, 0);
		fdatasyncSync(file);
		return Number(process.hrtime.bigint() - from) / 1000;
	});
	closeSync(file);
	return ms(p50(took));
}

/** Peak kB and processor ms of a process, as far as it has come. */
function usage(pid) {
	try {
		const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
		const ns = readdirSync(`/proc/${pid}/task`).reduce((sum, id) => sum + Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]), 0);
		return { peakKb: peak, cpuMs: ns / 1e6 };
	} catch {
		return null;
	}
}

async function status(w) {
	const rows = await w.sql("SHOW GLOBAL STATUS WHERE Variable_name IN ('Questions', 'Innodb_os_log_fsyncs')");
	return Object.fromEntries(rows.map((row) => [row.Variable_name, Number(row.Value)]));
}

async function work(w, proxy, key, count) {
	await w.script(key, turns(count));
	await w.issue(key);
	const id = await w.assign(key);
	const log = openSync(w.log(`run-${id}`), 'a');
	proxy.reset();
	proxy.replay = null;
	const seen = [];
	const child = spawn(join(BUILD, 'airunner-worker'), ['--run', String(id)], { cwd: TREE, env: w.programEnv('W', 'worker'), stdio: ['ignore', log, log] });
	const counters = [];
	let pid;
	proxy.onRequest = async (n) => {
		pid ??= runProcess(child.pid);
		const now = usage(pid);
		if (now) seen.push(now);
		if (n === 0 || n === count) counters.push(await status(w));
	};
	await new Promise((resolve) => child.on('exit', resolve));
	const [row] = await w.sql(`SELECT status, reason, turns FROM runs WHERE id = ${id}`);
	if (proxy.turns.length < count) throw new Error(`run ${id} made ${proxy.turns.length} of ${count} turns: ${JSON.stringify(row)}; ${readFileSync(w.log(`run-${id}`), 'utf8').slice(-2000)}`);
	const [sums] = await w.sql(`SELECT SUM(fresh_tokens) AS fresh, SUM(written_tokens) AS written, SUM(read_tokens) AS was_read FROM run_messages WHERE run_id = ${id}`);
	const [prefix] = await w.sql(`SELECT LENGTH(content) AS bytes FROM run_messages WHERE run_id = ${id} AND seq = 0 ORDER BY conv LIMIT 1`);
	const last = seen.at(-1);
	return {
		status: row.status, waits: proxy.turns.slice(1, count + 1).map((t) => t.waitUs), answers: proxy.turns.map((t) => t.answer), bytes: proxy.turns.map((t) => t.bytes),
		cpuMs: last.cpuMs, loopCpuMs: last.cpuMs - seen[0].cpuMs, peakKb: last.peakKb, prefix: Number(prefix.bytes), statements: (counters[1].Questions - counters[0].Questions) / count,
		syncs: (counters[1].Innodb_os_log_fsyncs - counters[0].Innodb_os_log_fsyncs) / count,
		fresh: Number(sums.fresh), written: Number(sums.written), read: Number(sums.was_read),
	};
}

async function bare(proxy, state, answers, count) {
	const file = join(state, 'part.txt');
	writeFileSync(file, files()[fileName(0)]);
	proxy.reset();
	proxy.replay = answers;
	proxy.onRequest = () => {};
	const { stdout } = await promisify(execFile)(join(BUILD, 'bench/loop'), [`${proxy.url}/anthropic/v1/messages`, file, 'A task of a few words.']);
	const [cpuMs, peakKb] = stdout.trim().split(' ').map(Number);
	return { waits: proxy.turns.slice(1, count + 1).map((t) => t.waitUs), loopCpuMs: cpuMs, peakKb };
}

const of = (runs, what) => runs.flatMap(what);
const kind = (runs, n) => of(runs, (r) => r.waits.filter((_, i) => i % 3 === n));

function times(runs, loops, count) {
	const edge = Math.min(20, count);
	const part = (list, from, to, skip) => of(list, (r) => r.waits.map((us, i) => [us, i]).filter(([, i]) => i >= from && i < to && !(skip && i % 3 === 2)).map(([us]) => us));
	const row = (name, list, skip) => {
		const [begin, end] = [part(list, 0, edge, skip), part(list, count - edge, count, skip)];
		return [name, ms(p50(begin)), ms(percentile(begin, 0.9)), ms(p50(end)), ms(percentile(end, 0.9)), ratio(p50(end), p50(begin))];
	};
	table(`Own time a turn, ${count} turns, ms: answer sent to next request's headers (${REPEATS} repeats)`,
		['', `first ${edge} p50`, 'p90', `last ${edge} p50`, 'p90', 'last to first'],
		[row('AI Runner, view and edit', runs, true), row('AI Runner, all (with bash)', runs, false), row('bare libcurl loop, file read', loops, false)]);
	table('By tool, p50 ms', ['view', 'edit', 'bash in the sandbox', 'view to bare'],
		[[0, 1, 2].map((n) => ms(p50(kind(runs, n)))).concat(ratio(p50(kind(runs, 0)), p50(of(loops, (r) => r.waits))))]);
}

function costs(runs, loops, count) {
	const m = (list, what) => p50(list.map(what));
	const weighted = (r) => r.fresh + 1.25 * r.written + 0.1 * r.read;
	const plain = (r) => r.fresh + r.written + r.read;
	table(`Cost of ${count} turns (processor: the run's process, first to last request; bash's processes not counted)`,
		['', 'processor ms', 'peak MB', 'statements a turn', 'log syncs a turn', 'prefix bytes', 'request bytes, first', 'last', 'input tokens', 'of them read', 'cache-weighted', 'to uncached'],
		[
			['AI Runner', m(runs, (r) => r.loopCpuMs).toFixed(0), (m(runs, (r) => r.peakKb) / 1024).toFixed(1), runs[0].statements.toFixed(1), runs[0].syncs.toFixed(1), runs[0].prefix, runs[0].bytes[0], runs[0].bytes.at(-1),
				plain(runs[0]), `${(100 * runs[0].read / plain(runs[0])).toFixed(1)} %`, Math.round(weighted(runs[0])), ratio(weighted(runs[0]), plain(runs[0]))],
			['bare loop', m(loops, (r) => r.loopCpuMs).toFixed(0), (m(loops, (r) => r.peakKb) / 1024).toFixed(1), '-', '-', '-', '-', '-', '-', '-', '-', '-'],
		]);
}

export async function measure(state) {
	const { world } = await import('../e2e/harness.mjs');
	const proxy = await new Proxy().listen();
	const w = await world({
		repos: { BEN: { files: files() } }, worker: false, durable: process.env.BENCH_DISK === '1',
		settings: { ANTHROPIC_BASE_URL: `${proxy.url}/anthropic`, AIRUNNER_MAX_TURNS: 400, AIRUNNER_MAX_RUN_USD: '1000', AIRUNNER_NOTICE_RUN_USD: '900',
			AIRUNNER_MAX_ISSUE_USD: '1000', AIRUNNER_MAX_REPO_DAY_USD: '1000', AIRUNNER_MAX_DAY_USD: '1000', LOG_LEVEL: 'INFO' },
	});
	proxy.base = w.standinUrl;
	console.log(`database ${process.env.BENCH_DISK === '1' ? 'on disk, every commit synced' : 'in memory'}; fdatasync p50 there ${syncMs(state)} ms`);
	try {
		let key = 0;
		await work(w, proxy, `BEN-${++key}`, 3); // clones, fills caches
		for (const count of (process.env.BENCH_TURNS ?? "20,120").split(",").map(Number)) {
			const [runs, loops] = [[], []];
			for (let i = 0; i < REPEATS; i++) {
				runs.push(await work(w, proxy, `BEN-${++key}`, count));
				loops.push(await bare(proxy, state, runs.at(-1).answers, count));
			}
			console.log(`runs ended: ${runs.map((r) => r.status).join(', ')}`);
			times(runs, loops, count);
			costs(runs, loops, count);
		}
	} finally {
		proxy.close();
		await w.stop();
	}
}
