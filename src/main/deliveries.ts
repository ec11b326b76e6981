import type { Config } from '../config.ts'
import { keepFailedMail } from '../domain/accounts/failed-mails.ts'
import { deliverMail } from '../domain/accounts/mail-delivery.ts'
import { readMailJob } from '../domain/mail-jobs.ts'
import { deliverNotification, type SendNotification } from '../backchannel/delivery.ts'
import type { NotificationJob } from '../domain/endings/notifications.ts'
import type { Services } from '../domain/services.ts'
import type { Logger } from '../logger.ts'
import { MailRefused } from '../mail/mail-refused.ts'
import { MAIL_RETRIES } from '../storage/jobs.ts'
import { createMailer } from '../mail/mailer.ts'
import { createBackChannelClient } from '../backchannel/http-client.ts'
import { requestOf } from '../backchannel/requests.ts'

/**
 * Mails go one after the other, because a newer link replaces an older one. Apps are notified in parallel, because none waits
 * for another.
 */
const MAILS = { everyMs: 500, atOnce: 1 }
const NOTICES = { everyMs: 500, atOnce: 100 }
const LATE_NOTICES = { everyMs: 2000, atOnce: 100 }

/**
 * Delivers from the transactional outbox, as long as the stores are open: queued mails and back-channel notifications. The
 * queue retries what failed.
 * @returns closes the mail server and app connections; call it once the stores are closed
 */
export async function startDeliveries(services: Services, config: Config, logger: Logger): Promise<() => void> {
  const stopMails = await startMails(services, config, logger)
  const stopNotices = await startNotices(services, config, logger)
  return () => {
    stopMails()
    stopNotices()
  }
}

async function startMails(services: Services, config: Config, logger: Logger): Promise<() => void> {
  const { smtpUrl, mailFrom: from, mailFolder } = config
  if (smtpUrl === null && mailFolder === null) logger.warn('SMTP_URL is not set, so no mail is sent')
  const mailer = createMailer({ smtpUrl, from, previewFolder: mailFolder, clock: services.clock })

  await services.storage.jobs.work('mail', MAILS, async (payload, id, tries) => {
    const mail = readMailJob(payload)
    try {
      await deliverMail(services, mailer, mail, id)
      services.metrics.mails.add(['sent'])
      return 'done'
    } catch (error) {
      services.metrics.mails.add(['failed'])
      logger.warn({ mail: id, kind: mail.kind, refusal: (error as Error).message }, 'a mail was not sent')
      // A recipient that the mail server refuses will not accept a retry either, and who tries out the server wants to know.
      const isOver = error instanceof MailRefused || tries >= MAIL_RETRIES || mail.kind === 'test'
      if (!isOver) return 'again'
      await keepFailedMail(services, id, mail, (error as Error).message)
      services.metrics.mails.add(['given_up'])
      return 'done'
    }
  })
  return () => mailer.close()
}

async function startNotices(services: Services, config: Config, logger: Logger): Promise<() => void> {
  const channel = createBackChannelClient(config)
  const send: SendNotification = async (notice, app) => {
    try {
      const request = await requestOf(services, notice, app)
      return request && (await channel.post(request.uri, request, request.accepted))
    } catch (error) {
      logger.error({ notice: notice.id, error }, 'a back-channel notification could not be made')
      return { kind: 'refused', problem: 'was not asked, because the notification could not be made' }
    }
  }
  const deliver = (isAside: boolean) => async (payload: unknown) => {
    const delivery = await deliverNotification(services, send, payload as NotificationJob, isAside)
    if (delivery.kind === 'done') return 'done'
    const { kind, problem } = delivery
    const { id, clientId: app, kind: about, familyId: family } = delivery.notice
    logger.warn({ notice: id, about, app, family, problem, next: kind }, 'a back-channel notification failed')
    return kind === 'waiting' ? 'again' : 'done'
  }

  const { jobs } = services.storage
  await jobs.work('notices', NOTICES, deliver(false))
  await jobs.work('late-notices', LATE_NOTICES, deliver(true))
  return () => channel.close()
}
