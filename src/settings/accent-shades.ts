import { createRequire } from 'node:module'

/** What the style sheet needs in one theme. Each is six hexadecimal digits behind a `#`. */
export interface Shades {
  /** Links, and the background of buttons. */
  accent: string
  /** The same while the pointer is over it. */
  accentDeep: string
  onAccent: string
  /** The background of messages and badges, and its edge. */
  accentSoft: string
  accentLine: string
}

/** The shades of one colour in both themes. */
export interface Accent {
  light: Shades
  dark: Shades
}

/** The backgrounds on which links stand, as in `public/style.css`. */
export const BACKGROUNDS = {
  light: ['#f5f4ef', '#ffffff', '#f8f7f3'],
  dark: ['#111513', '#191e1b', '#151a17'],
} as const

/** WCAG 2.2, success criterion 1.4.3. */
export const LEAST_CONTRAST = 4.5

/** How much darker (OKLCH) a colour may become in the light theme, and still be taken for the same. */
const MOST_DARKENED = 0.25
const STEP = 0.005

/**
 * Derives the shades of both themes from one colour. Its hue stays; its lightness changes (OKLCH) until every text has enough
 * contrast. @throws Error whose message is why the colour will not do, with the nearest that would
 */
export function deriveShades(color: string): Accent {
  const own = read(color)
  const light = lightShades(color, own)
  const darkened = own.l - read(light.accent).l
  if (darkened > MOST_DARKENED) {
    const contrast = Math.min(...BACKGROUNDS.light.map((background) => contrastOf(color, background)))
    throw new Error(
      `is too light: as text on the light pages it has a contrast of ${(Math.floor(contrast * 10) / 10).toFixed(1)}:1, and ${LEAST_CONTRAST}:1 is needed; the nearest colour that would do is ${light.accent}`,
    )
  }
  return { light, dark: darkShades(own) }
}

/** Black or white, whichever is easier to read on a colour. One of them always has a contrast of more than 4.5:1. */
export function inkOn(color: string): '#000000' | '#ffffff' {
  return contrastOf(color, '#ffffff') >= LEAST_CONTRAST ? '#ffffff' : '#000000'
}

/** The ratio of WCAG 2. */
export function contrastOf(one: string, other: string): number {
  return library().wcagContrast(one, other)
}

interface Lch {
  l: number
  c: number
  h: number
}

function lightShades(color: string, { l, c, h }: Lch): Shades {
  const accentSoft = hex({ l: 0.95, c: Math.min(c, 0.03), h })
  // Text on the accent is white, which is one of the backgrounds.
  const fits = (each: string) => isReadable(each, [...BACKGROUNDS.light, accentSoft])
  const accent = fits(color) ? color : until(fits, { l, c, h }, -STEP)
  return {
    accent,
    accentDeep: hex({ l: Math.max(0, read(accent).l - 0.08), c, h }),
    onAccent: '#ffffff',
    accentSoft,
    accentLine: hex({ l: 0.85, c: Math.min(c, 0.06), h }),
  }
}

function darkShades({ l, c, h }: Lch): Shades {
  const accentSoft = hex({ l: 0.29, c: Math.min(c, 0.035), h })
  const onAccent = hex({ l: 0.23, c: Math.min(c, 0.04), h })
  const backgrounds = [...BACKGROUNDS.dark, accentSoft, onAccent]
  // Well above the least contrast, as the other colours of the dark theme are.
  const from = { l: Math.max(l, 0.74), c: Math.min(c, 0.14), h }
  const accent = until((each) => isReadable(each, backgrounds), from, STEP)
  return {
    accent,
    accentDeep: hex({ l: Math.min(1, read(accent).l + 0.06), c: from.c, h }),
    onAccent,
    accentSoft,
    accentLine: hex({ l: 0.43, c: Math.min(c, 0.06), h }),
  }
}

function isReadable(color: string, backgrounds: readonly string[]): boolean {
  return backgrounds.every((background) => contrastOf(color, background) >= LEAST_CONTRAST)
}

/** The first shade, by steps of lightness, that holds. */
function until(holds: (color: string) => boolean, { l, c, h }: Lch, step: number): string {
  // White is a little lighter than 1 here.
  for (let each = Math.min(l, 1); each >= 0 && each <= 1; each += step) {
    const shade = hex({ l: each, c, h })
    if (holds(shade)) return shade
  }
  return step < 0 ? '#000000' : '#ffffff'
}

/** In sRGB; where it cannot be that colourful, less so. */
function hex({ l, c, h }: Lch): string {
  const { clampChroma, formatHex } = library()
  return formatHex(clampChroma({ mode: 'oklch', l, c, h }, 'oklch'))
}

function read(color: string): Lch {
  const { l = 0, c = 0, h = 0 } = library().converter('oklch')(color) ?? {}
  return { l, c, h }
}

type Library = typeof import('culori/require')

let loaded: Library | undefined
/** Only a portal with a colour of its own loads it; and in one file, which is a tenth of the library's memory. */
function library(): Library {
  loaded ??= createRequire(import.meta.url)('culori/require') as Library
  return loaded
}
