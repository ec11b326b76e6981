import { readFileSync, realpathSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { type Config, isLoopback } from '../config.ts'
import { type Finding, finding } from '../domain/findings.ts'
import { ignoresUsualFile } from '../settings/environment-file.ts'
import { isSet } from '../settings/environment.ts'
import { findMisspelt } from '../settings/misspelt.ts'
import { namesOf, SETTING_NAMES } from '../settings/names.ts'
import { SETTINGS, type SettingName } from '../settings/settings.ts'
import { parseSender } from '../mail/sender.ts'
import { bitsOf, ENOUGH_BITS } from './secret-strength.ts'

/** What is wrong with the environment, whether or not a portal could start with it. */
export function examineEnvironment(env: NodeJS.ProcessEnv): Finding[] {
  return [...misspeltNames(env), ...fileOfSettings(env), ...readableFiles(env)]
}

/** Faults of settings that keep the portal from starting, as `readConfig` says them: each begins with the name of the setting. */
export function findingsOfFaults(faults: readonly string[], env: NodeJS.ProcessEnv): Finding[] {
  return faults.map((fault) => {
    const [name = ''] = /^\w+/.exec(fault) ?? []
    const host = name === 'PUBLIC_URL' ? URL.parse(env[name] ?? '')?.host : undefined
    return finding('setting_wrong', `${fault}.`, host ? `PUBLIC_URL=https://${host}` : lineFor(name))
  })
}

/** What is unwise about settings with which the portal starts. */
export function examineConfig(config: Config, now: Date): Finding[] {
  return [
    ...addresses(config),
    ...secrets(config),
    ...metricsToken(config),
    ...habits(config),
    ...mailSender(config),
    ...node(now),
  ]
}

function misspeltNames(env: NodeJS.ProcessEnv): Finding[] {
  return findMisspelt(env).map(([given, meant]) =>
    finding('setting_unknown', `${given} is no setting and has no effect: it looks like ${meant}.`, `${meant}=…`),
  )
}

function fileOfSettings(env: NodeJS.ProcessEnv): Finding[] {
  const ignored = ignoresUsualFile(env)
    ? [finding('env_file_ignored', 'There is a .env in this folder, which is not read in production.', 'ENV_FILE=.env')]
    : []
  const file = pathOfSettings(env)
  if (file === null) return ignored
  // What the file says has been added to the environment, so only what had been there before differs.
  const overridden = Object.entries(readSettings(file)).filter(([name, value]) => {
    const isOurs = SETTING_NAMES.some((each) => allNamesOf(each).includes(name))
    return isOurs && isSet(env[name]) && env[name] !== value
  })
  return [
    ...ignored,
    ...overridden.map(([name]) =>
      finding(
        'setting_overridden',
        `${name} in ${file} has no effect: the environment says something else, and takes precedence.`,
        `unset ${name}`,
      ),
    ),
  ]
}

/** The files that hold secrets: those of the settings `…_FILE`, and the file of settings itself. */
function readableFiles(env: NodeJS.ProcessEnv): Finding[] {
  const named = SETTING_NAMES.flatMap((name) => namesOf(name).ofFile.map((each) => env[each] ?? '')).filter(isSet)
  const settings = pathOfSettings(env)
  const hasSecret =
    settings !== null &&
    Object.keys(readSettings(settings)).some((name) =>
      SETTING_NAMES.some((each) => isSecret(each) && namesOf(each).ofValue.includes(name)),
    )
  const files = [...named, ...(hasSecret ? [settings] : [])]
  return [...new Set(files)]
    .filter(isReadableByAll)
    .map((file) =>
      finding(
        'file_readable',
        `Every user of this machine can read ${file}, which holds a secret.`,
        `chmod o-rwx ${file}`,
      ),
    )
}

/** Secrets of Docker and Kubernetes are readable by all inside their container, where the portal is alone. */
function isReadableByAll(path: string): boolean {
  try {
    const real = realpathSync(path)
    const isMounted = real.startsWith('/run/secrets/') || /\/\.\.\d{4}_/.test(real)
    return !isMounted && process.platform !== 'win32' && (statSync(real).mode & 0o004) !== 0
  } catch {
    // A file that cannot be read is a fault of its setting.
    return false
  }
}

function pathOfSettings(env: NodeJS.ProcessEnv): string | null {
  const { ENV_FILE: named, NODE_ENV: mode } = env
  if (named !== undefined && isSet(named)) return named
  return !isSet(mode) || mode === 'development' ? join(process.cwd(), '.env') : null
}

function readSettings(path: string): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync(path, 'utf8'))
  } catch {
    return {}
  }
}

