#!/bin/sh
# The command line as people script against it: words, exit statuses, what is printed and what is
# never printed. Run by pg.sh; $1 is ringbridge-control.
set -eu
control=$1
work=$(mktemp -d)
carrier=
trap 'rm -rf "$work"; [ -z "$carrier" ] || kill "$carrier"' EXIT

die() {
    echo "cli_test: $*" >&2
    exit 1
}
# is STATUS WORDS COMMAND...: exits so, and prints (on either stream) something with these words.
is() {
    expected=$1 words=$2 status=0
    shift 2
    "$control" "$@" >"$work/out" 2>&1 </dev/null || status=$?
    [ "$status" = "$expected" ] || die "$*: status $status, not $expected: $(cat "$work/out")"
    grep -q -e "$words" "$work/out" || die "$*: no \"$words\" in: $(cat "$work/out")"
}

is 1 'run `ringbridge-control migrate`' org list
is 1 'ringbridge-control migrate' doctor
is 0 'applied' migrate

# Help and misuse.
is 0 'DATABASE_URL' --help
is 0 'RINGBRIDGE_ORG' number --help
is 0 'ringbridge-control [0-9]' --version
is 2 'which command' 
is 2 'no command "frobnicate"' frobnicate
is 2 'org add NAME' org
is 2 'no flag --nope' org list --nope
is 2 'config set' config

# Organisations and numbers.
acme=$("$control" org add Acme)
echo "$acme" | grep -Eqx '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' || die "org add printed: $acme"
is 1 'there is an organisation' org add Acme
is 1 'a name has' org add ' x'
beta=$("$control" org add 'Beta & Söhne')
is 0 "$beta  Beta & Söhne" org list
is 0 '+15550100 twilio' number add +15550100 --org Acme
is 0 '+15550100 twilio' number add +15550100 --org "$acme"
is 1 'belongs to another' number add +15550100 --org "$beta"
is 1 'belongs to another' number add +15550100 --org "$beta" --channel whatsapp
is 0 'whatsapp' number add +15550100 --org Acme --channel whatsapp
is 1 'channel is' number add +15550102 --org Acme --channel pigeon
is 2 'which organisation' number add +15550102
is 1 'no organisation "Nobody"' number add +15550102 --org Nobody
for bad in 15550100 +0555010 '+1555 0100' +1234567890123456 '+' 'sip:x@example.com'; do
    is 1 'E.164' number add "$bad" --org Acme
done
is 0 '"number": "+15550100"' number list --json
is 0 'removed' number remove +15550100 --channel whatsapp
is 1 'no such number' number remove +15550100 --channel whatsapp

# Configuration.
is 0 'instructions=.*(built-in)' config show --org Acme --channel voice
printf 'Line one\nLine "two"\n\n' >"$work/prompt"
"$control" config set --org Acme --channel voice instructions=@"$work/prompt" audio_format=pcm \
    greeting= 'tools=[{"type":"function","name":"end_call"}]' 'settings.mail=a@example.com' settings.n=5
