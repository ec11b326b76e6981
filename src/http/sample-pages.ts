import { type Message, message } from '../i18n/messages.ts'
import type { Texts } from '../i18n/texts.ts'
import { ERROR_SECTIONS } from './error-reference.ts'
import { PROFILE_FIELDS } from '../domain/identities/profiles.ts'
import { willSee } from '../domain/apps/seen-by.ts'
import { ADMIN_SAMPLES } from './admin/sample-pages.ts'
import type { SamplePage } from './sample-page.ts'
import type { Page } from './templates.ts'

/** A sample in one language: its messages become words, and its moments times in words. */
export function sayIn(texts: Texts, { page, locals }: SamplePage): { page: Page; locals: object } {
  return inWords({ page, locals }) as { page: Page; locals: object }

  function inWords(part: unknown): unknown {
    if (part instanceof Date) return texts.time(part, NOW)
    if (Array.isArray(part)) return part.map(inWords)
    if (typeof part !== 'object' || part === null) return part
    if ('key' in part && typeof part.key === 'string' && part.key.includes('.')) return texts.say(part as Message)
    return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, inWords(value)]))
  }
}

const NOW = new Date('2026-03-04T12:05:00Z')
const ago = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000)

const NAME = 'ada'
/** As a user who has said nothing. */
const EMPTY_PROFILE = Object.fromEntries(PROFILE_FIELDS.map((name) => [name, '']))
const LONG_NAME = 'maximiliane-theodora-von-und-zu-hohenstein-w'
const EMAIL = 'ada@example.com'
const LONG_EMAIL = 'maximiliane.theodora.von.und.zu.hohenstein@department-of-accounts.example.com'
const LONG_APP = 'Customer Relationship Management for the Northern and Southern Branches'
const CHROME = 'Chrome on Windows'
const PLACE = '192.0.2.7'
const IPV6 = '2001:db8:85a3:1234:5678:8a2e:370:7334'
const REFERENCE = 'k3v9x2a7bq'
const FAMILY_ID = '0198c1f2-6d3a-7c41-9a55-2f1d0c6b7e90'
const KEY = 'JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP'
const IMAGE = 'data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7'
const OPTIONS = JSON.stringify({ challenge: 'bm90aGluZw', allowCredentials: [], rpId: 'localhost' })
const WAIT = {
  title: message('wait.title'),
  sentence: message('wait.sentence'),
  advice: message('wait.seconds', { count: 12 }),
}
const STRENGTH = {
  score: 1,
  advice: [message('password.advice.another_word'), message('password.warning.common_names')],
}
const WRONG_PASSWORDS = {
  password: message('password.too_short', { minimum: 12 }),
  password_confirmation: message('password.not_the_same'),
}
const RECEIPT = { state: 'confirmed', sentence: message('delivery.confirmed', { app: 'Notes', time: NOW }) }

const PROVIDERS = [
  { name: 'Google', action: '/login/with/google' },
  { name: LONG_APP, action: '/login/with/entra' },
]
const LINKED = { created: ago(9000), lastUsed: ago(30), isOffered: true, action: '/settings/linked-accounts/x/removal' }
const NO_PROVIDERS = { first: null, others: [] }

const LANGUAGES = [{ language: 'en', name: 'English' }]
const RECEIPT_WAY = message('delivery.logout_confirmed', { time: NOW })
const WHY = message('end_causes.sentence', {
  why: message('end_causes.with_client', { why: message('end_causes.disconnected'), client: CHROME }),
})

const family = (change: object = {}) => ({
  id: FAMILY_ID,
  browser: CHROME,
  here: false,
  address: IPV6,
  lastUsed: ago(3),
  why: WHY,
  ended: ago(2),
  receipt: RECEIPT,
  ...change,
})
const app = ({
  living = [family({ here: true })],
  ...change
}: { living?: object[]; [name: string]: unknown } = {}) => ({
  clientId: 'notes',
  name: 'Notes',
  homeUri: 'https://notes.example.com/',
  description: 'Write something down, and find it again',
  iconUrl: IMAGE,
  living,
  first: living.slice(0, 3),
  rest: living.slice(3),
  ended: [],
  endedMore: 0,
  endedCount: 0,
  access: null,
  ...change,
})
const closedApp = (change: object = {}) => ({
  clientId: 'photos',
  name: 'Photos',
  homeUri: 'https://photos.example.com/',
  description: null,
  iconUrl: null,
  ...change,
})
const factor = (change: object = {}) => ({
  kind: 'totp',
  kindInWords: 'Authenticator app',
  name: 'My phone',
  created: ago(9000),
  lastUsed: ago(30),
  href: '/settings/second-factors/totp/1',
  ...change,
})
const browser = (change: object = {}) => ({
  id: FAMILY_ID,
  href: `/sessions/${FAMILY_ID}`,
  name: CHROME,
  kind: 'desktop',
  place: IPV6,
  lastSeen: ago(3),
  newSince: null,
  isSignedIn: true,
  isHere: false,
  ...change,
})

