// audit/: the seal of the audit log, its verification, its retention, and sending it to a SIEM.
//
// It owns how audit events become Merkle checkpoints, what a checkpoint proves, and how far a receiver has got.
// It leaves writing an event to the rule it is about, searching to `audit-search.ts`, and sending to `backchannel/`.

import { createHash, createHmac, sign, verify } from 'node:crypto'
import type { CheckpointRow, SealedRow } from '../../storage/audit-seals.ts'
import type { AuditKeys } from '../keys/audit-keys.ts'
import { merkleRoot } from './merkle-tree.ts'

/** What is sealed of one event: its id, the hash of the columns that last, and a keyed hash of all columns. */
export interface Leaf {
  id: string
  lasting: Buffer
  keyed: Buffer
}

const ID_BYTES = 8
const HASH_BYTES = 32
const LEAF_BYTES = ID_BYTES + 2 * HASH_BYTES
/** What the first checkpoint has in place of the hash of the one before it. */
export const NO_CHECKPOINT = Buffer.alloc(HASH_BYTES)

/**
 * The leaf of an event. Its personal columns are in the keyed hash alone: it can be kept when they are erased, because without
 * the key not even an IP address can be found by trying all of them.
 */
export function leafOf({ id, lasting, personal }: SealedRow, keys: AuditKeys): Leaf {
  const hash = createHash('sha256').update('gatehouse audit event 1\0').update(encode(lasting)).digest()
  const keyed = createHmac('sha256', keys.hashing).update('personal\0').update(hash).update(encode(personal)).digest()
  return { id, lasting: hash, keyed }
}

/** Proof that an event was emptied by an erasure. Only a process with the key can make one. */
export function erasureProofOf(id: string, keys: AuditKeys): Buffer {
  return createHmac('sha256', keys.hashing).update(`erased\0${id}`).digest()
}

export function packLeaves(leaves: readonly Leaf[]): Buffer {
  return Buffer.concat(leaves.map(bytesOf))
}

/** Null for bytes that are no leaves. */
export function unpackLeaves(packed: Buffer): Leaf[] | null {
  if (packed.length % LEAF_BYTES !== 0) return null
  return Array.from({ length: packed.length / LEAF_BYTES }, (_, index) => {
    const leaf = packed.subarray(index * LEAF_BYTES, (index + 1) * LEAF_BYTES)
    return {
      id: leaf.readBigUInt64BE().toString(),
      lasting: leaf.subarray(ID_BYTES, ID_BYTES + HASH_BYTES),
      keyed: leaf.subarray(ID_BYTES + HASH_BYTES),
    }
  })
}

export function rootOf(leaves: readonly Leaf[]): Buffer {
  return merkleRoot(leaves.map(bytesOf))
}

/** What a checkpoint says, apart from what is computed of it. */
type Statement = Pick<CheckpointRow, 'number' | 'fromId' | 'toId' | 'at' | 'count' | 'root' | 'previous'>

/** Names a checkpoint and, through the hash of the one before it, everything before it. */
export function checkpointHash({ number, fromId, toId, at, count, root, previous }: Statement): Buffer {
  const said = ['gatehouse audit checkpoint 1', number, fromId, toId, String(Number(at)), String(count)]
  return createHash('sha256')
    .update(encode([...said, root.toString('hex'), previous.toString('hex')]))
    .digest()
}

/** The checkpoint of these events, after `newest`. */
export function makeCheckpoint(
  newest: Pick<CheckpointRow, 'number' | 'toId' | 'hash'> | null,
  leaves: readonly [Leaf, ...Leaf[]],
  at: Date,
  keys: AuditKeys,
): Omit<CheckpointRow, 'prunedSignature'> {
  const statement = {
    number: String(BigInt(newest?.number ?? 0) + 1n),
    fromId: String(BigInt(newest?.toId ?? 0) + 1n),
    toId: (leaves.at(-1) as Leaf).id,
    at,
    count: leaves.length,
    root: rootOf(leaves),
    previous: newest?.hash ?? NO_CHECKPOINT,
  }
  const hash = checkpointHash(statement)
  return { ...statement, leaves: packLeaves(leaves), hash, signature: signatureOf('sealed', hash, keys) }
}

/** The signature of a checkpoint, and the one that says that the events up to it were deleted by the retention. */
export function signatureOf(act: SignedAct, hash: Buffer, keys: AuditKeys): Buffer {
  return sign(null, signed(act, hash), keys.signing)
}

export function isSigned(act: SignedAct, hash: Buffer, signature: Buffer, keys: AuditKeys): boolean {
  return verify(null, signed(act, hash), keys.verification, signature)
}

type SignedAct = 'sealed' | 'pruned'

function signed(act: SignedAct, hash: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`gatehouse audit ${act} 1\0`), hash])
}

function bytesOf({ id, lasting, keyed }: Leaf): Buffer {
  const idBytes = Buffer.alloc(ID_BYTES)
  idBytes.writeBigUInt64BE(BigInt(id))
  return Buffer.concat([idBytes, lasting, keyed])
}

/** Each value with its length, so that no two lists have the same bytes; null is not the empty text. */
function encode(values: readonly (string | null)[]): Buffer {
  return Buffer.concat(
    values.flatMap((value) => {
      if (value === null) return [NULL]
      const text = Buffer.from(value)
      const head = Buffer.of(1, 0, 0, 0, 0)
      head.writeUInt32BE(text.length, 1)
      return [head, text]
    }),
  )
}

const NULL = Buffer.of(0)
