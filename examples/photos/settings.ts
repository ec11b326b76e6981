/** The settings of Photos, without a secret: everything it serves is public. */
export const settings = readSettings(process.env)

function readSettings(env: NodeJS.ProcessEnv) {
  const port = Number(env.PHOTOS_PORT ?? 4002)
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    issuer: new URL(env.ISSUER ?? 'http://localhost:3000'),
    appId: env.CLIENT_ID ?? 'photos',
  }
}
