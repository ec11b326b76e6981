import { END_CAUSES } from '../../src/domain/endings/end-causes.ts'
import { REFUSAL_REASONS } from '../../src/domain/refusals.ts'
import { type KindOfEvent, OPERATOR_KINDS, PERSONAL_KINDS } from '../../src/storage/audit-kinds.ts'

/** `docs/audit-events.md`: the closed list of what the audit log may say. */
export function describeAuditEvents(): string {
  return `# Audit events

<!-- Made from the code by "npm run docs". -->

Every event of the [audit log](audit.md) is of one of these kinds. A new version may add some; none is renamed.

## Fields

| field | what it says |
| --- | --- |
| \`id\` | a number that grows; some are left out |
| \`at\` | when it happened, in UTC |
| \`kind\` | what happened: one of the kinds below |
| \`identity_id\`, \`username\` | the account it is about, and the user name that it has now |
| \`client_id\`, \`app_name\` | the app it is about, and the name that it has now |
| \`family_id\` | the connection of the app |
| \`identity_session_id\` | the sign-in of the browser |
| \`cause\` | why something ended or was refused: one of the words below |
| \`detail\` | depends on the kind |
| \`browser\`, \`address\` | the User-Agent header and the IP address of the user; null where no browser took part |
| \`actor\`, \`actor_id\`, \`actor_address\` | the operator, by name and by the id of the account or service, and from which IP address; null for what users, apps and time do |

Erasing an account empties \`identity_id\`, \`family_id\`, \`identity_session_id\`, \`detail\`, \`browser\` and \`address\`. What was typed as a login that no account has is never written down.

## What happens to an account

Its user reads it on the activity page.

${table(PERSONAL_KINDS)}

## What operators do

${table(OPERATOR_KINDS)}

## Why a sign-in was refused

The \`cause\` of \`sign_in_refused\`, \`second_factor_refused\` and \`confirmation_refused\`. Of what is refused without a check at most 60 events an hour are written for an IP address (IPv6: its /64).

${rows(Object.entries(REFUSAL_REASONS))}

## Why something ended

The \`cause\` of \`signed_out\`, \`session_ended\` and \`family_ended\` is one of ${Object.keys(END_CAUSES)
    .toSorted()
    .map((cause) => `\`${cause}\``)
    .join(', ')}. The words for them are in [errors](errors.md).
`
}

function table(kinds: Record<string, KindOfEvent>): string {
  const lines = Object.entries(kinds).map(
    ([kind, { meaning, detail }]) => `| \`${kind}\` | ${meaning} | ${detail ?? ''} |`,
  )
  return ['| kind | meaning | `detail` |', '| --- | --- | --- |', ...lines].join('\n')
}

function rows(words: [string, string][]): string {
  return [
    '| cause | meaning |',
    '| --- | --- |',
    ...words.map(([word, meaning]) => `| \`${word}\` | ${meaning} |`),
  ].join('\n')
}
