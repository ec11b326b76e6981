import { END_CAUSES } from '../../../domain/endings/end-causes.ts'
import { message } from '../../../i18n/messages.ts'
import type { SamplePage } from '../../sample-page.ts'
import { AUDIT_SENTENCES } from '../audit-words.ts'
import { drawPlot } from '../plots.ts'

const page = { nav: 'admin', username: 'ada', isOperator: true } as const
const at = { iso: '2026-11-21T12:00:00.000Z', text: '21 Nov 2026, 12:00 UTC', ago: '2 hours ago' }
const LONG = 'A very long name of an app that hardly fits on the screen of a telephone'
const HOURS = Array.from({ length: 24 }, (_, hour) => `${String(hour).padStart(2, '0')}:00`)

function plot(id: string, title: string, lines: Record<string, (number | null)[]>, isGauge = false) {
  const series = Object.entries(lines).map(([label, counts]) => ({ label, counts }))
  const isEmpty = series.every(({ counts }) => counts.every((count) => !count))
  return {
    id,
    title,
    description: `${title}: 120 in all, at most 12.`,
    plot: isEmpty ? null : drawPlot(HOURS, series),
    head: series.map(({ label }) => label),
    rows: HOURS.map((time, index) => ({ time, counts: series.map(({ counts }) => String(counts[index] ?? '–')) })),
    sums: isGauge ? null : series.map(() => '120'),
  }
}

const wave = (height: number, shift = 0) =>
  HOURS.map((_, hour) => Math.round(height * (1 + Math.sin((hour + shift) / 4))))

const overview = {
  isAdmin: true,
  range: 'day',
  ranges: [
    { label: 'Last hour', href: '/admin?range=hour', isCurrent: false },
    { label: 'Last day', href: '/admin?range=day', isCurrent: true },
    { label: 'Last 30 days', href: '/admin?range=month', isCurrent: false },
  ],
  clientId: null,
  queues: [
    { label: 'Mails waiting', count: '0' },
    { label: 'Mails failed', count: '3' },
    { label: 'Notifications waiting', count: '1,204' },
    { label: 'Notifications given up', count: '10,000' },
  ],
}

