import type { Request, Response } from 'express'
import {
  approveDevice,
  denyDevice,
  findWaitingDevice,
  lackFor,
  type WaitingDevice,
} from '../../domain/accounts/device-approvals.ts'
import { accessInWords } from '../../domain/apps/access.ts'
import { plainUserCode, readableUserCode } from '../../domain/families/user-codes.ts'
import { clientMessage } from '../../domain/geoip.ts'
import { readableEmail } from '../../domain/identities/emails.ts'
import { isLapsed, proofOf } from '../../domain/sign-in/identity-sessions.ts'
import { message } from '../../i18n/messages.ts'
import { lookOf } from '../app-look.ts'
import { servicesOf, signedInOf, textsOf } from '../context.ts'
import { logEvent, logIpBlock } from '../event-log.ts'
import { TooManyAttempts } from '../http-errors.ts'
import { keepForm } from '../middleware/error-page.ts'
import { askToSignIn } from '../middleware/identity.ts'
import { showNoAccess } from '../no-access.ts'
import { render } from '../page.ts'
import { withReturnTo } from '../return-to.ts'
import { missingCode, problemOf, type SecondStepProblem, showStepUp, takeSecondStep } from '../second-step.ts'
import type { WaitWords } from '../too-many-attempts.ts'

/** GET /device: asks for the code that a device shows; with the code, says what the device asks for (RFC 8628 §3.3). */
export async function showDeviceRequest(req: Request, res: Response): Promise<void> {
  if (req.query['user_code'] === undefined) return showForm(req, res)
  await withDevice(req, res, async (device) => showLack(req, res, device, null))
}

/** POST /device/approval */
export async function createDeviceApproval(req: Request, res: Response): Promise<void> {
  await withDevice(req, res, async (device) => {
    const services = servicesOf(req)
    const signedIn = signedInOf(req)
    if (lackFor(services, signedIn, device) !== null) return showLack(req, res, device, null)
    const outcome = await approveDevice(services, signedIn, device, req.clientInfo)
    if (isLapsed(outcome)) return askToSignIn(req, res)
    if (outcome === 'gone') return showWrongCode(req, res)
    logEvent(req, 'device_approved', { clientId: device.app.clientId, identityId: signedIn.identityId })
    await showAnswer(req, res, device, true)
  })
}

/** POST /device/denial */
export async function createDeviceDenial(req: Request, res: Response): Promise<void> {
  await withDevice(req, res, async (device) => {
    const outcome = await denyDevice(servicesOf(req), signedInOf(req), device)
    if (isLapsed(outcome)) return askToSignIn(req, res)
    if (outcome === 'gone') return showWrongCode(req, res)
    await showAnswer(req, res, device, false)
  })
}

/** POST /device/second-factor: step-up, for a device whose app asks for two factors. */
export async function createDeviceStepUp(req: Request, res: Response): Promise<void> {
  await withDevice(req, res, async (device) => {
    const signedIn = signedInOf(req)
    if (lackFor(servicesOf(req), signedIn, device) !== 'second-factor') return showLack(req, res, device, null)
    const missing = missingCode(req)
    if (missing !== null) {
      res.status(422)
      return askForSecondFactor(req, res, device, missing)
    }
    const act = async () => {
      const next = await takeSecondStep(req, res, proofOf(signedIn), addressOf(req))
      if (next !== null) return res.redirect(303, next)
      await askForSecondFactor(req, res, device, problemOf(req))
    }
    await keepForm(req, res, act, (wait) => askForSecondFactor(req, res, device, null, wait))
  })
}

/** Finds the device of the code in the URL. For a wrong code, and while guesses have to wait, the form is shown again. */
async function withDevice(req: Request, res: Response, act: (device: WaitingDevice) => Promise<void>): Promise<void> {
  const services = servicesOf(req)
  await keepForm(
    req,
    res,
    async () => {
      const found = await findWaitingDevice(services, signedInOf(req), typedIn(req), req.clientInfo)
      switch (found.kind) {
        case 'waiting':
          return act(found)
        case 'wait':
          throw new TooManyAttempts(found, services.clock())
        case 'unknown':
          logIpBlock(req, found.ipBlock)
          logEvent(req, 'device_code_refused')
          return showWrongCode(req, res)
      }
    },
    (wait) => showForm(req, res, { wait }),
  )
}

