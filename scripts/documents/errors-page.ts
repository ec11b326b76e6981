import { type ErrorEntry, ERROR_SECTIONS } from '../../src/http/error-reference.ts'

/** `docs/errors.md`: what the portal itself shows at `/docs/errors`, with the same anchors. */
export function describeErrors(): string {
  return `# Errors

<!-- Made from the code by "npm run docs". -->

Every portal has this page at \`/docs/errors\`. Error pages link to it, and so does \`error_uri\` in the JSON answers of OAuth endpoints.
An application token is the OAuth access token, an RFC 9068 JWT.

${ERROR_SECTIONS.map(({ title, intro, entries }) => `## ${title}\n\n${intro}\n\n${table(entries)}`).join('\n\n')}
`
}

function table(entries: ErrorEntry[]): string {
  const rows = entries.map(
    ({ anchor, name, meaning, remedy }) => `| <a id="${anchor}"></a>\`${name}\` | ${cell(meaning)} | ${cell(remedy)} |`,
  )
  return ['| | meaning | what to do |', '| --- | --- | --- |', ...rows].join('\n')
}

/** Placeholders and names of ours are not HTML or emphasis. */
function cell(text: string): string {
  return text.replaceAll('<', String.raw`\<`).replaceAll('_', String.raw`\_`)
}
