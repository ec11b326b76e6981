import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import accepts from 'accepts'
import type { RequestHandler } from 'express'

const PUBLIC = join(import.meta.dirname, '../../public')
const A_YEAR = 'public, max-age=31536000, immutable'
/** Cache life for a URL without the content hash, or with an older one. */
const FIVE_MINUTES = 'public, max-age=300'

const SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"

type Encoding = 'br' | 'gzip' | 'identity'

interface Asset {
  hash: string
  /** When the file was last written; 0 where there is none. */
  mtimeMs: number
  /** The file in every content coding that makes it smaller, and as it is. */
  bodies: Map<string, Buffer>
}

/** The static files, read and compressed once. */
export interface Assets {
  /** The URL of a file, with a content hash (cache busting). @throws for a file that does not exist */
  urlOf(name: string): string
  /** Answers GET and HEAD of `/public/:name`; other requests pass. */
  serve: RequestHandler<{ name: string }>
}

/** Static files beside those of the folder, or instead of them: a path, or the content itself. */
export type AddedFiles = Readonly<Record<string, string | Buffer>>

/** @param isLive whether files that change are read again, and then served without compression (development) */
export async function createAssets(isLive: boolean, added: AddedFiles = {}, folder = PUBLIC): Promise<Assets> {
  const sources = new Map<string, string | Buffer>([
    ...readdirSync(folder).map((name) => [name, join(folder, name)] as const),
    ...Object.entries(added),
  ])
  const assets = new Map(
    await Promise.all([...sources].map(async ([name, source]) => [name, await compress(readAsset(source))] as const)),
  )
  const find = (name: string): Asset | undefined => {
    const known = assets.get(name)
    const source = sources.get(name)
    if (!isLive || typeof source !== 'string' || statSync(source).mtimeMs === known?.mtimeMs) return known
    const changed = readAsset(source)
    assets.set(name, changed)
    return changed
  }

  return {
    urlOf(name) {
      const asset = find(name)
      if (asset === undefined) throw new Error(`there is no static file ${name}`)
      return `/public/${name}?v=${asset.hash}`
    },
    serve(req, res, next) {
      const { name } = req.params
      const asset = find(name)
      if (asset === undefined || (req.method !== 'GET' && req.method !== 'HEAD')) return next()
      const encoding = chooseEncoding(accepts(req), asset)
      res.setHeader('Cache-Control', req.query['v'] === asset.hash ? A_YEAR : FIVE_MINUTES)
      res.setHeader('Vary', 'Accept-Encoding')
      // Each representation has its own ETag (RFC 9110 §8.8.3.3); `send` answers 304 to a client that has it.
      res.setHeader('ETag', `"${asset.hash}-${encoding}"`)
      if (encoding !== 'identity') res.setHeader('Content-Encoding', encoding)
      // An SVG is a document when a browser opens it by its URL: it then runs and loads nothing.
      if (extname(name) === '.svg') res.setHeader('Content-Security-Policy', SVG_POLICY)
      res.type(extname(name)).send(asset.bodies.get(encoding))
    },
  }
}

/** Brotli wherever it is accepted, because browsers name gzip first without preferring it. */
function chooseEncoding(accept: ReturnType<typeof accepts>, { bodies }: Asset): Encoding {
  const accepted = accept.encodings(['br']) || accept.encodings(['gzip', 'identity'])
  return accepted !== false && bodies.has(accepted) ? (accepted as Encoding) : 'identity'
}

async function compress(asset: Asset): Promise<Asset> {
  const content = asset.bodies.get('identity') as Buffer
  const smaller = await Promise.all([
    promisify(brotliCompress)(content, { params: { [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT } }),
    promisify(gzip)(content, { level: 9 }),
  ])
  for (const [index, encoding] of ['br', 'gzip'].entries()) {
    const body = smaller[index] as Buffer
    if (body.length < content.length) asset.bodies.set(encoding, body)
  }
  return asset
}

function readAsset(source: string | Buffer): Asset {
  const [content, mtimeMs] = typeof source === 'string' ? [readFileSync(source), statSync(source).mtimeMs] : [source, 0]
  const hash = createHash('sha256').update(content).digest('base64url').slice(0, 12)
  return { hash, mtimeMs, bodies: new Map([['identity', content]]) }
}
