#!/usr/bin/env bash
# Install or update the Face Doorbell bridge on Raspberry Pi OS (64-bit): sudo packaging/install.sh [wheel]
# Without a wheel, the checkout that this script lies in is installed. It may be run again at any time.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=${1:-$(dirname "$here")}
target=/opt/face-doorbell-bridge
command=/usr/local/bin/face-doorbell-bridge
config=/etc/face-doorbell-bridge.toml
user=face-doorbell

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

[[ $EUID -eq 0 ]] || fail "this needs root: sudo $0"
[[ $(uname -m) == aarch64 ]] || fail "this needs a 64-bit Raspberry Pi OS, not $(uname -m)"

echo "== packages"
# lgpio comes from Raspberry Pi OS: the package registry has no build of it for this Python.
apt-get update -qq
apt-get install -qq --yes avahi-daemon python3-lgpio python3-venv

echo "== user"
getent passwd "$user" >/dev/null || useradd --system --user-group --no-create-home --shell /usr/sbin/nologin "$user"
for group in gpio video; do
    getent group "$group" >/dev/null || fail "there is no group $group: is this Raspberry Pi OS?"
    usermod --append --groups "$group" "$user"
done

echo "== program"
python3 -m venv --system-site-packages "$target"
"$target/bin/pip" install --quiet --upgrade "$source"
ln --symbolic --force "$target/bin/face-doorbell-bridge" "$command"

echo "== service"
[[ -e $config ]] || install --mode 0644 "$here/face-doorbell-bridge.toml" "$config"
install --mode 0644 "$here/face-doorbell-bridge.service" /etc/systemd/system/
systemctl daemon-reload
systemctl enable --quiet face-doorbell-bridge
systemctl restart face-doorbell-bridge || fail "it does not start: journalctl -u face-doorbell-bridge says why"

echo "== announcement in the network"
"$target/bin/python" - "$here/avahi.xml" >/etc/avahi/services/face-doorbell.service <<'PYTHON'
from pathlib import Path
from string import Template
import sys
from xml.sax.saxutils import escape

from pi_bridge.certificate import load_or_make
from pi_bridge.config import load
from pi_bridge.model import API_VERSION

config = load()
bridge_id = load_or_make(config.storage.path / "certificate.pem").bridge_id
template = Template(Path(sys.argv[1]).read_text(encoding="utf-8"))
print(template.substitute(name=escape(config.name), id=bridge_id, port=config.server.port, api=API_VERSION), end="")
PYTHON

echo "== check"
"$command" check || echo "What is not ok can be mended now; the bridge keeps trying."

echo
echo "== pair it: Home Assistant, Settings, Devices & services"
"$command" pair
