import { createHash } from 'node:crypto'
import { type AppIconRow, findAppIcon as findRow } from '../../storage/app-icons.ts'
import { imageTypeOf } from '../../config.ts'
import type { Services } from '../services.ts'
import { AppRefused } from './app-refused.ts'

/** The picture of an app. The portal stores it, because its pages load nothing from other servers. */
export type Icon = AppIconRow

/** The largest picture (bytes). */
export const LARGEST_ICON = 256 * 1024

/** Checks a picture by its content. @throws AppRefused */
export function readIcon(bytes: Uint8Array<ArrayBuffer>): Icon {
  if (bytes.length > LARGEST_ICON) throw new AppRefused('an icon has at most 256 kB')
  const type = imageTypeOf(bytes)
  if (type === null) throw new AppRefused('an icon is a PNG, JPEG, WebP or SVG picture')
  return { type, bytes, hash: createHash('sha256').update(bytes).digest('base64url').slice(0, 22) }
}

/** The picture that a URL names by its hash. Null when the app has another one by now, or none. */
export async function findIcon({ storage }: Services, clientId: string, hash: string): Promise<Icon | null> {
  return findRow(storage, clientId, hash)
}
