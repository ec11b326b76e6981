import { Attribute, BerWriter, Change, ConstraintViolationError, UnwillingToPerformError } from 'ldapts'
import type { SourcePasswordChange } from '../../domain/identity-source.ts'
import type { Connection } from './connection.ts'
import type { DirectoryKind } from './directory-kind.ts'

/** Sets the password of this DN. Its rules are those of the directory, which says no where one is broken. */
export async function changePassword(
  connection: Connection,
  dn: string,
  password: string,
  kind: DirectoryKind,
): Promise<SourcePasswordChange> {
  if (password === '') return { kind: 'refused', reason: 'the password is empty' }
  try {
    if (kind.name === 'Active Directory') await connection.modify(dn, replaceUnicodePassword(password))
    else await connection.extended(PASSWORD_MODIFY, passwordModification(dn, password))
    return { kind: 'changed' }
  } catch (error) {
    if (error instanceof ConstraintViolationError || error instanceof UnwillingToPerformError)
      // ldapts puts the number of the result behind the words of the directory.
      return { kind: 'refused', reason: error.message.replace(/\s*Code: 0x[\da-f]+$/i, '') }
    throw error
  }
}

/** RFC 3062. */
const PASSWORD_MODIFY = '1.3.6.1.4.1.4203.1.11.1'

function passwordModification(dn: string, password: string): Buffer {
  const writer = new BerWriter()
  writer.startSequence()
  writer.writeString(dn, 0x80)
  writer.writeString(password, 0x82)
  writer.endSequence()
  return writer.buffer
}

/** In quotation marks, in UTF-16 (MS-ADTS §3.1.1.3.1.5). */
function replaceUnicodePassword(password: string): Change {
  const value = Buffer.from(`"${password}"`, 'utf16le')
  return new Change({ operation: 'replace', modification: new Attribute({ type: 'unicodePwd', values: [value] }) })
}
