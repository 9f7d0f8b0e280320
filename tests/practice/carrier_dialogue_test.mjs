// The practice carrier against a server written with Twilio's own helper library and npm ws: what
// the helper library signs and parses is what our carrier has to send.
//   node carrier_dialogue_test.mjs PATH/practice-carrier
import assert from 'node:assert/strict';
import http from 'node:http';
import { spawn } from 'node:child_process';
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import twilio from 'twilio';
import { WebSocketServer } from 'ws';

const program = process.argv[2];
const token = '0123456789abcdef0123456789abcdef';
const base = 'https://voice.example.com';
const scratch = mkdtempSync(join(tmpdir(), 'carrier-dialogue-'));
const digits = /^(0|[1-9][0-9]*)$/;

// ---- the stand-in for ringbridge ----

class Standin {
  constructor(behave) {
    this.behave = behave; // { twiml(params, path), stream(ws, standin) }
    this.requests = [];
    this.messages = [];
    this.upgrades = [];
    this.server = http.createServer((request, response) => this.take(request, response));
    this.sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
    this.server.on('upgrade', (request, socket, head) => this.upgrade(request, socket, head));
  }

  async open() {
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
    this.port = this.server.address().port;
  }

  close() {
    for (const socket of this.sockets.clients) socket.terminate();
    this.server.closeAllConnections();
    this.server.close();
  }

  async take(request, response) {
    let body = '';
    for await (const piece of request) body += piece;
    const params = Object.fromEntries(new URLSearchParams(body));
    const valid = twilio.validateRequest(token, request.headers['x-twilio-signature'] ?? '',
      base + request.url, params);
    this.requests.push({ path: request.url, params, body, valid, headers: request.headers });
    const answer = this.behave.twiml?.(params, request.url, this);
    if (typeof answer === 'number') response.writeHead(answer).end();
    else if (answer) response.writeHead(200, { 'content-type': 'text/xml' }).end(answer.toString());
    else response.writeHead(204).end();
  }

  upgrade(request, socket, head) {
    const url = 'wss://voice.example.com' + request.url;
    const signature = request.headers['x-twilio-signature'] ?? '';
    const valid = twilio.validateRequest(token, signature, url, {});
    this.upgrades.push({ path: request.url, headers: request.headers, valid });
    if (this.behave.refuse?.(this)) {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    this.sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.on('message', (data, binary) => {
        const text = data.toString();
        const message = binary ? { event: 'binary' } : parse(text);
        this.messages.push(message);
        this.behave.message?.(ws, message, this);
      });
      ws.on('close', (code) => { this.closeCode = code; });
      ws.on('error', (error) => { this.socketError = error.message; });
    });
  }

  of(event) {
    return this.messages.filter((message) => message.event === event);
  }

  to(path) {
    return this.requests.filter((request) => request.path.startsWith(path));
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { event: 'not json', text };
  }
}

async function carry(standin, options) {
  const json = join(scratch, 'report.json');
  await standin.open();
  const child = spawn(program, ['--webhook',
    `http://127.0.0.1:${standin.port}/api/twilio/incoming-call`, '--public-url', base, '--json', json,
    ...options], { env: { ...process.env, TWILIO_AUTH_TOKEN: token } });
  let output = '';
  child.stdout.on('data', (data) => { output += data; });
  child.stderr.on('data', (data) => { output += data; });
  const timeout = setTimeout(() => child.kill('SIGKILL'), 60000);
  const status = await new Promise((done) => child.on('close', done));
  clearTimeout(timeout);
  standin.close();
  const report = status === 2 ? null : JSON.parse(readFileSync(json));
  return { status, output, report, call: report?.calls[0], stream: report?.calls[0].stream };
}

// ---- the ordinary answer: a stream, then a redirect ----

function streamTwiml(path = '/twilio-media-stream/TICKET?drop=this') {
  const response = new twilio.twiml.VoiceResponse();
  const stream = response.connect().stream({
    url: 'wss://voice.example.com' + path, name: 'talk',
    statusCallback: base + '/api/twilio/stream-status#rc=3&rp=5xx',
  });
  stream.parameter({ name: 'org', value: '7 & "seven"' });
  response.redirect({ method: 'POST' }, base + '/api/twilio/after-stream?x=1');
  return response;
}

function ordinary(path) {
  if (path === '/api/twilio/incoming-call') return streamTwiml();
  if (path.startsWith('/api/twilio/after-stream')) {
    const response = new twilio.twiml.VoiceResponse();
    response.say('Bye & thanks');
    response.hangup();
    return response;
  }
  return null;
}

