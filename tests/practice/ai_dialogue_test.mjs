// The practice AI in dialogue with an independent client (npm ws), every event judged by OpenAI's schema.
//   node ai_dialogue_test.mjs PATH/practice-ai
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, PCMU, loudness, post, silence, speech, startAi } from './ai_client.mjs';
import { judgeRecord } from './realtime_schema.mjs';

const program = process.argv[2];
const scratch = mkdtempSync(join(tmpdir(), 'ai-dialogue-'));
const record = join(scratch, 'record.jsonl');

const userText = (text) => ({ type: 'conversation.item.create', item: { type: 'message', role: 'user', content: [{ type: 'input_text', text }] } });
const vad = (more = {}) => ({ type: 'server_vad', threshold: 0.5, prefix_padding_ms: 300, silence_duration_ms: 500, create_response: true, interrupt_response: true, ...more });

const withInput = (more, base = PCMU) => ({ audio: { ...base.audio, input: { ...base.audio.input, ...more } } });

// ---- the handshake ----

async function whoMayComeIn(ai) {
  await assert.rejects(Client.open(ai, { headers: { Authorization: 'Bearer other' } }), { status: 401 });
  await assert.rejects(Client.open(ai, { headers: { Authorization: '' } }), { status: 401 });
  await assert.rejects(Client.open(ai, { model: '' }), { status: 400 });
  await assert.rejects(Client.open(ai, { query: '&intent=transcription' }), { status: 400 });
  await assert.rejects(Client.open({ url: ai.url.replace('/v1/', '/v2/') }), { status: 404 });
  const beta = await Client.open(ai, { headers: { 'OpenAI-Beta': 'realtime=v1' } });
  assert.deepEqual(await beta.closed, { code: 4000, reason: 'beta_api_shape_disabled' });
}

// ---- configuration ----

async function defaultsAndUpdates(ai) {
  const client = await Client.open(ai, { model: 'gpt-realtime' });
  client.created = await client.until('session.created');
  const { session } = client.created;
  assert.deepEqual(session.audio.output, { format: { type: 'audio/pcm', rate: 24000 }, voice: 'marin', speed: 1 });
  assert.equal(session.audio.input.turn_detection.type, 'server_vad');
  assert.ok(Math.abs(session.expires_at - Date.now() / 1000 - 3600) < 5);
  let { session: now } = await client.configure({ instructions: 'Be kind.', tools: [{ type: 'function', name: 'f', parameters: {} }] });
  assert.equal(now.instructions, 'Be kind.');
  assert.equal(now.audio.output.voice, 'marin');
  ({ session: now } = await client.configure({ audio: { input: { turn_detection: null }, output: { voice: 'cedar' } } }));
  assert.equal(now.audio.input.turn_detection, null);
  assert.equal(now.audio.output.voice, 'cedar');
  assert.equal(now.tools.length, 1);
  ({ session: now } = await client.configure({ instructions: '', tools: [], audio: { input: { turn_detection: { type: 'server_vad' } } } }));
  assert.equal(now.instructions, '');
  assert.deepEqual(now.tools, []);
  assert.equal(now.audio.input.turn_detection.silence_duration_ms, 500);
  await client.close();
}

