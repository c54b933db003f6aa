// Each event that the stand-in streams, held against the vendor's own schema, and each kind of event
// spoilt, to see that the schema objects. Prints TAP. Env as sdk.test.mjs; the schemas are those of
// the wire specifications beside the repository, without which the tests are left out.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { SPECS } from '../paths.mjs';
import { run, start } from './standin.mjs';

if (!existsSync(join(SPECS, 'openai.trimmed.json'))) {
	console.log(`1..1\nok 1 - events_pass_their_schema # SKIP the specs are not there (${SPECS})`);
	process.exit(0);
}

const require = createRequire(join(resolve(process.env.SDK_MODULES || 'build/npm'), 'package.json'));
const Ajv = require('ajv/dist/2020').default;
const addFormats = require('ajv-formats');

/** A function that answers what is wrong with a value, by a schema of a document; null: nothing. */
function validator(file, name) {
	const { components } = JSON.parse(readFileSync(join(SPECS, file), 'utf8'));
	const ajv = new Ajv({ strict: false, allErrors: false });
	addFormats(ajv);
	ajv.addFormat('unixtime', { type: 'number', validate: (n) => n > 1e9 && n < 1e11 });
	// The document's own slip: null is of the type that it gives, but not among its values.
	components.schemas.CreateChatCompletionStreamResponse?.properties.choices.items.properties.finish_reason.enum.push(null);
	ajv.addSchema({ $id: 'spec', components });
	const check = ajv.compile({ $ref: `spec#/components/schemas/${name}` });
	return (value) => (check(value) ? null : ajv.errorsText(check.errors).slice(0, 600));
}

const standin = await start({
	jira: { email: 'ai@example.com', token: 'x', ai_account: 'ai', human_account: 'human' },
	anthropic: { key: 'k' }, openai: { key: 'k' },
});
const { base, control } = standin;

const TOOLS = [{ name: 'view', input: { path: 'ä/b.txt', lines: [1, 2] } }, { name: 'view', input: {} }];
const TURNS = {
	plain: [{ thinking: 'hm', text: 'Grüße, 世界! '.repeat(4), tools: TOOLS }],
	redacted: [{ blocks: [{ type: 'redacted_thinking', data: 'cg==' }], text: 'yes' }],
	cut: [{ text: 'half', tools: [TOOLS[0]], stop_reason: 'max_tokens', cut_input: true }],
	refused: [{ text: 'No.', stop_reason: 'refusal', stop_details: { type: 'refusal', category: 'cyber', explanation: 'no' } }],
	silent: [{ text: '' }],
};
for (const [name, turns] of Object.entries(TURNS)) await control('POST', '/script', { name, match: `play ${name}`, turns });

