import type { Request, Response } from 'express'
import { signedInOf, textsOf } from './context.ts'
import { render } from './page.ts'

/** What the page leads to. */
interface NoAccess {
  appName: string
  /** Where the user signs in with another account; null where that cannot help. */
  otherHref: string | null
  /** The form that goes back to the app or the device, without access. */
  cancelAction: string
}

/** The page for a user who may not enter an app. */
export async function showNoAccess(req: Request, res: Response, page: NoAccess): Promise<void> {
  res.status(403)
  const title = textsOf(req).t('no_access.title', { app: page.appName })
  await render(
    req,
    res,
    'interactions/no-access',
    { title, narrow: true },
    { ...page, username: signedInOf(req).username },
  )
}
