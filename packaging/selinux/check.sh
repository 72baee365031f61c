#!/bin/bash
# check.sh: what the module promises, asked of Debian's reference policy with the
# module in it. A line for each promise; exit 1 when one does not hold. No kernel
# is touched: the policy is a copy below a temporary directory.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=packaging/promise.sh
. "$here/../promise.sh"
skip() {
    printf 'skipped: the SELinux module: %s\n' "$*"
    exit 0
}
for tool in checkmodule semodule_package semodule sesearch seinfo matchpathcon; do
    command -v "$tool" >/dev/null || skip "$tool is not there (apt install checkpolicy semodule-utils \
policycoreutils setools selinux-utils selinux-policy-default)"
done
[[ -r /var/lib/selinux/default/active/policy.linked ]] || skip "no policy to put it into, or this is not root"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/etc" "$root/var/lib"
cp -a /etc/selinux "$root/etc/" && cp -a /var/lib/selinux "$root/var/lib/"
# So that the base policy's own prohibitions (neverallow) are checked.
sed -i '/^expand-check/d; $ a expand-check=1' "$root/etc/selinux/semanage.conf"

holds "it compiles alone, in the format that RHEL 8 loads" "$here/build.sh" "$root/epicore.pp"
load() { semodule -p "$root" -s default -n -N -i "$root/epicore.pp" -i "$root/epicore_port.cil"; }
holds "it loads into the reference policy and breaks none of its prohibitions" load
[[ $broken == 0 ]] || exit 1
policy=$(ls "$root"/etc/selinux/default/policy/policy.*)

rules() { sesearch -A "$@" "$policy" | grep '^allow' || true; }
some() { [[ -n $(rules "$@") ]]; }
none() {
    local found
    found=$(rules "$@")
    [[ -z $found ]] || { echo "$found"; return 1; }
}
# Targets of rules, without those that every domain has.
targets() { rules "$@" | grep -v '^allow domain ' | sed 's/^allow [^ ]* \([^:]*\):.*/\1/' | sort -u | paste -sd' '; }
are() { # EXPECTED QUESTION...
    local expected=$1 found
    shift
    found=$(targets "$@")
    [[ $found == "$expected" ]] || { echo "it is: $found"; return 1; }
}
transition() { sesearch -T -s "$1" -t "$2" -c process "$policy" | grep -c " $3;" >/dev/null; }
may_enter() { some -s "$1" -t "$2" -c process -p transition -ds -dt; }
capabilities() { # DOMAIN EXPECTED: those that no boolean gives
    local found
    found=$(rules -s "$1" -c capability,capability2 | grep -v '\[' | grep -o '{.*}\|[a-z_]*;$' | tr -d '{};' | tr ' ' '\n' | grep . | sort | paste -sd' ')
    [[ $found == "$2" ]] || { echo "they are: $found"; return 1; }
}
only_if() { # BOOLEAN QUESTION...: each rule stands under this boolean, which is off
    local boolean=$1
    shift
    rules "$@" | grep -v "\[ $boolean \]:True" | grep . && return 1
    seinfo --bool="$boolean" -x "$policy" | grep -ci false >/dev/null
}
network=tcp_socket,udp_socket,rawip_socket,packet_socket,sctp_socket,netlink_route_socket,netlink_generic_socket,netlink_connector_socket

both() { transition "$1" "$2" "$3" && may_enter "$1" "$3"; }
holds "what the kernel runs for a crash is in the handler's domain" both kernel_t epicore_handler_exec_t epicore_handler_t
holds "the census is, too" both init_t epicore_handler_exec_t epicore_handler_t
holds "the handler keeps the limit that stops it from handling itself" some -s kernel_t -t epicore_handler_t -c process -p rlimitinh -ds -dt
holds "the handler reads /proc of every process" some -s epicore_handler_t -t domain -c file -p read -ds -dt
holds "the handler reads the memory of every process" some -s epicore_handler_t -t domain -c process -p ptrace -ds -dt
holds "the handler reads programs and libraries" some -s epicore_handler_t -t bin_t -c file -p read
holds "the handler writes files in the spool and in its runtime directory, and in no other" \
    are "epicore_handler_t epicore_run_t epicore_spool_t" -s epicore_handler_t -c file -p write
