// `make bench`: figures of this machine as Markdown tables, peers measured in the same run. Called as
// the user that the project works as; BENCH=queue, agent or cache measures that alone. All data lies in
// a tmpfs folder where there is one, so that the figures are processor and lock time, not the disk's;
// BENCH_DISK=1: on disk, and for the agent with a database that syncs every commit.
import { accessSync, constants, mkdtempSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';

const PARTS = ['queue', 'agent', 'cache'];
const DEADLINE_MIN = Number(process.env.BENCH_MINUTES ?? 20);
const wanted = process.argv[2] ?? '';
if (wanted && !PARTS.includes(wanted)) {
	console.error(`BENCH=${wanted}: one of ${PARTS.join(', ')}`);
	process.exit(2);
}

function shm() {
	try {
		accessSync('/dev/shm', constants.W_OK);
		return '/dev/shm';
	} catch {
		return tmpdir();
	}
}

const place = process.env.BENCH_DISK === '1' ? tmpdir() : shm();
const state = mkdtempSync(join(place, 'airunner-bench-'));
process.env.AIRUNNER_STATE_DIR = state; // read by tests/paths.mjs, hence the imports below
const { removeTree } = await import('../paths.mjs');
const { removeAtEnd } = await import('../run/parts.mjs');
removeAtEnd(state);

console.log(`${cpus().length} processors, load ${loadavg()[0].toFixed(1)}, Node ${process.version}, data in ${place}`);
setTimeout(() => { // what was started is ended with this process (tests/run/leash.sh)
	console.error(`not done within ${DEADLINE_MIN} minutes (BENCH_MINUTES)`);
	process.exit(1);
}, DEADLINE_MIN * 60000).unref();
let failed = false;
for (const part of wanted ? [wanted] : PARTS) {
	const start = Date.now();
	try {
		await (await import(`./${part}.mjs`)).measure(state);
	} catch (e) {
		console.error(e);
		failed = true;
	}
	console.log(`(${part}: ${Math.round((Date.now() - start) / 1000)} s)`);
}
removeTree(state);
process.exit(failed ? 1 : 0);
