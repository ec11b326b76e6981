import { createServer } from 'node:http'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { Revocations, type VerifiedToken } from '../../examples/notes/revocations.ts'

// An API that accepts the application tokens of one audience, in a process of its own. /offline verifies them with the
// published keys and the revocation feed that it follows; /introspection asks the portal about each.
const { PORT, ISSUER = '', AUDIENCE = '', CLIENT_ID, CLIENT_SECRET } = process.env
const keys = createRemoteJWKSet(new URL(`${ISSUER}/oauth/jwks`))
const url = `${ISSUER}/oauth/revocations`
const revocations = new Revocations(async () => ({ url, issuer: ISSUER, keys }))
const authorization = `Basic ${Buffer.from(`${CLIENT_ID}:${CLIENT_SECRET}`).toString('base64')}`

const WAYS: Record<string, (token: string) => Promise<boolean>> = {
  '/ready': async () => revocations.standingOf({ client_id: '', iat: 0 }) === 'good',
  async '/offline'(token) {
    const conditions = { issuer: ISSUER, audience: AUDIENCE, typ: 'at+jwt', algorithms: ['ES256'] }
    const { payload } = await jwtVerify(token, keys, conditions)
    return revocations.standingOf(payload as unknown as VerifiedToken) === 'good'
  },
  async '/introspection'(token) {
    const body = new URLSearchParams({ token })
    const answer = await fetch(`${ISSUER}/oauth/introspect`, { method: 'POST', headers: { authorization }, body })
    return ((await answer.json()) as { active: boolean }).active
  },
}

void revocations.follow()
createServer((req, res) => {
  const answer = (status: number) => void res.writeHead(status, { 'Content-Length': 0 }).end()
  const isGood = WAYS[req.url ?? '']?.((req.headers.authorization ?? '').replace('Bearer ', ''))
  isGood?.then(
    (good) => answer(good ? 200 : 401),
    () => answer(503),
  )
}).listen(Number(PORT), '127.0.0.1')
