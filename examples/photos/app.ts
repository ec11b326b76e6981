import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import express from 'express'
import { excerptPages } from '../source/excerpt-pages.ts'
import { linkTo, placeOf } from '../source/excerpts.ts'
import { settings } from './settings.ts'
import { source } from './source.ts'

const browserFolder = fileURLToPath(new URL('browser', import.meta.url))

// An import map must be inline; its hash allows this one inline script in the CSP, and no other.
const importMap = /<script type="importmap">([^]*?)<\/script>/.exec(readFileSync(`${browserFolder}/index.html`, 'utf8'))
const importMapHash = createHash('sha256')
  .update(importMap?.[1] ?? '')
  .digest('base64')

const contentSecurityPolicy = [
  `default-src 'none'`,
  `script-src 'self' 'sha256-${importMapHash}'`,
  `connect-src 'self' ${settings.issuer.origin}`,
  `style-src 'self'`,
  `img-src 'self'`,
  `base-uri 'none'`,
  `form-action 'none'`,
  `frame-ancestors 'none'`,
  `require-trusted-types-for 'script'`,
].join('; ')

/** Serves static files only: everything else happens in the browser. */
export const app = express()

app.disable('x-powered-by')
app.use((_req, res, next) => {
  res.set({
    'Cache-Control': 'no-cache',
    'Content-Security-Policy': contentSecurityPolicy,
    // The code arrives in the URL; Referrer-Policy keeps it from other servers.
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
  })
  next()
})

app.get('/config.json', (_req, res) => void res.json({ issuer: settings.issuer.href, client_id: settings.appId }))
app.get('/source.json', (_req, res) => {
  res.json(source.map((each) => ({ does: each.does, place: placeOf(each), href: linkTo(each) })))
})
app.use(excerptPages(source))
app.use(express.static(browserFolder))

// The libraries as npm installed them, found as openid-client finds them; index.html maps their names to these URLs.
const openidClient = createRequire(import.meta.url).resolve('openid-client')
app.use('/vendor/openid-client', express.static(dirname(openidClient)))
for (const name of ['oauth4webapi', 'jose']) {
  app.use(`/vendor/${name}`, express.static(dirname(createRequire(openidClient).resolve(name))))
}
