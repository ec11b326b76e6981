import type { Request, Response } from 'express'
import type { AnswerOf } from '../../administration/operation.ts'
import { OPERATIONS } from '../../administration/operations.ts'
import type { MessageKey } from '../../i18n/messages.ts'
import type { Texts } from '../../i18n/texts.ts'
import { textsOf } from '../context.ts'
import { act } from './act.ts'
import { renderAdmin } from './admin-page.ts'
import { drawPlot, MOST_LINES, type Plot, type Series } from './plots.ts'

type Statistics = AnswerOf<typeof OPERATIONS.showStatistics>
type Kind = Statistics['series'][number]['kind']

const RANGES = {
  hour: 'admin.overview.ranges.hour',
  day: 'admin.overview.ranges.day',
  month: 'admin.overview.ranges.month',
} as const satisfies Record<string, MessageKey>

/** GET /admin */
export async function showOverview(req: Request, res: Response): Promise<void> {
  const { range: askedRange, app = '' } = req.query as { range?: unknown; app?: unknown }
  const range = Object.hasOwn(RANGES, String(askedRange)) ? (String(askedRange) as keyof typeof RANGES) : 'day'
  const clientId = typeof app === 'string' && app !== '' && app.length <= 300 ? app : null
  const texts = textsOf(req)
  const [statistics, mails, notifications, checkup] = await Promise.all([
    act(req, OPERATIONS.showStatistics, { range, ...(clientId === null ? {} : { client_id: clientId }) }),
    act(req, OPERATIONS.showMailQueue),
    act(req, OPERATIONS.showNotificationQueue),
    act(req, OPERATIONS.listFindings, { kind: 'quick' }),
  ])
  const { apps } = notifications
  const total = (name: 'waiting' | 'given_up') => apps.reduce((sum, each) => sum + each[name], 0)
  await renderAdmin(
    req,
    res,
    'admin/overview/show',
    { title: texts.t('admin.overview.title'), section: 'overview' },
    {
      range,
      ranges: Object.entries(RANGES).map(([name, key]) => ({
        label: texts.t(key),
        href: `/admin?${new URLSearchParams({ range: name, ...(clientId === null ? {} : { app: clientId }) })}`,
        isCurrent: name === range,
      })),
      clientId,
      warnings: [...checkup.findings, ...checkup.hints].map(({ sentence }) => sentence),
      queues: [
        { label: texts.t('admin.overview.mails_waiting'), count: texts.number(mails.waiting) },
        { label: texts.t('admin.overview.mails_failed'), count: texts.number(mails.failed) },
        { label: texts.t('admin.overview.notifications_waiting'), count: texts.number(total('waiting')) },
        { label: texts.t('admin.overview.notifications_given_up'), count: texts.number(total('given_up')) },
      ],
      plots: plotsOf(statistics, range, clientId, texts),
    },
  )
}

/** A plot with the table behind it. */
export interface PlotWithTable {
  id: string
  title: string
  description: string
  /** Null where nothing was counted. */
  plot: Plot | null
  head: string[]
  rows: { time: string; counts: string[] }[]
  sums: string[] | null
}

const PLOTS = [
  {
    id: 'sign-ins',
    title: 'admin.overview.plots.sign_ins',
    lines: [
      ['sign_in', 'admin.overview.series.sign_in'],
      ['failed_sign_in', 'admin.overview.series.failed_sign_in'],
    ],
  },
  { id: 'refreshes', title: 'admin.overview.plots.refreshes', lines: [['refresh', 'admin.overview.series.refresh']] },
  {
    id: 'refused',
    title: 'admin.overview.plots.refused',
    lines: [
      ['refused_refresh', 'admin.overview.series.refused_refresh'],
      ['reuse', 'admin.overview.series.reuse'],
    ],
  },
  {
    id: 'families',
    title: 'admin.overview.plots.families',
    lines: [
      ['family_opened', 'admin.overview.series.family_opened'],
      ['family_ended', 'admin.overview.series.family_ended'],
    ],
  },
] as const satisfies { id: string; title: MessageKey; lines: [Kind, MessageKey][] }[]

