import type { SendMailOptions } from 'nodemailer'
import { type Composition, LOGO_ID } from './composition.ts'
import { parseSender } from './sender.ts'

/** A composed mail with its recipient. */
export interface OutgoingMail extends Composition {
  /** Every retry has the same. */
  id: string
  from: string
  to: string
  subject: string
  at: Date
}

/** A transport of mails: SMTP, or the mail preview folder. */
export interface Carrier {
  carry(mail: OutgoingMail): Promise<void>
  close(): void
}

/** A mail as nodemailer takes it. Nothing in it is a file name or a URL to fetch. */
export function mimeOf({ id, from, to, subject, language, text, html, logo, at }: OutgoingMail): SendMailOptions {
  const sender = parseSender(from)
  return {
    // An object is never read as a list of addresses.
    to: { name: '', address: to },
    from: sender,
    subject,
    text,
    html,
    ...(logo && {
      attachments: [
        { cid: LOGO_ID, content: logo, contentType: 'image/png', contentDisposition: 'inline', filename: false },
      ],
    }),
    date: at,
    messageId: `<${id}@${sender.address.slice(sender.address.lastIndexOf('@') + 1)}>`,
    // Out-of-office answers and the like go nowhere (RFC 3834 §5; the other is Exchange's).
    headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All', 'Content-Language': language },
    xMailer: false,
    disableFileAccess: true,
    disableUrlAccess: true,
  }
}
