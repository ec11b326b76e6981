import type { SendMailOptions } from 'nodemailer'
import { parseSender } from './sender.ts'

/** A composed mail with its recipient. */
export interface OutgoingMail {
  /** Every retry has the same. */
  id: string
  from: string
  to: string
  subject: string
  text: string
  html: string
  at: Date
}

/** A transport of mails: SMTP, or the mail preview folder. */
export interface Carrier {
  carry(mail: OutgoingMail): Promise<void>
  close(): void
}

/** A mail as nodemailer takes it. Nothing in it is a file name or a URL to fetch. */
export function mimeOf({ id, from, to, subject, text, html, at }: OutgoingMail): SendMailOptions {
  const sender = parseSender(from)
  return {
    // An object is never read as a list of addresses.
    to: { name: '', address: to },
    from: sender,
    subject,
    text,
    html,
    date: at,
    messageId: `<${id}@${sender.address.slice(sender.address.lastIndexOf('@') + 1)}>`,
    // Out-of-office answers and the like go nowhere (RFC 3834 §5; the other is Exchange's).
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
    xMailer: false,
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}
