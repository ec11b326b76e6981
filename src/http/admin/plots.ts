import { scaleLinear } from 'd3-scale'
import {
  curveMonotoneX,
  line,
  symbol,
  symbolCircle,
  symbolDiamond,
  symbolSquare,
  symbolTriangle,
  symbolWye,
} from 'd3-shape'

/** One line of a plot. */
export interface Series {
  label: string
  /** A number for each time; null where there is none. */
  counts: (number | null)[]
}

/** What a view draws: everything in the coordinates of an image of `WIDTH` and `HEIGHT`. */
export interface Plot {
  width: number
  height: number
  left: number
  right: number
  bottom: number
  yTicks: { y: number; label: string }[]
  xTicks: { x: number; label: string; anchor: 'start' | 'middle' | 'end' }[]
  /** No two lines have the same marks and dashes, so that nothing depends on colours. */
  lines: { label: string; path: string; mark: string; points: { x: number; y: number }[]; style: number }[]
}

const WIDTH = 340
const HEIGHT = 170
const MARGIN = { top: 10, right: 12, bottom: 24, left: 40 }
const TIMES_NAMED = 4
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact' })
/** The marks of lines; the style sheet has a dash and a colour for each. */
const MARKS = [symbolCircle, symbolSquare, symbolTriangle, symbolDiamond, symbolWye]
export const MOST_LINES = MARKS.length

/** Draws lines over time. @param times the name of each time */
export function drawPlot(times: string[], series: Series[]): Plot {
  const most = Math.max(1, ...series.flatMap(({ counts }) => counts.map((count) => count ?? 0)))
  const y = scaleLinear([0, most], [HEIGHT - MARGIN.bottom, MARGIN.top]).nice(4)
  const x = scaleLinear([0, Math.max(1, times.length - 1)], [MARGIN.left, WIDTH - MARGIN.right])
  // A number of people is whole.
  const ticks = y.ticks(4).filter(Number.isInteger)
  // As short at a million as at ten.
  const format = (count: number) => COMPACT.format(count)
  const path = line<number | null>()
    .defined((count) => count !== null)
    .x((_, index) => round(x(index)))
    .y((count) => round(y(count ?? 0)))
    .curve(curveMonotoneX)
  return {
    width: WIDTH,
    height: HEIGHT,
    left: MARGIN.left,
    right: WIDTH - MARGIN.right,
    bottom: HEIGHT - MARGIN.bottom,
    yTicks: ticks.map((tick) => ({ y: round(y(tick)), label: format(tick) })),
    xTicks: namedTimes(times.length).map((index) => ({
      x: round(x(index)),
      label: times[index] ?? '',
      anchor: index === 0 ? 'start' : index === times.length - 1 ? 'end' : 'middle',
    })),
    lines: series.slice(0, MOST_LINES).map(({ label, counts }, style) => ({
      label,
      path: path(counts) ?? '',
      mark: symbol(MARKS[style], 28)() ?? '',
      points: counts.flatMap((count, index) => (count === null ? [] : [{ x: round(x(index)), y: round(y(count)) }])),
      style,
    })),
  }
}

/** The first time, the last, and some between them. */
function namedTimes(count: number): number[] {
  const gaps = Math.min(TIMES_NAMED, count) - 1
  return [
    ...new Set(Array.from({ length: gaps + 1 }, (_, index) => Math.round((index * (count - 1)) / Math.max(1, gaps)))),
  ]
}

/** To a tenth of a pixel. */
function round(value: number): number {
  return Math.round(value * 10) / 10
}
