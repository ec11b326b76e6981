import type { Request, Response } from 'express'
import { cancelInteraction, confirmInteraction, resolveInteraction } from '../../oidc/interactions.ts'
import { contextOf } from '../context.ts'
import { render } from '../render.ts'
import { safeReturnTo } from '../return-to.ts'
import { showSignIn } from './sessions.ts'

type InteractionRequest = Request<{ uid: string }>

/** GET /interaction/:uid */
export async function showInteraction(req: InteractionRequest, res: Response): Promise<void> {
  const { provider, portal } = contextOf(req)
  const search = req.originalUrl.split('?')[1] ?? ''
  const interaction = await resolveInteraction(provider(), req, res, search)
  switch (interaction.kind) {
    case 'continue':
      return res.redirect(303, interaction.url)
    case 'sign-in': {
      const login = interaction.loginHint || (req.signedIn?.username ?? '')
      return showSignIn(req, res, { login, problem: null, returnTo: safeReturnTo(req.originalUrl, portal.publicUrl) })
    }
    case 'confirm': {
      const { appName, destination } = interaction
      const base = `/interaction/${encodeURIComponent(req.params.uid)}`
      return render(
        req,
        res,
        'interactions/confirm',
        { title: `Continue to ${appName}`, narrow: true },
        {
          appName,
          destination,
          username: req.signedIn?.username ?? '',
          action: `${base}/confirmation`,
          cancelAction: `${base}/cancellation`,
        },
      )
    }
    case 'address': {
      const { appName, email } = interaction
      const cancelAction = `/interaction/${encodeURIComponent(req.params.uid)}/cancellation`
      return render(
        req,
        res,
        'interactions/address',
        { title: 'Confirm your address first', narrow: true },
        { appName, email, here: req.originalUrl, cancelAction },
      )
    }
    case 'lost':
      // Somebody who is signed in needs no form: making the request again takes them where they were going.
      if (req.signedIn && interaction.restart !== null) return res.redirect(303, interaction.restart)
      return showLost(req, res, interaction.appName, interaction.restart)
  }
}

/** POST /interaction/:uid/confirmation */
export async function createConfirmation(req: InteractionRequest, res: Response): Promise<void> {
  await leadOn(req, res, await confirmInteraction(contextOf(req).provider(), req, res))
}

/** POST /interaction/:uid/cancellation */
export async function createCancellation(req: InteractionRequest, res: Response): Promise<void> {
  await leadOn(req, res, await cancelInteraction(contextOf(req).provider(), req, res))
}

async function leadOn(req: Request<{ uid: string }>, res: Response, url: string | null): Promise<void> {
  if (url === null) return showLost(req, res, null, null)
  res.redirect(303, url)
}

async function showLost(
  req: Request<{ uid: string }>,
  res: Response,
  appName: string | null,
  continueHref: string | null,
): Promise<void> {
  res.status(400)
  await render(
    req,
    res,
    'interactions/lost',
    { title: 'This sign-in is over', narrow: true },
    { appName, continueHref, reference: req.requestId },
  )
}