/** The events of one stream: [{event, data}], data parsed, [DONE] left out. */
async function events(path, headers, body) {
	const answer = await fetch(base + path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
	const text = await answer.text();
	assert.equal(answer.status, 200, text);
	assert.match(answer.headers.get('content-type'), /^text\/event-stream/);
	return text.split('\n\n').filter((part) => part.trim()).map((part) => ({
		event: /^event: (.*)$/m.exec(part)?.[1], data: /^data: (.*)$/m.exec(part)[1],
	})).filter(({ data }) => data !== '[DONE]').map(({ event, data }) => ({ event, data: JSON.parse(data) }));
}

const APIS = {
	messages: {
		check: validator('anthropic-messages.generated.openapi.json', 'RawMessageStreamEvent'),
		ask: (what) => events('/anthropic/v1/messages', { 'x-api-key': 'k', 'anthropic-version': '2023-06-01' }, {
			model: 'claude-sonnet-5-5', max_tokens: 2000, stream: true, thinking: { type: 'adaptive', display: 'summarized' }, messages: [{ role: 'user', content: `play ${what}` }],
		}),
		apart: ['ping', 'error'], // not in the vendor's type: the SDK takes them out before
		kinds: ['content_block_delta', 'content_block_start', 'content_block_stop', 'message_delta', 'message_start', 'message_stop', 'ping'],
	},
	responses: {
		check: validator('openai.trimmed.json', 'ResponseStreamEvent'),
		ask: (what) => events('/openai/v1/responses', { authorization: 'Bearer k' }, { model: 'gpt-6.1-terra', stream: true, store: false, input: `play ${what}`, reasoning: { effort: 'medium', summary: 'auto' }, include: ['reasoning.encrypted_content'] }),
		apart: [],
		kinds: ['response.completed', 'response.created', 'response.function_call_arguments.delta', 'response.function_call_arguments.done', 'response.in_progress', 'response.output_item.added', 'response.output_item.done', 'response.output_text.delta', 'response.output_text.done', 'response.content_part.added', 'response.content_part.done'],
	},
	chat: {
		check: validator('openai.trimmed.json', 'CreateChatCompletionStreamResponse'),
		ask: (what) => events('/openai/v1/chat/completions', { authorization: 'Bearer k' }, { model: 'gpt-6-sol', stream: true, stream_options: { include_usage: true }, messages: [{ role: 'user', content: `play ${what}` }] }),
		apart: [], kinds: ['chat.completion.chunk'],
	},
};
const kindOf = (data) => data.type ?? data.object;

/** The event with one member gone, or of a wrong type, at any depth that is an object. */
function* spoilt(value) {
	for (const name of Object.keys(value)) {
		const { [name]: old, ...rest } = value;
		yield [`without ${name}`, rest];
		yield [`${name} wrong`, { ...value, [name]: typeof old === 'number' ? 'x' : 7 }];
		if (old && typeof old === 'object' && !Array.isArray(old)) for (const [what, inner] of spoilt(old)) yield [`${name}.${what}`, { ...value, [name]: inner }];
	}
}

const tests = {};
for (const [api, { check, ask, apart, kinds }] of Object.entries(APIS)) {
	const seen = new Map();
	tests[`every_event_of_${api}_passes_its_schema`] = async () => {
		for (const what of Object.keys(TURNS)) {
			for (const { event, data } of await ask(what)) {
				if (event !== undefined) assert.equal(event, data.type, 'the event\'s name is its type');
				if (!seen.has(kindOf(data))) seen.set(kindOf(data), []);
				seen.get(kindOf(data)).push(data);
				if (!apart.includes(kindOf(data))) assert.equal(check(data), null, `${what}: ${JSON.stringify(data)}`);
			}
		}
		assert.deepEqual(kinds.filter((kind) => !seen.has(kind)), [], 'kinds that were not sent');
	};
	tests[`every_kind_of_event_of_${api}_is_refused_when_spoilt`] = async () => {
		for (const [kind, list] of seen) {
			if (apart.includes(kind)) continue;
			const refused = [...spoilt(list[0])].filter(([, event]) => check(event) !== null).map(([what]) => what);
			for (const what of ['without type', 'type wrong'].filter(() => list[0].type)) assert.ok(refused.includes(what), `${kind}: ${what} passes`);
			assert.ok(refused.length >= Math.min(3, Object.keys(list[0]).length), `${kind}: only ${refused.join(', ')}`);
			assert.notEqual(check({ ...list[0], [list[0].type ? 'type' : 'object']: 'nobody_knows' }), null, kind);
		}
	};
}

tests.error_events_have_the_shape_of_errors = async () => {
	const check = { messages: validator('anthropic-messages.generated.openapi.json', 'ErrorResponse'), responses: APIS.responses.check };
	for (const [api, service] of [['messages', 'anthropic'], ['responses', 'openai']]) {
		await control('POST', '/faults', { service, kind: 'error_event', after_events: 2 });
		const last = (await APIS[api].ask('plain')).at(-1);
		assert.equal(last.event, 'error');
		assert.equal(check[api](last.data), null, JSON.stringify(last.data));
		const { [api === 'messages' ? 'error' : 'message']: gone, ...rest } = last.data;
		assert.ok(gone);
		assert.notEqual(check[api](rest), null);
	}
};

await run(tests, standin.stop);
