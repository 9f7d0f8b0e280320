// The judge itself: what it must let pass and what it must catch, so that "no faults" means something.
import assert from 'node:assert/strict';
import { wrongWith } from './realtime_schema.mjs';

const id = { event_id: 'event_1' };
const delta = { ...id, type: 'response.output_audio.delta', response_id: 'r', item_id: 'i', output_index: 0, content_index: 0, delta: 'AAAA' };
const update = (session) => ({ type: 'session.update', session });

const right = [
  ['server', delta],
  ['server', { ...id, type: 'error', error: { type: 'invalid_request_error', code: null, message: 'm', param: null, event_id: null } }],
  ['client', { type: 'input_audio_buffer.append', audio: 'AAAA' }],
  ['client', update({ type: 'realtime', output_modalities: ['audio'], audio: { input: { format: { type: 'audio/pcmu' }, turn_detection: null } } })],
  ['client', { type: 'response.create', response: { conversation: 'none', input: [] } }],
];
const wrong = [
  ['server', { ...delta, type: 'response.audio.delta' }], // the beta's name
  ['server', { ...delta, event_id: undefined }],
  ['server', { ...delta, output_index: '0' }],
  ['server', { ...delta, more: 1 }],
  ['server', { ...id, type: 'response.content_part.added', response_id: 'r', item_id: 'i', output_index: 0, content_index: 0, part: { type: 'output_audio' } }],
  ['server', { ...id, type: 'response.done', response: { id: 'r', status: 'finished' } }],
  ['client', update({ modalities: ['text', 'audio'] })],
  ['client', update({ type: 'realtime', voice: 'marin' })],
  ['client', update({ type: 'realtime', audio: { input: { format: { type: 'audio/pcmu', rate: 8000 } } } })],
  ['client', update({ type: 'realtime', audio: { input: { turn_detection: { type: 'server_vad', silence_ms: 1 } } } })],
  ['client', { type: 'conversation.item.truncate', item_id: 'i', content_index: 0, audio_end_ms: 1.5 }],
  ['client', { type: 'conversation.item.create', item: { type: 'function_call_output', call_id: 'c', output: {} } }],
  ['client', { type: 'response.create', response: { modalities: ['audio'] } }],
];
const plain = (event) => JSON.parse(JSON.stringify(event));
for (const [from, event] of right) assert.equal(wrongWith(plain(event), from), null);
for (const [from, event] of wrong) assert.ok(wrongWith(plain(event), from), JSON.stringify(event));
console.log(`${right.length} let pass, ${wrong.length} caught`);
