/** The settings of Notes. A missing secret stops it here, before anything listens. */
export const settings = readSettings(process.env)

function readSettings(env: NodeJS.ProcessEnv) {
  const port = Number(env.NOTES_PORT ?? 4001)
  const appId = env.CLIENT_ID ?? 'notes'
  const appSecret = env.CLIENT_SECRET
  if (!appSecret) {
    console.error('Notes needs CLIENT_SECRET: the secret that `gatehouse app create` printed for it.')
    process.exit(1)
  }

  const issuer = new URL(env.ISSUER ?? 'http://localhost:3000')
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    issuer,
    appId,
    appSecret,
    /** The audience of this app's application tokens, as `gatehouse app show` prints it. */
    audience: env.AUDIENCE ?? new URL(`/apps/${appId}`, issuer).href,
  }
}
