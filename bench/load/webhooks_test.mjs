// The generator of webhooks before it is believed: Twilio's own library checks what it signs, and a server
// that answers wrongly now and then, drops connections and takes its time has to be noticed.
//   node webhooks_test.mjs PATH/bench_webhooks
import assert from 'node:assert/strict';
import http from 'node:http';
import { createRequire } from 'node:module';
import { spawn } from 'node:child_process';

const [program] = process.argv.slice(2);
const need = createRequire(new URL('../../tests/package.json', import.meta.url));
const twilio = need('twilio');
const token = 'token-of-a-test';
const publicUrl = 'https://bench.example.com';

async function measure(answer, flags) {
  const seen = { sids: new Set(), unsigned: 0 };
  const server = http.createServer((request, response) => {
    let body = '';
    request.on('data', (data) => { body += data; });
    request.on('end', () => {
      const form = Object.fromEntries(new URLSearchParams(body));
      const signature = request.headers['x-twilio-signature'];
      if (!twilio.validateRequest(token, signature, publicUrl + request.url, form)) seen.unsigned += 1;
      seen.sids.add(form.CallSid);
      answer(response, request, seen.sids.size);
    });
  });
  await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
  const child = spawn(program, ['--port', server.address().port, '--public-url', publicUrl, '--account-sid',
    `AC${'0'.repeat(32)}`, '--to', '+15550100', '--warm', '0', ...flags],
  { env: { ...process.env, TWILIO_AUTH_TOKEN: token } });
  let output = '';
  child.stdout.on('data', (data) => { output += data; });
  const status = await new Promise((done) => { child.on('close', done); });
  server.closeAllConnections();
  server.close();
  return { report: JSON.parse(output), status, seen };
}

const connect = (response) => response.writeHead(200, { 'content-type': 'text/xml' }).end('<Response><Connect/></Response>');

const tests = {
  async 'every webhook is signed, has a call of its own and is counted'() {
    const { report, status, seen } = await measure(connect, ['--rate', '200', '--seconds', '1']);
    assert.equal(status, 0);
    assert.deepEqual([seen.unsigned, seen.sids.size, report.asked], [0, 200, 200]);
    assert.deepEqual([report.soft, report.wrong, report.broken], [0, 0, 0]);
    assert.ok(report.p50_ms > 0 && report.p50_ms <= report.p99_ms && report.p99_ms <= report.max_ms);
  },
  async 'other answers and lost connections are told apart'() {
    const { report, status } = await measure((response, request, number) => {
      if (number === 10) response.end('<Response><Say>One moment</Say></Response>');
      else if (number === 20) response.writeHead(500).end('no');
      else if (number === 30) request.socket.destroy();
      else connect(response);
    }, ['--rate', '100', '--seconds', '1']);
    assert.equal(status, 1);
    assert.deepEqual([report.soft, report.wrong, report.broken], [1, 1, 1]);
  },
  async 'without a rate it asks as fast as it is answered, for so long'() {
    const { report, seen } = await measure((response) => setTimeout(connect, 10, response),
      ['--rate', '0', '--seconds', '1', '--connections', '4']);
    assert.ok(report.asked > 8 && report.asked <= 404, `${report.asked}`);
    assert.equal(seen.sids.size, report.asked);
    assert.deepEqual([seen.unsigned, report.wrong, report.broken], [0, 0, 0]);
  },
  async 'time counts from when a webhook was due, not from when a connection was free'() {
    const { report } = await measure((response) => setTimeout(connect, 100, response),
      ['--rate', '50', '--seconds', '1', '--connections', '1']);
    assert.ok(report.max_ms > 2000, `the last of 50 waits for all before it: ${report.max_ms}`);
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
process.exit(failed ? 1 : 0);
