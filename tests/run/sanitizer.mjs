// Reports of the sanitizer build: every process writes its own file, so that none is lost in a log
// and each is laid at the door of the test during which it came.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Environment that sends reports into `dir`. */
export const sanitizerEnv = (dir) => ({
	AIRUNNER_SANITIZER_DIR: dir,
	ASAN_OPTIONS: `log_path=${join(dir, 'asan')}:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1`,
	UBSAN_OPTIONS: `log_path=${join(dir, 'ubsan')}:print_stacktrace=1`,
});

/** Texts of the reports in `dir` that `seen` (a set of file names, added to) does not hold yet. */
export function sanitizerReports(dir, seen = new Set()) {
	if (!dir || !existsSync(dir)) return [];
	return readdirSync(dir).filter((name) => !seen.has(name)).map((name) => {
		seen.add(name);
		return readFileSync(join(dir, name), 'utf8');
	}).filter((text) => text.trim() !== '');
}