is 0 'audio_format=pcm$' config show --org Acme --channel voice
is 0 'Line one' config show --org Acme --channel voice
is 0 '^greeting=$' config show --org Acme --channel voice
is 0 'settings={"n": 5, "mail": "a@example.com"}' config show --org Acme --channel voice
is 1 'audio_format is' config set --org Acme --channel voice audio_format=mp3 model=other
is 0 '^model=.*(built-in)' config show --org Acme --channel voice
is 1 'from 10 to 86400' config set --org Acme --channel voice duration_max_s=9
is 1 'append_ms is 20, 40, 60 or 100' config set --org Acme --channel voice append_ms=80
is 1 'append_ms is 20, 40, 60 or 100' config set --org Acme --channel voice append_ms=soon
is 1 'vad_silence_ms is from 100 to 5000' config set --org Acme --channel voice vad_silence_ms=99
is 1 'record is true or false' config set --org Acme --channel voice record=perhaps
is 2 'no setting "settings.append_ms"' config set --org Acme --channel voice settings.append_ms=60
"$control" config set --org Acme --channel voice append_ms=60 record=true
is 0 '^append_ms=60$' config show --org Acme --channel voice
is 0 '^record=true$' config show --org Acme --channel voice
is 0 '^vad_silence_ms=500 *(built-in)' config show --org Acme --channel voice
is 1 'JSON array' config set --org Acme --channel voice tools={
is 1 'JSON array' config set --org Acme --channel voice tools={}
is 2 'no setting "colour"' config set --org Acme --channel voice colour=blue
is 2 'not KEY=VALUE' config set --org Acme --channel voice colour
is 1 'channel is' config set --org Acme --channel smoke model=x
is 1 'cannot read' config set --org Acme --channel voice instructions=@/nonexistent
"$control" config unset --org Acme --channel voice audio_format
is 0 'audio_format=pcmu *(built-in)' config show --org Acme --channel voice

# A number out of use and in again; an appointment by hand.
is 0 'off' number off +15550100 --org Acme
is 0 '+15550100 .*false' number list
is 0 'on' number on +15550100 --org Acme
is 0 '+15550100 .*true' number list
is 1 'no such number' number off +15550100 --org "Beta & Söhne"
is 1 'no appointments' appointment book 2099-01-05T09:30 --org Acme
"$control" appointment open --org Acme --hours "mon 09:00-10:00" --time-zone UTC
is 0 '2099-01-05T09:30' appointment book 2099-01-05T09:30 "Ms Example" +15550177 --org Acme
is 1 'has 2099-01-05T09:30 already' appointment book 2099-01-05T09:30 --org Acme
is 1 'is over' appointment book 2001-01-01T09:30 --org Acme
is 1 'not a local time' appointment book soon --org Acme
is 0 'Ms Example' appointment list --org Acme

# Tokens: printed once, stored hashed.
token=$("$control" token add --org Acme --role operator 2>/dev/null)
echo "$token" | grep -Eqx 'rb_[A-Za-z0-9_-]{43}' || die "token add printed: $token"
[ "$(psql "$DATABASE_URL" -XqAt -c "SELECT count(*) FROM api_tokens AS t
    WHERE t.hash = sha256('$token'::bytea) AND t::text NOT LIKE '%$token%'")" = 1 ] ||
    die "the token is not stored as its SHA-256"
is 1 'role is' token add --org Acme --role king
id=$("$control" token list | awk '/Acme/ { print $1 }')
is 0 'revoked' token revoke "$id"
is 1 'no valid token' token revoke "$id"

# Secrets come from standard input and are sealed.
account=AC$(printf '%032d' 7)
echo s3cret | "$control" credential add twilio --org Acme --account "$account" >"$work/out" 2>&1 &&
    die "a secret was stored without a key"
grep -q 'RINGBRIDGE_SECRET_KEY' "$work/out" || die "$(cat "$work/out")"
RINGBRIDGE_SECRET_KEY=$(openssl rand -hex 32)
export RINGBRIDGE_SECRET_KEY
echo s3cret | "$control" credential add twilio --org Acme --account "$account" | grep -q stored
echo s3cret | "$control" credential add twilio --org Beta\ \&\ Söhne --account "$account" >"$work/out" 2>&1 &&
    die "an account has two owners"
is 2 'empty\|nothing came' credential add openai --org Acme
is 0 "$account" credential list
grep -q s3cret "$work/out" && die "a secret was printed"
psql "$DATABASE_URL" -XqAt -c "SELECT encode(sealed, 'escape') FROM credentials" | grep -q s3cret &&
    die "a secret is stored in the clear"

# A call and its transcript.
psql "$DATABASE_URL" -Xq -v ON_ERROR_STOP=1 <<SQL
SET ROLE ringbridge_serving;
DO \$\$
DECLARE w carrier_webhook; a call_answer;
BEGIN
    w.account_sid := '$account'; w.call_sid := 'CA' || repeat('1', 32); w.status := 'ringing';
    w.from_number := '+15550199'; w.to_number := '+15550100';
    w.happened := 'Tue, 14 Nov 2023 22:13:20 +0000';
    a := incoming_call(w);
    PERFORM edge_event('$acme', a.conversation_id, 1, 'message', '2023-11-14 22:13:21.5Z',
        '{"role":"user","text":"Hello \u001b[31m there"}');
    PERFORM edge_event('$acme', a.conversation_id, 2, 'message', '2023-11-14 22:13:23Z',
        '{"role":"assistant","text":"I was saying","interrupted":true,"audio_ms":3400,"heard_ms":1200}');
    PERFORM edge_event('$acme', a.conversation_id, 3, 'ended', '2023-11-14 22:13:30Z',
        '{"reason":"caller_hung_up","duration_ms":9500,"figures":{"frames_up":475}}');
END \$\$;
SQL
sid=CA11111111111111111111111111111111
is 0 'completed  9500 *caller_hung_up  2' calls list --org Acme
is 0 '0:01.500  caller   Hello  \[31m there' calls show "$sid"
is 0 '0:03.000  agent    I was saying  \[interrupted: 1.2 of 3.4 s heard\]' calls show "$sid"
is 0 'ended reason   caller_hung_up' calls show "$sid"
is 0 'duration       9.500 s  (edge)' calls show "$sid"
is 0 'frames_up *475' calls show "$sid"
is 0 '"heard_ms": 1200' calls show "$sid" --json
is 1 'there is no call' calls show "$sid" --org "Beta & Söhne"
is 1 'there is no call' calls show 'x'" OR true"
"$control" calls show "$sid" --json | python3 -c 'import json,sys; d=json.load(sys.stdin); assert d["messages"][1]["interrupted"]' ||
    die "calls show --json is not JSON"

# Orders need a live call; jobs and recordings.
is 1 'the call is over' calls hangup "$sid"
is 1 'the call is over' calls say "$sid" Hello
for action in start pause resume stop; do
    is 1 'the call is over' calls record "$action" "$sid"
done
is 1 'the call is over' calls listen "$sid"
is 1 'there is no call' calls hangup nobody
is 2 'calls record start|pause|resume|stop ID' calls record halt "$sid"
is 2 'calls say ID TEXT' calls say "$sid"
psql "$DATABASE_URL" -Xq -v ON_ERROR_STOP=1 -c "INSERT INTO jobs (organization_id, kind, idempotency_key, state, due_at,
    tries, max_tries, last_error, finished_at) VALUES ('$acme', 'sample', 'k', 'dead', NULL, 3, 3, 'no luck', now())"
