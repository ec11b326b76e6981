import type { Request, Response } from 'express'
import * as oidc from 'openid-client'
import { type Connection, keepFresh, refresh, revoke } from './connection.ts'
import { disconnectedPage, homePage, problemPage, signedOutPage } from './pages.ts'
import { portal } from './portal.ts'
import { beginSignIn, completeSignIn } from './sign-in.ts'
import { endSession, findSession, renewSession, startSession } from './sessions.ts'
import { settings } from './settings.ts'

export async function showHome(req: Request, res: Response) {
  // Every visitor gets a session, so that two tabs that start to sign in at the same moment share one.
  const session = findSession(req) ?? startSession(res)
  await keepFresh(session)

  if (session.connection) {
    res.send(homePage(session.connection, session))
    session.notice = null
    return
  }
  res.send(session.ended ? disconnectedPage(session.ended) : signedOutPage())
}

export async function createSignIn(req: Request, res: Response) {
  const session = findSession(req) ?? startSession(res)
  const url = await beginSignIn(session)
  res.redirect(303, url.href)
}

export async function finishSignIn(req: Request, res: Response) {
  const session = findSession(req) ?? startSession(res)
  // Built from the configured URL, never from the Host header: the code is bound to this redirect URI.
  const outcome = await completeSignIn(session, new URL(req.originalUrl, settings.origin))

  switch (outcome.kind) {
    case 'signed-in': {
      const replaced = session.connection
      Object.assign(session, { connection: outcome.connection, ended: null, apiResult: null, notice: null })
      renewSession(session, res)
      if (replaced) await revoke(replaced)
      return res.redirect(303, '/')
    }
    case 'unknown-attempt':
      // A user who pressed "back" after signing in lands here too, and is signed in.
      if (session.connection) return res.redirect(303, '/')
      return res
        .status(400)
        .send(problemPage('This sign-in is no longer under way', 'It took too long, or was finished already.'))
    case 'refused':
      return res.status(400).send(problemPage('The sign-in was not completed', outcome.sentence))
  }
}

export async function createRefresh(req: Request, res: Response) {
  const session = findSession(req)
  if (session?.connection) {
    const outcome = await refresh(session)
    if (outcome.kind === 'unanswered') session.notice = outcome.sentence
  }
  res.redirect(303, '/')
}

export async function askApi(req: Request, res: Response) {
  const session = findSession(req)
  if (session) await keepFresh(session)
  if (session?.connection) {
    const { connection } = session
    let answer = await askNotes(connection)
    // The API may learn of a revocation first. A refresh then gives the reason, or a valid token.
    if (answer.status === 401 && (await refresh(session)).kind === 'fresh') answer = await askNotes(connection)
    session.apiResult = `${answer.status} ${await answer.text()}`
  }
  res.redirect(303, '/')
}

/** Over the network, as any other service would call it, with only the application token. */
function askNotes({ applicationToken }: Connection) {
  return fetch(`${settings.origin}/api/notes`, { headers: { authorization: `Bearer ${applicationToken}` } })
}

export async function destroySession(req: Request, res: Response) {
  const session = findSession(req)
  if (session) {
    endSession(session, res)
    // A refresh in progress is about to replace the token to be revoked.
    await session.refreshing
    if (session.connection) await revoke(session.connection)
  }
  res.redirect(303, '/')
}

export async function signOutEverywhere(req: Request, res: Response) {
  const session = findSession(req)
  if (!session?.connection) return res.redirect(303, '/')

  const url = oidc.buildEndSessionUrl(await portal(), {
    id_token_hint: session.connection.idToken,
    post_logout_redirect_uri: `${settings.origin}/`,
  })
  endSession(session, res)
  // The family is not revoked here: the portal ends it together with all others of this browser.
  return res.redirect(303, url.href)
}
