"""An S3 server for the tests: OpenStack Swift with its s3api, whole, on the loopback, in one process.

usage: object-store.py FOLDER PORT. The account is test:tester, its secret testing.
"""

import os
import signal
import sys

import eventlet

eventlet.patcher.monkey_patch()

from eventlet import wsgi
from swift.common import utils
from swift.common.ring import RingBuilder

folder, port = sys.argv[1], int(sys.argv[2])


def write(name, text):
    with open(os.path.join(folder, name), "w") as file:
        file.write(text)


class Log:
    """Standard error is the log."""

    def write(self, text):
        sys.stderr.write(text)

    def flush(self):
        sys.stderr.flush()


# What Swift asks of a cluster is asked of this process: one device, one replica, a ring each for accounts, containers, objects.
COMMON = f"""
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
bind_ip = 127.0.0.1
fallocate_reserve = 0
disable_fallocate = true
log_address = /nowhere
"""
os.makedirs(f"{folder}/devices/one", exist_ok=True)
write("swift.conf", "[swift-hash]\nswift_hash_path_suffix = test\n[storage-policy:0]\nname = only\ndefault = yes\n")
utils.set_swift_dir(folder)
from swift.common.storage_policy import reload_storage_policies
from swift.common.wsgi import loadapp

reload_storage_policies()

listening = {}
for kind in ("account", "container", "object"):
    listening[kind] = eventlet.listen(("127.0.0.1", 0))
    ring = RingBuilder(4, 1, 0)
    ring.add_dev(
        {"id": 0, "region": 1, "zone": 1, "ip": "127.0.0.1", "weight": 1, "device": "one",
         "port": listening[kind].getsockname()[1],
         "replication_ip": "127.0.0.1", "replication_port": listening[kind].getsockname()[1]}
    )
    ring.rebalance(seed=1)
    ring.get_ring().save(f"{folder}/{kind}.ring.gz")
    write(f"{kind}.conf", f"{COMMON}\n[pipeline:main]\npipeline = server\n[app:server]\nuse = egg:swift#{kind}\n")

write("proxy.conf", f"""{COMMON}
[pipeline:main]
pipeline = catch_errors cache s3api tempauth bulk slo dlo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
location = eu-central-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
""")

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
for kind, socket in listening.items():
    eventlet.spawn(wsgi.server, socket, loadapp(f"{folder}/{kind}.conf"), Log(), log_output=False)
proxy = loadapp(f"{folder}/proxy.conf")
front = eventlet.listen(("127.0.0.1", port))
wsgi.server(front, proxy, Log(), log_output=False)
