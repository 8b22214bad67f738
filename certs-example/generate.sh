#!/bin/sh
# Makes the example keys of this folder anew. Needs OpenSSL 3. Run it here; it replaces every file below.
# The two parties are valid for thirty years; the expired and the weak one exist for tests.
set -eu
cd "$(dirname "$0")"

party() { # name bits subject not-before not-after
    openssl genpkey -quiet -algorithm RSA -pkeyopt "rsa_keygen_bits:$2" -out "$1.key"
    openssl req -new -key "$1.key" -subj "$3" -out "$1.csr"
    # `openssl ca` is the only command of OpenSSL 3.0 that takes a start date.
    : > index.txt
    openssl ca -batch -notext -selfsign -config ca.cnf -rand_serial -keyfile "$1.key" -in "$1.csr" \
        -startdate "$4" -enddate "$5" -out "$1.crt" 2>/dev/null
    rm -f "$1.csr" index.txt* serial.txt* ./*.pem
    chmod 600 "$1.key"
}

cat > ca.cnf <<'CNF'
[ca]
default_ca = self
[self]
database = ./index.txt
serial = ./serial.txt
new_certs_dir = .
default_md = sha256
policy = any
x509_extensions = party
unique_subject = no
[any]
countryName = optional
organizationName = optional
commonName = supplied
[party]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = serverAuth,clientAuth
subjectAltName = DNS:localhost,IP:127.0.0.1,IP:::1
subjectKeyIdentifier = hash
CNF

party station 2048 "/C=CN/O=dxgate example/CN=dxgate example station" 20250101000000Z 20550101000000Z
party customs 2048 "/C=CN/O=dxgate example/CN=dxgate example customs" 20250101000000Z 20550101000000Z
party expired 2048 "/C=CN/O=dxgate example/CN=dxgate example expired" 20200101000000Z 20210101000000Z
party weak    1024 "/C=CN/O=dxgate example/CN=dxgate example weak"    20250101000000Z 20550101000000Z
rm -f ca.cnf

: > fingerprints.txt
for name in station customs expired weak; do
    sum=$(openssl x509 -in "$name.crt" -outform DER | openssl dgst -sha256 -r | cut -d' ' -f1)
    echo "$sum $name" >> fingerprints.txt
done
