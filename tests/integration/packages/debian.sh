# Installs, starts, upgrades, removes and purges the package: debian.sh OLD.deb NEW.deb
# shellcheck source-path=SCRIPTDIR
source "$(dirname "$0")/machine.sh"
old=$1 new=$2
data=/var/lib/dispatchd
toml=/etc/dispatchd/dispatchd.toml
ask() { curl --silent --show-error --fail --max-time 60 "$@"; }

# A machine without systemd: nothing starts, all is in place.
mv /run/systemd/system /run/systemd/away
dpkg --install "$old" >/dev/null
is "state" inactive "$(systemctl is-active dispatchd || true)"
is "mode and owner" "700 dispatchd:dispatchd" "$(stat -c '%a %U:%G' $data)"
is "shell" /usr/sbin/nologin "$(getent passwd dispatchd | cut -d: -f7)"
is "the key server.data" 'data = "/var/lib/dispatchd"' "$(grep '^data = ' $toml)"
has "$(sudo -u dispatchd dispatchd config check --config $toml)" "is good"
mv /run/systemd/away /run/systemd/system
dpkg --purge dispatchd >/dev/null

# Installed: it runs, enabled, as its user.
dpkg --install "$old" >/dev/null
is "unit" enabled "$(systemctl is-enabled dispatchd)"
is "state" active "$(systemctl is-active dispatchd)"
pid=$(cat /run/units/dispatchd.pid)
is "user of the process" "$(id -u dispatchd)" "$(stat -c %u "/proc/$pid")"
has "$(ask 127.0.0.1:8080/readyz)" '"ready":true'
token=$(ask --json '{"platform":"other"}' 127.0.0.1:8080/v1/devices | sed 's/.*"token":"\([^"]*\)".*/\1/')
lookup() { ask --header "Authorization: Bearer $token" "127.0.0.1:8080/v1/lookup/%2B14155550123"; }
has "$(lookup)" '"route":"sms"'
is "files that others can read" "" "$(find $data -perm /077)"
is "files of other users" "" "$(find $data -not -user dispatchd)"

# Upgraded: restarted with the new binary, the changed configuration kept, the data kept.
sed -i 's/^level = "info"/level = "debug"/' $toml
sum=$(md5sum <$toml)
dpkg --install "$new" >/dev/null
is "configuration" "$sum" "$(md5sum <$toml)"
is "state" active "$(systemctl is-active dispatchd)"
[ "$pid" != "$(cat /run/units/dispatchd.pid)" ] || fail "the upgrade did not restart the server"
has "$(dpkg --status dispatchd)" "Version: 99."
has "$(lookup)" '"route":"sms"'
operator=$(dispatchd operator add ann --role reader --data $data 2>/dev/null)
records=$(DISPATCHD_TOKEN=$operator dispatchd log search --kind lookup --json)
is "lookups in the log" 2 "$(wc -l <<<"$records")"
is "files of other users" "" "$(find $data -not -user dispatchd)"

# A service that was stopped and disabled stays so, and a directory keeps its owner.
systemctl stop dispatchd
touch /run/dispatchd.installed-again
dpkg --install "$old" >/dev/null 2>&1
is "state after an installation that failed" inactive "$(systemctl is-active dispatchd || true)"
systemctl disable dispatchd
chgrp adm $data
dpkg --install "$old" >/dev/null 2>&1
is "state" inactive "$(systemctl is-active dispatchd || true)"
is "unit" disabled "$(systemctl is-enabled dispatchd || true)"
is "group" adm "$(stat -c %G $data)"
systemctl enable --now dispatchd

# Removed: stopped, configuration and data kept. Installed again, it goes on.
dpkg --remove dispatchd >/dev/null
[ ! -e "/proc/$(cat /run/units/dispatchd.pid)/exe" ] || fail "the server runs without its package"
[ -f $toml ] && [ -f $data/keys/root.key ] || fail "removing the package took data"
dpkg --install "$old" >/dev/null
has "$(lookup)" '"route":"sms"'

# Purged: nothing is left.
dpkg --purge dispatchd >/dev/null
is "what is left" "" "$(find /etc /usr /var /run -name '*dispatchd*' -newer "$old" -not -path '/run/units/*' \
    -not -path /var/log/dispatchd.output)"
[ ! -e $data ] && [ ! -e /etc/dispatchd ] || fail "files are left"
is "user" "" "$(getent passwd dispatchd || true)"
is "group" "" "$(getent group dispatchd || true)"

# A link instead of the directory: what it leads to is kept.
mkdir /srv/dispatchd-data
ln -s /srv/dispatchd-data $data
touch /srv/dispatchd-data/kept
dpkg --install "$old" >/dev/null 2>&1 || true
dpkg --purge dispatchd >/dev/null 2>&1
[ -f /srv/dispatchd-data/kept ] && [ ! -L $data ] || fail "purge followed a link"

# A folder of the same disk is mounted below the directory: purging keeps everything.
mkdir /srv/mounted
touch /srv/mounted/kept
dpkg --install "$old" >/dev/null 2>&1
mkdir $data/mounted
mount --bind /srv/mounted $data/mounted
has "$(dpkg --purge dispatchd 2>&1)" "everything in it is kept"
[ -f /srv/mounted/kept ] && [ -f $data/keys/root.key ] || fail "purge deleted what is mounted"
is "owner of what is kept" dispatchd "$(stat -c %U $data)"
echo "all steps passed"