async function wrongShapes(ai) {
  const client = await Client.open(ai);
  await client.configure();
  const update = (session) => ({ type: 'session.update', session });
  const realtime = (more) => update({ type: 'realtime', ...more });
  const cases = [
    [{ type: 'session.update' }, 'missing_required_parameter', 'session'],
    [update({}), 'missing_required_parameter', 'session.type'],
    [update([]), 'invalid_type', 'session'],
    [update({ type: 'transcription' }), 'invalid_value', 'session.type'],
    [realtime({ modalities: ['text', 'audio'] }), 'unknown_parameter', 'session.modalities'],
    [realtime({ voice: 'marin' }), 'unknown_parameter', 'session.voice'],
    [realtime({ temperature: 0.8 }), 'unknown_parameter', 'session.temperature'],
    [realtime({ input_audio_format: 'g711_ulaw' }), 'unknown_parameter', 'session.input_audio_format'],
    [realtime({ output_modalities: ['audio', 'text'] }), 'invalid_value', 'session.output_modalities'],
    [realtime({ output_modalities: [] }), 'invalid_value', 'session.output_modalities'],
    [realtime({ model: 'gpt-realtime-2.1' }), 'invalid_value', 'session.model'],
    [realtime({ reasoning: { effort: 'low' } }), 'invalid_value', 'session.reasoning'],
    [realtime({ max_output_tokens: 0 }), 'invalid_value', 'session.max_output_tokens'],
    [realtime({ max_output_tokens: 4097 }), 'invalid_value', 'session.max_output_tokens'],
    [realtime({ audio: 'loud' }), 'invalid_type', 'session.audio'],
    [realtime({ audio: { output: { voice: 'nobody' } } }), 'invalid_value', 'session.audio.output.voice'],
    [realtime({ audio: { output: { speed: 1.6 } } }), 'integer_above_max_value', 'session.audio.output.speed'],
    [realtime({ audio: { input: { format: 'pcm16' } } }), 'invalid_type', 'session.audio.input.format'],
    [realtime({ audio: { input: { format: { type: 'audio/pcmu', rate: 8000 } } } }), 'unknown_parameter', 'session.audio.input.format.rate'],
    [realtime({ audio: { input: { format: { type: 'audio/pcm', rate: 16000 } } } }), 'integer_below_min_value', 'session.audio.input.format.rate'],
    [realtime({ audio: { input: { format: { type: 'g711_ulaw' } } } }), 'invalid_value', 'session.audio.input.format.type'],
    [realtime({ audio: { input: { turn_detection: { threshold: 0.5 } } } }), 'missing_required_parameter', 'session.audio.input.turn_detection.type'],
    [realtime({ audio: { input: { turn_detection: vad({ threshold: 1.1 }) } } }), 'integer_above_max_value', 'session.audio.input.turn_detection.threshold'],
    [realtime({ audio: { input: { turn_detection: vad({ idle_timeout_ms: 4999 }) } } }), 'integer_below_min_value', 'session.audio.input.turn_detection.idle_timeout_ms'],
    [realtime({ audio: { input: { transcription: { model: 'ears' } } } }), 'invalid_value', 'session.audio.input.transcription.model'],
    [realtime({ tools: [{ type: 'function', name: 'f', strict: true }] }), 'unknown_parameter', 'session.tools[0].strict'],
    [realtime({ tools: [{ type: 'function', function: { name: 'f' } }] }), 'missing_required_parameter', 'session.tools[0].name'],
    [realtime({ tool_choice: 'maybe' }), 'invalid_value', 'session.tool_choice'],
    [{ type: 'transcription_session.update' }, 'invalid_value', 'type'],
    [{ event: 'media' }, 'invalid_event', 'type'],
    [{ type: 'input_audio_buffer.append' }, 'missing_required_parameter', 'audio'],
    [{ type: 'input_audio_buffer.append', audio: 'AAA' }, 'invalid_value', 'audio'],
    [{ type: 'input_audio_buffer.append', audio: 'AA=A' }, 'invalid_value', 'audio'],
    [{ type: 'input_audio_buffer.append', audio: 'AB==' }, 'invalid_value', 'audio'],
    [{ type: 'input_audio_buffer.append', audio: 'AA==' }, 'invalid_value', 'audio'], // half a sample
    [{ type: 'input_audio_buffer.append', audio: '' , extra: 1 }, 'unknown_parameter', 'extra'],
    [{ type: 'input_audio_buffer.commit' }, 'input_audio_buffer_commit_empty'],
    [{ type: 'response.cancel' }, 'response_cancel_not_active', null],
    [{ type: 'response.create', response: { modalities: ['text'] } }, 'unknown_parameter', 'response.modalities'],
    [{ type: 'response.create', response: { metadata: { a: 1 } } }, 'invalid_value', 'response.metadata'],
    [{ type: 'conversation.item.truncate', item_id: 'item_x', content_index: 0 }, 'missing_required_parameter', 'audio_end_ms'],
    [{ type: 'conversation.item.truncate', item_id: 'item_x', content_index: 0, audio_end_ms: 1.5 }, 'invalid_type', 'audio_end_ms'],
    [{ type: 'conversation.item.truncate', item_id: 'item_x', content_index: 0, audio_end_ms: 1 }, 'item_truncate_invalid_item_id', 'item_id'],
    [{ type: 'conversation.item.delete', item_id: 'item_x' }, 'item_delete_invalid_item_id', 'item_id'],
    [{ type: 'conversation.item.retrieve', item_id: 'item_x' }, 'item_retrieve_invalid_item_id', 'item_id'],
    [{ type: 'conversation.item.create', item: { type: 'message', role: 'assistant', content: [{ type: 'text', text: 'x' }] } }, 'invalid_value', 'item.content[0].type'],
    [{ type: 'conversation.item.create', item: { type: 'message', role: 'assistant', content: [{ type: 'output_audio', audio: 'AAAA' }] } }, 'invalid_value', 'item.content[0].type'],
    [{ type: 'conversation.item.create', item: { type: 'message', role: 'system', content: [{ type: 'output_text', text: 'x' }] } }, 'invalid_value', 'item.content[0].type'],
    [{ type: 'conversation.item.create', item: { type: 'message', role: 'user' } }, 'missing_required_parameter', 'item.content'],
    [{ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: 'call_x', output: { ok: true } } }, 'invalid_type', 'item.output'],
    [{ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: 'call_x', output: '{}' } }, 'invalid_tool_call_id', 'item.call_id'],
    [{ ...userText('x'), previous_item_id: 'item_x' }, 'item_create_invalid_previous_item_id', 'previous_item_id'],
  ];
  for (const [event, code, param] of cases) await client.refused(event, code, param);
  for (const text of ['{"type":', '[1]', '{"type":"response.cancel","type":"response.cancel"}', '\u0000']) {
    client.sendWrong(text);
    assert.equal((await client.until('error')).error.code, 'invalid_json');
  }
  client.ws.send(Buffer.from('{"type":"response.cancel"}'));
  assert.equal((await client.until('error')).error.code, 'invalid_json');
  client.sendWrong({ type: 'response.cancel', event_id: 'x'.repeat(513) });
  assert.equal((await client.until('error')).error.code, 'string_above_max_length');
  const { session } = await client.configure(); // nothing of all that has left a trace
  assert.deepEqual(session, client.created.session);
  await client.close();
}