async function showWrongCode(req: Request, res: Response): Promise<void> {
  res.status(422)
  await showForm(req, res, { problems: { user_code: message('device.code_wrong') } })
}

async function showForm(
  req: Request,
  res: Response,
  form: { problems?: object; wait?: WaitWords | null } = {},
): Promise<void> {
  await render(
    req,
    res,
    'device-requests/new',
    { title: textsOf(req).t('device.title'), narrow: true },
    { problems: {}, wait: null, userCode: typedIn(req).slice(0, 40), ...form },
  )
}

/** The page of what is missing for the device; when nothing is, the question itself. */
async function showLack(
  req: Request,
  res: Response,
  device: WaitingDevice,
  problem: SecondStepProblem | null,
): Promise<void> {
  const signedIn = signedInOf(req)
  switch (lackFor(servicesOf(req), signedIn, device)) {
    case 'access':
      return showNoAccess(req, res, {
        appName: device.app.name,
        otherHref: null,
        cancelAction: addressOf(req, '/denial'),
      })
    case 'address':
      return render(
        req,
        res,
        'interactions/address',
        { title: textsOf(req).t('interaction.address_title'), narrow: true },
        {
          appName: device.app.name,
          email: readableEmail(signedIn.email),
          here: addressOf(req),
          cancelAction: addressOf(req, '/denial'),
        },
      )
    case 'recent-sign-in':
      return res.redirect(303, withReturnTo('/reauthentication', addressOf(req)))
    case 'second-factor':
      return askForSecondFactor(req, res, device, problem)
    case null:
      return showQuestion(req, res, device)
  }
}

async function showQuestion(req: Request, res: Response, { app, request }: WaitingDevice): Promise<void> {
  const services = servicesOf(req)
  await render(
    req,
    res,
    'device-requests/show',
    {
      title: textsOf(req).t('device.confirm_title', { app: app.name }),
      narrow: true,
      app: { ...lookOf(app), sees: null },
    },
    {
      appName: app.name,
      username: signedInOf(req).username,
      userCode: readableUserCode(plainUserCode(typedIn(req)) ?? ''),
      askedFrom: clientMessage(services, request.device),
      access: await accessInWords(services, app, request.asked),
      approvalAction: addressOf(req, '/approval'),
      denialAction: addressOf(req, '/denial'),
    },
  )
}

async function showAnswer(req: Request, res: Response, { app }: WaitingDevice, isApproved: boolean): Promise<void> {
  const title = textsOf(req).t(isApproved ? 'device.approved_title' : 'device.denied_title')
  await render(req, res, 'device-requests/answered', { title, narrow: true }, { appName: app.name, isApproved })
}

async function askForSecondFactor(
  req: Request,
  res: Response,
  { app }: WaitingDevice,
  problem: SecondStepProblem | null,
  wait: WaitWords | null = null,
): Promise<void> {
  await showStepUp(req, res, {
    identityId: signedInOf(req).identityId,
    action: addressOf(req, '/second-factor'),
    cancelAction: addressOf(req, '/denial'),
    askedBy: app.name,
    problem,
    wait,
    returnTo: addressOf(req),
  })
}

/** The code as it was typed, or stands in the link of the device. A repeated one is none. */
function typedIn(req: Request): string {
  const { user_code: typed } = req.query
  return typeof typed === 'string' ? typed : ''
}

/** The page of this code, or one of its forms. */
function addressOf(req: Request, act = ''): string {
  const code = plainUserCode(typedIn(req))
  return `/device${act}?user_code=${code === null ? '' : readableUserCode(code)}`
}
