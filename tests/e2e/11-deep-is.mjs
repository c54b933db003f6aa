// A real npm package with its own tests: deep-is@0.1.4. A scripted edit breaks one of them, the run
// heals it and ends as a pull request. The package has no .gitignore and no lock file.
import { npmFolder, npmInstall } from '../npm.mjs';
import { git } from '../sample/sample.mjs';
import { assert, finish, finishTests, replace, test, view, world } from './harness.mjs';

npmInstall();
const w = await world({ repos: { DEEP: { folder: npmFolder('deep-is'), name: 'deep-is' } } });

const OLD = 'return (1 / zeroA) === (1 / zeroB);';
const BROKEN = 'return zeroA === zeroB;';
const GOOD = 'return Object.is(zeroA, zeroB);';
let run;

await test('an edit that breaks one of its tests is healed and becomes a pull request', async () => {
	await w.script('DEEP-1', [
		view('index.js'), replace('index.js', OLD, BROKEN), finish('Simplified.'),
		replace('index.js', BROKEN, GOOD), finish('Uses Object.is.'),
	]);
	await w.issue('DEEP-1', { summary: 'Compare zeros without a division' });
	run = await w.waitRun(await w.assign('DEEP-1'), undefined, 240000);
	assert.equal(run.status, 'completed', run.last_error);
	assert.match(run.pr_url, /pull\/1$/);
	assert.equal(run.metrics.self_heal_attempts, 1);
	assert.equal(run.branch, 'ai/deep-1');
});

await test('the broken test was told apart by name', async () => {
	const [first] = await w.sql("SELECT result FROM run_steps WHERE step = 'test' ORDER BY id LIMIT 1");
	const result = JSON.parse(first.result);
	assert.equal(result.ok, false);
	assert.ok(result.findings.length > 0);
	const [last] = await w.sql("SELECT result FROM run_steps WHERE step = 'test' ORDER BY id DESC LIMIT 1");
	assert.equal(JSON.parse(last.result).ok, true);
});

await test('the branch holds the healed change and nothing that an installation left', async () => {
	const bare = w.repos.DEEP.bare;
	assert.equal(git(bare, 'diff', '--name-only', 'main', 'ai/deep-1'), 'index.js');
	assert.match(git(bare, 'show', 'ai/deep-1:index.js'), /Object\.is\(zeroA, zeroB\)/);
});

await finishTests();
