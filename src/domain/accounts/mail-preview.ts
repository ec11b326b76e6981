// Mail previews: the mails in the folder of development, and every mail with sample data, for the pages that show them. `http/`
// does not import `mail/`.
import { compose, type Composition } from '../../mail/composition.ts'
import { sampleMails } from '../../mail/sample-mails.ts'
import { textsFor } from '../../i18n/texts.ts'
import type { Services } from '../services.ts'

export { findInMailFolder, findMimeInMailFolder, type FolderMail, listMailFolder } from '../../mail/mail-folder.ts'

/** A mail with sample data. */
export interface SampleMail {
  kind: string
  subject: string
}

/** Every mail that the portal sends, in one language. */
export function listSampleMails(services: Services, language: string): SampleMail[] {
  return Object.entries(samplesIn(services, language)).map(([kind, { subject }]) => ({ kind, subject }))
}

/** Null when there is no such mail. */
export async function composeSampleMail(
  services: Services,
  language: string,
  kind: string,
): Promise<(Composition & SampleMail) | null> {
  const mail = new Map(Object.entries(samplesIn(services, language))).get(kind)
  return mail === undefined ? null : { kind, subject: mail.subject, ...(await compose(mail)) }
}

function samplesIn({ brand, publicUrl }: Services, language: string) {
  return sampleMails({ texts: textsFor(language, { organisation: brand.name }), brand }, publicUrl)
}
