#!/bin/sh
# Deploy hook of certbot: gives the renewed certificate to the proxy, which reloads it without losing a request.
# certbot names the folder of the certificate in RENEWED_LINEAGE.
set -eu
cd "$(dirname "$0")/../.."
secrets=${SECRETS_DIR:-secrets}
# Written in place: a container sees a mounted file, not the name of a new one.
chmod u+w "$secrets/tls-certificate.pem" "$secrets/tls-key.pem"
cat "$RENEWED_LINEAGE/fullchain.pem" >"$secrets/tls-certificate.pem"
cat "$RENEWED_LINEAGE/privkey.pem" >"$secrets/tls-key.pem"
chmod 0444 "$secrets/tls-certificate.pem" "$secrets/tls-key.pem"
docker compose exec -T proxy nginx -s reload
