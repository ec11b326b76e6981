import type { Request, Response } from 'express'
import { type AppRow, isClientId } from '../domain/apps/apps.ts'
import { findIcon } from '../domain/apps/app-icons.ts'
import { servicesOf } from './context.ts'
import { notFound } from './http-errors.ts'

/** The URL of an app's picture; null when it has none. */
export function iconUrlOf({ clientId, icon }: Pick<AppRow, 'clientId' | 'icon'>): string | null {
  return icon === null ? null : `/app-icons/${encodeURIComponent(clientId)}/${icon}`
}

/**
 * GET /app-icons/:clientId/:hash. The URL names the content, so browsers keep it for a year.
 *
 * An SVG is a document that may contain scripts. As an image it runs none, and opened by itself none either: this CSP lets it
 * load nothing, and gives it an origin of its own.
 */
export async function showAppIcon(req: Request<{ clientId: string; hash: string }>, res: Response): Promise<void> {
  const { clientId, hash } = req.params
  if (!isClientId(clientId) || !/^[\w-]{22}$/.test(hash)) throw notFound()
  const icon = await findIcon(servicesOf(req), clientId, hash)
  if (icon === null) throw notFound()
  res.setHeader(
    'Content-Security-Policy',
    "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'",
  )
  res.setHeader('Cache-Control', 'public, max-age=31536000, immutable')
  res.setHeader('ETag', `"${icon.hash}"`)
  res.type(icon.type).send(Buffer.from(icon.bytes))
}
