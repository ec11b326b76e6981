import { readFile, writeFile } from 'node:fs/promises'
import { BREACHED_PASSWORDS, packBreachedPasswords } from '../src/domain/passwords/breached-passwords.ts'

// node scripts/pack-breached-passwords.ts <a list, one password a line>; src/domain/passwords/breached-passwords.md says which.
const [list] = process.argv.slice(2)
if (list === undefined) throw new Error('Name the file with the passwords, one a line.')

const packed = packBreachedPasswords((await readFile(list, 'utf8')).split(/\r?\n/))
await writeFile(BREACHED_PASSWORDS, packed)
console.log(`${packed.length} bytes`)
