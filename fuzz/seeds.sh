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

# The same request behind a boundary that is none of ours; certificates in one file, and how people write a fingerprint.
sed "s/$boundary/b'(1)+/" corpus/certificate_exchange/request >corpus/certificate_exchange/other-boundary
cat keys/elliptic.crt keys/sm2.crt >corpus/certificate/two-pem
openssl x509 -in keys/sender.crt -noout -fingerprint -sha256 | sed 's/.*=//' | tr -d '\n' >corpus/certificate/fingerprint

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

# Heads of requests, and what proxies say of those who sent them.
post='POST /as2 HTTP/1.1\r\nHost: a\r\n'
both='Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n'
seed request_head length "$post"'Content-Length: 5\r\n\r\nhello'
seed request_head chunked "$post"'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
seed request_head both "$post$both"
seed request_head two-lengths "$post"'Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello'
seed request_head line-feeds 'POST / HTTP/1.1\nTRANSFER-ENCODING: chunked\nContent-Length: 5\n\n0\n\n'
seed request_head blank-lines-in-front '\r\n\r\n'"$post$both"
seed request_head forwarded 'X-Forwarded-For: 1.1.1.1, 198.51.100.1 , 10.0.0.9\r\n'
seed request_head forwarded-ports 'X-Forwarded-For: ::ffff:198.51.100.1\nX-Forwarded-For: [2001:db8::1]:443, 10.0.0.6:80, [2001:db8::2]\n'
seed request_head forwarded-unknown 'X-Forwarded-For: 198.51.100.1, unknown\r\n'

# Tables of codes; the first octet says for which list.
seed code_table country '\002code,name\r\n142,中国\r\n"502",美国\r\n'
seed code_table goods '\006\xef\xbb\xbf1905320000,华夫饼干\n8517130000,手机\n'
seed code_table unit '\x00035;千克\n011\t件\n'
seed code_table empty '\004code,name\n'
{ printf '\002'; printf '142,中国\n502,美国\n' | iconv -t GB18030; } >corpus/code_table/gb18030

# Other encodings, one of them named where no reader of XML looks for it.
printf '<?xml version="1.0" encoding="GB18030"?>\n<a b="中">文</a>' | iconv -t GB18030 >corpus/c14n/gb18030
printf '\xff\xfe' >corpus/c14n/utf-16
printf '<?xml version="1.0" encoding="UTF-16"?><a>中</a>' | iconv -t UTF-16LE >>corpus/c14n/utf-16
printf '<?xml-x encoding="GBK"?><a>中</a>' | iconv -t GBK >corpus/c14n/instruction-that-names-an-encoding

# What the transport says of an envelope.
seed dxp_envelope response '<DxpRep xmlns="http://www.chinaport.gov.cn/dxp" ver="1.0"><RecevierId>E</RecevierId><Response><NodeId>2</NodeId>
<ResponseCode>0002</ResponseCode><ResponseInfo>a &amp; &lt;b&gt;</ResponseInfo><Results><Result><RecId>R</RecId><Code>2001</Code><Info>\xe6\x97\xa0</Info></Result></Results>
<NoticeTime>2026-03-01T09:30:00</NoticeTime><OriHead><CopMsgId>M-1</CopMsgId><SenderId>E</SenderId><ReceiverIds><ReceiverId>R</ReceiverId></ReceiverIds>
<CreatTime>2026-03-01T09:30:00</CreatTime><MsgType>CEB311Message</MsgType></OriHead></Response></DxpRep>'

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

# The switches behind a `#`, one by one: of the MIC, base64, fields of the body, RC2, a wrong label; strangers; all at once.
for bit in 1 8 16 32 128; do seed open_sealed "switch-$bit" "$(printf '\\x01\\x04\\x00#\\x%02x' "$bit")"; done
for envelope in 0 2 4; do
  seed open_sealed "stranger-$envelope" "$(printf '\\x01\\x%02x\\x00#\\x04' "$envelope")"
  seed open_sealed "stranger-taken-$envelope" "$(printf '\\x08\\x%02x\\x01#\\x06' "$envelope")"
done
seed open_sealed switch-all '\x08\x04\x01#\xff'
{ cat corpus/open_message/signed; printf '#\006'; } >corpus/open_message/signed-by-a-stranger

