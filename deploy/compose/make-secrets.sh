#!/bin/sh
# Makes the files that docker-compose.yml mounts as secrets. What exists is kept, so it can be run again after an upgrade.
# Containers run as different users, and each sees only the files it is given. So the files are readable for all of them (0444), and
# the folder (0700) keeps the other users of this machine out.
set -eu
command -v openssl >/dev/null || { echo 'openssl is not installed.' >&2; exit 1; }
umask 077
folder=${1:-secrets}
mkdir -p "$folder"
chmod 0700 "$folder"
cd "$folder"

# Standard input becomes the file, whole or not at all.
keep() {
  cat >"$1.part"
  [ -s "$1.part" ]
  chmod 0444 "$1.part"
  mv "$1.part" "$1"
}
missing() { [ ! -e "$1" ]; }
password() { openssl rand -hex 32; }

! missing gatehouse-secret || openssl rand -base64 48 | tr -d '\n' | keep gatehouse-secret
! missing metrics-token || password | keep metrics-token
! missing audit-webhook-secret || openssl rand -base64 32 | tr -d '\n' | keep audit-webhook-secret
! missing identity-source-secret || openssl rand -base64 48 | tr -d '\n' | keep identity-source-secret
! missing postgres-password || password | keep postgres-password
! missing database-migration-url || printf 'postgresql://gatehouse_owner:%s@postgres/gatehouse\n' "$(password)" | keep database-migration-url
! missing database-url || printf 'postgresql://gatehouse:%s@postgres/gatehouse\n' "$(password)" | keep database-url
! missing redis-url || printf 'redis://gatehouse:%s@redis:6379\n' "$(password)" | keep redis-url
if missing redis-users; then
  # Redis itself knows only the hash.
  hash=$(sed -E 's|^redis://gatehouse:([^@]*)@.*|\1|' redis-url | tr -d '\n' | openssl dgst -sha256 -r | cut -d ' ' -f 1)
  printf 'user default off\nuser gatehouse on #%s ~* &* +@all\n' "$hash" | keep redis-users
fi
if missing tls-key.pem; then
  # Self-signed, so that the proxy can start and prove to a certificate authority that the host name is yours.
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=gatehouse \
    -keyout tls-key.made -out tls-certificate.made 2>/dev/null
  keep tls-certificate.pem <tls-certificate.made
  keep tls-key.pem <tls-key.made
  rm tls-key.made tls-certificate.made
fi

echo "The secrets are in $(pwd). Keep a copy of gatehouse-secret in another place."
missing smtp-url && echo 'Now write the file smtp-url there, such as smtps://user:password@smtp.example.com'
exit 0
