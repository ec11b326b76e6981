import type { Setting } from '../../src/settings/setting.ts'
import { SECTIONS } from '../../src/settings/settings.ts'
import { defaultInWords } from './default-in-words.ts'

/** `docs/configuration.md`: every setting, as its table has them. */
export function describeSettings(): string {
  return [
    '# Configuration',
    '<!-- Made from the code by "npm run docs". -->',
    `Every setting is an environment variable. All of them are optional in development. In production \`PUBLIC_URL\` and \`GATEHOUSE_SECRET\` must be set. If any setting is wrong, startup fails with one message that lists every problem and shows no value. An empty variable counts as one that is not set.`,
    [
      '- **`.env`.** In development the portal and every command read the file `.env` in the current folder. [`.env.example`](../.env.example) lists what it can hold. What the environment says takes precedence. In production no file is read unless `ENV_FILE` names one.',
      '- **Secrets from files.** A setting marked _secret_ can also be given as `<name>_FILE`, the path of a file that holds it, as Docker and Kubernetes mount them.',
      '- **Older names.** They keep working. If a setting and its older name are set to different values, startup fails.',
      '- **Misspelt names.** A variable that resembles a setting, such as `SMTP_URI`, is named in a warning when the portal starts.',
    ].join('\n'),
    `Sections: ${Object.keys(SECTIONS)
      .map((title) => `[${title}](#${title.toLowerCase().replaceAll(' ', '-')})`)
      .join(', ')}.`,
    ...Object.entries(SECTIONS).flatMap(([title, settings]) => [
      `## ${title}`,
      ...Object.entries(settings).flatMap(([name, each]) => describe(name, each)),
    ]),
  ]
    .map((block) => `${block}\n`)
    .join('\n')
}

function describe(name: string, each: Setting): string[] {
  const { type, meaning, example, isSecret, aliases = [] } = each
  const facts = [
    `Value: ${type.words}`,
    `Default: ${defaultInWords(each)}`,
    ...(example === '' ? [] : [`Example: \`${name}=${example}\``]),
    ...(isSecret === true ? [`_Secret_: also as \`${name}_FILE\``] : []),
    ...aliases.map((alias) => `Older name: \`${alias}\``),
  ]
  return [`### \`${name}\``, meaning, facts.map((fact) => `- ${fact}`).join('\n')]
}
