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

// cmocka's own format, which a test that clears its environment falls back to.
const CMOCKA = /^\[\s+(OK|FAILED|SKIPPED)\s+\] (\w+)/;

/** One line as a test point {indent, ok, name, skip}, or null. */
function point(line, before) {
	const cmocka = CMOCKA.exec(line);
	if (cmocka) return { indent: 0, ok: cmocka[1] !== 'FAILED', name: cmocka[2], skip: cmocka[1] === 'SKIPPED' ? reason(before) : null };
	const match = /^(\s*)(not ok|ok)\b\s*\d*\s*-?\s*(.*)$/.exec(line);
	if (!match) return null;
	const indent = match[1].length;
	const skipped = /^#\s*SKIP\s+(\w+)$/.exec(match[3]); // cmocka 1.1.5: "not ok 3 # SKIP name"
	if (skipped) return { indent, ok: true, name: skipped[1], skip: reason(before) };
	const [name, directive] = match[3].split(/\s+#\s+/);
	const skip = /^SKIP\b\s*(.*)$/i.exec(directive ?? '');
	return { indent, ok: match[2] === 'ok' || skip !== null, name, skip: skip ? skip[1] || reason(before) : null };
}

/** cmocka has no words for a skip: the test prints "skipped: why" on the line before. */
const reason = (before) => /skipped: (.*)/.exec(before ?? '')?.[1] ?? 'no reason given';

/**
 * Reads TAP, nested or not: [{ok, name, skip, detail}]. A point with points below it stands for them
 * and is left out, unless it alone failed.
 */
export function readTap(text) {
	const points = [];
	let open = []; // points whose parent has not come yet
	const lines = text.split('\n');
	lines.forEach((line, i) => {
		const found = point(line, lines[i - 1]);
		if (!found) {
			const last = points[points.length - 1];
			if (last && !last.ok && last.detail.length < 60) last.detail.push(line);
			return;
		}
		const children = open.filter((p) => p.indent > found.indent);
		open = [...open.filter((p) => p.indent <= found.indent), found];
		if (children.length > 0 && (found.ok || children.some((p) => !p.ok))) return;
		points.push({ ...found, detail: [] });
	});
	return points;
}
