import type { Request, Response } from 'express'
import { accessInWords } from '../../domain/apps/access.ts'
import { seenBy } from '../../domain/apps/seen-by.ts'
import { readableEmail } from '../../domain/identities/emails.ts'
import { proofOf } from '../../domain/sign-in/identity-sessions.ts'
import {
  type AsksAgain,
  cancelInteraction,
  confirmInteraction,
  type Interaction,
  type InteractionContext,
  type InteractionRequest,
  keepChosenAccount,
  OTHER_ACCOUNT,
  passIntroduction,
  resolveInteraction,
} from '../../oidc/interactions.ts'
import { message, type MessageKey } from '../../i18n/messages.ts'
import { contextOf, textsOf } from '../context.ts'
import { sendsCookies } from '../cookie-check.ts'
import { showNoAccess } from '../no-access.ts'
import { keepForm } from '../middleware/error-page.ts'
import { render } from '../page.ts'
import type { WaitWords } from '../too-many-attempts.ts'
import { showRegistration } from '../registration-form.ts'
import { safeReturnTo, withReturnTo } from '../return-to.ts'
import { missingCode, problemOf, type SecondStepProblem, showStepUp, takeSecondStep } from '../second-step.ts'
import { showSignIn } from '../sign-in.ts'

type InteractionPageRequest = Request<{ uid: string }>

/** GET /interaction/:uid */
export async function showInteraction(req: InteractionPageRequest, res: Response): Promise<void> {
  const { services } = contextOf(req)
  const { t } = textsOf(req)
  const interaction = await resolveInteraction(interactionContextOf(req), requestOf(req, res))
  switch (interaction.kind) {
    case 'continue':
      return res.redirect(303, interaction.url)
    case 'sign-in': {
      const isOther = req.query[OTHER_ACCOUNT] !== undefined
      const { appName, loginHint, asksAgain } = interaction
      const username = req.signedIn?.username ?? ''
      const login = loginHint || (isOther || asksAgain === 'other-user' ? '' : username)
      const reason = asksAgain && message(REASONS[asksAgain], { app: appName, user: username })
      return showSignIn(req, res, { login, reason, returnTo: safeReturnTo(req.originalUrl, services.publicUrl) })
    }
    case 'step-up':
      return askForSecondFactor(req, res, interaction, null)
    case 'select-account': {
      const { appName, signedIn } = interaction
      return render(
        req,
        res,
        'interactions/select-account',
        { title: t('interaction.choose_title'), narrow: true },
        {
          appName,
          username: signedIn.username,
          email: readableEmail(signedIn.email),
          action: addressOf(req, '/account'),
          otherHref: otherAccountHref(req),
          cancelAction: addressOf(req, '/cancellation'),
        },
      )
    }
    case 'register':
      return showRegistration(req, res, {
        returnTo: safeReturnTo(req.originalUrl, services.publicUrl),
        loginHref: otherAccountHref(req),
      })
    case 'confirm': {
      const { appName, destination } = interaction
      return render(
        req,
        res,
        'interactions/confirm',
        { title: t('interaction.confirm_title', { app: appName }), narrow: true },
        {
          appName,
          destination,
          username: req.signedIn?.username ?? '',
          action: addressOf(req, '/confirmation'),
          cancelAction: addressOf(req, '/cancellation'),
        },
      )
    }
    case 'consent': {
      const { app, asked, given, missing, destination } = interaction
      const isMore = given !== null && missing !== null
      const [access, news] = await Promise.all([
        accessInWords(services, app, isMore ? given : asked),
        isMore ? accessInWords(services, app, missing) : [],
      ])
      return render(
        req,
        res,
        'interactions/consent',
        { title: t('consent.title', { app: app.name }), narrow: true },
        {
          appName: app.name,
          username: req.signedIn?.username ?? '',
          access,
          news,
          destination,
          action: addressOf(req, '/confirmation'),
          cancelAction: addressOf(req, '/cancellation'),
        },
      )
    }
    case 'no-access': {
      const { appName, signedIn } = interaction
      return showNoAccess(req, res, {
        appName,
        otherHref: otherAccountHref(req, signedIn.id),
        cancelAction: addressOf(req, '/cancellation'),
      })
    }
    case 'address': {
      const { appName, email } = interaction
      const cancelAction = addressOf(req, '/cancellation')
      return render(
        req,
        res,
        'interactions/address',
        { title: t('interaction.address_title'), narrow: true },
        { appName, email: readableEmail(email), here: req.originalUrl, cancelAction },
      )
    }
    case 'terms':
      return res.redirect(303, withReturnTo('/terms', addressOf(req)))
    case 'introduction': {
      const { appName, seen } = interaction
      const texts = textsOf(req)
      return render(
        req,
        res,
        'interactions/introduction',
        { title: texts.t('introduction.title', { app: appName }), narrow: true },
        {
          appName,
          seen: seenBy(seen).map((words) => texts.say(words)),
          action: addressOf(req, '/introduction'),
          cancelAction: addressOf(req, '/cancellation'),
        },
      )
    }
    case 'lost':
      // A signed-in user needs no form: the repeated request takes them on.
      if (req.signedIn && interaction.restart !== null) return res.redirect(303, interaction.restart)
      return showLost(req, res, interaction.appName, interaction.restart)
  }
}

