import type { SentCode } from '../../accounts/email-codes.ts'
import type { AppRow } from '../../apps/apps.ts'
import type { ClientInfo } from '../../client-info.ts'
import type { RegistrationProblems } from '../../identities/identities.ts'
import type { IpBlock } from '../../limits/ip-blocks.ts'
import type { Services } from '../../services.ts'
import type { Acr } from '../../sign-in/authentication-context.ts'
import type { Proof } from '../../sign-in/identity-sessions.ts'

/** What of a direct sign-in has been done. It is kept as JSON between two steps. */
export interface Progress {
  /** Who it is, and how they have proved it so far; null before the first factor. */
  proof: Proof | null
  /** The code that was sent by mail, while it has not been typed. */
  emailCode?: SentCode
}

/** What an app can send for a step, by the name of its parameter. */
export interface Answers {
  login?: string
  password?: string
  /** The code of an authenticator app, or a recovery code in its place. */
  totp?: string
  recovery_code?: string
  /** A WebAuthn assertion, in JSON. */
  passkey?: string
  /** `true` registers, with the three that follow and the password. */
  register?: string
  username?: string
  email?: string
  password_confirmation?: string
  /** `true` has a code sent by mail: to sign in with in place of the password, or once more. */
  send_email_code?: string
  email_code?: string
  /** Roles of the app that the user asks for with the registration, separated by spaces. */
  roles?: string
  /** The version of the terms of use that the user accepts. */
  terms_version?: string
}

/** What an app is told to ask for next. */
export type NextStep = 'password' | 'totp' | 'recovery_code' | 'passkey' | 'registration' | 'email_code' | 'terms'

/** What was wrong with an answer. */
export type Refusal =
  | 'credentials_invalid'
  | 'code_invalid'
  | 'passkey_invalid'
  | 'registration_closed'
  | 'registration_invalid'
  | 'role_not_assignable'
  | 'terms_outdated'
  | 'mail_limited'

/** For the user, by the name of the parameter that is to be sent anew. */
export type Problems = RegistrationProblems & { password_confirmation?: RegistrationProblems['password'] }

/** A direct sign-in, as its steps see it. */
export interface DirectSignIn {
  app: AppRow
  progress: Progress
  answers: Answers
  /** The client of the app, with the name of the app in its browser part. */
  clientInfo: ClientInfo
  device: AppDevice
  /** The context classes that the app asks for and that exist here, any of them; empty where it asks for none. */
  acrValues: Acr[]
  /** The `sub` of the user that the app expects, where it says so (OpenID Connect Core §3.1.2.1, §5.5.1). */
  expectedSubs: string[]
}

/** The installation of an app, as a device of the user. */
export interface AppDevice {
  hash: Buffer
  /** A DPoP proof has shown its key, so that it may count as a known device against throttling. */
  isProven: boolean
}

export type StepOutcome =
  /** Nothing is missing of this step (any more). */
  | { kind: 'passed'; progress: Progress }
  /** The app must ask the user. `details` stand in the answer beside `next`. */
  | {
      kind: 'missing'
      next: NextStep[]
      details?: Record<string, unknown>
      /** What is wrong with the parameters of a registration, by their names. */
      problems?: Problems
      refusal?: Refusal
      /** What has changed, though the step is not passed. */
      progress?: Progress
      ipBlock?: IpBlock | null
    }
  | { kind: 'throttled'; retryAt: Date; ipBlocked: boolean }
  /** Only a page of the portal can go on. */
  | { kind: 'needs-page' }
  /** The user may not enter the app. */
  | { kind: 'no-access' }
  /** The app expects another user. */
  | { kind: 'other-user' }
  /** What was proved is no longer valid. */
  | { kind: 'lapsed' }

/**
 * One step of a direct sign-in: it takes the answer to it, if the request has one, or says what is missing. Whether it has anything
 * to do, it finds in `progress` and in the rules, so that it can stand anywhere in the list.
 */
export type Step = (services: Services, signIn: DirectSignIn) => Promise<StepOutcome>