holds "the handler makes files there alone" are "epicore_run_t epicore_spool_t" -s epicore_handler_t -c file -p create
holds "the handler has no socket of a network" none -s epicore_handler_t -c "$network" -p create
holds "the handler executes nothing in its own domain" none -s epicore_handler_t -p execute_no_trans
holds "the handler enters no other domain" none -s epicore_handler_t -c process,process2 -p transition,dyntransition
holds "the handler kills nobody, unless epicore_handler_kill is on" only_if epicore_handler_kill -s epicore_handler_t -c process -p sigkill
holds "the handler has sys_admin only where epicore_handler_sys_admin is on" \
    only_if epicore_handler_sys_admin -s epicore_handler_t -c capability -p sys_admin
holds "the handler has the capabilities of SECURITY.md and those that give them away, no more" capabilities epicore_handler_t \
    "checkpoint_restore dac_read_search setgid setpcap setuid sys_ptrace"
holds "the handler reads no password" none -s epicore_handler_t -t shadow_t -c file -p read
holds "the handler reads no secret of the collector" none -s epicore_handler_t -t epicore_secret_t -c file -p read

for domain in epicored epicore_collector; do
    name=${domain/epicore_/the }
    holds "$name has a domain" both init_t "${domain}_exec_t" "${domain}_t"
    holds "$name keeps it under NoNewPrivileges=" some -s init_t -t "${domain}_t" -c process2 -p nnp_transition
    holds "$name has no capability" capabilities "${domain}_t" ""
    holds "$name looks at no other process" none -s "${domain}_t" -c process -p ptrace
    holds "$name executes nothing in its own domain" none -s "${domain}_t" -p execute_no_trans
done
holds "epicored writes files in the spool, and in no other place" \
    are "epicore_spool_t epicored_t" -s epicored_t -c file -p write
holds "epicored listens on no port" none -s epicored_t -c tcp_socket -p name_bind -ds
holds "epicored connects to the collector, a proxy, a name server (and what name service needs)" \
    are "dns_port_t epicore_port_t http_cache_port_t http_port_t squid_port_t" -s epicored_t -c tcp_socket -p name_connect -ds
holds "the collector writes files in its directory and its temporary ones, and in no other place" \
    are "epicore_collector_t epicore_collector_tmp_t epicore_collector_var_lib_t" -s epicore_collector_t -c file -p write
holds "the collector listens on its port alone" are "epicore_port_t" -s epicore_collector_t -c tcp_socket -p name_bind
holds "the collector connects to nobody" none -s epicore_collector_t -c tcp_socket -p name_connect
holds "the collector reads its secret" some -s epicore_collector_t -t epicore_secret_t -c file -p read
holds "a web server reads no record" none -s httpd_t -t epicore_spool_t -c file -p read
for type in conf secret; do
    holds "a web server reads no file of type epicore_${type}_t" none -s httpd_t -t "epicore_${type}_t" -c file -p read
done
port() { seinfo --portcon 7464 "$policy" | grep -c 'tcp 7464 .*epicore_port_t' >/dev/null; }
holds "TCP port 7464 is the collector's" port

contexts=$root/etc/selinux/default/contexts/files/file_contexts
labelled() {
    local found
    found=$(matchpathcon -n -f "$contexts" "$1")
    [[ $found == *:"$2":* ]] || { echo "it is $found"; return 1; }
}
while read -r path type; do
    holds "$path is $type" labelled "$path" "$type"
done <<'PATHS'
/usr/lib/epicore/epicore-handler epicore_handler_exec_t
/usr/bin/epicore bin_t
/usr/bin/epicored epicored_exec_t
/usr/bin/epicore-collector epicore_collector_exec_t
/etc/epicore/epicore.toml epicore_conf_t
/etc/epicore/collector.secrets epicore_secret_t
/var/spool/epicore/private epicore_spool_t
/var/lib/epicore/previous epicore_var_lib_t
/var/lib/epicore-collector/collector.db epicore_collector_var_lib_t
/run/epicore/disabled epicore_run_t
/run/epicored/epicored.sock epicored_run_t
PATHS
exit $broken
