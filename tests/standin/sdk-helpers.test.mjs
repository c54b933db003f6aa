// What the vendors' SDKs have above plain calls (stream objects, tool runners, retries, error
// classes), against the stand-in: they get right results from it. Prints TAP. Env as sdk.test.mjs.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { run, start } from './standin.mjs';

const require = createRequire(join(resolve(process.env.SDK_MODULES || 'build/npm'), 'package.json'));
const { default: Anthropic } = require('@anthropic-ai/sdk');
const { default: OpenAI } = require('openai');

const standin = await start({
	jira: { email: 'ai@example.com', token: 'jira-token', ai_account: 'ai', human_account: 'human' },
	anthropic: { key: 'anthropic-key' }, openai: { key: 'openai-key' },
});
const { base, control } = standin;
const play = (match, turns, more = {}) => control('POST', '/script', { name: match, match, turns, ...more });
const fault = (service, rule) => control('POST', '/faults', { service, method: 'POST', ...rule });
const posts = async (service) => (await control('GET', `/log?service=${service}&method=POST`)).length;

const clients = (maxRetries) => ({
	claude: new Anthropic({ apiKey: 'anthropic-key', baseURL: `${base}/anthropic`, maxRetries }),
	openai: new OpenAI({ apiKey: 'openai-key', baseURL: `${base}/openai/v1`, maxRetries }),
});
const { claude, openai } = clients(0);
const user = (content) => [{ role: 'user', content }];
const message = (text, more = {}) => ({ model: 'claude-sonnet-5-5', max_tokens: 1000, messages: user(text), ...more });
const chat = (text, more = {}) => ({ model: 'gpt-6-sol', messages: user(text), ...more });
const response = (text, more = {}) => ({ model: 'gpt-6.1-terra', input: text, store: false, ...more });

const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const TWO_CALLS = [{ name: 'weather', input: { city: 'Köln' } }, { name: 'weather', input: { city: '東京' } }];
const WEATHER = [{ text: 'I ask twice.', thinking: 'two cities', tools: TWO_CALLS }, { text: 'Rain in both.' }];
const FAULTS = [[400, 'BadRequestError'], [401, 'AuthenticationError'], [403, 'PermissionDeniedError'], [404, 'NotFoundError'], [409, 'ConflictError'],
	[422, 'UnprocessableEntityError'], [429, 'RateLimitError'], [500, 'InternalServerError'], [503, 'InternalServerError'], [529, 'InternalServerError']];

/** What both vendors' clients do alike. */
const both = (name, service, ask, Class, client) => ({
	async [`${name}_error_classes_follow_the_status`]() {
		for (const [status, kind] of FAULTS) {
			await fault(service, { kind: 'status', status });
			await assert.rejects(ask(client(0)), (e) => {
				assert.ok(e instanceof Class[kind], `${status}: ${e.constructor.name}`);
				assert.equal(e.status, status);
				assert.ok(e.requestID ?? e.request_id ?? e.headers.get('x-request-id'), 'a request id');
				return true;
			});
		}
	},
	async [`${name}_retries_what_passes_and_nothing_else`]() {
		for (const [status, headers, tries] of [[429, { 'retry-after-ms': '20' }, 3], [500, { 'retry-after-ms': '20' }, 3], [529, { 'retry-after-ms': '20' }, 3],
			[409, { 'retry-after-ms': '20' }, 3], [400, {}, 1], [503, { 'x-should-retry': 'false' }, 1], [400, { 'x-should-retry': 'true', 'retry-after-ms': '20' }, 3]]) {
			const from = await posts(service);
			await fault(service, { kind: 'status', status, headers, count: 2 });
			if (tries === 3) assert.ok(await ask(client(2)));
			else await assert.rejects(ask(client(2)), Class.APIError);
			assert.equal(await posts(service) - from, tries, `${status} ${JSON.stringify(headers)}`);
			await control('DELETE', `/faults?service=${service}`);
		}
	},
	async [`${name}_gives_up_after_its_retries`]() {
		const from = await posts(service);
		await fault(service, { kind: 'status', status: 503, headers: { 'retry-after-ms': '10' }, count: 5 });
		await assert.rejects(ask(client(2)), Class.InternalServerError);
		assert.equal(await posts(service) - from, 3);
		await control('DELETE', `/faults?service=${service}`);
	},
	async [`${name}_answer_that_is_no_json_is_an_error`]() {
		await fault(service, { kind: 'wrong_json' });
		await assert.rejects(ask(client(0)), SyntaxError);
	},
	async [`${name}_html_of_a_proxy_is_an_error_with_its_status`]() {
		await fault(service, { kind: 'html_413' });
		await assert.rejects(ask(client(0)), (e) => e.status === 413);
	},
	async [`${name}_timeout_is_its_own_error`]() {
		await fault(service, { kind: 'delay', ms: 2000 });
		await assert.rejects(ask(client(0), { timeout: 100 }), Class.APIConnectionTimeoutError);
	},
	async [`${name}_answer_tells_its_headers`]() {
		const { data, response: res } = await ask(client(0)).withResponse();
		assert.ok(data.id && res.status === 200);
		assert.ok(res.headers.get(service === 'openai' ? 'x-request-id' : 'request-id'));
	},
});

