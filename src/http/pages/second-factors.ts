import type { Request, Response } from 'express'
import { isLapsed } from '../../domain/sign-in/identity-sessions.ts'
import { findIdentity } from '../../domain/identities/identities.ts'
import { offersPasskeys, signalsAbout } from '../../domain/sign-in/passkeys.ts'
import {
  factorNameProblem,
  FACTOR_KINDS,
  isLastSecondStep,
  listSecondFactors,
  removeSecondFactor,
  renameSecondFactor,
  type SecondFactor,
} from '../../domain/sign-in/second-factors.ts'
import { listTrustedBrowsers } from '../../domain/sign-in/trusted-browsers.ts'
import { browserMessage } from '../../domain/user-agents.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent } from '../event-log.ts'
import type { Message } from '../../i18n/messages.ts'
import { textField } from '../form-fields.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { takeFields } from '../kept-fields.ts'
import { redirectWith } from '../flash-messages.ts'
import { notFound } from '../http-errors.ts'
import { render } from '../page.ts'
import { isUuid } from '../../domain/uuid.ts'
import { FACTORS_PAGE, returnToIn } from '../factor-additions.ts'
import { appNameOf, withReturnTo } from '../return-to.ts'

/** GET /settings/second-factors */
export async function listFactors(req: Request, res: Response): Promise<void> {
  const services = servicesOf(req)
  const returnTo = returnToIn(req)
  const { identityId } = signedInOf(req)
  const { factors, recoveryCodesLeft } = await listSecondFactors(services, identityId)
  const identity = await findIdentity(services, identityId)
  const trusted = identity === null || factors.length === 0 ? [] : await listTrustedBrowsers(services, identity)
  await render(
    req,
    res,
    'second-factors/index',
    { title: textsOf(req).t('methods.title'), nav: 'settings' },
    {
      isOn: factors.some(({ isSecondStep }) => isSecondStep),
      passkeys: factors.filter(({ signsInAlone }) => signsInAlone).map((factor) => shapeFactor(req, factor)),
      secondSteps: factors.filter(({ signsInAlone }) => !signsInAlone).map((factor) => shapeFactor(req, factor)),
      trustedBrowsers: trusted.map(({ browser, trustedUntil }) => ({
        browser: browserMessage(browser),
        until: textsOf(req).time(trustedUntil as Date, services.clock()),
      })),
      recoveryCodesLeft,
      // After each change of a passkey the user comes back to this page.
      passkeySignals: await signalsOf(req),
      returnTo,
      appName: await appNameOf(req, returnTo),
      newAppHref: withReturnTo(`${FACTORS_PAGE}/totp/new`, returnTo),
      newPasskeyHref: offersPasskeys(services) ? withReturnTo(`${FACTORS_PAGE}/passkey/new`, returnTo) : null,
    },
  )
}

async function signalsOf(req: Request): Promise<string | null> {
  const signals = await signalsAbout(servicesOf(req), signedInOf(req))
  return signals && JSON.stringify(signals)
}

type FactorRequest = Request<{ kind: string; id: string }>

/** GET /settings/second-factors/:kind/:id */
export async function editFactor(req: FactorRequest, res: Response): Promise<void> {
  const factor = await factorOf(req)
  const { name = factor.name } = takeFields(req, res)
  await showFactor(req, res, { ...factor, name }, null)
}

/** POST /settings/second-factors/:kind/:id: renames it */
export async function updateFactor(req: FactorRequest, res: Response): Promise<void> {
  const factor = await factorOf(req)
  const name = textField(req.body, 'name')
  const problem = factorNameProblem(name)
  if (problem !== null) {
    res.status(422)
    return showFactor(req, res, { ...factor, name }, problem)
  }
  const outcome = await renameSecondFactor(servicesOf(req), signedInOf(req), factor.kind, factor.id, name)
  if (isLapsed(outcome)) return askToSignIn(req, res)
  redirectWith(req, res, 'second-factor-renamed', FACTORS_PAGE)
}

/** POST /settings/second-factors/:kind/:id/removal */
export async function destroyFactor(req: FactorRequest, res: Response): Promise<void> {
  const factor = await factorOf(req)
  const signedIn = signedInOf(req)
  const { identityId } = signedIn
  const outcome = await removeSecondFactor(servicesOf(req), signedIn, factor.kind, factor.id, req.clientInfo)
  switch (outcome.kind) {
    case 'lapsed':
      return askToSignIn(req, res)
    case 'unknown':
      throw notFound()
    case 'password-too-short':
      // The page says why, and what to do first.
      res.status(409)
      return showFactor(req, res, factor, null)
    case 'removed':
      logEvent(req, 'second_factor_removed', { identityId })
      redirectWith(req, res, outcome.wasLast ? 'no-second-factor' : 'second-factor-removed', FACTORS_PAGE)
  }
}

async function factorOf(req: FactorRequest): Promise<SecondFactor & { isLast: boolean }> {
  const { kind, id } = req.params
  const isKind = FACTOR_KINDS.some((each) => each === kind)
  if (!isKind || !isUuid(id)) throw notFound()
  const { factors } = await listSecondFactors(servicesOf(req), signedInOf(req).identityId)
  const factor = factors.find((each) => each.kind === kind && each.id === id)
  if (factor === undefined) throw notFound()
  return { ...factor, isLast: isLastSecondStep(factor, factors) }
}

async function showFactor(
  req: FactorRequest,
  res: Response,
  factor: SecondFactor & { isLast: boolean },
  problem: Message | null,
): Promise<void> {
  const services = servicesOf(req)
  const identity = await findIdentity(services, signedInOf(req).identityId)
  await render(
    req,
    res,
    'second-factors/edit',
    { title: factor.name, narrow: true },
    {
      ...shapeFactor(req, factor),
      isLast: factor.isLast,
      passwordStandsAlone: identity?.passwordStandsAlone ?? false,
      passwordLength: services.policy.passwordLength,
      problem,
    },
  )
}

function shapeFactor(req: Request, { kind, signsInAlone, id, name, createdAt, lastUsedAt }: SecondFactor) {
  const texts = textsOf(req)
  const now = servicesOf(req).clock()
  return {
    kind,
    name,
    kindInWords: texts.t(kind === 'totp' ? 'methods.app' : signsInAlone ? 'methods.passkey' : 'methods.security_key'),
    href: `${FACTORS_PAGE}/${kind}/${id}`,
    created: texts.time(createdAt, now),
    lastUsed: lastUsedAt === null ? null : texts.time(lastUsedAt, now),
  }
}
