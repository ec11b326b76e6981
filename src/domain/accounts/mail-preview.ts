// The mails that have landed in the folder of development, for the page that shows them: it does not know the mail room.
export {
  findInMailFolder as findInOutbox,
  findMimeInMailFolder as findMimeInOutbox,
  listMailFolder as listOutbox,
  type FolderMail as OutboxMail,
} from '../../mail/mail-folder.ts'