// ---- speaking ----

const ORDER = ['response.output_item.added', 'conversation.item.added', 'response.content_part.added',
  'response.output_audio.done', 'response.output_audio_transcript.done', 'response.content_part.done',
  'conversation.item.done', 'response.output_item.done'];

async function greeting(ai) {
  for (const [type, perMs] of [['audio/pcmu', 8], ['audio/pcma', 8], ['audio/pcm', 48]]) {
    const client = await Client.open(ai);
    await client.configure({ audio: { output: { format: type === 'audio/pcm' ? { type, rate: 24000 } : { type } } } });
    client.send(userText('Greet the caller now. Say exactly this: Hello, this is Northwind "Plumbing".'));
    const added = await client.until('conversation.item.added');
    assert.equal(added.previous_item_id, null);
    await client.until('conversation.item.done');
    const begun = Date.now();
    client.send({ type: 'response.create' });
    const answer = await client.answer();
    assert.equal(answer.text, 'Hello, this is Northwind "Plumbing".');
    assert.equal(answer.response.status, 'completed');
    assert.deepEqual(answer.types.filter((t) => ORDER.includes(t)), ORDER);
    assert.ok(answer.types.indexOf('response.content_part.added') < answer.types.indexOf('response.output_audio.delta'));
    assert.ok(answer.types.lastIndexOf('response.output_audio.delta') < answer.types.indexOf('response.output_audio.done'));
    assert.ok(answer.types.includes('rate_limits.updated'));
    const ms = answer.audio.length / perMs;
    assert.ok(ms > 1200 && ms < 6000, `${ms} ms of speech`);
    assert.ok(Date.now() - begun < ms, 'speech comes faster than it plays');
    if (perMs === 48) {
      const samples = new Int16Array(answer.audio.buffer.slice(answer.audio.byteOffset, answer.audio.byteOffset + answer.audio.length));
      assert.ok(loudness(samples) > -35 && loudness(samples) < -6, `${loudness(samples)} dB`);
    }
    const { usage } = answer.response;
    assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
    assert.equal(usage.output_token_details.audio_tokens, Math.floor(Math.floor(ms) / 50));
    assert.equal(answer.response.output[0].content[0].transcript, answer.text);
    await client.refused({ type: 'session.update', session: { type: 'realtime', audio: { output: { voice: 'ash' } } } }, 'cannot_update_voice');
    await client.configure({ audio: { output: { voice: 'marin' } } });
    await client.close();
  }
}

