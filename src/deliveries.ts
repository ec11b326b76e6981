import type { Config } from './config.ts'
import { deliverMail } from './domain/mail-delivery.ts'
import type { Mail } from './domain/mail.ts'
import type { Portal } from './domain/portal.ts'
import type { Logger } from './logger.ts'
import { MailRefused } from './mail/mail-refused.ts'
import { createMailer } from './mail/mailer.ts'

/**
 * Sends what is queued, as long as the portal's stores are open; the queue tries again what failed.
 * @returns what lets the mail server go, to be called once the stores are closed
 */
export async function startDeliveries(portal: Portal, config: Config, logger: Logger): Promise<() => void> {
  const { smtpUrl, mailFrom: from, outbox } = config
  if (smtpUrl === null && outbox === null) logger.warn('SMTP_URL is not set, so no mail is sent')
  const mailer = createMailer({ smtpUrl, from, outbox, clock: portal.clock })

  await portal.storage.jobs.work('mail', async (payload, id) => {
    const mail = payload as Mail
    try {
      await deliverMail(portal, mailer, mail, id)
    } catch (error) {
      logger.warn({ mail: id, kind: mail.kind, refusal: (error as Error).message }, 'a mail was not sent')
      // Whoever it is for cannot be reached by it, and trying again does not help.
      if (!(error instanceof MailRefused)) throw error
    }
  })
  return () => mailer.close()
}
