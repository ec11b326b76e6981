import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { faultsOfSourceSecret, isLoopback, wrongSettings } from '../config.ts'
import type { Result } from '../identity-source/http/conformance/check.ts'
import { readEnvironment } from '../settings/environment.ts'
import { CommandRefused } from './command-refused.ts'
import { note } from './output.ts'

interface CheckOptions {
  login?: string
  passwordStdin?: boolean
  create?: boolean
  json?: boolean
}

export function addIdentitySourceCommands(program: Command): void {
  const source = program
    .command('identity-source')
    .description('Check a service in which users live, as its author or before a portal uses it.')

  source
    .command('check <url>')
    .description(
      'Check that a service speaks the protocol of the portal; the secret is IDENTITY_SOURCE_SECRET. It needs no portal.',
    )
    .option('--login <login>', 'also ask about this user, who must exist there')
    .option('--password-stdin', 'read the password of that user from standard input')
    .option('--create', 'also create users there, who stay')
    .option('--json', 'print JSON and nothing else')
    .action(checkIdentitySource)
}

async function checkIdentitySource(url: string, options: CheckOptions): Promise<void> {
  const { login, passwordStdin, create: mayCreate = false, json } = options
  const { protocol, hostname } = urlOf(url)
  if (passwordStdin && login === undefined) throw new CommandRefused('--password-stdin needs --login')
  const { IDENTITY_SOURCE_SECRET: secret } = readEnvironment(process.env).values
  if (secret === null) throw wrongSettings(['IDENTITY_SOURCE_SECRET: must be set, to the secret of the service'])
  const faults = faultsOfSourceSecret(secret)
  if (faults.length > 0) throw wrongSettings(faults)
  const password = passwordStdin ? (await text(process.stdin)).replace(/\r?\n$/, '') : undefined
  if (protocol === 'http:' && !isLoopback(hostname)) note('without https, passwords cross the network unencrypted')
  const { checkSource } = await import('../identity-source/http/conformance/conformance.ts')
  const { Probe } = await import('../identity-source/http/conformance/probe.ts')
  const known = { ...(login === undefined ? {} : { login }), ...(password === undefined ? {} : { password }) }
  const results = await checkSource(new Probe({ url, secret, mayCreate, ...known }))
  const count = (result: Result['result']) => results.filter((each) => each.result === result).length
  if (json) process.stdout.write(`${JSON.stringify({ url, failed: count('fail'), checks: results })}\n`)
  else for (const each of results) process.stdout.write(`${inWords(each)}\n`)
  if (count('fail') > 0) throw new CommandRefused(`gatehouse: ${count('fail')} of ${results.length} checks failed`)
  if (!json) note(`${count('pass')} of ${results.length} checks passed, ${count('skipped')} were skipped`)
}

function urlOf(url: string): URL {
  const parsed = URL.parse(url)
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    throw new CommandRefused(`${url} is not a URL that begins with https:// or http://`)
  if (`${parsed.username}${parsed.password}${parsed.search}${parsed.hash}` !== '')
    throw new CommandRefused('the URL must have no user name, query or fragment')
  return parsed
}

/** What failed has two more lines: what was found, and what to change. */
function inWords({ number, result, code, title, found, change }: Result): string {
  const head = `${String(number).padStart(2)} ${(result === 'fail' ? 'FAIL' : result).padEnd(7)} ${code}: ${title}`
  if (result === 'skipped') return `${head} (${found})`
  return change === null ? head : `${head}\n           found: ${found}\n           ${change}`
}
