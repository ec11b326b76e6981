import type { Request, Response } from 'express'
import { signedInOf } from '../context.ts'
import { noticeOf } from '../notices.ts'
import { render } from '../render.ts'

/** GET /settings */
export async function showSettings(req: Request, res: Response): Promise<void> {
  const { username, email, emailVerified } = signedInOf(req)
  await render(
    req,
    res,
    'settings/show',
    { title: 'Settings', nav: 'settings', notice: noticeOf(req) },
    { username, email, emailVerified },
  )
}
