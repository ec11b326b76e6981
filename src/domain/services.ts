import type { KeyObject } from 'node:crypto'
import type { Brand, Lifetimes, Policy } from '../config.ts'
import type { Logger } from '../logger.ts'
import type { AppRow } from '../storage/apps.ts'
import type { Operator } from '../storage/audit.ts'
import type { Storage } from '../storage/storage.ts'
import type { PasswordJudge } from './passwords/password-judge.ts'
import type { PasswordHasher } from './passwords/passwords.ts'
import type { Metrics } from './metrics.ts'
import type { FairQueue } from './fair-queue.ts'
import type { Checkup, CheckupKind } from './findings.ts'
import type { GeoIp } from './geoip.ts'
import type { IdentitySource } from './identity-source.ts'
import type { AuditKeys } from './keys/audit-keys.ts'
import type { Secrets } from './keys/secrets.ts'
import type { KeyRing } from './keys/signing-keys.ts'
import type { Tally } from './tally.ts'
import type { TestAnswer, TestKind } from './test-answer.ts'
import type { Upstream } from './upstream.ts'

export type { Operator }

/** What every rule takes as its first argument: stores, keys, settings. Time comes only from `clock`. */
export interface Services {
  storage: Storage
  /** For events that no single request stands for, such as endings. The outcome of a request is logged where it is answered. */
  logger: Logger
  secrets: Secrets
  keys: KeyRing
  /** Of pairwise subjects (OpenID Connect Core §8.1); it never changes. */
  subjectSalt: KeyObject
  /** Of the keys that apps share with the portal (HS256); it never changes. */
  tokenKeyRoot: KeyObject
  auditKeys: AuditKeys
  hasher: PasswordHasher
  passwords: PasswordJudge
  geoip: GeoIp
  /** Where users live who are not in the database; null for nowhere. */
  identitySource: IdentitySource | null
  /** Whose turn it is at the identity source: a client that floods it delays only itself. */
  sourceTurns: FairQueue
  lifetimes: Lifetimes
  policy: Policy
  /** The organisation's name is `brand.name`. */
  brand: Brand
  /** The issuer. */
  publicUrl: string
  /** Counts what happens, for the plots of the overview. */
  tally: Tally
  /** What `/metrics` shows of this process. */
  metrics: Metrics
  clock: () => Date
  /** Sends a test notification to the URI that the app has for it, at once. */
  sendTest: (app: AppRow, kind: TestKind) => Promise<TestAnswer>
  /** Other providers, with which users sign in. */
  upstream: Upstream
  /** Looks for what is wrong with how the portal is set up and run. */
  examine: (kind: CheckupKind) => Promise<Checkup>
  /** The operator in whose name a rule is called, for the audit log; null for users, apps and time. */
  operator: Operator | null
}
