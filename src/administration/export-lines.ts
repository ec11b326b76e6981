/** One line of a CSV file (RFC 4180). A value that a spreadsheet would compute as a formula gets an apostrophe before it. */
export function csvLine(values: (string | null)[]): string {
  return `${values.map(cell).join(',')}\r\n`
}

function cell(value: string | null): string {
  if (value === null) return ''
  const plain = /^[=+\-@\t\r\n＝＋－＠]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain
}

/** One line of a file of JSON lines. */
export function jsonLine(value: object): string {
  return `${JSON.stringify(value)}\n`
}
