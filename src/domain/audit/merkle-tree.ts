import { createHash } from 'node:crypto'

/** The Merkle tree hash of leaves (RFC 9162 §2.1.1, with SHA-256). */
export function merkleRoot(leaves: readonly Uint8Array[]): Buffer {
  return leaves.length === 0 ? createHash('sha256').digest() : rootOf(leaves.map(hashLeaf))
}

function rootOf(hashes: Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0] as Buffer
  // The largest power of two that is smaller than their number.
  const middle = 2 ** Math.floor(Math.log2(hashes.length - 1))
  return createHash('sha256')
    .update(NODE)
    .update(rootOf(hashes.slice(0, middle)))
    .update(rootOf(hashes.slice(middle)))
    .digest()
}

function hashLeaf(leaf: Uint8Array): Buffer {
  return createHash('sha256').update(LEAF).update(leaf).digest()
}

const LEAF = Buffer.of(0)
const NODE = Buffer.of(1)
