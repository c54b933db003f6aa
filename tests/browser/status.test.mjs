// /status in a real browser: accessibility (axe), light and dark, no break of the content policy, no
// error on the console, no sideways scrolling. Screenshots go to build/browser/.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { TREE, assert, finishTests, goodTurns, finish, create, test, tinyProject, world } from '../e2e/harness.mjs';
import { npmImport, npmInstall } from '../npm.mjs';

npmInstall();
const { chromium } = await npmImport('playwright-core').then((m) => m.default ?? m);
const { AxeBuilder } = await npmImport('@axe-core/playwright').then((m) => (m.AxeBuilder ? m : m.default));
const shots = join(TREE, 'build/browser');
mkdirSync(shots, { recursive: true });

const w = await world({ repos: { GOOD: { files: tinyProject(), name: 'good' } }, settings: { AIRUNNER_HEAL_ROUNDS: 0 } });
await w.work('GOOD-1', goodTurns(), { issue: { summary: 'Add a note' } });
await w.work('GOOD-2', [create('src.js', 'exports.answer = () => 41;\n'), finish()], { issue: { summary: 'Change the answer' } });
await w.parts.worker.stop();
await w.issue('GOOD-3', { summary: 'Waits' });
await w.assign('GOOD-3');

const browser = await chromium.launch({
	executablePath: '/usr/bin/chromium',
	args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

for (const colorScheme of ['light', 'dark']) {
	for (const width of [1280, 390]) {
		await test(`/status is accessible and clean: ${colorScheme}, ${width} px wide`, async () => {
			const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 } });
			const problems = [];
			await context.addInitScript(() => {
				document.addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`));
			});
			const page = await context.newPage();
			page.on('console', (message) => { if (message.type() === 'error') problems.push(message.text()); });
			page.on('pageerror', (error) => problems.push(error.message));
			await page.goto(await w.signinLink(), { waitUntil: 'load' });
			assert.equal(new URL(page.url()).pathname, '/status');
			for (const key of ['GOOD-1', 'GOOD-2', 'GOOD-3']) assert.ok((await page.content()).includes(key), key);
			await page.waitForTimeout(1500); // one poll
			await page.screenshot({ path: join(shots, `status-${colorScheme}-${width}.png`), fullPage: true });
			const sideways = await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
			assert.equal(sideways, false, 'the page scrolls sideways');
			const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze();
			assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`), []);
			assert.deepEqual(problems, []);
			await context.close();
		});
	}
}

await test('the buttons of a run\'s page cancel and retry it, and the page shows so', async () => {
	const context = await browser.newContext({ colorScheme: 'light', viewport: { width: 1280, height: 900 } });
	const problems = [];
	const page = await context.newPage();
	page.on('pageerror', (error) => problems.push(error.message));
	page.on('dialog', (dialog) => dialog.accept());
	await page.goto(await w.signinLink(), { waitUntil: 'load' });
	const [{ id }] = await w.sql("SELECT id FROM runs WHERE issue_key = 'GOOD-3'");
	await page.goto(`${w.url}/runs/${id}`, { waitUntil: 'load' });
	await page.click('#act-cancel');
	await page.waitForSelector('h1 .badge.cancelled', { timeout: 5000 });
	assert.equal(await page.locator('#act-cancel').count(), 0);
	await page.screenshot({ path: join(shots, 'run-cancelled.png'), fullPage: true });
	await page.click('#act-retry');
	await page.waitForSelector('h1 .badge.queued', { timeout: 5000 });
	const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze();
	assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`), []);
	assert.deepEqual(problems, []);
	await context.close();
	const plain = await browser.newContext({ javaScriptEnabled: false });
	const still = await plain.newPage();
	await still.goto(await w.signinLink(), { waitUntil: 'load' });
	await still.goto(`${w.url}/runs/${id}`, { waitUntil: 'load' });
	assert.equal(await still.locator('#act-cancel').isVisible(), false);
	await plain.close();
});

await browser.close();
await finishTests();
