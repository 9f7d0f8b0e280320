#!/bin/sh
# Certificates for tls_test, made anew for each run: make_certificates.sh DIRECTORY
set -eu
cd "$1"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }

authority() {
    key "$1"
    openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 2 -out "$1.pem"
}

# name, alternative names, authority, days
signed() {
    key "$1"
    openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
    printf 'subjectAltName=%s\n' "$2" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -CAcreateserial -days "$4" \
        -extfile "$1.ext" -out "$1.pem" 2>/dev/null
}

authority authority
authority stranger
signed good DNS:localhost,IP:127.0.0.1 authority 2
signed second DNS:localhost authority 2
signed elsewhere DNS:elsewhere.example authority 2
signed expired DNS:localhost authority -1
signed strange DNS:localhost stranger 2
key alone
openssl req -x509 -new -key alone.key -subj /CN=alone -addext subjectAltName=DNS:localhost \
    -days 2 -out alone.pem
