import { createTransport, type NodemailerError } from 'nodemailer'
import { type Carrier, mimeOf } from './outgoing-mail.ts'
import { MailRefused } from './mail-refused.ts'

/** Timeouts of each step, and of a mail as a whole (ms). */
export interface Timeouts {
  connection: number
  greeting: number
  /** Without any data on the connection. */
  silence: number
  /** The whole mail: a slow server that sends single bytes is never silent. */
  mail: number
}

const TIMEOUTS: Timeouts = { connection: 10_000, greeting: 10_000, silence: 20_000, mail: 60_000 }
/** Options that would log SMTP conversations, and the mails in them, to standard output. */
const TALKATIVE = ['logger', 'debug', 'transactionLog']

/** What a mail server answered to a login; `problem` is a sentence without the text of the server. */
export type SmtpAnswer =
  { kind: 'ready' } | { kind: 'unreachable' | 'login-refused' | 'no-tls' | 'certificate'; problem: string }

/** Connects to a mail server with TLS and logs in where the URL has a password. It sends no mail. */
export async function checkSmtp(smtpUrl: string, timeout: number): Promise<SmtpAnswer> {
  const transport = createTransport({
    url: quiet(smtpUrl),
    requireTLS: true,
    connectionTimeout: timeout,
    greetingTimeout: timeout,
    socketTimeout: timeout,
    dnsTimeout: timeout,
  })
  try {
    await transport.verify()
    return { kind: 'ready' }
  } catch (error) {
    const { code, originalCode, responseCode, message } = error as NodemailerError
    const reason = responseCode === undefined ? (originalCode ?? code ?? 'unknown') : `it answered ${responseCode}`
    if (code === 'EAUTH') return { kind: 'login-refused', problem: reason }
    if (code === 'ETLS' || responseCode === 454 || /wrong version number|STARTTLS/i.test(message))
      return { kind: 'no-tls', problem: reason }
    if (
      /CERT|SIGNED|SIGNATURE|ISSUER|ALTNAME/.test(`${originalCode ?? ''} ${code ?? ''}`) ||
      /certificate|altnames/i.test(message)
    )
      return { kind: 'certificate', problem: reason }
    return { kind: 'unreachable', problem: reason }
  } finally {
    transport.close()
  }
}

/** A pool of connections to a mail server. Options in the query of the URL win over those here. */
export function openSmtp(smtpUrl: string, timeouts: Timeouts = TIMEOUTS): Carrier {
  const transport = createTransport({
    pool: true,
    url: quiet(smtpUrl),
    // STARTTLS stripping: a man in the middle could remove STARTTLS from the server's offers and read the password.
    requireTLS: new URL(smtpUrl).password !== '',
    connectionTimeout: timeouts.connection,
    greetingTimeout: timeouts.greeting,
    socketTimeout: timeouts.silence,
    dnsTimeout: timeouts.connection,
    // Retries are the queue's task, except for a connection that the server has closed meanwhile.
    maxRequeues: 1,
  })

  return {
    async carry(mail) {
      try {
        await transport.sendMail({ ...mimeOf(mail), signal: AbortSignal.timeout(timeouts.mail) })
      } catch (error) {
        throw describe(error as NodemailerError)
      }
    },
    close: () => transport.close(),
  }
}

function quiet(smtpUrl: string): string {
  const url = new URL(smtpUrl)
  for (const option of TALKATIVE) url.searchParams.delete(option)
  return url.href
}

/** A new error without the server's text, which may repeat parts of the mail. */
function describe({ code, originalCode, responseCode, permanent, command }: NodemailerError): Error {
  if (responseCode === undefined)
    return new Error(`the mail server was not reached (${originalCode ?? code ?? 'unknown'})`)
  const words = `the mail server answered ${responseCode}${command === undefined ? '' : ` to ${command}`}`
  // A permanent refusal of the recipient or the mail stays. One of the connection or the sender an operator can fix.
  return permanent === true && (command === 'RCPT TO' || command === 'DATA') ? new MailRefused(words) : new Error(words)
}
