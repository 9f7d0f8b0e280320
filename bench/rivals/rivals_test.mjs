// The rivals before they are measured: does each relay truly relay? A comparison with a program that
// drops or mangles audio would be worth nothing.
//   node rivals_test.mjs NAME=COMMAND...        each COMMAND is split at blanks
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';

const need = createRequire(new URL('../../tests/package.json', import.meta.url));
const { WebSocketServer, WebSocket } = need('ws');
const frames = 50;

// One call through a relay: a carrier here, an AI there, and what each of them got.
class Stage {
  async open(command, format) {
    this.aiServer = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(this.aiServer, 'listening');
    const [program, ...words] = command.split(' ');
    this.relay = spawn(program, words, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PORT: '0', FORMAT: format, OPENAI_API_KEY: 'k',
        AI_URL: `ws://127.0.0.1:${this.aiServer.address().port}/v1/realtime` },
    });
    const [line] = await once(this.relay.stdout, 'data');
    const port = /ready (\d+)/.exec(line)[1];
    const joined = once(this.aiServer, 'connection');
    this.carrier = new WebSocket(`ws://127.0.0.1:${port}/media-stream`);
    this.heard = this.collect(this.carrier);
    await once(this.carrier, 'open');
    [this.ai] = await joined;
    this.told = this.collect(this.ai);
    this.tell(this.carrier, { event: 'connected', protocol: 'Call', version: '1.0.0' });
    this.tell(this.carrier, { event: 'start', start: { streamSid: 'MZ1' }, streamSid: 'MZ1' });
  }

  collect(socket) {
    const got = [];
    socket.on('message', (data) => { got.push(JSON.parse(data)); this.wake?.(); });
    return got;
  }

  tell(socket, message) { socket.send(JSON.stringify(message)); }

  media(number, payload) {
    this.tell(this.carrier, { event: 'media', sequenceNumber: String(number + 2), streamSid: 'MZ1',
      media: { track: 'inbound', chunk: String(number + 1), timestamp: String(20 * number), payload } });
  }

  // Waits until a condition on what came holds.
  async until(what, holds) {
    const limit = AbortSignal.timeout(10000);
    while (!holds()) {
      if (limit.aborted) throw new Error(`${what} never came`);
      await new Promise((done) => { this.wake = done; setTimeout(done, 100); });
    }
  }

  async beginSession() {
    await this.until('session.update', () => this.told.some((event) => event.type === 'session.update'));
    this.tell(this.ai, { type: 'session.updated', session: {} });
  }

  appended() {
    return this.told.filter((event) => event.type === 'input_audio_buffer.append').map((event) => event.audio);
  }

  played() { return this.heard.filter((message) => message.event === 'media'); }

  async close() {
    this.carrier.close();
    if (this.ai.readyState !== WebSocket.CLOSED) await once(this.ai, 'close');
    this.relay.kill();
    await once(this.relay, 'close');
    this.aiServer.close();
  }
}

const frame = (number) => Buffer.from(Array.from({ length: 160 }, (_, i) => (i * 7 + number * 31) & 0xff));

function delta(audio) {
  return { type: 'response.output_audio.delta', response_id: 'r1', item_id: 'i1', output_index: 0,
    content_index: 0, delta: audio };
}

async function passesMuLaw(stage) {
  for (let i = 0; i < 10; i += 1) stage.media(i, frame(i).toString('base64'));
  await stage.beginSession();
  for (let i = 10; i < frames; i += 1) stage.media(i, frame(i).toString('base64'));
  await stage.until('every frame', () => stage.appended().length === frames);
  assert.deepEqual(stage.appended(), Array.from({ length: frames }, (_, i) => frame(i).toString('base64')));
  stage.tell(stage.ai, delta(frame(3).toString('base64')));
  await stage.until('a mark', () => stage.heard.some((message) => message.event === 'mark'));
  assert.equal(stage.played()[0].media.payload, frame(3).toString('base64'));
  assert.equal(stage.played()[0].streamSid, 'MZ1');
}

async function interrupts(stage) {
  stage.tell(stage.ai, { type: 'input_audio_buffer.speech_started', audio_start_ms: 0, item_id: 'i2' });
  await stage.until('clear', () => stage.heard.some((message) => message.event === 'clear'));
  await stage.until('truncate', () => stage.told.some((event) => event.type === 'conversation.item.truncate'));
  assert.equal(stage.told.find((event) => event.type === 'conversation.item.truncate').item_id, 'i1');
}

// 500 Hz, by the textbook's mu-law; what comes out must have its length, its pitch and about its loudness.
function muLaw(sample) {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), 32635) + 132;
  const exponent = Math.floor(Math.log2(magnitude)) - 7;
  return ~(sign | exponent << 4 | magnitude >> exponent + 3 & 15) & 0xff;
}
const loudness = (samples) => Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
const crossings = (samples) => samples.filter((sample, i) => i && samples[i - 1] < 0 && sample >= 0).length;

async function converts(stage) {
  await stage.beginSession();
  const tone = Array.from({ length: 160 * frames }, (_, i) => Math.round(8000 * Math.sin(i * Math.PI / 8)));
  for (let i = 0; i < frames; i += 1)
    stage.media(i, Buffer.from(tone.slice(160 * i, 160 * i + 160).map(muLaw)).toString('base64'));
  await stage.until('every frame', () => stage.appended().length === frames);
  const bytes = Buffer.concat(stage.appended().map((text) => Buffer.from(text, 'base64')));
  assert.equal(bytes.length, 960 * frames);
  const wide = Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readInt16LE(2 * i));
  assert.ok(Math.abs(crossings(wide) - 500) <= 2, `${crossings(wide)} periods`);
  assert.ok(Math.abs(loudness(wide) / loudness(tone) - 1) < 0.1);
  for (let at = 0; at < bytes.length; at += 4802) // deltas that do not end with a sample
    stage.tell(stage.ai, delta(bytes.subarray(at, at + 4802).toString('base64')));
  const codes = () => Buffer.concat(stage.played().map((message) => Buffer.from(message.media.payload, 'base64')));
  await stage.until('all of the agent', () => codes().length === 160 * frames);
  const unlike = [...codes()].filter((code, i) => (code ^ muLaw(tone[i])) & 0x80).length;
  assert.ok(unlike < 160 * frames * 0.15, `${unlike} samples have the wrong sign`);
}

let failed = 0;
for (const argument of process.argv.slice(2)) {
  const [name, command] = argument.split(/=(.*)/s);
  for (const [format, acts] of [['pcmu', [passesMuLaw, interrupts]], ['pcm', [converts]]]) {
    const stage = new Stage();
    try {
      await stage.open(command, format);
      for (const act of acts) await act(stage);
      console.log(`ok   ${name}, ${format}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL ${name}, ${format}\n${error.stack}`);
    }
    await stage.close();
  }
}
process.exit(failed ? 1 : 0);
