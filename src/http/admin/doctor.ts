import type { Request, Response } from 'express'
import { OPERATIONS } from '../../administration/operations.ts'
import { FINDINGS, type Severity } from '../../domain/findings.ts'
import type { MessageKey } from '../../i18n/messages.ts'
import { textsOf } from '../context.ts'
import { act } from './act.ts'
import { renderAdmin } from './admin-page.ts'

const SEVERITIES = {
  error: 'admin.doctor.severities.error',
  warning: 'admin.doctor.severities.warning',
  hint: 'admin.doctor.severities.hint',
} as const satisfies Record<Severity, MessageKey>

/** GET /admin/doctor: what `gatehouse doctor` finds. */
export async function showFindings(req: Request, res: Response): Promise<void> {
  const { findings, hints, checked } = await act(req, OPERATIONS.listFindings)
  const texts = textsOf(req)
  await renderAdmin(
    req,
    res,
    'admin/doctor/show',
    { title: texts.t('admin.doctor.title'), section: 'overview' },
    {
      checked: checked.join(', '),
      findings: [...findings, ...hints].map(({ code, severity, sentence, change }) => ({
        sentence,
        change,
        // Some can only say the same.
        about: FINDINGS[code].about === sentence ? null : FINDINGS[code].about,
        severity,
        severityWords: texts.t(SEVERITIES[severity]),
      })),
    },
  )
}
