# SPDX-License-Identifier: BSD-3-Clause
"""`pollux bind --confirm`: the machine's only port with an address is bound from a TCP session that runs through it. Without a
confirmation the session comes back. And `pollux setup-user`, with a stand-in for udev."""

from cases.boots import A, B, C, G, LAB
from cases.refusals import AS_USER, works_for_a_user
from pollux_lab.cases import Fixture, case, require

# C belongs to this machine, G to the remote one, a network namespace. A shell on C's side serves the session, as sshd would.
CONNECT = """
local=$(netdev_of {c}) remote=$(netdev_of {g})
ip netns add remote
ip link set $remote netns remote
ip -n remote addr add 10.0.0.2/24 dev $remote && ip -n remote link set $remote up
ip addr add 10.0.0.1/24 dev $local && ip link set $local up
ip route add 198.51.100.0/24 via 10.0.0.2
await 20 grep -q 1 /sys/class/net/$local/carrier || fail no link
mkfifo /run/typed
spawn server nc -l -p 5000 -e sh
await 5 sh -c 'netstat -ltn | grep -q :5000' || fail the server does not listen
spawn session ip netns exec remote sh -c 'exec nc 10.0.0.1 5000 <>/run/typed'
echo 'echo hello from the session' >/run/typed
await_line session 'hello from' 20
"""
DISCONNECT = """
for name in session server; do [ -s /run/$name.status ] || kill $(cat /run/$name.pid); done
rm -f /run/typed
ip netns exec remote sh -c 'for i in /sys/class/net/*; do ip link set ${i##*/} netns 1; done' 2>/dev/null
ip netns del remote
ip addr flush dev $(netdev_of %s)
ip link set $(netdev_of %s) down
true
"""


def in_session(fixture: Fixture, body: str) -> None:
    """Runs `body` in the guest while a session through C is open."""
    places = {"c": fixture.addresses[C], "g": fixture.addresses[G]}
    try:
        fixture.guest.check(CONNECT.format(**places), 60)
        fixture.guest.check(body.format(**places), 90)
    finally:
        fixture.guest.check(f"pollux bind --confirmed >/dev/null 2>&1; pollux unbind {places['c']}", 60)
        fixture.guest.check(DISCONNECT % (places["c"], places["c"]), 30)


@case(LAB)
def a_session_comes_back_without_a_confirmation(fixture: Fixture) -> None:
    comes_back(fixture, "igb")


def comes_back(fixture: Fixture, driver: str) -> None:
    """C is bound, and returns to `driver`."""
    in_session(fixture, """
    echo 'pollux bind --force --confirm 4 {c}' >/run/typed
    await 20 sh -c '. /lib/lab.sh; [ "$(driver_of {c})" = vfio-pci ]' || fail the port was not bound
    ip route get 10.0.0.2 2>/dev/null | grep -q 'dev eth2' && fail the way to the remote end is still there
    echo 'echo still $((40 + 2)) there' >/run/typed
    await_line session 'still 42 there' 60
    [ "$(driver_of {c})" = DRIVER ] || fail the port belongs to $(driver_of {c})
    ip route show 198.51.100.0/24 | grep -q 'via 10.0.0.2' || fail the route is lost
    """.replace("DRIVER", driver))


@case(LAB)
def the_roll_back_survives_the_loss_of_its_session(fixture: Fixture) -> None:
    # Everything that the session started gets SIGHUP and then SIGKILL, as when a terminal's session ends.
    in_session(fixture, """
    echo 'pollux bind --force --confirm 5 {c} & wait; sleep 60' >/run/typed
    await 20 sh -c '. /lib/lab.sh; [ "$(driver_of {c})" = vfio-pci ]' || fail the port was not bound
    server=$(cat /run/server.pid)
    kill -HUP $server $(pidof pollux); usleep 200000; kill -KILL $server
    [ "$(driver_of {c})" = vfio-pci ] || fail the port was given back too early
    await 30 sh -c '. /lib/lab.sh; [ "$(driver_of {c})" = igb ]' || fail the port was not given back
    await 20 ip netns exec remote ping -c 1 -W 1 10.0.0.1 || fail the remote end cannot reach the machine
    """)


@case(LAB)
def a_confirmed_binding_stays(fixture: Fixture) -> None:
    fixture.bind(A, options="--confirm 120")
    # The process that would give the port back ends.
    fixture.guest.check("pidof pollux && pollux bind --confirmed && await 20 sh -c '! pidof pollux'")
    require(fixture.guest.check(f"driver_of {fixture.addresses[A]}").strip() == "vfio-pci", "the port was given back")
    late = fixture.guest.run("pollux bind --confirmed")
    require(late.status == 1 and "no binding waits" in late.err, f"a second confirmation: {late}")


# What udevd does with the rule that `pollux setup-user` writes: sets the group and the mode of the files of each subsystem. groupadd
# and usermod edit /etc/group.
STAND_INS = r"""
cp /etc/group /run/group.before
cat >/bin/groupadd <<'END'
#!/bin/sh
[ "$1 $2" = "--system --force" ] && echo "$3:x:990:" >>/etc/group
END
cat >/bin/usermod <<'END'
#!/bin/sh
[ "$1 $2" = "--append --groups" ] && sed -i "s/^$3:x:990:.*/&$4/" /etc/group
END
cat >/bin/udevadm <<'END'
#!/bin/sh
[ "$1" = trigger ] || exit 0
sed -n 's/^SUBSYSTEM=="\([^"]*\)".*GROUP="\([^"]*\)", MODE="\([^"]*\)"$/\1 \2 \3/p' /etc/udev/rules.d/60-pollux.rules |
while read -r subsystem group mode; do
  case $subsystem in vfio) files=/dev/vfio/[0-9]* ;; vfio-dev) files=/dev/vfio/devices/vfio* ;; misc) files=/dev/iommu ;; esac
  for file in $files; do
    [ ! -e "$file" ] || { chgrp "$group" "$file" && chmod "$mode" "$file" || exit 1; }
  done
done
END
chmod +x /bin/groupadd /bin/usermod /bin/udevadm
"""


@case(LAB)
def setup_user_lets_a_user_open_bound_ports(fixture: Fixture) -> None:
    fixture.bind(A, B)
    before = fixture.guest.check("ls -ln /dev/vfio")
    fixture.guest.check(STAND_INS)
    try:
        shown = fixture.guest.check("pollux setup-user --dry-run plain")
        require("60-pollux.rules" in shown and fixture.guest.check("ls -ln /dev/vfio") == before, "a dry run changed something")
        fixture.guest.check("pollux setup-user --yes plain")
        limit = int(fixture.guest.check("sed -n 's/^@pollux - memlock //p' /etc/security/limits.d/pollux.conf"))
        # The groups and the limit of the user's next login.
        works_for_a_user(fixture, f"ulimit -l {limit}", AS_USER.replace("--clear-groups", "--groups 990"))
        fixture.guest.check("pollux setup-user --remove --yes")
        fixture.guest.check("! ls /etc/udev/rules.d/60-pollux.rules /etc/security/limits.d/pollux.conf 2>/dev/null")
    finally:
        fixture.guest.check("mv /run/group.before /etc/group; rm -f /bin/groupadd /bin/usermod /bin/udevadm")
