type Fields = Record<string, string>

/** The bytes of a GET on a kept connection. */
export function getRequest(host: string, path: string, headers: Fields = {}): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines(headers)}\r\n`
}

/** The bytes of a posted form; every value in it is plain ASCII once it is encoded. */
export function formRequest(host: string, path: string, form: string, headers: Fields = {}): string {
  return `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines(headers)}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${form.length}\r\n\r\n${form}`
}

/** The bytes of posted JSON; every value in it is plain ASCII. */
export function jsonRequest(host: string, path: string, body: object, headers: Fields = {}): string {
  const json = JSON.stringify(body)
  return `POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines(headers)}Content-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`
}

/** How a confidential app says who it is (RFC 6749 §2.3.1). */
export function basicAuthorization({ id, secret }: { id: string; secret: string }): Fields {
  return { Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` }
}

function lines(headers: Fields): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')
}
