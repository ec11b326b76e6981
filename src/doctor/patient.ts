// doctor/: what can be wrong with how a portal is set up and run, found by looking: its settings, stores, mail server, proxy and
// certificate, and the servers of its apps.
//
// It owns the checks, their time limits, and the line to change that each finding names. It changes nothing, and says no secret.
// It leaves to the rules in `domain/` what they know by themselves, and to `administration/` who may ask.

import type { Config } from '../config.ts'
import type { Finding } from '../domain/findings.ts'
import type { Secrets } from '../domain/keys/secrets.ts'
import type { Storage } from '../storage/storage.ts'

/** The portal that is examined. */
export interface Patient {
  config: Config
  /** The environment that its settings come from. */
  env: NodeJS.ProcessEnv
  secrets: Secrets
  storage: Pick<Storage, 'pool' | 'prisma' | 'jobs'>
  /** It serves, and its connections to the database were checked when it started. */
  isServing: boolean
  clock: () => Date
}

/** One kind of examination. */
export interface Check {
  name: string
  /** It asks the database; without one it is left out. */
  needsDatabase: boolean
  /** It asks no other server. */
  isQuick: boolean
  /** Another check finds the same where other servers are asked. */
  isOnlyQuick?: true
  /** How long it may take (ms). */
  limit: number
  /** @throws Error when it cannot be made */
  find(patient: Patient): Promise<Finding[]>
}
