/** What makes two spellings of a user name or an address the same one. */
export function keyOf(login: string): string {
  return login.normalize('NFKC').trim().toLowerCase()
}
