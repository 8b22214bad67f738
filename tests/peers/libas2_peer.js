// libas2 as a peer of the interop grid, behind the HTTP server of Node. The same options and the same orders as
// pyas2_peer.py. It ends when standard input closes.
//
// libas2 decodes bodies that it reads from a request as UTF-8, which no binary message survives; it is given the whole
// message as a buffer instead, which its parser takes as well.
'use strict'

const crypto = require('crypto')
const fs = require('fs')
const http = require('http')
const path = require('path')
const readline = require('readline')
const { AS2Composer, AS2Crypto, AS2Parser, AS2Disposition } = require('libas2')

class Cannot extends Error {}

function argumentsOf (argv) {
  const args = { 'as2-name': [], partner: [] }
  for (let i = 0; i < argv.length; i += 2) {
    const name = argv[i].slice(2)
    if (Array.isArray(args[name])) args[name].push(argv[i + 1])
    else args[name] = argv[i + 1]
  }
  return args
}

const args = argumentsOf(process.argv.slice(2))
const { certificate, privateKey } = pairOf(args.key)
const partnerCertificate = fs.readFileSync(args['partner-cert'], 'utf8')
const received = []
const awaited = new Map()

function pairOf (path) {
  const pem = fs.readFileSync(path, 'utf8')
  return {
    certificate: /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/.exec(pem)[0] + '\n',
    privateKey: /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----/.exec(pem)[0] + '\n'
  }
}

// ---- receiving ----

function bodyOf (stream) {
  return new Promise((resolve, reject) => {
    const chunks = []
    stream.on('data', chunk => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () => resolve(Buffer.concat(chunks)))
  })
}

