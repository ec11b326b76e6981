/** The text of an `objectGUID`: its first three parts are stored with the last byte first (MS-DTYP §2.3.4). */
export function guidText(bytes: Buffer): string {
  return arranged(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** The bytes of such a text; null where it is none. */
export function guidBytes(text: string): Buffer | null {
  if (!/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)) return null
  return arranged(Buffer.from(text.replaceAll('-', ''), 'hex'))
}

function arranged(bytes: Buffer): Buffer {
  const turned = Buffer.from(bytes)
  turned.writeUInt32BE(bytes.readUInt32LE(0), 0)
  turned.writeUInt16BE(bytes.readUInt16LE(4), 4)
  turned.writeUInt16BE(bytes.readUInt16LE(6), 6)
  return turned
}
