import type { Argument, Command, Option } from 'commander'

/** `docs/commands.md`: every command with its arguments and options, as `--help` has them. */
export function describeCommands(program: Command): string {
  const commands = leavesOf(program)
  return `# Commands

<!-- Made from the code by "npm run docs". -->

Run them where the portal runs, with its settings: \`npx gatehouse <command>\`, or \`docker compose exec portal node src/gatehouse.ts <command>\`
in the container. They work while the portal runs. \`--help\` explains every command, and \`gatehouse --version\` prints the version.

With \`--json\`, a command prints one JSON document on standard output and nothing else, \`[]\` for an empty list; exports print one line for each
thing. What goes wrong is said on standard error, in sentences, also with \`--json\`, and standard output stays empty, but for the report of \`user import\`. The exit code is 0 after success, also when the reader of
a pipe has left, and 1 after anything else. With \`GATEHOUSE_URL\`, most commands work [from another machine](operations.md#commands-from-another-machine). An application token is the OAuth access token, an RFC 9068 JWT.

| command | what it does |
| --- | --- |
${commands.map((command) => `| [\`${nameOf(command)}\`](#${anchorOf(command)}) | ${cell(command.description())} |`).join('\n')}

${commands.map(describeCommand).join('\n\n')}
`
}

/** The commands that do something: those without commands of their own. */
export function leavesOf(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf)
}

/** Its words after `gatehouse`. */
export function nameOf(command: Command): string {
  const { parent } = command
  if (parent === null) return ''
  return `${nameOf(parent)} ${command.name()}`.trim()
}

function describeCommand(command: Command): string {
  const usage = ['gatehouse', nameOf(command), ...command.registeredArguments.map(placeholder)]
  const options = command.options.filter((option) => !option.hidden)
  return `## ${nameOf(command)}

${command.description()}

\`\`\`text
${[...usage, ...(options.length === 0 ? [] : ['[options]'])].join(' ')}
\`\`\`
${options.length === 0 ? '' : `\n| option | meaning |\n| --- | --- |\n${options.map(describeOption).join('\n')}\n`}`.trimEnd()
}

function describeOption(option: Option): string {
  const preset: unknown = option.defaultValue
  const meaning =
    preset === undefined ? option.description : `${option.description} (default: ${JSON.stringify(preset)})`
  return `| \`${option.flags}\` | ${cell(meaning)} |`
}

function placeholder(argument: Argument): string {
  const name = argument.variadic ? `${argument.name()}...` : argument.name()
  return argument.required ? `<${name}>` : `[${name}]`
}

function anchorOf(command: Command): string {
  return nameOf(command).replaceAll(' ', '-')
}

/** `<` would start a tag, and `|` the next cell. */
function cell(text: string): string {
  return text.replaceAll('<', String.raw`\<`).replaceAll('|', String.raw`\|`)
}
