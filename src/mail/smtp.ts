import { createTransport, type NodemailerError } from 'nodemailer'
import { type Carrier, mimeOf } from './outgoing-mail.ts'
import { MailRefused } from './mail-refused.ts'

/** How long each step may take, and a mail altogether (ms). */
export interface Patience {
  connection: number
  greeting: number
  /** Silence in the middle of a conversation. */
  silence: number
  /** A server that says one word at a time is never silent. */
  mail: number
}

const PATIENCE: Patience = { connection: 10_000, greeting: 10_000, silence: 20_000, mail: 60_000 }
/** Options that would write conversations, and the mails in them, to standard output. */
const TALKATIVE = ['logger', 'debug', 'transactionLog']

/** A pool of connections to a mail server. What the URL says in its query wins over what is said here. */
export function openSmtp(smtpUrl: string, patience: Patience = PATIENCE): Carrier {
  const url = new URL(smtpUrl)
  for (const option of TALKATIVE) url.searchParams.delete(option)
  const transport = createTransport({
    pool: true,
    url: url.href,
    // Whoever stands in between could strike STARTTLS from what the server offers, and would be told the password.
    requireTLS: url.password !== '',
    connectionTimeout: patience.connection,
    greetingTimeout: patience.greeting,
    socketTimeout: patience.silence,
    dnsTimeout: patience.connection,
    // Trying again is the queue's business, but for a connection that the server had closed meanwhile.
    maxRequeues: 1,
  })

  return {
    async carry(mail) {
      try {
        await transport.sendMail({ ...mimeOf(mail), signal: AbortSignal.timeout(patience.mail) })
      } catch (error) {
        throw describe(error as NodemailerError)
      }
    },
    close: () => transport.close(),
  }
}

/** Not the error itself: servers repeat in their answers what they were sent. */
function describe({ code, originalCode, responseCode, permanent, command }: NodemailerError): Error {
  if (responseCode === undefined)
    return new Error(`the mail server was not reached (${originalCode ?? code ?? 'unknown'})`)
  const words = `the mail server answered ${responseCode}${command === undefined ? '' : ` to ${command}`}`
  // What it has against the recipient or the mail, it will have again. What it has against us, an operator can mend.
  return permanent === true && (command === 'RCPT TO' || command === 'DATA') ? new MailRefused(words) : new Error(words)
}
