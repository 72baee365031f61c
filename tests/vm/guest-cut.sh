#!/bin/bash
# A host and its collector in one machine, crashes without an end, until the
# power goes. The host of the test is told which records are durable, and which
# the collector acknowledged: the promise that guest-after.sh holds them to.
. ./guest-lib.sh

dpkg -i collector.deb > install.log 2>&1
mkdir -p /etc/epicore/collector.toml.d /etc/epicore/epicore.toml.d
echo 'listen = "127.0.0.1:7464"' > /etc/epicore/collector.toml.d/vm.toml
secrets=/etc/epicore/collector.secrets
[[ -s $secrets ]] || (umask 077 && epicore-collector secret > $secrets && chown epicore-collector $secrets)
(umask 027 && epicore-collector token ingest "$(uname -n)" > /etc/epicore/token && chgrp epicore /etc/epicore/token)
(umask 077 && epicore-collector token read vm > /etc/epicore/token.read)
printf '[collector]\nurl = "http://127.0.0.1:7464"\ntoken_file = "/etc/epicore/token"\n' \
    > /etc/epicore/epicore.toml.d/vm.toml
systemctl enable -q epicore-collector.service
# As on a minimal host: what speaks plain HTTP needs no authorities.
mv /etc/ssl/certs /etc/ssl/away
systemctl restart epicore-collector.service epicored.service
check "the collector runs" "$(systemctl show -P SubState epicore-collector.service)" \
    unit_is epicore-collector.service active

names() { find /var/spool/epicore -maxdepth 1 -name "$1" -printf '%f\n' | cut -d . -f 1 | sort; }
# shellcheck disable=SC2317 # within and check call it
sent() { [[ -n $(names '*.rec.sent') ]]; }
within 30 sent || true
why=$(epicore status --json | jq -r '.outage.trouble.what // "no outage"' || true)
check "plain HTTP to the collector needs no certificates of the system" "$why" sent
mv /etc/ssl/away /etc/ssl/certs
systemctl restart epicored.service
within 60 sent || true
check "the records that waited went to the collector" "$(names '*.rec.sent' | wc -l) acknowledged" sent

# Rounds of four crashes. A handler ends after its record is synced: when none
# runs, every complete record is durable. The daemon marks what was acknowledged.
(within 600 test -e enough && sleep "$((RANDOM % 2)).$((RANDOM % 1000))" && vm-say cut) &
touch durable acked
for ((round = 1; round <= 300; round++)); do
    crashing=()
    for _ in 1 2 3 4; do
        crasher 0 /dev/null 1 &
        crashing+=($!)
    done
    wait "${crashing[@]}" || true
    within 60 no_handler_runs
    records | jq -r 'select(.kind == "full") | .id' | sort > durable.now
    names '*.rec.sent' > acked.now
    for what in durable acked; do
        comm -13 $what $what.now | sed "s/^/$what /" > /dev/ttyS2
        mv $what.now $what
    done
    if ((round >= 25)) && [[ $(wc -l < acked) -ge 60 ]]; then touch enough; fi
done
exit 1
