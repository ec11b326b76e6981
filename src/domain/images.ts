/** The media types of the pictures that an operator can give: what every browser shows, and no program but SVG. */
export type ImageType = 'image/png' | 'image/jpeg' | 'image/webp' | 'image/svg+xml'

/**
 * The media type of a picture, found in its bytes and nowhere else: the name of a file and the Content-Type header of a server
 * are only claims. Null for anything else.
 */
export function imageTypeOf(bytes: Uint8Array): ImageType | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (buffer.subarray(0, 8).equals(PNG)) return 'image/png'
  if (buffer.subarray(0, 3).equals(JPEG)) return 'image/jpeg'
  if (buffer.toString('latin1', 0, 4) === 'RIFF' && buffer.toString('latin1', 8, 12) === 'WEBP') return 'image/webp'
  return isSvg(buffer) ? 'image/svg+xml' : null
}

const PNG = Buffer.from('89504e470d0a1a0a', 'hex')
const JPEG = Buffer.from('ffd8ff', 'hex')

/**
 * An XML document whose root is `svg` in its namespace. A document type declaration is refused, because its entities can be
 * made to grow without end. What else is in it does not matter: it is served as an image, with a CSP that runs nothing.
 */
function isSvg(buffer: Buffer): boolean {
  let text
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(buffer)
  } catch {
    return false
  }
  const root = /^\s*(?:<\?xml\s[^>]*\?>\s*)?(?:<!--(?:(?!-->)[^])*-->\s*)*<svg(\s[^>]*)>/.exec(text)?.[1]
  return (
    root !== undefined &&
    /\sxmlns\s*=\s*(["'])http:\/\/www\.w3\.org\/2000\/svg\1/.test(root) &&
    !/<!(?:DOCTYPE|ENTITY)/i.test(text)
  )
}
