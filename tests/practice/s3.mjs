#!/usr/bin/env node
// A store of objects that speaks S3 (npm's s3rver), with one bucket, "sound", behind a door that is as strict as the real
// one: every request is signed with version 4, in its headers or its query, and Amazon's own library judges the
// signature; what is sent must have the hash that was signed.
//
//     s3.mjs PORT DIRECTORY      says "ready" when it listens; key and secret are S3RVER, the region is us-east-1
import crypto from 'node:crypto'
import http from 'node:http'
import { once } from 'node:events'
import sha from '@aws-crypto/sha256-js'
import { SignatureV4 } from '@smithy/signature-v4'
import S3rver from 's3rver'

const [port, directory] = process.argv.slice(2)
const signer = new SignatureV4({
  service: 's3', region: 'us-east-1', uriEscapePath: false, sha256: sha.Sha256,
  credentials: { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }
})

// s3rver seals the tokens of its lists with a cipher that OpenSSL has put away; thrice the same key is that cipher.
for (const make of ['createCipheriv', 'createDecipheriv']) {
  const made = crypto[make]
  crypto[make] = (name, key, ...more) => name === 'des' ? made('des-ede3-cbc', Buffer.concat([key, key, key]), ...more)
    : made(name, key, ...more)
}

const inner = new S3rver({ port: 0, address: '127.0.0.1', silent: true, directory, configureBuckets: [{ name: 'sound' }] })
const { port: innerPort } = await inner.run()

function refuse (response, code) {
  const text = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`
  response.writeHead(403, { 'Content-Type': 'application/xml', 'Content-Length': text.length }).end(text)
}

const dateOf = (stamp) => new Date(stamp.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, '$1-$2-$3T$4:$5:$6Z'))

function asked (request, url) {
  return {
    method: request.method, protocol: 'http:', hostname: '127.0.0.1', port: Number(port), path: url.pathname,
    query: Object.fromEntries(url.searchParams), headers: { host: request.headers.host }
  }
}

async function judgeQuery (request, url) {
  const query = url.searchParams
  const stamp = query.get('X-Amz-Date')
  const signature = query.get('X-Amz-Signature')
  const life = Number(query.get('X-Amz-Expires'))
  if (dateOf(stamp).getTime() + life * 1000 < Date.now()) return 'AccessDenied'
  for (const name of [...query.keys()]) if (name.startsWith('X-Amz-')) query.delete(name)
  const question = asked(request, url)
  const unsigned = new Set(['x-amz-content-sha256'])
  question.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD' // whoever has an address sends nothing
  const signed = await signer.presign(question, {
    signingDate: dateOf(stamp), expiresIn: life, unhoistableHeaders: unsigned, unsignableHeaders: unsigned
  })
  return signed.query['X-Amz-Signature'] === signature ? null : 'SignatureDoesNotMatch'
}

async function judgeHeaders (request, url, body) {
  const said = request.headers.authorization
  const names = /SignedHeaders=([^,]+)/.exec(said)?.[1].split(';') ?? []
  const hash = request.headers['x-amz-content-sha256']
  if (hash !== crypto.createHash('sha256').update(body).digest('hex')) return 'XAmzContentSHA256Mismatch'
  if (!names.includes('host') || !names.includes('x-amz-date')) return 'AccessDenied'
  const question = asked(request, url)
  question.headers = Object.fromEntries(names.filter((name) => name !== 'x-amz-date').map((name) => [name, request.headers[name]]))
  const date = dateOf(request.headers['x-amz-date'])
  if (Math.abs(date.getTime() - Date.now()) > 15 * 60 * 1000) return 'RequestTimeTooSkewed'
  const signed = await signer.sign(question, { signingDate: date, signableHeaders: new Set(names) })
  const squeeze = (text) => text.replace(/,\s*/g, ',')
  return squeeze(signed.headers.authorization) === squeeze(said) ? null : 'SignatureDoesNotMatch'
}

async function answer (request, response) {
  const parts = []
  for await (const part of request) parts.push(part)
  const body = Buffer.concat(parts)
  const url = new URL(request.url, 'http://127.0.0.1')
  const inQuery = url.searchParams.has('X-Amz-Signature')
  if (!inQuery && !request.headers.authorization) return refuse(response, 'AccessDenied')
  const why = inQuery ? await judgeQuery(request, url) : await judgeHeaders(request, url, body)
  if (why) return refuse(response, why)
  const headers = Object.fromEntries(Object.entries(request.headers).filter(([name]) =>
    !['authorization', 'x-amz-date', 'x-amz-content-sha256', 'connection'].includes(name)))
  const passed = http.request({ port: innerPort, host: '127.0.0.1', method: request.method, path: url.pathname + url.search, headers })
  passed.end(body)
  const [result] = await once(passed, 'response')
  response.writeHead(result.statusCode, result.headers)
  result.pipe(response)
}

process.on('SIGTERM', () => process.exit(0))
http.createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error)
    response.destroy()
  })
}).listen(Number(port), '127.0.0.1', () => console.log('ready'))
