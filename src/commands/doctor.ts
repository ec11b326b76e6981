import type { Command } from 'commander'
import { OPERATIONS } from '../administration/operations.ts'
import { examineHere, examineSettings } from '../doctor/here.ts'
import type { Checkup, Finding } from '../domain/findings.ts'
import { CommandRefused } from './command-refused.ts'
import { RemotePortal } from './remote-portal.ts'
import { readRemoteSettings, sayRemote } from './remote-settings.ts'
import { sayPortal } from './started-portal.ts'

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('Find what is wrong with how the portal is set up and run, and name the line to change.')
    .option('--json', 'print JSON and nothing else')
    .action(async ({ json }: { json?: boolean }) => {
      const checkup = await examinePortal()
      if (json) process.stdout.write(`${JSON.stringify(checkup)}\n`)
      else say(checkup)
      const { findings, checked } = checkup
      if (findings.length > 0) throw new CommandRefused(`gatehouse: ${findings.length} to change`)
      if (!json) process.stderr.write(`gatehouse: nothing has to change; checked: ${checked.join(', ')}\n`)
    })
}

/** What the doctor finds about the portal of this machine, or of the portal that GATEHOUSE_URL names. */
async function examinePortal(): Promise<Checkup> {
  const remote = readRemoteSettings()
  if (remote !== null) {
    sayRemote(remote)
    return new RemotePortal(remote).perform(OPERATIONS.listFindings, {})
  }
  const config = examineSettings(process.env)
  if ('checked' in config) return config
  sayPortal(config)
  return examineHere(config, process.env)
}

/** What has to change on standard output, the rest beside it. */
function say({ findings, hints }: Checkup): void {
  for (const each of findings) process.stdout.write(`${inWords(each)}\n`)
  for (const each of hints) process.stderr.write(`${inWords(each)}\n`)
}

function inWords({ severity, code, sentence, change }: Finding): string {
  return `${severity} ${code}: ${sentence}\n    ${change}`
}