/** The states of a view: what all have in common, then what is special about each. */
function states(
  view: string,
  page: SamplePage['page'],
  common: object,
  special: Record<string, object> = {},
): SamplePage[] {
  const all = Object.entries({ usual: {}, ...special })
  return all.map(([state, change]) => ({ view, state, page, locals: { formId: FAMILY_ID, ...common, ...change } }))
}

const card = (title: string | Message): SamplePage['page'] => ({ title, narrow: true })
/** A card for a user who is signed in. */
const ownCard = (title: string | Message): SamplePage['page'] => ({ ...card(title), username: LONG_NAME })
const signedIn = (title: string | Message, nav?: Page['nav']): SamplePage['page'] => ({
  title,
  username: LONG_NAME,
  ...(nav === undefined ? {} : { nav }),
})

/** Every view in every state, for the gallery of development. */
export const SAMPLE_PAGES: SamplePage[] = [
  ...states(
    'sessions/new',
    card(message('sign_in.title')),
    {
      appName: null,
      wait: null,
      reason: null,
      problems: {},
      problem: null,
      returnTo: null,
      login: '',
      passkeyOptions: OPTIONS,
      mailHref: null,
      passkeySignals: null,
      cancelAction: null,
      registerHref: '/register',
      notice: null,
      providers: NO_PROVIDERS,
      forgottenHref: '/forgot-password',
    },
    {
      'registration is not open': { registerHref: null },
      'other providers': { providers: { first: null, others: PROVIDERS } },
      'the provider of a domain': {
        login: LONG_EMAIL,
        providers: { first: PROVIDERS[1], others: [PROVIDERS[0]] },
        problem: message('sign_in.wrong'),
      },
      'a provider is down': {
        notice: message('upstream.unavailable', { provider: 'Google' }),
        providers: { first: null, others: PROVIDERS },
      },
      'to connect an account': {
        login: LONG_EMAIL,
        reason: message('connection.why', { why: 'known_address', provider: LONG_APP }),
        returnTo: '/login/connection',
      },
      'on the way to an app': {
        appName: LONG_APP,
        returnTo: '/dashboard',
        cancelAction: '/interaction/x/cancellation',
      },
      'wrong password': { login: LONG_EMAIL, problem: message('sign_in.wrong') },
      'empty fields': {
        problems: { login: message('sign_in.login_missing'), password: message('sign_in.password_missing') },
      },
      'too many tries': { wait: WAIT, login: NAME },
      'without passkeys': { passkeyOptions: null },
      'asked again': {
        appName: LONG_APP,
        returnTo: '/dashboard',
        login: NAME,
        reason: message('sign_in.asks_new', { app: LONG_APP }),
      },
      'with links by e-mail': { mailHref: '/login/mail' },
    },
  ),
  ...states('sessions/destroy', ownCard(message('sign_out.title')), { username: LONG_NAME }),
  ...states(
    'registrations/new',
    card(message('register.title')),
    {
      heading: message('register.title'),
      lead: null,
      action: '/register',
      asksEmail: true,
      appName: null,
      wait: null,
      problems: {},
      values: { username: '', email: '' },
      verdict: null,
      minimumLength: 12,
      returnTo: null,
      terms: null,
      cancelAction: null,
      loginHref: '/login',
      providers: [],
    },
    {
      'other providers': { providers: PROVIDERS },
      'terms to accept': {
        terms: {
          version: '2',
          url: 'https://example.com/terms',
          isTicked: false,
          problem: 'Accept the terms of use to create an account.',
        },
      },
      'on the way to an app': {
        appName: LONG_APP,
        returnTo: '/dashboard',
        cancelAction: '/interaction/x/cancellation',
      },
      'everything to correct': {
        values: { username: LONG_NAME, email: LONG_EMAIL },
        problems: { username: message('user_name.taken'), email: message('email.not_one'), ...WRONG_PASSWORDS },
        verdict: STRENGTH,
      },
      'by invitation': {
        lead: message('invitation.lead', { email: LONG_EMAIL }),
        action: '/invitation/x',
        asksEmail: false,
      },
      'first administrator': {
        heading: message('first_administrator.title'),
        lead: message('first_administrator.lead'),
        action: '/first-administrator/x',
      },
      'another domain': {
        values: { username: NAME, email: LONG_EMAIL },
        problems: { email: message('email.other_domain', { count: 2, domains: '*.example.com, example.com' }) },
      },
      'too many tries': { wait: WAIT },
    },
  ),
  ...states('invitations/dead', card(message('link.dead_title')), {}),
  ...states('invitations/taken', card(message('invitation.taken_title')), {}),
  ...states(
    'second-steps/new',
    card('Two-step verification'),
    {
      askedBy: null,
      username: NAME,
      appName: null,
      wait: null,
      problem: null,
      passkeyOptions: OPTIONS,
      action: '/login/second-factor',
      hasApp: true,
      trustDays: 30,
      trusts: false,
      opensRecovery: false,
      returnTo: null,
      cancelHref: '/login',
      cancelAction: null,
    },
    {
      'wrong code': {
        problem: { field: 'code', sentence: 'That is not the code.' },
        passkeyOptions: null,
        trusts: true,
      },
      'wrong recovery code': {
        problem: { field: 'recovery_code', sentence: 'That recovery code is not right.' },
        opensRecovery: true,
      },
      'passkey alone': { hasApp: false, username: LONG_NAME },
      'passkey refused': { problem: { field: 'passkey', sentence: 'That passkey was not accepted.' }, hasApp: false },
      'browsers are not trusted': { trustDays: null },
      'on the way to an app': { appName: LONG_APP, returnTo: '/dashboard' },
      'for an app': {
        askedBy: LONG_APP,
        appName: LONG_APP,
        returnTo: '/dashboard',
        cancelHref: null,
        cancelAction: '/interaction/x/cancellation',
      },
      'too many tries': { wait: WAIT },
    },
  ),
  ...states(
    'mail-sign-ins/new',
    card('E-mail me a sign-in link'),
    { login: '', problems: {}, wait: null, returnTo: null, appName: null, signInHref: '/login', cancelAction: null },
    {
      'on the way to an app': {
        appName: LONG_APP,
        returnTo: '/dashboard',
        cancelAction: '/interaction/x/cancellation',
      },
      'to correct': { login: LONG_EMAIL, problems: { login: 'Enter an address like name@example.com.' } },
      'too many tries': { wait: WAIT },
    },
  ),
  ...states(
    'mail-sign-ins/asked',
    card('Check your e-mail'),
    { minutes: 10, againHref: '/login/mail', signInHref: '/login', cancelAction: null },
    { 'on the way to an app': { cancelAction: '/interaction/x/cancellation' } },
  ),
  ...states(
    'mail-sign-ins/confirm',
    card('Sign in'),
    { token: 'x', owner: LONG_NAME, appName: null, cancelAction: null },
    { 'on the way to an app': { appName: LONG_APP, cancelAction: '/interaction/x/cancellation' } },
  ),
  ...states(
    'passkey-offers/new',
    card('Sign in faster with a passkey'),
    { options: OPTIONS, upgradeOptions: OPTIONS, problem: null, returnTo: null, nextHref: '/dashboard', appName: null },
    {
      'on the way to an app': { appName: LONG_APP, returnTo: '/dashboard' },
      refused: { problem: 'That did not make a passkey. Try again, or continue without one.' },
    },
  ),
  ...states('mail-sign-ins/other-browser', card('Open this link in the other browser'), {}),
  ...states('mail-sign-ins/dead', card(message('link.dead_title')), {}),
  ...states(
    'password-resets/forgotten',
    card(message('forgotten.title')),
    {
      email: '',
      problems: {},
      wait: null,
      returnTo: null,
      loginHref: '/login',
      cancelAction: null,
      mayBeElsewhere: false,
    },
    {
      'users elsewhere': { mayBeElsewhere: true },
      'to correct': { email: LONG_EMAIL, problems: { email: message('email.not_one') } },
      'on the way to an app': { returnTo: '/dashboard', cancelAction: '/interaction/x/cancellation' },
      'too many tries': { wait: WAIT },
    },
  ),
  ...states('password-resets/asked', card(message('forgotten.asked_title')), {
    loginHref: '/login',
    againHref: '/forgot-password',
  }),
  ...states('password-resets/dead', card(message('link.dead_title')), {}),
  ...states(
    'password-resets/new',
    card(message('reset.title')),
    { token: 'x', owner: LONG_NAME, problems: {}, verdict: null, wait: null, minimumLength: 12 },
    { 'to correct': { problems: WRONG_PASSWORDS, verdict: STRENGTH } },
  ),
  ...states(
    'email-verifications/show',
    ownCard(message('verify.page_title')),
    { email: EMAIL, emailVerified: false, returnTo: null },
    {
      confirmed: { emailVerified: true },
      'on the way to an app': { email: LONG_EMAIL, returnTo: '/dashboard' },
    },
  ),
  ...states(
    'email-verifications/new',
    card(message('verify.title')),
    {
      kind: 'verification',
      email: LONG_EMAIL,
      username: LONG_NAME,
      token: 'x',
    },
    { change: { kind: 'change' } },
  ),
  ...states('email-verifications/taken', card(message('verify.taken_title')), {}),
  ...states(
    'email-verifications/dead',
    card(message('link.dead_title')),
    { email: null, emailVerified: false },
    {
      'signed in': { email: LONG_EMAIL },
      confirmed: { email: EMAIL, emailVerified: true },
    },
  ),
  ...states('reported-sign-ins/new', card(message('reported_sign_in.title')), {
    action: '/not-me/x',
    browser: CHROME,
    address: IPV6,
    time: ago(30),
  }),
  ...states('reported-sign-ins/lost', card(message('reported_sign_in.lost_title')), { reference: REFERENCE }),
  ...states(
    'reauthentications/new',
    ownCard('Confirm that it is you'),
    {
      username: NAME,
      problem: null,
      wait: null,
      returnTo: '/settings',
      passkeyOptions: OPTIONS,
      asksPassword: true,
      providers: [],
    },
    {
      'a linked account': { providers: PROVIDERS },
      'no password': { asksPassword: false, passkeyOptions: null, providers: PROVIDERS },
      'no password, and no provider that proves': { asksPassword: false, passkeyOptions: null },
      'wrong password': { problem: message('password_change.wrong_current') },
      'no passkey': { passkeyOptions: null },
      'too many tries': { wait: WAIT },
    },
  ),
  ...states(
    'account-restorations/new',
    card(message('restore.title')),
    { time: ago(-9000), returnTo: null, cancelAction: null },
    { 'on the way to an app': { returnTo: '/dashboard', cancelAction: '/interaction/x/cancellation' } },
  ),
  ...states(
    'interactions/select-account',
    ownCard(message('interaction.choose_title')),
    {
      appName: 'Notes',
      action: '/interaction/x/account',
      username: NAME,
      email: EMAIL,
      otherHref: '/login',
      cancelAction: '/interaction/x/cancellation',
    },
    { 'long names': { appName: LONG_APP, username: LONG_NAME, email: LONG_EMAIL } },
  ),
  ...states(
    'terms/new',
    card('Terms of use'),
    { version: '2', termsUrl: 'https://example.com/terms', isFirst: true, returnTo: null },
    { changed: { isFirst: false } },
  ),
  ...states(
    'interactions/introduction',
    card('Continue to Notes'),
    {
      appName: 'Notes',
      seen: ['your user name', 'your e-mail address, and whether it is confirmed', 'your roles at Example Ltd'],
      action: '/interaction/x/introduction',
      cancelAction: '/interaction/x/cancellation',
    },
    {
      'long name': { appName: LONG_APP, seen: ['that you have an account at Example Ltd, and nothing else about you'] },
    },
  ),
  ...states(
    'interactions/confirm',
    ownCard(message('interaction.confirm_title', { app: 'Notes' })),
    {
      appName: 'Notes',
      username: NAME,
      destination: 'http://127.0.0.1:4100/callback',
      action: '/interaction/x/confirmation',
      cancelAction: '/interaction/x/cancellation',
    },
    {
      'long names': {
        appName: LONG_APP,
        username: LONG_NAME,
        destination: 'com.example.department.crm.northern://callback',
      },
    },
  ),
  ...states(
    'interactions/consent',
    ownCard(message('consent.title', { app: 'Calendar' })),
    {
      appName: 'Calendar',
      username: NAME,
      access: [message('introduction.sees_user_name'), message('introduction.sees_email'), message('access.offline')],
      news: [],
      destination: 'calendar.example.com',
      action: '/interaction/x/confirmation',
      cancelAction: '/interaction/x/cancellation',
    },
    {
      'asks for more': {
        appName: LONG_APP,
        username: LONG_NAME,
        news: [message('access.api_functions', { api: 'Invoices', functions: 'invoices.read, invoices.write' })],
        destination: 'calendar-of-the-northern-and-southern-branches.departments.example.com',
      },
    },
  ),
  ...states(
    'consents/destroy',
    ownCard(message('consent.withdraw_title', { app: 'Calendar' })),
    {
      appName: 'Calendar',
      access: [
        message('introduction.sees_user_name'),
        message('access.own_functions', { app: 'Calendar', functions: 'read' }),
      ],
      action: '/apps/calendar/withdrawal',
    },
    { 'long name': { appName: LONG_APP } },
  ),
  ...states(
    'device-requests/new',
    ownCard(message('device.title')),
    { userCode: '', problems: {}, wait: null },
    {
      'wrong code': { userCode: 'WDJB-MJH', problems: { user_code: message('device.code_wrong') } },
      'too many tries': { wait: WAIT },
    },
  ),
  ...states(
    'device-requests/show',
    ownCard(message('device.confirm_title', { app: 'Television' })),
    {
      appName: 'Television',
      username: NAME,
      userCode: 'WDJB-MJHT',
      askedFrom: message('browsers.at_address', { browser: 'TV/2.1', address: PLACE }),
      access: [message('introduction.sees_user_name'), message('introduction.sees_email')],
      approvalAction: '/device/approval?user_code=WDJB-MJHT',
      denialAction: '/device/denial?user_code=WDJB-MJHT',
    },
    {
      'long names': {
        appName: LONG_APP,
        username: LONG_NAME,
        askedFrom: message('browsers.at_address', { browser: 'openid-client/v6.8.1', address: IPV6 }),
        access: [
          message('access.api_functions', {
            api: 'The invoices of every branch',
            functions: 'https://invoices.departments.example.com/scopes/read-and-write-everything',
          }),
        ],
      },
    },
  ),
  ...states(
    'device-requests/answered',
    ownCard(message('device.approved_title')),
    { appName: LONG_APP, isApproved: true },
    { denied: { isApproved: false } },
  ),
  ...states('interactions/address', ownCard(message('interaction.address_title')), {
    appName: LONG_APP,
    email: LONG_EMAIL,
    here: '/interaction/x',
    cancelAction: '/interaction/x/cancellation',
  }),
  ...states(
    'interactions/no-access',
    ownCard(message('no_access.title', { app: 'CRM' })),
    {
      appName: 'CRM',
      username: 'ada',
      otherHref: '/interaction/x?other_account=1',
      cancelAction: '/interaction/x/cancellation',
    },
    { 'long names': { appName: LONG_APP, username: LONG_NAME }, 'on a device': { otherHref: null } },
  ),
  ...states('interactions/no-second-factor', ownCard(message('second_step.needed_title')), {
    appName: LONG_APP,
    setUpHref: '/settings/second-factors',
    cancelAction: '/interaction/x/cancellation',
  }),
  ...states(
    'interactions/lost',
    card(message('interaction.lost_title')),
    { appName: 'Notes', continueHref: 'https://notes.example.com/', keepsCookies: true, reference: REFERENCE },
    { 'no cookies': { keepsCookies: false }, 'no app': { appName: null, continueHref: null } },
  ),
  ...states(
    'oidc-logout',
    ownCard(message('sign_out.title')),
    { autoSubmit: false, appName: LONG_APP, action: '/oauth/logout', xsrf: 'x' },
    {
      'no app': { appName: null },
    },
  ),
  ...states('signed-out', card(message('sign_out.done_title')), {}),
  ...states(
    'errors/show',
    card(message('errors.not_found.title')),
    {
      status: 404,
      title: message('errors.not_found.title'),
      sentence: message('errors.not_found.sentence'),
      advice: message('errors.not_found.advice'),
      backHref: '/dashboard',
      backLabel: message('errors.apps_button'),
      explanation: '/docs/errors#http-404',
      reference: REFERENCE,
    },
    {
      busy: {
        status: 503,
        title: message('errors.busy.title'),
        sentence: message('errors.busy.sentence'),
        advice: message('errors.busy.advice'),
        backLabel: message('errors.try_again_button'),
      },
      'no answer of the identity source': {
        status: 503,
        title: message('errors.busy.title'),
        sentence: message('errors.source.sentence'),
        advice: message('errors.busy.advice'),
        backLabel: message('errors.try_again_button'),
      },
      'not admitted from the identity source': {
        status: 403,
        title: message('source.not_admitted_title'),
        sentence: message('source.not_admitted'),
        advice: message('source.not_admitted_advice'),
        backHref: '/login',
        backLabel: message('sign_in.button'),
      },
    },
  ),
  ...states(
    'errors/app-request',
    card(message('app_error.address.title')),
    {
      status: 400,
      title: message('app_error.address.title'),
      sentence: message('app_error.address.sentence'),
      advice: message('app_error.refused.advice'),
      backHref: '/dashboard',
      backLabel: message('errors.apps_button'),
      explanation: '/docs/errors#invalid_redirect_uri',
      reference: REFERENCE,
      mistake: null,
    },
    {
      'for developers': {
        mistake: {
          clientId: 'notes',
          isKnown: true,
          isDisabled: false,
          uri: {
            requested: `https://notes.example.com/${'path/'.repeat(20)}`,
            registered: ['https://notes.example.com/callback'],
          },
          command:
            'npx gatehouse app update notes --redirect-uri https://notes.example.com/callback https://notes.example.com/other',
        },
      },
    },
  ),
  ...states('errors/index', { title: 'Errors' }, { sections: ERROR_SECTIONS }),
  ...states(
    'dashboard/show',
    signedIn('Your apps', 'dashboard'),
    {
      username: NAME,
      total: 3,
      hasSearch: false,
      search: '',
      news: [],
      apps: [
        app(),
        app({
          clientId: 'crm',
          name: LONG_APP,
          iconUrl: null,
          living: Array.from({ length: 12 }, () => family()),
          ended: [family(), family({ receipt: null, ended: null, here: true })],
          endedMore: 3,
          endedCount: 5,
        }),
      ],
      more: [closedApp()],
    },
    {
      'third-party app': {
        apps: [
          app({
            name: LONG_APP,
            access: [message('introduction.sees_user_name'), message('access.api', { api: 'Invoices' })],
          }),
        ],
      },
      'no apps': { apps: [], more: [], total: 0 },
      'nothing open': { apps: [], more: [closedApp(), closedApp({ name: LONG_APP, iconUrl: IMAGE })] },
      'all ended': { more: [], apps: [app({ living: [], ended: [family()], endedCount: 1 })] },
      search: { hasSearch: true, search: 'notes', apps: [app()], more: [], total: 12 },
      'found nothing': { hasSearch: true, search: 'x'.repeat(100), apps: [], more: [], total: 12 },
      news: {
        news: [
          {
            id: FAMILY_ID,
            appName: LONG_APP,
            browser: CHROME,
            receipt: {
              state: 'waiting',
              sentence: message('delivery.waiting_open', { app: LONG_APP, time: NOW, tries: 2 }),
            },
          },
          { id: FAMILY_ID, appName: 'Notes', browser: CHROME, receipt: null },
        ],
      },
    },
  ),
  ...states(
    'disconnections/new',
    card('Remove Notes?'),
    {
      app: { name: 'Notes' },
      clientId: 'notes',
      count: 1,
      browsers: [{ browser: CHROME, count: 1, here: true }],
      isTold: true,
      minutes: 5,
    },
    {
      'many sign-ins': {
        app: { name: LONG_APP },
        count: 9,
        isTold: false,
        browsers: [
          { browser: CHROME, count: 1, here: true },
          { browser: LONG_NAME, count: 8, here: false },
        ],
      },
      'nothing to end': { count: 0, browsers: [] },
    },
  ),
  ...states(
    'families/show',
    signedIn('Sign-in to Notes', 'dashboard'),
    {
      title: 'Sign-in to Notes',
      id: FAMILY_ID,
      appName: 'Notes',
      browser: CHROME,
      here: true,
      isLiving: true,
      lead: message('families.open_lead', { app: 'Notes', time: NOW }),
      receipt: null,
      timeline: [
        {
          sentence: message('timeline.connected', { app: 'Notes' }),
          tone: 'plain',
          clients: [PLACE],
          first: null,
          last: ago(9000),
        },
        {
          sentence: message('timeline.refreshed', { app: 'Notes', count: 12 }),
          tone: 'plain',
          clients: [PLACE, IPV6],
          first: ago(8000),
          last: ago(3),
        },
      ],
    },
    {
      ended: {
        appName: LONG_APP,
        title: `Sign-in to ${LONG_APP}`,
        here: false,
        isLiving: false,
        lead: message('families.ended_lead', { time: NOW, why: message('end_causes.reuse') }),
        receipt: {
          ...RECEIPT,
          ways: [
            { notification: RECEIPT, words: RECEIPT_WAY },
            { notification: RECEIPT, words: RECEIPT_WAY },
          ],
        },
        timeline: [
          {
            sentence: message('timeline.ended', { why: message('end_causes.reuse') }),
            tone: 'warning',
            clients: [IPV6],
            first: null,
            last: ago(2),
          },
        ],
      },
      'in another browser': { appName: LONG_APP, here: false },
    },
  ),
  ...states(
    'identity-sessions/index',
    signedIn('Your browsers', 'sessions'),
    {
      signedIn: [browser({ isHere: true }), browser({ name: LONG_NAME, kind: 'phone', newSince: ago(30) })],
      known: [browser({ isSignedIn: false, kind: 'tablet', name: 'w'.repeat(64) })],
    },
    { 'this browser alone': { signedIn: [browser({ isHere: true, place: PLACE })], known: [] } },
  ),
  ...states(
    'identity-sessions/show',
    signedIn(CHROME, 'sessions'),
    {
      id: FAMILY_ID,
      name: CHROME,
      lead: message('session.living_lead'),
      isSignedIn: true,
      isHere: true,
      facts: [
        { label: 'Signed in on', at: ago(9000) },
        { label: 'IP address', text: IPV6 },
        { label: 'What the browser says of itself', text: `Mozilla/5.0 (${'x'.repeat(200)})` },
      ],
      apps: [{ id: FAMILY_ID, appName: LONG_APP, lastUsed: ago(3) }],
      deviceId: 'x',
      trustedUntil: null,
      givenName: '',
      problem: null,
    },
    {
      trusted: { trustedUntil: NOW },
      'a name to correct': { name: LONG_NAME, givenName: 'w'.repeat(80), problem: 'Use at most 64 characters.' },
      'known only': { lead: message('session.known_lead'), isSignedIn: false, isHere: false, id: null },
      ended: {
        lead: message('session.ended_lead', { time: NOW, why: message('end_causes.signed_out') }),
        isSignedIn: false,
        isHere: false,
        deviceId: null,
      },
      'no apps': { apps: [], isHere: false },
    },
  ),
  ...states(
    'activity/index',
    signedIn('Activity', 'activity'),
    {
      days: [
        {
          label: 'Today',
          lines: [
            {
              tone: 'good',
              sentence: message('activity.signed_in', { method: 'passkey' }),
              times: [ago(3)],
              place: ['Chrome on Windows', IPV6],
              href: `/sessions/${FAMILY_ID}`,
              several: null,
            },
            {
              tone: 'warning',
              sentence: message('activity.sign_in_refused'),
              times: [ago(90), ago(60)],
              place: ['Firefox on Linux', PLACE],
              href: null,
              several: {
                count: 22,
                events: [60, 90].map((minutes) => ({
                  at: ago(minutes),
                  place: ['Firefox on Linux', PLACE],
                  ended: null,
                  href: null,
                })),
                moreCount: 20,
              },
            },
            {
              tone: 'plain',
              sentence: message('activity.family_ended', {
                app: LONG_NAME,
                count: 2,
                reason: message('end_causes.disconnected'),
              }),
              times: [ago(120)],
              place: ['Firefox on Linux', PLACE],
              href: null,
              several: {
                count: 2,
                events: [120, 120].map((minutes) => ({
                  at: ago(minutes),
                  place: ['Firefox on Linux', PLACE],
                  ended: null,
                  href: `/families/${FAMILY_ID}`,
                })),
                moreCount: 0,
              },
            },
          ],
        },
      ],
      olderHref: '/activity?before=1',
    },
    { empty: { days: [], olderHref: null } },
  ),
  ...states(
    'settings/show',
    { ...signedIn('Settings', 'settings'), unconfirmed: LONG_EMAIL },
    {
      username: LONG_NAME,
      email: LONG_EMAIL,
      emailVerified: false,
      pendingEmail: null,
      factorCount: 0,
      hasProviders: false,
      languages: LANGUAGES,
      deletionDays: 14,
      isElsewhere: false,
      setsPassword: true,
    },
    {
      'account elsewhere': { isElsewhere: true, setsPassword: false },
      'address changing': { emailVerified: true, pendingEmail: LONG_EMAIL, factorCount: 2, hasProviders: true },
    },
  ),
  ...states(
    'linked-accounts/index',
    signedIn('Connected accounts', 'settings'),
    { problem: null, accounts: [], providers: PROVIDERS.map(({ name }) => ({ id: 'x', name })) },
    {
      'some connected': {
        accounts: [
          { ...LINKED, provider: 'Google', email: EMAIL },
          { ...LINKED, provider: LONG_APP, email: LONG_EMAIL, lastUsed: null, isOffered: false },
          { ...LINKED, provider: 'GitHub', email: null },
        ],
      },
      'a provider is down': { problem: message('upstream.unavailable', { provider: 'Google' }) },
    },
  ),
  ...states(
    'account-links/new',
    ownCard(message('connection.title', { provider: 'Google' })),
    { provider: 'Google', email: EMAIL, username: NAME },
    { 'long names': { provider: LONG_APP, email: LONG_EMAIL, username: LONG_NAME }, 'no address': { email: null } },
  ),
  ...states(
    'password-changes/new',
    ownCard('Change your password'),
    { owner: LONG_NAME, problems: {}, verdict: null, wait: null, minimumLength: 12 },
    {
      'to correct': {
        problems: { current_password: message('password_change.wrong_current'), ...WRONG_PASSWORDS },
        verdict: STRENGTH,
      },
      'too many tries': { wait: WAIT },
    },
  ),
  ...states(
    'email-changes/new',
    ownCard('Change your e-mail address'),
    {
      email: EMAIL,
      typed: '',
      pendingEmail: null,
      problems: {},
      wait: null,
    },
    { 'to correct': { typed: EMAIL, pendingEmail: LONG_EMAIL, problems: { email: message('email_change.same') } } },
  ),
  ...states('exports/new', ownCard('Download your data'), {}),
  ...states(
    'deletions/new',
    ownCard('Delete your account'),
    { username: LONG_NAME, typed: '', problem: null, time: ago(-9000), isElsewhere: false },
    {
      'account elsewhere': { isElsewhere: true },
      'to correct': { typed: NAME, problem: 'That is not your user name.', time: null },
    },
  ),
  ...states('deletions/created', card('Your account is deleted'), { time: ago(-9000) }, { 'at once': { time: null } }),
  ...states(
    'second-factors/index',
    signedIn('Sign-in methods', 'settings'),
    {
      isOn: true,
      passkeys: [factor({ kind: 'passkey', kindInWords: 'Passkey', name: 'My laptop' })],
      secondSteps: [
        factor(),
        factor({ kind: 'passkey', kindInWords: 'Security key', name: 'Security key on my key ring', lastUsed: null }),
      ],
      trustedBrowsers: [{ browser: CHROME, until: ago(-9000) }],
      recoveryCodesLeft: 8,
      passkeySignals: null,
      returnTo: null,
      appName: null,
      newAppHref: '/settings/second-factors/totp/new',
      newPasskeyHref: '/settings/second-factors/passkey/new',
    },
    {
      none: { isOn: false, passkeys: [], secondSteps: [], trustedBrowsers: [] },
      'without passkeys': { passkeys: [], secondSteps: [factor()], trustedBrowsers: [], newPasskeyHref: null },
      'passkeys alone': { secondSteps: [], trustedBrowsers: [], recoveryCodesLeft: 0 },
      'few codes, on the way to an app': { recoveryCodesLeft: 1, returnTo: '/dashboard', appName: LONG_APP },
    },
  ),
  ...states(
    'second-factors/edit',
    ownCard('My phone'),
    {
      ...factor(),
      problem: null,
      isLast: true,
      passwordStandsAlone: true,
      passwordLength: 15,
    },
    { 'weak password': { passwordStandsAlone: false }, 'to correct': { problem: 'Give it a name.', isLast: false } },
  ),
  ...states(
    'totp-keys/new',
    ownCard('Add an authenticator app'),
    {
      problems: {},
      image: IMAGE,
      key: KEY,
      uri: `otpauth://totp/id.example.com:ada?secret=${KEY.replaceAll(' ', '')}&issuer=id.example.com`,
      returnTo: null,
      name: 'Authenticator app',
    },
    { 'to correct': { problems: { code: 'That is not the code.', name: 'Give it a name.' } } },
  ),
  ...states(
    'passkeys/new',
    ownCard('Add a passkey'),
    { problem: null, options: OPTIONS, returnTo: null, name: 'Passkey' },
    {
      'to correct': { problem: 'That did not make a passkey. Try again.' },
    },
  ),
  ...states(
    'recovery-codes/new',
    ownCard('Make new recovery codes'),
    { recoveryCodesLeft: 1 },
    { none: { recoveryCodesLeft: 0 } },
  ),
  ...states(
    'recovery-codes/show',
    ownCard('Your recovery codes'),
    {
      codes: Array.from({ length: 10 }, () => 'k3v9-x2a7-bq4m'),
      username: LONG_NAME,
      host: 'id.example.com',
      returnTo: null,
      appName: null,
    },
    { 'on the way to an app': { returnTo: '/dashboard', appName: LONG_APP } },
  ),
  ...states(
    'languages/edit',
    signedIn(message('language.settings_title'), 'settings'),
    { locale: null, zoneinfo: null, languages: LANGUAGES, zones: ['Asia/Tokyo', 'Europe/Rome'] },
    { chosen: { locale: 'en', zoneinfo: 'Europe/Rome' } },
  ),
  ...states(
    'profiles/edit',
    signedIn(message('profile.title'), 'settings'),
    { values: EMPTY_PROFILE, problems: {} },
    {
      'to correct': {
        values: { ...EMPTY_PROFILE, name: LONG_NAME, picture: 'http://example.test/me.png', phone_number: '020 7946' },
        problems: { picture: message('profile.picture_problem'), phone_number: message('profile.phone_problem') },
      },
    },
  ),
  ...states(
    'page-gallery/index',
    { title: 'Pages' },
    { pages: [{ words: 'sessions/new, usual', href: '/dev/pages' }] },
  ),
  ...states(
    'sample-mails/index',
    { title: 'Mails' },
    {
      language: 'en',
      languages: [{ language: 'en', name: 'English', href: '/dev/mails?language=en' }],
      mails: [{ kind: 'new-sign-in', subject: 'New sign-in to your Example Ltd account' }],
    },
  ),
  ...states(
    'sample-mails/show',
    { title: 'New sign-in to your Example Ltd account' },
    {
      kind: 'new-sign-in',
      subject: 'New sign-in to your Example Ltd account',
      text: 'Example Ltd\n\nNew sign-in\n',
      language: 'en',
      languages: [{ language: 'en', name: 'English', href: '/dev/mails/new-sign-in?language=en' }],
    },
  ),
  ...states(
    'mail-previews/index',
    { title: 'Outbox' },
    {
      mails: [{ name: 'x', to: LONG_EMAIL, subject: 'Confirm your address at Gatehouse', time: ago(3) }],
      pageLength: 100,
    },
    { empty: { mails: [] } },
  ),
  ...states(
    'mail-previews/show',
    { title: 'Confirm your address' },
    {
      name: 'x',
      from: 'gatehouse@example.com',
      to: LONG_EMAIL,
      subject: 'Confirm your address at Gatehouse',
      time: ago(3),
      lines: [
        { words: 'Open this link:', isLink: false },
        { words: `https://id.example.com/verify-email/${'x'.repeat(80)}`, isLink: true },
      ],
    },
  ),
]

const [signInPage] = SAMPLE_PAGES as [SamplePage]
SAMPLE_PAGES.push(
  ...(
    [
      ['of an app with a picture', { iconUrl: IMAGE, colour: null }],
      ['of an app with a colour', { iconUrl: null, colour: { background: '#facc15', ink: '#000000' } }],
    ] as const
  ).map(([state, look]) => ({
    ...signInPage,
    state,
    page: {
      ...signInPage.page,
      app: { name: LONG_APP, ...look, sees: willSee(LONG_APP, { scopes: ['openid', 'profile', 'email'], claims: [] }) },
    },
    locals: { ...signInPage.locals, appName: LONG_APP, returnTo: '/dashboard' },
  })),
)

SAMPLE_PAGES.push(...ADMIN_SAMPLES)
