import { codeExchange } from './code-exchange.ts'
import { dashboard1, dashboard100 } from './dashboard.ts'
import { introspection, userinfo } from './lookup.ts'
import { discovery, jwks } from './published.ts'
import { refresh } from './refresh.ts'
import type { Scenario } from './scenario.ts'
import { clientCredentials, tokenExchange } from './services.ts'
import { signIn } from './sign-in.ts'
import { silentRedirect } from './silent-redirect.ts'

/** In the order they are reported in. */
export const SCENARIOS: Scenario[] = [
  refresh,
  codeExchange,
  clientCredentials,
  tokenExchange,
  silentRedirect,
  signIn,
  introspection,
  userinfo,
  jwks,
  discovery,
  dashboard1,
  dashboard100,
]