async function speechTurn(ai) {
  const client = await Client.open(ai, { model: 'gpt-realtime-mini' });
  await client.configure(withInput({ transcription: { model: 'gpt-4o-mini-transcribe' }, turn_detection: vad() }));
  assert.equal((await post(ai, '/practice/expect', { text: 'not for this model', model: 'other' })).status, 200);
  await post(ai, '/practice/expect', { text: 'I would like a boiler.', model: 'gpt-realtime-mini' });
  client.append(silence(1000));
  const said = speech('I would like a boiler.');
  client.append(said);
  client.append(silence(700));
  const started = await client.until('input_audio_buffer.speech_started');
  assert.ok(Math.abs(started.audio_start_ms - 700) < 150, `speech started at ${started.audio_start_ms}`);
  const stopped = await client.until('input_audio_buffer.speech_stopped');
  const end = 1000 + said.length / 8 + 500;
  assert.ok(stopped.audio_end_ms > end - 400 && stopped.audio_end_ms <= end + 20, `${stopped.audio_end_ms}, about ${end}`);
  const committed = await client.until('input_audio_buffer.committed');
  assert.equal(committed.item_id, started.item_id);
  const added = await client.until('conversation.item.added');
  assert.deepEqual([added.item.id, added.item.role, added.item.content[0].type], [started.item_id, 'user', 'input_audio']);
  const answer = await client.answer();
  assert.equal(answer.text, 'You said: I would like a boiler. What else can I do for you?');
  const heard = [...answer.events, ...client.events].find((e) => e.type === 'conversation.item.input_audio_transcription.completed');
  assert.equal(heard.transcript, 'I would like a boiler.');
  assert.equal(heard.item_id, started.item_id);
  client.send({ type: 'conversation.item.retrieve', item_id: started.item_id });
  const { item } = await client.until('conversation.item.retrieved');
  const kept = Buffer.from(item.content[0].audio, 'base64');
  assert.equal(kept.length, (stopped.audio_end_ms - started.audio_start_ms) * 8);
  assert.ok(kept.includes(said.subarray(800, 2400)), 'the item holds what was said, to the bit');
  await client.close();
}

async function noiseIsNoSpeech(ai) {
  const client = await Client.open(ai);
  await client.configure(withInput({ turn_detection: vad() }));
  const quiet = Buffer.alloc(8000, 0xf8); // about -54 dB
  const click = Buffer.concat([silence(400), Buffer.alloc(160, 0x00), silence(400)]);
  client.append(quiet);
  client.append(click);
  client.send({ type: 'input_audio_buffer.clear' });
  await client.until('input_audio_buffer.cleared');
  assert.deepEqual(client.passed, []);
  await client.close();
}

