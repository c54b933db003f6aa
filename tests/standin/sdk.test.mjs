// The vendors' own SDKs, and plain requests where SDKs hide things, against the stand-in.
// Prints TAP. Env: STANDIN_BIN the program, SDK_MODULES a folder whose node_modules has the
// packages of tests/package.json installed (default: build/npm).
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { run, start } from './standin.mjs';

const require = createRequire(join(resolve(process.env.SDK_MODULES || 'build/npm'), 'package.json'));
const { default: Anthropic } = require('@anthropic-ai/sdk');
const { default: OpenAI } = require('openai');

const MODEL = 'claude-sonnet-5-5';

const standin = await start({
	jira: { email: 'ai@example.com', token: 'jira-token', ai_account: 'ai', human_account: 'human' },
	anthropic: { key: 'anthropic-key' },
	openai: { key: 'openai-key' },
});
const { base, control } = standin;
const play = (match, turns, more = {}) => control('POST', '/script', { name: match, match, turns, ...more });

const claude = new Anthropic({ apiKey: 'anthropic-key', baseURL: `${base}/anthropic`, maxRetries: 0 });
const openai = new OpenAI({ apiKey: 'openai-key', baseURL: `${base}/openai/v1`, maxRetries: 0 });

// A request without SDK; old: the API version that the worker sends.
async function raw(body, headers = {}) {
	const answer = await fetch(`${base}/anthropic/v1/messages`, {
		method: 'POST',
		headers: { 'x-api-key': 'anthropic-key', 'anthropic-version': '2023-06-01',
			'content-type': 'application/json', ...headers },
		body: JSON.stringify(body),
	});
	return { status: answer.status, json: await answer.json() };
}
const ask = (text, more = {}) => ({ model: MODEL, max_tokens: 1000, messages: [{ role: 'user', content: text }], ...more });

async function refused(body, words, headers) {
	const { status, json } = await raw(body, headers);
	assert.equal(status, 400, JSON.stringify(json));
	assert.equal(json.error.type, 'invalid_request_error');
	assert.match(json.error.message, words);
}

const tools = [{ name: 'view', description: 'shows a file', input_schema: { type: 'object', properties: { path: { type: 'string' } } } }];
const result = (id, text = 'ok') => ({ role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: text }] });
const long = (word, bytes) => word.repeat(Math.ceil(bytes / word.length));
const cached = (text, ttl) => ({ type: 'text', text, cache_control: { type: 'ephemeral', ...(ttl && { ttl }) } });

// ---- the tests: a name that is a sentence, and what proves it ----

