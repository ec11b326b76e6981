import { API_OPERATIONS } from './apis.ts'
import { APP_OPERATIONS } from './apps.ts'
import { FAMILY_OPERATIONS } from './families.ts'
import { GROUP_OPERATIONS } from './groups.ts'
import { IDENTITY_OPERATIONS } from './identities.ts'
import { INVITATION_OPERATIONS } from './invitations.ts'

/** Every operation, by its name. */
export const OPERATIONS = {
  ...API_OPERATIONS,
  ...APP_OPERATIONS,
  ...FAMILY_OPERATIONS,
  ...GROUP_OPERATIONS,
  ...IDENTITY_OPERATIONS,
  ...INVITATION_OPERATIONS,
}
