// Writes scripts/slugify.json, what the scripted model says to the sample: code in a JSON string is
// hard to read, so it is kept here. Run by hand after a change: node tests/sample/make-script.mjs
import { writeFileSync } from 'node:fs';

const use = (text, name, input, thinking) => ({ ...(thinking ? { thinking } : {}), text, tools: [{ name, input }] });

const slug = `import { words } from './words.js';

/** The words of a text joined by hyphens, at most maxLength long; cut at a word's end where one fits. */
export function slugify(text: string, maxLength?: number): string {
	const limit: number = maxLength;
	const all = words(text);
	let slug = (all.shift() ?? '').slice(0, limit);
	for (const word of all) {
		if (slug.length + 1 + word.length > limit) break;
		slug += \`-\${word}\`;
	}
	return slug;
}
`;

const test = `import assert from 'node:assert/strict';
import { test } from 'node:test';
import { slugify } from '../src/index.js';

test('a slug is the words joined by hyphens', () => {
	assert.equal(slugify('Hello, World!'), 'hello-world');
	assert.equal(slugify(''), '');
});

test('a slug is cut at the end of a word', () => {
	assert.equal(slugify('The quick brown fox', 12), 'the-quick');
	assert.equal(slugify('The quick brown fox', 9), 'the-quick');
});

test('a first word that is too long is cut itself', () => {
	assert.equal(slugify('Incomprehensibilities', 5), 'incom');
});
`;

const probe = "node -e \"require('net').connect(443, '192.0.2.1').on('connect', () => console.log('network reached')).on('error', (e) => console.log('network refused: ' + e.code))\"";

const turns = [
	{
		thinking: 'A small package. I look at what is exported and how the words are found.',
		text: 'I look at the package first.',
		tools: [{ name: 'view', input: { path: 'src/index.ts' } }, { name: 'view', input: { path: 'src/words.ts' } }],
	},
	use('Does anything here depend on the network?', 'bash', { command: `cat package.json && ${probe}` }),
	use('The helper goes into a file of its own, like the others.', 'create', { path: 'src/slugify.ts', text: slug },
		'words() already lowers and splits; the limit only matters when it is given.'),
	{
		text: 'Now its export, and tests beside the others.',
		tools: [
			{ name: 'str_replace', input: { path: 'src/index.ts', old: "export { titleCase }", new: "export { slugify } from './slugify.js';\nexport { titleCase }" } },
			{ name: 'create', input: { path: 'test/slugify.test.ts', text: test } },
		],
	},
	use('That is all the task asks for.', 'finish', { summary: 'Added `slugify` with tests, exported from `src/index.ts`.' }),
	use('The checks run on it anyway.', 'finish', { summary: 'Added `slugify` with tests, exported from `src/index.ts`.' },
		'I am told that nothing was verified. A careful engineer would run the tests here.'),
	use('The limit is absent when it is not given: it has to be a number then, too.', 'str_replace', {
		path: 'src/slugify.ts', old: 'const limit: number = maxLength;', new: 'const limit = maxLength ?? Infinity;',
	}, 'TS2322: maxLength may be undefined. Infinity is the right default here.'),
	{
		text: 'This time I look at the type check myself.',
		tools: [
			{ name: 'bash', input: { command: 'node_modules/.bin/tsc --noEmit' } },
			{ name: 'finish', input: {
				summary: 'Added `slugify(text, maxLength?)` with tests, exported from `src/index.ts`. Without `maxLength` nothing is cut.',
			} },
		],
	},
];

writeFileSync(new URL('scripts/slugify.json', import.meta.url), `${JSON.stringify({ name: 'slugify', match: 'slugify', turns, then: 'finish' }, null, '\t')}\n`);
