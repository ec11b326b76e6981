/** One part of a test run that is divided over machines: the `part`th of `of`, counted from 1. */
export interface Shard {
  part: number
  of: number
}

export const WHOLE: Shard = { part: 1, of: 1 }

/** Reads `2/3`. @throws Error for anything else */
export function readShard(text: string): Shard {
  const [, part, of] = /^([1-9]\d?)\/([1-9]\d?)$/.exec(text) ?? []
  const shard = { part: Number(part), of: Number(of) }
  if (!(shard.part <= shard.of)) throw new Error(`--shard is ${text}, and should be like 1/3`)
  return shard
}

/** Every name is in exactly one shard. Neighbours are in different ones, because the tests of a folder cost about the same. */
export function shardOf(names: string[], { part, of }: Shard): string[] {
  return names.toSorted().filter((_, index) => index % of === part - 1)
}

export function describeShard({ part, of }: Shard): string {
  return `${part}/${of}`
}
