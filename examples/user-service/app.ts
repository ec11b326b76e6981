import express, { type NextFunction, type Request, type Response } from 'express'
import { z } from 'zod'
import { type Request as SignedRequest, signAnswer, verifyRequest } from './signatures.ts'
import { settings } from './settings.ts'
import { create, findById, findByLogin, isFirstUse, setPassword, type User, verifyPassword } from './users.ts'

const id = z.string().max(200)
const login = z.string().max(320)
const email = z
  .string()
  .max(254)
  .regex(/^[^\s@]+@[^\s@]+$/)
const password = z.string().max(4096)
const PASSWORD_TOO_SHORT = 'Use a password of at least 8 characters.'

/** What each request is answered with. */
const operations: Record<string, (body: unknown) => unknown> = {
  capabilities: () => ({
    protocol: 'gatehouse-identity-source',
    version: 1,
    operations: ['create', 'set-password'],
    time: new Date().toISOString(),
  }),
  find: (body) => {
    const asked = z.object({ login }).parse(body)
    return { user: wordsOf(findByLogin(asked.login)) }
  },
  user: (body) => {
    const asked = z.object({ id }).parse(body)
    return { user: wordsOf(findById(asked.id)) }
  },
  statuses: (body) => {
    const asked = z.object({ ids: z.array(id).max(500) }).parse(body)
    return { statuses: asked.ids.map((each) => ({ id: each, status: findById(each)?.status ?? 'gone' })) }
  },
  'verify-password': async (body) => {
    const asked = z.object({ id, password }).parse(body)
    return { id: asked.id, verdict: await verifyPassword(asked.id, asked.password) }
  },
  create: async (body) => {
    const asked = z.object({ username: z.string().min(1).max(100), email, password }).parse(body)
    if (asked.password.length < 8) return { result: 'refused', reason: PASSWORD_TOO_SHORT }
    const user = await create(asked.username, asked.email, asked.password)
    return user === undefined ? { result: 'taken' } : { result: 'created', user: wordsOf(user) }
  },
  'set-password': async (body) => {
    const asked = z.object({ id, password }).parse(body)
    if (asked.password.length < 8) return { id: asked.id, result: 'refused', reason: PASSWORD_TOO_SHORT }
    const isChanged = await setPassword(asked.id, asked.password)
    return isChanged
      ? { id: asked.id, result: 'changed' }
      : { id: asked.id, result: 'refused', reason: 'There is no such user.' }
  },
}

function wordsOf(user: User | undefined) {
  if (user === undefined) return null
  return {
    id: user.id,
    username: user.username,
    email: user.email,
    email_verified: user.email_verified === 1,
    status: user.status,
    roles: user.roles.split(' ').filter((role) => role !== ''),
    claims: user.name === '' ? {} : { name: user.name },
  }
}

export const app = express().disable('x-powered-by')
app.post(
  Object.keys(operations).map((name) => `${new URL(settings.baseUrl).pathname.replace(/\/$/, '')}/${name}`),
  express.raw({ type: 'application/json', limit: '256kb', inflate: false }),
  async (req: Request, res: Response) => {
    // Without a body of that type there is no buffer.
    if (!Buffer.isBuffer(req.body)) return void res.status(415).json({ error: 'send application/json' })
    const request = {
      method: req.method,
      // The URL as the portal knows it, whatever a proxy made of it.
      url: new URL(req.originalUrl, settings.baseUrl).href,
      headers: req.headers as Record<string, string>,
      body: req.body,
    }
    const proof = await verifyRequest(request, settings.secret)
    if ('problem' in proof) return void res.status(401).json({ error: proof.problem })
    if (!isFirstUse(proof.nonce, proof.until)) return void res.status(401).json({ error: 'the nonce was used before' })
    await answer(request, res)
  },
)
app.use((_req: Request, res: Response) => void res.status(404).json({ error: 'there is no such operation' }))
app.use((error: Error & { status?: number }, _req: Request, res: Response, _next: NextFunction) => {
  const status = error instanceof z.ZodError || error instanceof SyntaxError ? 400 : (error.status ?? 500)
  // Never the body: it may have a password.
  if (status >= 500) console.error(error.stack)
  res.status(status).json({ error: status < 500 ? 'the request is not as agreed' : 'it failed' })
})

async function answer(request: SignedRequest, res: Response): Promise<void> {
  const operation = operations[request.url.slice(settings.baseUrl.length + 1)]
  const body = JSON.stringify(await operation?.(JSON.parse(request.body.toString())))
  res.writeHead(200, await signAnswer(200, body, request, settings.secret)).end(body)
}
