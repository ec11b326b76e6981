import { Command } from 'commander'
import { addServeCommand } from './serve.ts'
import { readVersion } from '../domain/version.ts'

/** The command line with `serve` alone, so that serving processes do not load the modules of the other commands. */
export function createServeProgram(): Command {
  const program = new Command('gatehouse')
    .description('A self-hosted identity portal.')
    .version(readVersion())
    .showHelpAfterError()
    .exitOverride()
  addServeCommand(program)
  return program
}

/** The command line with every command. */
export async function createProgram(): Promise<Command> {
  const program = createServeProgram()
  const { addDoctorCommand } = await import('./doctor.ts')
  const { addMigrateCommand } = await import('./migrate.ts')
  const { addAppCommands } = await import('./app.ts')
  const { addApiCommands } = await import('./api.ts')
  const { addUserCommands } = await import('./user.ts')
  const { addGroupCommands } = await import('./group.ts')
  const { addAdminCommands, addInvitationCommands } = await import('./invitation.ts')
  const { addIdentityProviderCommands } = await import('./identity-provider.ts')
  const { addRegistrationCommands } = await import('./registration.ts')
  const { addFamilyCommands } = await import('./family.ts')
  const { addAuditCommands } = await import('./audit.ts')
  const { addKeysCommands } = await import('./keys.ts')
  const { addSuspensionCommands } = await import('./suspension.ts')
  const { addNoticeCommands } = await import('./notice.ts')
  const { addIdentitySourceCommands } = await import('./identity-source.ts')
  const { addMovingCommands } = await import('./moving.ts')
  const { addWorkerCommand } = await import('./worker.ts')
  addDoctorCommand(program)
  addMigrateCommand(program)
  addAppCommands(program)
  addApiCommands(program)
  addUserCommands(program)
  addGroupCommands(program)
  addInvitationCommands(program)
  addAdminCommands(program)
  addIdentityProviderCommands(program)
  addRegistrationCommands(program)
  addFamilyCommands(program)
  addAuditCommands(program)
  addKeysCommands(program)
  addSuspensionCommands(program)
  addNoticeCommands(program)
  addIdentitySourceCommands(program)
  addMovingCommands(program)
  addWorkerCommand(program)
  return program
}
