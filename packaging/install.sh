#!/usr/bin/env bash
# Make this Raspberry Pi a doorbell, or bring it up to date: sudo packaging/install.sh
#   --uninstall   remove it; asks before it deletes what the owner may want to keep
#   --purge       remove it and delete everything without asking
#
# For 64-bit Raspberry Pi OS bookworm and trixie; Debian will do. It may be run again at any time, and after an upgrade of
# the system it must be. What cannot be done (systemd in a container, for example) is said and left out.
set -euo pipefail
umask 022 # whatever root's own is: the service's user must be able to read its program

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=$(dirname "$here")
name=face-doorbell-bridge
user=face-doorbell
target=/opt/$name
command=/usr/local/bin/$name
config=/etc/$name.toml
state=/var/lib/$name
unit=/etc/systemd/system/$name.service
announcement=/etc/avahi/services/face-doorbell.service
pin_rule=/etc/udev/rules.d/60-$name.rules
python=/usr/bin/python3 # Debian's: python3-lgpio is made for it, and another one on the PATH is not
apt=(apt-get -qq -o DPkg::Lock::Timeout=300) # a new Pi is busy with its first updates
missing=()

step() { echo "== $*"; }
fail() {
    echo "install.sh: $*" >&2
    exit 1
}
# Say now, and once more at the end, what this machine cannot do.
miss() {
    echo "   NOT DONE: $*" >&2
    missing+=("$*")
}
systemd_runs() { [[ -d /run/systemd/system ]]; }

check_machine() {
    local architecture
    architecture=$(dpkg --print-architecture)
    case $architecture in
        arm64) ;;
        amd64) miss "this is no Raspberry Pi: there are no pins for button and lights" ;;
        *) fail "the system is $architecture, but 64-bit is needed: install Raspberry Pi OS (64-bit)" ;;
    esac
}

install_packages() {
    local package
    step "packages"
    export DEBIAN_FRONTEND=noninteractive
    "${apt[@]}" update || fail "the lists of packages cannot be read: is the Pi online, and is its time right (timedatectl)?"
    "${apt[@]}" install --yes avahi-daemon python3-venv tzdata >/dev/null
    $python -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "Python 3.11 or newer is needed: install Raspberry Pi OS bookworm or newer"
    # Raspberry Pi OS has its own lgpio, Debian has none. From trixie on the time zones that browsers call by an old name,
    # such as Asia/Calcutta, have a package of their own; quiet hours need them.
    for package in python3-lgpio tzdata-legacy; do
        if apt-cache show $package &>/dev/null; then
            "${apt[@]}" install --yes $package >/dev/null
        fi
    done
}

add_user() {
    step "user $user"
    getent passwd $user >/dev/null ||
        useradd --system --user-group --no-create-home --home-dir "$state" --shell /usr/sbin/nologin $user
    # Raspberry Pi OS has both; Debian has neither.
    getent group gpio >/dev/null || groupadd --system gpio
    if ! grep --quiet --recursive --no-messages 'GROUP="gpio"' /etc/udev/rules.d /usr/lib/udev/rules.d; then
        echo 'SUBSYSTEM=="gpio", GROUP="gpio", MODE="0660"' >$pin_rule
        ! systemd_runs || { udevadm control --reload && udevadm trigger --subsystem-match=gpio; }
    fi
    usermod --append --groups gpio,video $user
    install --directory --owner=$user --group=$user --mode=0700 "$state"
    chown --recursive $user:$user "$state" # somebody may have run the program as root, to see what it says
}

install_program() {
    step "program in $target"
    local complete
    complete=$target/complete-$($python -c 'import platform; print("python%s.%s" % platform.python_version_tuple()[:2])')
    # What was made for another Python, before an upgrade of the system, or was cut short, by a power cut, is of no use.
    [[ -e $complete ]] || rm --recursive --force "$target"
    rm --force "$complete"
    $python -m venv --system-site-packages "$target"
    "$target/bin/pip" install --quiet --upgrade "$source"
    if ! "$target/bin/python" -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("_lgpio"))'; then
        "$target/bin/pip" install --quiet --only-binary=adafruit-lgpio,lgpio "${source}[pi]" ||
            miss "there is no lgpio for this machine: no button, no lights"
    fi
    sync --file-system "$target"
    touch "$complete"
    ln --symbolic --force "$target/bin/$name" "$command"
    [[ -e $config ]] || install --mode=0644 "$here/$name.toml" "$config"
}

install_service() {
    step "service"
    install --mode=0644 "$here/$name.service" "$unit"
    if ! systemd_runs; then
        systemctl enable --quiet $name || miss "there is no systemd: start \"$command run\" yourself"
        miss "systemd does not run here: the doorbell starts at the next boot"
        return
    fi
    systemctl daemon-reload
    systemctl enable --quiet $name
    systemctl restart $name || true # the check at the end tells what is wrong
}

announce() {
    step "announcement in the network"
    # As the service's user: the first start makes the certificate, which must be its own.
    if runuser --user $user -- "$command" avahi >"$announcement.new"; then
        mv "$announcement.new" "$announcement"
        chmod 0644 "$announcement"
    else
        rm --force "$announcement.new"
        miss "the doorbell is not announced: add it to Home Assistant by its address"
    fi
}

finish() {
    step "check"
    "$command" check || echo "What is NOT OK can be mended now; the doorbell keeps trying."
    if ((${#missing[@]})); then
        step "not done"
        printf '   %s\n' "${missing[@]}"
    fi
    systemd_runs || return 0
    systemctl is-active --quiet $name || fail "the doorbell does not run: journalctl -u $name says why"
    if [[ $("$command" clients) == "Nobody is paired."* ]]; then
        step "pair it: Home Assistant, Settings, Devices & services"
        "$command" pair
    fi
}

uninstall() {
    local purge=$1 answer
    step "remove $name"
    if systemd_runs; then
        systemctl disable --now --quiet $name || true # it may never have been enabled
    fi
    rm --force "$unit" "/etc/systemd/system/multi-user.target.wants/$name.service" "$announcement" "$command" $pin_rule
    rm --recursive --force "$target"
    ! systemd_runs || systemctl daemon-reload
    if [[ $purge == no && -t 0 ]]; then
        echo "$state has the pairing, the certificate and the rings that Home Assistant has not heard of."
        read -rp "Delete it, with $config and the user $user? [y/N] " answer
        [[ $answer != [yY]* ]] || purge=yes
    fi
    if [[ $purge == no ]]; then
        echo "Kept: $state, $config and the user $user (--purge deletes them)."
        return
    fi
    rm --recursive --force "$state" "$config"
    ! getent passwd $user >/dev/null || userdel $user
    echo "Deleted: $state, $config and the user $user. Debian's packages stay."
}

[[ $EUID -eq 0 ]] || fail "this needs root: sudo $0 $*"
case ${1:-} in
    "") ;;
    --uninstall)
        uninstall no
        exit
        ;;
    --purge)
        uninstall yes
        exit
        ;;
    *) fail "unknown: $1 (--uninstall and --purge are known)" ;;
esac
check_machine
install_packages
add_user
install_program
install_service
announce
finish
