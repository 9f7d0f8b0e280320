// A Realtime client for the practice AI's tests, on npm ws: sends events, waits for events, and has
// every event of either side judged by OpenAI's schema on the way.
import assert from 'node:assert/strict';
import { spawn, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import WebSocket from 'ws';
import { wrongWith } from './realtime_schema.mjs';

const PATIENCE_MS = 20000;

// Starts the program; resolves to { port, url, stop() }.
export async function startAi(program, options, scheme = 'ws') {
  const child = spawn(program, ['--listen', '127.0.0.1:0', ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /^ready on 127\.0\.0\.1:(\d+)$/.exec(line)?.[1];
    assert.ok(port, `instead of a ready line: ${line}`);
    const stop = async () => {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      const [status, signal] = await gone;
      assert.equal(signal, null);
      assert.equal(status, 0, 'practice-ai ended badly (a sanitizer?)');
    };
    return { url: `${scheme}://127.0.0.1:${port}/v1/realtime`, http: `http://127.0.0.1:${port}`, stop };
  }
  throw new Error('practice-ai did not become ready');
}

export class Client {
  static async open(ai, { model = 'gpt-realtime', query = '', headers = {}, ...rest } = {}) {
    const client = new Client();
    client.events = [];
    client.waiting = [];
    client.ended = null;
    client.ws = new WebSocket(`${ai.url}?model=${model}${query}`, {
      headers: { Authorization: 'Bearer made-up', ...headers }, perMessageDeflate: false, ...rest,
    });
    client.ws.on('message', (data, binary) => client.take(data, binary));
    client.closed = new Promise((done) => {
      client.ws.on('close', (code, reason) => done((client.ended = { code, reason: reason.toString() })));
    });
    client.closed.then(() => client.wake());
    client.ws.on('error', (error) => { client.error = error; });
    await new Promise((done, fail) => {
      client.ws.on('open', done);
      client.ws.on('unexpected-response', (request, response) => {
        request.destroy();
        fail(Object.assign(new Error(`refused: ${response.statusCode}`), { status: response.statusCode }));
      });
      client.ws.on('error', fail);
    });
    return client;
  }

  take(data, binary) {
    if (this.lax) { this.events.push({ raw: data, binary }); this.wake(); return; }
    assert.equal(binary, false);
    const event = JSON.parse(data);
    assert.equal(wrongWith(event, 'server'), null);
    assert.match(event.event_id, /^event_\w+$/);
    this.events.push(event);
    this.wake();
  }

  wake() { for (const check of this.waiting.splice(0)) check(); }

  // Sends an event that has to be well formed; sendWrong does not care.
  send(event) {
    assert.equal(wrongWith(event, 'client'), null);
    this.ws.send(JSON.stringify(event));
  }

  sendWrong(event) { this.ws.send(typeof event === 'string' ? event : JSON.stringify(event)); }

  // Takes events from the front until one fits; resolves to it and keeps the ones before in .passed.
  async until(wanted) {
    const fits = typeof wanted === 'function' ? wanted : (event) => event.type === wanted;
    const deadline = Date.now() + PATIENCE_MS;
    this.passed = [];
    for (;;) {
      while (this.events.length) {
        const event = this.events.shift();
        if (fits(event)) return event;
        this.passed.push(event);
      }
      const seen = this.passed.map((event) => event.type).join(' ');
      if (this.ended) throw new Error(`closed with ${this.ended.code} while waiting for ${wanted}; seen: ${seen}`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`no ${wanted}; seen: ${seen}`);
      await new Promise((done) => {
        const timer = setTimeout(done, left);
        this.waiting.push(() => { clearTimeout(timer); done(); });
      });
    }
  }

  async configure(session = {}) {
    if (!this.created) this.created = await this.until('session.created');
    this.send({ type: 'session.update', session: { type: 'realtime', ...session } });
    return this.until('session.updated');
  }

  // The answer as a whole: { response, text, audio, types }.
  async answer() {
    await this.until('response.created');
    const response = await this.until('response.done');
    const pick = (type) => this.passed.filter((event) => event.type === type);
    return {
      response: response.response,
      text: pick('response.output_audio_transcript.delta').map((event) => event.delta).join(''),
      audio: Buffer.concat(pick('response.output_audio.delta').map((event) => Buffer.from(event.delta, 'base64'))),
      types: this.passed.map((event) => event.type),
      events: this.passed,
    };
  }

  async refused(event, code, param) {
    this.sendWrong({ ...event, event_id: 'mine' });
    const { error } = await this.until('error');
    assert.equal(error.code, code, error.message);
    assert.equal(error.event_id, 'mine');
    if (param !== undefined) assert.equal(error.param, param);
    assert.equal(error.type, 'invalid_request_error');
    assert.ok(error.message.length > 10);
    return error;
  }

  append(bytes, step = 160) {
    for (let at = 0; at < bytes.length; at += step)
      this.send({ type: 'input_audio_buffer.append', audio: bytes.subarray(at, at + step).toString('base64') });
  }

  async close() {
    this.ws.close(1000, 'OK');
    const ended = await this.closed;
    assert.equal(ended.code, 1000);
  }
}

export const PCMU = { audio: { input: { format: { type: 'audio/pcmu' } }, output: { format: { type: 'audio/pcmu' } } } };

function muLaw(sample) {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), 32635) + 0x84;
  const segment = 31 - Math.clz32(magnitude) - 7;
  return ~(sign | (segment << 4) | ((magnitude >> (segment + 3)) & 15)) & 0xff;
}

export const silence = (ms) => Buffer.alloc(ms * 8, 0xff);

// Real speech as mu-law 8 kHz: espeak-ng's WAV, averaged down.
export function speech(text) {
  const wav = execFileSync('espeak-ng', ['--stdout', text], { maxBuffer: 1 << 26 });
  const rate = wav.readUInt32LE(24);
  const count = Math.floor((wav.length - 44) / 2);
  const out = Buffer.alloc(Math.floor((count * 8000) / rate));
  for (let i = 0; i < out.length; i++) {
    const first = Math.floor((i * rate) / 8000);
    const last = Math.min(Math.floor(((i + 1) * rate) / 8000), count);
    let sum = 0;
    for (let k = first; k < last; k++) sum += wav.readInt16LE(44 + 2 * k);
    out[i] = muLaw(Math.trunc(sum / (last - first)));
  }
  return out;
}

// Loudness of 16-bit samples, in dB below full scale.
export function loudness(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return 10 * Math.log10(sum / samples.length / 32768 ** 2 + 1e-12);
}

export async function post(ai, path, body) {
  const response = await fetch(ai.http + path, { method: 'POST', body: JSON.stringify(body) });
  return { status: response.status, body: await response.json() };
}
