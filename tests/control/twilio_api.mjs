#!/usr/bin/env node
// Twilio's published API (tests/data/twilio-api.json), served by Stoplight's Prism, for one command:
//
//     twilio_api.mjs COMMAND [WORDS...]      with TWILIO_API_BASE=http://127.0.0.1:PORT set
//
// A request that the description does not allow (path, sid, parameter, form field, credentials missing) is answered
// 4xx, so whoever asks wrongly fails; only form fields that it does not know pass. Ends with the command's status;
// 70 when Prism did not come up.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const here = path.dirname(fileURLToPath(import.meta.url))
const tests = path.dirname(here)

const probe = net.createServer().listen(0, '127.0.0.1')
await once(probe, 'listening')
const port = probe.address().port
probe.close()
await once(probe, 'close')

const prism = spawn(process.execPath,
  [path.join(tests, 'node_modules/@stoplight/prism-cli/dist/index.js'), 'mock', '--errors', '--host', '127.0.0.1',
    '--port', String(port), path.join(tests, 'data/twilio-api.json')],
  { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, SCARF_ANALYTICS: 'false', NO_COLOR: '1' } })
let said = ''
const listening = new Promise((resolve, reject) => {
  prism.stdout.on('data', (text) => {
    said += text
    if (said.includes('Prism is listening')) resolve()
  })
  prism.stderr.on('data', (text) => { said += text })
  prism.on('exit', () => reject(new Error('ended')))
})
let status = 70
try {
  await listening
  const command = spawn(process.argv[2], process.argv.slice(3),
    { stdio: 'inherit', env: { ...process.env, TWILIO_API_BASE: `http://127.0.0.1:${port}` } })
  const [code] = await once(command, 'exit')
  status = code ?? 71
  if (status !== 0 && process.env.PRISM_VERBOSE) console.error(said)
} catch (error) {
  console.error(`Prism did not serve Twilio's API: ${error.message}\n${said}`)
}
prism.removeAllListeners('exit')
prism.kill()
process.exit(status)
