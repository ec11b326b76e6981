export interface Manifest extends Record<string, unknown> {
  apiVersion: string
  kind: string
  metadata: { name: string; labels?: Record<string, string> }
}

interface Fault {
  instancePath: string
  message?: string
  keyword: string
  params: { type?: string; missingProperty?: string }
}

interface Validator {
  (data: unknown): boolean
  errors: Fault[] | null
}

/**
 * What is wrong with a manifest by the OpenAPI schemas of Kubernetes (the package kubernetes-models), sorted; unknown fields too, which
 * the API server would ignore without a word. The compiled schemas let them pass: they are the fields that no schema has read.
 */
export async function faultsOfManifest(manifest: Manifest): Promise<string[]> {
  const validate = await findValidator(manifest)
  const read = new Set<string>()
  validate(watch(manifest, '', read))
  const wrong = (validate.errors ?? []).map(({ instancePath, keyword, params, message = keyword }) =>
    keyword === 'type'
      ? `${instancePath} must be ${params.type}`
      : `${instancePath} ${params.missingProperty ?? message}`,
  )
  const faulty = wrong.map((fault) => fault.split(' ', 1)[0] as string)
  const unknown = fieldsOf(manifest, '').filter((path) => !read.has(path))
  return [
    ...new Set(wrong),
    ...unknown
      .filter((path) => !unknown.includes(path.slice(0, path.lastIndexOf('/'))))
      .filter((path) => !faulty.some((each) => each !== '' && path.startsWith(`${each}/`)))
      .map((path) => `${path} is unknown`),
  ].toSorted()
}

async function findValidator({ apiVersion, kind }: Manifest): Promise<Validator> {
  const [version = '', group = 'core'] = apiVersion.split('/').toReversed()
  const title = (word: string) => word.charAt(0).toUpperCase() + word.slice(1)
  const name = `IoK8sApi${title(group.split('.')[0] as string)}${title(version)}${kind}`
  const { validate } = (await import(`kubernetes-models/_schemas/${name}`)) as { validate: Validator }
  return validate
}

/** A copy that notes the path of each field that is read. */
function watch(value: unknown, path: string, read: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value
  return new Proxy(value, {
    get(target, key) {
      const found: unknown = Reflect.get(target, key)
      if (typeof key === 'symbol' || !Object.hasOwn(target, key)) return found
      read.add(`${path}/${key}`)
      return watch(found, `${path}/${key}`, read)
    },
  })
}

function fieldsOf(value: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, each]) => [`${path}/${key}`, ...fieldsOf(each, `${path}/${key}`)])
}
