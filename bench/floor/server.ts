import { createServer } from 'node:http'
import { openServices } from '../../src/main/services.ts'
import { readConfig } from '../../src/config.ts'
import { createLogger } from '../../src/logger.ts'
import { OPERATOR_TIMEOUT_MS } from '../../src/storage/postgres.ts'
import { authorize } from './authorize.ts'
import { showDashboard } from './dashboard.ts'
import { exchangeCode } from './exchange.ts'
import { introspect, userinfo } from './lookup.ts'
import { refresh } from './refresh.ts'
import { answerJson, type Floor, readForm } from './request.ts'
import { exchangeToken, issueToService } from './services.ts'
import { signIn } from './sign-in.ts'
import { createSigner } from './tokens.ts'

// A yardstick, not a server: it trusts every client, and does only what no implementation of these answers can omit.
const config = readConfig()
// It cannot answer 503, so it waits where the portal would not.
const services = await openServices(config, createLogger('silent'), undefined, OPERATOR_TIMEOUT_MS)
const floor: Floor = { services, signer: createSigner(services) }
const jwks = JSON.stringify({
  keys: services.keys.published().map(({ kid, alg, publicKey }) => ({
    ...publicKey.export({ format: 'jwk' }),
    kid,
    alg,
    use: 'sig',
  })),
})
const metadata = JSON.stringify({ issuer: config.publicUrl, jwks_uri: `${config.publicUrl}/oauth/jwks` })

createServer({ keepAliveTimeout: 65_000 }, (req, res) => {
  const url = req.url ?? ''
  const queryStart = url.indexOf('?')
  const answered = (() => {
    switch (queryStart === -1 ? url : url.slice(0, queryStart)) {
      case '/oauth/jwks':
        return answerJson(res, 200, jwks)
      case '/.well-known/openid-configuration':
        return answerJson(res, 200, metadata)
      case '/oauth/token':
        return readForm(req).then((form) => {
          switch (form.get('grant_type')) {
            case 'refresh_token':
              return refresh(floor, req, res, form)
            case 'client_credentials':
              return issueToService(floor, req, res)
            case 'urn:ietf:params:oauth:grant-type:token-exchange':
              return exchangeToken(floor, req, res, form)
            default:
              return exchangeCode(floor, req, res, form)
          }
        })
      case '/oauth/authorize':
        return authorize(floor, req, res, new URLSearchParams(url.slice(queryStart + 1)))
      case '/oauth/introspect':
        return readForm(req).then((form) => introspect(floor, res, form.get('token') ?? ''))
      case '/oauth/userinfo':
        return userinfo(floor, res, (req.headers.authorization ?? '').slice('Bearer '.length))
      case '/login':
        return readForm(req).then((form) => signIn(floor, req, res, form))
      case '/dashboard':
        return showDashboard(floor, req, res)
      default:
        return answerJson(res, 404, '{}')
    }
  })()
  answered?.catch((error: unknown) => {
    console.error(error)
    res.writeHead(500).end()
  })
}).listen(config.port, config.host)
process.once('SIGTERM', () => process.exit(0))