async function interruption(ai) {
  const client = await Client.open(ai);
  await client.configure(withInput({ turn_detection: vad() }));
  client.send(userText('Tell: ' + 'This is a long story of many words. '.repeat(10)));
  client.send({ type: 'response.create', event_id: 'first' });
  await client.refused({ type: 'response.create' }, 'conversation_already_has_active_response');
  const first = await client.until('response.output_audio.delta');
  for (let i = 0; i < 2; i++) await client.until('response.output_audio.delta');
  await post(ai, '/practice/expect', { texts: ['Stop, goodbye.'] });
  assert.equal((await post(ai, '/practice/expect', { texts: [1] })).status, 400);
  assert.equal((await post(ai, '/practice/expect', {})).status, 400);
  client.append(speech('Stop! Stop! I have a question.'));
  await client.until('input_audio_buffer.speech_started');
  const late = client.passed.filter((e) => e.type === 'response.output_audio.delta').length;
  const done = await client.until('response.done');
  assert.equal(done.response.status, 'cancelled');
  assert.deepEqual(done.response.status_details, { type: 'cancelled', reason: 'turn_detected' });
  assert.equal(done.response.output[0].status, 'incomplete');
  assert.ok(done.response.output[0].content[0].transcript.length < 330);
  const types = client.passed.map((e) => e.type);
  for (const type of ORDER.slice(3)) assert.ok(types.includes(type), `${type} also when cut off`);
  const truncate = (ms) => ({ type: 'conversation.item.truncate', item_id: first.item_id, content_index: 0, audio_end_ms: ms });
  const whole = (3 + late) * 200;
  const error = await client.refused(truncate(whole + 1), null);
  assert.match(error.message, new RegExp(`^Audio content of ${whole}ms is already shorter than ${whole + 1}ms`));
  client.send(truncate(333));
  assert.equal((await client.until('conversation.item.truncated')).audio_end_ms, 333);
  await client.refused(truncate(334), null);
  await client.refused({ ...truncate(10), content_index: 1 }, 'invalid_value', 'content_index');
  client.send({ type: 'conversation.item.retrieve', item_id: first.item_id });
  const { item } = await client.until('conversation.item.retrieved');
  assert.equal(Buffer.from(item.content[0].audio, 'base64').length, 333 * 8);
  assert.equal(item.content[0].transcript, undefined);
  client.append(silence(800));
  const committed = await client.until('input_audio_buffer.committed');
  assert.equal((await client.answer()).text, 'Goodbye, and thank you for calling.');
  await client.refused({ ...truncate(10), item_id: committed.item_id }, 'invalid_value', 'item_id');
  await client.close();
}

async function withoutInterruption(ai) {
  const client = await Client.open(ai);
  await client.configure(withInput({ turn_detection: vad({ interrupt_response: false }) }));
  client.send(userText('Say: one two three four five six seven eight nine ten eleven twelve.'));
  client.send({ type: 'response.create' });
  await client.until('response.output_audio.delta');
  client.append(speech('Excuse me, please.'));
  client.append(silence(600));
  assert.equal((await client.until('response.done')).response.status, 'completed');
  assert.ok(client.passed.some((e) => e.type === 'input_audio_buffer.committed'));
  assert.match((await client.answer()).text, /^You said: \(\d\.\d s of speech\)/); // the waiting turn's own answer
  await client.close();
}

async function cancelByClient(ai) {
  const client = await Client.open(ai);
  await client.configure(PCMU);
  client.send({ type: 'response.create', response: { instructions: 'Say: ' + 'word '.repeat(60) } });
  const created = await client.until('response.created');
  await client.until('response.output_audio.delta');
  await client.refused({ type: 'response.cancel', response_id: 'resp_other' }, 'response_cancel_not_active');
  client.send({ type: 'response.cancel', response_id: created.response.id });
  const { response } = await client.until('response.done');
  assert.deepEqual(response.status_details, { type: 'cancelled', reason: 'client_cancelled' });
  await client.close();
}

async function byHand(ai) {
  const client = await Client.open(ai);
  await client.configure(withInput({ turn_detection: null }));
  client.append(speech('Nobody listens by himself.'));
  client.append(silence(1000));
  client.send({ type: 'input_audio_buffer.commit' });
  await client.until('input_audio_buffer.committed');
  assert.deepEqual(client.passed, [], 'no turn was found');
  await client.refused({ type: 'input_audio_buffer.commit' }, 'input_audio_buffer_commit_empty');
  client.append(silence(500));
  client.send({ type: 'input_audio_buffer.clear' });
  await client.until('input_audio_buffer.cleared');
  await client.refused({ type: 'input_audio_buffer.commit' }, 'input_audio_buffer_commit_empty');
  client.send({ type: 'response.create' });
  assert.match((await client.answer()).text, /s of speech/);
  await client.close();
}

