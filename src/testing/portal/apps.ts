import { type AppSettings, DEFAULT_SETTINGS } from '../../domain/apps/app-settings.ts'

/** A confidential app. */
export const notesApp: AppSettings = {
  ...DEFAULT_SETTINGS,
  name: 'Notes',
  isPublic: false,
  authMethod: 'client_secret_basic',
  redirectUris: ['https://notes.example.test/callback'],
  postLogoutRedirectUris: ['https://notes.example.test/'],
  audience: 'notes',
}

/** A public client in the browser. */
export const photosApp: AppSettings = {
  ...DEFAULT_SETTINGS,
  name: 'Photos',
  isPublic: true,
  authMethod: 'none',
  redirectUris: ['https://photos.example.test/'],
  audience: 'https://photos.example.test/api',
}

/** A native app. */
export const deskApp: AppSettings = {
  ...DEFAULT_SETTINGS,
  name: 'Desk',
  isPublic: true,
  authMethod: 'none',
  isNative: true,
  redirectUris: ['http://127.0.0.1/callback', 'com.example.desk:/callback'],
  audience: 'desk',
}

/** A service. */
export const robotService: AppSettings = {
  ...DEFAULT_SETTINGS,
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
  ...DEFAULT_SETTINGS,
  name: 'Television',
  isPublic: true,
  authMethod: 'none',
  isDevice: true,
  redirectUris: [],
  audience: 'https://television.example.test/api',
}
