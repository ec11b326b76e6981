// The mails that have landed in the folder of development, for the page that shows them: it does not know the mail room.
export { findInOutbox, findMimeInOutbox, listOutbox, type OutboxMail } from '../../mail/mail-folder.ts'
