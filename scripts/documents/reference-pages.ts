import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { format } from 'prettier'
import { stringify } from 'yaml'
import { createProgram } from '../../src/commands/program.ts'
import { sourceOpenApi } from '../../src/identity-source/http/openapi.ts'
import { ROOT } from '../tool.ts'
import { describeAuditEvents } from './audit-events-page.ts'
import { describeCommands } from './commands-page.ts'
import { describeSettings } from './configuration-page.ts'
import { describeFindings } from './doctor-page.ts'
import { exampleSettings } from './environment-example.ts'
import { describeErrors } from './errors-page.ts'

/** What is made from the code, the pages of `docs/` and `.env.example`: their content by their path. */
export async function makeReferencePages(): Promise<Map<string, string>> {
  const pages = new Map([
    ['docs/audit-events.md', describeAuditEvents()],
    ['docs/commands.md', describeCommands(await createProgram())],
    ['docs/configuration.md', describeSettings()],
    ['docs/doctor.md', describeFindings()],
    ['docs/errors.md', describeErrors()],
  ])
  const style = JSON.parse(await readFile(join(ROOT, '.prettierrc.json'), 'utf8')) as object
  for (const [path, text] of pages) pages.set(path, await format(text, { ...style, parser: 'markdown' }))
  const openApi = await format(stringify(sourceOpenApi()), { ...style, parser: 'yaml' })
  return pages.set('docs/identity-source.openapi.yaml', openApi).set('.env.example', exampleSettings())
}
