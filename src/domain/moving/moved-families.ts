import { type MovedTable, names } from './moved-table.ts'

/**
 * Families, all of which end with the import: their refresh tokens are of the old root secret, and two machines with the same
 * family would continue it twice. The rows say to users and apps why it ended.
 */
export const MOVED_FAMILIES: readonly MovedTable[] = [
  {
    table: 'families',
    key: 'id',
    columns:
      names(`id client_id identity_id generation current_hash previous_hash rotated_at earlier_rotations scope claims
      sid acr amr auth_time jkt x5t resources created_at last_used_at idle_expires_at expires_at browser address lifetime
      review_at stale_since claims_version first_rotated_at seen ended_at end_cause end_browser end_address end_generation
      opened_silently replaced_by`),
    leftBehind: { identity_session_id: 'identity sessions stay behind' },
    parts: [
      {
        table: 'ledger_entries',
        of: 'family_id',
        columns: names('family_id kind count first_at last_at generation browser address'),
      },
    ],
  },
  { table: 'erased_families', key: 'id', columns: names('id ended_at') },
]
