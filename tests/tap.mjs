// The tests' own few lines: named tests in order, written as TAP (Test Anything Protocol), and the
// reader of TAP that runner.mjs counts with. Every test file ends with `await done()`.
const results = { count: 0, failed: 0 };
const checks = [];

const diagnose = (text) => String(text).split('\n').map((line) => `  # ${line}`).join('\n');

/** Adds a check that runs after each test, e.g. for sanitizer reports; throws when something is wrong. */
export const afterEach = (check) => checks.push(check);

/** Runs one test; its name is a sentence. Failures are printed and counted, the file goes on. */
export async function test(name, body) {
	results.count += 1;
	const began = Date.now();
	let error = null;
	for (const part of [body, ...checks]) {
		try {
			await part();
		} catch (e) {
			error ??= e;
		}
	}
	if (error) results.failed += 1;
	const took = `${((Date.now() - began) / 1000).toFixed(1)} s`;
	console.log(`${error ? 'not ok' : 'ok'} ${results.count} - ${name} (${took})`);
	if (error) console.log(diagnose(error.stack ?? error));
	return !error;
}

export function skip(name, reason) {
	results.count += 1;
	console.log(`ok ${results.count} - ${name} # SKIP ${reason}`);
}

/** Prints the plan and ends the process. */
export function done() {
	console.log(`1..${results.count}`);
	process.exit(results.failed > 0 ? 1 : 0);
}

/**
 * Reads TAP, nested or not: [{ok, name, skip, detail}]. A point with points below it stands for them
 * and is left out, unless it alone failed.
 */
export function readTap(text) {
	const points = [];
	let below = []; // indents of points since the last one that was less indented
	let last = null;
	for (const line of text.split('\n')) {
		const match = /^(\s*)(not ok|ok)\b\s*\d*\s*-?\s*(.*)$/.exec(line);
		if (!match) {
			if (last && !last.ok && /^\s*(#|[a-z]+:|\.\.\.|---|\s)/.test(line) && last.detail.length < 60) last.detail.push(line);
			continue;
		}
		const indent = match[1].length;
		const children = below.filter((b) => b.indent > indent);
		below = [...below.filter((b) => b.indent <= indent), { indent, ok: match[2] === 'ok' }];
		const [name, directive] = match[3].split(/\s+#\s+/);
		const point = { ok: match[2] === 'ok', name, skip: null, detail: [] };
		const skipped = /^SKIP\b\s*(.*)$/i.exec(directive ?? '');
		if (skipped) point.skip = skipped[1] || 'no reason given';
		if (children.length > 0 && (point.ok || children.some((c) => !c.ok))) continue;
		points.push(point);
		last = point;
	}
	return points;
}