function plotsOf(
  { times, series }: Statistics,
  range: keyof typeof RANGES,
  clientId: string | null,
  texts: Texts,
): PlotWithTable[] {
  const names = times.map((time) => nameOf(new Date(time), range, texts))
  // Sign-ins to the portal belong to no app.
  const shown = clientId === null ? PLOTS : PLOTS.filter(({ id }) => id !== 'sign-ins')
  const plots = shown.map(({ id, title, lines }) => {
    const summed = lines.map(([kind, label]) => ({ label: texts.t(label), counts: sumOf(series, kind, times.length) }))
    return withTable({ id, title: texts.t(title), names, series: summed, isGauge: false }, texts)
  })
  const living = withTable(
    {
      id: 'living',
      title: texts.t('admin.overview.plots.living'),
      names,
      series: livingOf(series, texts),
      isGauge: true,
    },
    texts,
  )
  return [...plots, living]
}

/** The number of all apps together. */
function sumOf(series: Statistics['series'], kind: Kind, length: number): number[] {
  const own = series.filter((each) => each.kind === kind)
  return Array.from({ length }, (_, index) => own.reduce((sum, { counts }) => sum + (counts[index] ?? 0), 0))
}

/** The apps with the most, and the others together. */
function livingOf(series: Statistics['series'], texts: Texts): Series[] {
  const living = series.filter(({ kind, client_id: app }) => kind === 'living_families' && app !== null)
  const sorted = living.toSorted((one, other) => lastOf(other.counts) - lastOf(one.counts))
  const named = sorted.length > MOST_LINES ? sorted.slice(0, MOST_LINES - 1) : sorted
  const others = sorted.slice(named.length)
  const lines = named.map(({ client_id: app, app_name: name, counts }) => ({ label: name ?? app ?? '', counts }))
  if (others.length === 0) return lines
  const counts = (others[0]?.counts ?? []).map((_, index) => {
    const numbers = others.flatMap((each) => each.counts[index] ?? [])
    return numbers.length === 0 ? null : numbers.reduce((sum, count) => sum + count, 0)
  })
  return [...lines, { label: texts.t('admin.overview.series.other_apps'), counts }]
}

function lastOf(counts: (number | null)[]): number {
  return counts.findLast((count) => count !== null) ?? 0
}

function withTable(
  {
    id,
    title,
    names,
    series,
    isGauge,
  }: { id: string; title: string; names: string[]; series: Series[]; isGauge: boolean },
  texts: Texts,
): PlotWithTable {
  const words = (count: number | null) => (count === null ? texts.t('admin.overview.not_read') : texts.number(count))
  const sum = ({ counts }: Series) => counts.reduce<number>((all, count) => all + (count ?? 0), 0)
  const description = series.map((each) => {
    const most = words(Math.max(0, ...each.counts.map((count) => count ?? 0)))
    return isGauge
      ? texts.t('admin.overview.plot_description_gauge', { label: each.label, last: words(lastOf(each.counts)), most })
      : texts.t('admin.overview.plot_description', { label: each.label, sum: words(sum(each)), most })
  })
  const isEmpty = series.every(({ counts }) => counts.every((count) => count === null || count === 0))
  return {
    id,
    title,
    description: description.join(' '),
    plot: isEmpty ? null : drawPlot(names, series),
    head: series.map(({ label }) => label),
    rows: names.map((time, index) => ({ time, counts: series.map(({ counts }) => words(counts[index] ?? null)) })),
    sums: isGauge ? null : series.map((each) => words(sum(each))),
  }
}

/** The short name of a time, in UTC, as the times begin at hours and days of it. */
function nameOf(time: Date, range: keyof typeof RANGES, { language }: Texts): string {
  const options: Intl.DateTimeFormatOptions =
    range === 'month' ? { day: 'numeric', month: 'short' } : { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }
  return new Intl.DateTimeFormat(language, { ...options, timeZone: 'UTC' }).format(time)
}
