#!/bin/sh
# /etc/cron.daily/gatehouse-backup, mode 0755: a dump of the database, kept for 14 days. Needs root.
# The root secret is not in it: keep a copy of /etc/gatehouse/secret in another place, because dump and secret together open everything.
set -eu
umask 077
folder=${1:-/var/backups/gatehouse}
database=${2:-gatehouse}
mkdir -p "$folder"
# The dump is written by the database's own superuser, and read by root alone.
runuser -u postgres -- pg_dump --format=custom "$database" >"$folder/gatehouse.dump.part"
mv "$folder/gatehouse.dump.part" "$folder/gatehouse-$(date -u +%Y%m%dT%H%M%SZ).dump"
find "$folder" -name 'gatehouse-*.dump' -mtime +14 -delete
