import { fileURLToPath } from 'node:url'
import express from 'express'
import type { NextFunction, Request, Response } from 'express'
import { createBackchannelLogout } from './backchannel-logout.ts'
import { showNotes } from './notes-api.ts'
import { problemPage } from './pages.ts'
import { PortalUnreachable } from './portal.ts'
import { requireSameOrigin } from './same-origin.ts'
import {
  askApi,
  createRefresh,
  createSignIn,
  destroySession,
  finishSignIn,
  showHome,
  signOutEverywhere,
} from './visit.ts'
import { settings } from './settings.ts'
import { excerptPages } from '../source/excerpt-pages.ts'
import { source } from './source.ts'

/** Every URL of Notes. */
export const app = express()

app.disable('x-powered-by')
app.set('json spaces', 2)
app.use(securityHeaders)
app.use(express.static(fileURLToPath(new URL('public', import.meta.url))))

app.get('/', showHome)
app.post('/sign-in', requireSameOrigin, createSignIn)
app.get('/callback', finishSignIn)
app.post('/refresh', requireSameOrigin, createRefresh)
app.post('/question', requireSameOrigin, askApi)
app.post('/sign-out', requireSameOrigin, destroySession)
app.post('/sign-out-everywhere', requireSameOrigin, signOutEverywhere)
app.get('/api/notes', showNotes)
app.post('/backchannel-logout', express.urlencoded({ extended: false, limit: '16kb' }), createBackchannelLogout)
app.use(excerptPages(Object.values(source).flat()))
app.use((_req, res) => void res.status(404).send(problemPage('There is no such page', 'Go back to the start page.')))
app.use(showProblem)

function securityHeaders(_req: Request, res: Response, next: NextFunction) {
  res.set({
    'Cache-Control': 'no-store',
    // Browsers apply form-action to every redirect after a form, and these lead to the portal.
    'Content-Security-Policy':
      `default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self' ${settings.issuer.origin}; ` +
      `base-uri 'none'; frame-ancestors 'none'`,
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
  })
  next()
}

// Express recognises an error handler by its four parameters.
function showProblem(problem: unknown, _req: Request, res: Response, _next: NextFunction) {
  const status = problem instanceof Error && 'status' in problem ? Number(problem.status) : 500
  if (status >= 400 && status < 500) {
    return res.status(status).send(problemPage('This request was refused', 'Notes cannot read it.'))
  }
  console.error(problem)
  if (problem instanceof PortalUnreachable) {
    return res
      .status(503)
      .send(problemPage('Gatehouse cannot be reached', 'Notes keeps running; try again in a moment.'))
  }
  return res.status(500).send(problemPage('Something went wrong', 'Notes could not answer this request.'))
}
