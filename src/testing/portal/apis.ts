import type { ApiSettings } from '../../domain/apps/apis.ts'

/** An API that reads and writes contacts, with application tokens as those of apps. */
export const contactsApi: ApiSettings = {
  name: 'Contacts',
  scopes: ['contacts:read', 'contacts:write'],
  tokenTtl: null,
  signingAlg: 'ES256',
  authMethod: 'client_secret_basic',
  jwks: null,
  jwksUri: null,
}

/** Another API. */
export const calendarApi: ApiSettings = {
  ...contactsApi,
  name: 'Calendar',
  scopes: ['calendar:read', 'calendar:share'],
}

/** A third API. */
export const mailApi: ApiSettings = {
  ...contactsApi,
  name: 'Mail',
  scopes: ['mail:read', 'mail:send'],
}
