import { isUtf8 } from 'node:buffer'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { type ImageType, imageTypeOf } from './image-types.ts'

export interface Logo {
  type: ImageType
  bytes: Buffer
}

/** In bytes. */
const LARGEST_FILE = 256 * 1024
const TYPES = new Set<ImageType | null>(['image/svg+xml', 'image/png', 'image/webp'])

/** Reads a logo and checks it by its content. @throws Error whose message is what is wrong with the file */
export function readLogo(path: string): Logo {
  const bytes = readSmallFile(path)
  const type = imageTypeOf(bytes)
  if (type === null || !TYPES.has(type))
    throw new Error(
      'the file is not an image of type SVG (with xmlns="http://www.w3.org/2000/svg" and without a document type declaration), PNG or WebP',
    )
  return { type, bytes }
}

/** Checks that a style sheet can be served. @throws Error whose message is what is wrong with the file */
export function checkStyle(path: string): void {
  const bytes = readSmallFile(path)
  if (!isUtf8(bytes) || bytes.includes(0)) throw new Error('the file is not a text in UTF-8')
}

/** Checks that a folder of views can be read. @throws Error whose message is what is wrong with it */
export function checkViews(path: string): void {
  try {
    readdirSync(path)
  } catch (error) {
    throw new Error('the folder cannot be read', { cause: error })
  }
}

function readSmallFile(path: string): Buffer {
  try {
    const isSmall = statSync(path).size <= LARGEST_FILE
    const bytes = isSmall ? readFileSync(path) : null
    if (bytes !== null) return bytes
  } catch (error) {
    throw new Error('the file cannot be read', { cause: error })
  }
  throw new Error('the file is larger than 256 kB')
}
