/**
 * The commands of a shell block as words, one array for each. Parses what documentation uses: quotes, comments, line
 * continuations, and `&&`, `||`, `|`, `;` between commands. Redirections and variables stay words.
 */
export function shellCommands(script: string): string[][] {
  const lines = script.replaceAll(/\\\n\s*/g, ' ').split('\n')
  return lines.flatMap(commandsOf).filter((words) => words.length > 0)
}

function commandsOf(line: string): string[][] {
  const commands: string[][] = [[]]
  for (const [token] of line.matchAll(/(?<=^|\s)#.*|&&|\|\||[|;&]|(?:'[^']*'|"[^"]*"|[^\s'"|;&])+/g)) {
    if (token.startsWith('#')) break
    if (/^[|;&]+$/.test(token)) commands.push([])
    else commands.at(-1)?.push(token.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'))
  }
  return commands
}