is 0 'sample  dead   3/3 .*no luck' jobs list
is 0 'Acme  *sample' jobs list dead --org Acme
is 2 'queued, leased, done or dead' jobs list lost
job=$("$control" jobs list dead --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])')
is 0 '"last_error": "no luck"' jobs show "$job"
is 0 'due now' jobs retry "$job"
is 0 'queued *0/3' jobs list queued
is 1 'no job "nothing"' jobs retry nothing
is 0 'dropped' jobs drop "$job"
is 1 'there is no job' jobs show "$job"
is 1 'there is no job' jobs drop "$job"
is 2 'jobs list' jobs
is 0 '' recordings list
is 1 'there is no recording' recordings show "$sid"
is 1 'there is no recording' recordings export "$job"
is 2 'recordings list' recordings export

# Doctor, with everything in place and then not.
export PUBLIC_URL=https://voice.example.com TWILIO_AUTH_TOKEN=t0ken TWILIO_ACCOUNT_SID=$account OPENAI_API_KEY=sk-x
# Its account at the carrier, with the number that it has here, not set up yet.
tests/practice/number_carrier.py "$account" s3cret +15550100 >"$work/carrier" &
carrier=$!
while [ ! -s "$work/carrier" ]; do sleep 0.1; done
TWILIO_API_BASE=$(cat "$work/carrier")
export TWILIO_API_BASE
is 1 'voice_url is "https://demo.twilio.com/welcome/voice/", wanted "https://voice.example.com/api' number verify
is 0 '1 numbers compared, 0 differences left' number configure +15550100 --org Acme
is 0 '1 numbers compared, 0 differences$' number verify
is 0 "Acme  *twilio  $account" account list
is 0 '1 secrets are sealed\|2 secrets are sealed' account rotate
is 1 'what a number costs is not known' number buy --org Acme
is 2 'an amount is' number price US pigeon 1 USD
is 2 'an amount is' number price US local cheap USD
is 0 'set' number price US local 1.15 USD
is 0 'US  *local  *1.1500' number price
is 1 'may not spend anything' number buy --org Acme
is 2 'which organisation' number limit 10 USD
is 0 'set' number limit 10 USD --org Acme
is 0 'Acme  *0  *10.0000  *USD' number limit
is 2 'area-code is two to six' number buy --org Acme --area-code x
is 2 'E.164' number buy 555 --org Acme
is 2 'local, toll_free or mobile' number buy --org Acme --kind pigeon
is 2 'two capital letters' number search --country us
is 1 'no such number' number release +15550109 --org Acme
is 0 '' number orders
is 2 'account add' account
is 1 'has an account' account add --org Acme
PUBLIC_URL= is 1 'set PUBLIC_URL' number verify

