import { compose } from './composition.ts'
import type { Carrier } from './outgoing-mail.ts'
import { MailRefused } from './mail-refused.ts'
import type { MailContent } from './mail-content.ts'
import { openMailFolder } from './mail-folder.ts'
import { openSmtp, type Patience } from './smtp.ts'

export interface MailerSettings {
  /** `smtp:` or `smtps:` with credentials and nodemailer's options in it; null when no mail leaves. */
  smtpUrl: string | null
  /** An address, or a name and an address in angle brackets. */
  from: string
  /** The folder that mails land in while none leaves; null outside development. */
  outbox: string | null
  clock?: () => Date
  patience?: Patience
}

export interface Mailer {
  /**
   * Hands a message over to the mail server. The same `id` again is the same mail, for programs that drop doubles.
   * @throws MailRefused when another attempt would end the same way; another Error when it may not.
   */
  send(to: string, message: MailContent, id: string): Promise<void>
  /** Lets the connections go; what is on its way may still arrive. */
  close(): void
}

export function createMailer(settings: MailerSettings): Mailer {
  const { from, clock = () => new Date() } = settings
  const carrier = openCarrier(settings)

  return {
    async send(to, message, id) {
      if (!isAddress(to)) throw new MailRefused('the address is not one that mail goes to')
      if (!/^[\w.-]{1,80}$/.test(id)) throw new Error('the id of a mail has 1 to 80 letters, figures, dots and dashes')
      const { subject } = message
      await carrier.carry({ id, from, to, subject, at: clock(), ...(await compose(message)) })
    },
    close: () => carrier.close(),
  }
}

function openCarrier({ smtpUrl, outbox, patience }: MailerSettings): Carrier {
  if (smtpUrl !== null) return openSmtp(smtpUrl, patience)
  if (outbox !== null) return openMailFolder(outbox)
  return {
    carry: () => Promise.reject(new MailRefused('SMTP_URL is not set, so no mail leaves')),
    close: () => {},
  }
}

// No quoted local part (RFC 5321 §4.1.2): nobody has one, and what it may hold means something to mail programs.
const ADDRESS = /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~.-]{1,64}@[\p{L}\p{M}\p{N}.-]+$/u

/** True for exactly one address, with nothing in it that could become a second one or a header. */
function isAddress(to: string): boolean {
  return to.length <= 254 && ADDRESS.test(to)
}
