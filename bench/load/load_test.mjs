// The load generator before it is believed: through the floor, through a small edge written with npm
// ws, and through one that loses and mixes up frames, which has to be noticed.
//   node load_test.mjs PATH/floor PATH/bench_load
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { createRequire } from 'node:module';
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [floor, load] = process.argv.slice(2);
const need = createRequire(new URL('../../tests/package.json', import.meta.url));
const { WebSocketServer, WebSocket } = need('ws');
const scratch = mkdtempSync(join(tmpdir(), 'load-test-'));
const calls = 6;

async function freePort() {
  const server = net.createServer();
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  const { port } = server.address();
  await new Promise((done) => { server.close(done); });
  return port;
}

async function measure(aiPort, options) {
  const json = join(scratch, 'report.json');
  const child = spawn(load, ['--ai-port', aiPort, '--calls', calls, '--rate', '100', '--warm', '0.5',
    '--seconds', '3', '--json', json, ...options],
  { env: { ...process.env, TWILIO_AUTH_TOKEN: 'token-of-a-test' } });
  let output = '';
  child.stdout.on('data', (data) => { output += data; });
  child.stderr.on('data', (data) => { output += data; });
  const status = await new Promise((done) => { child.on('close', done); });
  assert.equal(status, 0, output);
  return JSON.parse(readFileSync(json));
}

function expectAll(report) {
  assert.equal(report.failed, 0);
  assert.equal(report.wrong_frames, 0);
  // 3 s of 50 frames a second; 100 ms deltas half of the time.
  assert.ok(report.up.units >= calls * 100 && report.up.units <= calls * 200, `${report.up.units}`);
  assert.ok(report.down.units >= calls * 5 && report.down.units <= calls * 30);
  for (const way of [report.up, report.down]) {
    assert.equal(way.arrived, way.units);
    assert.equal(way.lost_ms, 0);
    assert.ok(way.p50_us > 0 && way.p50_us <= way.p99_us && way.p99_us <= way.max_us);
  }
}