# After a call: settings, systems of the organisation's own, what goes out.
is 2 'which organisation' after show
is 2 'no setting "email"' after set --org Acme email=a@example.com
is 1 'email_to must be addresses' after set --org Acme 'email_to=nobody'
is 0 'email_to=a@example.com,b@example.com$' after set --org Acme email_to=a@example.com,b@example.com wait_s=5
is 0 'wait_s=30   (default)' after unset --org Acme wait_s
is 1 'no way to send it' doctor --socket "$work/control.sock"
EMAIL_FROM=x@example.com RESEND_API_KEY=re_s3cret is 0 '1 organisations want it' doctor --socket "$work/control.sock"
grep -q s3cret "$work/out" && die "doctor prints a secret"
is 0 'email_to=   (default)' after unset --org Acme email_to
is 2 'begins with https' endpoint add ftp://example.com --org Acme
is 0 'whsec_' endpoint add https://crm.example.com/calls --org Acme
endpoint=$(head -1 "$work/out")
is 2 'nothing came' endpoint add slack --org Acme
echo https://hooks.example.com/s3cret | "$control" endpoint add slack --org Acme >"$work/out"
is 0 'https://crm.example.com/calls' endpoint list
grep -q 's3cret\|whsec_' "$work/out" && die "endpoint list prints a secret"
is 0 '^0 to be sent again' endpoint replay "$endpoint"
is 0 'removed' endpoint remove "$endpoint"
is 1 'no such endpoint' endpoint remove "$endpoint"
is 2 'waiting, sent or dead' deliveries list lost
is 1 'no delivery' deliveries show "$endpoint"
is 1 'no transfer' transfers show "$endpoint"
is 2 'transfers show ID' transfers
is 1 'no delivery' deliveries replay "$endpoint"
is 2 'template preview' template preview
is 0 'Doe' template preview --sample
is 0 '&lt;E7&gt;' template preview html --sample
is 0 'Voicemail from' template preview voicemail subject --sample
is 0 '"call.completed"' template preview webhook --sample
is 1 'no call' template preview --call CA00

is 0 'All is well' doctor --socket "$work/control.sock"
grep -q 't0ken\|sk-x\|s3cret' "$work/out" && die "doctor prints a secret"
RINGBRIDGE_SECRET_KEY=$(openssl rand -hex 32) is 1 '1 of 1 sealed secrets do not open' doctor --socket "$work/control.sock"
PUBLIC_URL=http://voice.example.com is 1 'PUBLIC_URL must begin with https' doctor
is 1 'cannot be made' doctor --socket /nonexistent/control.sock
psql "$DATABASE_URL" -Xq -c 'ALTER TABLE conversations NO FORCE ROW LEVEL SECURITY'
is 1 'conversations is not closed' doctor --socket "$work/control.sock"
psql "$DATABASE_URL" -Xq -c 'ALTER TABLE conversations FORCE ROW LEVEL SECURITY'
psql "$DATABASE_URL" -Xq -c 'CREATE ROLE desk LOGIN; CREATE ROLE server LOGIN; GRANT ringbridge_serving, ringbridge_api TO server'
serving=$(echo "$DATABASE_URL" | sed 's,user=postgres,user=server,')
RINGBRIDGE_DATABASE_SERVING_URL=$serving is 0 'login server has the serving rights and no others' doctor --socket "$work/control.sock"
RINGBRIDGE_DATABASE_SERVING_URL=$(echo "$serving" | sed 's,user=server,user=desk,') is 1 'may not act' doctor --socket "$work/control.sock"

# serve --check, and a signature by hand: what openssl makes of the same string.
is 0 'configuration is fine' serve --check
PUBLIC_URL= is 1 'set PUBLIC_URL' serve --check
expected=$(printf '%s' 'https://voice.example.com/api/twilio/incoming-callCallSidCA1To+15550100' |
    openssl dgst -sha1 -hmac t0ken -binary | base64)
printf 'To=%%2B15550100&CallSid=CA1' | "$control" verify-signature --signature "$expected" \
    --url https://voice.example.com/api/twilio/incoming-call >"$work/out" || die "$(cat "$work/out")"
grep -q 'CallSidCA1To+15550100' "$work/out" && grep -qF "$expected" "$work/out" || die "$(cat "$work/out")"
printf 'To=%%2B15550101&CallSid=CA1' | "$control" verify-signature --signature "$expected" \
    --url https://voice.example.com/api/twilio/incoming-call >"$work/out" && die "a wrong signature passes"
grep -q 't0ken' "$work/out" && die "verify-signature prints the token"
TWILIO_AUTH_TOKEN= is 1 'set TWILIO_AUTH_TOKEN' verify-signature --url https://x.example.com/
is 2 'whole URL' verify-signature --url voice.example.com
echo "the command line holds"
