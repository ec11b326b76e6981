import { setTimeout as sleep } from 'node:timers/promises'
import { type Checkup, type CheckupKind, type Finding, finding, SEVERITIES } from '../domain/findings.ts'
import { examineApps } from './apps.ts'
import { databaseTrouble, examineDatabase, examineMigrations, examineRegistration, examineRole } from './database.ts'
import { examineDirectory } from './directory.ts'
import { examineIdentityProviders } from './identity-providers.ts'
import { examineIdentitySource } from './identity-source.ts'
import { examineMail } from './mail.ts'
import { examineAdministrators, examineKeys, examineQueues, examineSecretAge, examineTokenKeys } from './operating.ts'
import type { Check, Patient } from './patient.ts'
import { examineProxyUse } from './proxy-use.ts'
import { examinePublicUrl } from './public-url.ts'
import { reasonOf } from './reasons.ts'
import { examineRedis } from './redis.ts'
import { examineConfig, examineEnvironment } from './settings.ts'

const asks = { needsDatabase: false, isQuick: false, limit: 15_000 }
const reads = { needsDatabase: true, isQuick: true, limit: 5000 }

const CHECKS: Check[] = [
  {
    ...asks,
    name: 'settings',
    isQuick: true,
    find: async ({ env, config, clock }) => [...examineEnvironment(env), ...examineConfig(config, clock())],
  },
  { ...reads, name: 'migrations', find: examineMigrations },
  { ...reads, name: 'database', find: examineDatabase },
  { ...reads, name: 'database role', find: examineRole },
  { ...reads, name: 'registration', find: examineRegistration },
  { ...reads, name: 'administrators', find: examineAdministrators },
  { ...reads, name: 'signing keys', find: examineKeys },
  { ...reads, name: 'shared token keys', find: examineTokenKeys },
  { ...reads, name: 'root secret', find: examineSecretAge },
  { ...reads, name: 'mails and notifications', find: examineQueues },
  // The public URL is the better witness, where it is asked.
  { ...reads, name: 'proxy headers', isOnlyQuick: true, find: examineProxyUse },
  { ...asks, name: 'Redis', find: examineRedis },
  { ...asks, name: 'mail server', find: examineMail },
  { ...asks, name: 'directory', find: examineDirectory },
  { ...asks, name: 'identity source', find: examineIdentitySource },
  { ...asks, name: 'identity providers', needsDatabase: true, find: examineIdentityProviders },
  { ...asks, name: 'public URL', find: examinePublicUrl, limit: 40_000 },
  { ...asks, name: 'apps', needsDatabase: true, find: examineApps, limit: 25_000 },
]

/** Makes every check at the same time. Never throws: what could not be checked is a finding, too. */
export async function examine(patient: Patient, kind: CheckupKind): Promise<Checkup> {
  const trouble = await limited(databaseTrouble(patient), 10_000).catch((error: unknown) =>
    finding('database_unreachable', `The database cannot be used: ${reasonOf(error)}.`, 'DATABASE_URL=…'),
  )
  const due = CHECKS.filter(({ isQuick, isOnlyQuick, needsDatabase }) => {
    const isAsked = kind === 'quick' ? isQuick : isOnlyQuick !== true
    return isAsked && (trouble === null || !needsDatabase)
  })
  const found = (await Promise.all(due.map(async (check) => make(check, patient)))).flat()
  // Without a migration tables are missing, and every check that needs one would say so again.
  const isBehind = found.some(({ code }) => code === 'migrations_pending')
  return checkupOf(
    [
      ...(trouble === null ? [] : [trouble]),
      ...found.filter(({ code, sentence }) => !(isBehind && code === 'not_checked' && MISSING.test(sentence))),
    ],
    due.map(({ name }) => name),
    secretsOf(patient),
  )
}

/** In the order of their severity, and without any of these secrets. */
export function checkupOf(found: Finding[], checked: string[], secrets: string[] = []): Checkup {
  const clean = withoutRepetition(found).map((each) => ({
    ...each,
    sentence: without(secrets, each.sentence),
    change: without(secrets, each.change),
  }))
  const sorted = clean.toSorted((one, other) => SEVERITIES.indexOf(one.severity) - SEVERITIES.indexOf(other.severity))
  return {
    findings: sorted.filter(({ severity }) => severity !== 'hint'),
    hints: sorted.filter(({ severity }) => severity === 'hint'),
    checked,
  }
}

/** SQLSTATEs: undefined_table, undefined_column. */
const MISSING = /\b42(P01|703)\b/

async function make({ name, limit, find }: Check, patient: Patient): Promise<Finding[]> {
  try {
    return await limited(find(patient), limit)
  } catch (error) {
    return [finding('not_checked', `The check of ${name} could not be made: ${reasonOf(error)}.`, 'gatehouse doctor')]
  }
}

async function limited<T>(work: Promise<T>, ms: number): Promise<T> {
  const done = new AbortController()
  const late = sleep(ms, null, { signal: done.signal, ref: false }).then(() => {
    throw new Error('it takes too long')
  })
  late.catch(() => {})
  try {
    return await Promise.race([work, late])
  } finally {
    done.abort()
  }
}

function withoutRepetition(found: Finding[]): Finding[] {
  return [...new Map(found.map((each) => [`${each.code} ${each.sentence}`, each])).values()]
}

/** Servers may repeat what they were sent in their messages. */
function secretsOf({
  config: { secrets, databaseUrl, migrationUrl, redisUrl, smtpUrl, identitySource },
}: Patient): string[] {
  const urls = [databaseUrl, migrationUrl, smtpUrl, ...(redisUrl?.split(',') ?? [])]
  const passwords = urls.flatMap((url) => {
    const { password } = URL.parse(url ?? '') ?? { password: '' }
    return [password, decodeURIComponent(password)]
  })
  return [...secrets, ...passwords, identitySource?.secret ?? ''].filter((secret) => secret.length >= 6)
}

function without(secrets: string[], text: string): string {
  return secrets.reduce((clean, secret) => clean.replaceAll(secret, '…'), text)
}
