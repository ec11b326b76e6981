// What a field of a JSON object from elsewhere has, where it has what is expected.

type Json = Record<string, unknown>

export function textIn(object: Json, name: string): string | undefined {
  const value = object[name]
  return typeof value === 'string' ? value : undefined
}

export function objectIn(object: Json, name: string): Json | undefined {
  const value = object[name]
  return isObject(value) ? value : undefined
}

export function objectsIn(object: Json, name: string): Json[] {
  const value = object[name]
  return Array.isArray(value) ? value.filter(isObject) : []
}

export function textsIn(object: Json, name: string): string[] {
  const value = object[name]
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}

/** The object that a text says in JSON, as in a column of a database; undefined where it says none. */
export function objectSaid(text: string | undefined): Json | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
