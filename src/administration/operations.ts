import { API_OPERATIONS } from './apis.ts'
import { APP_OPERATIONS } from './apps.ts'
import { FAMILY_OPERATIONS } from './families.ts'
import { AUDIT_EVENT_OPERATIONS } from './audit-events.ts'
import { AUDIT_VERIFICATION_OPERATIONS } from './audit-verification.ts'
import { FINDING_OPERATIONS } from './findings.ts'
import { GROUP_OPERATIONS } from './groups.ts'
import { IDENTITY_OPERATIONS } from './identities.ts'
import { IMPORT_OPERATIONS } from './imports.ts'
import { INVITATION_OPERATIONS } from './invitations.ts'
import { IP_BLOCK_OPERATIONS } from './ip-blocks.ts'
import { MAIL_OPERATIONS } from './mails.ts'
import { NOTIFICATION_OPERATIONS } from './notifications.ts'
import { ROOT_SECRET_OPERATIONS } from './root-secrets.ts'
import { SIGNING_KEY_OPERATIONS } from './signing-keys.ts'
import { STATISTICS_OPERATIONS } from './statistics.ts'
import { IDENTITY_PROVIDER_OPERATIONS } from './identity-providers.ts'
import { REGISTRATION_OPERATIONS } from './registration.ts'

/** Every operation, by its name. */
export const OPERATIONS = {
  ...API_OPERATIONS,
  ...APP_OPERATIONS,
  ...FAMILY_OPERATIONS,
  ...GROUP_OPERATIONS,
  ...IDENTITY_OPERATIONS,
  ...IMPORT_OPERATIONS,
  ...INVITATION_OPERATIONS,
  ...IP_BLOCK_OPERATIONS,
  ...NOTIFICATION_OPERATIONS,
  ...MAIL_OPERATIONS,
  ...AUDIT_EVENT_OPERATIONS,
  ...AUDIT_VERIFICATION_OPERATIONS,
  ...SIGNING_KEY_OPERATIONS,
  ...ROOT_SECRET_OPERATIONS,
  ...STATISTICS_OPERATIONS,
  ...IDENTITY_PROVIDER_OPERATIONS,
  ...REGISTRATION_OPERATIONS,
  ...FINDING_OPERATIONS,
}
