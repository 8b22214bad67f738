#!/bin/bash
# Makes the seeds that need keys, with pyas2lib and OpenSSL (tests/peers/setup.sh first). The result is committed: run
# it again only to change the seeds.
set -euo pipefail
cd "$(dirname "$0")"

for name in sender receiver; do
  [ -f "keys/$name.key" ] || openssl req -x509 -newkey rsa:2048 -nodes -days 36500 -subj "/CN=dxgate fuzz $name" \
    -keyout "keys/$name.key" -out "keys/$name.crt" 2>/dev/null
done
[ -f keys/elliptic.key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 \
  -subj "/CN=dxgate fuzz elliptic" -keyout keys/elliptic.key -out keys/elliptic.crt 2>/dev/null
[ -f keys/sm2.key ] || openssl req -x509 -newkey sm2 -sm3 -sigopt distid:1234567812345678 -nodes -days 36500 \
  -subj "/CN=dxgate fuzz sm2" -keyout keys/sm2.key -out keys/sm2.crt 2>/dev/null
../.venv/bin/python seeds.py

printf content >/tmp/dxgate-fuzz-content
cms() { openssl cms -binary -outform DER -in /tmp/dxgate-fuzz-content "$@"; }
sender=(-signer keys/sender.crt -inkey keys/sender.key)
cms -sign "${sender[@]}" -md sha256 -out corpus/cms_signed/detached
cms -sign "${sender[@]}" -md sha256 -keyopt rsa_padding_mode:pss -out corpus/cms_signed/pss
cms -sign "${sender[@]}" -md sha256 -nodetach -out corpus/cms_signed/opaque
cms -sign "${sender[@]}" -md sha256 -nodetach -stream -out corpus/cms_signed/opaque-ber
cms -sign "${sender[@]}" -md sha256 -noattr -out corpus/cms_signed/without-attributes
cms -encrypt -aes-256-cbc -recip keys/receiver.crt -out corpus/cms_enveloped/cbc
cms -encrypt -aes-256-gcm -recip keys/receiver.crt -out corpus/cms_enveloped/gcm
cms -encrypt -stream -aes-128-cbc -recip keys/receiver.crt -out corpus/cms_enveloped/cbc-ber
cms -encrypt -aes-128-cbc -recip keys/receiver.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256 \
  -out corpus/cms_enveloped/oaep
cms -sign -signer keys/elliptic.crt -inkey keys/elliptic.key -md sha256 -out corpus/cms_signed/ecdsa
cms -encrypt -aes-256-gcm -recip keys/elliptic.crt -keyopt ecdh_kdf_md:sha256 -out corpus/cms_enveloped/ecdh
cms -encrypt -des3 -recip keys/receiver.crt -out corpus/cms_enveloped/3des
cms -encrypt -rc2 -provider legacy -provider default -recip keys/receiver.crt -out corpus/cms_enveloped/rc2
sm() { ../.venv/bin/python ../tests/peers/sm_cms.py "$@" --content /tmp/dxgate-fuzz-content --cert keys/sm2.crt; }
sm sign --key keys/sm2.key --out corpus/cms_signed/sm2
sm sign --key keys/sm2.key --oid 1.2.156.10197.1.301.1 --out corpus/cms_signed/sm2-as-gm-t-0010
sm encrypt --out corpus/cms_enveloped/sm4

# Revocation lists: of an issuer that has revoked nothing, and of one that has revoked a certificate.
ca=$(mktemp -d)
touch "$ca/index"
printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index\ndefault_md=sha256\ndefault_crl_days=36500\n' "$ca" >"$ca/conf"
list() { openssl ca -config "$ca/conf" -gencrl -cert keys/sender.crt -keyfile keys/sender.key "$@" 2>/dev/null; }
list | openssl crl -outform DER -out corpus/revocation_list/empty
openssl ca -config "$ca/conf" -revoke keys/sender.crt -cert keys/sender.crt -keyfile keys/sender.key 2>/dev/null
list | openssl crl -outform DER -out corpus/revocation_list/revoked
{ list; cat keys/sender.crt; } >corpus/revocation_list/with-issuer
rm -r "$ca"

# Certificate exchange: a response, and a request with its certificate.
mkdir -p corpus/certificate_exchange
serial() { openssl x509 -in keys/sender.crt -noout -serial | sed 's/.*=//'; }
number=$(python3 -c "print(int('$(serial)', 16))")
exchange() {
  printf '<x:EDIINTCertificateExchange%s xmlns:x="urn:ietf:params:xml:ns:ediintcertificateexchange" ' "$1"
  printf 'xmlns:ds="http://www.w3.org/2000/09/xmldsig#" requestId="r-1"><x:TradingPartnerInfo>'
  printf '<x:Name qualifier="AS2">A</x:Name><x:MessageOriginated>2026-11-22T06:00:00+00:00</x:MessageOriginated></x:TradingPartnerInfo>'
  printf '%s</x:EDIINTCertificateExchange%s>' "$2" "$1"
}
reference="<ds:X509IssuerName>CN=sender</ds:X509IssuerName><ds:X509SerialNumber>$number</ds:X509SerialNumber>"
exchange Response "<x:TrustResponse><x:CertStatus>Rejected</x:CertStatus><x:ReasonForRejection>no</x:ReasonForRejection>\
<x:CertificateReference>$reference</x:CertificateReference></x:TrustResponse>" >corpus/certificate_exchange/response
boundary=dxgate-files-01920000000070008000000000000001
{
  printf -- '--%s\r\nContent-Type: application/ediint-cert-exchange+xml\r\nContent-ID: <x@a>\r\n\r\n' "$boundary"
  exchange Request "<x:TrustRequest><x:CertUsage>digitalSignature</x:CertUsage><x:CertUsage>tlsClient</x:CertUsage>\
<x:RespondByDate>2027-01-01T00:00:00+08:00</x:RespondByDate><x:ResponseURL>https://a.example/</x:ResponseURL>\
<x:EndEntity><x:CertificateIdentifier>$reference</x:CertificateIdentifier>\
<x:CertificateContentID>c@a</x:CertificateContentID></x:EndEntity></x:TrustRequest>"
  printf -- '\r\n--%s\r\nContent-Type: application/pkcs7-mime; smime-type=certs-only\r\nContent-ID: <c@a>\r\n' "$boundary"
  printf 'Content-Transfer-Encoding: base64\r\n\r\n'
  openssl crl2pkcs7 -nocrl -certfile keys/sender.crt -outform DER | base64 | sed 's/$/\r/'
  printf -- '\r\n--%s--\r\n' "$boundary"
} >corpus/certificate_exchange/request

# Homes: what `init` would write, and every key there is.
mkdir -p corpus/config
minimal='[station]\nas2_name = "A"\n[[station.keys]]\ncertificate = "keys/station.crt"\nprivate_key = "keys/station.key"\n'
partner='as2_name = "B"\nurl = "https://b.example/as2"\n[[certificates]]\nfile = "keys/customs.crt"\n'
printf "$minimal####\n$partner" >corpus/config/minimal
bare() { grep -v '^ *#' "$1" | grep -v '^$'; }
{ bare ../config/gateway.example.toml; echo '####'; bare ../config/partners/customs.example.toml; } >corpus/config/customs
{ bare ../config/gateway.example.toml; echo '####'; bare ../config/partners/trading-partner.example.toml; } >corpus/config/partner
uncommented() { sed -n 's/^# \(\[\|[a-z_0-9]* = \)/\1/; /^[^#]/p' "$1" | awk -F' = ' '/^\[/ { split("", seen) } !/ = / || !seen[$1]++'; }
{ uncommented ../config/gateway.example.toml; echo '####'; uncommented ../config/partners/trading-partner.example.toml
  echo '####'; uncommented ../config/partners/customs.example.toml; } >corpus/config/everything

# Where receipts shall go, what AS2 Restart says, what proxies answer.
seed() { mkdir -p "corpus/$1"; printf '%b' "$3" >"corpus/$1/$2"; }
seed receipt_url partner 'https://b.example/mdn?id=1'
seed receipt_url listed 'http://[2001:DB8::1]:8080/'
seed receipt_url other-port 'https://c.example:8443/receipts'
seed receipt_url inside 'http://169.254.169.254/latest/'
seed receipt_url mapped 'http://[::ffff:127.0.0.1]:4080/mdn'
seed receipt_url user 'https://b.example@evil.example/'
seed receipt_url port 'http://B.example:443/'
names='AS2-From: A\r\nAS2-To: "B C"\r\nMessage-ID: <1@a>\r\n'
seed restart_fields last "$names"'ETag: "0192"\r\nContent-Range: bytes 500-999/1000\r\n'
seed restart_fields whole "$names"'ETag: "x"\r\nContent-Range: BYTES 0-9/10\r\n'
seed restart_fields asked "$names"'ETag: "x"\r\n'
seed restart_fields weak "$names"'ETag: W/"x"\r\nContent-Range: bytes */10\r\n'
most=18446744073709551615
seed restart_fields large 'ETag: "a"\r\nContent-Range: bytes '"${most%5}3-${most%5}4/$most"'\r\n'
seed connect_answer established 'HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n\026\003\001'
seed connect_answer old 'HTTP/1.0 200 OK\r\n\r\n'
seed connect_answer credentials 'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="p"\r\n\r\n'
seed connect_answer bare 'HTTP/1.1 502\r\n\r\n'
seed connect_answer other 'SSH-2.0-OpenSSH_9.6\r\n'

# Files of keys, each whole in one file; the passphrase is `pass`, and few rounds keep a run short.
mkdir -p corpus/key_file
for name in elliptic sm2 receiver; do cat keys/$name.crt keys/$name.key >corpus/key_file/$name; done
cat keys/sender.crt keys/receiver.crt >corpus/key_file/chain
pkcs8() { openssl pkcs8 -topk8 -in keys/elliptic.key -passout pass:pass "$@" | cat keys/elliptic.crt -; }
pkcs8 -v2 aes-256-cbc -iter 16 >corpus/key_file/encrypted
pkcs8 -scrypt -scrypt_N 16 -scrypt_r 1 -scrypt_p 1 >corpus/key_file/scrypt
openssl ec -in keys/elliptic.key 2>/dev/null | cat keys/elliptic.crt - >corpus/key_file/sec1
pkcs12() { openssl pkcs12 -export -in keys/elliptic.crt -inkey keys/elliptic.key -iter 16 "$@"; }
pkcs12 -passout pass:pass >corpus/key_file/pkcs12
pkcs12 -passout pass: -nomac -keypbe NONE -certpbe NONE >corpus/key_file/pkcs12-bare
seed key_file secret 'a passphrase\nsecond line\n'

# Declarations that are held against each other: an order, the same changed, a list of it and its cancellation.
mkdir -p corpus/precheck_ledger
order=$(<corpus/precheck/order)
change=$(sed 's/:appType>1</:appType>2</; s/140\.5/99/' <<<"$order")
list=$(sed 's/CEB311/CEB621/g; s/Order\(Head\|List\)/Inventory\1/g; s/ceb:Order>/ceb:Inventory>/g; s|<ceb:orderType>.*</ceb:orderType>||
  s|<ceb:goodsValue>.*</ceb:goodsValue>|<ceb:ebcCode>1105910159</ceb:ebcCode><ceb:logisticsNo>L1</ceb:logisticsNo><ceb:copNo>C1</ceb:copNo>|' <<<"$order")
void=$(sed 's/CEB621/CEB623/g; s/InventoryHead/InvtCancel/g; s/ceb:Inventory>/ceb:InvtCancel>/g' <<<"$list")
ledger() { printf '%s\n' "$2" >"corpus/precheck_ledger/$1"; printf '####\n%s\n' "${@:3}" >>"corpus/precheck_ledger/$1"; }
ledger changed "$order" "$change"
ledger twice "$change" "$order" "$order"
ledger list-before-order "$list" "$order" "$list"
ledger list-and-order "$order" "$list" "$void"
{ cat corpus/precheck/order; echo '####'; cat corpus/precheck/order-gb18030; echo '####'; cat corpus/precheck/enveloped; } >corpus/precheck_ledger/gb18030

# Changed in nothing, by numbers of layers and envelope: every kind of signature, every kind of envelope.
sealed() { seed open_sealed "l$1e$2" "$(printf '\\x%02x\\x%02x\\x00' "$1" "$2")"; }
for layers in {0..15}; do sealed "$layers" 0; sealed "$layers" 7; done
for envelope in {0..14}; do sealed 1 "$envelope"; sealed 8 "$envelope"; done

# Signed by a program that nobody here wrote; what stands in the template is what dxgate writes.
sign() {
  sed "s|@METHOD@|$2|" signed.template.xml >/tmp/dxgate-fuzz-template.xml
  xmlsec1 --sign --privkey-pem keys/sender.key,keys/sender.crt --output "corpus/dsig/$1" /tmp/dxgate-fuzz-template.xml
}
sign rsa-sha1 http://www.w3.org/2000/09/xmldsig#rsa-sha1
sign rsa-sha256 http://www.w3.org/2001/04/xmldsig-more#rsa-sha256
rm /tmp/dxgate-fuzz-content /tmp/dxgate-fuzz-template.xml
