// Mail preview: the mails in the folder of development, for the page that shows them. `http/` does not import `mail/`.
export { findInMailFolder, findMimeInMailFolder, type FolderMail, listMailFolder } from '../../mail/mail-folder.ts'