const send = (ws, sid, message) => ws.send(JSON.stringify({ ...message, streamSid: sid }));
const audio = (ms, code) => Buffer.alloc(8 * ms, code).toString('base64');

const tests = {
  async 'a whole call is what the helper library expects'() {
    const standin = new Standin({
      twiml: (params, path) => ordinary(path),
      message(ws, message, { messages }) {
        if (message.event !== 'start') return;
        const sid = message.streamSid;
        send(ws, sid, { event: 'media', media: { payload: audio(600, 0x21) } });
        send(ws, sid, { event: 'mark', mark: { name: 'greeting' } });
      },
    });
    const wav = join(scratch, 'heard.wav');
    const { status, call, stream, output } = await carry(standin, ['--say', 'Hello there.',
      '--dtmf', '12#', '--patience-ms', '600', '--out', wav]);
    assert.equal(status, 0, output);
    for (const request of standin.requests) {
      assert.ok(request.valid, `signature of ${request.path}`);
      assert.match(request.headers['i-twilio-idempotency-token'], /^[0-9a-f-]{36}$/);
      assert.equal(request.headers['user-agent'], 'TwilioProxy/1.1');
    }
    const [incoming] = standin.to('/api/twilio/incoming-call');
    assert.match(incoming.params.CallSid, /^CA[0-9a-f]{32}$/);
    assert.match(incoming.params.AccountSid, /^AC[0-9a-f]{32}$/);
    assert.equal(incoming.params.CallStatus, 'ringing');
    assert.equal(incoming.params.To, incoming.params.Called);
    assert.equal(incoming.params.ToCity, '');
    assert.ok(incoming.body.includes('FromCity=SAN+FRANCISCO'));

    const [upgrade] = standin.upgrades;
    assert.equal(upgrade.path, '/twilio-media-stream/TICKET');
    assert.ok(upgrade.valid, 'signature of the handshake');
    assert.equal(upgrade.headers.host, 'voice.example.com');
    assert.equal(upgrade.headers['sec-websocket-protocol'], undefined);
    assert.equal(upgrade.headers['sec-websocket-extensions'], undefined);
    assert.equal(upgrade.headers.origin, undefined);

    const [connected, start] = standin.messages;
    assert.deepEqual(connected, { event: 'connected', protocol: 'Call', version: '1.0.0' });
    assert.equal(start.sequenceNumber, '1');
    assert.match(start.streamSid, /^MZ[0-9a-f]{32}$/);
    assert.deepEqual(start.start, {
      accountSid: incoming.params.AccountSid, streamSid: start.streamSid,
      callSid: incoming.params.CallSid, tracks: ['inbound'],
      mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
      customParameters: { org: '7 & "seven"' },
    });
    standin.messages.slice(1).forEach((message, i) => {
      assert.equal(message.sequenceNumber, String(i + 1), 'one sequence over all messages');
      assert.equal(message.streamSid, start.streamSid);
    });
    const media = standin.of('media');
    const first = Number(media[0].media.timestamp);
    assert.ok(first > 0, 'timestamps do not begin at 0');
    media.forEach(({ media: frame }, i) => {
      for (const field of ['chunk', 'timestamp', 'payload', 'track'])
        assert.equal(typeof frame[field], 'string');
      assert.match(frame.timestamp, digits);
      assert.equal(frame.chunk, String(i + 1));
      assert.equal(frame.timestamp, String(first + 20 * i));
      assert.equal(Buffer.from(frame.payload, 'base64').length, 160);
    });
    assert.deepEqual(standin.of('dtmf').map(({ dtmf }) => dtmf),
      ['1', '2', '#'].map((digit) => ({ track: 'inbound_track', digit })));
    assert.deepEqual(standin.of('mark').map(({ mark }) => mark), [{ name: 'greeting' }]);
    const stop = standin.messages.at(-1);
    assert.deepEqual(stop.stop,
      { accountSid: incoming.params.AccountSid, callSid: incoming.params.CallSid });
    assert.equal(stop.event, 'stop');
    assert.equal(standin.closeCode, 1000);

    const states = standin.to('/api/twilio/status-callback').map(({ params }) => params);
    assert.deepEqual(states.map((state) => state.CallStatus),
      ['initiated', 'ringing', 'in-progress', 'completed']);
    states.forEach((state, i) => {
      assert.equal(state.SequenceNumber, String(i));
      assert.equal(state.CallbackSource, 'call-progress-events');
      assert.match(state.Timestamp, /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000$/);
      assert.equal('CallDuration' in state, i === 3);
    });
    const streams = standin.to('/api/twilio/stream-status').map(({ params }) => params);
    assert.deepEqual(streams.map((state) => state.StreamEvent),
      ['stream-started', 'stream-stopped']);
    assert.equal(streams[0].StreamName, 'talk');
    assert.match(streams[0].Timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);

    assert.equal(call.ended_by, 'caller');
    assert.deepEqual(call.verbs, ['Connect']);
    assert.equal(stream.marks[0].played_ms, 600);
    assert.equal(stream.media.played_ms, 600);
    const heard = readFileSync(wav);
    const sound = heard.indexOf(Buffer.alloc(4800, 0x21));
    assert.ok(sound > 58, 'what was sent was heard, bit for bit');
    assert.notEqual(heard[sound + 4800], 0x21);
  },

  async 'when the server closes, the next verb follows'() {
    const standin = new Standin({
      twiml: (params, path) => ordinary(path),
      message(ws, message) {
        if (message.event === 'start') ws.close(1000);
      },
    });
    const { status, call, output } = await carry(standin, ['--hangup-after', '20000']);
    assert.equal(status, 0, output);
    assert.deepEqual(call.verbs, ['Connect', 'Redirect', 'Say', 'Hangup']);
    const [after] = standin.to('/api/twilio/after-stream?x=1');
    assert.ok(after.valid);
    assert.equal(after.params.CallStatus, 'in-progress');
    assert.equal(standin.of('stop').length, 0);
    assert.equal(call.errors[0].code, 31921);
    assert.ok(output.includes('Twilio says: Bye & thanks'));
  },

  async 'clear says what was heard, and flushes marks'() {
    const standin = new Standin({
      twiml: (params, path) => ordinary(path),
      message(ws, message, self) {
        const sid = message.streamSid;
        if (message.event === 'start') {
          for (let i = 0; i < 20; i++) {
            send(ws, sid, { event: 'media', media: { payload: audio(200, 0x30 + i) } });
            send(ws, sid, { event: 'mark', mark: { name: `a.${i}` } });
          }
        }
        // Three marks heard, then somebody interrupts.
        if (message.event === 'mark' && message.mark.name === 'a.2')
          send(ws, sid, { event: 'clear' });
        if (message.event === 'mark' && message.mark.name === 'a.19') ws.close(1000);
      },
    });
    const { stream } = await carry(standin, ['--hangup-after', '20000']);
    assert.equal(stream.clears.length, 1);
    const [clear] = stream.clears;
    assert.ok(clear.speech_ms >= 600 && clear.speech_ms < 700, `${clear.speech_ms}`);
    assert.equal(clear.speech_ms + clear.thrown_ms, 4000);
    assert.equal(clear.marks, 17);
    assert.deepEqual(stream.marks.map(({ flushed }) => flushed),
      Array.from({ length: 20 }, (_, i) => i > 2));
    assert.deepEqual(standin.of('mark').map(({ mark }) => mark.name),
      Array.from({ length: 20 }, (_, i) => `a.${i}`));
    assert.equal(stream.media.thrown_ms, clear.thrown_ms);
  },

  async 'a refused stream falls through to the next verb'() {
    const standin = new Standin({ twiml: (params, path) => ordinary(path), refuse: () => true });
    const { status, call } = await carry(standin, []);
    assert.equal(status, 1);
    assert.equal(call.errors[0].code, 31920);
    assert.equal(call.stream.end.status, 403);
    assert.deepEqual(call.verbs, ['Connect', 'Redirect', 'Say', 'Hangup']);
    const [error] = standin.to('/api/twilio/stream-status').map(({ params }) => params);
    assert.equal(error.StreamEvent, 'stream-error');
    assert.ok(error.StreamError.length > 0);
  },

  async 'wrong messages of the server are warned of and dropped'() {
    const standin = new Standin({
      twiml: (params, path) => ordinary(path),
      message(ws, message) {
        if (message.event !== 'start') return;
        ws.send(Buffer.from([1, 2, 3]));
        ws.send('{"event":"media"');
        send(ws, 'MZ' + '0'.repeat(32), { event: 'clear' });
        send(ws, message.streamSid, { event: 'mark' });
        send(ws, message.streamSid,
          { event: 'media', media: { payload: audio(20, 1), track: 'outbound' } });
        ws.close(1000);
      },
    });
    const { stream } = await carry(standin, ['--hangup-after', '20000']);
    assert.deepEqual(stream.warnings.map(({ code }) => code),
      [31950, 31951, 31951, 31951, 31951]);
    assert.equal(stream.media.played_ms, 0);
  },

  async 'verbs without a stream'() {
    const response = new twilio.twiml.VoiceResponse();
    response.pause({ length: 1 });
    response.play('https://voice.example.com/x.mp3');
    response.dial({ action: '/api/twilio/dialled', timeout: 5 }).number('+15550123');
    const standin = new Standin({
      twiml(params, path) {
        if (path === '/api/twilio/incoming-call') return response;
        if (path !== '/api/twilio/dialled') return null;
        const last = new twilio.twiml.VoiceResponse();
        last.reject({ reason: 'busy' });
        return last;
      },
    });
    const { call } = await carry(standin, []);
    assert.deepEqual(call.verbs, ['Pause', 'Play', 'Dial', 'Reject']);
    const [dialled] = standin.to('/api/twilio/dialled');
    assert.equal(dialled.params.DialCallStatus, 'no-answer');
    assert.ok(dialled.valid);
    assert.equal(call.status, 'busy');
  },

  async 'a failing webhook is an application error, and 5xx is repeated only when asked for'() {
    const standin = new Standin({
      twiml: (params, path) => (path === '/api/twilio/incoming-call' ? 503 : null),
    });
    const { status, call } = await carry(standin, []);
    assert.equal(status, 1);
    assert.equal(call.status, 'failed');
    assert.equal(call.errors[0].code, 11200);
    assert.equal(standin.to('/api/twilio/incoming-call').length, 1);
    let refusals = 2;
    const repeated = new Standin({
      twiml(params, path) {
        if (path === '/api/twilio/status' && refusals-- > 0) return 503;
        return path === '/api/twilio/incoming-call' ? new twilio.twiml.VoiceResponse() : null;
      },
    });
    await carry(repeated, ['--status-url', `${base}/api/twilio/status#rc=3&rp=5xx`]);
    const tries = repeated.to('/api/twilio/status').slice(0, 3);
    assert.equal(new Set(tries.map(({ headers }) => headers['i-twilio-idempotency-token'])).size, 1);
    assert.ok(tries.every(({ valid }) => valid), 'the fragment is neither sent nor signed');
  },

  async 'status callbacks in any order and twice'() {
    const empty = new twilio.twiml.VoiceResponse();
    const standin = new Standin({
      twiml: (params, path) => (path === '/api/twilio/incoming-call' ? empty : null),
    });
    await carry(standin, ['--misbehave', 'status-shuffled', '--misbehave', 'status-doubled',
      '--seed', '3']);
    const order = standin.to('/api/twilio/status-callback')
      .map(({ params }) => Number(params.SequenceNumber));
    assert.equal(order.length, 8);
    assert.notDeepEqual(order, [...order].sort());
    assert.deepEqual([...order].sort(), [0, 0, 1, 1, 2, 2, 3, 3]);
  },

  async 'misbehaviour reaches the wire'() {
    const seen = async (misdeed, options = []) => {
      const standin = new Standin({ twiml: (params, path) => ordinary(path) });
      const result = await carry(standin, ['--hangup-after', '1300', '--misbehave', misdeed,
        ...options]);
      return { standin, ...result };
    };
    const names = ['second-start', 'wrong-call-sid', 'wrong-stream-sid', 'binary-frame', 'bad-json',
      'timestamp-gap', 'no-stop', 'forged-ticket'];
    for (const name of names) {
      const { standin, stream } = await seen(name);
      const start = standin.of('start');
      const [incoming] = standin.to('/api/twilio/incoming-call');
      switch (name) {
        case 'second-start': assert.equal(start.length, 2); break;
        case 'wrong-call-sid':
          assert.notEqual(start[0].start.callSid, incoming.params.CallSid); break;
        case 'wrong-stream-sid':
          assert.equal(standin.of('media').filter((m) => m.streamSid !== start[0].streamSid).length,
            1);
          break;
        case 'binary-frame': assert.equal(standin.of('binary').length, 1); break;
        case 'bad-json': assert.equal(standin.of('not json').length, 1); break;
        case 'timestamp-gap': {
          const at = standin.of('media').map(({ media }) => Number(media.timestamp));
          assert.equal(Math.max(...at.slice(1).map((t, i) => t - at[i])), 120);
          assert.equal(stream.frames.left_out, 5);
          break;
        }
        case 'no-stop':
          assert.equal(standin.of('stop').length, 0);
          assert.equal(standin.closeCode, 1006);
          break;
        default:
          assert.notEqual(standin.upgrades[0].path, '/twilio-media-stream/TICKET');
          assert.ok(standin.upgrades[0].valid, 'signed as it stands');
      }
    }
    const wrong = await seen('wrong-signature');
    assert.ok(wrong.standin.requests.every(({ valid }) => !valid));
    const unmasked = await seen('unmasked');
    assert.match(unmasked.standin.socketError, /MASK/);
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok   ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}\n${error.stack}`);
  }
}
rmSync(scratch, { recursive: true });
process.exit(failed ? 1 : 0);