async function withFloor(aiPort, flags, use) {
  const relayPort = await freePort();
  const relay = spawn(floor, ['--listen', `127.0.0.1:${relayPort}`, '--to', `127.0.0.1:${aiPort}`, ...flags],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  relay.stdout.on('data', (data) => { output += data; });
  await new Promise((done) => { relay.stdout.once('data', done); });
  const result = await use(relayPort, relay.pid);
  relay.kill('SIGTERM');
  assert.equal(await new Promise((done) => { relay.on('close', done); }), 0);
  return [result, Number(/sends (\d+)/.exec(output)[1])];
}

async function throughFloor(format, flags = []) {
  const aiPort = await freePort();
  const [report] = await withFloor(aiPort, flags, (relayPort, pid) => measure(aiPort,
    ['--relay', `127.0.0.1:${relayPort}`, '--format', format, '--pid', pid]));
  return report;
}

// What comes at once: an HTTP head, and frames of every length and mask, cut in the middle of a head.
async function sendsOfAHeap(flags) {
  const frame = (bytes, mask) => {
    const length = bytes < 126 ? [bytes] : bytes < 65536 ? [126, bytes >> 8, bytes & 255]
      : [127, 0, 0, 0, 0, 0, bytes >> 16, bytes >> 8 & 255, bytes & 255];
    length[0] |= mask ? 0x80 : 0;
    return Buffer.concat([Buffer.from([0x82, ...length, ...(mask ? [1, 2, 3, 4] : [])]), Buffer.alloc(bytes, 7)]);
  };
  const frames = [0, 1, 125, 126, 300, 700].flatMap((bytes) => [frame(bytes, true), frame(bytes, false)]);
  const heap = Buffer.concat([Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'), ...frames, frame(70000, true)]);
  let heard = Buffer.alloc(0);
  let listening;
  const server = net.createServer((socket) => {
    socket.on('data', (data) => { heard = Buffer.concat([heard, data]); if (heard.length === heap.length) listening(); });
  });
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  const [, sends] = await withFloor(server.address().port, flags, async (relayPort) => {
    const socket = net.connect(relayPort, '127.0.0.1');
    const all = new Promise((done) => { listening = done; });
    socket.write(heap);
    await all;
    socket.destroy();
  });
  server.close();
  assert.ok(heard.equals(heap));
  return [sends, frames.length];
}

// A small edge: prepares the AI leg with the webhook, relays pcmu both ways, marks every delta.
class SmallEdge {
  constructor(aiPort, spoil, secret, spoilDelta, joinFrames) {
    this.spoilDelta = spoilDelta;
    this.joinFrames = joinFrames;
    this.aiUrl = `${secret ? 'wss' : 'ws'}://127.0.0.1:${aiPort}/v1/realtime?model=load`;
    this.spoil = spoil;
    this.legs = [];
    this.marks = 0;
    const answer = (request, response) => {
      const ticket = this.legs.push(this.dialAi()) - 1;
      response.writeHead(200, { 'content-type': 'text/xml' });
      response.end(`<Response><Connect><Stream url="wss://voice.example.com/stream/${ticket}"/>`
        + '</Connect></Response>');
    };
    this.server = secret ? https.createServer(secret, answer) : http.createServer(answer);
    this.sockets = new WebSocketServer({ server: this.server });
    this.sockets.on('connection', (carrier, request) => this.join(carrier, request));
  }

  dialAi() {
    const ai = new WebSocket(this.aiUrl, { perMessageDeflate: false, rejectUnauthorized: false });
    ai.on('message', (data) => {
      const event = JSON.parse(data);
      if (event.type === 'session.created')
        ai.send(JSON.stringify({ type: 'session.update', session: { type: 'realtime' } }));
      else if (event.type === 'session.updated') this.append(ai);
      else if (event.type === 'response.output_audio.delta') this.down(ai, event.delta);
    });
    return ai;
  }

  // The caller does not wait for the AI's session; what it says meanwhile is kept.
  append(ai, text) {
    if (text === undefined) ai.ready = true;
    else (ai.waiting ??= []).push(text);
    if (ai.ready) (ai.waiting ?? []).splice(0).forEach((kept) => ai.send(kept));
  }

  down(ai, payload) {
    const { carrier, streamSid } = ai;
    this.marks += 1;
    if (!this.spoilDelta(payload, this.marks)) return;
    carrier.send(JSON.stringify({ event: 'media', streamSid, media: { payload } }));
    carrier.send(JSON.stringify({ event: 'mark', streamSid, mark: { name: `m${this.marks}` } }));
  }

  join(carrier, request) {
    const ai = this.legs[Number(request.url.split('/').at(-1))];
    ai.carrier = carrier;
    ai.echoes = 0;
    carrier.on('message', (data) => {
      const message = JSON.parse(data);
      if (message.event === 'start') ai.streamSid = message.streamSid;
      if (message.event === 'mark') this.echoed = (this.echoed ?? 0) + 1;
      if (message.event !== 'media') return;
      const audio = this.spoil(message.media.payload, Number(message.media.chunk), request.url);
      if (!audio) return;
      ai.kept = [...(ai.kept ?? []), Buffer.from(audio, 'base64')];
      if (ai.kept.length < this.joinFrames) return;
      const joined = Buffer.concat(ai.kept.splice(0)).toString('base64');
      this.append(ai, `{"type":"input_audio_buffer.append","audio":"${joined}"}`);
    });
    carrier.on('close', () => ai.close());
  }

  async open() {
    await new Promise((done) => { this.server.listen(0, '127.0.0.1', done); });
    return this.server.address().port;
  }
}

async function throughSmallEdge({
  spoil = (payload) => payload, spoilDelta = () => true, joinFrames = 1, tls = false, flags = [],
} = {}) {
  const aiPort = await freePort();
  const cert = join(scratch, 'cert.pem');
  const key = join(scratch, 'key.pem');
  if (tls)
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
      '-nodes', '-subj', '/CN=localhost', '-days', '1', '-out', cert, '-keyout', key],
    { stdio: 'ignore' });
  const secret = tls ? { cert: readFileSync(cert), key: readFileSync(key) } : null;
  const edge = new SmallEdge(aiPort, spoil, secret, spoilDelta, joinFrames);
  const port = await edge.open();
  const report = await measure(aiPort, [...flags, ...(tls ? ['--cert', cert, '--key', key] : []), '--edge', '--',
    '--webhook', `${tls ? 'https' : 'http'}://127.0.0.1:${port}/api/twilio/incoming-call`,
    '--public-url', 'https://voice.example.com']);
  edge.server.closeAllConnections();
  edge.server.close();
  return { report, edge };
}

const tests = {
  async 'the floor passes everything, pcmu'() {
    const report = await throughFloor('pcmu');
    expectAll(report);
    assert.ok(report.relay.cpu_us_per_call_second > 0);
  },
  async 'the floor passes everything, pcm'() {
    expectAll(await throughFloor('pcm'));
  },
  async 'a floor that sends each frame by itself sends the same bytes'() {
    const [together] = await sendsOfAHeap([]);
    const [apart, frames] = await sendsOfAHeap(['--frames', 'on']);
    assert.ok(apart >= together + frames - 1, `${together} sends, by frames ${apart}`);
    expectAll(await throughFloor('pcmu', ['--frames', 'on']));
  },
  async 'a small edge passes everything, and marks come back'() {
    const { report, edge } = await throughSmallEdge();
    expectAll(report);
    assert.ok(edge.echoed > calls * 10 && edge.echoed <= edge.marks);
  },
  async 'the same with TLS on both legs'() {
    const { report, edge } = await throughSmallEdge({ tls: true });
    expectAll(report);
    assert.ok(edge.echoed > 0);
  },
  async 'a lost frame is missed'() {
    const { report } = await throughSmallEdge({
      spoil: (payload, chunk, url) => (chunk === 60 && url.endsWith('/2') ? null : payload),
    });
    assert.equal(report.up.lost_ms, 20);
    assert.equal(report.wrong_frames, 1);
    assert.equal(report.down.lost_ms, 0);
  },
  async 'a lost delta does not make later ones late'() {
    const { report } = await throughSmallEdge({
      spoilDelta: (delta, number) => number !== 30, flags: ['--seconds', '7'],
    });
    assert.equal(report.down.lost_ms, 100);
    assert.equal(report.up.lost_ms, 0);
    assert.ok(report.down.arrived >= report.down.units - 21, 'only those of its talk are written off');
    assert.ok(report.down.max_us < 1_500_000, 'none waits for the next talk to be counted');
  },
  async 'frames joined into one append are counted as such, and all arrive'() {
    const { report } = await throughSmallEdge({ joinFrames: 3 });
    assert.ok(report.up.lost_ms <= calls * 40, 'at most what it still had in hand');
    assert.equal(report.wrong_frames, 0);
    assert.ok(report.up.arrived >= report.up.units - 2 * calls);
    assert.ok(report.joined_frames > 0 && report.joined_frames >= 3 * (report.appends - calls));
  },
  async 'short calls come about while others talk'() {
    const { report } = await throughSmallEdge({ flags: ['--setup-rate', '40'] });
    expectAll(report);
    assert.equal(report.setup.failed, 0);
    assert.ok(report.setup.begun >= 60 && report.setup.begun <= 120, `${report.setup.begun}`);
    assert.equal(report.setup.established, report.setup.begun);
    assert.ok(report.setup.p50_ms > 0 && report.setup.p50_ms <= report.setup.max_ms);
  },
  async 'calls that only stand send seldom'() {
    const { report } = await throughSmallEdge({ flags: ['--frame-ms', '200'] });
    assert.equal(report.failed, 0);
    assert.ok(report.up.units >= calls * 10 && report.up.units <= calls * 20);
    assert.equal(report.up.lost_ms, 0);
  },
  async 'a frame in the wrong call is noticed'() {
    let kept = '';
    const { report } = await throughSmallEdge({
      spoil(payload, chunk, url) {
        if (chunk === 60 && url.endsWith('/1')) kept = payload;
        return chunk === 70 && url.endsWith('/3') ? kept : payload;
      },
    });
    assert.ok(report.wrong_frames >= 1);
    assert.equal(report.up.lost_ms, 20); // the one whose place it took
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