function parse (rawHeaders, body) {
  let head = ''
  for (let i = 0; i < rawHeaders.length; i += 2) head += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`
  return AS2Parser.parse(Buffer.concat([Buffer.from(head + '\r\n', 'latin1'), body]))
}

function digestAsked (options) {
  const micalgs = /signed-receipt-micalg\s*=\s*(?:required|optional)\s*,\s*([^;]+)/i.exec(options || '')
  const first = micalgs && micalgs[1].split(',')[0].trim().toLowerCase()
  return first && first.replace(/^sha-?/, 'sha-')
}

async function take (request, response) {
  const body = await bodyOf(request)
  const node = await parse(request.rawHeaders, body)
  if (/multipart\/(report|signed)/i.test(request.headers['content-type']) && !request.headers['disposition-notification-to']) {
    const original = await originalOf(node)
    response.end()
    if (awaited.has(original)) awaited.get(original)(node)
    return
  }
  const to = unquoted(request.headers['as2-to'])
  const encrypted = node.smimeType === 'enveloped-data'
  const inner = encrypted ? await node.decrypt({ cert: certificate, key: privateKey }).catch(() => undefined) : node
  const signed = inner !== undefined && inner.signed === true
  const from = unquoted(request.headers['as2-from'])
  const agreement = agreementOf({ name: to, partner: from, encrypted, signed, url: 'http://127.0.0.1:9/' })
  const digest = digestAsked(request.headers['disposition-notification-options'])
  agreement.partner.mdn = { async: false, signing: digest || false }
  const { contentNode, dispositionNode, disposition } = await AS2Disposition.outgoing({ node, agreement })
  const ok = disposition.notification.disposition.processed === true
  keep(node, to, ok ? contentNode : undefined, { encrypted, signed, error: ok ? null : disposition.explanation })
  await answer(request, response, dispositionNode)
}

// It has no notion of the quotes of RFC 4130 6.2: names are what its caller makes of the fields.
function unquoted (name) {
  const quoted = /^"(.*)"$/.exec(name)
  return quoted ? quoted[1].replace(/\\(["\\])/g, '$1') : name
}

async function originalOf (node) {
  const report = node.signed ? await node.verify({ cert: partnerCertificate }) : node
  return new AS2Disposition(report).notification.originalMessageId
}

function keep (node, to, content, more) {
  const name = path.join(args.out, `${received.length + 1}.payload`)
  const compressed = content !== undefined && content.smimeType === 'compressed-data'
  if (compressed) more = { ...more, error: 'libas2 does not decompress' }
  const accepted = content !== undefined && !compressed
  // Its parser counts the line end before the delimiter to the signed content.
  if (accepted) fs.writeFileSync(name, more.signed ? content.content.subarray(0, -2) : content.content)
  received.push({ message_id: node.messageId(), to, payload: accepted ? name : null, compressed, ...more })
}

async function answer (request, response, dispositionNode) {
  if (!request.headers['disposition-notification-to']) return response.end()
  const { headers, body } = await dispositionNode.buildObject()
  const url = request.headers['receipt-delivery-option']
  if (!url) {
    response.writeHead(200, plain(headers))
    return response.end(body)
  }
  response.end()
  await post(url, headers, body).catch(error => console.error(`asynchronous MDN not delivered: ${error}`))
}

function plain (headers) {
  const fields = {}
  for (const [key, value] of Object.entries(headers)) fields[key] = String(value).replace(/\s*\r?\n\s*/g, ' ')
  return fields
}

async function post (url, headers, body, order = {}) {
  for (let left = (order.attempts || 1) - 1; ; left--) {
    try {
      return await postOnce(url, headers, body, order)
    } catch (error) {
      if (left === 0) throw error
    }
  }
}

function postOnce (url, headers, body, { chunked, expect }) {
  return new Promise((resolve, reject) => {
    const octets = Buffer.from(body)
    const framing = chunked ? { 'Transfer-Encoding': 'chunked' } : { 'Content-Length': octets.length }
    if (expect) framing.Expect = '100-continue'
    const options = { method: 'POST', headers: { ...plain(headers), ...framing } }
    const request = http.request(url, options, response => {
      const { statusCode: status, rawHeaders } = response
      bodyOf(response).then(body => resolve({ status, rawHeaders, body }), reject)
    })
    request.on('error', reject)
    if (!expect) return request.end(octets)
    request.on('continue', () => request.end(octets))
    request.flushHeaders()
  })
}

// ---- sending ----

function agreementOf ({ name, partner, encrypted, signed, url }) {
  return {
    host: { name, id: name, url: new URL('http://127.0.0.1:9/'), certificate, privateKey, decrypt: encrypted },
    partner: { name: partner, id: partner, url: new URL(url), certificate: partnerCertificate, verify: signed }
  }
}

const CIPHERS = {
  'aes128-cbc': 'aes128-CBC',
  'aes192-cbc': 'aes192-CBC',
  'aes256-cbc': 'aes256-CBC',
  'aes128-gcm': 'aes128-GCM',
  'aes192-gcm': 'aes192-GCM',
  'aes256-gcm': 'aes256-GCM',
  '3des-cbc': 'des-EDE3-CBC'
}

function agreementFor (order) {
  if (order.compress !== 'none') throw new Cannot('libas2 does not compress')
  if (!['none', 'rsa-pkcs1'].includes(order.sign)) throw new Cannot(`libas2 has no ${order.sign}`)
  if (order.digest === 'md5') throw new Cannot('libas2 has no md5')
  if (order.encrypt !== 'none' && !CIPHERS[order.encrypt]) throw new Cannot(`libas2 has no ${order.encrypt}`)
  if (order.encrypt !== 'none' && order.key_transport !== 'rsa-oaep-sha512') {
    throw new Cannot('libas2 always writes RSA-OAEP with SHA-512 for the key')
  }
  const name = order.as2_from || args['as2-name'][0]
  const partner = order.as2_to || args.partner[0]
  const agreement = agreementOf({ name, partner, encrypted: false, signed: true, url: order.url })
  if (order.sign_key) Object.assign(agreement.host, pairOf(order.sign_key))
  if (order.encrypt_to) agreement.partner.certificate = fs.readFileSync(order.encrypt_to, 'utf8')
  if (order.sign !== 'none') agreement.host.sign = order.digest
  if (order.encrypt !== 'none') agreement.partner.encrypt = CIPHERS[order.encrypt]
  if (order.mdn !== 'none') {
    agreement.host.url = new URL(order.mdn_url || `http://127.0.0.1:${server.address().port}/`)
    agreement.host.mdn = { async: order.mdn === 'async', signing: order.mdn_signed ? order.digest : false }
  }
  return agreement
}