async function functionCall(ai) {
  const client = await Client.open(ai);
  const tool = { type: 'function', name: 'book_visit', description: 'Books.', parameters: { type: 'object', properties: { day: { type: 'string', enum: ['mon', 'tue'] }, note: { type: 'string' } }, required: ['day'] } };
  await client.configure({ ...withInput({ turn_detection: vad() }), tools: [tool], tool_choice: 'auto' });
  await post(ai, '/practice/expect', { text: 'Please book me a visit — “soon”.' });
  client.append(speech('Please book me a visit.'));
  client.append(silence(700));
  const { response, events } = await client.answer();
  const [call] = response.output;
  assert.deepEqual([call.type, call.name, call.status], ['function_call', 'book_visit', 'completed']);
  assert.deepEqual(JSON.parse(call.arguments), { day: 'mon', note: 'Please book me a visit — “soon”.' });
  const deltas = events.filter((e) => e.type === 'response.function_call_arguments.delta').map((e) => e.delta);
  assert.ok(deltas.length > 2 && deltas.join('') === call.arguments);
  const done = events.find((e) => e.type === 'response.function_call_arguments.done');
  assert.deepEqual([done.name, done.call_id, done.arguments], ['book_visit', call.call_id, call.arguments]);
  client.send({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: call.call_id, output: 'monday at nine' } });
  client.send({ type: 'response.create' });
  assert.equal((await client.answer()).text, 'That is done. The answer was: monday at nine.');
  client.send({ type: 'response.create', response: { tool_choice: 'required', instructions: 'Do it' } });
  assert.equal((await client.answer()).response.output[0].name, 'book_visit');
  await client.close();
}

async function otherResponses(ai) {
  const client = await Client.open(ai);
  await client.configure(PCMU);
  client.send({ type: 'response.create', response: { output_modalities: ['text'], instructions: 'Say: plain text', conversation: 'none', metadata: { topic: 'x' } } });
  const { response, types, events } = await client.answer();
  assert.deepEqual(response.output[0].content, [{ type: 'output_text', text: 'plain text' }]);
  assert.equal(response.conversation_id, null);
  assert.deepEqual(response.metadata, { topic: 'x' });
  assert.ok(!types.some((type) => type.startsWith('conversation.item')));
  assert.equal(events.find((e) => e.type === 'response.output_text.done').text, 'plain text');
  client.send({ type: 'response.create', response: { max_output_tokens: 10, instructions: 'Say: ' + 'word '.repeat(30) } });
  const cut = await client.answer();
  assert.equal(cut.response.status, 'incomplete');
  assert.deepEqual(cut.response.status_details, { type: 'incomplete', reason: 'max_output_tokens' });
  assert.equal(cut.audio.length, 500 * 8);
  client.send({ ...userText('first of all'), previous_item_id: 'root' });
  assert.equal((await client.until('conversation.item.added')).previous_item_id, null);
  client.send({ type: 'conversation.item.delete', item_id: cut.response.output[0].id });
  await client.until('conversation.item.deleted');
  await client.close();
}

async function idleCaller(ai) {
  const client = await Client.open(ai);
  await client.configure(withInput({ turn_detection: vad({ idle_timeout_ms: 5000 }) }));
  client.send({ type: 'response.create', response: { instructions: 'Say: Yes?' } });
  const { audio } = await client.answer();
  const begun = Date.now();
  await client.until('input_audio_buffer.timeout_triggered');
  assert.ok(Date.now() - begun > 4900 && audio.length > 0);
  assert.equal((await client.answer()).text, 'Are you still there?');
  await client.close();
}

async function bigAppend(ai) {
  const client = await Client.open(ai);
  await client.configure({ audio: { input: { turn_detection: null } } });
  const bytes = 15 << 20;
  client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(bytes).toString('base64') });
  await client.refused({ type: 'input_audio_buffer.append', audio: Buffer.alloc(bytes + 2).toString('base64') }, 'string_above_max_length', 'audio');
  client.send({ type: 'input_audio_buffer.clear' });
  await client.until('input_audio_buffer.cleared');
  await client.close();
}

// ---- tone and echo ----

async function echo(ai) {
  const client = await Client.open(ai, { model: 'practice-echo' });
  await client.configure(PCMU);
  await client.until('response.content_part.added');
  const sent = [Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.from([1]), Buffer.from([2, 3]), silence(20)];
  for (const block of sent) client.send({ type: 'input_audio_buffer.append', audio: block.toString('base64') });
  for (const block of sent) {
    const { delta } = await client.until('response.output_audio.delta');
    assert.equal(delta, block.toString('base64'));
  }
  await client.close();
}

