# Makes the private root look like a machine that runs systemd, for scripts that source this file. REPOSITORY names the
# repository, TOOLS the folder of the unpacked Debian packages.
set -euo pipefail

rm -f /usr/sbin/policy-rc.d
# Without it, man-db does not index all pages of the machine after each step: seconds.
rm -f /var/lib/man-db/auto-update
install -m 0755 "$REPOSITORY/tests/tools/systemctl" /usr/bin/systemctl
mkdir -p /run/systemd/system
export no_proxy='*' DEBIAN_FRONTEND=noninteractive
unset "${!DISPATCHD_@}"

cat >/usr/local/bin/sudo <<'SUDO'
#!/bin/sh
# Runs a command as another user, whom `-u` names.
if [ "$1" = -u ]; then
    user=$2
    shift 2
    exec setpriv --reuid="$user" --regid="$user" --clear-groups -- "$@"
fi
exec "$@"
SUDO

cat >/usr/local/bin/apt <<APT
#!/bin/bash
# Installs files with dpkg, and the programs that the tests have unpacked. Nothing is downloaded.
set -e
for word in "\$@"; do
    case "\$word" in
        install | --*) ;;
        *.deb) dpkg --install "\$word" >/dev/null ;;
        caddy | prometheus)
            tar -C "$TOOLS" -c etc lib usr | tar -C / -x --keep-directory-symlink
            adduser --quiet --system --group --home "/var/lib/\$word" "\$word" >/dev/null
            mkdir -p "/etc/\$word"
            systemctl enable --now "\$word"
            ;;
        *)
            echo "apt of the tests: \$word is unknown" >&2
            exit 1
            ;;
    esac
done
APT
chmod 0755 /usr/local/bin/sudo /usr/local/bin/apt

fail() {
    echo "FAILED: $*" >&2
    for file in /var/log/dispatchd.output /var/log/caddy.output /var/log/prometheus.output; do
        [ ! -f "$file" ] || tail -n 20 "$file" >&2
    done
    exit 1
}
# is WHAT EXPECTED FOUND
is() { [ "$2" = "$3" ] || fail "$1: expected $2, found $3"; }
# has TEXT PART
has() { case "$1" in *"$2"*) ;; *) fail "no \"$2\" in: $1" ;; esac; }
