// What the prompt cache saves: a scripted 20-turn run by the real worker with each model of
// etc/models.json, tokens as the stand-in counts them (one token is four bytes), input cost at list
// prices with caching and without, and the least that the provider's caching rules allow.
import { spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUILD, TREE } from '../paths.mjs';
import { table } from './figures.mjs';

const CALLS = 20;
const PARTS = 40;

const lines = (count, text) => Array.from({ length: count }, (_, i) => `${text(i)}\n`).join('');
const partName = (i) => `src/area${i % 8}/part${i % PARTS}.js`;
const partLine = (i) => `exports.value${i} = (input) => combine(input, ${i});`;

/** A repository with the usual papers: a README and rules for agents, and files of 120 lines. */
const files = () => ({
	'README.md': lines(60, (i) => `Paragraph ${i} of what this package is for and how it is used by others.`),
	'AGENTS.md': lines(60, (i) => `- Rule ${i}: how code is written, tested and named in this project.`),
	...Object.fromEntries(Array.from({ length: PARTS }, (_, n) => [partName(n), lines(120, partLine)])),
});

/** A sub-task as people write them, with words of others. */
const points = (count, of) => lines(count, (i) => `Point ${i} of ${of}: what is wanted here, how it shows, and what must stay as it is.`);

const comments = ['the reviewer', 'the tester', 'the author', 'the owner'].map((who) => ({ author: 'human-1', body: points(10, who) }));

/** Looks at a page, changes a line, looks for its uses; over and over, then checks and finishes. */
function turns() {
	const work = Array.from({ length: CALLS - 1 }, (_, i) => {
		const path = partName(Math.floor(i / 3));
		const input = [{ path, from: 1 + i, to: 30 + i }, { path, old: `${partLine(i)}\n`, new: `exports.value${i} = changed;\n` }, { command: `grep -rn 'value${i} ' src | head -n 8` }][i % 3];
		return { tools: [{ name: ['view', 'str_replace', 'bash'][i % 3], input }] };
	});
	return [...work, { tools: [{ name: 'bash', input: { command: `node --check ${partName(0)}` } }, { name: 'finish', input: { summary: 'Changed some lines.' } }] }];
}
const GRAIN = 128; // OpenAI caches whole pieces of so many tokens

/** The price in force today for a prompt of this size, USD per million tokens. */
function priceFor(model, prompt) {
	const today = new Date().toISOString().slice(0, 10);
	return model.prices.filter((p) => p.effective_from <= today && prompt <= (p.up_to_tokens ?? Infinity))
		.sort((a, b) => b.effective_from.localeCompare(a.effective_from) || (a.up_to_tokens ?? Infinity) - (b.up_to_tokens ?? Infinity))[0];
}

/**
 * The least input cost of prompts of these sizes, each beginning with the one before, whatever marks
 * are set. Every request chooses whether what is new in it is written to the cache (then every later
 * one can read it) or sent plainly; all choices are tried, by the best cost for each prefix that may
 * lie in the cache. Prompts shorter than the minimum cannot be written. Nothing expires.
 */
function leastAnthropic(model, totals) {
	let best = new Map([[0, 0]]); // tokens in the cache: cost so far
	for (const total of totals) {
		const price = priceFor(model, total);
		const next = new Map();
		const offer = (cached, cost) => next.set(cached, Math.min(next.get(cached) ?? Infinity, cost));
		for (const [cached, cost] of best) {
			const read = cost + cached * price.cache_read;
			offer(cached, read + (total - cached) * price.input);
			if (total >= model.min_cache_tokens) offer(total, read + (total - cached) * price.cache_write_5m);
		}
		best = next;
	}
	return Math.min(...best.values()) / 1e6;
}

/** The same where the provider caches by itself: whole pieces of what was sent before are read. */
function leastOpenai(model, totals) {
	const whole = (n) => (n >= model.min_cache_tokens ? Math.floor(n / GRAIN) * GRAIN : 0);
	let [cached, cost] = [0, 0];
	for (const total of totals) {
		const price = priceFor(model, total);
		const kept = Math.max(whole(total), cached);
		cost += cached * price.cache_read + (kept - cached) * price.cache_write_5m + (total - kept) * price.input;
		cached = kept;
	}
	return cost / 1e6;
}

async function run(w, name, key) {
	await w.script(key, turns());
	await w.issue(key, { comments, description: `${key}: please do this.\n\n${points(85, 'the task')}` });
	const id = await w.assign(key);
	const log = openSync(w.log(`run-${id}`), 'a');
	const child = spawn(join(BUILD, 'airunner-worker'), ['--run', String(id)], {
		cwd: TREE, env: { ...w.programEnv('W', 'worker'), ANTHROPIC_MODEL: name }, stdio: ['ignore', log, log],
	});
	await new Promise((resolve) => child.on('exit', resolve));
	const rows = await w.sql(`SELECT fresh_tokens AS fresh, written_tokens AS written, read_tokens AS was_read, output_tokens AS output, cost_usd_micro AS cost
		FROM run_messages WHERE run_id = ${id} AND role = 'assistant' ORDER BY conv, seq`);
	if (rows.length !== CALLS) throw new Error(`${name}: ${rows.length} calls, not ${CALLS}: ${readFileSync(w.log(`run-${id}`), 'utf8').slice(-1500)}`);
	return rows.map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, Number(v)])));
}

const sum = (list, of) => list.reduce((n, item) => n + of(item), 0);
const total = (row) => row.fresh + row.written + row.was_read;

function judge(name, model, rows) {
	const price = (row) => priceFor(model, total(row));
	const inputCost = sum(rows, (row) => row.cost - (row.output * price(row).output)) / 1e6;
	const plain = sum(rows, (row) => total(row) * price(row).input) / 1e6;
	const least = (model.provider === 'anthropic' ? leastAnthropic : leastOpenai)(model, rows.map(total));
	const later = rows.slice(1);
	return {
		name, first: total(rows[0]), added: Math.round((total(rows.at(-1)) - total(rows[0])) / (rows.length - 1)),
		fresh: sum(rows, (row) => row.fresh), written: sum(rows, (row) => row.written), read: sum(rows, (row) => row.was_read),
		share: sum(later, (row) => row.was_read) / sum(later, total), inputCost, plain, least,
	};
}

export async function measure() {
	const { world } = await import('../e2e/harness.mjs');
	const models = JSON.parse(readFileSync(join(TREE, 'etc/models.json'), 'utf8')).models;
	const w = await world({ repos: { CAC: { files: files() } }, worker: false, settings: { AIRUNNER_MAX_RUN_USD: '1000', AIRUNNER_NOTICE_RUN_USD: '900' } });
	try {
		const found = [];
		let key = 0;
		for (const [name, model] of Object.entries(models)) {
			if (!process.env.BENCH_MODEL || name === process.env.BENCH_MODEL) found.push(judge(name, model, await run(w, name, `CAC-${++key}`)));
		}
		table(`The prompt cache: input tokens and cost of a scripted run of ${CALLS} calls, at list prices (opening of ${found[0].first} tokens, then ${found[0].added} a call)`,
			['model', 'fresh', 'written', 'read', 'read after the first call', 'USD without', 'USD with', 'ratio', 'least possible', 'above it'],
			found.map((f) => [f.name, f.fresh, f.written, f.read, `${(100 * f.share).toFixed(1)} %`, f.plain.toFixed(5), f.inputCost.toFixed(5),
				(f.inputCost / f.plain).toFixed(3), f.least.toFixed(5), `${(100 * (f.inputCost / f.least - 1)).toFixed(1)} %`]));
	} finally {
		await w.stop();
	}
}
