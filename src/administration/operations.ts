import { API_OPERATIONS } from './apis.ts'
import { APP_OPERATIONS } from './apps.ts'
import { GROUP_OPERATIONS } from './groups.ts'
import { INVITATION_OPERATIONS } from './invitations.ts'

/** Every operation, by its name. */
export const OPERATIONS = {
  ...API_OPERATIONS,
  ...APP_OPERATIONS,
  ...GROUP_OPERATIONS,
  ...INVITATION_OPERATIONS,
}