/** The overview, the audit log, IP blocks, deliveries and signing keys, in their states. */
export const OPERATING_SAMPLES: SamplePage[] = [
  {
    view: 'admin/overview/show',
    state: 'busy',
    page: { title: message('admin.overview.title'), ...page, admin: { section: 'overview' } },
    locals: {
      ...overview,
      warnings: [
        '3 mails wait, and one has waited for more than 15 minutes: the mail server does not take it.',
        'There is one administrator alone: if they lose access, only the command line helps.',
      ],
      plots: [
        plot('sign-ins', 'Sign-ins to the portal', { successful: wave(40), failed: wave(6, 9) }),
        plot('refreshes', 'Renewals of app sign-ins', { renewals: wave(61_000) }),
        plot('refused', 'Refused renewals', { refused: wave(2), 'used twice (reuse)': HOURS.map(() => 0) }),
        plot('families', 'App sign-ins opened and ended', { opened: wave(300), ended: wave(280, 2) }),
        plot(
          'living',
          'Active app sign-ins',
          {
            [LONG]: HOURS.map((_, hour) => (hour < 3 ? null : 900 + hour * 3)),
            Notes: wave(300, 1).map((count) => count + 200),
            Photos: wave(90),
            Mail: wave(40, 5),
            'other apps': HOURS.map(() => 33),
          },
          true,
        ),
      ],
    },
  },
  {
    view: 'admin/overview/show',
    state: 'a new portal',
    page: { title: message('admin.overview.title'), ...page, admin: { section: 'overview' } },
    locals: {
      ...overview,
      isAdmin: false,
      clientId: 'notes',
      warnings: [],
      plots: [plot('refreshes', 'Renewals of app sign-ins', { renewals: HOURS.map(() => 0) })],
    },
  },
  ...(['some', 'none'] as const).map((state): SamplePage => ({
    view: 'admin/doctor/show',
    state,
    page: { title: message('admin.doctor.title'), ...page, admin: { section: 'overview' } },
    locals: {
      isAdmin: true,
      checked: 'settings, migrations, database, Redis, mail server, public URL, apps',
      findings:
        state === 'none'
          ? []
          : [
              {
                severity: 'error',
                severityWords: 'error',
                sentence: 'The mail server smtp.example.com refuses the login of gatehouse (it answered 535).',
                about: 'The mail server refuses the user name and password of SMTP_URL.',
                change: 'SMTP_URL=smtps://gatehouse:…@smtp.example.com',
              },
              {
                severity: 'warning',
                severityWords: 'warning',
                sentence: 'There is one proxy (10.0.0.2), and TRUST_PROXY is off: all clients count as 10.0.0.2.',
                about: 'There is a proxy, and TRUST_PROXY is off: all clients count as one IP address.',
                change: 'TRUST_PROXY=1',
              },
              {
                severity: 'hint',
                severityWords: 'hint',
                sentence: 'The home URI of notes does not work.',
                about: null,
                change: `gatehouse app update notes --home-uri https://${'long-'.repeat(20)}name.example.com/callback`,
              },
            ],
    },
  })),
  ...(['some', 'none', 'a fault', 'further back', 'not sealed'] as const).map((state): SamplePage => ({
    view: 'admin/audit/index',
    state,
    page: { title: message('admin.audit.title'), ...page, admin: { section: 'audit' } },
    locals: {
      isAdmin: true,
      filter: {
        identity: state === 'a fault' ? 'nobody' : '',
        operator: '',
        client_id: '',
        kind: state === 'some' ? '' : 'family_ended',
        cause: '',
        from: '',
        to: '',
      },
      problem: state === 'a fault' ? 'there is no identity nobody' : null,
      isFiltered: state !== 'some',
      kinds: Object.keys(AUDIT_SENTENCES),
      causes: Object.keys(END_CAUSES),
      seal:
        state === 'none'
          ? message('admin.audit.not_sealed_yet')
          : state === 'not sealed'
            ? message('admin.audit.unsealed', { since: at.text })
            : message('admin.audit.sealed', { at: at.text, checkpoint: `1204:${'9f86d081884c7d65'.repeat(4)}` }),
      csvHref: '/admin/audit/export?format=csv',
      jsonlHref: '/admin/audit/export?format=jsonl',
      nextHref: state === 'some' || state === 'further back' ? '/admin/audit?cursor=x' : null,
      events:
        state === 'some'
          ? [
              {
                sentence: message('admin.audit.kinds.family_ended', {
                  kind: 'family_ended',
                  who: 'grace',
                  app: LONG,
                  cause: message('end_causes.operator'),
                  detail: '–',
                  address: '192.0.2.1',
                }),
                by: message('admin.audit.by_operator_from', { operator: 'ada', address: '2001:db8::1' }),
                at,
                kind: 'family_ended',
                place: ['Firefox on Linux', '2001:db8:1234:5678:9abc:def0:1234:5678'],
                only: [
                  { href: '/admin/audit?identity=x', label: 'only this person', full: 'only this person: grace' },
                  { href: '/admin/audit?client_id=x', label: 'only this app', full: `only this app: ${LONG}` },
                ],
              },
              {
                sentence: message('admin.audit.kinds.signing_keys_rotated', {
                  kind: 'signing_keys_rotated',
                  who: 'x',
                  app: '',
                  cause: '',
                  detail: 'n1Nn3mHrJfYn2a4b AAAABBBBCCCCDDDD 0123456789abcdef',
                  address: '–',
                }),
                by: message('admin.audit.by_operator', { operator: 'root' }),
                at,
                kind: 'signing_keys_rotated',
                place: [],
                only: [],
              },
            ]
          : [],
    },
  })),
  ...(['some', 'none'] as const).map((state): SamplePage => ({
    view: 'admin/blocks/index',
    state,
    page: { title: message('admin.blocks.title'), ...page, admin: { section: 'blocks' } },
    locals: {
      isAdmin: state === 'some',
      search: state === 'some' ? '' : '192.',
      nextHref: state === 'some' ? '/admin/blocks?cursor=x' : null,
      blocks:
        state === 'some'
          ? ['192.0.2.1', '2001:db8:1234:5678::/64'].map((address) => ({
              address,
              failures: 100,
              since: at,
              until: at,
              liftHref: `/admin/blocks/lifting?address=${encodeURIComponent(address)}`,
            }))
          : [],
    },
  })),
  ...(['some', 'none'] as const).map((state): SamplePage => ({
    view: 'admin/queues/index',
    state,
    page: { title: message('admin.queues.title'), ...page, admin: { section: 'queues' } },
    locals: {
      isAdmin: true,
      mails: state === 'some' ? { waiting: 12, since: at, failed: 3 } : { waiting: 0, since: null, failed: 0 },
      nextHref: state === 'some' ? '/admin/queues?cursor=x' : null,
      failed:
        state === 'some'
          ? ['grace@example.test', `${'long-'.repeat(12)}name@department.of-accounts.example.test`].map(
              (recipient) => ({
                kind: 'Choose a new password',
                recipient,
                problem: 'the mail server answered 550 to RCPT TO',
                at,
                resendHref: '/admin/queues/mails/1/resend',
              }),
            )
          : [],
      apps:
        state === 'some'
          ? ['Notes', LONG].map((name, index) => ({
              name,
              waiting: '12',
              since: at,
              givenUp: index,
              givenUpWords: String(index),
              href: '/admin/queues/notifications?app=notes',
              resendHref: '/admin/queues/notifications/resend?app=notes',
            }))
          : [],
    },
  })),
  ...(['some', 'none'] as const).map((state): SamplePage => ({
    view: 'admin/queues/notifications',
    state,
    page: { title: message('admin.queues.notifications_title'), ...page, admin: { section: 'queues' } },
    locals: {
      isAdmin: true,
      app: 'notes',
      state: state === 'some' ? '' : 'waiting',
      states: [
        { value: 'waiting', label: 'waiting' },
        { value: 'confirmed', label: 'delivered' },
        { value: 'given-up', label: 'given up' },
      ],
      nextHref: null,
      notifications:
        state === 'some'
          ? ['waiting', 'confirmed', 'given-up'].map((each) => ({
              id: each,
              app: 'notes',
              kind: 'Sign-out',
              state: each,
              stateWords: each,
              at,
              attempts: 2,
              problem: each === 'confirmed' ? null : 'answered 500',
              resendHref: each === 'given-up' ? '/admin/queues/notifications/resend?app=notes&notification=1' : null,
            }))
          : [],
    },
  })),
  {
    view: 'admin/keys/index',
    state: 'each',
    page: { title: message('admin.keys.title'), ...page, admin: { section: 'keys' } },
    locals: {
      isAdmin: true,
      keys: ['next', 'signing', 'retiring', 'retired', 'revoked'].map((state) => ({
        kid: `n1Nn3mHrJfYn-${state}`,
        alg: 'ES256',
        state,
        stateWords: state,
        facts: [
          { label: 'made', at },
          { label: 'signed from', at },
          ...(state === 'signing' ? [{ label: 'the next key is published', at }] : []),
        ],
        revokeHref: state === 'revoked' ? null : '/admin/keys/x/revocation',
      })),
    },
  },
  ...([null, 'Enter a time from 15 minutes to a year from now.'] as const).map((problem): SamplePage => ({
    view: 'admin/keys/rotation',
    state: problem === null ? 'new' : 'a wrong time',
    page: { title: message('admin.keys.rotate_title'), ...page, admin: { section: 'keys' } },
    locals: { isAdmin: true, formId: 'x', signsFrom: problem === null ? '' : '2020-01-01T00:00', problem },
  })),
]
