import type { Request, Response } from 'express'
import { servicesOf, signedInOf, textsOf } from './context.ts'
import { render } from './page.ts'
import { appNameOf } from './return-to.ts'

/** The only time the codes are shown. */
export async function showRecoveryCodes(
  req: Request,
  res: Response,
  codes: string[],
  returnTo: string | null,
): Promise<void> {
  const { host } = new URL(servicesOf(req).publicUrl)
  await render(
    req,
    res,
    'recovery-codes/show',
    // No language switch: it would lead away from codes that are not shown again.
    { title: textsOf(req).t('recovery_codes.title'), narrow: true, path: null },
    { codes, host, username: signedInOf(req).username, returnTo, appName: await appNameOf(req, returnTo) },
  )
}
