/** The links of a mail: in its text, each stands alone on a line. */
export function linksIn(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => /^https?:\/\/\S+$/.test(line))
}
