import { compose } from './composition.ts'
import type { Carrier } from './outgoing-mail.ts'
import { MailRefused } from './mail-refused.ts'
import type { MailContent } from './mail-content.ts'
import { openMailFolder } from './mail-folder.ts'
import { openSmtp, type Timeouts } from './smtp.ts'

export interface MailerSettings {
  /** `smtp:` or `smtps:` with credentials and nodemailer's options in it; null when no mail is sent. */
  smtpUrl: string | null
  /** An e-mail address, or a name and an e-mail address in angle brackets. */
  from: string
  /** The mail preview folder, for mails that are not sent; null outside development. */
  previewFolder: string | null
  clock?: () => Date
  timeouts?: Timeouts
}

export interface Mailer {
  /**
   * Hands a message over to the mail server. A retry has the same `id`, by which mail programs drop duplicates.
   * @throws MailRefused for a permanent failure; another Error when a retry may succeed.
   */
  send(to: string, message: MailContent, id: string): Promise<void>
  /** Closes the connections; mails in flight may still arrive. */
  close(): void
}

export function createMailer(settings: MailerSettings): Mailer {
  const { from, clock = () => new Date() } = settings
  const carrier = openCarrier(settings)

  return {
    async send(to, message, id) {
      if (!isEmail(to)) throw new MailRefused('the address is not one that mail goes to')
      if (!/^[\w.-]{1,80}$/.test(id)) throw new Error('the id of a mail has 1 to 80 letters, digits, dots and dashes')
      const { subject } = message
      await carrier.carry({ id, from, to, subject, at: clock(), ...(await compose(message)) })
    },
    close: () => carrier.close(),
  }
}

function openCarrier({ smtpUrl, previewFolder, timeouts }: MailerSettings): Carrier {
  if (smtpUrl !== null) return openSmtp(smtpUrl, timeouts)
  if (previewFolder !== null) return openMailFolder(previewFolder)
  return {
    carry: () => Promise.reject(new MailRefused('SMTP_URL is not set, so no mail leaves')),
    close: () => {},
  }
}

// No quoted local part (RFC 5321 §4.1.2): they are hardly used, and their characters have a meaning to mail programs.
const EMAIL = /^[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~.-]{1,64}@[\p{L}\p{M}\p{N}.-]+$/u

/** True for exactly one e-mail address, without characters that could add a second one or a header (header injection). */
function isEmail(to: string): boolean {
  return to.length <= 254 && EMAIL.test(to)
}
