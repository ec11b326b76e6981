import { FINDING_CODES, FINDINGS } from '../../src/domain/findings.ts'

/** `docs/doctor.md`: how to use the doctor, and everything that it finds. */
export function describeFindings(): string {
  return `# gatehouse doctor

<!-- Made from the code by "npm run docs". -->

\`gatehouse doctor\` looks for what is wrong with how a portal is set up and run, and names the line to change. Run it after a change of settings, proxy,
certificate or mail server, and once a day:

\`\`\`
$ gatehouse doctor
warning trust_proxy_off: There is one proxy (10.0.0.2), and TRUST_PROXY is off: all clients count as 10.0.0.2.
    TRUST_PROXY=1
\`\`\`

- **Exit code**: 0 when nothing has to change, 1 when there is an error or a warning. Hints, which are printed to standard error, do not count.
- **\`--json\`** prints one object: \`findings\` (errors and warnings), \`hints\`, and \`checked\`. A finding has a \`code\`, a \`severity\`, a \`sentence\` and the \`change\`. Codes stay the same.
- **Where**: on the machine of the portal, with its settings. It works while the portal runs or not, with wrong settings, and without a database: each is a finding. With [\`GATEHOUSE_URL\`](configuration.md#gatehouse_url) the portal examines itself, as it does for \`/admin/doctor\` and the admin API (\`/findings\`).
- **It changes nothing** and migrates nothing, says no secret, and ends within a minute. What could not be checked is a finding, too (\`not_checked\`).
- **What it sends**: to \`PUBLIC_URL\` a request that only a holder of the root secret can make, which the portal answers with how it arrived; a login to the mail server, but no mail; to each back-channel URI of an app a notification without a token, which an app refuses; to its home and JWKS URIs, and the origins of its redirect URIs, a GET. The SSRF guard of [notifications](notifications.md) holds for all URIs of apps.
- The overview of the admin pages shows what is found without asking other servers.

## Findings

| code | severity | means | line to change, for example |
| --- | --- | --- | --- |
${FINDING_CODES.map((code) => row(code)).join('\n')}

A backup is a copy of the database and of the root secret, in two places: [back up](deploy.md#back-up).
`
}

function row(code: (typeof FINDING_CODES)[number]): string {
  const { severity, about, example } = FINDINGS[code]
  const isLine = !/^(install|remove|send|upgrade|run) /.test(example) && !example.includes('`')
  return `| <a id="${code}"></a>\`${code}\` | ${severity} | ${about.replaceAll('_', String.raw`\_`)} | ${isLine ? `\`${example}\`` : example.replaceAll('_', String.raw`\_`)} |`
}
