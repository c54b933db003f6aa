// A real npm package whose posttest needs the network: minimist@1.2.8. That it fails in the sandbox is
// so on the base commit too: it is reported as found before and does not fail the run.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npmFolder, npmInstall } from '../npm.mjs';
import { git } from '../sample/sample.mjs';
import { STATE, assert, create, finish, finishTests, test, world } from './harness.mjs';

npmInstall();
// The audit in its posttest asks the registry in any case up to npm 10; later ones only when there is
// a dependency, so that the base commit is given one.
const folder = join(STATE, 'test/minimist');
rmSync(folder, { recursive: true, force: true });
cpSync(npmFolder('minimist'), folder, { recursive: true });
const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, dependencies: { 'deep-is': '0.1.4' } }, null, '\t'));
const w = await world({ repos: { MINI: { folder, name: 'minimist' } } });
let run;

await test('a failure that the base commit has too does not fail the run', async () => {
	await w.script('MINI-1', [create('example/count.js', "'use strict';\n\nvar argv = require('../')(process.argv.slice(2));\nconsole.log(argv._.length);\n"), finish('Added an example.')]);
	await w.issue('MINI-1', { summary: 'Add an example that counts' });
	run = await w.waitRun(await w.assign('MINI-1'), undefined, 360000);
	assert.equal(run.status, 'completed', run.last_error);
	assert.match(run.pr_url, /pull\/1$/);
	assert.equal(run.metrics.self_heal_attempts, 0);
});

await test('it is reported as found before, in the run and in Jira', async () => {
	const [step] = await w.sql("SELECT result FROM run_steps WHERE step = 'test' ORDER BY id DESC LIMIT 1");
	const result = JSON.parse(step.result);
	assert.equal(result.ok, true, step.result);
	assert.equal(result.ran, true, step.result);
	assert.ok(result.known > 0, step.result);
	const comments = (await w.comments('MINI-1')).join('\n');
	assert.match(comments, /before/i, comments);
});

await test('the branch holds the change and nothing that installation or tests left', () => {
	assert.equal(git(w.repos.MINI.bare, 'diff', '--name-only', 'main', run.branch), 'example/count.js');
});

await finishTests();
