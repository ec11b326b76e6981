const { env } = process

export const settings = {
  port: Number(env['PORT'] ?? 4010),
  /** The URL of this service as the portal has it in IDENTITY_SOURCE_URL. Signatures cover it. */
  baseUrl: (env['BASE_URL'] ?? `http://127.0.0.1:${env['PORT'] ?? 4010}`).replace(/\/+$/, ''),
  /** The PUBLIC_URL of the portal, which is told of changes; without it nothing is told. */
  portalUrl: env['PORTAL_URL']?.replace(/\/+$/, ''),
  secret: env['IDENTITY_SOURCE_SECRET'] ?? '',
  database: env['DATABASE'] ?? 'users.sqlite',
}

if (settings.secret.length < 32) {
  console.error(
    'IDENTITY_SOURCE_SECRET: set the one of the portal, of at least 32 characters (openssl rand -base64 32)',
  )
  process.exit(1)
}