const tests = {
	async anthropic_create_answers_the_script() {
		await play('simple question', [{ text: 'Forty-two, said the machine.' }]);
		const m = await claude.messages.create(ask('simple question'));
		assert.equal(m.content[0].text, 'Forty-two, said the machine.');
		assert.equal(m.stop_reason, 'end_turn');
		assert.ok(m.usage.input_tokens > 0 && m.usage.output_tokens > 0);
		assert.match(m._request_id, /^req_/);
	},
	async anthropic_without_a_script_says_so() {
		const m = await claude.messages.create(ask('nobody wrote a script for this'));
		assert.equal(m.content[0].text, 'No script.');
	},
	async anthropic_stream_accumulates_text_tools_and_signature() {
		await play('streaming', [{ thinking: 'let me think about zebras', text: 'Grüße, 世界! '.repeat(20),
			tools: [{ name: 'view', input: { path: 'ä/b.txt', lines: [1, 2] } }] }]);
		const stream = claude.messages.stream(ask('streaming', { tools, thinking: { type: 'adaptive', display: 'summarized' } }));
		const events = [];
		stream.on('streamEvent', (e) => events.push(e.type));
		const m = await stream.finalMessage();
		assert.deepEqual(m.content.map((b) => b.type), ['thinking', 'text', 'tool_use']);
		assert.equal(m.content[0].thinking, 'let me think about zebras');
		assert.ok(m.content[0].signature.length > 100);
		assert.equal(m.content[1].text, 'Grüße, 世界! '.repeat(20));
		assert.deepEqual(m.content[2].input, { path: 'ä/b.txt', lines: [1, 2] });
		assert.equal(m.stop_reason, 'tool_use');
		assert.ok(m.usage.output_tokens_details.thinking_tokens > 0);
		assert.ok(events.filter((t) => t === 'content_block_delta').length > 10);
		assert.equal(events[0], 'message_start');
		assert.equal(events.at(-1), 'message_stop');
	},
	async anthropic_stream_omits_thinking_text_by_default() {
		await play('omitted thoughts', [{ thinking: 'secret', text: 'said' }]);
		const m = await claude.messages.stream(ask('omitted thoughts')).finalMessage();
		assert.equal(m.content[0].thinking, '');
		assert.ok(m.content[0].signature);
	},
	async anthropic_tool_round_trip_replays_thinking() {
		await play('round trip', [
			{ thinking: 'look first', tools: [{ name: 'view', input: { path: 'a' } }, { name: 'view', input: {} }] },
			{ text: 'Seen both.' }]);
		const first = await claude.messages.stream(ask('round trip', { tools })).finalMessage();
		const calls = first.content.filter((b) => b.type === 'tool_use');
		const messages = [...ask('round trip').messages, { role: 'assistant', content: first.content },
			{ role: 'user', content: calls.map((c) => ({ type: 'tool_result', tool_use_id: c.id, content: 'x' })) }];
		const second = await claude.messages.create(ask('', { tools, messages }));
		assert.equal(second.content[0].text, 'Seen both.');
	},
	async anthropic_counts_a_token_for_four_bytes() {
		const { input_tokens } = await claude.messages.countTokens({ model: MODEL, messages: [{ role: 'user', content: 'abcd'.repeat(100) }] });
		const block = JSON.stringify({ type: 'text', text: 'abcd'.repeat(100) });
		assert.equal(input_tokens, Math.floor(block.length / 4));
	},
	async anthropic_models_tell_their_thinking_types() {
		const m = await claude.models.retrieve(MODEL);
		assert.equal(m.capabilities.thinking.types.between_tools.supported, true);
		assert.equal(m.capabilities.thinking.types.enabled.supported, false);
		await assert.rejects(claude.models.retrieve('claude-nobody'), Anthropic.NotFoundError);
	},
	async anthropic_errors_have_the_sdk_classes() {
		const wrong = new Anthropic({ apiKey: 'wrong', baseURL: `${base}/anthropic`, maxRetries: 0 });
		await assert.rejects(wrong.messages.create(ask('x')), Anthropic.AuthenticationError);
		await assert.rejects(claude.messages.create(ask('x', { model: 'gpt-4' })), Anthropic.NotFoundError);
		await assert.rejects(claude.messages.create(ask('x', { temperature: 1 })), Anthropic.BadRequestError);
	},
	async anthropic_retry_after_is_obeyed() {
		await control('POST', '/faults', { service: 'anthropic', kind: 'status', status: 429, count: 1,
			headers: { 'retry-after': '1' }, body: { type: 'error', error: { type: 'rate_limit_error', message: 'slow' } } });
		const patient = new Anthropic({ apiKey: 'anthropic-key', baseURL: `${base}/anthropic`, maxRetries: 1 });
		const from = Date.now();
		const m = await patient.messages.create(ask('simple question'));
		assert.equal(m.stop_reason, 'end_turn');
		assert.ok(Date.now() - from >= 1000, 'waited a second');
	},
	async anthropic_error_event_ends_the_stream() {
		await control('POST', '/faults', { service: 'anthropic', kind: 'error_event', after_events: 3 });
		await assert.rejects(claude.messages.stream(ask('simple question')).finalMessage(), /Overloaded/);
	},
	async anthropic_cut_stream_is_a_connection_error() {
		await control('POST', '/faults', { service: 'anthropic', kind: 'cut', after_bytes: 300 });
		await assert.rejects(claude.messages.stream(ask('simple question')).finalMessage());
	},
	async anthropic_down_resets_until_cleared() {
		await control('POST', '/faults', { service: 'anthropic', kind: 'down' });
		await assert.rejects(claude.messages.create(ask('x')), Anthropic.APIConnectionError);
		await assert.rejects(claude.messages.create(ask('x')), Anthropic.APIConnectionError);
		await control('DELETE', '/faults?service=anthropic');
		assert.ok(await claude.messages.create(ask('x')));
	},
	async anthropic_stream_is_incremental() {
		await control('PATCH', '/config', { stream: { chunk_bytes: 400, chunk_delay_ms: 30 } });
		await play('slow stream', [{ text: 'word '.repeat(100) }]);
		const times = [];
		const stream = claude.messages.stream(ask('slow stream'));
		stream.on('text', () => times.push(Date.now()));
		await stream.finalMessage();
		await control('PATCH', '/config', { stream: { chunk_bytes: 512, chunk_delay_ms: 0 } });
		assert.ok(times.at(-1) - times[0] > 100, `spread ${times.at(-1) - times[0]} ms`);
	},

	// ---- what the Messages API refuses ----

	async anthropic_refuses_sampling_parameters() {
		const now = { 'anthropic-version': '2026-10-21' };
		await refused(ask('x', { temperature: 1.0 }), /^temperature: Extra inputs are not permitted$/, now);
		await refused(ask('x', { top_p: 1 }), /^top_p: Extra inputs/, now);
		await refused(ask('x', { temperature: 0.2 }), /temperature/);
		await refused(ask('x', { top_k: 5 }), /top_k/);
	},
	async anthropic_refuses_unknown_members() {
		await refused(ask('x', { budget: 1 }), /^budget: Extra inputs are not permitted$/);
		await refused({ model: MODEL, messages: [] }, /max_tokens: Field required/);
	},
	async anthropic_refuses_thinking_modes_by_model() {
		const mode = (model, thinking, more) => ({ ...ask('x', { model, thinking, max_tokens: 9000 }), ...more });
		const budget = { type: 'enabled', budget_tokens: 2000 };
		for (const model of ['claude-sonnet-5-5', 'claude-opus-5-5', 'claude-opus-4-7', 'claude-haiku-5-5'])
			await refused(mode(model, budget), /"thinking.type.enabled" is not supported/);
		await refused(mode('claude-sonnet-5-5', { type: 'disabled' }), /"thinking.type.disabled" is not supported/);
		await refused(mode('claude-sonnet-4-5', { type: 'adaptive' }), /"thinking.type.adaptive" is not supported/);
		await refused(mode('claude-sonnet-4-5', { type: 'enabled', budget_tokens: 100 }), /1024/);
		await refused(mode('claude-sonnet-4-5', { type: 'enabled', budget_tokens: 9000 }), /must be greater than/);
		await refused(mode('claude-haiku-4-5', budget, { output_config: { effort: 'low' } }), /effort/);
		for (const [model, thinking] of [['claude-sonnet-4-5', budget], ['claude-opus-4-6', budget],
			['claude-sonnet-5-5', { type: 'between_tools' }], ['claude-opus-5', { type: 'disabled' }]])
			assert.equal((await raw(mode(model, thinking))).status, 200, model);
	},
	async anthropic_refuses_prefill_and_forced_tools() {
		await refused(ask('x', { messages: [{ role: 'user', content: 'x' }, { role: 'assistant', content: 'y' }] }), /prefill/);
		await refused(ask('x', { tools, tool_choice: { type: 'any' } }), /tool_choice/);
		assert.equal((await raw(ask('x', { model: 'claude-sonnet-4-5', tools, tool_choice: { type: 'any' } }))).status, 200);
	},
	async anthropic_refuses_unpaired_tool_calls() {
		await play('unpaired', [{ tools: [{ name: 'view', input: {} }] }]);
		const { json } = await raw(ask('unpaired', { tools }));
		const id = json.content[0].id;
		const so_far = [...ask('unpaired').messages, { role: 'assistant', content: json.content }];
		const then = (...more) => ask('', { tools, messages: [...so_far, ...more] });
		await refused(then({ role: 'user', content: 'go on' }), /`tool_use` ids were found without `tool_result`/);
		await refused(then({ role: 'user', content: [{ type: 'text', text: 'first' }, ...result(id).content] }), /without `tool_result`/);
		await refused(then({ role: 'user', content: [...result(id).content, ...result('toolu_x').content] }), /unexpected `tool_use_id`/);
		await refused(ask('', { messages: [result('toolu_y')] }), /unexpected `tool_use_id`/);
		assert.equal((await raw(then(result(id)))).status, 200);
	},
	async anthropic_refuses_a_changed_earlier_message() {
		await play('changed history', [{ text: 'a', tools: [{ name: 'view', input: { path: 'p' } }] }]);
		const { json } = await raw(ask('changed history', { tools }));
		const id = json.content[1].id;
		const again = (user, content) => ask('', { tools, messages: [{ role: 'user', content: user }, { role: 'assistant', content }, result(id)] });
		assert.equal((await raw(again('changed history', json.content))).status, 200);
		await refused(again('changed history!', json.content), /not what it was when the answer/);
		const other = structuredClone(json.content);
		other[0].text = 'b';
		await refused(again('changed history', other), /not what was answered/);
		await refused(again('changed history', [json.content[1]]), /not what was answered/);
	},
	async anthropic_binds_thinking_to_its_conversation() {
		await play('bound thoughts', [{ thinking: 'deep', tools: [{ name: 'view', input: {} }] }]);
		const first = ask('bound thoughts', { tools, system: 'You work.' });
		const { json } = await raw(first);
		const again = (more) => ({ ...first, messages: [...first.messages, { role: 'assistant', content: json.content }, result(json.content[1].id)], ...more });
		assert.equal((await raw(again())).status, 200);
		await refused(again({ system: 'You rest.' }), /bound to a different conversation/);
		await refused(again({ tools: [{ ...tools[0], description: 'other' }] }), /bound to a different conversation/);
		const changed = again();
		changed.messages[1] = { role: 'assistant', content: [{ ...json.content[0], thinking: 'shallow' }, json.content[1]] };
		await refused(changed, /cannot be modified/);
		changed.messages[1] = { role: 'assistant', content: [{ ...json.content[0], signature: 'abc' }, json.content[1]] };
		await refused(changed, /Invalid `signature` in `thinking` block/);
	},
	async anthropic_refuses_unlawful_cache_marks() {
		const five = Array.from({ length: 5 }, (_, i) => cached(`t${i}`));
		await refused(ask('x', { messages: [{ role: 'user', content: five }] }), /maximum of 4 blocks/);
		await refused(ask('x', { system: [cached('a')], messages: [{ role: 'user', content: [cached('b', '1h')] }] }), /must not come after/);
	},

	// ---- the prompt cache ----

	async cache_reads_what_was_written_and_drops_to_zero_on_one_byte() {
		await play('cache bytes', [{ tools: [{ name: 'view', input: {} }] }, { text: 'done' }]);
		const request = (system, messages) => ask('', { tools, system: [cached(system)], messages });
		const system = long('You are careful. ', 8000);
		const one = [{ role: 'user', content: [cached('cache bytes ' + long('x', 3000))] }];
		const first = (await raw(request(system, one))).json;
		assert.equal(first.usage.cache_read_input_tokens, 0);
		assert.ok(first.usage.cache_creation_input_tokens > 2700);
		assert.equal(first.usage.cache_creation.ephemeral_5m_input_tokens, first.usage.cache_creation_input_tokens);
		const two = [...one, { role: 'assistant', content: first.content }, result(first.content[0].id)];
		const second = (await raw(request(system, two))).json;
		assert.equal(second.usage.cache_read_input_tokens, first.usage.cache_creation_input_tokens);
		const changed = (await raw(request(system.replace('careful', 'carefuL'), two))).json;
		assert.equal(changed.usage.cache_read_input_tokens, 0);
		assert.ok(changed.usage.cache_creation_input_tokens > 2700);
	},
	async cache_mark_may_move_without_breaking_the_prefix() {
		const a = 'moving mark ' + long('m', 4000);
		const first = (await raw(ask('', { messages: [{ role: 'user', content: [cached(a), { type: 'text', text: 'q' }] }] }))).json;
		const second = (await raw(ask('', { messages: [{ role: 'user', content: [{ type: 'text', text: a }, cached('q')] }] }))).json;
		assert.ok(first.usage.cache_creation_input_tokens > 900);
		assert.equal(second.usage.cache_read_input_tokens, first.usage.cache_creation_input_tokens);
	},
	async cache_ignores_prefixes_below_the_models_minimum() {
		const small = (model) => ask('', { model, messages: [{ role: 'user', content: [cached('minimum ' + long('s', 3000))] }] });
		assert.ok((await raw(small('claude-sonnet-5-5'))).json.usage.cache_creation_input_tokens > 700);
		assert.equal((await raw(small('claude-sonnet-5'))).json.usage.cache_creation_input_tokens, 0);
	},
	async cache_looks_back_twenty_blocks() {
		const blocks = (n) => Array.from({ length: n }, (_, i) => ({ type: 'text', text: `block ${i} ` + long('b', 300) }));
		const marked = (list) => ask('', { messages: [{ role: 'user', content: list.map((b, i) => (i === list.length - 1 ? { ...b, cache_control: { type: 'ephemeral' } } : b)) }] });
		const first = (await raw(marked(blocks(10)))).json.usage;
		assert.ok(first.cache_creation_input_tokens > 700);
		assert.equal((await raw(marked(blocks(30)))).json.usage.cache_read_input_tokens, 0, '20 blocks on: out of sight');
		await control('POST', '/clock', { advance_s: 4000 });
		await raw(marked(blocks(10)));
		assert.equal((await raw(marked(blocks(29)))).json.usage.cache_read_input_tokens, first.cache_creation_input_tokens);
	},
	async cache_entries_live_as_long_as_their_ttl() {
		const read = async (ttl, word) => (await raw(ask('', { messages: [{ role: 'user', content: [cached(word + long('t', 4000), ttl)] }] }))).json.usage.cache_read_input_tokens;
		await read(undefined, 'five');
		await read('1h', 'hour');
		await control('POST', '/clock', { advance_s: 290 });
		assert.ok(await read(undefined, 'five') > 0, 'read, and refreshed');
		await control('POST', '/clock', { advance_s: 290 });
		assert.ok(await read(undefined, 'five') > 0);
		await control('POST', '/clock', { advance_s: 301 });
		assert.equal(await read(undefined, 'five'), 0);
		assert.ok(await read('1h', 'hour') > 0);
		await control('POST', '/clock', { advance_s: 3601 });
		assert.equal(await read('1h', 'hour'), 0);
	},
	async cache_entry_is_readable_only_once_the_answer_began() {
		await control('PATCH', '/config', { stream: { first_delay_ms: 400 } });
		const body = ask('', { messages: [{ role: 'user', content: [cached('parallel ' + long('p', 4000))] }] });
		const [a, b] = await Promise.all([raw(body), raw(body)]);
		await control('PATCH', '/config', { stream: { first_delay_ms: 0 } });
		assert.equal(a.json.usage.cache_read_input_tokens + b.json.usage.cache_read_input_tokens, 0);
		assert.ok((await raw(body)).json.usage.cache_read_input_tokens > 0);
	},

	// ---- OpenAI ----

	async openai_responses_answer_and_stream() {
		await play('openai review', [{ thinking: 'hm', text: '{"verdict":"approve"} '.repeat(5), tools: [{ name: 'view', input: { path: 'q' } }] }]);
		const body = { model: 'gpt-6.1-terra', input: 'openai review', store: false };
		const whole = await openai.responses.create(body);
		assert.equal(whole.output_text, '{"verdict":"approve"} '.repeat(5));
		assert.equal(whole.status, 'completed');
		assert.ok(whole.usage.input_tokens > 0);
		const stream = openai.responses.stream(body);
		let numbers = 0;
		stream.on('event', (e) => { assert.equal(e.sequence_number, numbers); numbers++; });
		const last = await stream.finalResponse();
		assert.equal(last.output_text, whole.output_text);
		const call = last.output.find((o) => o.type === 'function_call');
		assert.deepEqual(JSON.parse(call.arguments), { path: 'q' });
		assert.ok(numbers > 10);
	},
	async openai_responses_play_the_next_turn_after_a_tool() {
		await play('openai tools', [{ tools: [{ name: 'view', input: {} }] }, { text: 'over' }]);
		const input = [{ role: 'user', content: 'openai tools' }];
		const first = await openai.responses.create({ model: 'gpt-6.1-terra', input });
		const call = first.output[0];
		const second = await openai.responses.create({ model: 'gpt-6.1-terra',
			input: [...input, ...first.output, { type: 'function_call_output', call_id: call.call_id, output: 'x' }] });
		assert.equal(second.output_text, 'over');
		await assert.rejects(openai.responses.create({ model: 'gpt-6.1-terra', input: [...input, ...first.output] }), /No tool output found/);
	},
	async openai_chat_answers_and_streams() {
		await play('openai chat', [{ text: 'hello there '.repeat(8), tools: [{ name: 'view', input: { a: 1 } }] }]);
		const body = { model: 'gpt-6-sol', messages: [{ role: 'user', content: 'openai chat' }] };
		const whole = await openai.chat.completions.create(body);
		assert.equal(whole.choices[0].message.content, 'hello there '.repeat(8));
		assert.equal(whole.choices[0].finish_reason, 'tool_calls');
		const last = await openai.chat.completions.stream({ ...body, stream_options: { include_usage: true } }).finalChatCompletion();
		assert.equal(last.choices[0].message.content, 'hello there '.repeat(8));
		assert.equal(last.choices[0].message.tool_calls[0].function.arguments, '{"a":1}');
		assert.ok(last.usage.total_tokens > 0);
	},
	async openai_errors_have_the_sdk_classes() {
		const body = { model: 'gpt-6-sol', input: 'x' };
		const wrong = new OpenAI({ apiKey: 'wrong', baseURL: `${base}/openai/v1`, maxRetries: 0 });
		await assert.rejects(wrong.responses.create(body), (e) => e instanceof OpenAI.AuthenticationError && e.code === 'invalid_api_key');
		await assert.rejects(openai.responses.create({ ...body, temperature: 0 }), (e) => e.code === 'unsupported_parameter' && e.param === 'temperature');
		await assert.rejects(openai.responses.create({ ...body, model: 'gpt-1' }), OpenAI.NotFoundError);
		await assert.rejects(openai.chat.completions.create({ model: 'gpt-6-sol', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] }), /max_completion_tokens/);
		const schema = { type: 'object', properties: { a: { type: 'string' } }, required: [], additionalProperties: false };
		await assert.rejects(openai.responses.create({ ...body, text: { format: { type: 'json_schema', name: 'n', strict: true, schema } } }), /'required'/);
	},
	async openai_models_are_listed() {
		const ids = [];
		for await (const m of openai.models.list()) ids.push(m.id);
		assert.ok(ids.includes('gpt-6.1-terra'));
	},
};

await run(tests, standin.stop);
