import { isLoopback } from '../config.ts'
import { type Finding, finding } from '../domain/findings.ts'
import { checkSmtp } from '../mail/smtp.ts'
import { maskedUrl } from './masked-url.ts'
import type { Patient } from './patient.ts'

const TIMEOUT_MS = 5000

/** Whether the mail server takes our login, over TLS. */
export async function examineMail({ config: { smtpUrl } }: Patient): Promise<Finding[]> {
  if (smtpUrl === null) return []
  const { hostname, port, username, password } = new URL(smtpUrl)
  const at = `${hostname}${port === '' ? '' : `:${port}`}`
  const line = `SMTP_URL=${maskedUrl(smtpUrl)}`
  const answer = await checkSmtp(smtpUrl, TIMEOUT_MS)
  switch (answer.kind) {
    case 'ready':
      return []
    case 'unreachable':
      return [finding('smtp_unreachable', `The mail server ${at} does not answer (${answer.problem}).`, line)]
    case 'login-refused':
      return [
        finding(
          'smtp_login',
          `The mail server ${at} refuses the login of ${decodeURIComponent(username)} (${answer.problem}).`,
          line,
        ),
      ]
    case 'certificate':
      return [
        finding(
          'smtp_certificate',
          `The certificate of the mail server ${at} is not trusted (${answer.problem}).`,
          answer.problem.includes('ALTNAME') ? line : 'NODE_EXTRA_CA_CERTS=/etc/ssl/private-ca.pem',
        ),
      ]
    case 'no-tls':
      // On this machine nothing is on the way. A password is sent over TLS alone, so no mail leaves with one.
      if (isLoopback(hostname) && password === '') return []
      return [
        finding(
          'smtp_unencrypted',
          `The mail server ${at} offers no TLS${password === '' ? '' : ', without which the portal sends no password'}.`,
          `SMTP_URL=${maskedUrl(smtpUrl).replace(/^smtp:/, 'smtps:')}`,
          password === '' ? 'warning' : 'error',
        ),
      ]
  }
}