async function tone(ai) {
  const before = (await (await fetch(ai.http + '/practice/sessions')).json()).ended.appends;
  const client = await Client.open(ai, { model: 'practice-tone', query: '&delta_ms=20&talk_ms=400&quiet_ms=100&stamp=1' });
  await client.configure(PCMU);
  client.append(silence(200));
  const { response, audio, events } = await client.answer();
  assert.equal(response.status, 'completed');
  assert.equal(audio.length, 400 * 8);
  const stamps = events.filter((e) => e.type === 'response.output_audio.delta').map((e) => Buffer.from(e.delta, 'base64'));
  assert.deepEqual(stamps.map((s) => s.readUInt32LE(8)), Array.from({ length: 20 }, (_, i) => i));
  const paces = stamps.slice(1).map((s, i) => Number(s.readBigUInt64LE(0) - stamps[i].readBigUInt64LE(0)) / 1e6);
  assert.ok(Math.abs(paces.reduce((a, b) => a + b) / paces.length - 20) < 5, `${paces}`);
  await client.answer(); // and again
  await client.close();
  const after = (await (await fetch(ai.http + '/practice/sessions')).json()).ended.appends;
  assert.equal(after - before, 10);
}

// ---- misbehaviour ----

async function misbehaving(ai, name, { lax = false, model = 'gpt-realtime' } = {}) {
  const client = await Client.open(ai, { model, query: `&misbehave=${name}` });
  await client.configure(PCMU);
  client.send(userText('Say: ' + 'word '.repeat(20)));
  client.send({ type: 'response.create' });
  await client.until('response.created');
  client.lax = lax;
  return client;
}

async function faults(ai) {
  for (const [name, status] of [['refuse-401', 401], ['refuse-429', 429], ['refuse-503', 503]])
    await assert.rejects(Client.open(ai, { query: `&misbehave=${name}` }), { status });
  await assert.rejects(Client.open(ai, { model: 'practice-hang', handshakeTimeout: 300 }), /timed out/);
  assert.equal((await post(ai, '/practice/misbehave', { name: 'refuse-503', count: 1 })).status, 200);
  assert.equal((await post(ai, '/practice/misbehave', { name: 'be good' })).status, 400);
  await assert.rejects(Client.open(ai), { status: 503 });
  await (await Client.open(ai)).close();

  const poor = await Client.open(ai, { model: 'practice-quota' });
  assert.equal((await poor.until('error')).error.code, 'insufficient_quota');
  assert.equal((await poor.closed).code, 1008);
  for (const [name, code] of [['drop', 1006], ['vanish', 1006], ['close', 1011]])
    assert.equal((await (await misbehaving(ai, name)).closed).code, code, name);
  const expired = await misbehaving(ai, 'expire');
  assert.equal((await expired.until('error')).error.code, 'session_expired');
  assert.deepEqual(await expired.closed, { code: 1001, reason: 'Your session hit the maximum duration of 60 minutes.' });
  const failed = await misbehaving(ai, 'error');
  assert.equal((await failed.until('error')).error.type, 'server_error');
  assert.equal((await failed.until('response.done')).response.status_details.error.code, 'server_error');
  await failed.close();
  for (const name of ['no-ready', 'silent', 'stall']) await quiet(ai, name);
  for (const name of ['masked', 'reserved', 'not-utf8', 'long-frame']) { // npm ws judges these frames
    const client = await misbehaving(ai, name, { lax: true });
    await client.closed;
    assert.match(client.error.code, /^WS_ERR_/, name);
  }
}

// Those after which nothing more comes; "nothing" is what the answer to a later question proves.
async function quiet(ai, name) {
  const client = await Client.open(ai, { model: `practice-${name}` });
  await client.until('session.created');
  client.send({ type: 'session.update', session: { type: 'realtime', ...PCMU } });
  if (name !== 'no-ready') await client.until('session.updated');
  client.send({ type: 'response.create', response: { instructions: 'Say: ' + 'word '.repeat(20) } });
  if (name === 'stall') {
    for (let i = 0; i < 3; i++) await client.until('response.output_audio.delta');
    await new Promise((done) => setTimeout(done, 300)); // silence can only be waited for
    assert.deepEqual(client.events.filter((e) => e.type === 'response.output_audio.delta'), []);
  } else {
    client.send({ type: 'input_audio_buffer.clear' });
    await client.until('input_audio_buffer.cleared');
    assert.ok(!client.passed.some((e) => e.type === (name === 'silent' ? 'response.created' : 'session.updated')));
  }
  client.ws.terminate();
  await client.closed;
}