async function send (order) {
  if (order.mdn !== 'none' && !order.mdn_signed) {
    throw new Cannot('libas2 asks for signed receipts only: without a digest it asks for sha-256')
  }
  const message = { filename: order.file_name, contentType: order.content_type, content: fs.readFileSync(order.file) }
  const composer = new AS2Composer({ message, agreement: agreementFor(order) })
  Object.assign(composing, { composer, mic: null })
  const { headers, body } = await composer.toRequestOptions()
  const mic = composing.mic
  const id = composer.message.messageId()
  const asynchronous = order.mdn === 'async' && new Promise(resolve => awaited.set(id, resolve))
  const http = await post(order.url, headers, body, order)
  const result = { message_id: id, http_status: http.status, status: null, detail: null, mdn_signed: null, mic_sent: mic, mic_received: null, disposition: null }
  if (order.mdn === 'none') return { ...result, status: http.status < 300 ? 'processed' : 'failed' }
  if (http.status >= 300) return { ...result, detail: http.body.toString() }
  const node = asynchronous ? await withDeadline(asynchronous) : await parse(http.rawHeaders, http.body)
  return { ...result, ...await judge(node) }
}

// The digest of what the composer at work signs, null if it signs nothing: libas2 keeps none, and compares none with that of
// the MDN. Receipts are signed meanwhile as well.
const composing = { composer: null, mic: null }
const { sign } = AS2Crypto
AS2Crypto.sign = async (node, options) => {
  const ours = composing.composer !== null && node === composing.composer.message
  const signed = await sign(node, options)
  if (ours) {
    const part = AS2Crypto.removeTrailingCrLf(await AS2Crypto.buildNode(signed.childNodes[0]))
    composing.mic = crypto.createHash(options.algorithm.replace('-', '')).update(part).digest('base64')
  }
  return signed
}

function withDeadline (promise) {
  const deadline = new Promise((resolve, reject) => setTimeout(() => reject(new Error('no asynchronous MDN came')), 600000).unref())
  return Promise.race([promise, deadline])
}

async function judge (node) {
  const disposition = await node.dispositionIn(node.signed ? { cert: partnerCertificate } : undefined)
  const { notification } = disposition
  const mic = notification.receivedContentMic
  return {
    status: notification.disposition.processed && !notification.disposition.description ? 'processed' : 'failed',
    mdn_signed: node.signed === true,
    mic_received: mic ? `${mic.mic}, ${mic.algorithm}` : null,
    disposition: wordsOf(notification.disposition)
  }
}

// A disposition as it stands in an MDN.
function wordsOf ({ processed, description }) {
  const more = description ? [description.type, description.text].filter(Boolean).join(': ') : undefined
  return [processed ? 'processed' : 'failed', more].filter(Boolean).join('/')
}

// ---- the process ----

const server = http.createServer((request, response) => {
  take(request, response).catch(error => {
    received.push({ to: request.headers['as2-to'], payload: null, error: String(error) })
    response.writeHead(500)
    response.end(String(error))
  })
})

server.listen(Number(args.port || 0), '127.0.0.1', () => {
  fs.mkdirSync(args.out, { recursive: true })
  console.log(`READY ${server.address().port} ${require('libas2/package.json').version}`)
  const lines = readline.createInterface({ input: process.stdin })
  let before = Promise.resolve()
  lines.on('line', line => {
    before = before.then(async () => {
      const order = JSON.parse(line)
      const result = order.collect ? { received } : await send(order).catch(failed)
      console.log(JSON.stringify(result))
    })
  })
  lines.on('close', () => process.exit(0))
})

function failed (error) {
  return error instanceof Cannot ? { cannot: error.message } : { status: null, detail: String(error && error.stack) }
}
