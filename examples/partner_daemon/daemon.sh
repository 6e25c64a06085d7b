#!/bin/sh
# A partner's daemon with curl: get a token from your own tenant, call the API once, show its answer.
# Needs TENANT_ID, CLIENT_ID, CLIENT_SECRET, SCOPE and API_URL in the environment; see README.md.
# Exit code: 0 let in, 1 refused, 2 a variable is missing, 3 no token or no answer.
set -u

for name in TENANT_ID CLIENT_ID CLIENT_SECRET SCOPE API_URL; do
    eval "value=\${$name:-}"
    if [ -z "$value" ]; then
        echo "daemon.sh: $name is not set" >&2
        exit 2
    fi
done
AUTHORITY=${AUTHORITY:-https://login.microsoftonline.com}

folder=$(mktemp -d) || exit 2
trap 'rm -rf "$folder"' EXIT

# Secret and token go to curl through standard input: command lines can be read by every user of the machine.
if ! printf '%s' "$CLIENT_SECRET" | curl --silent --show-error --max-time 30 \
    --data-urlencode grant_type=client_credentials \
    --data-urlencode "client_id=$CLIENT_ID" \
    --data-urlencode client_secret@- \
    --data-urlencode "scope=$SCOPE" \
    --output "$folder/token" "$AUTHORITY/$TENANT_ID/oauth2/v2.0/token"; then
    echo "daemon.sh: no answer from $AUTHORITY" >&2
    exit 3
fi
token=$(sed -n 's/.*"access_token" *: *"\([^"]*\)".*/\1/p' "$folder/token")
if [ -z "$token" ]; then
    echo "daemon.sh: no token; your tenant answered:" >&2
    cat "$folder/token" >&2
    echo >&2
    exit 3
fi

status=$(printf 'Authorization: Bearer %s\n' "$token" | curl --silent --show-error --max-time 30 \
    --header @- --header 'Accept: application/json' \
    --dump-header "$folder/head" --output "$folder/body" --write-out '%{http_code}' "$API_URL") || {
    echo "daemon.sh: no answer from $API_URL" >&2
    exit 3
}
header() {
    tr -d '\r' <"$folder/head" | grep -i "^$1:" | sed 's/^[^:]*: *//'
}

echo "HTTP $status"
[ ! -f "$folder/body" ] || cat "$folder/body"
echo
case $status in
2??) exit 0 ;;
401) advice="the token was not accepted: check SCOPE, and that AUTHORITY and TENANT_ID are what you told the publisher" ;;
403) advice="the token is genuine, but not allowed here: a new token will not help; ask the publisher" ;;
503) advice="the API cannot judge anybody just now: try again later with the same token" ;;
*) advice="this is the API's own answer, not the gate's" ;;
esac
echo "reason:   $(header X-TG-Reason)" >&2
echo "decision: $(header X-TG-Decision)" >&2
echo "advice:   $advice" >&2
exit 1
