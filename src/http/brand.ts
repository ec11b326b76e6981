import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Services } from '../domain/services.ts'
import type { AddedFiles } from './assets.ts'

type Brand = Services['brand']
type Shades = NonNullable<Brand['accent']>['light']

const FAVICON = join(import.meta.dirname, '../../public/favicon.svg')
const EXTENSIONS = { 'image/svg+xml': 'svg', 'image/png': 'png', 'image/webp': 'webp', 'image/jpeg': 'jpg' }

/** What the layout shows of the organisation. Files are names for `assetUrl`. */
export interface BrandOfPages {
  name: string
  /** Null for the logo of the product. */
  logo: string | null
  icon: { file: string; type: string }
  /** Style sheets, to be loaded after ours. */
  styles: string[]
  supportUrl: string | null
  privacyUrl: string | null
  termsUrl: string | null
}

/** Of the product itself. */
export const PRODUCT: BrandOfPages = {
  name: 'Gatehouse',
  logo: null,
  icon: { file: 'favicon.svg', type: 'image/svg+xml' },
  styles: [],
  supportUrl: null,
  privacyUrl: null,
  termsUrl: null,
}

export function brandOfPages(brand: Brand): BrandOfPages {
  const { name, logo, accent, styleFile, supportUrl, privacyUrl, termsUrl } = brand
  const logoFile = logo === null ? null : `logo.${EXTENSIONS[logo.type]}`
  return {
    name,
    logo: logoFile,
    icon: { file: logoFile ?? 'favicon.svg', type: logo?.type ?? 'image/svg+xml' },
    styles: [...(accent === null ? [] : ['brand.css']), ...(styleFile === null ? [] : ['organisation.css'])],
    supportUrl,
    privacyUrl,
    termsUrl,
  }
}

/** The static files that a brand adds. */
export function brandFiles(brand: Brand): AddedFiles {
  const { logo, accent, styleFile } = brand
  return {
    ...(logo === null ? {} : { [`logo.${EXTENSIONS[logo.type]}`]: logo.bytes }),
    ...(accent === null
      ? {}
      : {
          'brand.css': Buffer.from(styleOf(accent)),
          'favicon.svg': Buffer.from(readFileSync(FAVICON, 'utf8').replaceAll('#1f7a5a', accent.light.accent)),
        }),
    ...(styleFile === null ? {} : { 'organisation.css': styleFile }),
  }
}

/** The custom properties of `public/style.css` that are made from the accent colour. */
function styleOf({ light, dark }: NonNullable<Brand['accent']>): string {
  return `:root {${declarationsOf(light)}}\n@media screen and (prefers-color-scheme: dark) {:root {${declarationsOf(dark)}}}\n`
}

function declarationsOf({ accent, accentDeep, onAccent, accentSoft, accentLine }: Shades): string {
  return `--accent:${accent};--accent-deep:${accentDeep};--on-accent:${onAccent};--accent-soft:${accentSoft};--accent-line:${accentLine}`
}
