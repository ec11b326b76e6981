import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { callbackify } from 'node:util'
import PostalMime from 'postal-mime'
import { SMTPServer, type SMTPServerDataStream, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server'
import { findFreePort } from '../../storage/embedded/free-port.ts'
import { linksIn } from './links.ts'

/** A mail as it arrived. */
export interface ParsedMail {
  /** The envelope recipient, whatever the headers say. */
  recipients: string[]
  /** By lower-case name; the last one of a repeated header. */
  headers: Record<string, string>
  /** The lower-case names of all headers, repeated ones included. */
  headerNames: string[]
  subject: string
  text: string
  html: string
  links: string[]
  raw: string
  /** The user of SMTP authentication, null without one. */
  user: string | null
  isEncrypted: boolean
}

/** A mail server for tests, whose accepted mails can be read. */
export interface Mailbox {
  url: string
  mails(): ParsedMail[]
  /** The first mail that matches, received or yet to come. */
  waitFor(predicate: (mail: ParsedMail) => boolean): Promise<ParsedMail>
  /** Rejects every recipient with this code from now on; null accepts them again. */
  refuse(code: number | null): void
  /** Closes its port; received mails can still be read. */
  stop(): Promise<void>
  start(): Promise<void>
}

export interface MailboxOptions {
  /** Requires these credentials; they are in the URL. */
  credentials?: { user: string; password: string }
  /** Offers STARTTLS, with a self-signed certificate. */
  offersTls?: boolean
  /** In place of that certificate (PEM). */
  certificate?: { cert: string; key: string }
}

const PATIENCE_MS = 15_000

export async function startMailbox({
  credentials,
  certificate,
  offersTls = false,
}: MailboxOptions = {}): Promise<Mailbox> {
  const mails: ParsedMail[] = []
  const waiting = new Set<() => void>()
  let refusal: number | null = null

  const receive = async (stream: SMTPServerDataStream, { envelope, user, secure }: SMTPServerSession) => {
    const raw = await buffer(stream)
    const recipients = envelope.rcptTo.map(({ address }) => address)
    mails.push(await read(raw, { recipients, user: typeof user === 'string' ? user : null, isEncrypted: secure }))
    for (const look of waiting) look()
  }
  const options: SMTPServerOptions = {
    authOptional: credentials === undefined,
    allowInsecureAuth: true,
    hideSTARTTLS: !offersTls,
    ...certificate,
    disableReverseLookup: true,
    // It would warn of its built-in certificate.
    logger: false,
    closeTimeout: 1,
    onAuth({ username, password }, _session, done) {
      if (username === credentials?.user && password === credentials?.password) return done(null, { user: username })
      // Hangs up without an answer.
      done(new Error(`Invalid login of ${username} with ${password}`))
    },
    onRcptTo({ address }, _session, done) {
      if (refusal === null) return done()
      done(Object.assign(new Error(`<${address}> is not wanted`), { responseCode: refusal }))
    },
    onData: callbackify(receive),
  }

  const port = await findFreePort()
  let server: SMTPServer | null = null
  const start = async () => {
    if (server !== null) return
    server = new SMTPServer(options)
    // Clients that disconnect early are part of the tests.
    server.on('error', () => {})
    server.listen(port, '127.0.0.1')
    await once(server.server, 'listening')
  }
  await start()

  const login = credentials
    ? `${encodeURIComponent(credentials.user)}:${encodeURIComponent(credentials.password)}@`
    : ''
  return {
    url: `smtp://${login}127.0.0.1:${port}`,
    mails: () => [...mails],
    async waitFor(predicate) {
      const { promise, resolve, reject } = Promise.withResolvers<ParsedMail>()
      const look = () => {
        const mail = mails.find(predicate)
        if (mail !== undefined) resolve(mail)
      }
      const timer = setTimeout(() => {
        reject(new Error(`the mail did not come, only ${JSON.stringify(mails.map(({ subject }) => subject))}`))
      }, PATIENCE_MS)
      waiting.add(look)
      look()
      return promise.finally(() => {
        clearTimeout(timer)
        waiting.delete(look)
      })
    },
    refuse: (code) => void (refusal = code),
    async stop() {
      const stopping = server
      server = null
      await new Promise<void>((resolve) => (stopping === null ? resolve() : stopping.close(() => resolve())))
    },
    start,
  }
}

async function read(raw: Buffer, about: Pick<ParsedMail, 'recipients' | 'user' | 'isEncrypted'>): Promise<ParsedMail> {
  const { headers, subject = '', text = '', html = '' } = await PostalMime.parse(raw)
  return {
    ...about,
    headers: Object.fromEntries(headers.map(({ key, value }) => [key, value])),
    headerNames: headers.map(({ key }) => key),
    subject,
    text,
    html,
    links: linksIn(text),
    raw: raw.toString(),
  }
}
