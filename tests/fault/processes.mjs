// Processes as /proc shows them.
import { readFileSync, readdirSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';

/** A limit of time as a busy machine keeps it: longer by as much as processes wait for a processor. */
export const patient = (ms) => ms * Math.max(1, loadavg()[0] / cpus().length);

/** The parent of each process there is. */
function parents() {
	const found = new Map();
	for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
		try {
			found.set(Number(pid), Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) \S /s, '').split(' ')[0]));
		} catch { /* gone */ }
	}
	return found;
}
/** All processes below one. */
export function below(pid) {
	const of = parents();
	const found = [];
	for (const [child] of of) {
		for (let at = child; of.has(at); at = of.get(at)) {
			if (of.get(at) !== pid) continue;
			found.push(child);
			break;
		}
	}
	return found;
}
/** Those that are there and no zombies. */
export const alive = (pids) => pids.filter((pid) => {
	try {
		return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
	} catch {
		return false;
	}
});
/** Their command lines. */
export const commands = (pids) => pids.map((pid) => {
	try {
		return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
	} catch {
		return '';
	}
});
