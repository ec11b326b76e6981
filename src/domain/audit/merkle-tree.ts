import { hash } from 'node:crypto'

/** The Merkle tree hash of leaves (RFC 9162 §2.1.1, with SHA-256). */
export function merkleRoot(leaves: readonly Uint8Array[]): Buffer {
  return leaves.length === 0 ? sha256() : rootOf(leaves.map(hashLeaf))
}

function rootOf(hashes: Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0] as Buffer
  // The largest power of two that is smaller than their number.
  const middle = 2 ** Math.floor(Math.log2(hashes.length - 1))
  return sha256(NODE, rootOf(hashes.slice(0, middle)), rootOf(hashes.slice(middle)))
}

function hashLeaf(leaf: Uint8Array): Buffer {
  return sha256(LEAF, leaf)
}

function sha256(...parts: Uint8Array[]): Buffer {
  return hash('sha256', Buffer.concat(parts), 'buffer')
}

const LEAF = Buffer.of(0)
const NODE = Buffer.of(1)
