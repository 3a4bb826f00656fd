#!/bin/sh
# Makes a certificate authority and one certificate for the three NATS servers, to try out TLS:
#
#   docker/make-certs.sh [FOLDER]      default: certs beside this script
#
# The certificate is for the names in compose.yaml, and localhost. In production, use certificates of your own authority.
set -eu
folder=${1:-$(dirname "$0")/certs}
mkdir -p "$folder"
cd "$folder"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
  -subj "/CN=Ergon test authority" -keyout ca.key -out ca.crt 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
  -subj "/CN=nats" -keyout nats.key -out nats.csr 2>/dev/null
cat > nats.ext <<EXT
subjectAltName=DNS:nats-1,DNS:nats-2,DNS:nats-3,DNS:localhost,IP:127.0.0.1
extendedKeyUsage=serverAuth,clientAuth
EXT
openssl x509 -req -in nats.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile nats.ext -out nats.crt 2>/dev/null
rm nats.csr nats.ext ca.srl
# The server in its container runs under another user id, so every user must be able to read nats.key.
chmod 644 nats.key
chmod 600 ca.key
echo "ca.crt, nats.crt and nats.key are in $(pwd)"
