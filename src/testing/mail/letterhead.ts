import { englishTexts } from '../../i18n/texts.ts'
import type { Letterhead } from '../../mail/mail-content.ts'

/** Of mails whose look does not matter. */
export const letterhead: Letterhead = {
  texts: englishTexts(),
  brand: { name: 'Gatehouse', logo: null, accent: null, supportUrl: null },
}
