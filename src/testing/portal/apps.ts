import { type AppSettings, OPENID_SCOPES } from '../../domain/apps/apps.ts'

const plain: Omit<AppSettings, 'name' | 'isPublic' | 'redirectUris' | 'audience'> = {
  isNative: false,
  postLogoutRedirectUris: [],
  scope: OPENID_SCOPES.join(' '),
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
}

/** A confidential app. */
export const notesApp: AppSettings = {
  ...plain,
  name: 'Notes',
  isPublic: false,
  redirectUris: ['https://notes.example.test/callback'],
  postLogoutRedirectUris: ['https://notes.example.test/'],
  audience: 'notes',
}

/** A public client in the browser. */
export const photosApp: AppSettings = {
  ...plain,
  name: 'Photos',
  isPublic: true,
  redirectUris: ['https://photos.example.test/'],
  audience: 'https://photos.example.test/api',
}

/** A native app. */
export const deskApp: AppSettings = {
  ...plain,
  name: 'Desk',
  isPublic: true,
  isNative: true,
  redirectUris: ['http://127.0.0.1/callback', 'com.example.desk:/callback'],
  audience: 'desk',
}
