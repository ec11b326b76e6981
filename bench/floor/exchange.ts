import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { applicationTokenClaims } from '../../src/domain/families/application-tokens.ts'
import { hashRefreshToken, mintRefreshToken } from '../../src/domain/families/refresh-tokens.ts'
import { addSeconds, epochSeconds } from '../../src/domain/time.ts'
import { findApp } from '../../src/storage/apps.ts'
import { insertFamily } from '../../src/storage/family-openings.ts'
import { CODE, type CodeRecord } from './authorize.ts'
import { answerJson, clientIdOf, type Floor } from './request.ts'

/** The code is taken once, the family opened in one statement, two tokens signed. */
export async function exchangeCode(
  { services, signer }: Floor,
  req: IncomingMessage,
  res: ServerResponse,
  form: URLSearchParams,
): Promise<void> {
  const { storage, lifetimes, publicUrl } = services
  const code = form.get('code') ?? ''
  const found = (await storage.protocolRecords.find(CODE, code))?.payload as CodeRecord | undefined
  const challenge = createHash('sha256')
    .update(form.get('code_verifier') ?? '')
    .digest('base64url')
  const isTheirs = found?.challenge === challenge && found.clientId === clientIdOf(req)
  const app = isTheirs ? await findApp(storage, found.clientId) : null
  if (!isTheirs || app === null || !(await storage.protocolRecords.consume(CODE, code)))
    return answerJson(res, 400, '{"error":"invalid_grant"}')

  const { familyId, clientId, identityId, identitySessionId, nonce, scope, authTime } = found
  const now = services.clock()
  const refreshToken = mintRefreshToken(familyId, services.secrets)
  await insertFamily(
    storage.pool,
    {
      id: familyId,
      clientId,
      identityId,
      identitySessionId,
      scope,
      authTime,
      currentHash: hashRefreshToken(refreshToken),
      claims: null,
      sid: null,
      acr: null,
      amr: ['pwd'],
      jkt: null,
      x5t: null,
      resources: null,
      lifetime: 'browser',
      claimsVersion: 0,
      openedSilently: false,
      defaultTokenSeconds: lifetimes.applicationToken,
      idleExpiresAt: addSeconds(now, lifetimes.familyIdle),
      expiresAt: addSeconds(now, lifetimes.familyMax),
    },
    now,
  )

  const { audience } = app
  const claims = applicationTokenClaims(
    services,
    {
      identityId,
      clientId,
      familyId,
      audience,
      scope,
      roles: [],
      own: { audience, appRoles: null, groups: null, wantedClaims: null },
      sectorUri: null,
      claimsVersion: 0,
      authTime: epochSeconds(now),
      acr: 'aal1',
      amr: ['pwd'],
      jkt: null,
    },
    app.applicationTokenTtl,
  )
  answerJson(
    res,
    200,
    JSON.stringify({
      access_token: signer.applicationToken(claims),
      expires_in: claims.exp - claims.iat,
      id_token: await signer.idToken({
        sub: identityId,
        nonce,
        aud: clientId,
        exp: claims.iat + 600,
        iat: claims.iat,
        iss: publicUrl,
      }),
      refresh_token: refreshToken,
      scope,
      token_type: 'Bearer',
    }),
  )
}
