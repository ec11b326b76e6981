/** A table whose first column is words and whose others are figures; ends with a line break. */
export function table(header: string[], rows: string[][]): string {
  const rule = header.map((_, index) => (index === 0 ? '---' : '---:'))
  return [header, rule, ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('')
}

/** A figure without a fraction; a dash where there is none. */
export function whole(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : String(Math.round(value))
}

/** A figure with two digits of fraction; a dash where there is none. */
export function exact(value: number | null): string {
  return value === null ? '–' : value.toFixed(2)
}
