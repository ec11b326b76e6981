import { readFileSync, statSync } from 'node:fs'
import { type ImageType, imageTypeOf } from './image-types.ts'

export interface Logo {
  type: ImageType
  bytes: Buffer
}

const LARGEST_LOGO = 256 * 1024
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

function readSmallFile(path: string): Buffer {
  try {
    const isSmall = statSync(path).size <= LARGEST_LOGO
    const bytes = isSmall ? readFileSync(path) : null
    if (bytes !== null) return bytes
  } catch (error) {
    throw new Error('the file cannot be read', { cause: error })
  }
  throw new Error('the file is larger than 256 kB')
}
