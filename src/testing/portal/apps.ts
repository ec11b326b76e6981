import { type AppSettings, DEFAULT_SCOPES } from '../../domain/apps/apps.ts'

const plain: Omit<AppSettings, 'name' | 'isPublic' | 'authMethod' | 'redirectUris' | 'audience'> = {
  isNative: false,
  postLogoutRedirectUris: [],
  scope: DEFAULT_SCOPES.join(' '),
  allowNoPkce: false,
  idTokenAlg: 'RS256',
  refreshIdToken: false,
  allowOffline: false,
  applicationTokenTtl: null,
  familyIdle: null,
  familyMax: null,
  rotationGrace: null,
  rotationGraceProven: null,
  backchannelLogoutUri: null,
  eventReceiverUri: null,
  familyLifetime: null,
  familyRenewal: null,
  homeUri: null,
  description: null,
  colour: null,
  firstTimeNotice: false,
  isService: false,
  isDevice: false,
  isThirdParty: false,
  jwks: null,
  jwksUri: null,
  tlsSubjectDn: null,
  securityProfile: null,
  requirePar: false,
  requireSignedRequest: false,
  requireDpop: false,
  bindCertificate: false,
  idTokenClaims: [],
  applicationTokenClaims: [],
  attributeClaims: {},
  isPairwise: false,
}

/** A confidential app. */
export const notesApp: AppSettings = {
  ...plain,
  name: 'Notes',
  isPublic: false,
  authMethod: 'client_secret_basic',
  redirectUris: ['https://notes.example.test/callback'],
  postLogoutRedirectUris: ['https://notes.example.test/'],
  audience: 'notes',
}

/** A public client in the browser. */
export const photosApp: AppSettings = {
  ...plain,
  name: 'Photos',
  isPublic: true,
  authMethod: 'none',
  redirectUris: ['https://photos.example.test/'],
  audience: 'https://photos.example.test/api',
}

/** A native app. */
export const deskApp: AppSettings = {
  ...plain,
  name: 'Desk',
  isPublic: true,
  authMethod: 'none',
  isNative: true,
  redirectUris: ['http://127.0.0.1/callback', 'com.example.desk:/callback'],
  audience: 'desk',
}

/** A service. */
export const robotService: AppSettings = {
  ...plain,
  name: 'Robot',
  isPublic: false,
  isService: true,
  authMethod: 'client_secret_basic',
  redirectUris: [],
  scope: '',
  audience: 'https://robot.example.test/',
}

/** An app on televisions: it has no browser of its own. */
export const televisionApp: AppSettings = {
  ...plain,
  name: 'Television',
  isPublic: true,
  authMethod: 'none',
  isDevice: true,
  redirectUris: [],
  audience: 'https://television.example.test/api',
}
