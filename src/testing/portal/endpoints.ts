import type { RequestHandler } from 'express'
import { ROUTES as SIMPLE_ROUTES } from '../../api/auth/routes.ts'
import { createRoutes } from '../../http/routes.ts'
import { ROUTES } from '../../oidc/configuration.ts'
import { REVOCATION_FEED } from '../../oidc/revocation-feed.ts'

export interface Endpoint {
  method: string
  /** Parameters are written as `:name`. */
  path: string
}

const MACHINE_ENDPOINTS: Endpoint[] = [
  { method: 'POST', path: ROUTES.token },
  { method: 'POST', path: ROUTES.introspection },
  { method: 'POST', path: ROUTES.revocation },
  { method: 'POST', path: ROUTES.pushed_authorization_request },
  { method: 'POST', path: ROUTES.authorization_challenge },
  { method: 'POST', path: ROUTES.userinfo },
  { method: 'GET', path: ROUTES.userinfo },
  { method: 'GET', path: ROUTES.jwks },
  { method: 'GET', path: REVOCATION_FEED },
  { method: 'GET', path: '/.well-known/openid-configuration' },
  { method: 'GET', path: '/.well-known/oauth-authorization-server' },
  ...Object.keys(SIMPLE_ROUTES).map((path) => ({ method: 'POST', path: `/api/auth${path}` })),
  { method: 'GET', path: '/api/auth/public-key' },
  { method: 'GET', path: '/api/auth/openapi.json' },
  { method: 'GET', path: '/healthz' },
  { method: 'GET', path: '/readyz' },
]

/** Every endpoint of the portal; those of pages come from the table of routes itself, so none is missing. */
export function listEndpoints(): Endpoint[] {
  const pass: RequestHandler = (_req, _res, next) => next()
  const pages = createRoutes(pass, pass, pass, pass).stack.flatMap(({ route }) => {
    if (route === undefined) return []
    const methods = route.stack.map(({ method }: { method?: string }) => method?.toUpperCase())
    // Routes for any method take these.
    const named = methods.includes(undefined) ? ['GET', 'POST'] : new Set(methods)
    return [route.path].flat().flatMap((path) => [...named].map((method) => ({ method: method as string, path })))
  })
  return [...MACHINE_ENDPOINTS, ...pages]
}