const tests = {
	...both('anthropic', 'anthropic', (c, o) => c.claude.messages.create(message('hello'), o), Anthropic, clients),
	...both('openai_responses', 'openai', (c, o) => c.openai.responses.create(response('hello'), o), OpenAI, clients),
	...both('openai_chat', 'openai', (c, o) => c.openai.chat.completions.create(chat('hello'), o), OpenAI, clients),

	// ---- Anthropic ----

	async anthropic_stream_object_tells_each_kind_of_piece() {
		await play('stream object', [{ thinking: 'hm, hm', text: 'Grüße 🦓', tools: TWO_CALLS }]);
		const stream = claude.messages.stream(message('stream object', { thinking: { type: 'adaptive', display: 'summarized' }, tools: [{ name: 'weather', input_schema: SCHEMA }] }));
		const got = { text: '', thinking: '', signatures: 0, blocks: [], inputs: [] };
		stream.on('text', (delta) => { got.text += delta; }).on('thinking', (delta) => { got.thinking += delta; }).on('signature', () => { got.signatures += 1; })
			.on('contentBlock', (block) => got.blocks.push(block.type)).on('inputJson', (_, so_far) => got.inputs.push(so_far));
		const last = await stream.finalMessage();
		assert.deepEqual({ text: got.text, thinking: got.thinking, signatures: got.signatures }, { text: 'Grüße 🦓', thinking: 'hm, hm', signatures: 1 });
		assert.deepEqual(got.blocks, ['thinking', 'text', 'tool_use', 'tool_use']);
		assert.deepEqual(got.inputs.at(-1), { city: '東京' });
		assert.equal(await stream.finalText(), 'Grüße 🦓');
		assert.deepEqual(last.content.slice(2).map((b) => b.input), TWO_CALLS.map((t) => t.input));
	},
	async anthropic_raw_stream_is_iterated_to_its_end() {
		const types = [];
		for await (const event of await claude.messages.create(message('hello', { stream: true }))) types.push(event.type);
		assert.deepEqual([types[0], types.at(-1)], ['message_start', 'message_stop']);
	},
	async anthropic_tool_runner_calls_the_tools_and_ends_with_the_text() {
		await play('weather', WEATHER);
		const asked = [];
		const runner = claude.beta.messages.toolRunner({ ...message('weather'), thread: false, tools: [{
			type: 'custom', name: 'weather', description: 'tells it', input_schema: SCHEMA, parse: (input) => input,
			run: async ({ city }) => { asked.push(city); return `rain in ${city}`; },
		}] });
		const last = await runner.runUntilDone();
		assert.deepEqual(asked.sort(), ['Köln', '東京'].sort());
		assert.equal(last.content.at(-1).text, 'Rain in both.');
	},
	async anthropic_refusal_and_cut_are_told_by_the_stop_reason() {
		await play('refuse this', [{ text: 'No.', stop_reason: 'refusal', stop_details: { type: 'refusal', category: 'cyber', explanation: 'no' } }]);
		const refused = await claude.messages.stream(message('refuse this')).finalMessage();
		assert.deepEqual([refused.stop_reason, refused.stop_details.category], ['refusal', 'cyber']);
		await play('cut this', [{ text: 'half', tools: [TWO_CALLS[0]], stop_reason: 'max_tokens', cut_input: true }]);
		const cut = await claude.messages.stream(message('cut this')).finalMessage().catch((e) => e);
		assert.ok(cut.stop_reason === 'max_tokens' || /JSON/.test(cut.message), String(cut)); // the SDK may trip over the half input
	},
	async anthropic_stream_can_be_aborted() {
		await fault('anthropic', { kind: 'stall', seconds: 30, after_bytes: 300 });
		const stream = claude.messages.stream(message('hello'));
		setTimeout(() => stream.abort(), 150);
		await assert.rejects(stream.finalMessage(), Anthropic.APIUserAbortError);
	},
	async anthropic_error_inside_a_stream_has_its_type() {
		await fault('anthropic', { kind: 'error_event', after_events: 2, error_type: 'api_error', message: 'broken inside' });
		await assert.rejects(claude.messages.stream(message('hello')).finalMessage(), (e) => e instanceof Anthropic.APIError && /broken inside/.test(e.message));
	},

	// ---- OpenAI ----

	async openai_responses_stream_object_tells_each_kind_of_piece() {
		await play('responses object', [{ thinking: 'hm', text: 'Grüße 🦓', tools: TWO_CALLS }]);
		const stream = openai.responses.stream(response('responses object'));
		const got = { text: '', calls: [], snapshots: 0 };
		stream.on('response.output_text.delta', ({ delta, snapshot }) => { got.text += delta; got.snapshots += snapshot.length > 0 ? 1 : 0; })
			.on('response.function_call_arguments.done', (e) => got.calls.push(JSON.parse(e.arguments)));
		const last = await stream.finalResponse();
		assert.equal(got.text, 'Grüße 🦓');
		assert.ok(got.snapshots > 0);
		assert.deepEqual(got.calls, TWO_CALLS.map((t) => t.input));
		assert.deepEqual(last.output.map((o) => o.type), ['reasoning', 'message', 'function_call', 'function_call']);
		assert.equal(last.output_text, 'Grüße 🦓');
	},
	async openai_responses_raw_stream_counts_from_nought_without_gaps() {
		const numbers = [];
		for await (const event of await openai.responses.create(response('hello', { stream: true }))) numbers.push(event.sequence_number);
		assert.deepEqual(numbers, numbers.map((_, i) => i));
	},
	async openai_responses_go_back_with_encrypted_reasoning() {
		await play('reasoned', [{ thinking: 'deep', tools: [TWO_CALLS[0]] }, { text: 'Rain.' }]);
		const input = user('reasoned');
		const ask = { model: 'gpt-6.1-terra', store: false, include: ['reasoning.encrypted_content'] };
		const first = await openai.responses.create({ ...ask, input });
		const [reasoning, call] = first.output;
		assert.ok(reasoning.encrypted_content.length > 20);
		const second = await openai.responses.create({ ...ask, input: [...input, ...first.output, { type: 'function_call_output', call_id: call.call_id, output: 'rain' }] });
		assert.equal(second.output_text, 'Rain.');
	},
	async openai_responses_cut_and_refused_are_told_by_status_and_part() {
		await play('cut response', [{ text: 'half', stop_reason: 'max_tokens' }]);
		const cut = await openai.responses.create(response('cut response'));
		assert.deepEqual([cut.status, cut.incomplete_details.reason], ['incomplete', 'max_output_tokens']);
		await play('refused response', [{ text: 'I will not.', stop_reason: 'refusal' }]);
		const refused = await openai.responses.create(response('refused response'));
		assert.deepEqual(refused.output.at(-1).content.map((part) => part.type), ['refusal']);
	},
	async openai_error_inside_a_stream_is_an_api_error() {
		for (const ask of [() => openai.responses.create(response('hello', { stream: true })), () => openai.chat.completions.create(chat('hello', { stream: true }))]) {
			await fault('openai', { kind: 'error_event', after_events: 2, error_type: 'server_error', message: 'broken inside' });
			await assert.rejects(async () => { for await (const event of await ask()) if (event.type === 'error') throw new OpenAI.APIError(undefined, event, event.message, undefined); }, (e) => e instanceof OpenAI.APIError && /broken inside/.test(e.message));
		}
	},
	async openai_chat_stream_object_tells_each_kind_of_piece() {
		await play('chat object', [{ text: 'Grüße 🦓', tools: TWO_CALLS }]);
		const stream = openai.chat.completions.stream(chat('chat object', { stream_options: { include_usage: true } }));
		const got = { text: '', calls: [] };
		stream.on('content', (delta) => { got.text += delta; }).on('tool_calls.function.arguments.done', (call) => got.calls.push(JSON.parse(call.arguments)));
		const last = await stream.finalChatCompletion();
		assert.equal(got.text, 'Grüße 🦓');
		assert.deepEqual(got.calls, TWO_CALLS.map((t) => t.input));
		assert.equal(last.choices[0].finish_reason, 'tool_calls');
		assert.ok((await stream.totalUsage()).completion_tokens > 0);
	},
	async openai_chat_tool_runner_calls_the_tools_and_ends_with_the_text() {
		await play('chat weather', WEATHER);
		for (const stream of [false, true]) {
			const asked = [];
			const runner = openai.chat.completions.runTools({ ...chat('chat weather'), stream, tools: [{ type: 'function', function: {
				name: 'weather', description: 'tells it', parameters: SCHEMA, parse: JSON.parse, function: ({ city }) => { asked.push(city); return `rain in ${city}`; },
			} }] });
			assert.equal(await runner.finalContent(), 'Rain in both.');
			assert.deepEqual(asked, ['Köln', '東京']);
		}
	},
	async openai_chat_cut_is_told_by_the_finish_reason() {
		await play('cut chat', [{ text: 'half', stop_reason: 'max_tokens' }]);
		assert.equal((await openai.chat.completions.create(chat('cut chat'))).choices[0].finish_reason, 'length');
	},
};

await run(tests, standin.stop);
