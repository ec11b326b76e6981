import { join } from 'node:path'
import ejs from 'ejs'
import type { MailContent } from './mail-content.ts'

const VIEW = join(import.meta.dirname, '../../views/mail/message.ejs')
const WIDTH = 72
const FOOTER = 'This message was sent by a program. Answers to it are not read.'

export interface Composition {
  text: string
  html: string
}

/** The text and the HTML of a mail, made of one structure so that both say the same. */
export async function compose(message: MailContent): Promise<Composition> {
  const { subject, heading, paragraphs, facts = [], buttons = [], closing = [] } = message
  return {
    text: textOf(message),
    html: await ejs.renderFile(
      VIEW,
      { subject, heading, paragraphs, facts, buttons, closing, footer: FOOTER },
      { cache: true },
    ),
  }
}

function textOf({ heading, paragraphs, facts = [], buttons = [], closing = [] }: MailContent): string {
  const parts = [
    wrap(heading),
    ...paragraphs.map((paragraph) => wrap(paragraph)),
    facts.map(([label, value]) => wrap(`${label}: ${value}`, '    ')).join('\n'),
    // A URL stands alone on its line, so that no mail program takes a full stop into it.
    ...buttons.map(({ label, url }) => `${wrap(`${label}:`)}\n${url}`),
    ...closing.map((sentence) => wrap(sentence)),
    `-- \n${FOOTER}`,
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