# Evidence as an export writes it: of a message and its MDN, and of a message that is neither signed nor answered. The same MDN with
# signatures of other kinds, and what of it is signed.
parts=$(mktemp -d)
printf 'Content-Type: application/xml\r\nContent-Transfer-Encoding: binary\r\n\r\n<a/>' >"$parts/content.bin"
printf '<a/>' >"$parts/payload.bin"
mic=$(openssl dgst -sha256 -binary "$parts/content.bin" | base64)
printf '%s' "$mic" >"$parts/mic.txt"
{
  printf 'Content-Type: multipart/report; report-type=disposition-notification; boundary=r\r\n\r\n'
  printf -- '--r\r\nContent-Type: text/plain\r\n\r\nok\r\n--r\r\nContent-Type: message/disposition-notification\r\n\r\n'
  printf 'Original-Message-ID: <1@a>\r\nDisposition: automatic-action/MDN-sent-automatically; processed\r\n'
  printf 'Received-Content-MIC: %s, sha-256\r\n\r\n--r--\r\n' "$mic"
} >"$parts/mdn-content.bin"
detached() { openssl cms -sign -binary -outform DER -nocerts -nosmimecap -md sha256 -signer "keys/$1.crt" -inkey "keys/$1.key" -in "$parts/$2" -out "$parts/$3"; }
detached sender content.bin signature.p7s
detached sender mdn-content.bin mdn-signature.p7s
message() {
  printf '{"direction":"outbound","kind":"payload","state":"%s","message_id":"<1@a>",' "$1"
  printf '"headers":[["Content-Type","%s"]],"earlier":[],"receipt":%s}' "$2" "$3"
}
bundle() {
  for name in "${@:2}"; do printf '#### %s\n' "$name"; cat "$parts/$name"; printf '\n'; done >"corpus/evidence_bundle/$1"
}
mkdir -p corpus/evidence_bundle
message delivered 'application/pkcs7-mime; smime-type=enveloped-data' "{\"mic\":\"$mic, sha-256\",\"mic_matches\":true}" >"$parts/message.json"
bundle signed message.json content.bin payload.bin signature.p7s mic.txt mdn-content.bin mdn-signature.p7s
printf '%s  content.bin\n' "$(sha256sum <"$parts/content.bin" | cut -d' ' -f1)" | tee "$parts/chain.txt" >"$parts/SHA256SUMS"
printf '../out  ..\n' >>"$parts/chain.txt"
bundle own-sums SHA256SUMS content.bin chain.txt
printf '<a/>' >"$parts/content.bin"
message failed application/xml null >"$parts/message.json"
bundle plain message.json content.bin payload.bin
receipt() {
  printf 'AS2-From: RECEIVER\r\nAS2-To: SENDER\r\nContent-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=%s; boundary=s\r\n' "$1"
  printf -- '\r\n--s\r\n'
  cat "$parts/mdn-content.bin"
  printf -- '\r\n--s\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n'
  base64 "$parts/mdn-signature.p7s" | sed 's/$/\r/'
  printf -- '--s--\r\n'
}
detached elliptic mdn-content.bin mdn-signature.p7s
receipt sha-256 >corpus/mdn_parse/ecdsa
../.venv/bin/python ../tests/peers/sm_cms.py sign --key keys/sm2.key --cert keys/sm2.crt --content "$parts/mdn-content.bin" --out "$parts/mdn-signature.p7s"
receipt sm3 >corpus/mdn_parse/sm2
cp "$parts/mdn-content.bin" corpus/mdn_parse/what-is-signed
rm -r "$parts"

# Signed by a program that nobody here wrote; what stands in the template is what dxgate writes.
sign() {
  sed "s|@METHOD@|$2|" signed.template.xml >/tmp/dxgate-fuzz-template.xml
  xmlsec1 --sign --privkey-pem keys/sender.key,keys/sender.crt --output "corpus/dsig/$1" /tmp/dxgate-fuzz-template.xml
}
sign rsa-sha1 http://www.w3.org/2000/09/xmldsig#rsa-sha1
sign rsa-sha256 http://www.w3.org/2001/04/xmldsig-more#rsa-sha256
cp corpus/dsig/rsa-sha256 corpus/precheck/signed
rm /tmp/dxgate-fuzz-content /tmp/dxgate-fuzz-template.xml