async function oddMessages(ai) {
  const texts = async (name) => {
    const client = await misbehaving(ai, name, { lax: true });
    await client.until((e) => String(e.raw).includes('"response.done"'));
    const all = client.passed.map((e) => ({ text: e.raw ? String(e.raw) : JSON.stringify(e), binary: e.binary }));
    await client.close();
    return all;
  };
  const broken = (all) => all.filter(({ text }) => { try { JSON.parse(text); return false; } catch { return true; } });
  assert.equal(broken(await texts('garbage')).length, 1);
  assert.ok(broken(await texts('deep'))[0].text.length > 10000);
  assert.ok((await texts('huge-delta')).some(({ text }) => text.length > 4 << 20));
  assert.ok((await texts('bad-base64')).some(({ text }) => text.includes('"AAA*"')));
  assert.ok((await texts('odd-delta')).some(({ text }) => text.includes('"AA=="')));
  assert.ok((await texts('unknown')).some(({ text }) => text.includes('response.mood.changed')));
  assert.ok((await texts('binary')).some(({ binary }) => binary));
  assert.equal((await texts('flood')).filter(({ text }) => text.includes('event_flood')).length, 20000);
  assert.equal(broken(await texts('fragment')).length, 0);
}

// ---- sealed, scripted, short-lived ----

async function sealedAndScripted() {
  const { execFileSync } = await import('node:child_process');
  const [cert, key, script] = ['cert.pem', 'key.pem', 'script.json'].map((name) => join(scratch, name));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' });
  writeFileSync(script, JSON.stringify({ rules: [{ when: 'text', contains: 'weather', say: 'Rain.', call: { name: 'umbrella', arguments: { open: true } } }, { say: 'No idea.' }] }));
  const ai = await startAi(program, ['--cert', cert, '--key', key, '--script', script, '--session-seconds', '2', '--expect-key', 'made-up'], 'wss');
  const client = await Client.open(ai, { ca: readFileSync(cert) });
  await client.configure(PCMU);
  client.send(userText('How is the weather'));
  client.send({ type: 'response.create' });
  const { response } = await client.answer();
  assert.equal(response.output[0].content[0].transcript, 'Rain.');
  assert.deepEqual([response.output[1].name, response.output[1].arguments], ['umbrella', '{"open":true}']);
  client.send(userText('And the news'));
  client.send({ type: 'response.create' });
  assert.equal((await client.answer()).text, 'No idea.');
  assert.equal((await client.until('error')).error.code, 'session_expired');
  assert.equal((await client.closed).code, 1001);
  await ai.stop();
}

function kept() {
  const { counts, faults: wrong } = judgeRecord(record);
  const server = [...counts.keys()].filter((name) => name.startsWith('server '));
  assert.deepEqual(wrong.filter((fault) => fault.startsWith('server')), []);
  assert.ok(server.length >= 28, `${server.length} kinds of server events`);
  const wavs = readdirSync(scratch).filter((name) => /^sess_\w+\.wav$/.test(name));
  assert.ok(wavs.length >= 4);
  for (const name of wavs) {
    const wav = readFileSync(join(scratch, name));
    assert.equal(wav.toString('latin1', 0, 4) + wav.toString('latin1', 8, 16), 'RIFFWAVEfmt ');
    assert.equal(wav.readUInt32LE(40), wav.length - 44);
    assert.equal(wav.readUInt32LE(4), wav.length - 8);
  }
}

const ai = await startAi(program, ['--expect-key', 'made-up', '--record', record, '--record-audio', scratch, ...process.argv.slice(3)]);
const tests = [whoMayComeIn, defaultsAndUpdates, wrongShapes, greeting, speechTurn, noiseIsNoSpeech, interruption,
  withoutInterruption, cancelByClient, byHand, functionCall, otherResponses, bigAppend, idleCaller, echo, tone, faults, oddMessages];
try {
  for (const test of tests) {
    const begun = Date.now();
    await test(ai);
    console.log(`ok ${test.name} (${Date.now() - begun} ms)`);
  }
  await ai.stop();
  await sealedAndScripted();
  kept();
  console.log('ok sealedAndScripted, kept');
} finally {
  rmSync(scratch, { recursive: true });
}
