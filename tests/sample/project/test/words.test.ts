import assert from 'node:assert/strict';
import { test } from 'node:test';
import { titleCase, words } from '../src/index.js';

test('words are runs of letters and digits', () => {
	assert.deepEqual(words('Grüße, Welt 2!'), ['grüße', 'welt', '2']);
});

test('a text without words has none', () => {
	assert.deepEqual(words(' -- '), []);
});

test('title case capitalises every word', () => {
	assert.equal(titleCase('the quick  brown fox'), 'The Quick Brown Fox');
});
