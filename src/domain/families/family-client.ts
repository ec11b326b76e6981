import type { FamilyRow } from '../../storage/families.ts'
import { message, type Words } from '../../i18n/messages.ts'
import { browserMessage, programMessage } from '../user-agents.ts'
import { DEVICE_LIFETIME } from './device-families.ts'

/** What a family was opened in: "Firefox on Linux", or "A device (TV/2.1)". */
export function familyClient({ lifetime, browser }: Pick<FamilyRow, 'lifetime' | 'browser'>): Words {
  if (lifetime !== DEVICE_LIFETIME) return browserMessage(browser)
  const program = programMessage(browser)
  return program === null ? message('browsers.device') : message('browsers.device_with', { program })
}