/** Why a user who is signed in is asked to sign in again. */
const REASONS: Record<AsksAgain, MessageKey> = {
  new: 'sign_in.asks_new',
  recent: 'sign_in.asks_recent',
  'other-user': 'sign_in.asks_other_user',
}

/** POST /interaction/:uid/second-factor: step-up, one more factor of the signed-in user, for the app that asks for it. */
export async function createStepUp(req: InteractionPageRequest, res: Response): Promise<void> {
  const here = addressOf(req)
  const interaction = await resolveInteraction(interactionContextOf(req), requestOf(req, res))
  if (interaction.kind === 'continue') return res.redirect(303, interaction.url)
  if (interaction.kind !== 'step-up') return res.redirect(303, here)
  const missing = missingCode(req)
  if (missing !== null) {
    res.status(422)
    return askForSecondFactor(req, res, interaction, missing)
  }
  const act = async () => {
    const next = await takeSecondStep(req, res, proofOf(interaction.signedIn), here)
    if (next !== null) return res.redirect(303, next)
    await askForSecondFactor(req, res, interaction, problemOf(req))
  }
  await keepForm(req, res, act, (wait) => askForSecondFactor(req, res, interaction, null, wait))
}

/** POST /interaction/:uid/account: the user continues with the account that is signed in. */
export async function createAccountChoice(req: InteractionPageRequest, res: Response): Promise<void> {
  await leadOn(req, res, await keepChosenAccount(interactionContextOf(req), requestOf(req, res)))
}

/** POST /interaction/:uid/confirmation */
export async function createConfirmation(req: InteractionPageRequest, res: Response): Promise<void> {
  await leadOn(req, res, await confirmInteraction(interactionContextOf(req), requestOf(req, res)))
}

/** POST /interaction/:uid/introduction: the user has read what the app sees. */
export async function createIntroduction(req: InteractionPageRequest, res: Response): Promise<void> {
  await leadOn(req, res, await passIntroduction(interactionContextOf(req), requestOf(req, res)))
}

/** POST /interaction/:uid/cancellation */
export async function createCancellation(req: InteractionPageRequest, res: Response): Promise<void> {
  await leadOn(req, res, await cancelInteraction(interactionContextOf(req), requestOf(req, res)))
}

async function askForSecondFactor(
  req: InteractionPageRequest,
  res: Response,
  { appName, signedIn }: Extract<Interaction, { kind: 'step-up' }>,
  problem: SecondStepProblem | null,
  wait: WaitWords | null = null,
): Promise<void> {
  await showStepUp(req, res, {
    identityId: signedIn.identityId,
    action: addressOf(req, '/second-factor'),
    cancelAction: addressOf(req, '/cancellation'),
    askedBy: appName,
    problem,
    wait,
    returnTo: addressOf(req),
  })
}

function interactionContextOf(req: Request): InteractionContext {
  const { services, provider } = contextOf(req)
  return { services, provider: provider() }
}

function requestOf(req: InteractionPageRequest, res: Response): InteractionRequest {
  return { req, res, uid: req.params.uid, search: searchOf(req) }
}

/** The URL of this interaction's page or of one of its forms. The query is kept, because the request may travel in it. */
function addressOf(req: InteractionPageRequest, act = ''): string {
  const search = searchOf(req)
  return `/interaction/${encodeURIComponent(req.params.uid)}${act}${search === '' ? '' : `?${search}`}`
}

/** The page of this interaction on which the user signs in with another account, than that of the identity session if one is given. */
function otherAccountHref(req: InteractionPageRequest, sessionId = '1'): string {
  const query = new URLSearchParams(searchOf(req))
  query.set(OTHER_ACCOUNT, sessionId)
  return `/interaction/${encodeURIComponent(req.params.uid)}?${query}`
}

function searchOf(req: Request): string {
  return req.originalUrl.split('?')[1] ?? ''
}

async function leadOn(req: InteractionPageRequest, res: Response, url: string | null): Promise<void> {
  if (url === null) return showLost(req, res, null, null)
  res.redirect(303, url)
}

async function showLost(
  req: InteractionPageRequest,
  res: Response,
  appName: string | null,
  continueHref: string | null,
): Promise<void> {
  res.status(400)
  await render(
    req,
    res,
    'interactions/lost',
    { title: textsOf(req).t('interaction.lost_title'), narrow: true },
    { appName, continueHref, keepsCookies: sendsCookies(req), reference: req.requestId },
  )
}
