import { spawnSync } from 'node:child_process'

/** A user that no machine knows. */
const UNKNOWN_ID = 12_345

export interface ConfinedCommand {
  program: string
  args: string[]
}

/**
 * A command as a read-only container runs it: as an unknown user without any capability, who can write to the folder `writable` alone.
 * Where this process may not mount, files are protected by their owner alone. Needs root and Linux.
 */
export function confine(command: ConfinedCommand, writable: string): ConfinedCommand {
  const ids = [
    `--reuid=${UNKNOWN_ID}`,
    `--regid=${UNKNOWN_ID}`,
    '--clear-groups',
    '--no-new-privs',
    '--bounding-set=-all',
  ]
  const asUnknown = ['setpriv', ...ids, command.program, ...command.args]
  return mayMount()
    ? { program: 'unshare', args: ['--mount', 'sh', '-c', READ_ONLY, 'sh', writable, ...asUnknown] }
    : { program: 'sh', args: ['-c', 'chmod 1777 "$1"; shift; exec "$@"', 'sh', writable, ...asUnknown] }
}

/** Whether file systems can be made read-only for one process: many containers do not allow it. */
export function mayMount(): boolean {
  return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
}

/** Leaves the kernel's own file systems and devices alone, as Docker does. */
const READ_ONLY = `
set -eu
writable=$1
shift
while read -r _ point _; do
  case $point in
    /proc | /proc/* | /sys | /sys/* | /dev | /dev/*) ;;
    *) mount -o remount,bind,ro "$point" ;;
  esac
done </proc/self/mounts
mount -t tmpfs -o mode=1777 tmpfs "$writable"
exec "$@"
`