function addresses({ publicUrl, production }: Config): Finding[] {
  const { protocol, hostname, host } = new URL(publicUrl)
  if (isLoopback(hostname)) return []
  const found: Finding[] = []
  if (!production)
    found.push(
      finding(
        'not_production',
        `NODE_ENV is not production, and others can reach ${publicUrl}.`,
        'NODE_ENV=production',
      ),
    )
  if (protocol === 'http:')
    found.push(
      finding(
        'insecure_public_url',
        `PUBLIC_URL is http: what browsers and apps send to ${host} can be read on the way.`,
        `PUBLIC_URL=https://${hostname}`,
      ),
    )
  if (isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0)
    found.push(
      finding(
        'public_url_ip',
        `PUBLIC_URL has the IP address ${hostname} in place of a host name, so no passkey works.`,
        'PUBLIC_URL=https://id.example.com',
      ),
    )
  return found
}

/** The line that replaces the root secret and keeps the old one for what was made under it. */
export const NEW_SECRET = 'GATEHOUSE_SECRET="$(openssl rand -base64 48),$GATEHOUSE_SECRET"'

function secrets({ secrets: [first], production }: Config): Finding[] {
  if (bitsOf(first) >= ENOUGH_BITS) return []
  const sentence = 'GATEHOUSE_SECRET is made of words, repetitions or sequences, and could be guessed.'
  return [finding('weak_secret', sentence, NEW_SECRET, production ? 'warning' : 'hint')]
}

/** As many as ten random letters and digits have. */
const ENOUGH_OF_TOKEN = 60

function metricsToken({ metricsToken: token, production }: Config): Finding[] {
  if (token === null || !production || bitsOf(token) >= ENOUGH_OF_TOKEN) return []
  const sentence = 'METRICS_TOKEN is short, or made of words, and could be guessed.'
  return [finding('weak_metrics_token', sentence, 'METRICS_TOKEN="$(openssl rand -base64 32)"')]
}

function habits({ production, logLevel, policy, smtpUrl, databaseUrl, dataDir }: Config): Finding[] {
  if (!production) return []
  const found: Finding[] = []
  if (logLevel === 'debug' || logLevel === 'trace')
    found.push(finding('verbose_log', `LOG_LEVEL is ${logLevel} in production.`, 'LOG_LEVEL=info'))
  if (policy.registration === 'open' && policy.emailVerification === 'optional')
    found.push(
      finding(
        'unconfirmed_registration',
        'Registration is open, and people can connect apps without confirming their e-mail address.',
        'EMAIL_VERIFICATION=required',
      ),
    )
  if (smtpUrl === null)
    found.push(
      finding(
        'no_mail',
        'SMTP_URL is not set: no mail leaves, and people who forget their password cannot choose another.',
        'SMTP_URL=smtps://user:password@mail.example.com',
      ),
    )
  if (databaseUrl === null)
    found.push(
      finding(
        'embedded_in_production',
        `The embedded database in ${dataDir} is all there is: copy it and the root secret to another machine, or use a PostgreSQL of your own.`,
        'DATABASE_URL=postgresql://gatehouse:…@db.example.com/gatehouse',
      ),
    )
  return found
}

/** Names that are reserved (RFC 2606, RFC 6761): no mail can come from there. */
const NO_DOMAIN = /(^|\.)(localhost|invalid|test|local|example|example\.(com|net|org))$/i

function mailSender({ mailFrom, publicUrl, smtpUrl, production }: Config): Finding[] {
  const { hostname } = new URL(publicUrl)
  const { address } = parseSender(mailFrom)
  const domain = address.slice(address.lastIndexOf('@') + 1)
  // A portal under such a name is one that is being tried out.
  if (smtpUrl === null || !production || !NO_DOMAIN.test(domain) || NO_DOMAIN.test(hostname)) return []
  return [
    finding('mail_sender', `MAIL_FROM is ${address}, whose domain is reserved.`, `MAIL_FROM=no-reply@${hostname}`),
  ]
}

/** When the security fixes of a release end (https://github.com/nodejs/release). */
const ENDS: Record<number, string> = { 24: '2028-04-30', 26: '2029-04-30', 28: '2030-04-30' }

function node(now: Date): Finding[] {
  const { node: version } = process.versions
  const major = Number(version.split('.', 1)[0])
  const end = ENDS[major]
  // Releases with an odd number live for half a year.
  if (end === undefined ? major % 2 === 0 : now < new Date(end)) return []
  const sentence = `Node.js ${version} gets no security fixes any more${end === undefined ? ', or not for long' : ''}.`
  return [
    finding('node_unsupported', sentence, 'install a version of Node.js that is maintained: 24 or a newer even one'),
  ]
}

/** The setting with an example, and without a value where it is a secret. */
function lineFor(name: string): string {
  const known = SETTING_NAMES.find((each) => allNamesOf(each).includes(name))
  if (known === undefined) return `${name}=…`
  if (known === 'GATEHOUSE_SECRET') return 'GATEHOUSE_SECRET="$(openssl rand -base64 48)"'
  return `${known}=${SETTINGS[known].example}`
}

function isSecret(name: SettingName): boolean {
  return namesOf(name).ofFile.length > 0
}

function allNamesOf(name: SettingName): string[] {
  const { ofValue, ofFile } = namesOf(name)
  return [...ofValue, ...ofFile]
}
