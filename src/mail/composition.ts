import { join } from 'node:path'
import ejs from 'ejs'
import type { MailContent } from './mail-content.ts'

const VIEW = join(import.meta.dirname, '../../views/mail/message.ejs')
const WIDTH = 72
const ACCENT = {
  light: { accent: '#17694d', onAccent: '#ffffff' },
  dark: { accent: '#7ccfae', onAccent: '#0a2218' },
}
/** The id of the logo inside the mail (RFC 2392). */
export const LOGO_ID = 'logo'

export interface Composition {
  /** A BCP 47 tag. */
  language: string
  text: string
  html: string
  /** A PNG that the HTML shows; null for none. */
  logo: Buffer | null
}

/** The text and the HTML of a mail, made of one structure so that both say the same. */
export async function compose(message: MailContent): Promise<Composition> {
  const { texts, brand, subject, heading, paragraphs, facts = [], links = [], closing = [] } = message
  const logo = brand.logo?.type === 'image/png' ? brand.logo.bytes : null
  const locals = {
    t: texts.t,
    name: brand.name,
    language: texts.language,
    direction: texts.direction,
    accent: brand.accent ?? ACCENT,
    logo: logo && `cid:${LOGO_ID}`,
    help: brand.supportUrl,
    subject,
    heading,
    paragraphs,
    facts,
    links,
    closing,
  }
  return {
    language: texts.language,
    text: textOf(message),
    html: await ejs.renderFile(VIEW, locals, { cache: true }),
    logo,
  }
}

function textOf({
  texts: { t },
  brand,
  heading,
  paragraphs,
  facts = [],
  links = [],
  closing = [],
}: MailContent): string {
  // A URL stands alone on its line, so that no mail program takes a full stop into it.
  const linked = (label: string, url: string) => `${wrap(t('mail.label', { label }))}\n${url}`
  const parts = [
    brand.name,
    wrap(heading),
    ...paragraphs.map((paragraph) => wrap(paragraph)),
    facts.map(([label, value]) => wrap(t('mail.fact', { label, value }), '    ')).join('\n'),
    ...links.map(({ label, url }) => linked(label, url)),
    ...closing.map((sentence) => wrap(sentence)),
    `-- \n${wrap(t('mail.no_reply'))}`,
    ...(brand.supportUrl === null ? [] : [linked(t('mail.help'), brand.supportUrl)]),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

/** Lines of at most 72 characters; a longer word has a line of its own. Those after the first begin with `indent`. */
function wrap(text: string, indent = ''): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/).filter((word) => word !== '')) {
    const longer = line === '' ? word : `${line} ${word}`
    if (line === '' || longer.length <= WIDTH) {
      line = longer
    } else {
      lines.push(line)
      line = `${indent}${word}`
    }
  }
  return [...lines, line].join('\n')
}
