/** A table with text in the first column and numbers in the others; ends with a line break. */
export function table(header: string[], rows: string[][]): string {
  const rule = header.map((_, index) => (index === 0 ? '---' : '---:'))
  return [header, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

/** A number without decimals; a dash for none. */
export function whole(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : String(Math.round(value))
}

/** A number with two decimals; a dash for none. */
export function exact(value: number | null): string {
  return value === null ? '–' : value.toFixed(2)
}
